//! Scaling: more or fewer workers, new ones above the others, the highest leaving first.

use super::errand::Errand;
use super::event::{MAX_WORKERS, Outcome, Refusal, Scale, Slot, Ticket};
use super::fleet::{Fleet, Turn};
use super::slot::{Holder, Start};
use std::collections::BTreeSet;

impl Fleet {
    pub(super) fn scale(&mut self, turn: &mut Turn, ticket: Ticket, scale: Scale) {
        let wanted = match scale {
            Scale::To(workers) if (1..=MAX_WORKERS).contains(&workers) => workers,
            Scale::To(_) => return turn.answer(ticket, Outcome::Refused(Refusal::OutOfRange)),
            Scale::Up(workers) => self.wanted.saturating_add(workers).min(MAX_WORKERS),
            Scale::Down(workers) => self.wanted.saturating_sub(workers).max(1),
        };
        if wanted > self.room.max(self.wanted) {
            return turn.answer(ticket, Outcome::Refused(Refusal::NoRoom(wanted)));
        }
        let before = self.wanted;
        let earlier = self.errands.scale.take();
        if let Some(errand) = &earlier {
            turn.answer(errand.ticket, Outcome::Superseded);
        }
        self.want_workers(wanted);
        self.supersede_errands(turn);
        let unreached = earlier.map(|errand| errand.starting).unwrap_or_default();
        let starting = self.slots_to_start(before, &unreached);
        self.errands.scale = Some(Errand { ticket, starting });
    }

    /// The slots a scaling waits for: those it adds, those an earlier one did not reach, and those without
    /// sockets, since they block the ones above. They get a fresh start.
    fn slots_to_start(&mut self, before: u8, unreached: &BTreeSet<Slot>) -> BTreeSet<Slot> {
        let mut starting = BTreeSet::new();
        for index in 0..self.wanted {
            let slot = Slot::Worker(index);
            if index >= before || !self.is_bound(slot) || unreached.contains(&slot) {
                self.start_fresh(slot);
                starting.insert(slot);
            }
        }
        starting
    }

    /// From now on `workers` are wanted. In slots above, nobody waits to be restarted.
    pub(super) fn want_workers(&mut self, workers: u8) {
        self.wanted = workers;
        for index in workers..self.worker_seats() {
            self.start_fresh(Slot::Worker(index));
        }
    }

    /// Past failures are forgotten; whoever is there stays.
    pub(super) fn start_fresh(&mut self, slot: Slot) {
        let Some(seat) = self.seats.get_mut(&slot) else { return };
        seat.unstable = 0;
        match seat.holder {
            Holder::Empty(_) | Holder::Waiting { .. } | Holder::Errored | Holder::Finished => {
                seat.holder = Holder::Empty(Start::Cold)
            }
            Holder::Held(_) | Holder::Draining(_) | Holder::Closing => {}
        }
    }
}
