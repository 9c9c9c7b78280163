//! The search for the highest rate that is sustained: pure; it says what to try next and is told what came of it.

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing was lost, and the receiver kept up, at this many datagrams a second: as many as were sent, which may be
    /// fewer than were asked for.
    Sustained(f64),
    /// Something was lost, or the receiver fell behind.
    Failed,
}

/// A bisection in equal ratios.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    low: f64,
    high: f64,
    left: u32,
    best: f64,
}

impl Search {
    /// Between two rates, in so many tries.
    pub(crate) fn new(low: f64, high: f64, tries: u32) -> Search {
        Search { low, high, left: tries, best: 0.0 }
    }

    /// The rate to try next; None when it is over.
    pub(crate) fn next(&self) -> Option<f64> {
        (self.left > 0 && self.low < self.high).then(|| (self.low * self.high).sqrt())
    }

    /// What came of the rate that [`Search::next`] gave.
    pub(crate) fn tell(&mut self, verdict: Verdict) {
        let Some(tried) = self.next() else { return };
        self.left -= 1;
        match verdict {
            Verdict::Sustained(rate) => {
                self.best = self.best.max(rate);
                self.low = tried;
            }
            Verdict::Failed => self.high = tried,
        }
    }

    /// The highest rate that was sustained; 0 if none was.
    pub(crate) fn best(&self) -> f64 {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A receiver that sustains `limit`, and a sender that reaches `most`.
    fn search(limit: f64, most: f64, tries: u32) -> (f64, u32) {
        let (mut search, mut tried) = (Search::new(4_000.0, 1_000_000.0, tries), 0);
        while let Some(rate) = search.next() {
            tried += 1;
            let reached = rate.min(most);
            search.tell(if reached <= limit { Verdict::Sustained(reached) } else { Verdict::Failed });
        }
        (search.best(), tried)
    }

    #[test]
    fn it_finds_the_limit_within_its_tries() {
        for limit in [5_000.0, 17_000.0, 123_456.0, 900_000.0] {
            let (best, tried) = search(limit, f64::INFINITY, 9);
            assert!(tried <= 9 && best <= limit && best > limit * 0.97, "{limit}: {best} after {tried}");
        }
    }

    #[test]
    fn a_sender_that_can_do_no_more_is_the_limit() {
        assert_eq!(search(700_000.0, 300_000.0, 9), (300_000.0, 9));
    }

    #[test]
    fn who_sustains_nothing_gets_nothing() {
        assert_eq!(search(100.0, f64::INFINITY, 9), (0.0, 9));
    }
}
