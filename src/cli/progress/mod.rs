//! What a command waits for, told on standard error while it waits: one line, rewritten in place, gone when it is over.
//!
//! Only on a terminal. The answer to the order comes over a connection of its own; what is told here comes from views
//! that are asked for beside it, so a supervisor needs to know nothing of it, and of one that does not answer that is
//! told.

mod step;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write, stderr};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::unistd::{getpgrp, tcgetpgrp};

pub(super) use self::step::{Course, Wait};
use self::step::{Sight, Silence};
use super::client::{self, Client};
use super::error::Error;
use super::snapshot::Snapshot;
use super::terminal::Look;
use crate::colour::is_smart;
use crate::wire::List;

/// What is over sooner than this is not worth a line.
const AFTER: Duration = Duration::from_millis(300);
/// How often the supervisor is asked, and the line drawn anew.
const EVERY: Duration = Duration::from_millis(100);
/// How long a supervisor may take to say what it knows before it is told that it does not.
const PATIENCE: Duration = Duration::from_secs(1);
/// What ends or stops this process, with the line on the terminal.
const ENDING: [Signal; 5] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP];
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
        let ending = SigSet::from_iter(ENDING);
        // Before the threads are there, so that none of them dies of these with a line half drawn.
        let mask = ending.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok()?;
        let progress = Progress { line: Arc::default(), mask };
        let line = || Arc::clone(&progress.line);
        let (signals_line, eyes_line, line) = (line(), line(), line());
        let sight = Arc::new(Mutex::new(Sight::Nothing));
        let (seen, client) = (Arc::clone(&sight), client.clone());
        let (give, looked) = channel();
        let begun = Instant::now();
        let spawn =
            |name: &str, work: Box<dyn FnOnce() + Send>| Builder::new().name(name.into()).spawn(work).ok();
        spawn("signals", Box::new(move || end_cleanly(&ending, &signals_line)))?;
        spawn("eyes", Box::new(move || look(&client, &seen, &eyes_line, give)))?;
        // The order is given once this returns: a look that began after it may show what it has done already.
        let before = if wait.compares() { looked.recv().ok().flatten() } else { None };
        spawn("progress", Box::new(move || tell(Course::new(wait, before), begun, &sight, &line)))?;
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
    fn draw(&mut self, text: &str) {
        // One call, so that nobody ever sees it without its text.
        self.drawn |= write(&format!("\r{text}\x1b[K")).is_ok();
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

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a signal, erases the line, and lets the signal do what it always does: end the process, or stop it until somebody
/// lets it go on. Nobody draws meanwhile.
fn end_cleanly(ending: &SigSet, line: &Mutex<Line>) {
    while let Ok(signal) = ending.wait() {
        let mut line = lock(line);
        line.erase();
        if ending.thread_unblock().and_then(|()| raise(signal)).is_err() {
            return;
        }
        // It is ignored, as it was before; or the process goes on.
        if ending.thread_block().is_err() {
            return;
        }
    }
}

/// Looks until the line is over. What it sees first, if it sees anything, it gives away.
fn look(client: &Client, sight: &Mutex<Sight>, line: &Mutex<Line>, first: Sender<Option<List>>) {
    let mut first = Some(first);
    while !lock(line).over {
        let began = Instant::now();
        let before = lock(sight).silence();
        // One that is known not to answer is not asked again and again: it would find all of it waiting.
        let patience = if before.is_some() { client::PATIENCE } else { PATIENCE };
        let seen = match Snapshot::take(client, patience) {
            Ok(snapshot) => Sight::List(Box::new(snapshot.view.list)),
            Err(Error::Silent { pid, stopped, .. }) => {
                Sight::Silent(Silence { pid, stopped, since: before.map_or(began, |it| it.since) })
            }
            Err(Error::NotRunning { .. }) => Sight::Nobody,
            Err(_) => Sight::Nothing,
        };
        if let Some(first) = first.take() {
            let _ = first.send(seen.list().cloned()); // it is not always wanted
        }
        *lock(sight) = seen;
        thread::sleep(EVERY);
    }
}

/// Draws until the line is over.
fn tell(mut course: Course, begun: Instant, sight: &Mutex<Sight>, line: &Mutex<Line>) {
    thread::sleep(AFTER.saturating_sub(begun.elapsed()));
    loop {
        let text = course.line(&lock(sight), begun, Instant::now(), Look::of(&stderr()).columns);
        let mut line = lock(line);
        if line.over {
            return;
        }
        if let Some(text) = text.filter(|_| is_in_front()) {
            line.draw(&text);
        }
        drop(line);
        thread::sleep(EVERY);
    }
}

/// Whether the terminal is ours at the moment: a job in the background does not write into what somebody types. One
/// that is not our session's has nobody who types.
fn is_in_front() -> bool {
    tcgetpgrp(stderr()).map_or(true, |front| front == getpgrp())
}
