//! Plans and times for the worlds.

use super::super::*;
use std::time::Duration;

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The defaults of the interface, and a watchdog.
pub(super) fn policy() -> Policy {
    Policy {
        listen_timeout: ms(3000),
        kill_timeout: ms(1600),
        min_uptime: ms(1000),
        backoff_start: ms(100),
        backoff_max: ms(15_000),
        max_restarts: 0,
        watchdog: Some(ms(10_000)),
        mute: false,
        checked: false,
    }
}

pub(super) fn plan(workers: u8) -> Plan {
    Plan { workers, roles: RoleSet(0), last: None, worker: policy(), role: policy() }
}
