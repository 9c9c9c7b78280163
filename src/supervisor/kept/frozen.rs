//! What is kept, on its way over an upgrade.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, RawFd};

use contract::Lent;
use serde::{Deserialize, Serialize};

use super::super::above::{Above, beginning};
use super::super::handover::{Packing, Unpacking};
use super::super::limits::Room;
use super::super::store::Store;
use super::{Kept, KeptSlot, Segment, shared_by};
use crate::config::Config;
use crate::core::{Run, Slot};
use crate::roles::Roles;

/// Everything that is kept, as it is handed over at an upgrade.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Frozen {
    listen: Vec<SocketAddr>,
    #[serde(rename = "steered")]
    ordered_steering: Option<(u8, u64)>,
    shared: Vec<FrozenSegment>,
    slots: Vec<FrozenSlot>,
}

#[derive(Serialize, Deserialize)]
struct FrozenSlot {
    slot: Slot,
    seat: Option<FrozenSegment>,
    sockets: Vec<Option<RawFd>>,
    dropped_before: u64,
    unfinished: Option<Run>,
    stayed_open: bool,
    /// The slot's store, in the order in which it was filled.
    #[serde(default)]
    stored: Vec<(String, RawFd)>,
}

impl Frozen {
    /// Whether this version knows how everything is laid out.
    pub(in super::super) fn fits(&self, roles: &Roles) -> Result<(), String> {
        let mut segments = self.shared.iter().chain(self.slots.iter().filter_map(|slot| slot.seat.as_ref()));
        segments.try_for_each(|segment| segment.known(roles).map(drop))
    }
}

/// A segment as it is handed over at an upgrade.
#[derive(Serialize, Deserialize)]
struct FrozenSegment {
    name: String,
    bytes: usize,
    /// Magic and layout version among it.
    beginning: Vec<u8>,
    fd: RawFd,
    read_only: RawFd,
}

impl Segment {
    fn freeze<'a>(&'a self, packing: &mut Packing<'a>) -> FrozenSegment {
        let (fd, read_only) = (packing.pack(self.fd.as_fd()), packing.pack(self.read_only.as_fd()));
        FrozenSegment {
            name: self.name().to_owned(),
            bytes: self.bytes(),
            beginning: beginning(&self.lent),
            fd,
            read_only,
        }
    }

    fn thaw(frozen: &FrozenSegment, roles: &Roles, fds: &mut Unpacking) -> io::Result<Segment> {
        let lent = frozen.known(roles).map_err(io::Error::other)?;
        Ok(Segment { lent, fd: fds.take(frozen.fd)?, read_only: fds.take(frozen.read_only)? })
    }
}

impl FrozenSegment {
    /// What this version lends under that name, if it has the same layout.
    fn known(&self, roles: &Roles) -> Result<Lent, String> {
        let all = std::iter::once(roles.worker)
            .chain([roles.program])
            .chain(roles.beside.iter().map(|beside| beside.role));
        let mut lent = all.flat_map(|role| role.seat.iter().chain(role.shared));
        let same = |lent: &&Lent| {
            lent.name == self.name && lent.bytes == self.bytes && beginning(lent) == self.beginning
        };
        let known = lent.find(same).copied();
        let unknown = || format!("its `{}` of {} bytes is laid out in another way", self.name, self.bytes);
        known.ok_or_else(unknown)
    }
}

impl Kept {
    pub(in super::super) fn freeze<'a>(&'a self, packing: &mut Packing<'a>) -> Frozen {
        let shared = self.shared.iter().map(|segment| segment.freeze(packing)).collect();
        let mut slots = Vec::new();
        for (&slot, kept) in &self.slots {
            let seat = kept.seat.as_ref().map(|seat| seat.freeze(packing));
            let stored = kept.store.freeze(packing);
            let sockets = kept.sockets.iter().map(|fd| Some(packing.pack(fd.as_ref()?.as_fd()))).collect();
            slots.push(FrozenSlot {
                slot,
                seat,
                sockets,
                dropped_before: kept.dropped_before,
                unfinished: kept.unfinished,
                stayed_open: kept.stayed_open,
                stored,
            });
        }
        Frozen { listen: self.listen.clone(), ordered_steering: self.ordered_steering, shared, slots }
    }

    /// As it was before an exec.
    pub(in super::super) fn thaw(
        frozen: Frozen,
        config: &Config,
        roles: &Roles,
        fds: &mut Unpacking,
        mut above: Above,
    ) -> io::Result<Kept> {
        let shared = frozen.shared.iter().map(|segment| Segment::thaw(segment, roles, fds));
        let mut shared = shared.collect::<io::Result<Vec<Segment>>>()?;
        // What the version before us did not know.
        for lent in shared_by(roles) {
            if shared.iter().all(|segment| segment.name() != lent.name) {
                shared.push(Segment::new(*lent, lent.name.into(), &mut above)?);
            }
        }
        let mut slots = BTreeMap::new();
        for FrozenSlot { slot, seat, sockets, dropped_before, unfinished, stayed_open, stored } in
            frozen.slots
        {
            let seat = seat.map(|seat| Segment::thaw(&seat, roles, fds)).transpose()?;
            let store = Store::thaw(stored, fds)?;
            let sockets = sockets.into_iter().map(|fd| fd.map(|fd| fds.take(fd)).transpose());
            let sockets = sockets.collect::<io::Result<_>>()?;
            slots.insert(slot, KeptSlot { seat, sockets, store, dropped_before, unfinished, stayed_open });
        }
        Ok(Kept {
            slots,
            shared,
            place: File::open("/dev/null")?,
            room: Room::make(frozen.listen.len(), config.logs_to_files()).for_stores(),
            listen: frozen.listen,
            balance: config.balance,
            shared_port: config.share,
            ordered_steering: frozen.ordered_steering,
            above,
        })
    }
}
