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

/// Both clocks at one moment, so that a wall-clock stamp can be told in time since boot.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Time since boot.
    pub boot: Duration,
    /// Time since the epoch at that moment.
    pub real: Duration,
}

impl Moment {
    /// Reads boot, wall, boot; again if somebody came between for longer than 20 µs, three times at the most.
    #[must_use]
    pub fn now() -> Moment {
        let mut moment = Moment { boot: Duration::ZERO, real: Duration::ZERO };
        for _ in 0..3 {
            let before = boot();
            moment.real = read(ClockId::CLOCK_REALTIME);
            moment.boot = boot();
            if moment.boot.saturating_sub(before) < Duration::from_micros(20) {
                break;
            }
        }
        moment
    }

    /// When, in time since boot, something happened that is stamped with wall-clock time. Later than now is now; no
    /// stamp is now.
    #[must_use]
    pub fn boot_time_of(&self, stamp: Option<Duration>) -> Duration {
        let age = stamp.map_or(Duration::ZERO, |stamp| self.real.saturating_sub(stamp));
        self.boot.saturating_sub(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_becomes_time_since_boot_whatever_the_wall_clock_does() {
        let seconds = Duration::from_secs;
        let moment = Moment { boot: seconds(1000), real: seconds(5000) };
        for (stamp, expected, why) in [
            (Some(4990), 990, "ten seconds ago"),
            (Some(5000), 1000, "now"),
            (Some(9000), 1000, "the wall clock was set back meanwhile: later than now is now"),
            (Some(0), 0, "before boot is boot"),
            (None, 1000, "no stamp"),
        ] {
            assert_eq!(moment.boot_time_of(stamp.map(seconds)), seconds(expected), "{why}");
        }
    }
}
