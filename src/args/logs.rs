//! What `logs` is asked for.

use std::time::Duration;

use jiff::Timestamp;
use regex_lite::Regex;

use super::cli::LogOptions;
use super::usage::UsageError;

/// Which lines of the logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLines {
    /// And those to come.
    pub follow: bool,
    /// At most so many of those there are.
    pub lines: Option<usize>,
    /// Of this source.
    pub worker: Option<String>,
    /// None older.
    pub since: Option<Since>,
    /// A regular expression that is found in them, and is one.
    pub grep: Option<String>,
}

/// A time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(Timestamp),
}

/// As they were asked for.
pub(super) fn lines(options: LogOptions) -> Result<LogLines, UsageError> {
    let LogOptions { follow, lines, worker, since, grep } = options;
    if let Some(pattern) = &grep
        && let Err(why) = Regex::new(pattern)
    {
        let hint = "for example `--grep 'error|warn'`".to_owned();
        return Err(UsageError::value(
            "--grep",
            pattern,
            &format!("is not a regular expression: {why}"),
            hint,
        ));
    }
    let since = since.as_deref().map(time).transpose()?;
    let lines = lines.as_deref().map(number).transpose()?;
    Ok(LogLines { follow, lines, worker, since, grep })
}

fn number(text: &str) -> Result<usize, UsageError> {
    let hint = "allowed: a whole number; for example `--lines 50`";
    text.parse().map_err(|_| UsageError::value("--lines", text, "is not a number of lines", hint.to_owned()))
}

fn time(text: &str) -> Result<Since, UsageError> {
    let ago = humantime::parse_duration(text).map(Since::Ago).ok();
    let at = || text.parse().map(Since::At).ok();
    ago.or_else(at).ok_or_else(|| {
        let hint = "allowed: how long ago, with its unit, or when, as RFC 3339; for example `--since 10m`";
        UsageError::value("--since", text, "is neither a duration nor a time", hint.to_owned())
    })
}
