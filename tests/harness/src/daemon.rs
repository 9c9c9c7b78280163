//! A cluster in the background: started by a command that comes back.

use std::ops::Deref;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::log::Log;
use crate::{Builder, Cluster, OnTerminal, Output, Place, process, run, try_for};

/// One that is ended when it is dropped.
#[derive(Debug)]
pub struct Daemon {
    cluster: Cluster,
    /// What the command said.
    pub said: Output,
}

impl Builder {
    /// Starts it with `--daemon`, which must succeed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    #[must_use]
    pub fn start_daemon(self) -> Daemon {
        let (mut command, place) = self.prepare();
        command.env("ATLAS_CLUSTER_DAEMON", "true");
        Daemon::online(run(command), place, self.binary)
    }

    /// The same on a terminal of so many columns, as long as it takes.
    ///
    /// # Panics
    /// When it can't be started.
    #[track_caller]
    #[must_use]
    pub fn daemon_on_terminal(self, columns: u16) -> Starting {
        let (mut command, place) = self.prepare();
        command.env("ATLAS_CLUSTER_DAEMON", "true");
        Starting { command: OnTerminal::start(command, columns), place, binary: self.binary }
    }
}

/// A command with `--daemon` that has not come back yet.
#[derive(Debug)]
pub struct Starting {
    command: OnTerminal,
    place: Place,
    binary: PathBuf,
}

impl Starting {
    /// Waits for its end, which must be a success.
    #[track_caller]
    #[must_use]
    pub fn online(self) -> Daemon {
        Daemon::online(self.command.end(), self.place, self.binary)
    }
}

impl Deref for Starting {
    type Target = OnTerminal;

    fn deref(&self) -> &OnTerminal {
        &self.command
    }
}

impl Daemon {
    #[track_caller]
    fn online(said: Output, place: Place, binary: PathBuf) -> Daemon {
        let said = said.expect_code(0);
        let pid = std::fs::read_to_string(place.runtime_dir().join("pid")).expect("a pid file");
        let pid = pid.trim().parse().expect("a pid");
        let cluster = Cluster { child: None, pid, binary, place, log: Log::default() };
        Daemon { cluster, said }
    }
}

impl Deref for Daemon {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if process::lives(self.pid) && self.processes().iter().any(|process| process.pid == self.pid) {
            process::signal(self.pid, Signal::SIGKILL);
        }
        let gone = || self.processes().is_empty().then_some(());
        if try_for(crate::PATIENCE, gone).is_none() {
            self.processes().iter().for_each(|left| process::signal(left.pid, Signal::SIGKILL));
        }
    }
}
