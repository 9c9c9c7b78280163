//! How many datagrams are due: a pure function of the time.

use std::time::Duration;

/// A pace that is kept over the whole time, with bounded bursts: who falls behind by more gives up the rest.
#[derive(Clone, Debug)]
pub struct Pace {
    rate: f64,
    burst: u64,
    granted: u64,
    late: u64,
}

impl Pace {
    /// `rate` datagrams a second, at most `burst` of them at once.
    #[must_use]
    pub fn new(rate: f64, burst: u64) -> Pace {
        Pace { rate, burst: burst.max(1), granted: 0, late: 0 }
    }

    /// How many are due `since` the start, less those granted before. What is granted is taken for sent.
    pub fn due(&mut self, since: Duration) -> u64 {
        let by_now = (since.as_secs_f64() * self.rate) as u64;
        let behind = by_now.saturating_sub(self.granted + self.late);
        let due = behind.min(self.burst);
        self.late += behind - due;
        self.granted += due;
        due
    }

    /// When, counted from the start, the next one is due.
    #[must_use]
    pub fn next(&self) -> Duration {
        let next = (self.granted + self.late + 1) as f64 / self.rate;
        Duration::try_from_secs_f64(next).unwrap_or(Duration::MAX) // a rate of nothing is never
    }

    /// Datagrams that were given up.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_pace_is_kept_exactly_over_the_whole_time() {
        let mut pace = Pace::new(33_333.0, 1000);
        let sum: u64 = (1..=3000).map(|tick| pace.due(tick * MS)).sum();
        assert_eq!((sum, pace.late()), (99_999, 0));
    }

    #[test]
    fn who_falls_behind_catches_up_with_a_burst_and_gives_up_the_rest() {
        let mut pace = Pace::new(1000.0, 50);
        assert_eq!(pace.due(10 * MS), 10);
        assert_eq!(pace.due(500 * MS), 50, "490 are due");
        assert_eq!(pace.late(), 440);
        assert_eq!(pace.due(500 * MS), 0, "what was given up stays so");
        assert_eq!(pace.due(501 * MS), 1);
    }

    #[test]
    fn it_says_when_the_next_one_is_due() {
        let mut pace = Pace::new(4.0, 10);
        assert_eq!((pace.next(), pace.due(249 * MS)), (250 * MS, 0));
        assert_eq!((pace.due(250 * MS), pace.next()), (1, 500 * MS));
        assert_eq!(Pace::new(0.0, 1).next(), Duration::MAX);
    }
}
