//! Orders wait for their turn: one after another, and none during the first start or a reload, to its very end.

use super::event::{Generation, MAX_WORKERS, Order, Outcome, Plan, Refusal, Scale, Slot, Ticket};
use super::fleet::{Fleet, Op, Turn};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The most orders that wait; further ones are refused.
pub(super) const MAX_WAITING: usize = 16;

/// An order that waits. Stop never does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Waiting {
    Scale(Scale),
    Reload { generation: Generation, plan: Plan },
    Restart(Vec<Slot>),
}

impl Waiting {
    /// Nothing of an older order would be left once this one had its turn: a newer generation, a number
    /// of workers that is not relative.
    fn replaces(&self, older: &Waiting) -> bool {
        match (self, older) {
            (Waiting::Reload { .. }, Waiting::Reload { .. })
            | (Waiting::Scale(Scale::To(_)), Waiting::Scale(_)) => true,
            (Waiting::Reload { .. }, Waiting::Scale(_) | Waiting::Restart(_))
            | (Waiting::Scale(Scale::To(_)), Waiting::Reload { .. } | Waiting::Restart(_))
            | (
                Waiting::Scale(Scale::Up(_) | Scale::Down(_)) | Waiting::Restart(_),
                Waiting::Scale(_) | Waiting::Reload { .. } | Waiting::Restart(_),
            ) => false,
        }
    }
}

/// At most `MAX_WAITING` orders, of which one is a reload.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Queue(pub(super) VecDeque<(Ticket, Waiting)>);

impl Queue {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everybody who waits, in order.
    pub(super) fn drain(&mut self) -> Vec<Ticket> {
        self.0.drain(..).map(|(ticket, _)| ticket).collect()
    }

    /// Takes out what `newer` replaces, however many hang-ups come.
    fn take_replaced(&mut self, newer: &Waiting) -> Vec<Ticket> {
        let (replaced, kept): (Vec<_>, Vec<_>) =
            self.0.drain(..).partition(|(_, older)| newer.replaces(older));
        self.0 = kept.into();
        replaced.into_iter().map(|(ticket, _)| ticket).collect()
    }
}

impl Fleet {
    pub(super) fn on_order(&mut self, turn: &mut Turn, ticket: Ticket, order: Order) {
        let waiting = match order {
            Order::Stop { now } => return self.stop(turn, ticket, now),
            Order::Scale(scale) => Waiting::Scale(scale),
            Order::Restart(slots) => Waiting::Restart(slots),
            Order::Reload { generation, plan } => {
                self.expect_new(generation, &plan);
                Waiting::Reload { generation, plan }
            }
        };
        match self.op {
            Op::Starting | Op::Steady | Op::Reloading(_) => self.enqueue(turn, ticket, waiting),
            Op::Stopping(_) | Op::Over => turn.answer(ticket, Outcome::Refused(Refusal::Stopping)),
        }
    }

    fn enqueue(&mut self, turn: &mut Turn, ticket: Ticket, waiting: Waiting) {
        for older in self.queue.take_replaced(&waiting) {
            turn.answer(older, Outcome::Superseded);
        }
        if self.queue.0.len() < MAX_WAITING {
            self.queue.0.push_back((ticket, waiting));
        } else {
            turn.answer(ticket, Outcome::Refused(Refusal::TooMany));
        }
    }

    /// The next order's turn, if there is one and this is the time.
    pub(super) fn take_order(&mut self, turn: &mut Turn) -> bool {
        match self.op {
            Op::Steady if self.errands.reload.is_none() => {}
            Op::Steady | Op::Starting | Op::Reloading(_) | Op::Stopping(_) | Op::Over => return false,
        }
        let Some((ticket, waiting)) = self.queue.0.pop_front() else { return false };
        match waiting {
            Waiting::Scale(scale) => self.scale(turn, ticket, scale),
            Waiting::Reload { generation, plan } => self.begin_reload(turn, ticket, generation, plan),
            Waiting::Restart(slots) => self.restart(turn, ticket, &slots),
        }
        true
    }

    fn expect_new(&mut self, generation: Generation, plan: &Plan) {
        assert!(generation > self.newest, "{generation:?} after {:?}", self.newest);
        assert!((1..=MAX_WORKERS).contains(&plan.workers), "a plan for {} workers", plan.workers);
        self.newest = generation;
    }
}
