//! Restart by order: whoever holds the slot leaves, another comes at once.

use super::errand::{Errand, MAX_RESTARTS};
use super::event::{Outcome, Refusal, Slot, Ticket};
use super::fleet::{Fleet, Turn};
use super::slot::Start;
use std::collections::BTreeSet;

impl Fleet {
    pub(super) fn restart(&mut self, turn: &mut Turn, ticket: Ticket, named: &[Slot]) {
        let wanted: BTreeSet<Slot> = self.wanted_slots().collect();
        if let Some(&unknown) = named.iter().find(|slot| !wanted.contains(slot)) {
            return turn.answer(ticket, Outcome::Refused(Refusal::NoSuchSlot(unknown)));
        }
        if self.errands.restarts.len() >= MAX_RESTARTS {
            return turn.answer(ticket, Outcome::Refused(Refusal::TooMany));
        }
        let mut starting: BTreeSet<Slot> = if named.is_empty() {
            (0..self.wanted).map(Slot::Worker).collect()
        } else {
            named.iter().copied().collect()
        };
        for &slot in &starting {
            self.restart_slot(turn, slot);
        }
        starting.extend(self.unblock(&starting));
        self.errands.restarts.push(Errand { ticket, starting });
    }

    /// The slots without sockets below those named: they block them, so they get a fresh start as well.
    fn unblock(&mut self, named: &BTreeSet<Slot>) -> Vec<Slot> {
        let is_below = |slot: &Slot| match slot {
            Slot::Worker(_) => named.iter().any(|other| slot < other && !matches!(other, Slot::Role(_))),
            Slot::Role(_) => false,
        };
        let unbound = |slot: &Slot| !self.is_bound(*slot) && !named.contains(slot);
        let blocking: Vec<Slot> =
            self.wanted_slots().filter(|slot| is_below(slot) && unbound(slot)).collect();
        for &slot in &blocking {
            self.start_fresh(slot);
        }
        blocking
    }

    /// The replacement is the fleet's next step. It keeps the predecessor's place in the mask, if that
    /// had one; and it waits for the predecessor's lock by itself.
    fn restart_slot(&mut self, turn: &mut Turn, slot: Slot) {
        let kill_timeout = self.policy(slot).kill_timeout;
        let Some(seat) = self.seats.get_mut(&slot) else { return };
        let next = if seat.is_read() { Start::Warm } else { Start::Cold };
        let heir = seat.heir.take();
        for proc in heir.into_iter().chain(seat.vacate_holder(next)) {
            seat.term(turn, &proc, kill_timeout);
        }
        seat.unstable = 0;
    }
}
