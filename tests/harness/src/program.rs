//! A command of ours that runs beside a cluster: what it says is kept by threads, so that nobody waits for it for ever.

use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::log::Log;
use crate::{process, wait_for, wait_until};

/// One that does not outlive its test.
#[derive(Debug)]
pub struct Program {
    child: Child,
    printed: Log,
    said: Log,
    /// Lines of standard output that were taken.
    taken: usize,
}

impl Program {
    /// Starts it, with no input.
    ///
    /// # Panics
    /// When it can't be started.
    #[track_caller]
    #[must_use]
    pub fn start(mut command: Command) -> Program {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let printed = Log::of(child.stdout.take().expect("standard output is a pipe"));
        let said = Log::of(child.stderr.take().expect("standard error is a pipe"));
        Program { child, printed, said, taken: 0 }
    }

    /// Its pid.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// The next line of its standard output, once it is whole.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let next = self.taken;
        self.taken += 1;
        wait_for(format_args!("line {next} of its output"), || whole_line(&self.printed.text(), next))
    }

    /// The first line of its standard error, once it is whole.
    #[track_caller]
    #[must_use]
    pub fn first_said(&self) -> String {
        wait_for("the first line of its standard error", || whole_line(&self.said.text(), 0))
    }

    /// All of its standard error so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.text()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// Waits for its end, and for the last of what it says; its exit code, -1 for a signal.
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        let status = wait_for("the program ends", || self.child.try_wait().expect("our own child"));
        wait_until("its words are complete", || self.printed.has_ended() && self.said.has_ended());
        status.code().unwrap_or(-1)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn whole_line(text: &str, number: usize) -> Option<String> {
    let line = text.split_inclusive('\n').nth(number)?;
    line.strip_suffix('\n').map(str::to_owned)
}
