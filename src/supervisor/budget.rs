//! How many lines may be written: many at once, few in the long run.

use std::fmt;
use std::time::{Duration, Instant};

use contract::{counted, were};
use log::Level;

/// A bucket of lines that refills. What does not fit is counted, and said with the next line that does.
pub(super) struct Budget {
    capacity: u32,
    each: Duration,
    left: u32,
    /// As of when `left` is right.
    refilled: Instant,
    left_out: u64,
}

impl Budget {
    /// `capacity` lines at once, `per_second` in the long run.
    pub(super) fn new(capacity: u32, per_second: u32) -> Budget {
        let each = Duration::from_secs(1) / per_second;
        Budget { capacity, each, left: capacity, refilled: Instant::now(), left_out: 0 }
    }

    pub(super) fn warn(&mut self, line: fmt::Arguments<'_>) {
        self.log(Level::Warn, line);
    }

    pub(super) fn log(&mut self, level: Level, line: fmt::Arguments<'_>) {
        if !self.take(Instant::now()) {
            self.left_out += 1;
            return;
        }
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            log::warn!("{} like the next one {} left out", counted(left_out, "line"), were(left_out));
        }
        log::log!(level, "{line}");
    }

    fn take(&mut self, now: Instant) -> bool {
        let new = now.saturating_duration_since(self.refilled).as_nanos() / self.each.as_nanos();
        let new = u32::try_from(new).unwrap_or(u32::MAX);
        if new > 0 {
            self.left = self.left.saturating_add(new).min(self.capacity);
            self.refilled = now;
        }
        let some = self.left > 0;
        self.left -= u32::from(some);
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_the_long_run_and_a_burst_is_not() {
        let mut budget = Budget::new(3, 2);
        let begin = budget.refilled;
        let at = |ms| begin + Duration::from_millis(ms);
        assert_eq!([0, 1, 2, 3].map(|ms| budget.take(at(ms))), [true, true, true, false]);
        let written = (0..100_000).filter(|&ms| budget.take(at(4 + ms))).count();
        assert_eq!(written, 200, "two a second");
        assert_eq!([200_000; 4].map(|ms| budget.take(at(ms))), [true, true, true, false]);
    }
}
