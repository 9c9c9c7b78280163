//! The one message that is under way, and what answers it.

use atlas::control::{self, Command, Format, Value};
use atlas::order::{Deed, Order};
use atlas::params::ParamId;

use super::queue::Waiting;
use super::words::Time;

/// The parameter that keeps a connection alive.
pub(super) const KEEP_ALIVE_PARAM: &str = "KeepAlive";

/// A message under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) id: u32,
    /// Its answer is overdue then.
    pub(super) until: Time,
    pub(super) cargo: Cargo,
}

impl Flight {
    /// When it is over: an array that was refused waits for more errors only.
    pub(super) fn deadline(&self) -> Time {
        match &self.cargo {
            Cargo::Batch(batch) => batch.quiet_at.map_or(self.until, |quiet_at| quiet_at.min(self.until)),
            Cargo::KeepAlive | Cargo::Command { .. } => self.until,
        }
    }
}

/// What a message is for.
#[derive(Debug)]
pub(super) enum Cargo {
    /// Subscriptions.
    Batch(Batch),
    /// Nothing but an answer.
    KeepAlive,
    /// A user.
    Command {
        command: Waiting,
        /// An update of his parameter came since.
        updated: bool,
    },
}

/// Subscriptions under way.
#[derive(Debug)]
pub(super) struct Batch {
    /// All of them.
    pub(super) asked: Vec<ParamId>,
    /// Those of which nothing is known yet.
    pub(super) open: Vec<ParamId>,
    /// Whether only the sweep wants them.
    pub(super) sweep: bool,
    /// Errors that came.
    pub(super) errors: u32,
    /// One of them named a parameter of ours.
    pub(super) named: bool,
    /// After an error: when no other is expected any more.
    pub(super) quiet_at: Option<Time>,
}

impl Batch {
    /// A value of it came.
    pub(super) fn was_heard_of(&self) -> bool {
        self.open.len() < self.asked.len()
    }

    pub(super) fn was_refused(&self) -> bool {
        self.errors > 0
    }
}

impl Cargo {
    pub(super) fn batch(group: Vec<ParamId>, sweep: bool) -> Cargo {
        let open = group.clone();
        Cargo::Batch(Batch { asked: group, open, sweep, errors: 0, named: false, quiet_at: None })
    }

    /// As it is sent.
    pub(super) fn line(&self, id: u32) -> String {
        let id = Some(id);
        match self {
            Cargo::Batch(batch) => {
                let items: Vec<_> =
                    batch.asked.iter().map(|param| (param.to_string(), param.aspect.format())).collect();
                control::line(Command::Subscribe(&items), id)
            }
            Cargo::KeepAlive => {
                control::line(Command::Get(&[(KEEP_ALIVE_PARAM.to_owned(), Format::Str)]), id)
            }
            Cargo::Command { command: Waiting { order, .. }, .. } => {
                let param = || order.param.clone();
                match &order.deed {
                    Deed::Get(format) => control::line(Command::Get(&[(param(), *format)]), id),
                    Deed::Set(value) => control::line(Command::Set(&[(param(), value.clone())]), id),
                    Deed::Bump(value) => control::line(Command::Bump(&[(param(), value.clone())]), id),
                }
            }
        }
    }

    /// The value that a user asked for, among those that came: in the form he asked for, or, where the answer bears his
    /// command's id, in whatever form it has.
    pub(super) fn wanted(&self, values: &[atlas::answer::Named], by_id: bool) -> Option<Value> {
        let Cargo::Command { command, .. } = self else { return None };
        let Order { param, deed: Deed::Get(format) } = &command.order else { return None };
        let mut named = values.iter().filter(|named| named.param == *param);
        let right = named.clone().find(|named| named.value.format() == *format);
        right.or_else(|| named.next().filter(|_| by_id)).map(|named| named.value.clone())
    }
}
