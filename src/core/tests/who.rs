//! Processes by their place, as moves name them.

use super::super::slot::Seat;
use super::super::*;
use super::world::World;

/// A process, or a holder's wait, by its place: names that runs would not have in two worlds that are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    Holder(Slot),
    Heir(Slot),
    Leaver(Slot, usize),
}

pub(super) fn slot_of(who: Who) -> Slot {
    match who {
        Who::Holder(slot) | Who::Heir(slot) | Who::Leaver(slot, _) => slot,
    }
}

pub(super) fn seat_of(world: &mut World, who: Who) -> &mut Seat {
    world.fleet.seats.get_mut(&slot_of(who)).expect("a slot that is there")
}

pub(super) fn run_of(world: &World, who: Who) -> Run {
    let seat = &world.fleet.seats[&slot_of(who)];
    match who {
        Who::Holder(_) => seat.holder_proc().expect("a holder").run,
        Who::Heir(_) => seat.heir.expect("an heir").run,
        Who::Leaver(_, index) => seat.leavers[index].run,
    }
}
