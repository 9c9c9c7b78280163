//! Waiting for a condition: the one place that sleeps for one.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

use crate::trouble::Trouble;

/// How long anything may take that should come soon.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks: what is measured by looking is so much too long at the most.
pub(crate) const PAUSE: Duration = Duration::from_micros(500);

/// Looks again and again until there is something to see.
pub(crate) fn wait_for<T>(
    what: impl Display,
    mut look: impl FnMut() -> Result<Option<T>, Trouble>,
) -> Result<T, Trouble> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        if Instant::now() >= deadline {
            let what = format!("waited {} s in vain: {what}", PATIENCE.as_secs());
            return Err(Trouble::broken(
                what,
                "--only tries a single figure; a busy machine may be too slow",
            ));
        }
        thread::sleep(PAUSE);
    }
}
