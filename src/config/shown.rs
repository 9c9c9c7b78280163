//! A configuration as one would write it: every key with its value.

use super::keys::KEYS;
use super::types::Config;

/// A key and the value in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Section and key, as `worker.watchdog`.
    pub key: &'static str,
    /// The value as one writes it in TOML, in one line; None if it is off, and has no form.
    pub value: Option<String>,
    /// A file may say so; false for what only a flag or a variable can say.
    pub in_file: bool,
}

/// Every key that can have a value, in the order of the documentation.
#[must_use]
pub fn shown(config: &Config) -> Vec<Shown> {
    let mut config = config.clone();
    let keys = KEYS.iter().filter(|key| key.slot.listed() || key.slot.in_environment());
    keys.map(|key| Shown {
        key: key.path,
        value: key.slot.show(&mut config),
        in_file: key.slot.instead_of_file().is_none(),
    })
    .collect()
}
