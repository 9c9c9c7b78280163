//! What a supervisor that died left in the store above us, taken up.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use contract::{Role, SEAT, SOCKET};
use socket2::{SockRef, Type};

use super::super::above::{self, Found};
use super::{Kept, KeptSlot, Segment};
use crate::core::Slot;

impl Kept {
    /// A slot whose segment was found: with its sockets, if those of every slot below were found too. (Its place in the
    /// group is its number.)
    pub(super) fn take_up(&mut self, slot: Slot, role: &Role, found: &mut Found) -> io::Result<()> {
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
        self.slots.insert(slot, KeptSlot { seat, sockets, dropped_before: 0, stayed_open: false });
        self.learn_ports();
        Ok(())
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
