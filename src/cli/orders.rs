//! `ping`, `wait`, `stop`, `reload`, `upgrade`, `restart`, `scale`, `signal`.

use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::client::{Client, PATIENCE, Reply};
use super::error::{Error, numbered, way_out_of_silence};
use super::process::Identity;
use super::progress::{Wait, during};
use super::snapshot::Snapshot;
use super::terminal::{answer, print};
use super::text::{clean, clean_lines, span};
use super::{complain, json};
use crate::amount::{self, Scale};
use crate::args::Goal;
use crate::exit::{DONE, FAILED, USAGE};
use crate::wire::{LastReload, List, Request, Trouble};

/// How often what is waited for is looked at.
const EVERY: Duration = Duration::from_millis(50);
/// A supervisor that answers later than this does not answer.
const SILENT: Duration = Duration::from_secs(1);
/// How long processes may outlive their supervisor.
const ALONE: Duration = Duration::from_secs(10);

/// Is somebody there?
pub(super) fn ping(client: &Client) -> Result<(), Error> {
    let Reply { answer, .. } = client.ask("ping", PATIENCE)?;
    let pid = answer.pid.ok_or_else(|| client.garbage("ping", "there is no pid in it"))?;
    print(&format!("pong from pid {pid}, version {}\n", clean(&answer.version)))
}

/// Stops and starts workers: those named, or every one; the line that says so.
pub(super) fn restart(client: &Client, ids: &[String]) -> Result<String, Error> {
    let request = Request { verb: "restart".into(), ids: ids.to_vec(), ..Request::default() };
    client.order(request).map_err(|refusal| refusal.error)?;
    let what = if ids.is_empty() { "every worker".into() } else { clean(&ids.join(", ")) };
    Ok(format!("restart done: {what}"))
}

/// More or fewer workers; the line that says how many there are then.
pub(super) fn scale(client: &Client, amount: Scale) -> Result<String, Error> {
    let request = Request { verb: "scale".into(), amount: amount.to_string(), ..Request::default() };
    let reply = client.order(request).map_err(|refusal| refusal.error)?;
    let workers = reply.answer.workers;
    let workers = workers.ok_or_else(|| client.garbage("scale", "there is no number of workers in it"))?;
    let bound = amount::bound(workers).filter(|_| reply.answer.cut).unwrap_or_default();
    Ok(format!("scale done: {workers} worker{}{bound}", if workers == 1 { "" } else { "s" }))
}

/// Sends a signal, by its number, to the workers and roles that are named; says whom it reached.
pub(super) fn signal(client: &Client, signal: i32, ids: &[String]) -> Result<(), Error> {
    let request =
        Request { verb: "signal".into(), signal: Some(signal), ids: ids.to_vec(), ..Request::default() };
    let reply = client.order(request).map_err(|refusal| refusal.error)?;
    let reached = reply.answer.signalled;
    let reached = reached.ok_or_else(|| client.garbage("signal", "nobody is named in it"))?;
    let whom: Vec<String> = reached.iter().map(|it| format!("{} pid {}", clean(&it.name), it.pid)).collect();
    print(&format!("signal done: {} to {}\n", sys::wait::signal_name(signal), whom.join(", ")))
}

/// `reload --json`.
#[derive(Serialize)]
struct ReloadShape<'a> {
    schema: u32,
    #[serde(flatten)]
    reload: &'a LastReload,
}

/// How a reload or an upgrade ended.
pub(super) struct Reloaded {
    reload: LastReload,
    /// The error that came beside it.
    error: Option<Error>,
}

impl Reloaded {
    /// The exit code that goes with it, and the line that says so; the error where one came.
    pub(super) fn told(self, verb: &str) -> Result<(u8, String), Error> {
        let Reloaded { reload, error } = self;
        if let Some(error) = error {
            return Err(error);
        }
        let code = match reload.result.as_str() {
            "done" => DONE,
            "refused" => USAGE,
            _ => FAILED,
        };
        let why = reload.error.as_deref().map(|why| format!(": {}", clean_lines(why))).unwrap_or_default();
        Ok((code, format!("{verb} {}: generation {}{why}", clean(&reload.result), reload.generation)))
    }
}

/// Replaces every worker by one of the configuration on disk (`reload`), the supervisor first by the binary on disk
/// (`upgrade`). One that failed is an answer too.
pub(super) fn reload(client: &Client, verb: &str) -> Result<Reloaded, Error> {
    let request = Request { verb: verb.into(), ..Request::default() };
    let (reload, error) = match client.order(request) {
        Ok(reply) => (reply.answer.reload, None),
        Err(refusal) => (refusal.answer.and_then(|answer| answer.reload), Some(refusal.error)),
    };
    match (reload, error) {
        (None, None) => Err(client.garbage(verb, "there is no result in it")),
        (None, Some(error)) => Err(error),
        (Some(reload), error) => Ok(Reloaded { reload, error }),
    }
}

/// The same as a command. What failed goes to standard output as JSON, and to standard error as any error.
pub(super) fn reload_command(client: &Client, verb: &str, as_json: bool) -> Result<u8, Error> {
    let wait = if verb == "upgrade" { Wait::Upgrade } else { Wait::Reload };
    let order = || reload(client, verb);
    let reloaded = if as_json { order() } else { during(client, wait, order) }?;
    if as_json {
        answer(&json::whole(&ReloadShape { schema: 1, reload: &reloaded.reload }))?;
    }
    let (code, line) = reloaded.told(verb)?;
    match (code, as_json) {
        (DONE, false) => print(&format!("{line}\n"))?,
        (DONE, true) => {}
        _ => complain(&format!("atlas-cluster: {line}\n")),
    }
    Ok(code)
}

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
    let mut processes: Vec<Identity> = Vec::new();
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
                if goal == Goal::Stopped && !processes.iter().any(|process| process.lives()) {
                    return Ok(());
                }
                Last::Error(error)
            }
            Err(error @ Error::Silent { .. }) => Last::silence(last, error, silent),
            Err(error @ Error::Closed { .. }) => Last::Error(error),
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
    let before = Snapshot::take(client, PATIENCE)?;
    let processes = processes(&before.view.list);
    let request = Request { verb: "stop".into(), now, ..Request::default() };
    match client.order(request).map_err(|refusal| refusal.error) {
        // Both are the end of a supervisor that did as it was told.
        Ok(_) | Err(Error::Closed { .. } | Error::NotRunning { .. }) => {}
        Err(error) => return Err(error),
    }
    while_they_live(client, &processes)
}

/// Waits for processes that were told to end, as long as their supervisor says that it is stopping them; without a
/// supervisor for a while longer.
fn while_they_live(client: &Client, processes: &[Identity]) -> Result<(), Error> {
    let still = |why: &str| Error::NotReached(format!("the cluster in {} {why}", client.dir().display()));
    let mut alone: Option<Instant> = None;
    while processes.iter().any(|process| process.lives()) {
        match Snapshot::take(client, PATIENCE) {
            Ok(snapshot) if snapshot.view.list.cluster.state == "stopping" => alone = None,
            Ok(_) => return Err(still("was told to stop, but goes on")),
            Err(Error::NotRunning { .. } | Error::Closed { .. }) => {
                if alone.get_or_insert_with(Instant::now).elapsed() > ALONE {
                    return Err(still("has stopped, but left processes behind"));
                }
            }
            Err(error) => return Err(error),
        }
        thread::sleep(EVERY);
    }
    Ok(())
}

/// Every process of a cluster that can be seen from here.
fn processes(list: &List) -> Vec<Identity> {
    let heirs = list.workers.iter().filter_map(|worker| worker.heir.as_ref()?.pid);
    let workers = list.workers.iter().filter_map(|worker| worker.pid);
    let roles = list.roles.iter().filter_map(|role| role.pid);
    let pids = std::iter::once(list.cluster.pid).chain(workers).chain(heirs).chain(roles);
    pids.filter_map(Identity::of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_look_in_vain_does_not_hide_what_was_seen_before() {
        let silent = || Error::Silent {
            dir: "/run/x".into(),
            pid: Some(7),
            stopped: false,
            command: None,
            within: EVERY,
        };
        let state = || Some(Last::State("launching".into()));
        assert!(matches!(Last::silence(state(), silent(), EVERY), Last::State(_)));
        assert!(matches!(Last::silence(state(), silent(), SILENT), Last::Error(Error::Silent { .. })));
        assert!(matches!(Last::silence(None, silent(), EVERY), Last::Error(Error::Silent { .. })));
    }
}
