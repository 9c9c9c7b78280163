//! A cluster in the background: started by a command that comes back.

use std::ops::Deref;

use nix::sys::signal::Signal;

use crate::log::Log;
use crate::{Builder, Cluster, Output, process, run, try_for};

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
        let said = run(command).expect_code(0);
        let pid = std::fs::read_to_string(place.runtime_dir().join("pid")).expect("a pid file");
        let pid = pid.trim().parse().expect("a pid");
        let cluster = Cluster { child: None, pid, binary: self.binary, place, log: Log::default() };
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
