//! Succession: one process serves a slot, and the kernel says which.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// The right to serve a slot: a write lock on its segment (F_OFD_SETLKW, fcntl(2)), held until this is dropped or the
/// process ends, whatever ends it.
///
/// The lock belongs to a description of our own (opened anew, CLOEXEC), so neither the supervisor's duplicate nor a
/// stray close of the segment carries or drops it.
#[derive(Debug)]
pub struct Seat {
    locked: OwnedFd,
}

impl Seat {
    /// Waits until the predecessor is gone. A handler with SA_RESTART would let a waiter survive SIGTERM: install
    /// handlers only afterwards.
    ///
    /// # Errors
    /// What open(2) or fcntl(2) say.
    pub fn wait(segment: BorrowedFd<'_>) -> io::Result<Seat> {
        Self::lock(segment, |lock| FcntlArg::F_OFD_SETLKW(lock))
    }

    /// Takes the seat if nobody holds it.
    ///
    /// # Errors
    /// `WouldBlock` if somebody does; else what open(2) or fcntl(2) say.
    pub fn try_take(segment: BorrowedFd<'_>) -> io::Result<Seat> {
        Self::lock(segment, |lock| FcntlArg::F_OFD_SETLK(lock))
    }

    /// A seat that was taken before an exec of this process: the description carries the lock over it.
    #[must_use]
    pub fn taken_before(locked: OwnedFd) -> Seat {
        Seat { locked }
    }

    fn lock(segment: BorrowedFd<'_>, how: fn(&libc::flock) -> FcntlArg<'_>) -> io::Result<Seat> {
        let own = sys::map::reopen(segment, true)?;
        fcntl(own.as_fd(), how(&whole()))?;
        Ok(Seat { locked: own })
    }
}

/// Whether somebody has such a lock on a file; looked at without taking it. What cannot be asked is not locked.
#[must_use]
pub fn is_locked(file: BorrowedFd<'_>) -> bool {
    let mut lock = whole();
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).is_ok() && lock.l_type != libc::F_UNLCK as libc::c_short
}

/// A write lock from the first byte to the last there may ever be.
fn whole() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

impl AsFd for Seat {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.locked.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seat_has_one_holder_and_passes_on_when_he_is_gone() {
        let segment = sys::map::segment("seat", &[], 4096, false).unwrap();
        let holder = Seat::wait(segment.as_fd()).unwrap();
        let refused = Seat::try_take(segment.as_fd()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        // neither a duplicate that is closed nor another description of the file frees it
        drop(sys::fds::duplicate(&segment).unwrap());
        drop(sys::map::reopen(segment.as_fd(), true).unwrap());
        assert!(Seat::try_take(segment.as_fd()).is_err());
        let waiter = std::thread::spawn({
            let segment = sys::fds::duplicate(&segment).unwrap();
            move || Seat::wait(segment.as_fd()).unwrap()
        });
        let inode = format!(":{} ", nix::sys::stat::fstat(&segment).unwrap().st_ino);
        let waits = |locks: &str| locks.lines().any(|line| line.contains("-> ") && line.contains(&inode));
        while !waits(&std::fs::read_to_string("/proc/locks").unwrap()) {
            assert!(!waiter.is_finished(), "it did not wait");
            std::thread::yield_now();
        }
        drop(holder);
        let heir = waiter.join().unwrap();
        assert!(Seat::try_take(segment.as_fd()).is_err(), "the heir holds it now");
        drop(heir);
        Seat::try_take(segment.as_fd()).unwrap();
    }
}
