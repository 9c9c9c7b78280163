//! The core's clock: CLOCK_MONOTONIC, which an exec of the supervisor does not disturb.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::core::Tick;

/// Nanoseconds since some moment before this boot's first process.
pub(super) fn now() -> Tick {
    // This clock exists on every Linux (clock_gettime(2)).
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    Tick(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// The time since then.
pub(super) fn since(then: Tick) -> Duration {
    now().since(then)
}
