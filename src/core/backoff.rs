//! How long to wait before the next start: at once after a stable run, longer and longer after unstable ones.

use super::event::Policy;
use std::time::Duration;

/// Beyond so many steps every start has reached every cap (1.5^63 is above 10^11): the loop's limit.
const MAX_STEPS: u32 = 64;

/// What follows an unplanned exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    AtOnce,
    After(Duration),
    GiveUp,
}

/// Judges an unplanned exit; `unstable` counts those of unstable runs in a row, this one not yet included.
pub(super) fn after_exit(policy: &Policy, stable: bool, unstable: &mut u32) -> Next {
    if stable {
        *unstable = 0;
        return Next::AtOnce;
    }
    *unstable = unstable.saturating_add(1);
    if policy.max_restarts > 0 && *unstable >= policy.max_restarts {
        return Next::GiveUp;
    }
    Next::After(delay(policy, *unstable))
}

/// `backoff_start` × 1.5 for each failure after the first, at most `backoff_max`.
pub(super) fn delay(policy: &Policy, failures: u32) -> Duration {
    let longer = |wait: Duration| (wait.saturating_mul(3) / 2).min(policy.backoff_max);
    (1..failures.min(MAX_STEPS)).fold(policy.backoff_start.min(policy.backoff_max), |wait, _| longer(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(max_restarts: u32) -> Policy {
        let ms = Duration::from_millis;
        Policy {
            listen_timeout: ms(3000),
            kill_timeout: ms(1600),
            min_uptime: ms(1000),
            backoff_start: ms(100),
            backoff_max: ms(15_000),
            max_restarts,
            watchdog: None,
            mute: false,
            checked: false,
        }
    }

    #[test]
    fn waits_grow_by_half_up_to_the_cap() {
        let micros: Vec<u128> = (1..=5).map(|n| delay(&policy(0), n).as_micros()).collect();
        assert_eq!(micros, [100_000, 150_000, 225_000, 337_500, 506_250]);
        assert_eq!(delay(&policy(0), 13).as_millis(), 12_974);
        assert_eq!(delay(&policy(0), 14).as_millis(), 15_000);
        assert_eq!(delay(&policy(0), u32::MAX).as_millis(), 15_000);
    }

    #[test]
    fn a_zero_start_never_waits_and_a_start_above_the_cap_is_cut() {
        assert_eq!(delay(&Policy { backoff_start: Duration::ZERO, ..policy(0) }, 9), Duration::ZERO);
        assert_eq!(delay(&Policy { backoff_start: Duration::MAX, ..policy(0) }, 1).as_millis(), 15_000);
        assert_eq!(
            delay(&Policy { backoff_max: Duration::MAX, ..policy(0) }, u32::MAX).as_secs(),
            12_409_358_187
        );
    }

    #[test]
    fn a_stable_run_resets_the_count_and_max_restarts_ends_it() {
        let mut unstable = 2;
        assert_eq!(after_exit(&policy(3), false, &mut unstable), Next::GiveUp);
        assert_eq!(after_exit(&policy(3), true, &mut unstable), Next::AtOnce);
        assert_eq!(unstable, 0);
        assert_eq!(after_exit(&policy(3), false, &mut unstable), Next::After(Duration::from_millis(100)));
        let mut many = u32::MAX;
        assert_eq!(after_exit(&policy(0), false, &mut many), Next::After(Duration::from_secs(15)));
        assert_eq!(many, u32::MAX);
    }
}
