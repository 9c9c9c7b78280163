//! The end of a door: it takes nobody new, and lets go of each client once he has what he asked for.

use std::time::Duration;

use mio::Registry;

use super::Door;

/// Who was just taken has not said yet what he wants: so long he is waited for.
pub(crate) const FRESH: Duration = Duration::from_millis(100);

impl Door {
    /// Takes nobody any more: who comes waits in the kernel's queue, which is kept. Of those that are there all is taken
    /// that they have said so far.
    pub(crate) fn close(&mut self, registry: &Registry) {
        // Nothing is watched there any more, so nothing says that somebody can be taken. It fails for what is not watched.
        let _ = registry.deregister(&mut self.listener);
        self.accepting.end();
        self.clients.retain(|_, client| client.follows.is_some() || client.hear_out().is_ok());
    }

    /// Lets go of everybody who waits for nothing. Answers whether others are left; who records is no reason to stay.
    pub(crate) fn let_go(&mut self, now: Duration) -> bool {
        self.clients.retain(|_, client| client.follows.is_some() || client.waits(now));
        self.clients.values().any(|client| client.follows.is_none())
    }
}
