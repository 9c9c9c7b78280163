//! Who asked for what, until it is answered.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::control::Client;
use crate::core::{Generation, Ticket};

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Asker {
    /// A signal, by its name: it hears the log.
    Signal(Cow<'static, str>),
    Client(Client),
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Errand {
    Reload(Generation),
    Restart,
    Scale,
    Stop,
}

/// Those who may wait for one more reload, or for the upgrade under way.
const MAX_FOLDED: usize = 128;

/// The open tickets.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Desk {
    open: BTreeMap<Ticket, (Errand, Vec<Asker>)>,
    last: u64,
    /// Who wants one more reload once the one under way is over: they share it.
    again: Vec<Asker>,
    /// Open tickets of scalings that ask for more, or fewer, than there can be.
    #[serde(default)]
    cut: BTreeSet<Ticket>,
}

impl Asker {
    pub(super) fn signal(name: &'static str) -> Asker {
        Asker::Signal(Cow::Borrowed(name))
    }
}

impl Desk {
    pub(super) fn open(&mut self, errand: Errand, askers: Vec<Asker>) -> Ticket {
        self.last += 1;
        self.open.insert(Ticket(self.last), (errand, askers));
        Ticket(self.last)
    }

    pub(super) fn note_cut(&mut self, ticket: Ticket) {
        self.cut.insert(ticket);
    }

    pub(super) fn was_cut(&self, ticket: Ticket) -> bool {
        self.cut.contains(&ticket)
    }

    pub(super) fn close(&mut self, ticket: Ticket) -> Option<(Errand, Vec<Asker>)> {
        self.cut.remove(&ticket);
        self.open.remove(&ticket)
    }

    /// Whether a reload is under way, or waits in the core for its turn.
    pub(super) fn is_reloading(&self) -> bool {
        self.open.values().any(|(errand, _)| matches!(errand, Errand::Reload(_)))
    }

    /// Somebody wants a reload while one is under way; false if too many do.
    pub(super) fn fold(&mut self, asker: &Asker) -> bool {
        join(&mut self.again, asker)
    }

    /// Lets somebody wait for the stop that is under way; false if there is none.
    pub(super) fn join_stop(&mut self, askers: &[Asker]) -> bool {
        let stop = self.open.values_mut().rev().find(|(errand, _)| *errand == Errand::Stop);
        let Some((_, waiting)) = stop else { return false };
        // One too many hears of the end by its connection's.
        let room = MAX_FOLDED.saturating_sub(waiting.len());
        waiting.extend(askers.iter().take(room).cloned());
        true
    }

    /// Those who wanted one more, now that its turn has come.
    pub(super) fn take_folded(&mut self) -> Vec<Asker> {
        std::mem::take(&mut self.again)
    }
}

/// Lets one more wait with others; false if too many do. Who waits already has his place: a signal needs no second note
/// of itself.
pub(super) fn join(waiting: &mut Vec<Asker>, asker: &Asker) -> bool {
    if waiting.contains(asker) {
        return true;
    }
    let room = waiting.len() < MAX_FOLDED;
    if room {
        waiting.push(asker.clone());
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_may_wait_and_nobody_twice() {
        let mut waiting = Vec::new();
        for number in 0..MAX_FOLDED as u64 {
            assert!(join(&mut waiting, &Asker::Client(Client::numbered(number))));
        }
        assert!(!join(&mut waiting, &Asker::signal("SIGUSR2")), "one too many");
        assert!(join(&mut waiting, &Asker::Client(Client::numbered(0))), "it waits already");
        assert_eq!(waiting.len(), MAX_FOLDED);
    }
}
