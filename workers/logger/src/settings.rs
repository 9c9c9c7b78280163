//! What the configuration says about logs.

use std::path::PathBuf;

use contract::logs::{FOLDER, Format};
use contract::{Failure, RUNTIME_DIR};
use serde::Deserialize;

use crate::editor::Style;

/// `[log]`, as the cluster hands it over.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Settings {
    format: Format,
    dir: Option<PathBuf>,
    /// A file that would grow beyond this, in bytes, is full.
    pub(crate) max_size: u64,
    /// Full files that are kept.
    pub(crate) keep: u32,
    /// Whether they are compressed.
    pub(crate) gzip: bool,
    rate_limit: u64,
}

#[derive(Deserialize)]
struct Config {
    log: Settings,
}

impl Settings {
    pub(crate) fn parse(config: &str) -> Result<Settings, Failure> {
        let config: Config = serde_json::from_str(config).map_err(|e| Failure {
            what: format!("the configuration segment says nothing of logs that makes sense: {e}"),
            errno: 0,
        })?;
        Ok(config.log)
    }

    /// Where the files are.
    pub(crate) fn folder(&self) -> Result<PathBuf, Failure> {
        let own = || Some(PathBuf::from(std::env::var_os(RUNTIME_DIR)?).join(FOLDER));
        let missing = || Failure { what: format!("neither log.dir nor {RUNTIME_DIR} is set"), errno: 0 };
        self.dir.clone().or_else(own).ok_or_else(missing)
    }

    pub(crate) fn style(&self) -> Style {
        Style { format: self.format, rate: self.rate_limit }
    }
}
