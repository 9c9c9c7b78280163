//! A process that runs for us for a moment and is no run: what it says and prints, and when it has to have ended.

use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::clock;
use super::notify::{Line, Said};
use super::tail::Tail;
use crate::core::Tick;

/// One that has been started, and not yet reaped.
pub(super) struct Helper {
    pid: Pid,
    line: Line,
    tail: Tail,
    until: Tick,
    late: bool,
}

impl Helper {
    /// One that began just now and has `patience` to end.
    pub(super) fn new(pid: Pid, line: Line, tail: Tail, patience: Duration) -> Helper {
        Helper { pid, line, tail, until: clock::now().after(patience), late: false }
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// When it will be killed, unless it was already.
    pub(super) fn deadline(&self) -> Option<Tick> {
        (!self.late).then_some(self.until)
    }

    /// Whether it was killed because it took too long.
    pub(super) fn is_late(&self) -> bool {
        self.late
    }

    /// Reads what it prints, and kills it when it takes too long. One that floods is read once in a turn; what wakes us
    /// up next is the rest of it.
    pub(super) fn watch(&mut self) {
        self.tail.read();
        if !self.late && self.until <= clock::now() {
            self.late = true;
            self.kill();
        }
    }

    /// It and whatever it has started.
    pub(super) fn kill(&self) {
        kill_all_of(self.pid);
    }

    /// Once it has ended: what it said on its line, and the last line that it printed.
    pub(super) fn last_words(&mut self) -> (Vec<Said>, Option<String>) {
        self.tail.read();
        (self.line.read().0, self.tail.last_line())
    }
}

/// Ends one, and whatever it has started, and takes its status: whom the kernel does not end at once is waited for a
/// second.
pub(super) fn end(pid: Pid) {
    kill_all_of(pid);
    for _ in 0..200 {
        if !matches!(sys::wait::reap(pid), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill_all_of(pid: Pid) {
    let _ = kill(pid, Signal::SIGKILL); // it may have gone over to another group (setpgid(2))
    let _ = killpg(pid, Signal::SIGKILL);
}
