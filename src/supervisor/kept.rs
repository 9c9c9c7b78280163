//! What the supervisor keeps for its workers: sockets and memory, so that nothing is lost with a process.
//!
//! It makes the segments and lends them; it never maps one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use contract::{Lent, PLACE, Role, SOCKET};
use sys::group::{Queue, port_of};

use super::store::{self, Refused, Store};
use crate::core::Slot;
use crate::roles::Roles;

/// A segment, with a description for those who may only read.
pub(super) struct Segment {
    lent: Lent,
    fd: OwnedFd,
    read_only: OwnedFd,
}

impl Segment {
    fn new(lent: Lent) -> io::Result<Segment> {
        let fd = sys::map::segment(lent.name, &(lent.head)(), lent.bytes, false)?;
        let read_only = sys::map::reopen(fd.as_fd(), false)?;
        Ok(Segment { lent, fd, read_only })
    }

    pub(super) fn bytes(&self) -> usize {
        self.lent.bytes
    }

    pub(super) fn name(&self) -> &'static str {
        self.lent.name
    }

    pub(super) fn read_only(&self) -> BorrowedFd<'_> {
        self.read_only.as_fd()
    }
}

/// What belongs to one slot. Its segment outlives its retirement, and its counters with it.
pub(super) struct KeptSlot {
    /// Carries the lock, the ring, the counters; a program has none.
    pub(super) seat: Option<Segment>,
    /// By the number of the listen address.
    sockets: Vec<Option<OwnedFd>>,
    /// What its processes gave up to be kept.
    store: Store,
    /// Drops of sockets that are closed.
    dropped_before: u64,
}

impl KeptSlot {
    /// What waits in all the slot's sockets, and what the kernel threw away.
    pub(super) fn queue(&self) -> (u64, u64) {
        let queues = self.sockets.iter().flatten().filter_map(|fd| sys::group::queue(fd.as_fd()).ok());
        queues.fold((0, self.dropped_before), |(bytes, dropped), Queue { bytes: b, dropped: d }| {
            (bytes + b, dropped + u64::from(d))
        })
    }
}

/// What a new process gets.
pub(super) struct Loan<'a> {
    /// By name, the sockets first.
    pub(super) descriptors: Vec<(String, BorrowedFd<'a>)>,
    /// Which of them come from the slot's store.
    pub(super) stored: Range<usize>,
}

/// Everything that is kept.
pub(super) struct Kept {
    slots: BTreeMap<Slot, KeptSlot>,
    shared: Vec<Segment>,
    /// Holds a socket's place in a child until there is one.
    place: File,
    /// How many descriptors all stores together may hold.
    room: usize,
    /// As configured; with port 0 the port of slot 0 once that is bound.
    listen: Vec<SocketAddr>,
}

impl Kept {
    /// Makes the segments that all roles of the cluster share.
    pub(super) fn new(roles: &Roles, listen: Vec<SocketAddr>) -> io::Result<Kept> {
        let mut shared: Vec<Segment> = Vec::new();
        let beside = roles.beside.iter().map(|beside| beside.role);
        for lent in std::iter::once(roles.worker).chain(beside).flat_map(|role| role.shared) {
            if !shared.iter().any(|segment| segment.name() == lent.name) {
                shared.push(Segment::new(*lent)?);
            }
        }
        let (place, room) = (File::open("/dev/null")?, store::room(listen.len()));
        Ok(Kept { slots: BTreeMap::new(), shared, place, room, listen })
    }

    /// The listen addresses, as far as they are known.
    pub(super) fn listen(&self) -> &[SocketAddr] {
        &self.listen
    }

    /// Slots that ever were, with what is kept of them.
    pub(super) fn slots(&self) -> impl Iterator<Item = (Slot, &KeptSlot)> {
        self.slots.iter().map(|(&slot, kept)| (slot, kept))
    }

    /// The segments of the cluster.
    pub(super) fn shared(&self) -> &[Segment] {
        &self.shared
    }

    /// What a process of `role` in `slot` gets; the slot's segment is made at its first process.
    pub(super) fn lend(&mut self, slot: Slot, role: &Role) -> io::Result<Loan<'_>> {
        if !self.slots.contains_key(&slot) {
            let sockets = if role.sockets { self.listen.len() } else { 0 };
            let sockets = std::iter::repeat_with(|| None).take(sockets).collect();
            let seat = role.seat.map(Segment::new).transpose()?;
            self.slots.insert(slot, KeptSlot { seat, sockets, store: Store::default(), dropped_before: 0 });
        }
        let kept = &self.slots[&slot];
        let sockets = kept.sockets.iter().enumerate().map(|(i, socket)| match socket {
            Some(fd) => (format!("{SOCKET}{i}"), fd.as_fd()),
            None => (format!("{PLACE}{i}"), self.place.as_fd()),
        });
        let wanted = |segment: &&Segment| role.shared.iter().any(|lent| lent.name == segment.name());
        let segments = kept.seat.iter().chain(self.shared.iter().filter(wanted));
        let segments = segments.map(|segment| (segment.name().to_owned(), segment.fd.as_fd()));
        let stored = kept.sockets.len()..kept.sockets.len() + kept.store.len();
        Ok(Loan { descriptors: sockets.chain(kept.store.lend()).chain(segments).collect(), stored })
    }

    /// Keeps what a child handed up: one of the slot's sockets by its name, anything else in the slot's store.
    pub(super) fn keep(&mut self, slot: Slot, name: String, fd: OwnedFd) -> Result<(), Refused> {
        let has_room = self.slots.values().map(|kept| kept.store.len()).sum::<usize>() < self.room;
        let Some(kept) = self.slots.get_mut(&slot) else { return Err(Refused::NoRoom) };
        let index = (0..kept.sockets.len()).find(|index| name == format!("{SOCKET}{index}"));
        match index.and_then(|index| kept.sockets.get_mut(index)) {
            None => kept.store.put(name, fd, has_room),
            Some(Some(own)) if !sys::fds::same_file(own.as_fd(), fd.as_fd()) => Err(Refused::Taken),
            Some(Some(_)) => Ok(()),
            Some(place @ None) => {
                *place = Some(fd);
                Ok(())
            }
        }
    }

    /// Closes what the slot's store has under that name.
    pub(super) fn forget(&mut self, slot: Slot, name: &str) {
        if let Some(kept) = self.slots.get_mut(&slot) {
            kept.store.remove(name);
        }
    }

    /// Whether every socket of the slot is here and bound.
    pub(super) fn is_bound(&self, slot: Slot) -> bool {
        let Some(kept) = self.slots.get(&slot) else { return false };
        let bound = |fd: &Option<OwnedFd>| {
            fd.as_ref().is_some_and(|fd| port_of(fd.as_fd()).is_ok_and(|port| port != 0))
        };
        !kept.sockets.is_empty() && kept.sockets.iter().all(bound)
    }

    /// With port 0: the ports that slot 0 was given, for those that follow.
    pub(super) fn learn_ports(&mut self) {
        let Some(first) = self.slots.get(&Slot::Worker(0)) else { return };
        for (address, fd) in self.listen.iter_mut().zip(first.sockets.iter().flatten()) {
            address.set_port(port_of(fd.as_fd()).unwrap_or(address.port()));
        }
    }

    /// Forgets the sockets of a slot that a dead launcher handed up and never bound.
    pub(super) fn forget_unbound(&mut self, slot: Slot) {
        let Some(kept) = self.slots.get_mut(&slot) else { return };
        for place in &mut kept.sockets {
            if place.as_ref().is_some_and(|fd| port_of(fd.as_fd()).is_ok_and(|port| port == 0)) {
                *place = None;
            }
        }
    }

    /// Steers all groups: `bound` members, to those in `mask`.
    pub(super) fn steer(&self, bound: u8, mask: u64) -> io::Result<()> {
        let program = sys::group::steering(usize::from(bound), mask);
        let Some(first) = self.slots.get(&Slot::Worker(0)) else { return Ok(()) };
        first.sockets.iter().flatten().try_for_each(|fd| sys::group::attach(fd.as_fd(), &program))
    }

    /// Closes a slot's sockets and its store, unless something waits in a socket; whether they are closed.
    pub(super) fn close(&mut self, slot: Slot) -> bool {
        let Some(kept) = self.slots.get_mut(&slot) else { return true };
        let (waiting, dropped) = kept.queue();
        if waiting > 0 {
            return false;
        }
        kept.dropped_before = dropped;
        kept.sockets.iter_mut().for_each(|place| *place = None);
        kept.store.clear();
        true
    }

    /// Asks for a receive buffer of `bytes` in every socket; answers the smallest that the kernel grants.
    pub(super) fn set_receive_buffer(&self, bytes: u64) -> Option<u64> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let sockets = self.slots.values().flat_map(|kept| kept.sockets.iter().flatten());
        let granted = sockets.filter_map(|fd| sys::group::receive_buffer(fd.as_fd(), bytes).ok());
        granted.min().map(u64::from)
    }
}
