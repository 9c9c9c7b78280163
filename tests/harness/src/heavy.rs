//! One heavy test at a time, whoever runs them: a lock that processes and threads share.

use std::fs::{File, OpenOptions};

use nix::fcntl::{Flock, FlockArg};

/// Held by the test that may load the machine.
#[must_use = "the lock is held as long as this lives"]
pub struct Heavy {
    _lock: Flock<File>,
}

/// Waits until no other heavy test runs.
///
/// # Panics
/// When the lock file in the temporary folder cannot be used.
pub fn heavy() -> Heavy {
    let path = std::env::temp_dir().join("atlas-cluster-heavy-test.lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.unwrap_or_else(|e| panic!("cannot open {}: {e}", path.display()));
    match Flock::lock(file, FlockArg::LockExclusive) {
        Ok(lock) => Heavy { _lock: lock },
        Err((_, e)) => panic!("cannot lock {}: {e}", path.display()),
    }
}
