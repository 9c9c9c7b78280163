//! What `describe` is told: everything that is kept, and for whom.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use contract::SOCKET;
use socket2::SockRef;

use super::Shell;
use super::kept::{KeptSlot, Segment};
use super::view::Loan;
use crate::core::Slot;
use crate::wire::{self, Answer, Described, Kept, MAX_STORED_NAMES, Steering};

impl Shell {
    /// The answer, and the descriptors that its view names: the configuration in force, and the rings.
    pub(super) fn description(&self) -> io::Result<(Answer, Vec<OwnedFd>)> {
        let mut loan = Loan::default();
        if let Some(frozen) = self.generations.get(self.fleet.generation()) {
            let segment = frozen.segment();
            loan.add(contract::CONFIG, None, segment, sys::map::size(segment)?)?;
        }
        let (view, descriptors) = self.view_with(loan)?;
        let described = Described {
            config_file: self.source.file.as_ref().map(|file| file.display().to_string()),
            binary: self.binary.display().to_string(),
            above: self.kept.above.description(),
            steering: self.kept.ordered_steering().map(|(bound, mask)| Steering {
                bound,
                slots: (0..bound).filter(|slot| mask >> slot & 1 == 1).collect(),
            }),
            shared: self.kept.shared().iter().map(segment).collect(),
            slots: self.kept.slots().map(|(slot, kept)| self.kept_slot(slot, kept)).collect(),
        };
        let answer =
            Answer { view: Some(Box::new(view)), described: Some(Box::new(described)), ..Answer::default() };
        Ok((answer, descriptors))
    }

    fn kept_slot(&self, slot: Slot, kept: &KeptSlot) -> wire::KeptSlot {
        let sockets = kept.sockets().map(|(index, fd)| {
            let (socket, queue) = (SockRef::from(&fd), sys::group::queue(fd).ok());
            let address = socket.local_addr().ok().and_then(|address| address.as_socket());
            Kept {
                name: format!("{SOCKET}{index}"),
                kind: "socket".into(),
                fd: fd.as_raw_fd(),
                address: address.map(|address| address.to_string()),
                queue_bytes: queue.map(|queue| queue.bytes),
                dropped: queue.map(|queue| u64::from(queue.dropped)),
                // The kernel counts twice what it was asked for.
                receive_buffer: socket.recv_buffer_size().ok().map(|bytes| bytes as u64 / 2),
                ..Kept::default()
            }
        });
        let stored = kept.store().lend().take(MAX_STORED_NAMES);
        let stored = stored.map(|(name, fd)| Kept {
            name,
            kind: "stored".into(),
            fd: fd.as_raw_fd(),
            ..Kept::default()
        });
        let name = match slot {
            Slot::Worker(number) => number.to_string(),
            Slot::Role(_) => self.name(slot),
        };
        wire::KeptSlot {
            slot: name,
            kept: kept.seat.iter().map(segment).chain(sockets).chain(stored).collect(),
            stored: kept.store().len() as u64,
        }
    }
}

fn segment(segment: &Segment) -> Kept {
    Kept {
        name: segment.name().to_owned(),
        kind: "segment".into(),
        fd: segment.number(),
        bytes: Some(segment.bytes() as u64),
        ..Kept::default()
    }
}
