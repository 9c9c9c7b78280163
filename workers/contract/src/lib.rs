//! systemd's contract from the worker's side, and what a role promises the cluster.
//!
//! A worker finds its descriptors by name ([`Contract`], sd_listen_fds(3)), speaks to its supervisor through a
//! datagram socket ([`Notify`], sd_notify(3)), takes its slot over by a lock that the kernel passes on ([`Seat`]) and
//! lives until it is told to leave ([`Life`]).

mod accepting;
mod blame;
pub mod clock;
mod counted;
mod demo;
mod life;
mod listen;
pub mod logs;
mod notify;
mod private;
mod regular;
mod seat;
pub mod tap;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub use accepting::Accepting;
pub use blame::{BLAME, Blame, RUN};
pub use counted::{counted, were};
pub use demo::{DEMO, DemoPort};
pub use life::Life;
pub use listen::{home_of, route_source};
pub use notify::Notify;
pub use private::{private_datagram, private_listener};
pub use regular::open_regular;
pub use seat::{Seat, is_locked};

/// Name of the pipe whose writing end only the supervisor holds.
pub const PARENT: &str = "parent";
/// Name of the frozen segment with the configuration of the generation, as JSON.
pub const CONFIG: &str = "config";
/// The most bytes that a configuration may have there: a file of 1 MiB, each byte of it written as six (`\u001f`).
const MAX_CONFIG: usize = 6 << 20;
/// Name of the slot's own segment: whoever holds its lock serves the slot.
pub const SEAT: &str = "seat";
/// Name of the file for datagrams that killed workers: append, and read.
pub const QUARANTINE: &str = "quarantine";
/// Prefix of the names of the slot's sockets: `udp0`, `udp1`, … in the order of the listen addresses.
pub const SOCKET: &str = "udp";

/// Prefix of the names of descriptors that hold a place open for a socket that is yet to be made: `place0` for `udp0`.
pub const PLACE: &str = "place";

/// What the first argument of every worker begins with, before the name of its role: what `ps` shows.
pub const TITLE: &str = "atlas-cluster: ";
/// What the names of all variables begin with that are for the cluster's own children alone.
pub const OWN: &str = "X_ATLAS_";
/// Variable with the cluster's listen addresses, separated by commas; a port that the kernel chose stands in it.
pub const LISTEN: &str = "X_ATLAS_LISTEN";
/// Variables of systemd's contract that are addressed to one process, and would mislead another (sd_listen_fds(3),
/// sd_notify(3), sd_watchdog_enabled(3)).
pub const ADDRESSED: [&str; 6] =
    ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
/// File name, in the runtime directory, of the socket on which link takes commands.
pub const LINK_SOCKET: &str = "link.sock";
/// File name, in the runtime directory, of what link locks while it lives.
pub const LINK_LOCK: &str = "link.lock";
/// Variable with the runtime directory.
pub const RUNTIME_DIR: &str = "X_ATLAS_RUNTIME_DIR";
/// Variable that says which of the inherited descriptors the slot's earlier processes gave up to be kept: `1..201`,
/// counted from 0.
pub const STORED: &str = "X_ATLAS_STORED";

/// How a role ends that cannot go on: one line, and the errno if a system call said it (`ERRNO=`).
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// What failed, on what, why.
    pub what: String,
    /// The error number behind it, 0 if there is none.
    pub errno: i32,
}

impl Failure {
    /// `what: why`, with the number of `why`.
    #[must_use]
    pub fn of(what: impl std::fmt::Display, why: &std::io::Error) -> Failure {
        Failure { what: format!("{what}: {why}"), errno: why.raw_os_error().unwrap_or(0) }
    }
}

/// A memory segment that the supervisor makes and lends; it never maps one itself.
#[derive(Clone, Copy)]
pub struct Lent {
    /// Its name among the worker's descriptors.
    pub name: &'static str,
    /// Size in bytes.
    pub bytes: usize,
    /// What stands at the start of a fresh one.
    pub head: fn() -> Vec<u8>,
}

/// What the cluster knows of a kind of worker.
pub struct Role {
    /// Name, as `list` and `ps` show it.
    pub name: &'static str,
    /// Whether its slots hold sockets of the reuseport groups.
    pub sockets: bool,
    /// Whether each of its slots gets a file for what killed it ([`QUARANTINE`]).
    pub quarantine: bool,
    /// The segment of each slot ([`SEAT`]): it carries the lock. None for a program of somebody else's.
    pub seat: Option<Lent>,
    /// Segments of the cluster that it shares with others.
    pub shared: &'static [Lent],
    /// Its life, from READY to the last datagram.
    pub main: fn(Contract) -> Result<(), Failure>,
}

/// What a worker was given at its start.
pub struct Contract {
    descriptors: BTreeMap<String, OwnedFd>,
    /// What earlier processes of the slot gave up to be kept, under whatever names.
    stored: Vec<(String, OwnedFd)>,
    /// The line to the supervisor.
    pub notify: Notify,
    /// Silence of this length is taken for a hang (`WATCHDOG_USEC`).
    pub watchdog: Option<Duration>,
    /// Number of the slot (`NODE_APP_INSTANCE`).
    pub instance: u8,
    /// Number of this process, 0 if nobody said ([`RUN`]).
    pub run: u64,
    /// The last death of this slot that is to be blamed on what the process was doing, as far as it was known when we
    /// were started ([`BLAME`]).
    pub blame: Option<Blame>,
}

impl Contract {
    /// Reads the environment and takes over the descriptors; once in a process's life.
    ///
    /// # Errors
    /// When a variable is missing or makes no sense, or a descriptor is not open.
    pub fn from_environment() -> Result<Contract, Failure> {
        let number = |name: &str| text(name)?.parse::<u64>().map_err(|_| broken(name));
        if number("LISTEN_PID")? != u64::from(std::process::id()) {
            return Err(broken("LISTEN_PID"));
        }
        let count = usize::try_from(number("LISTEN_FDS")?).map_err(|_| broken("LISTEN_FDS"))?;
        let fds = sys::fds::inherited(sys::process::FIRST_FD, count)
            .map_err(|e| Failure::of(format_args!("cannot take over {count} descriptors"), &e))?;
        let names = text("LISTEN_FDNAMES")?;
        let stored_ones = stored_range()?;
        let (mut descriptors, mut stored) = (BTreeMap::new(), Vec::new());
        for (i, (name, fd)) in names.split(':').map(str::to_owned).zip(fds).enumerate() {
            if stored_ones.contains(&i) {
                stored.push((name, fd));
            } else {
                descriptors.insert(name, fd);
            }
        }
        if descriptors.len() + stored.len() != count {
            return Err(broken("LISTEN_FDNAMES"));
        }
        let watchdog = match std::env::var("WATCHDOG_USEC") {
            Ok(_) => Some(Duration::from_micros(number("WATCHDOG_USEC")?)),
            Err(_) => None,
        };
        Ok(Contract {
            descriptors,
            stored,
            notify: Notify::from_environment()?,
            watchdog,
            instance: number("NODE_APP_INSTANCE")?.try_into().map_err(|_| broken("NODE_APP_INSTANCE"))?,
            run: std::env::var(RUN).map_or(Ok(0), |_| number(RUN))?,
            blame: match std::env::var(BLAME) {
                Ok(text) => Some(text.parse().map_err(|()| broken(BLAME))?),
                Err(_) => None,
            },
        })
    }

    /// The descriptor of that name.
    ///
    /// # Errors
    /// When it was not given, or was taken before.
    pub fn take(&mut self, name: &str) -> Result<OwnedFd, Failure> {
        self.descriptors.remove(name).ok_or_else(|| missing(name))
    }

    /// A look at the descriptor of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<BorrowedFd<'_>> {
        self.descriptors.get(name).map(OwnedFd::as_fd)
    }

    /// The names of the descriptors that were given, and not taken yet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.descriptors.keys().map(String::as_str)
    }

    /// Gives the contract a descriptor by name: the launcher, for the role it becomes.
    pub fn put(&mut self, name: String, fd: OwnedFd) {
        self.descriptors.insert(name, fd);
    }

    /// What earlier processes of the slot gave up to be kept ([`Notify::store`]), with the names they gave it.
    pub fn take_stored(&mut self) -> Vec<(String, OwnedFd)> {
        std::mem::take(&mut self.stored)
    }

    /// The configuration of the generation, as JSON.
    ///
    /// # Errors
    /// When it was not given, or cannot be read.
    pub fn config(&self) -> Result<String, Failure> {
        let fd = self.descriptors.get(CONFIG).ok_or_else(|| missing(CONFIG))?;
        let text = sys::map::read_all(fd.as_fd(), MAX_CONFIG);
        let text = text.and_then(|text| String::from_utf8(text).map_err(std::io::Error::other));
        text.map_err(|e| Failure::of("cannot read the configuration segment", &e))
    }

    /// The slot's sockets, in the order of the listen addresses.
    pub fn take_sockets(&mut self) -> Vec<OwnedFd> {
        (0..).map_while(|i| self.descriptors.remove(&format!("{SOCKET}{i}"))).collect()
    }
}

fn stored_range() -> Result<std::ops::Range<usize>, Failure> {
    let Ok(text) = std::env::var(STORED) else { return Ok(0..0) };
    let range = text.split_once("..").and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
    range.ok_or_else(|| broken(STORED))
}

fn text(name: &str) -> Result<String, Failure> {
    std::env::var(name).map_err(|_| broken(name))
}

fn missing(name: &str) -> Failure {
    Failure { what: format!("no descriptor `{name}` was given"), errno: 0 }
}

fn broken(name: &str) -> Failure {
    Failure { what: format!("the environment variable {name} is missing or makes no sense"), errno: 0 }
}
