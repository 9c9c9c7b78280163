//! Users' commands that wait to be sent: so many at the most, and each so long at the most.

use std::collections::VecDeque;

use atlas::order::Order;

use super::limits::{COMMANDS, PATIENCE};
use super::words::{Action, Outcome, Ticket, Time};

/// A user's command, not sent yet.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    pub(super) order: Order,
    /// Not sent by then, it is given up.
    until: Time,
}

/// The commands, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    /// What is not sent by then is given up, whenever it came.
    end: Option<Time>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// One more; where too many wait already, that is its answer.
    pub(super) fn push(&mut self, now: Time, ticket: Ticket, order: &Order, out: &mut Vec<Action>) {
        if self.waiting.len() >= COMMANDS {
            return out.push(Action::Answer(ticket, Outcome::Busy));
        }
        let until = self.end.map_or(now + PATIENCE, |end| end.min(now + PATIENCE));
        self.waiting.push_back(Waiting { ticket, order: order.clone(), until });
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        self.waiting.pop_front()
    }

    /// Nothing waits longer than until then.
    pub(super) fn end_by(&mut self, end: Time) {
        self.end = Some(end);
        self.waiting.iter_mut().for_each(|waiting| waiting.until = waiting.until.min(end));
    }

    /// When the first of them is given up.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.waiting.front().map(|waiting| waiting.until)
    }

    /// Answers those that have waited too long.
    pub(super) fn expire(&mut self, now: Time, out: &mut Vec<Action>) {
        while let Some(late) = self.waiting.pop_front_if(|waiting| waiting.until <= now) {
            let is_end = self.end.is_some_and(|end| end <= now);
            out.push(Action::Answer(late.ticket, if is_end { Outcome::Left } else { Outcome::NotSent }));
        }
    }

    /// Answers all of them.
    pub(super) fn refuse(&mut self, outcome: &Outcome, out: &mut Vec<Action>) {
        out.extend(self.waiting.drain(..).map(|waiting| Action::Answer(waiting.ticket, outcome.clone())));
    }
}
