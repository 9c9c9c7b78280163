//! The configuration of a cluster: flags go over the environment, that over the file, that over defaults.
//!
//! ```text
//! file.rs ──text──▶ walk.rs ──row──▶ keys.rs ──▶ kinds.rs, listen.rs, processors.rs ──▶ types.rs
//! overrides.rs ───────────text──────────▲                 │ fault.rs
//!                                                         ▼
//!                            origin.rs, excerpt.rs, suggest.rs ──▶ error.rs
//! ```
//!
//! A new key is a field in `types.rs`, a row in `keys.rs`, a line in docs/atlas-cluster.toml and one in
//! docs/schema/config.json; the tests say what is missing.

mod accounts;
mod error;
mod excerpt;
mod fault;
mod file;
mod keys;
mod kinds;
mod listen;
mod origin;
mod overrides;
mod processors;
mod runs_as;
mod shown;
mod suggest;
mod types;
mod units;
mod value;
mod walk;

#[cfg(test)]
mod tests;

pub use accounts::Account;
pub(crate) use accounts::known_user;
pub use error::{ConfigError, Problem, Unreadable};
pub use excerpt::Excerpt;
pub use origin::{Origin, Origins};
pub use overrides::Overrides;
pub use shown::{Shown, shown};
pub use types::{
    Balance, Config, Cpus, Limits, Log, MAX_LISTEN, MAX_PROCESSORS, MAX_WORKERS, PROCESSOR_PORT, Processor,
    Program, Worker, unchangeable, usable_cpus,
};
pub(crate) use units::{in_units, parse_size};

use fault::Finding;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// A configuration that holds, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The file they came from, absolute; `None` if there is none. A reload passes it to [`load`] again.
    pub file: Option<PathBuf>,
    /// Where each value came from.
    pub origins: Origins,
}

/// Reads the configuration: `file` if given (it must exist), else `./atlas-cluster.toml`, else
/// `/etc/atlas-cluster/atlas-cluster.toml`, else none; then puts `overrides` over it.
///
/// # Errors
/// [`ConfigError`]: a file that cannot be read, or everything that is wrong in it, or else everything that
/// is wrong in the overrides, or else what contradicts itself in both together.
pub fn load(overrides: &Overrides, file: Option<&Path>) -> Result<Loaded, ConfigError> {
    let file = file::find(file, file::USUAL)?;
    let mut config = Config::default();
    let settable = keys::KEYS.iter().filter(|key| key.slot.listed() || key.slot.in_environment());
    let mut origins: Origins = settable.map(|key| (key.path, Origin::Default)).collect();
    let text = file.as_deref().map(file::read).transpose()?;
    if let (Some(path), Some(text)) = (&file, &text) {
        read_text(path, text, &mut config, &mut origins)?;
    }
    overrides.apply(&mut config, &mut origins)?;
    contradiction(&config, &origins, text.as_deref().unwrap_or_default())?;
    processors::bring_demo(&mut config).map_err(|(why, hint)| no_demo(&why, hint, &origins))?;
    config.worker.settle_watchdog(origins.get("worker.watchdog") == Some(&Origin::Default));
    Ok(Loaded { config, file, origins })
}

/// Keys that are good by themselves, and not together; `text` is the file's.
fn contradiction(config: &Config, origins: &Origins, text: &str) -> Result<(), ConfigError> {
    let origin = |key| origins.get(key).cloned().unwrap_or(Origin::Default);
    let worker = &config.worker;
    let mut problems = Vec::new();
    let mut found = |key, sentence: String, hint: &str| {
        let origin = origin(key);
        let excerpt = match origin {
            Origin::File { line, .. } => Some(Excerpt::of_line(text, line)),
            Origin::Default | Origin::Environment(_) | Origin::Flag(_) => None,
        };
        problems.push(Problem { origin, excerpt, sentence, hint: hint.to_owned() });
    };
    if config.share && config.balance == Balance::Spread {
        let sentence = format!("`balance = \"spread\"` does not go with `share` (from {})", origin("share"));
        found("balance", sentence, "remove one of them: `spread` needs the port to itself");
    }
    if worker.program.is_none() && worker.kill_signal != "SIGTERM" {
        let sentence =
            format!("`worker.kill_signal = \"{}\"` is for a program, and there is none", worker.kill_signal);
        found("worker.kill_signal", sentence, "leave it out: the built-in worker leaves by SIGTERM");
    }
    if worker.program.is_none() && worker.health_command.is_some() {
        let sentence = "`worker.health_command` is for a program, and there is none".to_owned();
        found(
            "worker.health_command",
            sentence,
            "leave it out: the built-in worker says itself that it is ready",
        );
    }
    if let Some(name) = &worker.increment_var
        && worker.incremented(0).is_none()
    {
        let sentence =
            format!("`worker.increment_var` names {name}, which is not a whole number in `worker.env`");
        found("worker.increment_var", sentence, "give the first worker's value: env = { PORT = \"3000\" }");
    }
    if problems.is_empty() { Ok(()) } else { Err(ConfigError::invalid(problems)) }
}

fn no_demo(why: &str, hint: String, origins: &Origins) -> ConfigError {
    let origin = origins.get("demo").cloned().unwrap_or(Origin::Default);
    let problem = Problem { origin, excerpt: None, sentence: format!("no demo: {why}"), hint };
    ConfigError::invalid(vec![problem])
}

/// Puts what the file says over the defaults.
fn read_text(path: &Path, text: &str, config: &mut Config, origins: &mut Origins) -> Result<(), ConfigError> {
    let table = DeTable::parse(text).map_err(|error| syntax_error(path, text, &error))?;
    let filled = walk::fill(keys::KEYS, "", table.get_ref(), config);
    if !filled.findings.is_empty() {
        let mut findings = filled.findings;
        findings.sort_by_key(|finding| finding.span.start);
        // Before each is looked up in the file.
        let more = findings.len().saturating_sub(error::MOST_PROBLEMS);
        findings.truncate(error::MOST_PROBLEMS);
        let problems = findings.into_iter().map(|finding| problem(path, text, finding)).collect();
        return Err(ConfigError::Invalid { problems, more });
    }
    for (key, span) in filled.found {
        let line = Excerpt::new(text, &span).line;
        origins.insert(key, Origin::File { path: path.to_owned(), line });
    }
    Ok(())
}

/// A finding with its place in the file.
fn problem(path: &Path, text: &str, finding: Finding) -> Problem {
    let Finding { span, sentence, hint } = finding;
    let excerpt = Excerpt::new(text, &span);
    let origin = Origin::File { path: path.to_owned(), line: excerpt.line };
    Problem { origin, excerpt: Some(excerpt), sentence, hint }
}

fn syntax_error(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let said = error.message().lines().collect::<Vec<_>>().join("; ");
    let hint = match said.as_str() {
        "duplicate key" => "each key stands once: leave one of the two out",
        _ => "TOML has `key = value` lines, strings in double quotes, sections as [worker] or [[processor]]",
    };
    let finding = Finding {
        span: error.span().unwrap_or(0..0),
        sentence: format!("not valid TOML: {said}"),
        hint: hint.to_owned(),
    };
    ConfigError::invalid(vec![problem(path, text, finding)])
}
