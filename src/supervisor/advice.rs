//! The way out of a start that failed, where more is known than that it failed.

use nix::libc::{EACCES, EADDRINUSE, EADDRNOTAVAIL};

use super::health::Complaint;
use super::{Shell, foreign, launcher, news};
use crate::config::Config;
use crate::core::{Failure, Slot};
use crate::exit;
use crate::wire::Trouble;

/// What to do about a program, or health command, that cannot be run.
const CANNOT_RUN: &str = "install it, make it executable, give its whole path, or set PATH in worker.env";

/// A port that could not be bound: why, and what to do about it.
pub(super) fn on_port(why: contract::Failure, shared: bool) -> Trouble {
    let hint = match why.errno {
        EADDRINUSE if shared => {
            "that process must set SO_REUSEPORT before it binds, as our user (an atlas-cluster: start it with --share); \
             else stop it, or choose another port with --listen"
        }
        EADDRINUSE => "stop that process, join it with --share, or choose another port with --listen",
        EADDRNOTAVAIL => "choose an address of this host with --listen; `ip address` shows them",
        EACCES => "a port below 1024 needs CAP_NET_BIND_SERVICE; choose another one with --listen",
        _ => "choose another address with --listen",
    };
    Trouble { message: why.what, hint: Some(hint.into()), exit: exit::PORT }
}

impl Shell {
    /// What to do about a worker of `config` that did not come up.
    pub(super) fn advice(&self, failure: Failure, config: &Config) -> Option<&'static str> {
        if self.has_changed_sockets(failure) {
            return Some(foreign::LEAVE_SOCKETS);
        }
        if self.is_not_alone(failure) && !config.share {
            return Some(
                "end that process, or stop the cluster and start it with --share; a user of its own for the cluster \
                 keeps others out",
            );
        }
        self.advice_on_program(failure, config)
    }

    fn has_changed_sockets(&self, failure: Failure) -> bool {
        let Failure::Died { run, .. } = failure else { return false };
        let words = self.news.death(run).and_then(news::Death::last_words);
        words.is_some_and(|(words, _)| words.ends_with(launcher::BY_US))
    }

    /// Somebody else was on the port when a new slot came there (`place`).
    fn is_not_alone(&self, failure: Failure) -> bool {
        let Failure::Died { run, .. } = failure else { return false };
        let refused = self.news.death(run).and_then(|death| death.refused_to_bind());
        refused.is_some_and(|(_, errno)| *errno == EADDRINUSE)
    }

    fn advice_on_program(&self, failure: Failure, config: &Config) -> Option<&'static str> {
        config.worker.program.as_ref()?;
        match failure {
            Failure::Died { slot: Slot::Role(_), .. } | Failure::TooLate { slot: Slot::Role(_), .. } => None,
            Failure::TooLate { slot: Slot::Worker(_), run } => match self.health.complaint(run) {
                Some(Complaint { lasting: true, .. }) => Some(CANNOT_RUN),
                Some(_) => Some(
                    "fix what worker.health_command finds, or the command itself; one that needs longer: \
                     worker.health_timeout, worker.listen_timeout",
                ),
                None => config.worker.wait_ready.then_some(
                    "a program that never says READY=1 needs worker.wait_ready=false, a slow one a longer \
                     worker.listen_timeout",
                ),
            },
            Failure::Died { slot: Slot::Worker(_), run } => match self.news.death(run)?.last_words() {
                Some((words, errno)) if foreign::cannot_ever_run(words, errno) => Some(CANNOT_RUN),
                Some(_) => None,
                None if self.news.death(run)?.was_killed() => None,
                None => Some(
                    "its own output says why; a program must not bind the port: its socket is descriptor 3 (LISTEN_FDS)",
                ),
            },
        }
    }
}
