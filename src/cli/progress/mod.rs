//! What a command waits for, told on standard error while it waits: one line, rewritten in place, gone when it is over.
//!
//! Only on a terminal. The answer to the order comes over a connection of its own; what is told here comes from views
//! that are asked for beside it, so a supervisor needs to know nothing of it, and one that does not answer is not
//! waited for.

mod step;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write, stderr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::unistd::{getpgrp, tcgetpgrp};

use self::step::Course;
pub(super) use self::step::Wait;
use super::client::Client;
use super::snapshot::Snapshot;
use super::terminal::{Look, is_smart};

/// What is over sooner than this is not worth a line.
const AFTER: Duration = Duration::from_millis(300);
/// How often the line is drawn anew.
const EVERY: Duration = Duration::from_millis(100);
/// How long a supervisor may take to say what it knows: the line stands still meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);
/// To the line's beginning, and what stands there goes.
const ERASE: &str = "\r\x1b[K";

/// Does `work`, and tells meanwhile what is waited for.
pub(super) fn during<T>(client: &Client, wait: Wait, work: impl FnOnce() -> T) -> T {
    let progress = Progress::begin(client, wait);
    let done = work();
    drop(progress);
    done
}

/// A line that is there until this is dropped.
pub(super) struct Progress {
    line: Arc<Mutex<Line>>,
    /// The signals that were held back before.
    mask: SigSet,
}

impl Progress {
    /// Tells of `wait` from now on; None where nobody would see it, or it cannot be done.
    pub(super) fn begin(client: &Client, wait: Wait) -> Option<Progress> {
        if !stderr().is_terminal() || !is_smart() {
            return None;
        }
        let ending = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        // Before the threads are there, so that none of them dies of these with a line half drawn.
        let mask = ending.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok()?;
        let progress = Progress { line: Arc::default(), mask };
        let (line, client) = (Arc::clone(&progress.line), client.clone());
        Builder::new().name("signals".into()).spawn(move || end_cleanly(&ending, &line)).ok()?;
        let line = Arc::clone(&progress.line);
        Builder::new().name("progress".into()).spawn(move || tell(&client, wait, &line)).ok()?;
        Some(progress)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        lock(&self.line).end();
        let _ = self.mask.thread_set_mask(); // refuses nothing but a `how` that it does not know
    }
}

/// The line on the terminal. Who draws or erases holds its lock.
#[derive(Default)]
struct Line {
    drawn: bool,
    over: bool,
}

impl Line {
    /// False once it is over.
    fn draw(&mut self, text: &str) -> bool {
        if self.over {
            return false;
        }
        // One call, so that nobody ever sees it without its text.
        self.drawn |= write(&format!("\r{text}\x1b[K")).is_ok();
        true
    }

    fn erase(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write(ERASE); // a terminal that is gone shows no line either
        }
    }

    fn end(&mut self) {
        self.erase();
        self.over = true;
    }
}

fn write(bytes: &str) -> io::Result<()> {
    let mut out = stderr().lock();
    out.write_all(bytes.as_bytes()).and_then(|()| out.flush())
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a signal, erases the line, and lets the signal do what it always does.
fn end_cleanly(ending: &SigSet, line: &Mutex<Line>) {
    while let Ok(signal) = ending.wait() {
        let mut line = lock(line);
        line.erase();
        if ending.thread_unblock().and_then(|()| raise(signal)).is_err() {
            return;
        }
        // It is ignored: so it was before.
        if ending.thread_block().is_err() {
            return;
        }
    }
}

/// Draws until the line is over.
fn tell(client: &Client, wait: Wait, line: &Mutex<Line>) {
    let begun = Instant::now();
    let look = || Snapshot::take(client, PATIENCE).ok().map(|snapshot| snapshot.view.list);
    let mut course = Course::new(wait, look());
    thread::sleep(AFTER.saturating_sub(begun.elapsed()));
    loop {
        if lock(line).over {
            return;
        }
        let now = look();
        if let Some(text) = course.line(now.as_ref(), begun.elapsed(), Look::of(&stderr()).columns)
            && is_in_front()
            && !lock(line).draw(&text)
        {
            return;
        }
        thread::sleep(EVERY);
    }
}

/// Whether the terminal is ours at the moment: a job in the background does not write into what somebody types. One
/// that is not our session's has nobody who types.
fn is_in_front() -> bool {
    tcgetpgrp(stderr()).map_or(true, |front| front == getpgrp())
}
