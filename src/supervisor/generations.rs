//! Generations: configurations frozen at their start, so that a crash restarts what was started, whatever the disk
//! says by then.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use crate::config::{self, Config, ConfigError, Overrides};
use crate::core::{Generation, MAX_WORKERS, Plan, Policy, RoleSet};
use crate::roles::Roles;

/// A configuration as its children get it.
pub(super) struct Frozen {
    pub(super) config: Config,
    segment: OwnedFd,
}

impl Frozen {
    fn new(config: Config) -> io::Result<Frozen> {
        let json = serde_json::to_vec(&config)?;
        let segment = sys::map::segment(contract::CONFIG, &json, json.len(), true)?;
        Ok(Frozen { config, segment })
    }

    pub(super) fn segment(&self) -> BorrowedFd<'_> {
        self.segment.as_fd()
    }
}

/// Where configurations come from: flags and environment of the start, and the file.
pub(super) struct Source {
    pub(super) overrides: Overrides,
    pub(super) file: Option<PathBuf>,
}

impl Source {
    pub(super) fn load(&self) -> Result<config::Loaded, ConfigError> {
        config::load(&self.overrides, self.file.as_deref())
    }
}

/// Those that a process may still be started from.
pub(super) struct Generations {
    frozen: BTreeMap<Generation, Frozen>,
    last: Generation,
}

impl Generations {
    /// The first one.
    pub(super) fn new(config: Config) -> io::Result<Generations> {
        let first = Generation(1);
        Ok(Generations { frozen: BTreeMap::from([(first, Frozen::new(config)?)]), last: first })
    }

    pub(super) fn get(&self, generation: Generation) -> Option<&Frozen> {
        self.frozen.get(&generation)
    }

    /// Freezes a configuration under the next number, which is used up whatever becomes of it.
    pub(super) fn add(&mut self, config: Config) -> io::Result<Generation> {
        let frozen = Frozen::new(config)?;
        self.last = Generation(self.last.0 + 1);
        self.frozen.insert(self.last, frozen);
        Ok(self.last)
    }

    /// Forgets one that did not come up.
    pub(super) fn discard(&mut self, failed: Generation) {
        self.frozen.remove(&failed);
    }

    /// Forgets those before the one in force.
    pub(super) fn commit(&mut self, in_force: Generation) {
        self.frozen = self.frozen.split_off(&in_force);
    }
}

/// What a configuration asks of the core.
pub(super) fn plan(config: &Config, roles: &Roles) -> Plan {
    let worker = &config.worker;
    let policy = Policy {
        listen_timeout: worker.listen_timeout,
        kill_timeout: worker.kill_timeout,
        min_uptime: worker.min_uptime,
        backoff_start: worker.exp_backoff_restart_delay,
        backoff_max: worker.exp_backoff_max_delay,
        max_restarts: worker.max_restarts,
        watchdog: worker.watchdog,
    };
    let wanted = roles.beside.iter().enumerate().filter(|(_, beside)| (beside.wanted)(config));
    let wanted = wanted.fold(0, |set, (index, _)| set | 1 << index);
    let workers = config.workers.clamp(1, MAX_WORKERS);
    let role = Policy { max_restarts: 0, watchdog: worker.watchdog_of_roles(), ..policy };
    Plan { workers, roles: RoleSet(wanted), worker: policy, role }
}
