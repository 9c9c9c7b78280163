//! Whoever started us in the background, and waits for our word: `cli/daemon.rs` is its side of this.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use super::resume;
use crate::wire::{Begun, STARTER, Trouble};

/// The line to it: our standard output, until we have one of our own.
pub(crate) struct Starter {
    line: File,
    logs: PathBuf,
}

/// Whether this process is, or goes on from, one that was started to run in the background.
pub(crate) fn in_background() -> bool {
    let starter = std::env::var(STARTER).ok();
    resume::state().is_some() || starter.is_some_and(|pid| pid == nix::unistd::getppid().as_raw().to_string())
}

impl Starter {
    /// Leaves the session, and takes over the line.
    pub(super) fn meet(logs: PathBuf) -> io::Result<Starter> {
        let _ = nix::unistd::setsid(); // refused to who leads one already
        let line = sys::fds::duplicate(io::stdout().as_fd())?;
        Ok(Starter { line: line.into(), logs })
    }

    /// Leaves the terminal: what we print goes where our log goes.
    pub(super) fn detach(&self, output: BorrowedFd<'_>) -> io::Result<()> {
        nix::unistd::dup2_stdout(output)?;
        Ok(nix::unistd::dup2_stderr(output)?)
    }

    /// Every worker is online.
    pub(super) fn online(self) {
        self.tell(None);
    }

    /// It did not come up.
    pub(super) fn failed(self, trouble: &Trouble) {
        self.tell(Some(trouble.clone()));
    }

    /// Whoever does not wait any more is none of our concern.
    fn tell(mut self, trouble: Option<Trouble>) {
        let logs = self.logs.to_string_lossy().into_owned();
        let begun = Begun { pid: std::process::id(), logs, trouble };
        let _ = serde_json::to_vec(&begun).map(|word| self.line.write_all(&word));
    }
}
