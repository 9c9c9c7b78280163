//! The one file that names the workers.

use contract::Role;

use crate::config::Config;

/// Every kind of process that this binary can become.
pub(crate) struct Roles {
    /// What fills the worker slots.
    pub(crate) worker: &'static Role,
    /// Roles beside the workers; a place in this list is the role's slot number.
    pub(crate) beside: &'static [Beside],
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
    beside: &[Beside { role: &simulator::ROLE, wanted: |config| config.demo }],
};

impl Roles {
    /// The role of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&'static Role> {
        let beside = self.beside.iter().map(|beside| beside.role);
        std::iter::once(self.worker).chain(beside).find(|role| role.name == name)
    }
}
