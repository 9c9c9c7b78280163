//! What the supervisor keeps for its workers: sockets and memory, so that nothing is lost with a process.
//!
//! It makes the segments and lends them; it never maps one.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use contract::{Lent, Role, SEAT, SOCKET};
use serde::{Deserialize, Serialize};
use socket2::{SockRef, Type};
use sys::group::{Queue, port_of};

use super::above::{self, Above, Found};
use super::handover::{Packing, Unpacking};
use crate::core::{MAX_WORKERS, Slot};
use crate::roles::Roles;

/// A segment, with a description for those who may only read.
pub(super) struct Segment {
    lent: Lent,
    fd: OwnedFd,
    read_only: OwnedFd,
}

impl Segment {
    /// A fresh one; it lies in the store above as well, under `name`.
    fn new(lent: Lent, name: String, above: &mut Above) -> io::Result<Segment> {
        let fd = sys::map::segment(lent.name, &(lent.head)(), lent.bytes, false)?;
        above.keep(name, fd.as_fd())?;
        Segment::of(lent, fd)
    }

    fn of(lent: Lent, fd: OwnedFd) -> io::Result<Segment> {
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

/// A segment as it is handed over at an upgrade.
#[derive(Serialize, Deserialize)]
struct FrozenSegment {
    name: String,
    bytes: usize,
    fd: RawFd,
    read_only: RawFd,
}

impl Segment {
    fn freeze<'a>(&'a self, packing: &mut Packing<'a>) -> FrozenSegment {
        let (fd, read_only) = (packing.pack(self.fd.as_fd()), packing.pack(self.read_only.as_fd()));
        FrozenSegment { name: self.name().to_owned(), bytes: self.bytes(), fd, read_only }
    }

    fn thaw(frozen: &FrozenSegment, roles: &Roles, fds: &mut Unpacking) -> io::Result<Segment> {
        let lent = frozen.known(roles).map_err(io::Error::other)?;
        Ok(Segment { lent, fd: fds.take(frozen.fd)?, read_only: fds.take(frozen.read_only)? })
    }
}

impl FrozenSegment {
    /// What this version lends under that name, if it has the same layout.
    fn known(&self, roles: &Roles) -> Result<Lent, String> {
        let all = std::iter::once(roles.worker).chain(roles.beside.iter().map(|beside| beside.role));
        let mut lent = all.flat_map(|role| std::iter::once(&role.seat).chain(role.shared));
        let known = lent.find(|lent| lent.name == self.name && lent.bytes == self.bytes).copied();
        let unknown = || format!("its `{}` of {} bytes is laid out in another way", self.name, self.bytes);
        known.ok_or_else(unknown)
    }
}

/// What belongs to one slot. Its segment outlives its retirement, and its counters with it.
pub(super) struct KeptSlot {
    /// Carries the lock, the ring, the counters.
    pub(super) seat: Segment,
    /// By the number of the listen address.
    sockets: Vec<Option<OwnedFd>>,
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

/// Everything that is kept, as it is handed over at an upgrade.
#[derive(Serialize, Deserialize)]
pub(super) struct Frozen {
    listen: Vec<SocketAddr>,
    shared: Vec<FrozenSegment>,
    slots: Vec<FrozenSlot>,
}

#[derive(Serialize, Deserialize)]
struct FrozenSlot {
    slot: Slot,
    seat: FrozenSegment,
    sockets: Vec<Option<RawFd>>,
    dropped_before: u64,
}

impl Frozen {
    /// Whether this version knows how everything is laid out.
    pub(super) fn fits(&self, roles: &Roles) -> Result<(), String> {
        let mut segments = self.shared.iter().chain(self.slots.iter().map(|slot| &slot.seat));
        segments.try_for_each(|segment| segment.known(roles).map(drop))
    }
}

/// Everything that is kept.
pub(super) struct Kept {
    slots: BTreeMap<Slot, KeptSlot>,
    shared: Vec<Segment>,
    /// As configured; with port 0 the port of slot 0 once that is bound.
    listen: Vec<SocketAddr>,
    /// The same, in the store above us.
    pub(super) above: Above,
}

impl Kept {
    /// Takes up what a supervisor that died left in the store above us, and makes what is missing of the segments that
    /// all roles of the cluster share.
    pub(super) fn new(
        roles: &Roles,
        listen: Vec<SocketAddr>,
        found: &mut Found,
        mut above: Above,
    ) -> io::Result<Kept> {
        let mut shared: Vec<Segment> = Vec::new();
        let beside = roles.beside.iter().map(|beside| beside.role);
        for lent in std::iter::once(roles.worker).chain(beside.clone()).flat_map(|role| role.shared) {
            if !shared.iter().any(|segment| segment.name() == lent.name) {
                shared.push(match found.take_segment(lent.name, lent) {
                    Some(fd) => Segment::of(*lent, fd)?,
                    None => Segment::new(*lent, lent.name.into(), &mut above)?,
                });
            }
        }
        let mut kept = Kept { slots: BTreeMap::new(), shared, listen, above };
        for index in 0..MAX_WORKERS {
            kept.take_up(Slot::Worker(index), roles.worker, found)?;
        }
        for (index, role) in (0..).zip(beside) {
            kept.take_up(Slot::Role(index), role, found)?;
        }
        Ok(kept)
    }

    /// A slot whose segment was found: with its sockets, if those of every slot below were found too. (Its place in the
    /// group is its number.)
    fn take_up(&mut self, slot: Slot, role: &Role, found: &mut Found) -> io::Result<()> {
        let Some(seat) = found.take_segment(&above::name(slot, SEAT), &role.seat) else { return Ok(()) };
        let seat = Segment::of(role.seat, seat)?;
        let follows = match slot {
            Slot::Worker(index) => index == self.bound_slots(),
            Slot::Role(_) => false,
        };
        let mut sockets = Vec::new();
        if role.sockets {
            sockets.resize_with(self.listen.len(), || None);
        }
        for (i, (socket, address)) in sockets.iter_mut().zip(&self.listen).enumerate() {
            let name = above::name(slot, &format!("{SOCKET}{i}"));
            *socket = found.take(&name).filter(|fd| follows && is_bound_to(fd, *address));
            if socket.is_none() {
                self.above.forget(name);
            }
        }
        if sockets.iter().any(Option::is_none) {
            sockets.iter_mut().for_each(|socket| *socket = None);
        }
        self.slots.insert(slot, KeptSlot { seat, sockets, dropped_before: 0 });
        self.learn_ports();
        Ok(())
    }

    /// How many slots, from 0 on, have all their sockets bound.
    pub(super) fn bound_slots(&self) -> u8 {
        (0..MAX_WORKERS).take_while(|&index| self.is_bound(Slot::Worker(index))).count() as u8
    }

    /// What the kernel threw away in sockets that are closed, by slot: for the memo.
    pub(super) fn dropped_before(&self) -> Vec<(Slot, u64)> {
        let dropped = self.slots.iter().map(|(&slot, kept)| (slot, kept.dropped_before));
        dropped.filter(|&(_, dropped)| dropped > 0).collect()
    }

    /// As a memo tells it.
    pub(super) fn recall_dropped(&mut self, dropped: &[(Slot, u64)]) {
        for (slot, dropped) in dropped {
            if let Some(kept) = self.slots.get_mut(slot) {
                kept.dropped_before = *dropped;
            }
        }
    }

    pub(super) fn freeze<'a>(&'a self, packing: &mut Packing<'a>) -> Frozen {
        let shared = self.shared.iter().map(|segment| segment.freeze(packing)).collect();
        let mut slots = Vec::new();
        for (&slot, kept) in &self.slots {
            let seat = kept.seat.freeze(packing);
            let sockets = kept.sockets.iter().map(|fd| Some(packing.pack(fd.as_ref()?.as_fd()))).collect();
            slots.push(FrozenSlot { slot, seat, sockets, dropped_before: kept.dropped_before });
        }
        Frozen { listen: self.listen.clone(), shared, slots }
    }

    /// As it was before an exec.
    pub(super) fn thaw(frozen: Frozen, roles: &Roles, fds: &mut Unpacking, above: Above) -> io::Result<Kept> {
        let shared = frozen.shared.iter().map(|segment| Segment::thaw(segment, roles, fds));
        let shared = shared.collect::<io::Result<_>>()?;
        let mut slots = BTreeMap::new();
        for FrozenSlot { slot, seat, sockets, dropped_before } in frozen.slots {
            let seat = Segment::thaw(&seat, roles, fds)?;
            let sockets = sockets.into_iter().map(|fd| fd.map(|fd| fds.take(fd)).transpose());
            let sockets = sockets.collect::<io::Result<_>>()?;
            slots.insert(slot, KeptSlot { seat, sockets, dropped_before });
        }
        Ok(Kept { slots, shared, listen: frozen.listen, above })
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

    /// What a process of `role` in `slot` gets, by name; the slot's segment is made at its first process.
    pub(super) fn lend(&mut self, slot: Slot, role: &Role) -> io::Result<Vec<(String, BorrowedFd<'_>)>> {
        if !self.slots.contains_key(&slot) {
            let sockets = if role.sockets { self.listen.len() } else { 0 };
            let sockets = std::iter::repeat_with(|| None).take(sockets).collect();
            let seat = Segment::new(role.seat, above::name(slot, SEAT), &mut self.above)?;
            self.slots.insert(slot, KeptSlot { seat, sockets, dropped_before: 0 });
        }
        let kept = &self.slots[&slot];
        let mut lent = vec![(kept.seat.name().to_owned(), kept.seat.fd.as_fd())];
        let wanted = |segment: &&Segment| role.shared.iter().any(|lent| lent.name == segment.name());
        let shared = self.shared.iter().filter(wanted);
        lent.extend(shared.map(|segment| (segment.name().to_owned(), segment.fd.as_fd())));
        let sockets = kept.sockets.iter().enumerate();
        lent.extend(sockets.filter_map(|(i, fd)| Some((format!("{SOCKET}{i}"), fd.as_ref()?.as_fd()))));
        Ok(lent)
    }

    /// Keeps a socket that a launcher handed up; false if the slot has no room under that name.
    pub(super) fn keep(&mut self, slot: Slot, name: &str, fd: OwnedFd) -> bool {
        let index = name.strip_prefix(SOCKET).and_then(|index| index.parse::<usize>().ok());
        let place = index.and_then(|index| self.slots.get_mut(&slot)?.sockets.get_mut(index));
        let Some(place @ None) = place else { return false };
        // Before it is bound, if the line has room: then no moment exists in which a bound socket dies with us.
        let stored = self.above.keep(above::name(slot, name), fd.as_fd());
        *place = Some(fd);
        stored.is_ok()
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
        for (i, place) in kept.sockets.iter_mut().enumerate() {
            if place.as_ref().is_some_and(|fd| port_of(fd.as_fd()).is_ok_and(|port| port == 0)) {
                *place = None;
                self.above.forget(above::name(slot, &format!("{SOCKET}{i}")));
            }
        }
    }

    /// Steers all groups: `bound` members, to those in `mask`.
    pub(super) fn steer(&self, bound: u8, mask: u64) -> io::Result<()> {
        let program = sys::group::steering(usize::from(bound), mask);
        let Some(first) = self.slots.get(&Slot::Worker(0)) else { return Ok(()) };
        first.sockets.iter().flatten().try_for_each(|fd| sys::group::attach(fd.as_fd(), &program))
    }

    /// Closes a slot's sockets unless something waits in one; whether they are closed.
    pub(super) fn close(&mut self, slot: Slot) -> bool {
        let Some(kept) = self.slots.get_mut(&slot) else { return true };
        let (waiting, dropped) = kept.queue();
        if waiting > 0 {
            return false;
        }
        kept.dropped_before = dropped;
        for (i, place) in kept.sockets.iter_mut().enumerate() {
            *place = None;
            self.above.forget(above::name(slot, &format!("{SOCKET}{i}")));
        }
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

/// A UDP socket at that address; with port 0, at any port of it.
fn is_bound_to(socket: &OwnedFd, address: SocketAddr) -> bool {
    let socket = SockRef::from(socket);
    let kind = socket.r#type().is_ok_and(|kind| kind == Type::DGRAM);
    let found = socket.local_addr().ok().and_then(|found| found.as_socket());
    kind && found.is_some_and(|found| {
        found.ip() == address.ip() && found.port() != 0 && [0, found.port()].contains(&address.port())
    })
}
