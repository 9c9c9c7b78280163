//! The connection to one processor: pure. It is told the time and what happened, and says what is to be done.
//!
//! ```text
//!            due             opened
//!   down ─────────▶ opening ─────────▶ up (session)
//!    ▲                 │ refused, late     │ closed, given up
//!    └─── backoff ─────┴───────────────────┘
//! ```
//! What people see: `connecting` from the first attempt to the first answer, `connected` while commands are answered,
//! `unresponsive` while they are not, `disconnected` from the first failure on, through all attempts that fail.
//!
//! A command of a user waits until it can be sent, for a connection too; while the last attempt has failed it does not.
//! While we leave, such commands are all that is sent, and a connection is opened for nothing else.
//!
//! `session` is one TCP connection, `survey` what is asked, `flight` the message under way, `answers` what comes,
//! `levels` who is silent, `queue` users' commands that wait, `journal` what the log says, `limits` every number.

mod answers;
mod budget;
mod flight;
mod journal;
mod levels;
mod limits;
mod queue;
mod session;
mod survey;
#[cfg(test)]
mod tests;
mod words;

use table::ConnectionState as State;

use crate::dice::Dice;
use journal::Journal;
use levels::Levels;
use limits::{BACKOFF, BACKOFF_CAP, BACKOFF_SOON, CONNECT, LAST_ANSWER, SOON};
use queue::Queue;
use session::{GiveUp, Session, Turn};
pub(crate) use words::{Action, Aside, Event, Fact, Outcome, Remark, Ticket, Time};

/// Where the TCP connection stands.
#[derive(Debug)]
enum Phase {
    /// There is none; it is opened at `until`.
    Down { until: Time },
    /// It is being opened, and given up at `until`.
    Opening { until: Time },
    /// It is there.
    Up(Box<Session>),
}

/// The connection to one processor.
#[derive(Debug)]
pub(crate) struct Connection {
    phase: Phase,
    /// Failures in a row, and when the first of them was.
    failures: u32,
    failing_since: Time,
    dice: Dice,
    levels: Levels,
    /// Users' commands, of which none is sent yet.
    queue: Queue,
    /// Whether silent meters are a reason to act: not where others read the datagrams.
    watches_levels: bool,
    /// We leave.
    leaving: bool,
    shown: Option<State>,
    journal: Journal,
}

impl Connection {
    /// Opens at the first clock event.
    pub(crate) fn new(now: Time, seed: u64, watches_levels: bool) -> Connection {
        Connection {
            phase: Phase::Down { until: now },
            failures: 0,
            failing_since: now,
            dice: Dice::new(seed),
            levels: Levels::new(),
            queue: Queue::default(),
            watches_levels,
            leaving: false,
            shown: None,
            journal: Journal::new(now),
        }
    }

    /// When a clock event is due.
    pub(crate) fn deadline(&self) -> Time {
        let due = match &self.phase {
            Phase::Down { .. } if self.is_done() => Time::MAX,
            Phase::Down { until } | Phase::Opening { until } => *until,
            Phase::Up(session) => session.deadline(&self.queue, self.leaving),
        };
        [self.queue.deadline(), self.journal.deadline()].into_iter().flatten().fold(due, Time::min)
    }

    /// We leave, and nobody waits for a connection.
    fn is_done(&self) -> bool {
        self.leaving && self.queue.is_empty()
    }

    /// Takes an event; appends what is to be done, in that order.
    pub(crate) fn handle(&mut self, now: Time, event: Event<'_>, out: &mut Vec<Action>) {
        let first = out.len();
        self.decide(now, event, out);
        let said = out.split_off(first);
        out.extend(said.into_iter().filter_map(|action| self.news(now, action)));
        if event == Event::Clock {
            out.extend(self.journal.poll_line(now).map(|(remark, aside)| Action::Tell(remark, aside)));
        }
    }

    fn decide(&mut self, now: Time, event: Event<'_>, out: &mut Vec<Action>) {
        if let Event::LevelsHeard(heard) = event {
            heard.iter().for_each(|&(meter, at)| self.levels.note_heard(meter, at));
        }
        if event == Event::Clock {
            self.queue.expire(now, out);
        }
        if let Event::Leave(by) = event {
            self.leaving = true;
            self.queue.end_by(by - (by.saturating_sub(now) / 4).min(LAST_ANSWER));
        }
        let (may_tell, done) = (self.journal.has_room(now, self.levels.untold_since()), self.is_done());
        let leaving = self.leaving;
        let mut turn = Turn { now, out, levels: &mut self.levels, queue: &mut self.queue, may_tell, leaving };
        match (&mut self.phase, event) {
            (Phase::Down { until }, Event::Clock) if *until <= now && !done => self.open(now, out),
            (Phase::Down { .. } | Phase::Opening { .. }, Event::Command(ticket, order)) => match self.shown {
                // A predecessor may have been connected a moment ago: whoever asks meets no gap between us.
                None | Some(State::Connecting | State::Connected) => self.queue.push(now, ticket, order, out),
                Some(State::Disconnected | State::Unresponsive) => turn.answer(ticket, Outcome::Disconnected),
            },
            (Phase::Opening { .. }, Event::Opened) => {
                turn.out.extend(
                    (self.shown == Some(State::Disconnected)).then_some(Action::State(State::Connecting)),
                );
                let mut session = Session::new(now, turn.levels);
                session.send_next(&mut turn);
                self.phase = Phase::Up(Box::new(session));
            }
            (Phase::Opening { .. }, Event::Closed(why)) => self.fail(now, why, out),
            (Phase::Opening { until }, Event::Clock) if *until <= now => {
                out.push(Action::Close);
                self.fail(now, "the TCP connection does not open", out);
            }
            (Phase::Up(session), Event::Clock) => {
                if let Err(GiveUp) = session.on_clock(&mut turn) {
                    self.give_up(now, out);
                }
            }
            (Phase::Up(session), Event::Line(line)) => session.on_line(&mut turn, line),
            (Phase::Up(session), Event::LevelsHeard(heard)) => {
                if self.watches_levels {
                    session.on_heard(&mut turn, heard);
                }
            }
            (Phase::Up(session), Event::Command(ticket, order)) => {
                session.on_command(&mut turn, ticket, order);
            }
            (Phase::Up(_), Event::Closed(why)) => self.lose(now, why, out),
            // A connection that was not ordered is none of ours.
            (Phase::Down { .. }, Event::Opened) => out.push(Action::Close),
            (Phase::Up(_), Event::Opened | Event::Leave(_))
            | (
                Phase::Down { .. },
                Event::Clock | Event::Closed(_) | Event::Line(_) | Event::LevelsHeard(_) | Event::Leave(_),
            )
            | (
                Phase::Opening { .. },
                Event::Clock | Event::Line(_) | Event::LevelsHeard(_) | Event::Leave(_),
            ) => {}
        }
    }

    fn open(&mut self, now: Time, out: &mut Vec<Action>) {
        out.push(Action::Open);
        if self.shown.is_none() {
            out.push(Action::State(State::Connecting));
        }
        self.phase = Phase::Opening { until: now + CONNECT };
    }

    /// The attempt, or the connection, is over.
    fn fail(&mut self, now: Time, why: &str, out: &mut Vec<Action>) {
        out.push(Action::State(State::Disconnected));
        out.push(Action::Tell(Remark::Disconnected(why.to_owned()), Aside::default()));
        self.queue.refuse(&Outcome::Disconnected, out);
        self.back_off(now);
    }

    fn lose(&mut self, now: Time, why: &str, out: &mut Vec<Action>) {
        self.end_session(now, out);
        self.fail(now, why, out);
    }

    /// Of one that answered people see that it is connected anew; one that was unresponsive stays so until it answers.
    fn give_up(&mut self, now: Time, out: &mut Vec<Action>) {
        out.push(Action::Close);
        if self.shown == Some(State::Connected) {
            out.push(Action::State(State::Connecting));
            out.push(Action::Tell(Remark::GivenUp, Aside::default()));
        }
        self.end_session(now, out);
        self.back_off(now);
    }

    fn end_session(&mut self, now: Time, out: &mut Vec<Action>) {
        if let Phase::Up(session) = std::mem::replace(&mut self.phase, Phase::Down { until: now }) {
            if session.was_good(now) {
                self.failures = 0;
            }
            session.on_closed(out);
        }
    }

    /// Twice as long each time, up to a cap that is lower while the processor may just be booting; between half of that and
    /// all of it, so that many processors that went together do not come together.
    fn back_off(&mut self, now: Time) {
        if self.failures == 0 {
            self.failing_since = now;
        }
        let cap = if now - self.failing_since < SOON { BACKOFF_SOON } else { BACKOFF_CAP };
        let longest = BACKOFF.saturating_mul(1 << self.failures.min(16)).min(cap);
        self.failures = self.failures.saturating_add(1);
        let wait = longest.mul_f64(0.5 + self.dice.roll() / 2.0);
        self.phase = Phase::Down { until: now + wait };
    }

    /// States are shown when they change, and told when they change; and no processor fills the log.
    fn news(&mut self, now: Time, action: Action) -> Option<Action> {
        match action {
            Action::State(state) => (self.shown.replace(state) != Some(state)).then_some(action),
            Action::Tell(..) if self.leaving => None,
            Action::Tell(remark, _) => {
                self.journal.note(now, remark).map(|(remark, aside)| Action::Tell(remark, aside))
            }
            Action::Open | Action::Close | Action::Send(_) | Action::Learn(..) | Action::Answer(..) => {
                Some(action)
            }
        }
    }
}
