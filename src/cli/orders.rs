//! `ping`, `reload`, `upgrade`, `restart`, `scale`, `signal`.

use contract::counted;
use serde::Serialize;

use super::client::{Client, PATIENCE, Reply};
use super::error::Error;
use super::progress::{Wait, during};
use super::terminal::{answer, print};
use super::text::{clean, clean_lines};
use super::{complain, json};
use crate::amount::{self, Scale};
use crate::exit::{DONE, FAILED, USAGE};
use crate::wire::{LastReload, Request};

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
    Ok(format!("restart done: {}", named(ids)))
}

/// `every worker`; `worker 0`; `workers 0, 2, link`: roles have names.
fn named(ids: &[String]) -> String {
    let is_number = |id: &String| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let (workers, roles): (Vec<String>, Vec<String>) = ids.iter().cloned().partition(is_number);
    let workers = match &workers[..] {
        [] if roles.is_empty() => Some("every worker".to_owned()),
        [] => None,
        [one] => Some(format!("worker {one}")),
        many => Some(format!("workers {}", many.join(", "))),
    };
    clean(&workers.into_iter().chain(roles).collect::<Vec<_>>().join(", "))
}

/// More or fewer workers; the line that says how many there are then.
pub(super) fn scale(client: &Client, amount: Scale) -> Result<String, Error> {
    let request = Request { verb: "scale".into(), amount: amount.to_string(), ..Request::default() };
    let reply = client.order(request).map_err(|refusal| refusal.error)?;
    let workers = reply.answer.workers;
    let workers = workers.ok_or_else(|| client.garbage("scale", "there is no number of workers in it"))?;
    let bound = amount::bound(workers).filter(|_| reply.answer.cut).unwrap_or_default();
    Ok(format!("scale done: {}{bound}", counted(workers.into(), "worker")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_restarted_is_named_and_not_counted() {
        for (ids, whom) in [
            (&[][..], "every worker"),
            (&["0"], "worker 0"),
            (&["2", "0"], "workers 2, 0"),
            (&["link"], "link"),
            (&["link", "1"], "worker 1, link"),
            (&["a\u{1b}b"], "a\u{fffd}b"),
        ] {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            assert_eq!(named(&ids), whom);
        }
    }
}
