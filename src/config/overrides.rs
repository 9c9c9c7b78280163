//! What flags and environment say: it goes over what the file says.

use super::error::{ConfigError, Problem};
use super::fault::{Fault, Faults};
use super::keys::{KEYS, Key};
use super::origin::{Origin, Origins};
use super::suggest;
use super::types::Config;
use super::value::{Value, quoted};
use super::walk::complete;
use std::ffi::OsString;
use toml::de::DeValue;

/// Values from environment and flags, as text; a later one wins over an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    settings: Vec<Setting>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    key: String,
    text: String,
    origin: Origin,
}

impl Overrides {
    /// Reads `ATLAS_CLUSTER_<SECTION>_<KEY>` for every key. An empty variable is as good as none. `lookup` is the environment, so that tests can have one of their own.
    ///
    /// # Errors
    /// A variable that is not UTF-8.
    pub fn from_environment(lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let mut overrides = Self::default();
        for key in KEYS.iter().filter(|key| key.slot.in_environment()) {
            let variable = variable_of(key.path);
            let Some(value) = lookup(&variable).filter(|value| !value.is_empty()) else { continue };
            let origin = Origin::Environment(variable);
            match value.into_string() {
                Ok(text) => overrides.settings.push(Setting { key: key.path.to_owned(), text, origin }),
                Err(_) => return Err(invalid(origin, "the value is not UTF-8".to_owned(), expected(key))),
            }
        }
        Ok(overrides)
    }

    /// Adds what a flag says, `flag("--workers", "workers", "4")`. A list is one text with commas.
    pub fn flag(&mut self, flag: &str, key: &str, text: impl Into<String>) {
        let origin = Origin::Flag(flag.to_owned());
        self.settings.push(Setting { key: key.to_owned(), text: text.into(), origin });
    }

    /// Adds what stands behind `--`.
    pub fn program(&mut self, words: &[String]) {
        let words = words.iter().cloned().map(toml::Value::String).collect();
        self.flag("--", "worker.program", toml::Value::Array(words).to_string());
    }

    /// Adds `--set KEY=VALUE`; the value is TOML, or the bare text of a string, a number or a list.
    ///
    /// # Errors
    /// No `=`, or no such key.
    pub fn set(&mut self, assignment: &str) -> Result<(), ConfigError> {
        let flag = Origin::Flag("--set".to_owned());
        let Some((path, text)) = assignment.split_once('=') else {
            let hint = "allowed: KEY=VALUE; for example `--set worker.watchdog=10s`".to_owned();
            return Err(invalid(flag, format!("{} has no `=`", quoted(assignment)), hint));
        };
        let (path, text) = (path.trim(), text.trim());
        if !KEYS.iter().any(|key| key.path == path) {
            let paths = KEYS.iter().filter(|key| key.slot.listed()).map(|key| key.path);
            let allowed = paths.clone().collect::<Vec<_>>().join(", ");
            let hint = match suggest::nearest(path, paths) {
                Some(meant) => format!("did you mean `{meant}`? allowed here: {allowed}"),
                None => format!("allowed here: {allowed}"),
            };
            return Err(invalid(flag, format!("unknown key {}", quoted(path)), hint));
        }
        self.flag(&format!("--set {path}"), path, text);
        Ok(())
    }

    /// Whether the cluster is to run in the background.
    #[must_use]
    pub fn daemon(&self) -> bool {
        let mut config = Config::default();
        self.apply(&mut config, &mut Origins::new()).is_ok() && config.daemon
    }

    /// Whether every value is good in itself, whatever the file says.
    ///
    /// # Errors
    /// Every value that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.apply(&mut Config::default(), &mut Origins::new())
    }

    /// Puts every value into its place.
    pub(super) fn apply(&self, config: &mut Config, origins: &mut Origins) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        for setting in &self.settings {
            // One: whoever gives a key by its name is refused if there is none.
            for key in KEYS.iter().filter(|key| key.path == setting.key) {
                match put(key, &setting.text, config) {
                    Ok(()) => _ = origins.insert(key.path, setting.origin.clone()),
                    Err(faults) => {
                        problems.extend(faults.into_iter().map(|fault| told(key, fault, &setting.origin)))
                    }
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::invalid(problems)) }
    }
}

/// The environment variable of a key.
fn variable_of(path: &str) -> String {
    format!("ATLAS_CLUSTER_{}", path.replace('.', "_").to_uppercase())
}

/// Text that looks like TOML's quotes and brackets is TOML, if it can be; everything else is taken as it is.
fn put(key: &Key<Config>, text: &str, config: &mut Config) -> Result<(), Faults> {
    let written = if text.starts_with(['"', '\'', '[', '{']) { DeValue::parse(text).ok() } else { None };
    match written {
        Some(value) => key.slot.put(config, &Value::Toml(&value)),
        None => key.slot.put(config, &Value::Text(text)),
    }
}

/// A fault as a problem of a flag or variable.
fn told(key: &Key<Config>, fault: Fault, origin: &Origin) -> Problem {
    let bare = key.example.trim_matches(['[', ']', '"']);
    // Several strings stay TOML, and a shell must leave them alone.
    let bare = if bare.contains('"') { format!("'{}'", key.example) } else { bare.to_owned() };
    let example = match origin {
        _ if bare.is_empty() => String::new(),
        Origin::Flag(flag) if flag.starts_with("--set ") => format!("`{flag}={bare}`"),
        Origin::Flag(flag) => format!("`{flag} {bare}`"),
        _ => format!("`{origin}={bare}`"),
    };
    let (sentence, hint) = complete(key, fault, "", &example);
    problem(origin.clone(), sentence, hint)
}

fn expected(key: &Key<Config>) -> String {
    format!("allowed: {}", key.slot.takes())
}

fn problem(origin: Origin, sentence: String, hint: String) -> Problem {
    Problem { origin, excerpt: None, sentence, hint }
}

fn invalid(origin: Origin, sentence: String, hint: String) -> ConfigError {
    ConfigError::invalid(vec![problem(origin, sentence, hint)])
}
