//! Whom new datagrams go to: the mask. (The kernel's program is made from it elsewhere.)

use super::event::Slot;
use super::slot::Seat;
use serde::{Deserialize, Serialize};

/// What the kernel's program is made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Steering {
    /// Members of the group: slots 0 … bound - 1.
    pub(super) bound: u8,
    /// Never beyond `bound`.
    pub(super) mask: u64,
}

impl Steering {
    /// Every bound slot below `wanted` that is read or will be in a moment; if that is none, all of them: the kernel
    /// then queues for whoever comes first. Never one that closes, though it be wanted again meanwhile: the shell has
    /// shown by now, or is about to, that nothing can arrive there.
    pub(super) fn of<'a>(wanted: u8, seats: impl Iterator<Item = (&'a Slot, &'a Seat)>) -> Steering {
        let (mut bound, mut read, mut all) = (0, 0, 0);
        for (slot, seat) in seats {
            match slot {
                Slot::Worker(index) if seat.bound => {
                    bound += 1;
                    if *index < wanted && !seat.is_closing() {
                        all |= 1 << index;
                        read |= u64::from(seat.is_read()) << index;
                    }
                }
                Slot::Worker(_) | Slot::Role(_) => {}
            }
        }
        Steering { bound, mask: if read == 0 { all } else { read } }
    }

    /// Whether datagrams go to `slot`.
    pub(super) fn names(self, slot: Slot) -> bool {
        match slot {
            Slot::Worker(index) => self.mask >> index & 1 == 1,
            Slot::Role(_) => false,
        }
    }
}
