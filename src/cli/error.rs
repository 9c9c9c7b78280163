//! What a command can fail of, as a person reads it: what, on what, why; then the way out; then the exit code.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::exit::{DONE, FAILED, NOT_RUNNING};
use crate::wire::{CONTROL_SOCKET, Trouble};

/// Where a service has its runtime directory, and root.
const SYSTEM: &str = "/run/atlas-cluster";

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Nobody listens on the control socket.
    #[error("no cluster is running in {}: {why}", dir.display())]
    NotRunning {
        /// The runtime directory.
        dir: PathBuf,
        /// How that was seen.
        why: String,
    },
    /// The control socket is another user's.
    #[error("cannot ask the cluster in {}: permission denied", dir.display())]
    Denied {
        /// The runtime directory.
        dir: PathBuf,
    },
    /// The control socket could not be reached, read or written for another reason.
    #[error("cannot ask the cluster in {}: {source}", dir.display())]
    Io {
        /// The runtime directory.
        dir: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Nothing came in time.
    #[error("the supervisor in {}{} did not answer{} within {}", dir.display(), numbered(*pid), quoted(command.as_deref()), humantime::format_duration(whole_millis(*within)))]
    Silent {
        /// The runtime directory.
        dir: PathBuf,
        /// Its pid, where that is known.
        pid: Option<u32>,
        /// It stands still.
        stopped: bool,
        /// The command that the user gave, once that is known.
        command: Option<String>,
        /// How long was waited.
        within: Duration,
    },
    /// The connection ended before the answer did.
    #[error("the supervisor in {} closed the connection after {bytes} bytes of its answer to {verb:?}", dir.display())]
    Closed {
        /// The runtime directory.
        dir: PathBuf,
        /// What was asked.
        verb: String,
        /// How much of an answer had come.
        bytes: usize,
    },
    /// An answer that this program cannot use.
    #[error("the supervisor in {} gave an answer to {verb:?} that cannot be used: {why}", dir.display())]
    Garbage {
        /// The runtime directory.
        dir: PathBuf,
        /// What was asked.
        verb: String,
        /// What is wrong with it.
        why: String,
        /// The supervisor's version, where it is another one.
        version: Option<String>,
    },
    /// The supervisor said no.
    #[error("{}", .0.message)]
    Refused(Trouble),
    /// The cluster is there, but what was waited for did not come.
    #[error("{0}")]
    NotReached(String),
    /// A cluster was waited for, and none is there.
    #[error("{0}")]
    NotThere(String),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// Nor can it be written that an order was carried out.
    #[error("cannot write to standard output: {0}")]
    Untold(io::Error),
}

impl Error {
    /// The same, of a command: it matters to nobody which look was under way inside it.
    pub(super) fn of(self, name: &str) -> Error {
        match self {
            Error::Silent { dir, pid, stopped, command: None, within } => {
                Error::Silent { dir, pid, stopped, command: Some(name.into()), within }
            }
            other => other,
        }
    }

    /// The way out, where there is one.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Error::NotRunning { dir, .. } if is_elsewhere(dir) => Some(format!(
                "the cluster of this system runs in {SYSTEM}: ask it as root, or as its user with --runtime-dir {SYSTEM}"
            )),
            Error::NotRunning { .. } | Error::NotThere(_) => {
                Some("start one with `atlas-cluster`, or name its directory with --runtime-dir DIR".into())
            }
            Error::Denied { .. } => Some(
                "the control socket is for the cluster's user and root only: run this command as one of them"
                    .into(),
            ),
            Error::Silent { pid, stopped, .. } => Some(way_out_of_silence(*pid, *stopped)),
            Error::Closed { .. } => {
                Some("it may have been stopped just now: try `atlas-cluster ping`".into())
            }
            Error::Garbage { version: Some(version), .. } => {
                let ours = env!("CARGO_PKG_VERSION");
                Some(format!(
                    "the supervisor is version {version}, this program is {ours}: use the one that goes with it"
                ))
            }
            Error::Refused(trouble) => trouble.hint.clone(),
            Error::NotReached(_) => Some("`atlas-cluster list` shows how things stand".into()),
            Error::Untold(_) => Some("it may still be carried out: `atlas-cluster list` shows it".into()),
            Error::Output(_) | Error::Io { .. } | Error::Garbage { version: None, .. } => None,
        }
    }

    /// The same, of a command that changes something.
    pub(super) fn of_order(self) -> Error {
        match self {
            Error::Output(why) => Error::Untold(why),
            other => other,
        }
    }

    /// The exit code that goes with it.
    pub(super) fn exit(&self) -> u8 {
        match self {
            Error::NotRunning { .. } => NOT_RUNNING,
            // A trouble that says "done" would be taken for success.
            Error::Refused(trouble) if trouble.exit != DONE => trouble.exit,
            _ => FAILED,
        }
    }

    /// The lines for standard error.
    pub(super) fn report(&self) -> String {
        let mut report = format!("atlas-cluster: {}\n", super::text::clean_lines(&self.to_string()));
        if let Some(hint) = self.hint() {
            report.push_str(&format!("hint: {}\n", super::text::clean_lines(&hint)));
        }
        report
    }
}

/// What to do about a supervisor that does not answer.
pub(super) fn way_out_of_silence(pid: Option<u32>, stopped: bool) -> String {
    match pid.filter(|_| stopped) {
        Some(pid) => format!(
            "it is stopped (SIGSTOP, or a debugger): `kill -CONT {pid}` lets it go on; its workers go on reading meanwhile"
        ),
        None => {
            "it may be busy, or stopped (SIGSTOP): try again in a while; its workers go on reading meanwhile"
                .into()
        }
    }
}

/// ` (pid 4000)`.
pub(super) fn numbered(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

fn quoted(command: Option<&str>) -> String {
    command.map(|command| format!(" `{command}`")).unwrap_or_default()
}

/// Somebody else than root, who asks in `dir`, may mean the cluster of the system.
fn is_elsewhere(dir: &Path) -> bool {
    let system = Path::new(SYSTEM);
    dir != system && system.join(CONTROL_SOCKET).exists() && !nix::unistd::geteuid().is_root()
}

/// What is left of a patience is odd to the nanosecond; nobody wants to read that.
fn whole_millis(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX))
}
