//! `check --effective`: the values in force, and where each came from; as a configuration file
//! that says the same.

use serde::Serialize;
use serde_json::Value;

use super::super::error::Error;
use super::super::terminal::print;
use super::super::text::{left, width};
use super::super::{complain, json};
use crate::args::Check;
use crate::config::{Origin, Shown, load, shown};
use crate::exit::{DONE, USAGE};

/// `check --effective --json`.
#[derive(Serialize)]
struct Effective {
    /// Version of this shape: 1.
    schema: u32,
    /// The configuration file, absolute; null without one.
    file: Option<String>,
    values: Vec<InForce>,
}

/// A value.
#[derive(Serialize)]
struct InForce {
    /// Section and key, as `worker.watchdog`.
    key: &'static str,
    /// As one writes it in TOML; null if it is off.
    value: Value,
    /// `default`, `file`, `environment` or `flag`.
    from: &'static str,
    /// Where exactly: `/etc/x.toml:7`, `ATLAS_CLUSTER_WORKERS`, `--workers`.
    origin: String,
}

/// Prints them.
pub(super) fn run(check: &Check) -> Result<u8, Error> {
    let loaded = match load(&check.overrides, check.file.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&error.render());
            return Ok(USAGE);
        }
    };
    let origin = |key: &str| loaded.origins.get(key).cloned().unwrap_or(Origin::Default);
    let values = shown(&loaded.config);
    if check.json {
        let values = values.into_iter().map(|Shown { key, value, .. }| {
            let origin = origin(key);
            InForce { key, value: as_json(value.as_deref()), from: kind(&origin), origin: origin.to_string() }
        });
        let file = loaded.file.as_ref().map(|file| file.display().to_string());
        print(&json::whole(&Effective { schema: 1, file, values: values.collect() }))?;
        return Ok(DONE);
    }
    let lines: Vec<(String, String)> = values
        .into_iter()
        .map(|Shown { key, value, in_file }| {
            let line = match value {
                Some(value) if in_file => format!("{key} = {value}"),
                Some(value) => format!("# {key} = {value}"),
                None => format!("# {key} is off"),
            };
            (line, origin(key).to_string())
        })
        .collect();
    let widest = lines.iter().map(|(line, _)| width(line)).filter(|&width| width <= 60).max().unwrap_or(0);
    let lines = lines.iter().map(|(line, origin)| format!("{}  # {origin}\n", left(line, widest)));
    print(&lines.collect::<String>())?;
    Ok(DONE)
}

fn kind(origin: &Origin) -> &'static str {
    match origin {
        Origin::Default => "default",
        Origin::File { .. } => "file",
        Origin::Environment(_) => "environment",
        Origin::Flag(_) => "flag",
    }
}

/// What the TOML says.
fn as_json(value: Option<&str>) -> Value {
    let parse = |value: &str| -> Option<Value> {
        let mut table: toml::Table = format!("value = {value}").parse().ok()?;
        serde_json::to_value(table.remove("value")?).ok()
    };
    value.and_then(parse).unwrap_or_default()
}
