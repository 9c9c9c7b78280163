//! What a supervisor that died left in the store above us, taken up.

use std::io;
use std::os::fd::AsFd;

use super::super::above::{self, Found, is_bound_to};
use super::{Kept, KeptSlot, Segment};
use crate::core::{Run, Slot};
use contract::{Role, SEAT, SOCKET};

impl Kept {
    /// A slot of which something was found: its segment, and its sockets if those of every slot below were found too.
    /// (Its place in the group is its number.)
    pub(super) fn take_up(&mut self, slot: Slot, role: &Role, found: &mut Found) -> io::Result<()> {
        let name = above::name(slot, SEAT);
        let seat =
            role.seat.and_then(|lent| Some((lent, found.take_segment(&name, &lent, &mut self.above)?)));
        let seat = seat.map(|(lent, fd)| Segment::of(lent, fd)).transpose()?;
        let follows = match slot {
            Slot::Worker(index) => index == self.bound_slots(),
            Slot::Role(_) => false,
        };
        let mut kept = KeptSlot::new(seat, if role.sockets { self.listen.len() } else { 0 });
        let mut names = Vec::new();
        for (i, (socket, address)) in kept.sockets.iter_mut().zip(&self.listen).enumerate() {
            let name = above::name(slot, &format!("{SOCKET}{i}"));
            if let Some(fd) = found.take(&name) {
                *socket = Some(fd).filter(|fd| follows && is_bound_to(fd, *address));
                names.push(name);
            }
        }
        // All or none: what is left of a slot that was not bound is of no use to anybody.
        if kept.sockets.iter().any(Option::is_none) {
            kept.sockets.fill_with(|| None);
            names.into_iter().for_each(|name| self.above.forget(name));
            if follows {
                self.take_bound(slot, &mut kept, found)?;
            }
        }
        // Whoever read here may have left a batch unfinished.
        kept.unfinished = kept.seat.as_ref().map(|_| Run(0));
        // Of a slot whose sockets were bound for us nobody made one.
        if let (None, Some(lent), true) = (&kept.seat, role.seat, kept.sockets.iter().any(Option::is_some)) {
            kept.seat = Some(Segment::new(lent, name, &mut self.above)?);
        }
        if kept.seat.is_some() || kept.sockets.iter().any(Option::is_some) {
            self.slots.insert(slot, kept);
        }
        self.learn_ports();
        Ok(())
    }

    /// The next sockets that were bound for us, one for each address: not all addresses need have one.
    fn take_bound(&mut self, slot: Slot, kept: &mut KeptSlot, found: &mut Found) -> io::Result<()> {
        for (i, (socket, address)) in kept.sockets.iter_mut().zip(&self.listen).enumerate() {
            *socket = found.take_bound(*address);
            if let Some(fd) = socket {
                self.above.keep(above::name(slot, &format!("{SOCKET}{i}")), fd.as_fd())?;
            }
        }
        Ok(())
    }
}
