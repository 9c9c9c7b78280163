//! The log files, read without asking anybody: from the oldest line on, or from where the last look ended.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use contract::logs::{FILE, Record, parse_text, rotated};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use regex_lite::Regex;

/// The longest line that is shown whole, in bytes: one of 8 KiB, each byte of it written as six.
const MAX_LINE: u64 = 64 << 10;

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
    fn wants(&self, line: &str) -> bool {
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

/// The last `most` wanted lines of all files, the oldest first.
pub(super) fn last(folder: &Path, filter: &Filter, most: usize) -> io::Result<VecDeque<String>> {
    let mut kept = VecDeque::new();
    let full = rotated(folder)?;
    // The newest file first: most people want few lines.
    let files = std::iter::once(folder.join(FILE)).chain(full.into_values().rev());
    for path in files {
        let room = most - kept.len();
        if room == 0 {
            break;
        }
        let mut tail = match open(&path) {
            Ok(mut file) => tail(&mut file, filter, room)?,
            // Removed, or full and compressed, a moment ago.
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        tail.append(&mut kept);
        kept = tail;
    }
    Ok(kept)
}

/// Whether there is any file.
pub(super) fn exist(folder: &Path) -> bool {
    folder.join(FILE).exists() || rotated(folder).is_ok_and(|full| !full.is_empty())
}

fn tail(file: &mut dyn BufRead, filter: &Filter, most: usize) -> io::Result<VecDeque<String>> {
    let mut kept = VecDeque::new();
    while let Some(line) = next_line(file)? {
        if filter.wants(&line) {
            kept.push_back(line);
            if kept.len() > most {
                kept.pop_front();
            }
        }
    }
    Ok(kept)
}

fn next_line(file: &mut dyn BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if file.take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned()))
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let file = File::open(path)?;
    let compressed = path.extension().is_some_and(|extension| extension == "gz");
    Ok(if compressed {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    })
}

/// Reads on where the last look ended, over every change of the file.
pub(super) struct Follower {
    folder: PathBuf,
    file: Option<File>,
    inode: u64,
    /// The number that the file will have when it is full.
    number: u64,
    at: u64,
    /// A line whose end has not come.
    rest: Vec<u8>,
}

impl Follower {
    /// Begins at the end of the current file, if there is one.
    pub(super) fn at_the_end(folder: &Path) -> io::Result<Follower> {
        let mut follower =
            Follower { folder: folder.to_owned(), file: None, inode: 0, number: 0, at: 0, rest: Vec::new() };
        follower.open_current()?;
        if let Some(file) = &follower.file {
            follower.at = file.metadata()?.len();
        }
        Ok(follower)
    }

    /// What has come since.
    pub(super) fn more(&mut self, filter: &Filter) -> io::Result<Vec<String>> {
        let mut bytes = Vec::new();
        self.read_on(&mut bytes)?;
        if self.is_over()? {
            self.read_on(&mut bytes)?; // it was written to until it was full
            for (number, path) in rotated(&self.folder)? {
                if number > self.number {
                    match open(&path).and_then(|mut file| file.read_to_end(&mut bytes)) {
                        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                        Ok(_) | Err(_) => {}
                    }
                }
            }
            self.open_current()?;
            self.read_on(&mut bytes)?;
        }
        let mut text = std::mem::take(&mut self.rest);
        text.append(&mut bytes);
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        self.rest = text.split_off(whole);
        let lines = text.split(|&byte| byte == b'\n').map(|line| String::from_utf8_lossy(line).into_owned());
        let mut lines: Vec<String> = lines.collect();
        lines.pop(); // what stands behind the last end
        lines.retain(|line| filter.wants(line));
        Ok(lines)
    }

    fn read_on(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        use std::io::{Seek, SeekFrom};
        let Some(file) = &mut self.file else { return Ok(()) };
        if file.metadata()?.len() < self.at {
            (self.at, self.rest) = (0, Vec::new()); // emptied
        }
        file.seek(SeekFrom::Start(self.at))?;
        self.at += file.read_to_end(bytes)? as u64;
        Ok(())
    }

    /// Whether another file has its place.
    fn is_over(&self) -> io::Result<bool> {
        match std::fs::metadata(self.folder.join(FILE)) {
            Ok(found) => Ok(self.file.is_none() || found.ino() != self.inode),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false), // the next one is not there yet
            Err(e) => Err(e),
        }
    }

    /// The number and the file must belong together: looked at before and after.
    fn open_current(&mut self) -> io::Result<()> {
        let newest =
            |folder: &Path| io::Result::Ok(rotated(folder)?.keys().next_back().copied().unwrap_or(0));
        loop {
            let before = newest(&self.folder)?;
            self.file = match File::open(self.folder.join(FILE)) {
                Ok(file) => Some(file),
                Err(e) if e.kind() == ErrorKind::NotFound => None,
                Err(e) => return Err(e),
            };
            if newest(&self.folder)? == before {
                self.inode =
                    self.file.as_ref().map(File::metadata).transpose()?.map_or(0, |found| found.ino());
                (self.number, self.at) = (before + 1, 0);
                return Ok(());
            }
        }
    }
}
