//! Waiting for a condition: the one place that sleeps.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what should come at once: the machine may be busy with others.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(4);

/// Looks again and again until there is something to see; None after `patience`.
pub fn try_for<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

/// Waits for something to see.
///
/// # Panics
/// With `what`, when it does not come within [`PATIENCE`].
#[track_caller]
pub fn wait_for<T>(what: impl Display, look: impl FnMut() -> Option<T>) -> T {
    match try_for(PATIENCE, look) {
        Some(seen) => seen,
        None => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}

/// Waits for a condition.
///
/// # Panics
/// With `what`, when it does not come within [`PATIENCE`].
#[track_caller]
pub fn wait_until(what: impl Display, mut look: impl FnMut() -> bool) {
    wait_for(what, || look().then_some(()));
}
