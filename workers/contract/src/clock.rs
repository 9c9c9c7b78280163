//! Clocks: how long the machine has been up, and what that means in wall-clock time.

use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> Duration {
    // These two clocks exist on every Linux (clock_gettime(2)); zero would make readings old, never wrong.
    Duration::from(clock_gettime(clock).unwrap_or(TimeSpec::new(0, 0)))
}

/// Time since boot, suspended time included (CLOCK_BOOTTIME): never set back.
#[must_use]
pub fn boot() -> Duration {
    read(ClockId::CLOCK_BOOTTIME)
}

/// Both clocks at one moment, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// Time since boot.
    boot: u64,
    /// Time since the epoch at that moment.
    real: u64,
}

impl Moment {
    /// Reads boot, wall, boot; again if somebody came between for longer than 20 µs, three times at the most.
    fn now() -> Moment {
        let mut moment = Moment { boot: 0, real: 0 };
        for _ in 0..3 {
            let before = nanos(boot());
            moment.real = nanos(read(ClockId::CLOCK_REALTIME));
            moment.boot = nanos(boot());
            if moment.boot.saturating_sub(before) < 20_000 {
                break;
            }
        }
        moment
    }
}

/// In nanoseconds: 584 years fit.
fn nanos(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(time.subsec_nanos()))
}

/// After so many nanoseconds the two clocks are compared anew. What steers the wall clock moves it by half a
/// millisecond at most meanwhile (adjtimex(2): 500 parts in a million).
const COMPARE: u64 = 1_000_000_000;
/// An arrival so many nanoseconds ago, or in the future, may be one before the wall clock was set: then too.
const LATE: u64 = 10_000_000;

/// Says when datagrams arrived, in time since boot, by the kernel's stamps, which are of the wall clock. A wall clock
/// that is set back must not make every arrival an old one: that would freeze meters.
///
/// One reading of one clock for each batch; the other is taken to have gone on like it since they were compared. They
/// are compared after a second, and in any batch with a stamp that tells of an arrival over 10 ms ago, or yet to come. So
/// an arrival is told within 0.5 ms; but within 10 ms, for a second, after the wall clock was set by less than that.
#[derive(Clone, Copy, Debug)]
pub struct Arrivals {
    now: Moment,
    /// When, since boot, the clocks were compared.
    compared: u64,
}

impl Arrivals {
    /// Compares the clocks.
    #[must_use]
    pub fn begin() -> Arrivals {
        let now = Moment::now();
        Arrivals { now, compared: now.boot }
    }

    /// A batch was received just now.
    pub fn batch(&mut self) {
        self.go_on_to(nanos(boot()), Moment::now);
    }

    /// Time since boot, as of the last batch.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.now.boot)
    }

    /// When something of this batch arrived that is stamped with wall-clock time: in µs since boot. Later than now is now;
    /// no stamp is now.
    #[inline]
    pub fn micros_of(&mut self, stamp: Option<Duration>) -> u64 {
        self.nanos_of(stamp, Moment::now) / 1000
    }

    fn go_on_to(&mut self, boot: u64, compare: impl FnOnce() -> Moment) {
        if boot.saturating_sub(self.compared) > COMPARE {
            self.compare(compare);
        } else {
            self.now.real = self.now.real.wrapping_add(boot).wrapping_sub(self.now.boot);
            self.now.boot = boot;
        }
    }

    #[cold]
    fn compare(&mut self, compare: impl FnOnce() -> Moment) {
        self.now = compare();
        self.compared = self.now.boot;
    }

    #[inline]
    fn nanos_of(&mut self, stamp: Option<Duration>, compare: impl FnOnce() -> Moment) -> u64 {
        let Some(stamp) = stamp.map(nanos) else { return self.now.boot };
        // Of one in the future this is as good as infinite.
        let age = self.now.real.wrapping_sub(stamp);
        if age < LATE {
            return self.now.boot.saturating_sub(age);
        }
        // Once a batch: the clocks are not read anew until the next.
        if self.compared != self.now.boot {
            self.compare(compare);
        }
        self.now.boot.saturating_sub(self.now.real.saturating_sub(stamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: f64 = 1e9;

    fn moment(boot: f64, real: f64) -> Moment {
        Moment { boot: (boot * SECOND) as u64, real: (real * SECOND) as u64 }
    }

    fn arrivals() -> Arrivals {
        let now = moment(1000.0, 5000.0);
        Arrivals { now, compared: now.boot }
    }

    /// Of an arrival that is stamped `stamp` seconds, the seconds since boot.
    fn told(arrivals: &mut Arrivals, stamp: f64, compare: impl FnOnce() -> Moment) -> f64 {
        arrivals.nanos_of(Some(Duration::from_secs_f64(stamp)), compare) as f64 / SECOND
    }

    fn never() -> Moment {
        panic!("there is no need to compare")
    }

    #[test]
    fn a_stamp_becomes_time_since_boot_whatever_the_wall_clock_does() {
        for (stamp, expected, why) in [
            (4990.0, 990.0, "ten seconds ago"),
            (5000.0, 1000.0, "now"),
            (9000.0, 1000.0, "the wall clock was set back meanwhile: later than now is now"),
            (0.0, 0.0, "before boot is boot"),
        ] {
            assert_eq!(told(&mut arrivals(), stamp, never), expected, "{why}");
        }
        assert_eq!(arrivals().micros_of(None), 1_000_000_000, "no stamp is now");
    }

    #[test]
    fn between_comparisons_one_clock_tells_for_both() {
        let mut arrivals = arrivals();
        arrivals.go_on_to(moment(1000.05, 0.0).boot, never);
        assert_eq!(told(&mut arrivals, 5000.0495, never), 1000.0495);
        arrivals.go_on_to(moment(1001.1, 0.0).boot, || moment(1001.1, 4000.0));
        assert_eq!(told(&mut arrivals, 3999.5, never), 1000.6, "compared a moment ago");
    }

    #[test]
    fn a_clock_that_was_set_is_found_out_by_the_first_stamp() {
        for (real, why) in [(4000.0, "back"), (6000.0, "forward")] {
            let mut arrivals = arrivals();
            arrivals.go_on_to(moment(1000.02, 0.0).boot, never);
            let stamp = real - 0.005;
            assert_eq!(told(&mut arrivals, stamp, || moment(1000.02, real)), 1000.015, "{why}");
            assert_eq!(told(&mut arrivals, stamp - 1.0, never), 999.015, "once a batch");
        }
    }

    #[test]
    fn what_waited_long_is_old_though_the_clocks_are_as_they_were() {
        let mut arrivals = arrivals();
        arrivals.go_on_to(moment(1000.05, 0.0).boot, never);
        assert_eq!(told(&mut arrivals, 4990.0, || moment(1000.05, 5000.05)), 990.0);
    }
}
