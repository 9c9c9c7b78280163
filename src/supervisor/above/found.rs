//! What whoever started us passed on (sd_listen_fds(3)): by our names what a supervisor before us had kept, and by their
//! address sockets that he has bound for us.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;

use contract::Lent;
use nix::sys::stat::fstat;
use socket2::{SockRef, Type};

use super::{Above, Memo};
use crate::config::Config;
use crate::exit;
use crate::wire::Trouble;

/// How a segment begins, whatever it holds: magic, layout version, size.
const HEAD: usize = 24;

/// All of it, by name.
pub(in super::super) struct Found {
    pub(super) named: BTreeMap<String, Vec<OwnedFd>>,
    /// Bound for us, each with the listen address that it has; in the order in which they were passed, which is the one
    /// in which they were bound.
    bound: Vec<(SocketAddr, OwnedFd)>,
    /// Names of the segments that roles share: ours, as those with a slot in them are.
    shared: Vec<&'static str>,
}

impl Found {
    /// Nothing was there.
    pub(in super::super) fn nothing() -> Found {
        Found { named: BTreeMap::new(), bound: Vec::new(), shared: Vec::new() }
    }

    /// Takes over what is meant for this process; `shared` are the names of the segments that roles share.
    ///
    /// # Errors
    /// When one that is promised is not open.
    pub(in super::super) fn from_environment(shared: Vec<&'static str>) -> io::Result<Found> {
        let mut named: BTreeMap<String, Vec<OwnedFd>> = BTreeMap::new();
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let ours = variable("LISTEN_PID") == std::process::id().to_string();
        let count = variable("LISTEN_FDS").parse().unwrap_or(0);
        if ours && count > 0 {
            let (names, first) = (variable("LISTEN_FDNAMES"), sys::process::FIRST_FD as RawFd);
            let names = names.split(':').chain(std::iter::repeat("unknown"));
            for (name, fd) in names.zip(sys::fds::inherited(first, count)?) {
                named.entry(name.to_owned()).or_default().push(fd);
            }
        }
        Ok(Found { named, bound: Vec::new(), shared })
    }

    /// Sets aside the UDP sockets that are bound to a listen address: the first of each is slot 0's, and so on. What a
    /// supervisor before us kept is none of them, though it may be the same socket.
    ///
    /// # Errors
    /// One with which no group can be made.
    pub(in super::super) fn set_bound_aside(&mut self, config: &Config) -> Result<(), Trouble> {
        let (kept, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.named).into_iter().partition(|(name, _)| self.is_ours(name));
        let known = |fd: &OwnedFd| {
            kept.iter().flat_map(|(_, fds)| fds).any(|kept| sys::fds::same_file(kept.as_fd(), fd.as_fd()))
        };
        // By their numbers: the names are sorted, the sockets were bound in the order of the unit.
        let mut others: Vec<OwnedFd> = others.into_iter().flat_map(|(_, fds)| fds).collect();
        others.sort_by_key(AsRawFd::as_raw_fd);
        for fd in others.into_iter().filter(|fd| !known(fd)) {
            let address =
                config.listen.iter().find(|address| address.port() != 0 && is_bound_to(&fd, **address));
            if let Some(&address) = address {
                self.bound.push((address, fd));
            }
        }
        self.named = kept.into_iter().collect();
        self.bound.iter().try_for_each(|(address, fd)| self.judge(*address, fd, config))
    }

    /// Whether the slots above can join it: the kernel asks for SO_REUSEPORT, and for one user.
    fn judge(&self, address: SocketAddr, fd: &OwnedFd, config: &Config) -> Result<(), Trouble> {
        let passed = self.bound.iter().filter(|(other, _)| *other == address).count();
        let (user, us) = (fstat(fd).map_or(0, |stat| stat.st_uid), nix::unistd::geteuid().as_raw());
        let wrong = |what: String, hint: &str| Trouble {
            message: format!("the socket for UDP {address} that was passed {what}"),
            hint: Some(hint.to_owned()),
            exit: exit::PORT,
        };
        if !SockRef::from(fd).reuse_port().unwrap_or(false) {
            let what = "is bound without SO_REUSEPORT: no other worker can join it, and nothing be steered";
            return Err(wrong(what.to_owned(), "ReusePort=yes in the .socket unit"));
        }
        if user != us && usize::from(config.workers) > passed {
            let what = format!(
                "was made by uid {user}, and we are uid {us}: only {passed} of {} workers can have one",
                config.workers
            );
            let hint = "one ListenDatagram= line for each worker in the .socket unit; or leave the unit out: the cluster \
                        binds the port itself, and its sockets outlive it in the store";
            return Err(wrong(what, hint));
        }
        Ok(())
    }

    /// The next socket that was bound for us to that address.
    pub(in super::super) fn take_bound(&mut self, address: SocketAddr) -> Option<OwnedFd> {
        let at = self.bound.iter().position(|(bound, _)| *bound == address)?;
        Some(self.bound.remove(at).1)
    }

    /// How many sockets were bound for us.
    pub(in super::super) fn bound_for_us(&self) -> usize {
        self.bound.len()
    }

    /// The descriptor of that name; of several, the first.
    pub(in super::super) fn take(&mut self, name: &str) -> Option<OwnedFd> {
        let mut fds = self.named.remove(name)?;
        (!fds.is_empty()).then(|| fds.swap_remove(0))
    }

    /// The segment of that name, if it is one that this version knows; any other is not needed any more.
    pub(in super::super) fn take_segment(
        &mut self,
        name: &str,
        lent: &Lent,
        above: &mut Above,
    ) -> Option<OwnedFd> {
        let fd = self.take(name)?;
        let known = is_laid_out_as(fd.as_fd(), lent);
        if !known {
            log::warn!("`{name}` in the store is laid out in another way: starting afresh");
            above.forget(name.to_owned());
        }
        known.then_some(fd)
    }

    /// The memo in force: the newest of all, since a supervisor may have died before it forgot the one before. What
    /// lies under the other name is left over.
    pub(in super::super) fn take_memo(&mut self) -> Option<Memo> {
        let read = |fd: &OwnedFd| {
            let mut text = vec![0; sys::map::size(fd.as_fd()).ok()?];
            File::from(sys::fds::duplicate(fd).ok()?).read_exact_at(&mut text, 0).ok()?;
            serde_json::from_slice::<Memo>(&text).ok()
        };
        let memos = ["memo0", "memo1"].iter().filter_map(|&name| self.named.get(name)).flatten();
        let newest = memos.filter_map(read).max_by_key(|memo| memo.serial)?;
        self.named.remove(&newest.name());
        Some(newest)
    }

    /// Those of our names that nobody took.
    pub(in super::super) fn leftovers(&self) -> Vec<String> {
        self.named.keys().filter(|name| self.is_ours(name)).cloned().collect()
    }

    /// Whether a supervisor gives something a name like that.
    fn is_ours(&self, name: &str) -> bool {
        let of_a_slot = name.ends_with(".seat") || name.contains(".udp");
        of_a_slot || name.starts_with("memo") || self.shared.contains(&name)
    }
}

/// A UDP socket at that address; with port 0, at any port of it.
pub(in super::super) fn is_bound_to(socket: &OwnedFd, address: SocketAddr) -> bool {
    let socket = SockRef::from(socket);
    let kind = socket.r#type().is_ok_and(|kind| kind == Type::DGRAM);
    let found = socket.local_addr().ok().and_then(|found| found.as_socket());
    kind && found.is_some_and(|found| {
        found.ip() == address.ip() && found.port() != 0 && [0, found.port()].contains(&address.port())
    })
}

/// How this version begins a fresh segment of that kind.
pub(in super::super) fn beginning(lent: &Lent) -> Vec<u8> {
    let mut head = (lent.head)();
    head.truncate(HEAD);
    head
}

/// Size and beginning are those that this version gives a fresh one.
pub(super) fn is_laid_out_as(fd: BorrowedFd<'_>, lent: &Lent) -> bool {
    let expected = beginning(lent);
    let mut found = vec![0; expected.len()];
    let mut read = || {
        File::from(sys::fds::duplicate(fd)?).read_exact_at(&mut found, 0)?;
        sys::map::size(fd)
    };
    read().is_ok_and(|bytes| bytes == lent.bytes) && found == expected
}
