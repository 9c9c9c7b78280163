//! `wait` and `stop`: until a cluster is online, or nobody of it is left.

#[cfg(test)]
mod tests;

use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, PATIENCE};
use super::error::{Error, numbered, way_out_of_silence};
use super::process::Identity;
use super::progress::{Wait, during};
use super::snapshot::Snapshot;
use super::terminal::print;
use super::text::{clean, span};
use crate::args::Goal;
use crate::exit::FAILED;
use crate::wire::{Heir, List, Request, Trouble};

/// How often what is waited for is looked at.
const EVERY: Duration = Duration::from_millis(50);
/// A supervisor that answers later than this does not answer.
const SILENT: Duration = Duration::from_secs(1);
/// How long processes may outlive their supervisor.
const ALONE: Duration = Duration::from_secs(10);

/// Waits until the cluster is online, or until there is none.
pub(super) fn wait(client: &Client, goal: Goal, timeout: Duration) -> Result<(), Error> {
    let wait = match goal {
        Goal::Online => Wait::Online,
        Goal::Stopped => Wait::Stopped,
    };
    during(client, wait, || wait_for(client, goal, timeout))
}

fn wait_for(client: &Client, goal: Goal, timeout: Duration) -> Result<(), Error> {
    let deadline = Instant::now().checked_add(timeout);
    let mut processes: Vec<Process> = Vec::new();
    let (mut last, mut silent_since): (Option<Last>, Option<Instant>) = (None, None);
    loop {
        let began = Instant::now();
        // At least one look, however short the time.
        let left = deadline.map_or(PATIENCE, |deadline| deadline.saturating_duration_since(Instant::now()));
        let looked = Snapshot::take(client, left.clamp(EVERY, PATIENCE));
        silent_since = silent_since.or(Some(began)).filter(|_| matches!(looked, Err(Error::Silent { .. })));
        let silent = silent_since.map(|since| since.elapsed()).unwrap_or_default();
        last = Some(match looked {
            Ok(snapshot) => {
                let list = &snapshot.view.list;
                if goal == Goal::Online && list.cluster.state == "online" {
                    return Ok(());
                }
                processes = self::processes(list);
                Last::State(clean(&list.cluster.state))
            }
            Err(error @ Error::NotRunning { .. }) => {
                processes.retain(Process::lives);
                match goal {
                    Goal::Stopped if processes.is_empty() => return Ok(()),
                    Goal::Stopped => Last::Left(processes.clone()),
                    Goal::Online => Last::Error(error),
                }
            }
            Err(error @ Error::Silent { .. }) => Last::silence(last, error, silent),
            // It may be able to say it at the next look: it is short of descriptors, or others ask it too.
            Err(error @ (Error::Closed { .. } | Error::Refused(_))) => Last::Error(error),
            Err(error) => return Err(error),
        });
        if let Some(last) = last.take_if(|_| left.is_zero()) {
            return Err(not_reached(client, goal, timeout, last, silent));
        }
        thread::sleep(EVERY.min(left));
    }
}

/// What was seen last of what is waited for.
#[derive(Debug)]
enum Last {
    State(String),
    Error(Error),
    /// Nobody listens any more, but these live.
    Left(Vec<Process>),
}

impl Last {
    /// Not answered for so long. The last look is short: that it was in vain says nothing where the one before was not.
    fn silence(before: Option<Last>, error: Error, silent: Duration) -> Last {
        match before {
            Some(before) if silent < SILENT => before,
            Some(_) | None => Last::Error(error),
        }
    }
}

/// The time is over; for so long nothing was answered.
fn not_reached(client: &Client, goal: Goal, timeout: Duration, last: Last, silent: Duration) -> Error {
    let (name, dir) = (goal_name(goal), client.dir().display());
    let timeout = humantime::format_duration(timeout);
    let why = |last: &str| format!("the cluster in {dir} is not {name} after {timeout}: {last}");
    match last {
        Last::State(state) => Error::NotReached(why(&format!("it is {state}"))),
        Last::Error(Error::Silent { pid, stopped, .. }) => {
            let last = format!("its supervisor{} has not answered for {}", numbered(pid), span(silent));
            let hint = Some(way_out_of_silence(pid, stopped));
            Error::Refused(Trouble { message: why(&last), hint, exit: FAILED })
        }
        Last::Error(Error::Refused(Trouble { message, hint, .. })) => {
            Error::Refused(Trouble { message: why(&message), hint, exit: FAILED })
        }
        Last::Left(left) => {
            let last =
                format!("nobody listens on its control socket any more, but {} still there", are(&left));
            Error::Refused(Trouble { message: why(&last), hint: Some(kill(&left)), exit: FAILED })
        }
        Last::Error(error) if goal == Goal::Online && matches!(error, Error::NotRunning { .. }) => {
            Error::NotThere(why(&error.to_string()))
        }
        Last::Error(error) => Error::NotReached(why(&error.to_string())),
    }
}

fn goal_name(goal: Goal) -> &'static str {
    match goal {
        Goal::Online => "online",
        Goal::Stopped => "stopped",
    }
}

/// Stops the cluster, and returns when every process is gone.
///
/// The processes are asked for before; a supervisor leaves last, so those that it starts meanwhile are gone with it.
pub(super) fn stop(client: &Client, now: bool) -> Result<(), Error> {
    during(client, Wait::Stop, || stop_all(client, now))?;
    print("stopped\n")
}

fn stop_all(client: &Client, now: bool) -> Result<(), Error> {
    let mut processes = match Snapshot::take(client, PATIENCE) {
        Ok(snapshot) => processes(&snapshot.view.list),
        Err(error @ (Error::NotRunning { .. } | Error::Denied { .. } | Error::Silent { .. })) => {
            return Err(error);
        }
        // The view tells whom to wait for, no more: the supervisor alone will do.
        Err(_) => supervisor(client).into_iter().collect(),
    };
    let request = Request { verb: "stop".into(), now, ..Request::default() };
    match client.order(request).map_err(|refusal| refusal.error) {
        // Both are the end of a supervisor that did as it was told.
        Ok(_) | Err(Error::Closed { .. } | Error::NotRunning { .. }) => {}
        Err(error) => return Err(error),
    }
    while_they_live(client, &mut processes)
}

fn supervisor(client: &Client) -> Option<Process> {
    let pid = client.ask("ping", PATIENCE).ok()?.answer.pid?;
    Process::of("supervisor".into(), pid)
}

/// Waits for processes that were told to end, as long as their supervisor says that it is stopping them; without a
/// supervisor for a while longer.
fn while_they_live(client: &Client, processes: &mut Vec<Process>) -> Result<(), Error> {
    let still = |why: &str| format!("the cluster in {} {why}", client.dir().display());
    let mut alone: Option<Instant> = None;
    loop {
        processes.retain(Process::lives);
        if processes.is_empty() {
            return Ok(());
        }
        match Snapshot::take(client, PATIENCE) {
            Ok(snapshot) if snapshot.view.list.cluster.state == "stopping" => alone = None,
            Ok(_) => return Err(Error::NotReached(still("was told to stop, but goes on"))),
            Err(Error::NotRunning { .. } | Error::Closed { .. }) => {
                if alone.get_or_insert_with(Instant::now).elapsed() > ALONE {
                    let message = still(&format!("has stopped, but {} still there", are(processes)));
                    return Err(Error::Refused(Trouble {
                        message,
                        hint: Some(kill(processes)),
                        exit: FAILED,
                    }));
                }
            }
            // It is there, and has been told; it cannot say now how far it is.
            Err(Error::Refused(_) | Error::Garbage { .. }) => {}
            Err(error) => return Err(error),
        }
        thread::sleep(EVERY);
    }
}

/// One of a cluster.
#[derive(Clone, Debug)]
struct Process {
    /// `worker 2`, `link`, `supervisor`.
    name: String,
    pid: u32,
    identity: Identity,
}

impl Process {
    /// The one that has this pid now.
    fn of(name: String, pid: u32) -> Option<Process> {
        Some(Process { name, pid, identity: Identity::of(pid)? })
    }

    fn lives(&self) -> bool {
        self.identity.lives()
    }
}

/// Every process of a cluster that can be seen from here.
fn processes(list: &List) -> Vec<Process> {
    let supervisor = std::iter::once(("supervisor".to_owned(), list.cluster.pid));
    let workers = list
        .workers
        .iter()
        .flat_map(|it| of_slot(&format!("worker {}", it.id), it.pid, it.heir.as_ref(), &it.leaving));
    let roles =
        list.roles.iter().flat_map(|it| of_slot(&clean(&it.name), it.pid, it.heir.as_ref(), &it.leaving));
    supervisor.chain(workers).chain(roles).filter_map(|(name, pid)| Process::of(name, pid)).collect()
}

/// The processes of one, each with its name.
fn of_slot(name: &str, pid: Option<u32>, heir: Option<&Heir>, leaving: &[u32]) -> Vec<(String, u32)> {
    let pids = pid.into_iter().chain(heir.and_then(|heir| heir.pid)).chain(leaving.iter().copied());
    pids.map(|pid| (name.to_owned(), pid)).collect()
}

/// `worker 2 pid 4711 is`; `worker 2 pid 4711, link pid 4712 are`.
fn are(processes: &[Process]) -> String {
    let named: Vec<String> = processes.iter().map(|it| format!("{} pid {}", it.name, it.pid)).collect();
    format!("{} {}", named.join(", "), if named.len() == 1 { "is" } else { "are" })
}

/// The way out where processes do not end.
fn kill(processes: &[Process]) -> String {
    let pids: Vec<String> = processes.iter().map(|it| it.pid.to_string()).collect();
    format!("what does not end by itself can be killed: `kill -KILL {}`", pids.join(" "))
}
