//! Processes as /proc shows them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::try_for;

/// As long as a supervisor needs to see that a command is gone.
const MOMENT: Duration = Duration::from_millis(200);

/// A process that has not been reaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its arguments with spaces between: what `ps` shows.
    pub title: String,
    /// `R`, `S`, `T`, `Z`, …
    pub state: char,
    /// Its parent's number.
    pub parent: i32,
}

/// The process of that number.
#[must_use]
pub fn find(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?; // a command's name may contain anything
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let title = String::from_utf8_lossy(&arguments).trim_end_matches('\0').replace('\0', " ");
    Some(Process { pid, title, state, parent })
}

/// Whether it runs: not gone, and no zombie.
#[must_use]
pub fn lives(pid: i32) -> bool {
    find(pid).is_some_and(|process| process.state != 'Z')
}

/// Every process whose environment holds `variable` (`NAME=value`), this one left out.
#[must_use]
pub fn with_variable(variable: &OsStr) -> Vec<Process> {
    let Ok(folder) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let others = numbers.filter(|&pid| pid.unsigned_abs() != std::process::id());
    let matching = others.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|entry| entry == variable.as_bytes())
    });
    matching.filter_map(find).collect()
}

/// Children of `pid`, zombies too.
#[must_use]
pub fn children(pid: i32) -> Vec<Process> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|child| find(child.parse().ok()?)).collect()
}

/// What the open descriptors of `pid` are: `socket:[77]`, `/dev/null`, …
#[must_use]
pub fn descriptors(pid: i32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.map(|target| target.display().to_string()).collect()
}

/// How many descriptors a process has open at rest.
pub fn descriptors_at_rest(pid: i32) -> usize {
    at_rest(|| descriptors(pid).len())
}

/// The fewest that are seen for a moment: a supervisor may not have closed the connection of the last command yet, nor
/// what it lends over it.
pub fn at_rest(mut count: impl FnMut() -> usize) -> usize {
    let mut fewest = usize::MAX;
    let _: Option<()> = try_for(MOMENT, || {
        fewest = fewest.min(count());
        None
    });
    fewest
}

/// Sends a signal that [`Signal`] has no name for: a real-time one; whoever is gone misses it.
///
/// # Panics
/// When no shell can be run.
pub fn signal_by_number(pid: i32, signal: i32) {
    assert!(pid > 1, "nobody sends signal {signal} to pid {pid}");
    let status = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status();
    assert!(status.is_ok(), "sh: {status:?}");
}

/// Sends a signal; one that is gone misses it.
pub fn signal(pid: i32, signal: Signal) {
    assert!(pid > 1, "nobody sends {signal} to pid {pid}");
    let _ = kill(Pid::from_raw(pid), signal);
}
