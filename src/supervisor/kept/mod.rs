//! What the supervisor keeps for its workers: sockets and memory, so that nothing is lost with a process.
//!
//! It makes the segments and lends them; it never maps one.

mod found;
mod frozen;
mod retire;
mod segment;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use contract::{Lent, PLACE, Role, SEAT, SOCKET};
use sys::group::{Queue, port_of};

use super::above::{self, Above, Found};
use super::limits::Room;
use super::store::{Refused, Store};
use crate::config::{Balance, Config};
use crate::core::{MAX_WORKERS, Run, Slot};
use crate::roles::Roles;

pub(super) use self::frozen::Frozen;
pub(super) use self::retire::Left;
pub(super) use self::segment::Segment;

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
    /// Somebody died who read here, and may have left a batch unfinished: the newest run then. Whoever comes later and
    /// ends well has finished it. A program leaves none.
    unfinished: Option<Run>,
    /// It was to be closed, and something waited; since it was last steered to.
    stayed_open: bool,
}

impl KeptSlot {
    /// Without sockets, and with room for so many.
    fn new(seat: Option<Segment>, sockets: usize) -> KeptSlot {
        let sockets = std::iter::repeat_with(|| None).take(sockets).collect();
        KeptSlot {
            seat,
            sockets,
            store: Store::default(),
            dropped_before: 0,
            unfinished: None,
            stayed_open: false,
        }
    }

    /// Where a socket of that name belongs, if one of the slot's has it.
    fn place_of(&mut self, name: &str) -> Option<&mut Option<OwnedFd>> {
        let index = (0..self.sockets.len()).find(|index| name == format!("{SOCKET}{index}"))?;
        self.sockets.get_mut(index)
    }

    /// Its sockets that are there, by the number of the listen address.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        let there = self.sockets.iter().enumerate();
        there.filter_map(|(index, socket)| Some((index, socket.as_ref()?.as_fd())))
    }

    /// What its processes gave up to be kept.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

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

/// The segments that roles share, each once.
fn shared_by(roles: &Roles) -> Vec<&'static Lent> {
    let beside = roles.beside.iter().map(|beside| beside.role);
    let mut shared: Vec<&Lent> = Vec::new();
    for lent in std::iter::once(roles.worker).chain(beside).flat_map(|role| role.shared) {
        if shared.iter().all(|known| known.name != lent.name) {
            shared.push(lent);
        }
    }
    shared
}

/// The names of those, in the store above, too.
pub(super) fn shared_names(roles: &Roles) -> Vec<&'static str> {
    shared_by(roles).into_iter().map(|lent| lent.name).collect()
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
    balance: Balance,
    /// Others hold places in the groups: no program can steer them.
    shared_port: bool,
    /// What the groups were last to be steered to, whether the kernel did or not: bound, mask.
    ordered_steering: Option<(u8, u64)>,
    /// The same, in the store above us.
    pub(super) above: Above,
}

impl Kept {
    /// Takes up what a supervisor that died left in the store above us, and makes what is missing of the segments that
    /// all roles of the cluster share.
    pub(super) fn new(
        roles: &Roles,
        config: &Config,
        found: &mut Found,
        mut above: Above,
    ) -> io::Result<Kept> {
        let mut shared: Vec<Segment> = Vec::new();
        for lent in shared_by(roles) {
            shared.push(match found.take_segment(lent.name, lent, &mut above) {
                Some(fd) => Segment::of(*lent, fd)?,
                None => Segment::new(*lent, lent.name.into(), &mut above)?,
            });
        }
        let mut kept = Kept {
            slots: BTreeMap::new(),
            shared,
            place: File::open("/dev/null")?,
            room: Room::make(config.listen.len(), config.logs_to_files()).for_stores(),
            listen: config.listen.clone(),
            balance: config.balance,
            shared_port: config.share,
            ordered_steering: None,
            above,
        };
        for index in 0..MAX_WORKERS {
            kept.take_up(Slot::Worker(index), roles.of_workers(config), found)?;
        }
        for (index, beside) in (0..).zip(roles.beside) {
            kept.take_up(Slot::Role(index), beside.role, found)?;
        }
        Ok(kept)
    }

    /// One above which there is no store.
    pub(super) fn alone(config: &Config, roles: &Roles) -> io::Result<Kept> {
        let nobody = Above::new(contract::Notify::nobody());
        Kept::new(roles, config, &mut Found::nothing(), nobody)
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

    /// The listen addresses, as far as they are known.
    pub(super) fn listen(&self) -> &[SocketAddr] {
        &self.listen
    }

    /// Whether others may be on the port.
    pub(super) fn is_shared(&self) -> bool {
        self.shared_port
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
            let make = |lent| Segment::new(lent, above::name(slot, SEAT), &mut self.above);
            let seat = role.seat.map(make).transpose()?;
            self.slots.insert(slot, KeptSlot::new(seat, if role.sockets { self.listen.len() } else { 0 }));
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
        let kept = self.slots.get_mut(&slot);
        let kept = kept.unwrap_or_else(|| panic!("{slot} hands up `{name}` and was never lent anything"));
        match kept.place_of(&name) {
            None => kept.store.put(name, fd, has_room),
            Some(Some(own)) if !sys::fds::same_file(own.as_fd(), fd.as_fd()) => Err(Refused::Taken),
            Some(Some(_)) => Ok(()),
            Some(place @ None) => {
                // Before it is bound, if the line has room: then no moment exists in which a bound socket dies with us.
                self.above.keep(above::name(slot, &name), fd.as_fd()).map_err(|_| Refused::NoRoom)?;
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

    /// Closes the slot's socket of that name: its launcher does not want the place that it was given.
    pub(super) fn give_up(&mut self, slot: Slot, name: &str) {
        if let Some(place) = self.slots.get_mut(&slot).and_then(|kept| kept.place_of(name)) {
            *place = None;
            self.above.forget(above::name(slot, name));
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
        for (address, socket) in self.listen.iter_mut().zip(&first.sockets) {
            if let Some(fd) = socket {
                address.set_port(port_of(fd.as_fd()).unwrap_or(address.port()));
            }
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

    /// Steers all groups: `bound` members, to those in `mask`. On a port that is shared the kernel's own hash decides.
    pub(super) fn steer(&mut self, bound: u8, mask: u64) -> io::Result<()> {
        self.ordered_steering = Some((bound, mask));
        let steered = |slot: &Slot| matches!(slot, Slot::Worker(index) if mask >> index & 1 == 1);
        for (_, kept) in self.slots.iter_mut().filter(|(slot, _)| steered(slot)) {
            kept.stayed_open = false;
        }
        if self.shared_port {
            return Ok(());
        }
        let program = match self.balance {
            Balance::Flow => sys::group::steering(usize::from(bound), mask),
            Balance::Spread => sys::group::spreading(usize::from(bound), mask),
        };
        let Some(first) = self.slots.get(&Slot::Worker(0)) else { return Ok(()) };
        // All are tried; the first error is told.
        let mut result = Ok(());
        for fd in first.sockets.iter().flatten() {
            let attached = sys::group::attach(fd.as_fd(), &program);
            result = result.and(attached);
        }
        result
    }

    /// From the next steering on datagrams are dealt out like this; whether that is another way than before.
    pub(super) fn set_balance(&mut self, balance: Balance) -> bool {
        std::mem::replace(&mut self.balance, balance) != balance
    }

    /// A process that had said READY has ended, `well` or not; `newest` is the last one that was started.
    pub(super) fn note_end(&mut self, slot: Slot, run: Run, well: bool, newest: Run) {
        let Some(kept) = self.slots.get_mut(&slot).filter(|kept| kept.seat.is_some()) else { return };
        match kept.unfinished {
            _ if !well => kept.unfinished = Some(newest),
            Some(then) if run > then => kept.unfinished = None,
            Some(_) | None => {}
        }
    }

    /// What the groups were last to be steered to: bound, mask.
    pub(super) fn ordered_steering(&self) -> Option<(u8, u64)> {
        self.ordered_steering
    }

    /// Asks for a receive buffer of `bytes` in every socket; answers the smallest that the kernel grants.
    pub(super) fn set_receive_buffer(&self, bytes: u64) -> Option<u64> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let sockets = self.slots.values().flat_map(|kept| kept.sockets.iter().flatten());
        let granted = sockets.filter_map(|fd| sys::group::receive_buffer(fd.as_fd(), bytes).ok());
        granted.min().map(u64::from)
    }
}
