//! What every command does but a start: most ask a running cluster, one question over the control socket, one answer
//! drawn; some read or write files alone.
//!
//! Standard output is for answers, standard error for errors.

mod capture;
mod check;
mod client;
pub(crate) mod daemon;
mod describe;
mod error;
mod import;
mod json;
mod list;
mod list_text;
mod log_files;
mod log_follow;
mod logs;
mod meters;
mod monit;
mod orders;
mod params;
mod process;
mod progress;
mod simulate;
mod snapshot;
mod startup;
mod terminal;
mod text;
mod waiting;
mod watch;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::path::Path;

use atlas::order::Verb;

use crate::args::Command;
use crate::complain;
use crate::exit::DONE;
pub(crate) use check::{Would, check};
use client::Client;
use error::Error;
use progress::{Wait, during};

/// Does what `command` asks of the cluster in `runtime_dir`; gives the exit code.
pub(crate) fn run(command: &Command, runtime_dir: &Path) -> u8 {
    let client = Client::new(runtime_dir);
    let done = perform(command, &client).map_err(|error| error.of(name(command)));
    conclude(if changes_something(command) { done.map_err(Error::of_order) } else { done })
}

/// Whether it does more than to tell.
fn changes_something(command: &Command) -> bool {
    match command {
        Command::Stop { .. }
        | Command::Reload { .. }
        | Command::Upgrade { .. }
        | Command::Restart { .. }
        | Command::Scale { .. }
        | Command::Signal { .. }
        | Command::Flush => true,
        Command::Param { verb, .. } => *verb != Verb::Get,
        _ => false,
    }
}

/// Says what failed; answers the exit code.
fn conclude(done: Result<u8, Error>) -> u8 {
    match done {
        Ok(code) => code,
        // Whoever reads our answers has had enough of them.
        Err(Error::Output(error) | Error::Untold(error)) if error.kind() == ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            complain(&error.report());
            error.exit()
        }
    }
}

fn perform(command: &Command, client: &Client) -> Result<u8, Error> {
    match command {
        Command::List { json, watch } => list::run(client, *json, *watch)?,
        Command::Meters { json, watch } => meters::run(client, *json, *watch)?,
        Command::Monit => monit::run(client)?,
        Command::Ping => orders::ping(client)?,
        Command::Wait { for_, timeout } => waiting::wait(client, *for_, *timeout)?,
        Command::Stop { now } => waiting::stop(client, *now)?,
        Command::Reload { json } => return orders::reload_command(client, "reload", *json),
        Command::Upgrade { json } => return orders::reload_command(client, "upgrade", *json),
        Command::Restart { ids } => {
            say(&during(client, Wait::Restart(ids.clone()), || orders::restart(client, ids))?)?
        }
        Command::Scale { amount } => say(&during(client, Wait::Scale, || orders::scale(client, *amount))?)?,
        Command::Describe { id, json } => describe::run(client, id.as_deref(), *json)?,
        Command::Signal { signal, ids } => orders::signal(client, *signal, ids)?,
        Command::Simulate(plan) => simulate::run(plan)?,
        Command::Param { verb, processor, param, value, format } => {
            params::run(client, *verb, processor, param, value.as_deref(), *format)?;
        }
        Command::Import(wanted) => import::run(wanted)?,
        Command::Startup { packaged, file } => return startup::run(*packaged, file.as_deref()),
        Command::Logs(wanted) => logs::run(client.dir(), wanted)?,
        Command::Flush => logs::flush(client.dir())?,
        Command::Capture(wanted) => capture::run(client, wanted)?,
        Command::Version => terminal::print(concat!("atlas-cluster ", env!("CARGO_PKG_VERSION"), "\n"))?,
        Command::Help(text) => terminal::print(text)?,
        Command::Start(..) | Command::Check(_) => unreachable!("main runs these itself"),
    }
    Ok(DONE)
}

/// As the user gave it.
fn name(command: &Command) -> &'static str {
    match command {
        Command::Start(..) => "start",
        Command::List { .. } => "list",
        Command::Describe { .. } => "describe",
        Command::Meters { .. } => "meters",
        Command::Monit => "monit",
        Command::Ping => "ping",
        Command::Wait { .. } => "wait",
        Command::Stop { .. } => "stop",
        Command::Reload { .. } => "reload",
        Command::Upgrade { .. } => "upgrade",
        Command::Restart { .. } => "restart",
        Command::Scale { .. } => "scale",
        Command::Check(_) => "check",
        Command::Signal { .. } => "signal",
        Command::Simulate(_) => "simulate",
        Command::Param { verb, .. } => params::verb_name(*verb),
        Command::Import { .. } => "import",
        Command::Startup { .. } => "startup",
        Command::Logs(_) => "logs",
        Command::Flush => "flush",
        Command::Capture(_) => "capture",
        Command::Version => "version",
        Command::Help(_) => "help",
    }
}

/// One line of an answer.
fn say(line: &str) -> Result<(), Error> {
    terminal::print(&format!("{line}\n"))
}
