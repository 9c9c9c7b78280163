//! The configuration of a cluster: flags go over the environment, that over the file, that over defaults.
//!
//! ```text
//! file.rs ──text──▶ walk.rs ──row──▶ keys.rs ──▶ kinds.rs, listen.rs, processors.rs ──▶ types.rs
//! overrides.rs ───────────text──────────▲                 │ fault.rs
//!                                                         ▼
//!                            origin.rs, excerpt.rs, suggest.rs ──▶ error.rs
//! ```
//!
//! A new key is a field in `types.rs` and a row in `keys.rs`.

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
mod suggest;
mod types;
mod value;
mod walk;

#[cfg(test)]
mod tests;

pub use error::{ConfigError, Problem, Unreadable};
pub use excerpt::Excerpt;
pub(crate) use kinds::{in_units, parse_size};
pub use origin::{Origin, Origins};
pub use overrides::Overrides;
pub use types::{
    Balance, Config, MAX_LISTEN, MAX_PROCESSORS, MAX_WORKERS, PROCESSOR_PORT, Processor, Program, Worker,
    unchangeable, usable_cpus,
};

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
    if let Some(path) = &file {
        read_text(path, &file::read(path)?, &mut config, &mut origins)?;
    }
    overrides.apply(&mut config, &mut origins)?;
    contradiction(&config, &origins)?;
    processors::bring_demo(&mut config).map_err(|(why, hint)| no_demo(&why, hint, &origins))?;
    config.worker.settle_watchdog(origins.get("worker.watchdog") == Some(&Origin::Default));
    Ok(Loaded { config, file, origins })
}

/// Two keys that are good by themselves, and not together.
fn contradiction(config: &Config, origins: &Origins) -> Result<(), ConfigError> {
    if !config.share || config.balance != Balance::Spread {
        return Ok(());
    }
    let origin = |key| origins.get(key).cloned().unwrap_or(Origin::Default);
    let problem = Problem {
        origin: origin("balance"),
        excerpt: None,
        sentence: format!("`balance = \"spread\"` does not go with `share` (from {})", origin("share")),
        hint: "leave one of the two out: who spreads must have the port to himself".to_owned(),
    };
    Err(ConfigError::Invalid { problems: vec![problem] })
}

fn no_demo(why: &str, hint: String, origins: &Origins) -> ConfigError {
    let origin = origins.get("demo").cloned().unwrap_or(Origin::Default);
    let problem = Problem { origin, excerpt: None, sentence: format!("no demo: {why}"), hint };
    ConfigError::Invalid { problems: vec![problem] }
}

/// Puts what the file says over the defaults.
fn read_text(path: &Path, text: &str, config: &mut Config, origins: &mut Origins) -> Result<(), ConfigError> {
    let table = DeTable::parse(text).map_err(|error| syntax_error(path, text, &error))?;
    let filled = walk::fill(keys::KEYS, "", table.get_ref(), config);
    if !filled.findings.is_empty() {
        let mut findings = filled.findings;
        findings.sort_by_key(|finding| finding.span.start);
        findings.truncate(error::MOST_PROBLEMS);
        let problems = findings.into_iter().map(|finding| problem(path, text, finding)).collect();
        return Err(ConfigError::Invalid { problems });
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
    ConfigError::Invalid { problems: vec![problem(path, text, finding)] }
}
