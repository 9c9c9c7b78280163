//! strace at work on a process of a cluster.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::place::Place;
use crate::process;

/// How long it may take to let go.
const PATIENCE: Duration = Duration::from_secs(5);

/// It lets go of everybody when it is dropped.
pub struct Strace {
    child: Child,
    output: PathBuf,
}

impl Strace {
    /// Begins to attach to `pid`, told so by `words`.
    ///
    /// # Panics
    /// Without strace.
    #[track_caller]
    pub fn begin(place: &Place, pid: i32, words: &[&str]) -> Strace {
        let output = place.folder().join("strace");
        let _ = std::fs::remove_file(&output);
        let mut command = Command::new("strace");
        command.args(["-p", &pid.to_string(), "-o"]).arg(&output).args(words);
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|e| panic!("strace: {e}: apt-get install strace"));
        Strace { child, output }
    }

    /// Its own number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it saw.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        process::signal(i32::try_from(self.child.id()).expect("a pid"), Signal::SIGTERM);
        // It may wait for ever for one that was killed while it was held up in a call. Who is traced is let go by its death.
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
