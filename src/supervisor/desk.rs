//! Who asked for what, until it is answered.

use std::collections::BTreeMap;

use super::control::Client;
use crate::core::{Generation, Ticket};

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A signal, by its name: it hears the log.
    Signal(&'static str),
    Client(Client),
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    Reload(Generation),
    Restart,
    Stop,
}

/// The open tickets.
#[derive(Default)]
pub(super) struct Desk {
    open: BTreeMap<Ticket, (Errand, Vec<Asker>)>,
    last: u64,
    /// Who wants one more reload once the one under way is over: they share it.
    again: Vec<Asker>,
}

impl Desk {
    pub(super) fn open(&mut self, errand: Errand, askers: Vec<Asker>) -> Ticket {
        self.last += 1;
        self.open.insert(Ticket(self.last), (errand, askers));
        Ticket(self.last)
    }

    pub(super) fn close(&mut self, ticket: Ticket) -> Option<(Errand, Vec<Asker>)> {
        self.open.remove(&ticket)
    }

    /// Whether a reload is under way, or waits in the core for its turn.
    pub(super) fn is_reloading(&self) -> bool {
        self.open.values().any(|(errand, _)| matches!(errand, Errand::Reload(_)))
    }

    /// Somebody wants a reload while one is under way. A signal needs no second note of itself; clients are bounded
    /// by the control socket.
    pub(super) fn fold(&mut self, asker: Asker) {
        if !self.again.contains(&asker) {
            self.again.push(asker);
        }
    }

    /// Those who wanted one more, now that its turn has come.
    pub(super) fn take_folded(&mut self) -> Vec<Asker> {
        std::mem::take(&mut self.again)
    }
}
