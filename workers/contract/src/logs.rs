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
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc::{EDQUOT, EIO, EISDIR, ELOOP, ENOSPC, ENXIO, EROFS, ESTALE};
use serde::{Deserialize, Serialize};

use crate::open_regular;

/// Folder of the log files in the runtime directory, or a link to where they are.
pub const FOLDER: &str = "logs";
/// Name of the current file.
pub const FILE: &str = "atlas-cluster.log";
/// What the name of a full file has more when it is compressed.
pub const COMPRESSED: &str = ".gz";
/// What it has more until the compressed one is whole.
pub const HALF: &str = ".gz.part";
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

/// How long others may outlive the supervisor and still be heard: so long a logger outlives it at most.
pub const LAST_WORDS: Duration = Duration::from_secs(2);
/// Whoever has the folder for longer than this is no logger on its way out.
const PATIENCE: Duration = LAST_WORDS.saturating_add(Duration::from_millis(500));
/// Between two looks whether he is gone.
const PAUSE: Duration = Duration::from_millis(10);

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

/// The right to write the files of a folder, which one process has (flock(2)). None where the folder cannot be opened
/// or its file system knows no locks: what else is wrong there is seen when a file is opened.
///
/// # Errors
/// `WouldBlock` if somebody else has it.
pub fn try_claim(folder: &Path) -> io::Result<Option<Flock<File>>> {
    let Ok(file) = File::open(folder) else { return Ok(None) };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Err(ErrorKind::WouldBlock.into()),
        Err(_) => Ok(None),
    }
}

/// As [`try_claim`]; a logger whose supervisor was killed is waited for.
///
/// # Errors
/// `WouldBlock` if it is somebody else.
pub fn claim(folder: &Path) -> io::Result<Option<Flock<File>>> {
    claim_between(folder, || std::thread::sleep(PAUSE))
}

/// The same, with what is done between two looks.
fn claim_between(folder: &Path, mut pause: impl FnMut()) -> io::Result<Option<Flock<File>>> {
    let end = Instant::now() + PATIENCE;
    loop {
        match try_claim(folder) {
            Err(e) if e.kind() == ErrorKind::WouldBlock && Instant::now() < end => pause(),
            done => return done,
        }
    }
}

/// Whether the disk takes nothing now, whatever is written to it. That costs lines, which are counted.
#[must_use]
pub fn is_of_the_disk(why: &io::Error) -> bool {
    matches!(why.raw_os_error(), Some(EROFS | ENOSPC | EDQUOT | EIO | ESTALE))
}

/// Opens a log file, and nothing else that lies in its place: the folder may belong to somebody who could lead us
/// elsewhere by a link, or keep us waiting by a pipe.
///
/// # Errors
/// What open(2) says; `ELOOP` for a link, `ENXIO` for what is no file.
pub fn open_file(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    open_regular(options, path)?.ok_or_else(|| io::Error::from_raw_os_error(ENXIO))
}

/// Whether [`open_file`] says so of something else than a file.
#[must_use]
pub fn is_no_file(why: &io::Error) -> bool {
    matches!(why.raw_os_error(), Some(ELOOP | ENXIO | EISDIR))
}

/// Everything that is there of files that are full, with their numbers: plain, compressed, and [half
/// compressed](HALF).
///
/// # Errors
/// When the folder cannot be read.
pub fn full_files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(FILE)?.strip_prefix('.')) else {
            continue;
        };
        let number = rest.strip_suffix(HALF).or(rest.strip_suffix(COMPRESSED)).unwrap_or(rest);
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if let (true, Ok(number)) = (digits, number.parse()) {
            found.push((number, entry.path()));
        }
    }
    Ok(found)
}

/// The files that are full, by number: the plain one if there is one, else the compressed one.
///
/// # Errors
/// When the folder cannot be read.
pub fn rotated(folder: &Path) -> io::Result<BTreeMap<u64, PathBuf>> {
    let mut found: BTreeMap<u64, PathBuf> = BTreeMap::new();
    let ends = |path: &Path, end: &str| path.as_os_str().as_encoded_bytes().ends_with(end.as_bytes());
    for (number, path) in full_files(folder)?.into_iter().filter(|(_, path)| !ends(path, HALF)) {
        if !(ends(&path, COMPRESSED) && found.contains_key(&number)) {
            found.insert(number, path);
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

    #[test]
    fn one_process_at_a_time_has_a_folder_and_another_one_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let held = try_claim(folder.path()).unwrap().expect("it can be locked");
        assert_eq!(try_claim(folder.path()).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(claim(folder.path()).unwrap_err().kind(), ErrorKind::WouldBlock);
        let (mut held, mut looks) = (Some(held), 0);
        let claimed = claim_between(folder.path(), || {
            looks += 1;
            held.take_if(|_| looks == 3);
        });
        assert!(claimed.unwrap().is_some() && looks == 3, "waited for until he was gone");
        assert!(try_claim(&folder.path().join("missing")).unwrap().is_none());
    }
}
