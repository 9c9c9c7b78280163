//! Log files: what they and their lines are called and look like, for who writes and who reads them.
//!
//! ```text
//! atlas-cluster.log        the current one
//! atlas-cluster.log.17     one that is full: the higher, the newer
//! atlas-cluster.log.16.gz  the same, compressed
//! ```
//! A line is `TIME [SOURCE] TEXT` or a [`Record`] as JSON. TIME is RFC 3339 in UTC, to the millisecond; SOURCE is a
//! worker's number, the name of a role, or `supervisor`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Folder of the log files in the runtime directory, or a link to where they are.
pub const FOLDER: &str = "logs";
/// Name of the current file.
pub const FILE: &str = "atlas-cluster.log";
/// What the supervisor is called as a source.
pub const SUPERVISOR: &str = "supervisor";
/// Sources that there can be: 64 workers, the supervisor, roles.
pub const MAX_SOURCES: usize = 128;
/// Number of the supervisor among the sources: behind the workers, before the roles.
pub const SUPERVISOR_SOURCE: usize = 64;

/// Name of the descriptor that reads the stage: what was taken of a source and is not written yet.
pub const STAGE_READ: &str = "stage.read";
/// Name of the descriptor that writes to the stage.
pub const STAGE_WRITE: &str = "stage.write";

/// Name of the descriptor that reads what a source prints: number and name of the source.
#[must_use]
pub fn pipe_name(number: usize, source: &str) -> String {
    format!("log.{number}.{source}")
}

/// Number and name of the source, by the name of its descriptor.
#[must_use]
pub fn source_of(pipe_name: &str) -> Option<(usize, &str)> {
    let (number, source) = pipe_name.strip_prefix("log.")?.split_once('.')?;
    number.parse().ok().filter(|number| *number < MAX_SOURCES).map(|number| (number, source))
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `TIME [SOURCE] TEXT`.
    Text,
    /// [`Record`].
    Json,
}

/// A line as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<'a> {
    /// RFC 3339, UTC, to the millisecond: when it was read, or, on standard error, written.
    pub time: Cow<'a, str>,
    /// A worker's number, the name of a role, or `supervisor`.
    pub source: Cow<'a, str>,
    /// `error`, `warn`, `info`, `debug` or `trace`; the supervisor's lines alone have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Cow<'a, str>>,
    /// What was printed, without the end of the line.
    pub message: Cow<'a, str>,
}

/// Appends a line in [`Format::Text`].
pub fn text_line(out: &mut Vec<u8>, time: &str, source: &str, text: &[u8]) {
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b" [");
    out.extend_from_slice(source.as_bytes());
    out.extend_from_slice(b"] ");
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// Time and source of a line in [`Format::Text`].
#[must_use]
pub fn parse_text(line: &str) -> Option<(&str, &str)> {
    let (time, rest) = line.split_once(" [")?;
    let (source, _) = rest.split_once(']')?;
    time.starts_with(|c: char| c.is_ascii_digit()).then_some((time, source))
}

/// The files that are full, by number: the plain one if there is one, else the compressed one.
///
/// # Errors
/// When the folder cannot be read.
pub fn rotated(folder: &Path) -> io::Result<BTreeMap<u64, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(FILE)?.strip_prefix('.')) else {
            continue;
        };
        let number = rest.strip_suffix(".gz").unwrap_or(rest);
        if !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(number) = number.parse()
            && (!found.contains_key(&number) || !rest.ends_with(".gz"))
        {
            found.insert(number, entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_pipe_tells_its_source() {
        assert_eq!(source_of(&pipe_name(7, "7")), Some((7, "7")));
        assert_eq!(source_of(&pipe_name(66, "link")), Some((66, "link")));
        for other in ["config", "log.", "log.7", "log.x.7", "log.128.7", STAGE_READ] {
            assert_eq!(source_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_line_of_text_is_read_as_it_was_written() {
        let mut line = Vec::new();
        text_line(&mut line, "2026-01-31T18:30:00.123Z", "link", b"a [b] c");
        let line = String::from_utf8(line).unwrap();
        assert_eq!(line, "2026-01-31T18:30:00.123Z [link] a [b] c\n");
        assert_eq!(parse_text(&line), Some(("2026-01-31T18:30:00.123Z", "link")));
        assert_eq!(parse_text("something [else] entirely"), None);
    }

    #[test]
    fn files_are_known_by_their_names_and_the_plain_one_of_two_is_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", ".9", ".9.gz", ".10.gz", ".10.gz.part", ".old", ".+1", ".2.bz2"] {
            std::fs::write(folder.path().join(format!("{FILE}{name}")), "").unwrap();
        }
        let found = rotated(folder.path()).unwrap();
        let names: Vec<_> = found.values().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["atlas-cluster.log.9", "atlas-cluster.log.10.gz"]);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [9, 10]);
    }
}
