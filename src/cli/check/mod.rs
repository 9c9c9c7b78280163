//! `check`: would it start here? A line for each thing that must be so, with the way out where it is not.
//!
//! Nothing is started and nothing stays: a port is bound for a moment where nobody is on it, a processor is connected to
//! for a moment where no cluster has the connection.

mod effective;
mod host;
mod port;
mod processors;
mod report;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::client::{Client, PATIENCE};
use super::error::Error;
use super::snapshot::Snapshot;
use super::terminal::{Look, answer};
use super::{conclude, json};
use crate::args::Check;
use crate::config::{Config, ConfigError, Loaded, Program, Worker, load, unchangeable};
use crate::exit::{PORT, USAGE};
use crate::owners::Owner;
use crate::wire::Trouble;
use report::{Line, Report};

/// Where log files go, and why nothing can be written there for now.
type LogFolder = (PathBuf, Option<String>);
/// A socket, and who else is on its port.
type Bound = (OwnedFd, Vec<Owner>);

/// What the supervisor knows of starting, asked without starting anything.
pub(crate) struct Would {
    /// Why there is no room for so many workers, if there is none.
    pub(crate) room: fn(&Config) -> Option<Trouble>,
    /// Why a worker could not live under the limits that are named for it, if that is certain.
    pub(crate) too_low: fn(&Config) -> Option<Trouble>,
    /// Whether the runtime directory could be claimed.
    pub(crate) folder: fn(&Path) -> Result<(), Trouble>,
    /// Where log files would go, if they go anywhere, and why nothing can be written there for now; a cluster that runs
    /// there is nobody else.
    pub(crate) logs: fn(&Path, &Config, bool) -> Result<Option<LogFolder>, Trouble>,
    /// Why shared memory could not be made.
    pub(crate) memory: fn(&Config) -> Option<Trouble>,
    /// Why there could not be as many processes.
    pub(crate) processes: fn(&Config) -> Option<Trouble>,
    /// Binds as a start would, until the socket is dropped; and who else is there.
    pub(crate) port: fn(&Config, SocketAddr) -> Result<Bound, Trouble>,
    /// Where a program that the configuration names lies, or why it cannot be run.
    pub(crate) program: fn(&Config, &Program) -> Result<PathBuf, String>,
    /// Why workers could not change to their directory, if they could not.
    pub(crate) cwd: fn(&Config) -> Option<String>,
    /// What the kernel would refuse of what a worker is to run as, each with the way out.
    pub(crate) refused: fn(&Worker) -> Vec<(String, &'static str)>,
}

/// Checks, and answers the exit code.
pub(crate) fn check(check: &Check, dir: &Path, would: &Would) -> u8 {
    sys::process::outlive_file_limit();
    conclude(if check.effective { effective::run(check) } else { examine(check, dir, would) })
}

fn examine(check: &Check, dir: &Path, would: &Would) -> Result<u8, Error> {
    let mut report = Report::default();
    let client = Client::new(dir);
    let loaded = load(&check.overrides, check.file.as_deref());
    let (line, running) = runtime_dir(&client, would);
    // In the order of a start: it ends at the first thing that is wrong.
    match &loaded {
        Ok(loaded) => {
            let config = &loaded.config;
            configuration(&mut report, loaded, running.as_ref());
            host::limits(&mut report, config, would);
            report.add(line);
            host::logs(&mut report, dir, config, running.is_some(), would);
            host::memory(&mut report, config, would);
            port::examine(&mut report, config, running.as_ref(), would);
            host::workers(&mut report, config, running.is_some(), would);
            processors::examine(&mut report, config, running.as_ref(), &client);
        }
        Err(error) => {
            refused(&mut report, error);
            report.add(line);
        }
    }
    host::kernel(&mut report);
    report.running = running.is_some();
    answer(&if check.json { json::whole(&report) } else { report.draw(&Look::now()) })?;
    Ok(report.exit())
}

/// A cluster that runs in the runtime directory.
struct Running {
    /// Pid of its supervisor.
    pid: u32,
    /// What it is bound to.
    listen: Vec<String>,
    /// What it runs by; None if it does not tell.
    config: Option<Config>,
}

fn configuration(report: &mut Report, loaded: &Loaded, running: Option<&Running>) {
    let file =
        loaded.file.as_ref().map_or_else(|| "no file: defaults".into(), |file| file.display().to_string());
    let old = running.and_then(|running| running.config.as_ref());
    report.add(match old.and_then(|old| unchangeable(old, &loaded.config)) {
        None => Line::ok("configuration", file),
        Some(key) => {
            let why =
                format!("{file}: the cluster that runs here has another `{key}`, which no reload can change");
            Line::fail("configuration", why, "stop it and start it again, or change that back", USAGE)
        }
    });
}

/// Each problem is a line.
fn refused(report: &mut Report, error: &ConfigError) {
    let ConfigError::Invalid { problems, .. } = error else {
        return report.add(Line::fail("configuration", error.to_string(), error.hint(), USAGE));
    };
    for problem in problems {
        let place =
            problem.excerpt.as_ref().map(|excerpt| format!("\n{}", excerpt.render())).unwrap_or_default();
        report.add(Line::fail("configuration", format!("{problem}{place}"), &problem.hint, USAGE));
    }
}

/// Whether somebody runs there already, or could.
fn runtime_dir(client: &Client, would: &Would) -> (Line, Option<Running>) {
    const NAME: &str = "runtime directory";
    let shown = client.dir().display();
    let taken = "stop it with `atlas-cluster stop`, or choose another --runtime-dir";
    let (list, config) = match Snapshot::described(client, PATIENCE) {
        Ok((snapshot, _)) => {
            let config = snapshot.config().and_then(|config| serde_json::from_value(config).ok());
            (snapshot.view.list, config)
        }
        Err(Error::Refused(_)) => match Snapshot::take(client, PATIENCE) {
            Ok(snapshot) => (snapshot.view.list, None),
            Err(error) => return (Line::fail(NAME, error.to_string(), taken, PORT), None),
        },
        Err(Error::NotRunning { .. }) => {
            let line = match (would.folder)(client.dir()) {
                Ok(()) => Line::ok(NAME, format!("{shown}: no cluster runs there")),
                Err(trouble) => Line::of(NAME, trouble),
            };
            return (line, None);
        }
        Err(error) => {
            return (Line::fail(NAME, format!("a cluster runs there: {error}"), taken, PORT), None);
        }
    };
    let (pid, version) = (list.cluster.pid, list.cluster.version);
    let what =
        format!("{shown}: a cluster runs there already, pid {pid}, version {}", super::text::clean(&version));
    let hint = "`atlas-cluster reload` gives it this configuration; a second one needs another --runtime-dir";
    (Line::warn(NAME, what, hint), Some(Running { pid, listen: list.cluster.listen, config }))
}
