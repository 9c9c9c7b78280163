//! Orders that were carried out and are not reached yet: their answer comes when they are, or cannot be.

use super::event::{Failure, Outcome, Slot, Tick, Ticket};
use super::fleet::{Fleet, Turn, Want};
use super::slot::{Grace, Leaver, Seat};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most restarts that may be unreached at a time; further ones are refused.
pub(super) const MAX_RESTARTS: usize = 16;

/// An order on its way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Errand {
    pub(super) ticket: Ticket,
    /// Slots that have to come online yet. Each of them is empty, launching or closing, so that it will
    /// come online or fail within its time.
    pub(super) starting: BTreeSet<Slot>,
}

/// A reload whose heirs have taken over, until nothing is left of what they replace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Aftermath {
    pub(super) ticket: Ticket,
    /// Slots that retire are waited for: until a drainer fails.
    pub(super) slots: bool,
    /// Somebody was killed, and the kernel is waited for no longer than this.
    pub(super) until: Option<Tick>,
}

/// Everything unreached.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Errands {
    /// One at most: a scaling supersedes another. It is reached when nothing is left to close, too.
    pub(super) scale: Option<Errand>,
    /// At most `MAX_RESTARTS`.
    pub(super) restarts: Vec<Errand>,
    /// No order has its turn before it is over.
    #[serde(default)]
    pub(super) reload: Option<Aftermath>,
}

impl Errands {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.scale.is_none() && self.restarts.is_empty() && self.reload.is_none()
    }

    /// Answers and forgets those that `is_over` picks.
    fn finish(&mut self, turn: &mut Turn, outcome: Outcome, is_over: impl Fn(&Errand) -> bool) -> bool {
        let over = self.scale.take_if(|errand| is_over(errand)).into_iter();
        let over: Vec<Errand> = over.chain(self.restarts.extract_if(.., |errand| is_over(errand))).collect();
        for errand in &over {
            turn.answer(errand.ticket, outcome);
        }
        !over.is_empty()
    }
}

impl Fleet {
    /// Answers what is reached.
    pub(super) fn settle_errands(&mut self, turn: &mut Turn) -> bool {
        let mut errands = std::mem::take(&mut self.errands);
        for errand in errands.scale.iter_mut().chain(&mut errands.restarts) {
            errand.starting.retain(|&slot| !self.is_online(slot));
        }
        let retiring = self.seats.keys().any(|&slot| match slot {
            Slot::Worker(_) => self.want(slot) == Want::Nothing,
            Slot::Role(_) => false,
        });
        let scale = if retiring { errands.scale.take() } else { None };
        let settled = errands.finish(turn, Outcome::Done, |errand| errand.starting.is_empty());
        errands.scale = errands.scale.or(scale);
        self.errands = errands;
        self.settle_reload(turn) || settled
    }

    /// A reload is over when nobody of an older generation is left and no slot is one too many.
    fn settle_reload(&mut self, turn: &mut Turn) -> bool {
        let is_killed = |leaver: &Leaver| matches!(leaver.grace, Grace::Killed);
        let killed = self.seats.values().any(|seat| seat.leavers.iter().any(is_killed));
        if let Some(aftermath) = &mut self.errands.reload {
            aftermath.until = aftermath.until.filter(|_| killed);
        }
        let Some(aftermath) = &self.errands.reload else { return false };
        let unwanted = |slot: &Slot| aftermath.slots && self.want(*slot) == Want::Nothing;
        let old = |seat: &Seat| seat.leavers.iter().any(|leaver| leaver.generation < self.generation);
        let left = self.seats.iter().any(|(slot, seat)| unwanted(slot) || old(seat));
        !left && self.finish_reload(turn)
    }

    /// The reload under way is over, if its heirs have taken over.
    pub(super) fn finish_reload(&mut self, turn: &mut Turn) -> bool {
        let aftermath = self.errands.reload.take();
        if let Some(Aftermath { ticket, .. }) = aftermath {
            turn.answer(ticket, Outcome::Done);
        }
        aftermath.is_some()
    }

    /// Somebody who leaves was killed: in so much time the kernel has done it, or may never do it.
    pub(super) fn limit_reload(&mut self, until: Tick) {
        if let Some(aftermath) = &mut self.errands.reload {
            aftermath.until = aftermath.until.max(Some(until));
        }
    }

    /// A process of `slot` failed that they wait for.
    pub(super) fn fail_errands(&mut self, turn: &mut Turn, slot: Slot, failure: Failure) {
        self.errands.finish(turn, Outcome::Failed(failure), |errand| errand.starting.contains(&slot));
    }

    /// The scaling under way cannot close what it should; nor can a reload, which does not fail for that.
    pub(super) fn fail_scale(&mut self, turn: &mut Turn, failure: Failure) {
        if let Some(aftermath) = &mut self.errands.reload {
            aftermath.slots = false;
        }
        if let Some(errand) = self.errands.scale.take() {
            turn.answer(errand.ticket, Outcome::Failed(failure));
        }
    }

    /// A later order took away a slot that they wait for.
    pub(super) fn supersede_errands(&mut self, turn: &mut Turn) {
        let wanted: BTreeSet<Slot> = self.wanted_slots().collect();
        self.errands.finish(turn, Outcome::Superseded, |errand| !errand.starting.is_subset(&wanted));
    }

    /// The fleet stops: whatever waits is over. A reload whose heirs have taken over has come about.
    pub(super) fn supersede_everything(&mut self, turn: &mut Turn) {
        self.finish_reload(turn);
        for ticket in self.queue.drain() {
            turn.answer(ticket, Outcome::Superseded);
        }
        self.errands.finish(turn, Outcome::Superseded, |_| true);
    }
}
