//! One TCP connection, from open to closed: one message under way at a time, and how the processor bears it.
//!
//! ```text
//!               answer                overdue                   overdue
//!   unproven ──────────▶ answering ──────────▶ doubted ─────────────────────▶ locked: one command a minute
//!       │                    ▲  ▲                 │ (asked by a keep-alive)      │
//!       │      overdue       │  └──── answer ─────┘                              │
//!       └──────▶ doubted     └───────────────────── answer ──────────────────────┘
//! ```

use atlas::MeterId;
use atlas::order::Order;
use table::ConnectionState as State;

use super::flight::{Batch, Cargo, Flight};
use super::levels::Levels;
use super::limits::{
    ANSWER, BREAKER, GAP, KEEP_ALIVE, LAST_CHANCE, PROBES, SWEEP_EVERY, SWEEP_GAP, UNANSWERED,
};
use super::queue::Queue;
use super::survey::Survey;
use super::words::{Action, Aside, Outcome, Remark, Ticket, Time};

/// What one event works with.
pub(super) struct Turn<'a> {
    pub(super) now: Time,
    pub(super) out: &'a mut Vec<Action>,
    pub(super) levels: &'a mut Levels,
    pub(super) queue: &'a mut Queue,
    /// There is room in the log for a line about levels.
    pub(super) may_tell: bool,
    /// We leave.
    pub(super) leaving: bool,
}

impl Turn<'_> {
    pub(super) fn answer(&mut self, ticket: Ticket, outcome: Outcome) {
        self.out.push(Action::Answer(ticket, outcome));
    }

    fn tell(&mut self, remark: Remark) {
        self.out.push(Action::Tell(remark, Aside::default()));
    }
}

/// How the processor bears our commands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Health {
    /// Nothing was answered yet, nothing is overdue.
    Unproven,
    /// It answers.
    Answering,
    /// An answer is overdue; a keep-alive asks whether it answers at all. `batch`: the answer to a subscription.
    Doubted { batch: bool },
    /// It does not.
    Locked { since: Time, probe_at: Time, lost: u32 },
}

/// The connection is to be given up for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GiveUp;

/// What one connection knows.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) opened: Time,
    next_id: u32,
    pub(super) flight: Option<Flight>,
    /// Nothing is sent before.
    free_at: Time,
    keep_alive_at: Time,
    sweep_at: Time,
    /// Subscriptions whose answer is overdue, with their id: it may still come. If not, they are asked again.
    pub(super) late: Option<(u32, Batch)>,
    pub(super) health: Health,
    /// Something was answered on this connection.
    proven: bool,
    pub(super) survey: Survey,
    /// The last thing that was sent was a user's command.
    served_user: bool,
    /// Levels came on this connection and stopped all at once: the next answer decides whether it is worth anything.
    last_chance: bool,
    /// Subscriptions get no answer here, queries do.
    pub(super) subscribes_blindly: bool,
    /// An error to an array is the only answer to it: the others of it were not subscribed.
    pub(super) one_error_each: bool,
}

impl Session {
    pub(super) fn new(now: Time, levels: &mut Levels) -> Session {
        levels.begin_connection();
        Session {
            opened: now,
            next_id: 1,
            flight: None,
            free_at: now,
            keep_alive_at: now + KEEP_ALIVE,
            sweep_at: now + SWEEP_GAP,
            late: None,
            health: Health::Unproven,
            proven: false,
            survey: Survey::new(levels.known()),
            served_user: false,
            last_chance: false,
            subscribes_blindly: false,
            one_error_each: false,
        }
    }

    /// Whether it answered for some time: then its end is no sign of trouble.
    pub(super) fn was_good(&self, now: Time) -> bool {
        self.proven && now.saturating_sub(self.opened) >= super::limits::STABLE
    }

    /// When `on_clock` has something to do.
    pub(super) fn deadline(&self, queue: &Queue, leaving: bool) -> Time {
        match (&self.flight, self.health) {
            (Some(flight), _) => flight.deadline(),
            (None, Health::Locked { probe_at, .. }) => probe_at.max(self.free_at),
            (None, Health::Doubted { .. }) => self.free_at,
            (None, Health::Unproven | Health::Answering) => {
                let wants_nothing = leaving || (self.late.is_none() && !self.survey.has_next());
                let sweep_at = if leaving { Time::MAX } else { self.sweep_at };
                let idle = queue.is_empty() && wants_nothing;
                let next = if idle { sweep_at.min(self.keep_alive_at) } else { self.free_at };
                next.max(self.free_at)
            }
        }
    }

    /// Only the clock finds that something is overdue: what came meanwhile was read before.
    pub(super) fn on_clock(&mut self, turn: &mut Turn<'_>) -> Result<(), GiveUp> {
        if let Some(flight) = self.flight.take_if(|flight| flight.deadline() <= turn.now) {
            self.on_overdue(turn, flight)?;
        }
        self.send_next(turn);
        Ok(())
    }

    pub(super) fn on_command(&mut self, turn: &mut Turn<'_>, ticket: Ticket, order: &Order) {
        match self.health {
            Health::Locked { .. } => turn.answer(ticket, Outcome::Unresponsive),
            Health::Unproven | Health::Answering | Health::Doubted { .. } => {
                turn.queue.push(turn.now, ticket, order, turn.out);
                self.send_next(turn);
            }
        }
    }

    /// Looks at what was heard; while the processor answers, silence is a reason to act.
    pub(super) fn on_heard(&mut self, turn: &mut Turn<'_>, heard: &[(MeterId, Time)]) {
        for &(meter, at) in heard {
            self.survey.note_heard(meter, at >= self.opened);
            if self.survey.is_confirmed(meter) {
                turn.levels.note_subscribed(meter, turn.now);
            }
        }
        match self.health {
            Health::Answering => {
                let verdict =
                    turn.levels.judge(turn.now, turn.may_tell, |meter| self.survey.is_confirmed(meter));
                self.survey.renew(&verdict.renew);
                if verdict.all && turn.levels.newest().is_some_and(|newest| newest >= self.opened) {
                    self.last_chance = true;
                    let soon = turn.now + LAST_CHANCE;
                    self.flight.iter_mut().for_each(|flight| flight.until = flight.until.min(soon));
                }
                if let Some(remark) = verdict.remark {
                    turn.tell(remark);
                }
            }
            Health::Unproven | Health::Doubted { .. } | Health::Locked { .. } => {}
        }
        self.send_next(turn);
    }

    /// It is over: whoever waits for an answer is told.
    pub(super) fn on_closed(self, out: &mut Vec<Action>) {
        if let Some(Flight { cargo: Cargo::Command { command, .. }, .. }) = self.flight {
            out.push(Action::Answer(command.ticket, Outcome::Lost));
        }
    }

    /// Something was answered, in time or not.
    pub(super) fn note_answer(&mut self, turn: &mut Turn<'_>) {
        self.last_chance = false;
        let before = std::mem::replace(&mut self.health, Health::Answering);
        match before {
            Health::Answering => return,
            Health::Unproven | Health::Doubted { .. } => {
                if self.proven {
                    return;
                }
                turn.tell(Remark::Connected);
            }
            Health::Locked { since, .. } if self.proven => {
                turn.tell(Remark::Recovered(turn.now - since));
                self.survey.ask_details_again();
            }
            Health::Locked { .. } => turn.tell(Remark::Connected),
        }
        self.proven = true;
        turn.out.push(Action::State(State::Connected));
    }

    fn on_overdue(&mut self, turn: &mut Turn<'_>, flight: Flight) -> Result<(), GiveUp> {
        // That a subscription gets no answer says nothing where none ever does: a keep-alive asks then.
        let says_nothing = self.subscribes_blindly && matches!(flight.cargo, Cargo::Batch(_));
        if self.last_chance && !says_nothing {
            self.flight = Some(flight);
            return Err(GiveUp);
        }
        match flight.cargo {
            Cargo::Batch(batch) if batch.was_refused() => {
                self.one_error_each |= batch.errors == 1;
                let absent = self.survey.refused(batch.open, batch.named);
                self.note_absent(turn, absent);
                Ok(())
            }
            Cargo::Batch(batch) if self.subscribes_blindly && batch.was_heard_of() => {
                self.settle(turn, &batch.asked, batch.sweep);
                Ok(())
            }
            Cargo::Batch(batch) => {
                self.late = Some((flight.id, batch));
                self.doubt(true);
                Ok(())
            }
            Cargo::Command { command, updated } => {
                turn.answer(command.ticket, if updated { Outcome::Done } else { Outcome::TimedOut });
                self.doubt(false);
                Ok(())
            }
            Cargo::KeepAlive => self.on_unanswered_probe(turn),
        }
    }

    fn doubt(&mut self, batch: bool) {
        match self.health {
            Health::Unproven | Health::Answering => self.health = Health::Doubted { batch },
            Health::Doubted { .. } | Health::Locked { .. } => {}
        }
    }

    fn on_unanswered_probe(&mut self, turn: &mut Turn<'_>) -> Result<(), GiveUp> {
        let probe_at = turn.now + BREAKER;
        match self.health {
            Health::Answering => self.doubt(false),
            Health::Unproven | Health::Doubted { .. } => {
                self.health = Health::Locked { since: turn.now, probe_at, lost: 0 };
                turn.queue.refuse(&Outcome::Unresponsive, turn.out);
                turn.out.push(Action::State(State::Unresponsive));
                turn.tell(Remark::Unresponsive);
            }
            Health::Locked { since, lost, .. } => {
                let deaf =
                    turn.levels.newest().is_none_or(|newest| turn.now.saturating_sub(newest) > BREAKER);
                // As long as levels flow the connection is worth more than a new one that may not get them.
                if lost + 1 >= PROBES && deaf {
                    return Err(GiveUp);
                }
                self.health = Health::Locked { since, probe_at, lost: lost.saturating_add(1) };
            }
        }
        Ok(())
    }

    /// Sends what is most urgent, if nothing is under way and the pace allows it.
    pub(super) fn send_next(&mut self, turn: &mut Turn<'_>) {
        if self.flight.is_some() || turn.now < self.free_at {
            return;
        }
        let cargo = match self.health {
            Health::Locked { probe_at, .. } => (turn.now >= probe_at).then_some(Cargo::KeepAlive),
            Health::Doubted { .. } => Some(Cargo::KeepAlive),
            Health::Unproven | Health::Answering => self.next_cargo(turn),
        };
        let Some(cargo) = cargo else { return };
        let id = self.next_id;
        self.next_id = self.next_id % i32::MAX.unsigned_abs() + 1;
        let patience = match &cargo {
            Cargo::Batch(_) if self.subscribes_blindly => UNANSWERED,
            Cargo::Batch(_) | Cargo::KeepAlive | Cargo::Command { .. } if self.last_chance => LAST_CHANCE,
            Cargo::Batch(_) | Cargo::KeepAlive | Cargo::Command { .. } => ANSWER,
        };
        turn.out.push(Action::Send(cargo.line(id)));
        self.flight = Some(Flight { id, until: turn.now + patience, cargo });
        self.free_at = turn.now + GAP;
        self.keep_alive_at = turn.now + KEEP_ALIVE;
    }

    /// A user's command before what is ours, unless one was just sent: neither keeps the other waiting for ever. Who
    /// leaves wants nothing more himself.
    fn next_cargo(&mut self, turn: &mut Turn<'_>) -> Option<Cargo> {
        if turn.now >= self.keep_alive_at {
            return Some(Cargo::KeepAlive);
        }
        let mut users = || turn.queue.pop().map(|command| Cargo::Command { command, updated: false });
        let cargo = if turn.leaving {
            users()
        } else if self.served_user {
            self.next_of_ours(turn.now).or_else(users)
        } else {
            users().or_else(|| self.next_of_ours(turn.now))
        };
        self.served_user = matches!(cargo, Some(Cargo::Command { .. }));
        cargo
    }

    /// Subscriptions, the most urgent first.
    fn next_of_ours(&mut self, now: Time) -> Option<Cargo> {
        if let Some((_, batch)) = self.late.take() {
            self.survey.retry(batch.open);
        }
        if let Some(group) = self.survey.next() {
            return Some(Cargo::batch(group, false));
        }
        if now < self.sweep_at {
            return None;
        }
        match self.survey.next_of_sweep() {
            Some(group) => {
                self.sweep_at = now + SWEEP_GAP;
                Some(Cargo::batch(group, true))
            }
            None => {
                self.sweep_at = now + SWEEP_EVERY;
                None
            }
        }
    }
}
