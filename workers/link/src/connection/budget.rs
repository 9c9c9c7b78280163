//! How many lines a processor may cause in the log: some at once, few in the long run.

use super::limits::{LINE_EVERY, LINES};
use super::words::Time;

/// A bucket of lines that refills.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    /// As of when `left` is right.
    refilled: Time,
}

impl Budget {
    pub(super) fn new(now: Time) -> Budget {
        Budget { left: LINES, refilled: now }
    }

    /// Whether one more line may be written.
    pub(super) fn take(&mut self, now: Time) -> bool {
        let new = now.saturating_sub(self.refilled).as_secs() / LINE_EVERY.as_secs();
        if new > 0 {
            self.left = self.left.saturating_add(u32::try_from(new).unwrap_or(u32::MAX)).min(LINES);
            self.refilled = now;
        }
        let some = self.left > 0;
        self.left -= u32::from(some);
        some
    }
}
