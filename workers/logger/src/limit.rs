//! How much one source may write: many lines at once, fewer in the long run. Pure, told the time.
//!
//! ```text
//!  open ──── a line for which nothing is left ───▶ muted: lines are left out, and counted
//!   ▲                                               │
//!   └── a second's worth is there again, enough ────┘
//!       for any line; one says how many were left out
//! ```

use crate::lines::MAX_LINE;

/// A second's worth, so many times, may come at once.
const BURST: u64 = 10;
/// So many bytes of a line, at most, count as one line.
const BYTES: usize = 1024;

/// Thousandths of a line that one of so many bytes costs.
const fn cost(bytes: usize) -> u64 {
    1000 * (1 + (bytes / BYTES) as u64)
}

/// What one source has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Thousandths of a line.
    pub(crate) left: u64,
    /// As of when that is right, in ms since boot; 0: never looked at.
    pub(crate) at: u64,
    /// Lines that were left out and not told of.
    pub(crate) left_out: u64,
    /// Until a second's worth is there again.
    pub(crate) muted: bool,
}

impl Limit {
    /// Whether a line of so many bytes may be written; `rate` is in lines a second, 0 = any number.
    pub(crate) fn admit(&mut self, now: u64, rate: u64, bytes: usize) -> bool {
        if rate == 0 {
            return true;
        }
        self.refill(now, rate);
        let cost = cost(bytes);
        if !self.muted && self.left >= cost {
            self.left -= cost;
            return true;
        }
        if !self.muted {
            // What is left goes for the line that will tell of it: so there is one a second at most.
            (self.muted, self.left) = (true, 0);
        }
        self.left_out += 1;
        false
    }

    /// How many lines were left out, to be told now: the source is heard again.
    pub(crate) fn reopen(&mut self, now: u64, rate: u64) -> Option<u64> {
        self.refill(now, rate);
        if !self.muted || (rate > 0 && self.left < (1000 * rate).max(cost(MAX_LINE))) {
            return None;
        }
        self.muted = false;
        self.take_left_out()
    }

    /// How many lines were left out and are not told of, to be told now, heard again or not.
    pub(crate) fn take_left_out(&mut self) -> Option<u64> {
        let number = std::mem::take(&mut self.left_out);
        (number > 0).then_some(number)
    }

    fn refill(&mut self, now: u64, rate: u64) {
        let full = 1000 * BURST * rate;
        let new = if self.at == 0 { full } else { now.saturating_sub(self.at).saturating_mul(rate) };
        self.left = self.left.saturating_add(new).min(full);
        self.at = now.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `lines` a millisecond for `ms`: how many were written, how often something was told, what was left out.
    fn flood(limit: &mut Limit, from: u64, ms: u64, lines: u64) -> (u64, u64, u64) {
        let (mut written, mut told, mut left_out) = (0, 0, 0);
        for now in from..from + ms {
            if let Some(number) = limit.reopen(now, 100) {
                told += 1;
                left_out += number;
            }
            written += (0..lines).filter(|_| limit.admit(now, 100, 80)).count() as u64;
        }
        (written, told, left_out + limit.left_out)
    }

    #[test]
    fn a_flood_is_cut_to_the_long_run_and_told_once_a_second() {
        let mut limit = Limit::default();
        let (written, told, left_out) = flood(&mut limit, 1, 60_000, 10);
        assert_eq!(written + left_out, 600_000, "each line is written or counted");
        assert!((6900..=7100).contains(&written), "a burst of 1000, then 100 a second: {written}");
        assert!((50..=62).contains(&told), "{told}");
    }

    #[test]
    fn a_burst_is_no_flood_and_what_pauses_is_heard_again() {
        let mut limit = Limit::default();
        assert_eq!((0..1000).filter(|_| limit.admit(1, 100, 80)).count(), 1000);
        assert!(!limit.admit(1, 100, 80));
        assert_eq!(limit.reopen(900, 100), None, "not a second's worth yet");
        assert_eq!(limit.reopen(1001, 100), Some(1));
        assert!(limit.admit(1001, 100, 80));
        assert_eq!(limit.reopen(1001, 100), None);
    }

    #[test]
    fn long_lines_cost_more_and_zero_is_no_limit() {
        let mut limit = Limit::default();
        assert_eq!((0..1000).filter(|_| limit.admit(1, 100, 4096)).count(), 200);
        assert!((0..100_000).all(|_| limit.admit(1, 0, 80)));
        assert_eq!(limit.reopen(2, 0), Some(800), "a limit that was lifted leaves nothing untold");
    }

    #[test]
    fn a_flood_of_long_lines_is_told_once_a_second_at_any_rate() {
        for rate in [1, 2, 8, 9, 50] {
            let (mut limit, mut told) = (Limit::default(), Vec::new());
            for now in (1..30_000).step_by(10) {
                told.extend(limit.reopen(now, rate).map(|_| now));
                let _ = limit.admit(now, rate, 100) && limit.admit(now, rate, MAX_LINE);
            }
            assert!(told.len() > 2, "it is heard again: {told:?}");
            assert!(told.windows(2).all(|pair| pair[1] - pair[0] >= 990), "{rate} a second: {told:?}");
        }
    }
}
