//! strace at work on a process of a cluster.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::place::Place;
use crate::process;

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
        let _ = self.child.wait();
    }
}
