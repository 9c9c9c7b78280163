//! The log files, read on where the last look ended: over every change of theirs, in pieces.
//!
//! ```text
//! …log.7.gz   …log.8        …log.9   …log.10        …log
//! seen        what we have   full since, to be read   the current one
//!             open: ours
//! ```
//! A file keeps its text when it is renamed and compressed, so ours is known by how it begins. One that was emptied
//! (`flush`) has other bytes before where we are, or none.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use contract::logs::{FILE, is_no_file, open_file, rotated};

use super::log_files::{Filter, Last, MAX_LINE, end_of_lines, full, open, tail};

/// The most bytes that are read at once; there can be as many as the disk holds.
const PIECE: u64 = 1 << 20;
/// How many bytes before where we are must be as they were.
const MARK: usize = 64;
/// How many bytes at the beginning tell one file from another: a line has its time in it.
const HEAD: u64 = 256;

/// Where somebody is who follows.
pub(super) struct Follower {
    folder: PathBuf,
    file: Option<File>,
    inode: u64,
    /// The newest full file when this one was opened; 0 if there was none. This one will have a higher number.
    newest: u64,
    at: u64,
    /// The last bytes before `at`.
    mark: Vec<u8>,
    /// Full files that come before the current one and are still to be read, the oldest first.
    between: VecDeque<PathBuf>,
    /// The one of them that is being read.
    reading: Option<(PathBuf, Box<dyn BufRead + Send>)>,
    /// What was read and is no line yet.
    rest: Vec<u8>,
}

/// What has come.
#[derive(Debug, Default)]
pub(super) struct More {
    /// The wanted lines.
    pub(super) lines: Vec<String>,
    /// What could not be read, in a line each.
    pub(super) missed: Vec<String>,
    /// There is more already.
    pub(super) again: bool,
}

/// The last `most` wanted lines of all files, the oldest first.
pub(super) fn last(folder: &Path, filter: &Filter, most: usize) -> io::Result<VecDeque<String>> {
    Ok(Follower::at_the_end(folder)?.last(filter, most)?.lines)
}

impl Follower {
    /// Begins behind the last line of the current file, if there is one.
    pub(super) fn at_the_end(folder: &Path) -> io::Result<Follower> {
        let mut follower = Follower {
            folder: folder.to_owned(),
            file: None,
            inode: 0,
            newest: 0,
            at: 0,
            mark: Vec::new(),
            between: VecDeque::new(),
            reading: None,
            rest: Vec::new(),
        };
        follower.open_current()?;
        if let Some(file) = &follower.file {
            follower.at = end_of_lines(file, file.metadata()?.len())?;
            let mut mark = vec![0; MARK.min(usize::try_from(follower.at).unwrap_or(MARK))];
            let from = follower.at - mark.len() as u64;
            file.read_exact_at(&mut mark, from)?;
            follower.mark = mark;
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
        for (_, path) in rotated(&self.folder)?.range(..=self.newest).rev() {
            let room = most - last.lines.len();
            if room == 0 {
                break;
            }
            let (mut lines, why) = match open(path) {
                Ok(file) => tail(file, filter, room),
                Err(e) if e.kind() == ErrorKind::NotFound => continue, // removed
                Err(e) if is_no_file(&e) => (VecDeque::new(), Some(e)),
                Err(e) => return Err(e),
            };
            last.damaged.extend(why.map(|why| unreadable(path, &why)));
            lines.append(&mut last.lines);
            last.lines = lines;
        }
        Ok(last)
    }

    /// What has come since, or as much of it as is read at once.
    pub(super) fn more(&mut self, filter: &Filter) -> io::Result<More> {
        let mut missed = Vec::new();
        let again = self.read_piece(&mut missed)?;
        let end = self.rest.iter().rposition(|&byte| byte == b'\n');
        // What is longer than any line is none of the logger's.
        let too_long = self.rest.len() as u64 > MAX_LINE;
        let whole = end.map_or(if too_long { self.rest.len() } else { 0 }, |end| end + 1);
        let rest = self.rest.split_off(whole);
        let text = std::mem::replace(&mut self.rest, rest);
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        let lines = text.split(|&byte| byte == b'\n').map(|line| String::from_utf8_lossy(line).into_owned());
        let lines = if whole == 0 { Vec::new() } else { lines.filter(|line| filter.wants(line)).collect() };
        Ok(More { lines, missed, again })
    }

    /// Whether there is more.
    fn read_piece(&mut self, missed: &mut Vec<String>) -> io::Result<bool> {
        let mut room = PIECE;
        while room > 0 {
            if let Some((path, file)) = &mut self.reading {
                let before = self.rest.len();
                let read = file.take(room).read_to_end(&mut self.rest);
                room = room.saturating_sub((self.rest.len() - before) as u64);
                match read {
                    Ok(_) if room == 0 => {}
                    Ok(_) => self.reading = None,
                    Err(why) => {
                        missed.push(unreadable(path, &why));
                        self.reading = None;
                        self.forget_half_a_line();
                    }
                }
            } else if let Some(path) = self.between.pop_front() {
                match open(&path) {
                    Ok(file) => self.reading = Some((path, file)),
                    Err(e) if e.kind() == ErrorKind::NotFound => missed.push(removed()),
                    Err(e) if is_no_file(&e) => missed.push(unreadable(&path, &e)),
                    Err(e) => return Err(e),
                }
            } else {
                room -= self.read_on(room)?;
                if room > 0 && !self.is_over()? {
                    return Ok(false);
                }
                room -= self.read_on(room)?; // it was written to until it was full
                if room > 0 {
                    self.go_on_to_the_next(missed)?;
                }
            }
        }
        Ok(true)
    }

    /// Of the current file; how many bytes.
    fn read_on(&mut self, most: u64) -> io::Result<u64> {
        if !self.is_as_it_was()? {
            (self.at, self.mark) = (0, Vec::new());
            self.forget_half_a_line();
        }
        let Some(file) = &mut self.file else { return Ok(0) };
        file.seek(SeekFrom::Start(self.at))?;
        let before = self.rest.len();
        let read = file.take(most).read_to_end(&mut self.rest)? as u64;
        self.at += read;
        self.mark.extend_from_slice(&self.rest[before..]);
        let surplus = self.mark.len().saturating_sub(MARK);
        self.mark.drain(..surplus);
        Ok(read)
    }

    /// Whether nobody has emptied it.
    fn is_as_it_was(&self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(true) };
        let mut found = vec![0; self.mark.len()];
        match file.read_exact_at(&mut found, self.at - self.mark.len() as u64) {
            Ok(()) => Ok(found == self.mark),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The end of a line that was begun does not come any more.
    fn forget_half_a_line(&mut self) {
        let whole = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        self.rest.truncate(whole);
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

    /// The current file is another one: it is opened, and what was filled between ours and it is to be read first.
    fn go_on_to_the_next(&mut self, missed: &mut Vec<String>) -> io::Result<()> {
        let (before, head, had) = (self.newest, self.head()?, self.file.is_some());
        // First: what is filled after this is found by the next look.
        self.open_current()?;
        let mut between = full(&self.folder)?;
        between.retain(|number, _| (before + 1..=self.newest).contains(number));
        let is_ours = |path: &Path| open(path).and_then(head_of).is_ok_and(|its| Some(its) == head);
        let found = between.iter().rev().find(|(_, path)| is_ours(path)).map(|(number, _)| *number);
        // Numbers have no gaps but where files were removed; how many there were before the first that we saw, nobody knows.
        let ours = match found {
            Some(number) => Some(number),
            None if !had => Some(before),
            None => (before > 0).then_some(before + 1),
        };
        between.retain(|number, _| ours.is_none_or(|ours| *number > ours));
        if between.keys().next().is_some_and(|first| ours.is_none_or(|ours| ours + 1 < *first)) {
            missed.push(removed());
        }
        self.between = between.into_values().collect();
        Ok(())
    }

    /// How ours begins, if there is one and it has a beginning.
    fn head(&self) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = self.file.as_ref() else { return Ok(None) };
        file.seek(SeekFrom::Start(0))?;
        head_of(file).map(|head| Some(head).filter(|head| !head.is_empty()))
    }

    /// The newest full file and the current one must belong together: looked at before and after.
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
                (self.newest, self.at, self.mark) = (before, 0, Vec::new());
                return Ok(());
            }
        }
    }
}

fn head_of(file: impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

fn unreadable(path: &Path, why: &io::Error) -> String {
    format!("{} cannot be read to its end: {why}", path.display())
}

fn removed() -> String {
    "lines are missing here: full log files were removed before they were read".into()
}
