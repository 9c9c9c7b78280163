//! How many lines a processor may cause in the log: some at once, few in the long run.

use super::limits::{LINE_EVERY, LINES};
use super::words::Time;

/// Lines that may be written: a bucket that refills.
#[derive(Debug)]
pub(super) struct Budget {
    /// When all lines may be written at once again.
    full_at: Time,
}

impl Budget {
    pub(super) fn new(now: Time) -> Budget {
        Budget { full_at: now }
    }

    /// When a line may be written that leaves so many more.
    pub(super) fn room_at(&self, leaving: u32) -> Time {
        (self.full_at + LINE_EVERY).saturating_sub(LINE_EVERY * LINES.saturating_sub(leaving))
    }

    /// Whether a line that leaves so many more may be written now; counts it.
    pub(super) fn take(&mut self, now: Time, leaving: u32) -> bool {
        let some = self.room_at(leaving) <= now;
        if some {
            self.full_at = self.full_at.max(now) + LINE_EVERY;
        }
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_at_once_then_one_after_another_and_a_reserve_is_left() {
        let mut now = Time::from_secs(7);
        let mut budget = Budget::new(now);
        let mut count = |now, leaving| (0..100).filter(|_| budget.take(now, leaving)).count() as u32;
        assert_eq!((count(now, 5), count(now, 5), count(now, 0)), (LINES - 5, 0, 5));
        now += LINE_EVERY - Time::from_millis(1);
        assert_eq!(count(now, 0), 0);
        now += Time::from_millis(1);
        assert_eq!((count(now, 1), count(now, 0)), (0, 1));
        now += LINE_EVERY * 1000;
        assert_eq!(count(now, 0), LINES, "no more than at first");
    }

    #[test]
    fn when_there_is_room_is_told_exactly() {
        let now = Time::from_secs(1);
        let mut budget = Budget::new(now);
        while budget.take(now, 0) {}
        let at = budget.room_at(3);
        assert!(!budget.take(at - Time::from_nanos(1), 3) && budget.take(at, 3));
    }
}
