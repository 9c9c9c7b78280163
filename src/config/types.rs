//! The configuration in force: plain values, every one of them checked already.

use super::accounts::Account;
use contract::logs::Format;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Most workers a cluster can have.
pub const MAX_WORKERS: u8 = 64;

/// Most addresses a cluster can listen on.
pub const MAX_LISTEN: usize = 16;

/// Most processors a cluster can know.
pub const MAX_PROCESSORS: usize = 64;

/// The TCP port on which a processor takes commands, unless `tcp_port` says otherwise.
pub const PROCESSOR_PORT: u16 = 5321;

/// Silence after which a built-in worker or role is taken for hung, unless `watchdog` says otherwise.
const WATCHDOG: Duration = Duration::from_secs(10);

/// Everything a cluster is told, with defaults filled in.
///
/// As JSON, which the children read, every field has its name here; durations are strings that humantime
/// reads (`"1s 600ms"`, exact to the nanosecond), sizes are numbers of bytes, addresses are strings.
/// Such JSON comes from [`load`](super::load) and is not checked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Number of workers, 1 to [`MAX_WORKERS`]; `"max"` is resolved already.
    pub workers: u8,
    /// UDP addresses, 1 to [`MAX_LISTEN`], no two of which overlap. Port 0 stays 0 here.
    pub listen: Vec<SocketAddr>,
    /// Kernel receive buffer of each socket, in bytes.
    pub receive_buffer: u64,
    /// How datagrams are dealt out among the workers.
    pub balance: Balance,
    /// Join a port that others have bound. Never together with [`Balance::Spread`].
    pub share: bool,
    /// Store datagrams of senders that are no configured processor.
    pub accept_unknown: bool,
    /// A reading older than this is no longer fresh.
    #[serde(with = "duration")]
    pub stale_after: Duration,
    /// Bring a simulated processor along, the last one of `processor`. Never in the file: `--demo` or
    /// `ATLAS_CLUSTER_DEMO`.
    pub demo: bool,
    /// How each worker is run, `[worker]`.
    pub worker: Worker,
    /// Run in the background; logs go to files. Never in the file: `--daemon` or `ATLAS_CLUSTER_DAEMON`.
    #[serde(default)]
    pub daemon: bool,
    /// What becomes of what processes print, `[log]`.
    #[serde(default)]
    pub log: Log,
    /// The processors, each a `[[processor]]`, at most [`MAX_PROCESSORS`]; names and addresses are unique.
    pub processor: Vec<Processor>,
}

/// Whom a datagram goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Balance {
    /// Those of one sender to one worker, in order.
    Flow,
    /// Each to a random worker.
    Spread,
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Balance::Flow => "flow",
            Balance::Spread => "spread",
        })
    }
}

/// How each worker is run and watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// What runs as every worker; `None` = the built-in one.
    pub program: Option<Program>,
    /// A program is online once it says READY=1; else also once it has lived for `min_uptime`. Built-in workers always
    /// say so.
    pub wait_ready: bool,
    /// A program is online only once this has exited with 0, too; `None` = nobody asks. Never without a program.
    #[serde(default)]
    pub health_command: Option<Program>,
    /// From the end of a try that failed to the next one.
    #[serde(default = "Worker::usual_health_interval", with = "duration")]
    pub health_interval: Duration,
    /// A try that takes longer has failed.
    #[serde(default = "Worker::usual_health_timeout", with = "duration")]
    pub health_timeout: Duration,
    /// A worker that is not ready by then has failed.
    #[serde(with = "duration")]
    pub listen_timeout: Duration,
    /// What asks a worker to leave: a name of signal(7). The built-in worker knows SIGTERM alone.
    #[serde(default = "Worker::usual_signal")]
    pub kill_signal: String,
    /// From there to SIGKILL.
    #[serde(with = "duration")]
    pub kill_timeout: Duration,
    /// An exit before this counts as unstable.
    #[serde(with = "duration")]
    pub min_uptime: Duration,
    /// Unstable exits in a row before `errored`; 0 = never give up.
    pub max_restarts: u32,
    /// A worker that exits by itself with one of these is not replaced, until a restart or a reload.
    #[serde(default)]
    pub stop_exit_codes: Vec<u8>,
    /// First delay after an unstable exit; zero = always restart at once.
    #[serde(with = "duration")]
    pub exp_backoff_restart_delay: Duration,
    /// The delay grows up to this.
    #[serde(with = "duration")]
    pub exp_backoff_max_delay: Duration,
    /// A worker with more resident memory than this, in bytes, is replaced; `None` = off.
    pub max_memory_restart: Option<u64>,
    /// A worker silent for this long is killed; `None` = off, which is the default for a program.
    #[serde(with = "duration::option")]
    pub watchdog: Option<Duration>,
    /// Working directory, absolute; `None` = the supervisor's.
    pub cwd: Option<PathBuf>,
    /// Added to the environment that workers inherit.
    pub env: BTreeMap<String, String>,
    /// This variable of `env`, a whole number, is raised by the worker's number.
    #[serde(default)]
    pub increment_var: Option<String>,
    /// As whom it runs; `None` = the supervisor's user.
    #[serde(default)]
    pub user: Option<Account>,
    /// In which group, in place of the user's own.
    #[serde(default)]
    pub group: Option<u32>,
    /// Niceness, -20 to 19 (setpriority(2)); `None` = the supervisor's.
    #[serde(default)]
    pub nice: Option<i32>,
    /// On which CPUs; `None` = the supervisor's.
    #[serde(default)]
    pub cpu_affinity: Option<Cpus>,
    /// Limits of its own.
    #[serde(default)]
    pub limits: Limits,
}

/// CPUs that workers may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cpus {
    /// Each worker one, in turn, of those that the supervisor may use.
    OneEach,
    /// All of them these, by number.
    These(Vec<u16>),
}

/// Limits of a worker, soft and hard at once (setrlimit(2)); `None` = the supervisor's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Open descriptors.
    pub nofile: Option<u64>,
    /// Processes of the user.
    pub nproc: Option<u64>,
    /// Size of a core dump, in bytes.
    pub core: Option<u64>,
    /// Address space, in bytes.
    pub address_space: Option<u64>,
    /// Locked memory, in bytes.
    pub memlock: Option<u64>,
}

/// A program that runs as every worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// As it was written: looked up in PATH at each start unless there is a `/` in it. Never empty.
    pub name: String,
    /// What follows it.
    pub arguments: Vec<String>,
}

impl Program {
    /// What `list` calls it: the name without its folders.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.name.rsplit('/').find(|part| !part.is_empty()).unwrap_or(&self.name)
    }
}

/// An audio processor whose meters are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processor {
    /// What people call it; 1 to 64 characters.
    pub name: String,
    /// Where its datagrams come from; never an IPv4 address in IPv6 clothes.
    pub address: IpAddr,
    /// Where it takes commands; 0 for the one that `--demo` brings along, which tells its port when it has one.
    pub tcp_port: u16,
}

impl Default for Config {
    /// What holds without file, environment and flags.
    fn default() -> Self {
        Self {
            workers: usable_cpus(),
            listen: vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 3131))],
            receive_buffer: 4 << 20,
            balance: Balance::Flow,
            share: false,
            accept_unknown: false,
            stale_after: Duration::from_secs(3),
            demo: false,
            worker: Worker::default(),
            daemon: false,
            log: Log::default(),
            processor: Vec::new(),
        }
    }
}

/// What becomes of what processes print.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// How lines are written, in files and on standard error.
    pub format: Format,
    /// Folder of the log files, absolute; `None` = with `--daemon` `logs` in the runtime directory, else no files.
    pub dir: Option<PathBuf>,
    /// A file that would grow beyond this, in bytes, is full.
    pub max_size: u64,
    /// Full files that are kept.
    pub keep: u32,
    /// Whether full files are compressed.
    pub gzip: bool,
    /// Lines a second that one process may write in the long run; 0 = any number.
    pub rate_limit: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: Format::Text, dir: None, max_size: 10 << 20, keep: 5, gzip: false, rate_limit: 1000 }
    }
}

impl Config {
    /// Whether what processes print goes to files.
    #[must_use]
    pub fn logs_to_files(&self) -> bool {
        self.daemon || self.log.dir.is_some()
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            program: None,
            wait_ready: true,
            health_command: None,
            health_interval: Self::usual_health_interval(),
            health_timeout: Self::usual_health_timeout(),
            listen_timeout: Duration::from_secs(3),
            kill_signal: Self::usual_signal(),
            kill_timeout: Duration::from_millis(1600),
            min_uptime: Duration::from_secs(1),
            max_restarts: 0,
            stop_exit_codes: Vec::new(),
            exp_backoff_restart_delay: Duration::from_millis(100),
            exp_backoff_max_delay: Duration::from_secs(15),
            max_memory_restart: None,
            watchdog: Some(WATCHDOG),
            cwd: None,
            env: BTreeMap::new(),
            increment_var: None,
            user: None,
            group: None,
            nice: None,
            cpu_affinity: None,
            limits: Limits::default(),
        }
    }
}

impl Worker {
    fn usual_signal() -> String {
        "SIGTERM".to_owned()
    }

    fn usual_health_interval() -> Duration {
        Duration::from_millis(500)
    }

    fn usual_health_timeout() -> Duration {
        Duration::from_secs(1)
    }

    /// The variable that differs from worker to worker, as worker `number` gets it.
    pub fn incremented(&self, number: u8) -> Option<(&str, String)> {
        let name = self.increment_var.as_deref()?;
        let first: i64 = self.env.get(name)?.parse().ok()?;
        Some((name, first.saturating_add(i64::from(number)).to_string()))
    }

    /// A program knows nothing of the watchdog unless it was told to.
    pub(super) fn settle_watchdog(&mut self, by_default: bool) {
        if by_default && self.program.is_some() {
            self.watchdog = None;
        }
    }

    /// The watchdog of the roles beside the workers, which are built in: what is said of a program is not meant for them.
    pub fn watchdog_of_roles(&self) -> Option<Duration> {
        if self.program.is_some() { Some(WATCHDOG) } else { self.watchdog }
    }
}

/// What `workers = "max"` stands for: the CPUs this process may use (affinity and cgroup quota),
/// 1 to [`MAX_WORKERS`].
pub fn usable_cpus() -> u8 {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    u8::try_from(cpus).unwrap_or(MAX_WORKERS).clamp(1, MAX_WORKERS)
}

/// The key that differs between the two and needs a restart, if there is one: a reload refuses it.
///
/// Addresses are compared as configured, so port 0 equals port 0. One program may follow another; between a program and
/// the built-in worker nothing carries over. (The runtime directory, which needs a restart
/// too, is a flag, and flags do not change at a reload.)
pub fn unchangeable(old: &Config, new: &Config) -> Option<&'static str> {
    let sorted = |config: &Config| {
        let mut listen = config.listen.clone();
        listen.sort_unstable();
        listen
    };
    if sorted(old) != sorted(new) {
        Some("listen")
    } else if old.worker.program.is_some() != new.worker.program.is_some() {
        Some("worker.program")
    } else if old.log.dir != new.log.dir {
        Some("log.dir")
    } else {
        (old.share != new.share).then_some("share")
    }
}

/// Durations as strings that humantime reads.
mod duration {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(value: &Duration, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(&humantime::format_duration(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text).map_err(D::Error::custom)
    }

    /// The same, where `null` means off.
    pub(super) mod option {
        use super::*;

        pub(in super::super) fn serialize<S: Serializer>(
            value: &Option<Duration>,
            out: S,
        ) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => super::serialize(value, out),
                None => out.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Duration>, D::Error> {
            let text = Option::<String>::deserialize(from)?;
            text.map(|text| humantime::parse_duration(&text).map_err(D::Error::custom)).transpose()
        }
    }
}
