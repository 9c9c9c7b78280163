//! The end of a slot that retires: what is left there, and what becomes of it.

use std::os::fd::{AsFd, OwnedFd};

use contract::{SOCKET, counted};
use nix::libc::{MSG_DONTWAIT, MSG_TRUNC};
use socket2::SockRef;

use super::super::above;
use super::{Kept, KeptSlot};
use crate::core::Slot;

/// The most datagrams of one socket that are counted when they are lost with it: some 50 ms.
const MAX_COUNTED: usize = 1 << 16;

/// What keeps a slot from being over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Left {
    Nothing,
    /// So many bytes in its queues.
    Queued(u64),
    /// A batch that somebody died over.
    Batch,
}

impl Kept {
    /// What waits in this slot to be read or finished; if that is nothing, it is over with it. Its sockets stay bound
    /// and in their places in the groups (`closing.rs` says why). Only where the port is shared they are closed: the
    /// kernel goes on delivering there, so what still comes after a worker has emptied the queue is lost, and told.
    pub(in super::super) fn retire(&mut self, slot: Slot) -> Left {
        let shared = self.shared_port;
        let Some(kept) = self.slots.get_mut(&slot) else { return Left::Nothing };
        let bound = kept.sockets.iter().any(Option::is_some);
        if bound && kept.unfinished.is_some() {
            return Left::Batch;
        }
        // What cannot be told is taken for a queue in which something waits.
        let empty = |fd: &OwnedFd| sys::group::queue(fd.as_fd()).is_ok_and(|queue| queue.bytes == 0);
        let queued = !kept.sockets.iter().flatten().all(empty);
        if queued && !(shared && kept.stayed_open) {
            kept.stayed_open = true;
            return Left::Queued(kept.queue().0);
        }
        self.end(slot);
        Left::Nothing
    }

    /// It is over with this slot, whatever waits there.
    pub(in super::super) fn abandon(&mut self, slot: Slot) {
        if let (Slot::Worker(number), Some(kept)) = (slot, self.slots.get(&slot))
            && !self.shared_port
            && kept.queue().0 > 0
        {
            let (bytes, why) = (grouped(kept.queue().0), kept.why_unread());
            log::warn!(
                "slot {number} retires with {bytes} bytes unread: {why}; they wait until the slot comes back"
            );
        }
        self.end(slot);
    }

    fn end(&mut self, slot: Slot) {
        let Some(kept) = self.slots.get_mut(&slot) else { return };
        kept.store.clear();
        if !self.shared_port {
            return;
        }
        let lost: usize = kept.sockets.iter().flatten().map(count).sum();
        if lost > 0 {
            let why = "a shared port cannot be steered";
            log::warn!(
                "{slot} is closed with {} in its queue: {why}; counted as dropped",
                counted(lost as u64, "datagram")
            );
        }
        kept.stayed_open = false;
        kept.dropped_before = kept.queue().1 + lost as u64;
        for (i, place) in kept.sockets.iter_mut().enumerate() {
            *place = None;
            self.above.forget(above::name(slot, &format!("{SOCKET}{i}")));
        }
    }
}

impl KeptSlot {
    /// Only a worker of our own is known to read.
    fn why_unread(&self) -> &'static str {
        match self.seat {
            Some(_) => "they come as fast as its worker reads them",
            None => "its program does not read them",
        }
    }
}

/// How many datagrams wait in a socket that is about to be closed. They are taken out, and not looked at.
fn count(socket: &OwnedFd) -> usize {
    let socket = SockRef::from(socket);
    let one = || socket.recv_with_flags(&mut [], MSG_DONTWAIT | MSG_TRUNC).is_ok();
    (0..MAX_COUNTED).take_while(|_| one()).count()
}

/// `1 017 536`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::net::{SocketAddr, UdpSocket};

    const SLOT: Slot = Slot::Worker(0);

    fn kept(share: bool) -> (Kept, UdpSocket, SocketAddr) {
        let mut kept = Kept::alone(&Config { share, ..Config::default() }, &crate::roles::ROLES).unwrap();
        kept.lend(SLOT, crate::roles::ROLES.worker).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        kept.keep(SLOT, format!("{SOCKET}0"), socket.try_clone().unwrap().into()).unwrap();
        (kept, socket, address)
    }

    fn send(datagrams: usize, to: SocketAddr) {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        (0..datagrams).for_each(|bytes| assert_eq!(sender.send_to(&[0; 9][..bytes], to).unwrap(), bytes));
    }

    #[test]
    fn what_waits_keeps_a_slot_open_and_stays_in_its_socket_when_it_is_abandoned() {
        let (mut kept, socket, address) = kept(false);
        send(3, address);
        for _ in 0..3 {
            let left = kept.retire(SLOT);
            assert!(matches!(left, Left::Queued(1..)), "{left:?}");
        }
        kept.abandon(SLOT);
        let waiting = kept.slots().map(|(_, kept)| kept.queue()).next().unwrap();
        assert!(waiting.0 > 0 && waiting.1 == 0, "{waiting:?}");
        (0..3).for_each(|bytes| assert_eq!(socket.recv(&mut [0; 16]).unwrap(), bytes));
        assert_eq!(kept.retire(SLOT), Left::Nothing);
    }

    #[test]
    fn on_a_shared_port_what_waits_keeps_a_slot_open_once_and_counts_as_dropped_then() {
        let (mut kept, _socket, address) = kept(true);
        send(5, address);
        assert!(matches!(kept.retire(SLOT), Left::Queued(1..)));
        assert_eq!((kept.retire(SLOT), kept.dropped_before()), (Left::Nothing, vec![(SLOT, 5)]));
    }

    #[test]
    fn numbers_are_grouped_by_threes() {
        let said = [0, 999, 1_000, 1_017_536].map(grouped);
        assert_eq!(said, ["0", "999", "1 000", "1 017 536"]);
    }
}
