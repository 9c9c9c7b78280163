//! How far it is, for somebody who watches.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(2);

/// One line on the terminal, drawn over.
pub(crate) struct Progress {
    watched: bool,
    drawn: Option<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress { watched: stderr().is_terminal(), drawn: None }
    }

    /// Shows it, unless the last one is young or nobody watches.
    pub(crate) fn show(&mut self, line: impl Display) {
        let young = self.drawn.is_some_and(|drawn| drawn.elapsed() < PAUSE);
        if self.watched && !young {
            let _ = write!(stderr(), "\r\x1b[K{line}");
            self.drawn = Some(Instant::now());
        }
    }

    /// Leaves the line to what comes next.
    pub(crate) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
