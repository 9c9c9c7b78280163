//! What a configuration asks of the unit that runs it.

use std::path::{Path, PathBuf};

use crate::config::{Account, Config, Limits};

/// It.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// A port below 1024.
    pub(super) low_port: bool,
    /// A program that writes the code that it runs, as Node.js and others do.
    pub(super) writes_code: bool,
    /// Longer than that no stop takes, in seconds.
    pub(super) stop: u64,
    /// Workers run as another user than the service would: only root can become one.
    pub(super) other_user: bool,
    /// The group of a service that need not change it.
    pub(super) group: Option<u32>,
    /// A niceness below the usual one.
    pub(super) nice: Option<i32>,
    /// Limits that workers set for themselves, no higher than the service's.
    pub(super) limits: Limits,
    /// Where log files go.
    pub(super) logs: Option<PathBuf>,
    /// Where a program works, and may write.
    pub(super) cwd: Option<PathBuf>,
}

impl Needs {
    /// `service` is the user whom the service has, if there is one.
    pub(super) fn of(config: &Config, service: Option<&Account>) -> Needs {
        let worker = &config.worker;
        let same = |user: &Account| service.is_some_and(|service| service.uid == user.uid);
        let other_user = worker.user.as_ref().is_some_and(|user| !same(user));
        Needs {
            low_port: config.listen.iter().any(|address| (1..1024).contains(&address.port())),
            writes_code: worker.program.is_some(),
            stop: worker.kill_timeout.as_secs() + 15,
            other_user,
            group: worker.group.filter(|_| !other_user),
            nice: worker.nice.filter(|nice| *nice < 0),
            limits: worker.limits.clone(),
            logs: config.log.dir.clone(),
            cwd: worker.cwd.clone().filter(|_| worker.program.is_some()),
        }
    }

    /// Whatever is configured; what few want is the administrator's to grant.
    pub(super) fn unknown() -> Needs {
        Needs { writes_code: true, stop: 90, ..Needs::default() }
    }

    /// Besides binding ports, all that root has to do: become another user, give him his notify address and speak there
    /// while it is still root, end his processes.
    pub(super) fn capabilities(&self) -> String {
        let all = [
            (self.low_port, "CAP_NET_BIND_SERVICE"),
            (self.other_user, "CAP_SETUID CAP_SETGID CAP_CHOWN CAP_KILL CAP_DAC_OVERRIDE"),
        ];
        all.into_iter().filter_map(|(needed, name)| needed.then_some(name)).collect::<Vec<_>>().join(" ")
    }
}

/// The part of the path below /var/log, where systemd makes folders for services.
pub(super) fn below_var_log(folder: &Path) -> Option<&Path> {
    folder.strip_prefix("/var/log").ok().filter(|rest| !rest.as_os_str().is_empty())
}
