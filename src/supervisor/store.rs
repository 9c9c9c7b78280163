//! The descriptors that a slot's processes gave up to be kept, as systemd keeps them (FDSTORE=1, sd_notify(3)): the
//! next process of the slot gets them after its sockets.
//!
//! Never polled: one that reports an error stays, as if FDPOLL=0 had come with each.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use super::handover::{Packing, Unpacking};

/// The most descriptors in one store.
pub(super) const MAX_STORED: usize = 512;
/// The most bytes of all names in one store: a child gets them in one variable, of which the kernel takes 128 KiB.
const MAX_NAMES: usize = 64 << 10;

/// Why a descriptor was not kept. It is closed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("handed up a socket that it has already")]
    Taken,
    #[error(
        "handed up a descriptor for which its store has no room: {MAX_STORED} descriptors, {MAX_NAMES} bytes of names"
    )]
    Full,
    #[error("handed up a descriptor for which the supervisor has no room (LimitNOFILE)")]
    NoRoom,
}

/// One descriptor, and what it is called.
struct Stored {
    name: String,
    fd: OwnedFd,
    inode: Option<(u64, u64)>,
}

/// Device and number of the file's inode: those of one open file never differ (eventfds and the like share one).
fn inode(fd: &OwnedFd) -> Option<(u64, u64)> {
    let stat = nix::sys::stat::fstat(fd).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// The store of one slot, in the order in which it was filled.
#[derive(Default)]
pub(super) struct Store {
    stored: Vec<Stored>,
}

impl Store {
    /// Keeps `fd` under `name`, unless the same open file is here already, under whatever name. A full store does not
    /// look for it; in one that is not, the kernel is asked about those of the same inode alone.
    pub(super) fn put(&mut self, name: String, fd: OwnedFd, has_room: bool) -> Result<(), Refused> {
        let names: usize = self.stored.iter().map(|stored| stored.name.len() + 1).sum();
        if self.stored.len() >= MAX_STORED || names + name.len() >= MAX_NAMES {
            return Err(Refused::Full);
        }
        if !has_room {
            return Err(Refused::NoRoom);
        }
        let inode = inode(&fd);
        let same =
            |stored: &Stored| stored.inode == inode && sys::fds::same_file(stored.fd.as_fd(), fd.as_fd());
        if !self.stored.iter().any(same) {
            self.stored.push(Stored { name, fd, inode });
        }
        Ok(())
    }

    /// As it is handed over at an upgrade.
    pub(super) fn freeze<'a>(&'a self, packing: &mut Packing<'a>) -> Vec<(String, RawFd)> {
        self.stored.iter().map(|Stored { name, fd, .. }| (name.clone(), packing.pack(fd.as_fd()))).collect()
    }

    pub(super) fn thaw(frozen: Vec<(String, RawFd)>, fds: &mut Unpacking) -> io::Result<Store> {
        let thaw = |(name, fd)| {
            let fd = fds.take(fd)?;
            Ok(Stored { name, inode: inode(&fd), fd })
        };
        Ok(Store { stored: frozen.into_iter().map(thaw).collect::<io::Result<_>>()? })
    }

    /// Closes all of that name; none is as good as some.
    pub(super) fn remove(&mut self, name: &str) {
        self.stored.retain(|stored| stored.name != name);
    }

    pub(super) fn clear(&mut self) {
        self.stored.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.stored.len()
    }

    pub(super) fn lend(&self) -> impl Iterator<Item = (String, BorrowedFd<'_>)> {
        self.stored.iter().map(|stored| (stored.name.clone(), stored.fd.as_fd()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;
    use std::os::unix::net::UnixDatagram;

    fn memfd() -> OwnedFd {
        sys::map::segment("test", &[], 1, false).unwrap()
    }

    fn names(store: &Store) -> Vec<String> {
        store.lend().map(|(name, _)| name).collect()
    }

    #[test]
    fn what_is_stored_is_lent_in_its_order_until_its_name_is_removed() {
        let mut store = Store::default();
        for name in ["a", "b", "a", "c"] {
            store.put(name.into(), memfd(), true).unwrap();
        }
        assert_eq!(names(&store), ["a", "b", "a", "c"]);
        store.remove("a");
        store.remove("nobody");
        assert_eq!(names(&store), ["b", "c"]);
    }

    #[test]
    fn the_same_open_file_is_kept_once_and_another_of_the_same_kind_is_not_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            OwnedFd::from(File::options().append(true).create(true).open(folder.path().join("f")).unwrap())
        };
        let event = || OwnedFd::from(nix::sys::eventfd::EventFd::new().unwrap());
        let socket = || OwnedFd::from(UnixDatagram::unbound().unwrap());
        for make in [&memfd as &dyn Fn() -> OwnedFd, &open, &event, &socket] {
            let (mut store, fd) = (Store::default(), make());
            for _ in 0..3 {
                store.put("same".into(), sys::fds::duplicate(&fd).unwrap(), true).unwrap();
            }
            assert_eq!(store.len(), 1);
            store.put("other".into(), make(), true).unwrap();
            assert_eq!(store.len(), 2);
        }
        File::from(open()).write_all(b"x").unwrap();
    }

    #[test]
    fn a_slot_keeps_its_own_sockets_apart_and_closes_its_store_when_it_retires() {
        use super::super::kept::Kept;
        use crate::{config::Config, core::Slot, roles::ROLES};

        let mut kept = Kept::alone(&Config::default(), &ROLES).unwrap();
        let slot = Slot::Worker(0);
        let lent = |kept: &mut Kept| {
            let loan = kept.lend(slot, ROLES.program).unwrap();
            (loan.descriptors.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), loan.stored)
        };
        assert_eq!(lent(&mut kept), (vec!["place0".to_owned()], 1..1));
        let socket = || OwnedFd::from(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
        let own = socket();
        kept.keep(slot, "udp1".into(), socket()).unwrap();
        kept.keep(slot, "udp0".into(), sys::fds::duplicate(&own).unwrap()).unwrap();
        kept.keep(slot, "udp00".into(), socket()).unwrap();
        assert_eq!(kept.keep(slot, "udp0".into(), own), Ok(()), "it is here already");
        assert_eq!(kept.keep(slot, "udp0".into(), socket()), Err(Refused::Taken));
        assert_eq!(lent(&mut kept), (["udp0", "udp1", "udp00"].map(str::to_owned).to_vec(), 1..3));
        kept.forget(slot, "udp0");
        assert_eq!(lent(&mut kept).0.len(), 3, "a slot's own sockets are not in the store");
        kept.abandon(slot);
        assert_eq!(lent(&mut kept), (vec!["udp0".to_owned()], 1..1), "its sockets stay");
    }

    #[test]
    fn a_store_is_bounded_in_descriptors_and_in_names() {
        let mut store = Store::default();
        assert_eq!(store.put("a".into(), memfd(), false), Err(Refused::NoRoom));
        for _ in 0..MAX_STORED {
            store.put("a".into(), memfd(), true).unwrap();
        }
        assert_eq!(store.put("a".into(), memfd(), true), Err(Refused::Full));
        let again = sys::fds::duplicate(store.lend().next().unwrap().1).unwrap();
        assert_eq!(
            store.put("a".into(), again, true),
            Err(Refused::Full),
            "a full store does not look for it"
        );
        store.clear();
        let long = "x".repeat(255);
        let kept = (0..MAX_STORED).take_while(|_| store.put(long.clone(), memfd(), true).is_ok()).count();
        assert_eq!(kept, MAX_NAMES / 256);
    }
}
