//! Reload in two phases: an heir for every slot; when all are READY, every holder leaves at once.
//!
//! Before the commit no holder is touched, so there is nothing to bring back when an heir fails. After it the reload is
//! answered once the old generation is gone (`errand::Aftermath`).

use super::errand::Aftermath;
use super::event::{Failure, Generation, News, Outcome, Plan, Slot, Ticket};
use super::fleet::{Fleet, Op, Turn, slots_of};
use super::slot::{Holder, Proc, Start};
use super::steps::{Of, policy};
use serde::{Deserialize, Serialize};

/// A reload between its start and its commit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Reload {
    pub(super) ticket: Ticket,
    pub(super) generation: Generation,
    pub(super) plan: Plan,
    /// Workers after the commit.
    pub(super) workers: u8,
}

impl Fleet {
    /// What `scale` set lasts, unless the plan's number has changed since. Heirs of holders too fat give
    /// way: they are of the old generation.
    pub(super) fn begin_reload(
        &mut self,
        turn: &mut Turn,
        ticket: Ticket,
        generation: Generation,
        plan: Plan,
    ) {
        let workers = if plan.workers == self.plan.workers { self.wanted } else { plan.workers };
        turn.tell(News::ReloadStarted(generation));
        for (&slot, seat) in &mut self.seats {
            if let Some(heir) = seat.heir.take() {
                seat.term(turn, &heir, policy(&self.plan, slot).kill_timeout);
            }
        }
        self.op = Op::Reloading(Reload { ticket, generation, plan, workers });
    }

    /// Prepare, and commit when everybody is ready.
    pub(super) fn advance_reload(&mut self, turn: &mut Turn) -> bool {
        let Op::Reloading(reload) = &self.op else { return false };
        let slots: Vec<Slot> = slots_of(reload.workers, reload.plan.roles).collect();
        let prepared = self.prepare(turn, &slots);
        let ready = |slot: &Slot| {
            self.seats.get(slot).and_then(|seat| seat.heir).is_some_and(|heir| heir.is_online())
        };
        let all_ready = slots.iter().all(ready);
        if all_ready {
            self.commit(turn);
        }
        prepared || all_ready
    }

    fn prepare(&mut self, turn: &mut Turn, slots: &[Slot]) -> bool {
        let mut prepared = false;
        for &slot in slots {
            let Op::Reloading(reload) = &self.op else { break };
            let missing = self.seats.get(&slot).is_some_and(|seat| seat.heir.is_none());
            if missing && self.may_start(slot) {
                let of = Of::new(reload.generation, policy(&reload.plan, slot), true);
                let heir = self.launch(turn, slot, Start::Cold, &of);
                self.seat(slot).heir = Some(heir);
                prepared = true;
            }
        }
        prepared
    }

    /// Every heir takes over; the mask follows; then the old generation is told to leave, under its own
    /// policy.
    fn commit(&mut self, turn: &mut Turn) {
        let Some(reload) = self.take_reload() else { return };
        let old = std::mem::replace(&mut self.plan, reload.plan);
        self.generation = reload.generation;
        turn.tell(News::ReloadCommitted(reload.generation));
        self.want_workers(reload.workers);
        let mut leaving: Vec<(Slot, Proc)> = Vec::new();
        for (&slot, seat) in &mut self.seats {
            if let Some(mut heir) = seat.heir.take() {
                leaving.extend(seat.vacate_holder(Start::Cold).map(|proc| (slot, proc)));
                heir.takes_over(turn.now, policy(&self.plan, slot));
                seat.inherit(heir);
                turn.tell(News::Online { slot, run: heir.run, generation: heir.generation });
            } else if let Holder::Held(proc) = seat.holder {
                seat.vacate_holder(Start::Cold);
                leaving.push((slot, proc));
            }
        }
        self.steer(turn);
        for (slot, proc) in leaving {
            self.seat(slot).term(turn, &proc, policy(&old, slot).kill_timeout);
        }
        self.errands.reload = Some(Aftermath { ticket: reload.ticket, slots: true, until: None });
        self.supersede_errands(turn);
    }

    /// Nothing was taken from the old generation: the heirs go, and that is all.
    pub(super) fn fail_reload(&mut self, turn: &mut Turn, failure: Failure) {
        let Some(reload) = self.take_reload() else { return };
        turn.tell(News::ReloadFailed(reload.generation));
        for (&slot, seat) in &mut self.seats {
            if let Some(heir) = seat.heir.take() {
                seat.term(turn, &heir, policy(&reload.plan, slot).kill_timeout);
            }
            match &mut seat.holder {
                Holder::Held(proc) => proc.excuse_ends(turn.now, policy(&self.plan, slot)),
                Holder::Draining(_)
                | Holder::Empty(_)
                | Holder::Waiting { .. }
                | Holder::Errored
                | Holder::Finished
                | Holder::Closing => {}
            }
        }
        turn.answer(reload.ticket, Outcome::Failed(failure));
    }

    /// The reload under way, which is over with this.
    pub(super) fn take_reload(&mut self) -> Option<Reload> {
        match std::mem::replace(&mut self.op, Op::Steady) {
            Op::Reloading(reload) => Some(reload),
            other @ (Op::Starting | Op::Steady | Op::Stopping(_) | Op::Over) => {
                self.op = other;
                None
            }
        }
    }
}
