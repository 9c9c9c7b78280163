//! Descriptors between processes: those inherited over exec, and those sent beside a message (SCM_RIGHTS).

use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// The most descriptors one message may carry (SCM_MAX_FD, unix(7)).
pub const MAX_FDS: usize = 253;

/// Takes over the descriptors `first … first + count - 1` that this process inherited, once in its life.
/// They get CLOEXEC: what a child of ours shall have is given to it by name.
///
/// # Errors
/// `AlreadyExists` at a second call; EBADF for a number that is not open, or is no inherited one: what a Rust program
/// opens by itself has CLOEXEC.
pub fn inherited(first: RawFd, count: usize) -> io::Result<Vec<OwnedFd>> {
    once()?;
    let end = RawFd::try_from(count).ok().and_then(|count| first.checked_add(count));
    let end = end.ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
    (first..end).map(adopt).collect()
}

/// Takes over descriptors that this process handed to itself over an exec, by their numbers; once in its life, and in
/// place of [`inherited`]. They get CLOEXEC.
///
/// # Errors
/// `AlreadyExists` at a second call; EBADF for a number that is not open, is named twice, or is no inherited one.
pub fn handed_over(numbers: &[RawFd]) -> io::Result<BTreeMap<RawFd, OwnedFd>> {
    once()?;
    numbers.iter().map(|&raw| Ok((raw, adopt(raw)?))).collect()
}

/// Whatever is open from `first` on does not outlive an exec: inherited from who knows whom.
///
/// # Errors
/// What close_range(2) says.
pub fn close_at_exec(first: RawFd) -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: takes numbers alone; with this flag nothing is closed now, a flag of each descriptor is set.
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn once() -> io::Result<()> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        let what = "the inherited descriptors were taken before";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    Ok(())
}

/// Takes over one that has no owner in this process: it came over the exec, which closes what has CLOEXEC.
fn adopt(raw: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD takes any number and changes nothing; one that is not open gives -1, which has every bit set.
    let flags = unsafe { libc::fcntl(raw, libc::F_GETFD) };
    if raw <= libc::STDERR_FILENO || flags & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the descriptor is open (just asked), and the flag is all that changes.
    if unsafe { libc::fcntl(raw, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and nobody owns it: whatever this program opened has CLOEXEC (std, mio, nix and this crate ask
    // for it in the very call that opens), what it takes over here gets it, and this one had none a moment ago.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Sends `bytes` with `fds` beside them on a connected socket; answers how many bytes went. Never raises SIGPIPE.
///
/// # Errors
/// What sendmsg(2) says; `WouldBlock` on a full non-blocking socket.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>], flags: Wait) -> io::Result<usize> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let rights: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let flags = match flags {
        Wait::ForRoom => MsgFlags::MSG_NOSIGNAL,
        Wait::Never => MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
    };
    Ok(sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], rights, flags, None)?)
}

/// Whether a send may wait for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It may, on a blocking socket.
    ForRoom,
    /// It must not.
    Never,
}

/// What arrived in one call of [`receive`].
#[derive(Debug)]
pub struct Received {
    /// Bytes written to the buffer; 0 at the end of a stream.
    pub bytes: usize,
    /// Descriptors that came beside them, CLOEXEC set.
    pub fds: Vec<OwnedFd>,
    /// The message was longer than the buffer, or its descriptors could not be opened here.
    pub truncated: bool,
}

/// Receives one message, or what a stream has, with whatever descriptors came beside it.
///
/// There is always room for as many descriptors as one message can carry: those that did not fit would be ours
/// without our knowing their numbers.
///
/// # Errors
/// What recvmsg(2) says; `WouldBlock` when nothing is there on a non-blocking socket.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = nix::cmsg_space!([RawFd; MAX_FDS]);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    // The control part is cut when this process may open no more descriptors (EMFILE).
    let truncated = message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
    let mut fds = Vec::new();
    for part in message.cmsgs().into_iter().flatten() {
        if let ControlMessageOwned::ScmRights(raw) = part {
            // SAFETY: the kernel installed these numbers for us in this very call, and nobody else knows them.
            fds.extend(raw.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }));
        }
    }
    Ok(Received { bytes: message.bytes, fds, truncated })
}

/// Whether both refer to the same open file description: duplicates do, files opened twice do not.
///
/// A kernel that answers neither F_DUPFD_QUERY (before 6.10) nor kcmp(2) (a sandbox forbids it) leaves the file itself:
/// there one that was opened twice counts as the same. Anonymous files (eventfd) share an inode, and are then never the
/// same.
#[must_use]
pub fn same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    /// linux/fcntl.h: 1 if the argument refers to the same description, 0 if not.
    const F_DUPFD_QUERY: libc::c_int = 1024 + 3;
    /// linux/kcmp.h: 0 if both are the same description.
    const KCMP_FILE: libc::c_int = 0;
    let (a, b) = (one.as_raw_fd(), other.as_raw_fd());
    // SAFETY: the command takes a number and changes nothing; a kernel that does not know it says EINVAL.
    let answer = unsafe { libc::fcntl(a, F_DUPFD_QUERY, b) };
    if answer >= 0 {
        return answer == 1;
    }
    let own = std::process::id();
    // SAFETY: takes numbers alone and changes nothing.
    let answer = unsafe { libc::syscall(libc::SYS_kcmp, own, own, KCMP_FILE, a, b) };
    if answer >= 0 {
        return answer == 0;
    }
    let file = |fd: BorrowedFd<'_>| {
        let stat = nix::sys::stat::fstat(fd).ok()?;
        (stat.st_mode & libc::S_IFMT != 0).then_some((stat.st_dev, stat.st_ino))
    };
    file(one).is_some_and(|this| Some(this) == file(other))
}

/// A duplicate with CLOEXEC.
///
/// # Errors
/// EMFILE.
pub fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    #[test]
    fn a_descriptor_arrives_with_its_message() {
        let (a, b) = UnixDatagram::pair().unwrap();
        let (mut reader, writer) = UnixStream::pair().unwrap();
        send(a.as_fd(), b"FDSTORE=1", &[writer.as_fd()], Wait::Never).unwrap();
        let mut buffer = [0; 64];
        let mut got = receive(b.as_fd(), &mut buffer).unwrap();
        assert_eq!((&buffer[..got.bytes], got.fds.len(), got.truncated), (&b"FDSTORE=1"[..], 1, false));
        drop(writer);
        io::Write::write_all(&mut UnixStream::from(got.fds.remove(0)), b"hi").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hi");
    }

    #[test]
    fn what_has_an_owner_here_is_not_taken_over() {
        let ours = std::fs::File::open("/dev/null").unwrap();
        for raw in [ours.as_raw_fd(), libc::STDERR_FILENO, -1, RawFd::MAX] {
            assert_eq!(adopt(raw).unwrap_err().raw_os_error(), Some(libc::EBADF), "{raw}");
        }
        assert!(ours.metadata().is_ok(), "it is open still");
    }

    #[test]
    fn duplicates_are_the_same_file_and_a_file_opened_twice_is_not() {
        let open = || std::fs::File::open("/dev/null").unwrap();
        let (one, other) = (open(), open());
        assert!(same_file(one.as_fd(), duplicate(&one).unwrap().as_fd()));
        assert!(!same_file(one.as_fd(), other.as_fd()));
    }

    #[test]
    fn as_many_descriptors_as_a_message_can_carry_leave_nothing_open_behind() {
        let (a, b) = UnixDatagram::pair().unwrap();
        let (mut reader, writer) = UnixStream::pair().unwrap();
        send(a.as_fd(), b"too long", &vec![writer.as_fd(); MAX_FDS], Wait::Never).unwrap();
        drop(writer);
        let got = receive(b.as_fd(), &mut [0; 3]).unwrap();
        assert_eq!((got.bytes, got.fds.len(), got.truncated), (3, MAX_FDS, true));
        drop(got);
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0, "every copy of the writer is closed");
    }
}
