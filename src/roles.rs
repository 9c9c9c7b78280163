//! The one file that names the workers.

use contract::Role;
/// What `simulate` runs: the processor of `--demo` as a process of its own.
pub(crate) use simulator as simulated;

use crate::config::Config;
use crate::supervisor::{foreign, probe};

/// Every kind of process that this binary can become.
pub(crate) struct Roles {
    /// What fills the worker slots, unless a program does.
    pub(crate) worker: &'static Role,
    /// What fills them where the configuration names a program.
    pub(crate) program: &'static Role,
    /// What asks how a worker is that runs a program.
    pub(crate) health: &'static Role,
    /// Roles beside the workers; a place in this list is the role's slot number.
    pub(crate) beside: &'static [Beside],
    /// Which of them reads what all processes print.
    pub(crate) logger: &'static Role,
}

/// A role of which one process runs, when it is wanted.
pub(crate) struct Beside {
    /// The role.
    pub(crate) role: &'static Role,
    /// Whether a configuration wants it.
    pub(crate) wanted: fn(&Config) -> bool,
}

/// The roles of this version.
pub(crate) static ROLES: Roles = Roles {
    worker: &meter::ROLE,
    program: &foreign::ROLE,
    health: &probe::ROLE,
    beside: &[
        Beside { role: &simulator::ROLE, wanted: |config| config.demo },
        Beside { role: &link::ROLE, wanted: |config| !config.processor.is_empty() },
        Beside { role: &logger::ROLE, wanted: Config::logs_to_files },
    ],
    logger: &logger::ROLE,
};

impl Roles {
    /// The role of the workers of `config`.
    pub(crate) fn of_workers(&self, config: &Config) -> &'static Role {
        if config.worker.program.is_some() { self.program } else { self.worker }
    }

    /// The logger's place in the list of those beside the workers, if a test has not taken it away.
    pub(crate) fn logger_slot(&self) -> Option<u8> {
        let found = self.beside.iter().position(|beside| beside.role.name == self.logger.name);
        found.and_then(|index| u8::try_from(index).ok())
    }

    /// The role of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&'static Role> {
        let beside = self.beside.iter().map(|beside| beside.role);
        [self.worker, self.program, self.health].into_iter().chain(beside).find(|role| role.name == name)
    }
}
