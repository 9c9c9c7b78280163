//! The command line: arguments and environment become one [`Invocation`].

mod capture;
mod cli;
mod completions;
mod logs;
mod papers;
mod pm2;
mod simulate;
mod span;
mod usage;

#[cfg(test)]
mod refused_tests;
#[cfg(test)]
mod tests;

pub use capture::Capture;
pub use cli::Goal;
pub use logs::{LogLines, Since};
pub use usage::UsageError;

use atlas::{control, order};

use crate::amount::{self, Scale};
use crate::config::Overrides;
use crate::roles::simulated::Plan;
use clap::Parser;
use clap::error::ErrorKind;
use cli::{Cli, Of, StartOptions, Verb};
use log::LevelFilter;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is to be done, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Where the cluster has its pid file and control socket, absolute. Empty if there is no default and the command
    /// needs none: [`Command::Version`], [`Command::Help`], [`Command::Simulate`], [`Command::Startup`] and
    /// [`Command::Import`].
    pub runtime_dir: PathBuf,
    /// The least severe messages that are logged.
    pub log_level: LevelFilter,
    /// What to do.
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run a cluster. The overrides are good in themselves; they and the named file are for
    /// [`load`](crate::config::load).
    Start(Overrides, Option<PathBuf>),
    /// Show the workers.
    List {
        /// As JSON.
        json: bool,
        /// Again and again.
        watch: bool,
    },
    /// Show everything about the cluster.
    Describe {
        /// Of this worker or role alone, as given.
        id: Option<String>,
        /// As JSON.
        json: bool,
    },
    /// Show the meter table.
    Meters {
        /// As JSON.
        json: bool,
        /// Again and again.
        watch: bool,
    },
    /// Show the whole cluster on one screen, live.
    Monit,
    /// Is a cluster running?
    Ping,
    /// Wait for a cluster.
    Wait {
        /// The state that is waited for.
        for_: Goal,
        /// At most this long.
        timeout: Duration,
    },
    /// Stop the cluster.
    Stop {
        /// Without draining.
        now: bool,
    },
    /// Replace every worker.
    Reload {
        /// Answer as JSON.
        json: bool,
    },
    /// The supervisor and its roles become the binary on disk.
    Upgrade {
        /// Answer as JSON.
        json: bool,
    },
    /// Stop and start workers.
    Restart {
        /// These, as given; empty = all.
        ids: Vec<String>,
    },
    /// More or fewer workers.
    Scale {
        /// How many.
        amount: Scale,
    },
    /// Tell whether a start would do.
    Check(Check),
    /// Send a signal to workers.
    Signal {
        /// Its number.
        signal: i32,
        /// Workers and roles, as given; at least one.
        ids: Vec<String>,
    },
    /// Simulate a processor until interrupted.
    Simulate(Plan),
    /// Tell or change a parameter of a processor.
    Param {
        /// What to do.
        verb: order::Verb,
        /// The processor's name or address.
        processor: String,
        /// The parameter.
        param: String,
        /// The value, as written.
        value: Option<String>,
        /// The form of the answer.
        format: Option<control::Format>,
    },
    /// Turn a PM2 ecosystem file into a configuration.
    Import(Import),
    /// Print the service unit.
    Startup {
        /// The one that packages bring, in place of the one for this host.
        packaged: bool,
        /// The configuration that it is to run; without it the one that a start here would find.
        file: Option<PathBuf>,
    },
    /// Show lines of the logs.
    Logs(LogLines),
    /// Empty the log files.
    Flush,
    /// Record what a processor sends.
    Capture(Capture),
    /// Print the version.
    Version,
    /// Print this text to standard output: help, a man page, completions.
    Help(String),
}

/// What `import` is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The file.
    pub file: PathBuf,
    /// Which of its apps; without it the first.
    pub app: Option<String>,
    /// The environment whose variables are taken, too.
    pub env: Option<String>,
}

/// What `check` is asked: of the start that these flags and this file would make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// As of [`Command::Start`].
    pub overrides: Overrides,
    /// As of [`Command::Start`].
    pub file: Option<PathBuf>,
    /// Print the values in force, and check nothing.
    pub effective: bool,
    /// Answer as JSON.
    pub json: bool,
}

/// What of the process the meaning of arguments depends on.
struct Surroundings<'a> {
    /// The environment.
    lookup: &'a dyn Fn(&str) -> Option<OsString>,
    /// Whether the effective user is root.
    root: bool,
}

/// Understands the arguments, the name of the program first.
///
/// # Errors
/// [`UsageError`], for exit code 2.
pub fn parse(argv: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let root = nix::unistd::geteuid().is_root();
    parse_in(argv.into_iter().collect(), &Surroundings { lookup: &|name| std::env::var_os(name), root })
}

fn parse_in(argv: Vec<OsString>, around: &Surroundings<'_>) -> Result<Invocation, UsageError> {
    let (argv, verb) = with_verb(argv)?;
    if usage::takes_program(&verb) && argv.last().is_some_and(|last| last == "--") {
        return Err(usage::no_program());
    }
    let cli = match Cli::try_parse_from(&argv) {
        Ok(cli) => cli,
        Err(error) => {
            let command = match error.kind() {
                ErrorKind::DisplayHelp => Command::Help(error.render().to_string()),
                ErrorKind::DisplayVersion => Command::Version,
                _ => return Err(usage::from_clap(&error, &verb, &argv)),
            };
            return Ok(Invocation { runtime_dir: PathBuf::new(), log_level: LevelFilter::Info, command });
        }
    };
    let log_level = log_level(cli.global.log_level, around)?;
    let runtime_dir = runtime_dir(cli.global.runtime_dir, around);
    let command = match cli.verb {
        Some(Verb::Version) => Command::Version,
        Some(Verb::Completions { shell }) => Command::Help(completions::completions(&shell)?),
        Some(Verb::Man { verb }) => Command::Help(papers::man(verb.as_deref())?),
        Some(Verb::Simulate(options)) => Command::Simulate(simulate::plan(&options)?),
        Some(Verb::Start(start)) => start_command(&start, around)?,
        None => start_command(&cli.start, around)?,
        Some(Verb::Check(options)) => {
            let (overrides, file) = source(&options.start, around)?;
            Command::Check(Check { overrides, file, effective: options.effective, json: options.json })
        }
        Some(Verb::List(show)) => Command::List { json: show.json, watch: show.watch },
        Some(Verb::Describe { id, json }) => Command::Describe { id, json },
        Some(Verb::Meters(show)) => Command::Meters { json: show.json, watch: show.watch },
        Some(Verb::Monit) => Command::Monit,
        Some(Verb::Import { file, app, env }) => Command::Import(Import { file, app, env }),
        Some(Verb::Startup { packaged: true, config: Some(_) }) => return Err(usage::packaged_for_all()),
        Some(Verb::Startup { packaged, config }) => {
            let file = config.or_else(|| variable("ATLAS_CLUSTER_CONFIG", around).map(PathBuf::from));
            Command::Startup { packaged, file: file.filter(|_| !packaged) }
        }
        Some(Verb::Ping) => Command::Ping,
        Some(Verb::Logs(options)) => Command::Logs(logs::lines(options)?),
        Some(Verb::Flush) => Command::Flush,
        Some(Verb::Wait { goal, timeout }) => {
            Command::Wait { for_: goal, timeout: span::WAIT.parse(&timeout)? }
        }
        Some(Verb::Stop { now }) => Command::Stop { now },
        Some(Verb::Reload { json }) => Command::Reload { json },
        Some(Verb::Upgrade { json }) => Command::Upgrade { json },
        Some(Verb::Restart { ids }) => Command::Restart { ids },
        Some(Verb::Get { of, format }) => {
            let format = format.as_deref().map(format_of).transpose()?;
            param(order::Verb::Get, of, None, format)
        }
        Some(Verb::Set { of, value }) => param(order::Verb::Set, of, value, None),
        Some(Verb::Bump { of, value }) => param(order::Verb::Bump, of, value, None),
        Some(Verb::Signal { name, ids }) => Command::Signal { signal: signal_of(&name)?, ids },
        Some(Verb::Capture(options)) => Command::Capture(capture::capture(options)?),
        Some(Verb::Scale { amount }) => Command::Scale { amount: scale_amount(&amount)? },
    };
    let runtime_dir = match command {
        Command::Version
        | Command::Startup { .. }
        | Command::Import(_)
        | Command::Help(_)
        | Command::Simulate(_) => runtime_dir.unwrap_or_default(),
        _ => runtime_dir?,
    };
    Ok(Invocation { runtime_dir, log_level, command })
}

/// The arguments with the `start` that may be left out, and the verb.
fn with_verb(mut argv: Vec<OsString>) -> Result<(Vec<OsString>, String), UsageError> {
    let mut at = 1;
    while let Some(argument) = argv.get(at).map(|argument| argument.to_string_lossy().into_owned()) {
        match argument.as_str() {
            "--runtime-dir" | "--log-level" if at + 1 == argv.len() => return Ok((argv, String::new())),
            "--runtime-dir" | "--log-level" => at += 2,
            "-h" | "--help" | "-V" | "--version" => return Ok((argv, String::new())),
            _ if argument.starts_with("--runtime-dir=") || argument.starts_with("--log-level=") => at += 1,
            _ if argument.starts_with('-') => break,
            verb if !usage::is_verb(verb) => return Err(usage::unknown_verb(verb)),
            _ => return Ok((argv, argument)),
        }
    }
    argv.insert(at.min(argv.len()), OsString::from("start"));
    Ok((argv, "start".to_owned()))
}

fn start_command(start: &StartOptions, around: &Surroundings<'_>) -> Result<Command, UsageError> {
    let (overrides, file) = source(start, around)?;
    Ok(Command::Start(overrides, file))
}

/// Where a start finds its configuration: flags and environment, good in themselves, and the file.
fn source(
    start: &StartOptions,
    around: &Surroundings<'_>,
) -> Result<(Overrides, Option<PathBuf>), UsageError> {
    let mut overrides = Overrides::from_environment(around.lookup)?;
    for assignment in &start.set {
        overrides.set(assignment)?;
    }
    if let Some(workers) = &start.workers {
        overrides.flag("--workers", "workers", workers);
    }
    if !start.listen.is_empty() {
        overrides.flag("--listen", "listen", start.listen.join(","));
    }
    if let Some(balance) = &start.balance {
        overrides.flag("--balance", "balance", balance);
    }
    if start.share {
        overrides.flag("--share", "share", "true");
    }
    if start.daemon {
        overrides.flag("--daemon", "daemon", "true");
    }
    if start.demo {
        overrides.flag("--demo", "demo", "true");
    }
    match start.program.first().map(String::as_str) {
        Some("") => return Err(usage::no_program()),
        Some(_) => overrides.program(&start.program),
        None => {}
    }
    overrides.check()?;
    let file = start.config.clone().or_else(|| variable("ATLAS_CLUSTER_CONFIG", around).map(PathBuf::from));
    Ok((overrides, file))
}

/// The runtime directory: flag, environment, or the one that is usual for the user.
fn runtime_dir(flag: Option<PathBuf>, around: &Surroundings<'_>) -> Result<PathBuf, UsageError> {
    let named = flag.or_else(|| variable("ATLAS_CLUSTER_RUNTIME_DIR", around).map(PathBuf::from));
    if let Some(named) = named {
        return std::path::absolute(&named).map_err(|why| {
            let sentence = format!("cannot make the runtime directory {named:?} an absolute path: {why}");
            UsageError::new(&sentence, "for example `--runtime-dir /run/atlas-cluster`".to_owned())
        });
    }
    if around.root {
        return Ok(PathBuf::from("/run/atlas-cluster"));
    }
    match variable("XDG_RUNTIME_DIR", around) {
        Some(base) if Path::new(&base).is_absolute() => Ok(Path::new(&base).join("atlas-cluster")),
        _ => Err(UsageError::new(
            "no runtime directory: none was given, and XDG_RUNTIME_DIR names none",
            "give one with --runtime-dir DIR, or with ATLAS_CLUSTER_RUNTIME_DIR".to_owned(),
        )),
    }
}

fn log_level(flag: Option<String>, around: &Surroundings<'_>) -> Result<LevelFilter, UsageError> {
    let (source, example, text) = match (flag, variable("ATLAS_CLUSTER_LOG_LEVEL", around)) {
        (Some(text), _) => ("--log-level", "--log-level debug", text),
        (None, Some(text)) => {
            ("ATLAS_CLUSTER_LOG_LEVEL", "ATLAS_CLUSTER_LOG_LEVEL=debug", text.to_string_lossy().into_owned())
        }
        (None, None) => return Ok(LevelFilter::Info),
    };
    text.parse().map_err(|_| {
        let hint = format!("allowed: off, error, warn, info, debug, trace; for example `{example}`");
        UsageError::value(source, &text, "is not a log level", hint)
    })
}

fn param(verb: order::Verb, of: Of, value: Option<String>, format: Option<control::Format>) -> Command {
    Command::Param { verb, processor: of.processor, param: of.param, value, format }
}

fn format_of(text: &str) -> Result<control::Format, UsageError> {
    use control::Format;
    let formats = [Format::Val, Format::Pct, Format::Str];
    formats
        .into_iter()
        .find(|format| format.name() == text)
        .ok_or_else(|| UsageError::value("--format", text, "is unknown", "allowed: val, pct, str".to_owned()))
}

fn signal_of(text: &str) -> Result<i32, UsageError> {
    let hint = || {
        format!(
            "allowed: {}, with or without SIG, or a number; for example `signal USR1 0`",
            sys::signal::names()
        )
    };
    sys::signal::number(text).ok_or_else(|| UsageError::value("signal", text, "is not a signal", hint()))
}

fn scale_amount(text: &str) -> Result<Scale, UsageError> {
    let hint = || format!("{}; for example `scale +2`", amount::ALLOWED);
    text.parse().map_err(|wrong: amount::Wrong| UsageError::value("scale", text, &wrong.to_string(), hint()))
}

/// An environment variable; an empty one is as good as none.
fn variable(name: &str, around: &Surroundings<'_>) -> Option<OsString> {
    (around.lookup)(name).filter(|value| !value.is_empty())
}
