//! The log files as they are, read without asking anybody.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use contract::logs::{COMPRESSED, FILE, Record, open_file, parse_text, rotated};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use regex_lite::Regex;

/// The longest line that is shown whole, in bytes: one of 8 KiB, each byte of it written as six.
pub(super) const MAX_LINE: u64 = 64 << 10;

/// Which lines are wanted.
#[derive(Default)]
pub(super) struct Filter {
    /// Of this source.
    pub(super) source: Option<String>,
    /// Not older than this.
    pub(super) since: Option<Timestamp>,
    /// In which this is found.
    pub(super) pattern: Option<Regex>,
}

impl Filter {
    pub(super) fn wants(&self, line: &str) -> bool {
        let asked = self.source.is_some() || self.since.is_some();
        let told = asked.then(|| time_and_source(line));
        let fits = match (told, line) {
            (None, _) => true,
            // Not of ours: nobody knows when it was, and whose it is.
            (Some(None), _) => false,
            (Some(Some((time, source))), _) => {
                self.source.as_ref().is_none_or(|wanted| *wanted == source)
                    && self.since.is_none_or(|since| time.parse().is_ok_and(|time: Timestamp| time >= since))
            }
        };
        fits && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(line))
    }
}

fn time_and_source(line: &str) -> Option<(String, String)> {
    if line.starts_with('{') {
        let record: Record<'_> = serde_json::from_str(line).ok()?;
        return Some((record.time.into_owned(), record.source.into_owned()));
    }
    parse_text(line).map(|(time, source)| (time.to_owned(), source.to_owned()))
}

/// What there is already.
#[derive(Debug, Default)]
pub(super) struct Last {
    /// The last wanted lines, the oldest first.
    pub(super) lines: VecDeque<String>,
    /// Of each file that cannot be read to its end: which, and why.
    pub(super) damaged: Vec<String>,
}

/// Whether there is any file.
///
/// # Errors
/// When the folder cannot be looked into.
pub(super) fn exist(folder: &Path) -> io::Result<bool> {
    match rotated(folder) {
        Ok(full) => Ok(!full.is_empty() || folder.join(FILE).try_exists()?),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// The last `most` wanted lines of one file, and why there are no more, if it cannot be read to its end.
pub(super) fn tail(
    mut file: impl BufRead,
    filter: &Filter,
    most: usize,
) -> (VecDeque<String>, Option<io::Error>) {
    let mut kept = VecDeque::new();
    loop {
        match next_line(&mut file) {
            Ok(Some(line)) if filter.wants(&line) => kept.push_back(line),
            Ok(Some(_)) => {}
            Ok(None) => return (kept, None),
            Err(e) => return (kept, Some(e)),
        }
        if kept.len() > most {
            kept.pop_front();
        }
    }
}

fn next_line(file: &mut dyn BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if file.take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned()))
}

/// The files that are full; none where the folder is gone.
pub(super) fn full(folder: &Path) -> io::Result<BTreeMap<u64, PathBuf>> {
    match rotated(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
        found => found,
    }
}

/// A file that is full: if it is not there any more, it may have been compressed a moment ago.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let is_compressed = |path: &Path| path.as_os_str().as_encoded_bytes().ends_with(COMPRESSED.as_bytes());
    match open_file(File::options().read(true), path) {
        Err(e) if e.kind() == ErrorKind::NotFound && !is_compressed(path) => {
            let name = OsString::from_iter([path.as_os_str(), COMPRESSED.as_ref()]);
            open(Path::new(&name))
        }
        Err(e) => Err(e),
        Ok(file) if is_compressed(path) => Ok(Box::new(BufReader::new(MultiGzDecoder::new(file)))),
        Ok(file) => Ok(Box::new(BufReader::new(file))),
    }
}

/// Where the last whole line in the first `len` bytes ends.
pub(super) fn end_of_lines(file: &File, len: u64) -> io::Result<u64> {
    let from = len.saturating_sub(MAX_LINE);
    let mut end = vec![0; usize::try_from(len - from).map_err(io::Error::other)?];
    let read = file.read_at(&mut end, from)?;
    let last = end[..read].iter().rposition(|&byte| byte == b'\n');
    Ok(last.map_or(from, |last| from + last as u64 + 1))
}
