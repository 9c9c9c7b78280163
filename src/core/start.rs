//! How a process comes to be started, and how it shows that it could take over.

use super::event::Tick;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a process came to be started; decides whether its slot stays in the mask meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Start {
    /// Nobody read the slot before.
    Cold,
    /// By order, in place of one that read.
    Warm,
    /// After an unstable run.
    Retry,
    /// After a stable run.
    AtOnce,
}

impl Start {
    /// The queue will be read again in a moment: datagrams may go on coming.
    pub(super) fn keeps_mask(self) -> bool {
        match self {
            Start::Warm | Start::AtOnce => true,
            Start::Cold | Start::Retry => false,
        }
    }

    /// A start after an unplanned exit.
    pub(super) fn is_restart(self) -> bool {
        match self {
            Start::Retry | Start::AtOnce => true,
            Start::Cold | Start::Warm => false,
        }
    }
}

/// How a process that is launching shows that it could take over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum Proof {
    /// It says READY.
    #[default]
    Word,
    /// It says READY, or lives for so long with its slot bound.
    Life(Duration),
    /// Its slot is bound since then, and it lives: that alone is enough in the end.
    Lives { since: Tick },
    /// It says READY, and then its health command says that it is well.
    WordAndHealth,
    /// Its slot is bound, and then the same.
    BoundAndHealth,
    /// The health command is asked, until it says so.
    Health,
}
