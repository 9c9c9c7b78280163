//! Signs of life for whoever started us: WATCHDOG=1, twice as often as he wants to hear it (sd_watchdog_enabled(3)).
//!
//! They are given by the loop itself: one that hangs gives none, is killed for it, and whoever comes next takes up what
//! lies in the store above.

use std::time::Duration;

use crate::core::Tick;

/// How often he wants to hear us, and when it is time again.
pub(super) struct Pulse {
    wanted: Duration,
    next: Tick,
}

impl Pulse {
    /// As the environment asks for it, if it asks this process.
    pub(super) fn from_environment() -> Option<Pulse> {
        let variable = |name: &str| std::env::var(name).ok();
        let pulse = Pulse::asked(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref());
        // At once: the time that he waits has begun.
        pulse.map(|wanted| Pulse { wanted, next: Tick(0) })
    }

    fn asked(micros: Option<&str>, pid: Option<&str>) -> Option<Duration> {
        let ours = pid.is_none_or(|pid| pid == std::process::id().to_string());
        micros?.parse().ok().filter(|&micros| ours && micros > 0).map(Duration::from_micros)
    }

    /// Whether it is time; then the next time is set.
    pub(super) fn beats(&mut self, now: Tick) -> bool {
        let due = self.next <= now;
        if due {
            self.next = now.after(self.wanted / 2);
        }
        due
    }

    /// When it is time again.
    pub(super) fn deadline(&self) -> Tick {
        self.next
    }

    /// How often he wants to hear us.
    pub(super) fn wanted(&self) -> Duration {
        self.wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_process_is_asked_and_only_by_a_number() {
        let me = std::process::id().to_string();
        for (micros, pid, wanted) in [
            (Some("3000000"), None, Some(3)),
            (Some("3000000"), Some(me.as_str()), Some(3)),
            (Some("3000000"), Some("1"), None),
            (Some("0"), None, None),
            (Some("soon"), None, None),
            (None, Some(me.as_str()), None),
        ] {
            assert_eq!(Pulse::asked(micros, pid), wanted.map(Duration::from_secs), "{micros:?} {pid:?}");
        }
    }

    #[test]
    fn it_beats_at_once_and_then_twice_in_the_time_that_is_waited() {
        let mut pulse = Pulse { wanted: Duration::from_nanos(10), next: Tick(0) };
        let beats: Vec<bool> = [7, 8, 11, 12, 30, 31].map(|now| pulse.beats(Tick(now))).to_vec();
        assert_eq!(beats, [true, false, false, true, true, false]);
        assert_eq!(pulse.deadline(), Tick(35));
    }
}
