//! The log files, read without asking anybody: from the oldest line on, or from where the last look ended.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use contract::logs::{COMPRESSED, FILE, Record, open_file, parse_text, rotated};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use nix::libc::{ELOOP, ENXIO};
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

/// What there is already.
#[derive(Debug, Default)]
pub(super) struct Last {
    /// The last wanted lines, the oldest first.
    pub(super) lines: VecDeque<String>,
    /// Of each file that cannot be read to its end: which, and why.
    pub(super) damaged: Vec<String>,
}

/// The last `most` wanted lines of all files, the oldest first.
pub(super) fn last(folder: &Path, filter: &Filter, most: usize) -> io::Result<VecDeque<String>> {
    Ok(Follower::at_the_end(folder)?.last(filter, most)?.lines)
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
fn tail(mut file: impl BufRead, filter: &Filter, most: usize) -> (VecDeque<String>, Option<io::Error>) {
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

/// What lies there is no file of the logger's.
fn is_strange(why: &io::Error) -> bool {
    [Some(ELOOP), Some(ENXIO)].contains(&why.raw_os_error())
}

/// The files that are full; none where the folder is gone.
fn full(folder: &Path) -> io::Result<BTreeMap<u64, PathBuf>> {
    match rotated(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
        found => found,
    }
}

/// A file that is full: if it is not there any more, it may have been compressed a moment ago.
fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
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
fn end_of_lines(file: &File, len: u64) -> io::Result<u64> {
    let from = len.saturating_sub(MAX_LINE);
    let mut end = vec![0; usize::try_from(len - from).map_err(io::Error::other)?];
    let read = file.read_at(&mut end, from)?;
    let last = end[..read].iter().rposition(|&byte| byte == b'\n');
    Ok(last.map_or(from, |last| from + last as u64 + 1))
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
    /// Begins behind the last line of the current file, if there is one.
    pub(super) fn at_the_end(folder: &Path) -> io::Result<Follower> {
        let mut follower =
            Follower { folder: folder.to_owned(), file: None, inode: 0, number: 0, at: 0, rest: Vec::new() };
        follower.open_current()?;
        if let Some(file) = &follower.file {
            follower.at = end_of_lines(file, file.metadata()?.len())?;
        }
        Ok(follower)
    }

    /// The last `most` wanted lines before where this is: so what comes meanwhile is in neither or, with
    /// [`Follower::more`], once.
    pub(super) fn last(&self, filter: &Filter, most: usize) -> io::Result<Last> {
        let mut last = Last::default();
        if let Some(mut file) = self.file.as_ref() {
            file.seek(SeekFrom::Start(0))?;
            let (lines, why) = tail(BufReader::new(file.take(self.at)), filter, most);
            why.map_or(Ok(()), Err)?;
            last.lines = lines;
        }
        // The newest file first: most people want few lines. Those that were filled since are not meant.
        for (_, path) in rotated(&self.folder)?.range(..self.number).rev() {
            let room = most - last.lines.len();
            if room == 0 {
                break;
            }
            let (mut lines, why) = match open(path) {
                Ok(file) => tail(file, filter, room),
                Err(e) if e.kind() == ErrorKind::NotFound => continue, // removed
                Err(e) if is_strange(&e) => (VecDeque::new(), Some(e)),
                Err(e) => return Err(e),
            };
            last.damaged
                .extend(why.map(|why| format!("{} cannot be read to its end: {why}", path.display())));
            lines.append(&mut last.lines);
            last.lines = lines;
        }
        Ok(last)
    }

    /// What has come since.
    pub(super) fn more(&mut self, filter: &Filter) -> io::Result<Vec<String>> {
        let mut bytes = Vec::new();
        self.read_on(&mut bytes)?;
        if self.is_over()? {
            self.read_on(&mut bytes)?; // it was written to until it was full
            let ours = self.number;
            // First: what is filled after this is found by the next look.
            self.open_current()?;
            let filled = full(&self.folder)?.into_iter();
            for (_, path) in filled.filter(|(number, _)| (ours + 1..self.number).contains(number)) {
                match open(&path).and_then(|mut file| file.read_to_end(&mut bytes)) {
                    Err(e) if e.kind() != ErrorKind::NotFound && !is_strange(&e) => return Err(e),
                    Ok(_) | Err(_) => {}
                }
            }
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
        match std::fs::symlink_metadata(self.folder.join(FILE)) {
            // Whatever else lies there: the next one is to come.
            Ok(found) => Ok(found.is_file() && (self.file.is_none() || found.ino() != self.inode)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false), // the next one is not there yet
            Err(e) => Err(e),
        }
    }

    /// The number and the file must belong together: looked at before and after.
    fn open_current(&mut self) -> io::Result<()> {
        let newest = |folder: &Path| io::Result::Ok(full(folder)?.keys().next_back().copied().unwrap_or(0));
        loop {
            let before = newest(&self.folder)?;
            self.file = match open_file(File::options().read(true), &self.folder.join(FILE)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new(current: &str) -> Folder {
            let folder = Folder(tempfile::tempdir().unwrap());
            folder.append(current);
            folder
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(format!("{FILE}{name}"))
        }

        fn append(&self, text: &str) {
            let mut file = File::options().append(true).create(true).open(self.path("")).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn turn_over(&self, number: u64) {
            fs::rename(self.path(""), self.path(&format!(".{number}"))).unwrap();
            self.append("");
        }

        fn compress(&self, name: &str) -> Vec<u8> {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(&fs::read(self.path(name)).unwrap()).unwrap();
            fs::remove_file(self.path(name)).unwrap();
            let bytes = out.finish().unwrap();
            fs::write(self.path(&format!("{name}{COMPRESSED}")), &bytes).unwrap();
            bytes
        }

        fn follower(&self) -> Follower {
            Follower::at_the_end(self.0.path()).unwrap()
        }
    }

    fn last(follower: &Follower) -> Vec<String> {
        follower.last(&Filter::default(), 100).unwrap().lines.into()
    }

    fn more(follower: &mut Follower) -> Vec<String> {
        follower.more(&Filter::default()).unwrap()
    }

    #[test]
    fn what_comes_while_the_last_lines_are_read_is_shown_once() {
        let folder = Folder::new("one\n");
        folder.turn_over(1);
        folder.append("two\nhal");
        let mut follower = folder.follower();
        folder.append("f\nthree\n");
        assert_eq!(last(&follower), ["one", "two"]);
        folder.turn_over(2);
        folder.append("four\n");
        folder.turn_over(3);
        folder.append("five\n");
        assert_eq!(last(&follower), ["one", "two"], "files that were filled since are none of before");
        folder.compress(".1");
        folder.compress(".3");
        assert_eq!(last(&follower), ["one", "two"]);
        assert_eq!(more(&mut follower), ["half", "three", "four", "five"]);
        assert_eq!((last(&folder.follower()).len(), more(&mut follower).len()), (6, 0));
    }

    #[test]
    fn whoever_follows_outlives_whatever_lies_in_the_files_places() {
        let folder = Folder::new("one\n");
        let mut follower = folder.follower();
        let replace = |make: &dyn Fn(&Path)| {
            fs::remove_file(folder.path("")).unwrap();
            make(&folder.path(""));
        };
        let fifo = |path: &Path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        replace(&fifo);
        fifo(&folder.path(".1")); // nobody writes there: to open it would be to wait
        assert_eq!(more(&mut follower), [""; 0]);
        assert!(Follower::at_the_end(folder.0.path()).is_err_and(|e| is_strange(&e)));
        replace(&|path| std::os::unix::fs::symlink("/etc/hostname", path).unwrap());
        assert_eq!(more(&mut follower), [""; 0]);
        fs::remove_dir_all(folder.0.path()).unwrap();
        assert_eq!(more(&mut follower), [""; 0]);
        fs::create_dir(folder.0.path()).unwrap();
        folder.append("two\n");
        fifo(&folder.path(".2"));
        assert_eq!(more(&mut follower), ["two"]);
        let shown = folder.follower().last(&Filter::default(), 100).unwrap();
        assert_eq!((shown.lines.len(), shown.damaged.len()), (1, 1), "{shown:?}");
    }

    #[test]
    fn a_file_that_was_compressed_since_it_was_listed_is_read_all_the_same() {
        let folder = Folder::new("one\n");
        folder.turn_over(1);
        folder.compress(".1");
        let (lines, why) = tail(open(&folder.path(".1")).unwrap(), &Filter::default(), 100);
        assert_eq!((lines, why.is_none()), (VecDeque::from(["one".to_owned()]), true));
        assert_eq!(open(&folder.path(".2")).err().unwrap().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_damaged_file_costs_what_is_damaged() {
        let folder = Folder::new(&"one\n".repeat(10));
        folder.turn_over(1);
        let whole = folder.compress(".1");
        fs::write(folder.path(".1.gz"), &whole[..whole.len() - 4]).unwrap();
        folder.append("two\n");
        let shown = folder.follower().last(&Filter::default(), 100).unwrap();
        assert_eq!((shown.lines.back().map(String::as_str), shown.damaged.len()), (Some("two"), 1));
        assert!(shown.lines.len() > 1, "{shown:?}");
        assert!(shown.damaged[0].contains(".1.gz cannot be read to its end: "), "{shown:?}");
    }
}
