//! Stopping: everybody is told to leave, those who do not are killed, and when nobody is left the fleet is gone.

use super::event::{Action, Outcome, Plan, Refusal, Sig, Slot, Ticket, Verdict};
use super::fleet::{Fleet, Op, Turn};
use super::slot::{Grace, Seat};
use super::steps::policy;
use serde::{Deserialize, Serialize};

/// A stop under way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Stopping {
    /// Who asked last; nobody, if the first start failed.
    pub(super) ticket: Option<Ticket>,
    pub(super) verdict: Verdict,
}

/// Whether it leaves when everybody else has.
fn is_last(plan: &Plan, slot: Slot) -> bool {
    matches!(slot, Slot::Role(index) if plan.last == Some(index))
}

impl Fleet {
    /// Pre-empts everything. A second stop means: at once.
    pub(super) fn stop(&mut self, turn: &mut Turn, ticket: Ticket, at_once: bool) {
        match &mut self.op {
            Op::Starting | Op::Steady | Op::Reloading(_) => {
                self.begin_stop(turn, Some(ticket), Verdict::Stopped, at_once);
            }
            Op::Stopping(stopping) => {
                if let Some(earlier) = stopping.ticket.replace(ticket) {
                    turn.answer(earlier, Outcome::Superseded);
                }
                self.kill_leavers(turn);
            }
            Op::Over => turn.answer(ticket, Outcome::Refused(Refusal::Stopping)),
        }
    }

    pub(super) fn begin_stop(
        &mut self,
        turn: &mut Turn,
        ticket: Option<Ticket>,
        verdict: Verdict,
        at_once: bool,
    ) {
        if let Some(reload) = self.take_reload() {
            turn.answer(reload.ticket, Outcome::Superseded);
        }
        self.supersede_everything(turn);
        self.op = Op::Stopping(Stopping { ticket, verdict });
        let plan = &self.plan;
        for (&slot, seat) in self.seats.iter_mut().filter(|(slot, _)| !is_last(plan, **slot)) {
            for proc in seat.vacate() {
                match at_once {
                    true => seat.kill(turn, &proc),
                    false => seat.term(turn, &proc, policy(plan, slot).kill_timeout),
                }
            }
        }
        if at_once {
            self.kill_leavers(turn);
        }
    }

    fn kill_leavers(&mut self, turn: &mut Turn) {
        for leaver in self.seats.values_mut().flat_map(|seat| &mut seat.leavers) {
            match leaver.grace {
                Grace::Until(_) => {
                    leaver.grace = Grace::Killed;
                    turn.act(Action::Signal(leaver.run, Sig::Kill));
                }
                Grace::Killed => {}
            }
        }
    }

    /// Tells the last ones to leave, once everybody else has.
    fn dismiss_last(&mut self, turn: &mut Turn) -> bool {
        let (plan, mut told) = (&self.plan, false);
        for (&slot, seat) in self.seats.iter_mut().filter(|(slot, _)| is_last(plan, **slot)) {
            for proc in seat.vacate() {
                seat.term(turn, &proc, policy(plan, slot).kill_timeout);
                told = true;
            }
        }
        told
    }

    /// Gone, when no process is left and the shell owes no answer.
    pub(super) fn advance_stop(&mut self, turn: &mut Turn) -> bool {
        let Op::Stopping(Stopping { ticket, verdict }) = self.op else { return false };
        let gone = |seat: &Seat| seat.is_deserted() && !seat.is_closing();
        let mut others = self.seats.iter().filter(|(slot, _)| !is_last(&self.plan, **slot));
        if !others.all(|(_, seat)| gone(seat)) {
            return false;
        }
        if self.dismiss_last(turn) {
            return true;
        }
        if !self.seats.values().all(gone) {
            return false;
        }
        self.seats.clear();
        self.op = Op::Over;
        if let Some(ticket) = ticket {
            turn.answer(ticket, Outcome::Done);
        }
        turn.act(Action::Gone(verdict));
        true
    }

    #[cfg(test)]
    pub(super) fn is_over(&self) -> bool {
        matches!(self.op, Op::Over) && self.seats.values().all(|seat| seat.is_deserted())
    }
}
