//! The files: appended to, full, removed; and what happens when the disk does not take it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use contract::logs::{FILE, rotated};
use nix::libc::ENOSPC;

use crate::editor::{Now, Style, tell_lost};
use crate::gzip::Press;
use crate::journal::{Journal, State};
use crate::settings::Settings;

/// How long a file that cannot be opened is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// The log files, of which this process is the only writer.
pub(crate) struct Book<'a> {
    folder: PathBuf,
    max_size: u64,
    keep: usize,
    press: Option<Press>,
    style: Style,
    journal: Journal<'a>,
    /// As it will be committed.
    pub(crate) state: State,
    file: Option<File>,
    /// No file is opened before this, since boot.
    next_try: Duration,
}

impl<'a> Book<'a> {
    /// Opens what there is.
    pub(crate) fn new(folder: &Path, settings: &Settings, journal: Journal<'a>) -> Book<'a> {
        let mut book = Book {
            folder: folder.to_owned(),
            max_size: settings.max_size,
            keep: usize::try_from(settings.keep).unwrap_or(usize::MAX),
            press: settings.gzip.then(Press::default),
            style: settings.style(),
            journal,
            state: journal.state(),
            file: None,
            next_try: Duration::ZERO,
        };
        book.tidy();
        book
    }

    /// Cuts off what a predecessor wrote of a batch that is not committed: it is to be written again.
    pub(crate) fn cut_to_state(&mut self) {
        let Ok(file) = self.options().open(self.path()) else { return };
        let Ok(found) = file.metadata() else { return };
        if (found.dev(), found.ino()) == self.state.file && found.len() > self.state.len {
            let _ = file.set_len(self.state.len);
        }
    }

    /// Somebody may have moved the file away: what follows goes to one of that name.
    pub(crate) fn reopen(&mut self) {
        self.file = None;
        self.next_try = Duration::ZERO;
    }

    /// Writes whole lines, or counts them. It is committed with whatever is done by then, once the caller says so.
    pub(crate) fn write(&mut self, now: &Now, boot: Duration, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let mut told = Vec::new();
        if self.state.lost > 0 {
            let why = io::Error::from_raw_os_error(self.state.why).to_string();
            tell_lost(&mut told, self.style, now, self.state.lost, &why);
        }
        match self.append(boot, &[&told, text].concat()) {
            Ok(()) => self.state.lost = 0,
            Err((written, e)) => {
                let lines = |text: &[u8]| text.iter().filter(|&&byte| byte == b'\n').count();
                // Those of before, if that could be told at least.
                let before = if written < told.len() { self.state.lost } else { 0 };
                if before == 0 {
                    self.state.why = e.raw_os_error().unwrap_or(ENOSPC);
                }
                let left = &text[written.saturating_sub(told.len()).min(text.len())..];
                self.state.lost = before + lines(left) as u64;
            }
        }
    }

    /// Says what was lost, if that can be written by now.
    pub(crate) fn tell_lost(&mut self, now: &Now, boot: Duration) {
        let why = io::Error::from_raw_os_error(self.state.why).to_string();
        let mut told = Vec::new();
        tell_lost(&mut told, self.style, now, self.state.lost, &why);
        if self.append(boot, &told).is_ok() {
            self.state.lost = 0;
            self.commit();
        }
    }

    /// From now on what is in `state` holds.
    pub(crate) fn commit(&self) {
        self.journal.commit(&self.state);
    }

    /// On failure: how many bytes, all of them whole lines, are in the file all the same.
    fn append(&mut self, boot: Duration, text: &[u8]) -> Result<(), (usize, io::Error)> {
        self.make_room(boot, text.len()).map_err(|e| (0, e))?;
        let Some(file) = &mut self.file else { return Err((0, io::ErrorKind::NotFound.into())) };
        let mut written = 0;
        while written < text.len() {
            match file.write(&text[written..]) {
                Ok(0) => return Err(self.undo(text, written, io::Error::from_raw_os_error(ENOSPC))),
                Ok(bytes) => written += bytes,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.undo(text, written, e)),
            }
        }
        self.state.len += written as u64;
        Ok(())
    }

    /// No half line stays.
    fn undo(&mut self, text: &[u8], written: usize, why: io::Error) -> (usize, io::Error) {
        let whole = text[..written].iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let len = self.state.len + whole as u64;
        if let Some(file) = &self.file
            && file.set_len(len).is_ok()
        {
            self.state.len = len;
        }
        (whole, why)
    }

    /// A file is open, and has room for so many bytes.
    fn make_room(&mut self, boot: Duration, bytes: usize) -> io::Result<()> {
        if self.file.is_none() {
            self.open(boot)?;
        }
        let Some(file) = &self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let len = file.metadata()?.len();
        if len != self.state.len {
            // Somebody emptied it: `atlas-cluster flush`, or whoever rotates by copying.
            self.state.len = len;
            self.commit();
        }
        if len > 0 && len + bytes as u64 > self.max_size {
            self.turn_over(boot)?;
        }
        Ok(())
    }

    /// Where not even this can be done nothing is written: a file grows beyond its limit in no case.
    fn turn_over(&mut self, boot: Duration) -> io::Result<()> {
        let full = rotated(&self.folder)?.keys().next_back().map_or(1, |last| last + 1);
        let path = self.path();
        match fs::rename(&path, self.folder.join(format!("{FILE}.{full}"))) {
            // Moved away by somebody else.
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
        self.file = None;
        self.next_try = Duration::ZERO;
        self.open(boot)?;
        self.tidy();
        Ok(())
    }

    fn open(&mut self, boot: Duration) -> io::Result<()> {
        if boot < self.next_try {
            return Err(io::Error::from_raw_os_error(self.state.why));
        }
        self.next_try = boot + RETRY;
        let open = || self.options().create(true).open(self.path());
        let file = match open() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                fs::DirBuilder::new().recursive(true).mode(0o750).create(&self.folder)?;
                open()?
            }
            opened => opened?,
        };
        let found = file.metadata()?;
        self.state.file = (found.dev(), found.ino());
        self.state.len = found.len();
        self.commit();
        self.file = Some(file);
        Ok(())
    }

    fn options(&self) -> fs::OpenOptions {
        let mut options = File::options();
        options.append(true).mode(0o640);
        options
    }

    fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Removes full files beyond those that are kept, and has the others compressed.
    fn tidy(&mut self) {
        let full: Vec<PathBuf> = rotated(&self.folder).unwrap_or_default().into_values().collect();
        for path in &full[..full.len().saturating_sub(self.keep)] {
            let _ = fs::remove_file(path);
        }
        if let Some(press) = &mut self.press {
            press.start(&self.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal;
    use std::os::fd::AsFd;
    use sys::map::Mapping;

    struct Desk {
        folder: tempfile::TempDir,
        map: Mapping,
    }

    impl Desk {
        fn new() -> Desk {
            let segment = sys::map::segment("seat", &journal::fresh_head(), journal::BYTES, false).unwrap();
            let map = Mapping::new(segment.as_fd(), journal::BYTES).unwrap();
            Desk { folder: tempfile::tempdir().unwrap(), map }
        }

        /// The book of one logger, or of the next.
        fn book(&self) -> Book<'_> {
            let config = "{\"log\":{\"format\":\"text\",\"dir\":null,\"max_size\":100,\"keep\":2,\"gzip\":false,\"rate_limit\":0}}";
            let settings = Settings::parse(config).unwrap();
            Book::new(self.folder.path(), &settings, Journal::new(self.map.words()).unwrap())
        }

        fn text(&self, name: &str) -> String {
            fs::read_to_string(self.folder.path().join(format!("{FILE}{name}"))).unwrap_or_default()
        }
    }

    fn write(book: &mut Book<'_>, text: &str) {
        let now = Now { boot: 1, time: "T".into() };
        book.write(&now, book.next_try + RETRY, text.as_bytes());
    }

    #[test]
    fn what_is_not_committed_is_cut_off_and_written_again() {
        let desk = Desk::new();
        let mut book = desk.book();
        write(&mut book, "one\n");
        book.commit();
        write(&mut book, "two\nthr");
        drop(book);
        assert_eq!(desk.text(""), "one\ntwo\nthr");
        let mut next = desk.book();
        next.cut_to_state();
        write(&mut next, "two\nthree\n");
        next.commit();
        desk.book().cut_to_state();
        assert_eq!(desk.text(""), "one\ntwo\nthree\n");
    }

    #[test]
    fn full_files_get_higher_numbers_and_the_oldest_goes() {
        let desk = Desk::new();
        let mut book = desk.book();
        for number in 0..10 {
            write(&mut book, &format!("{number}{}\n", "x".repeat(60)));
        }
        let begin = |name: &str| desk.text(name).chars().next();
        assert_eq!(["", ".9", ".8", ".7", ".1"].map(begin), [Some('9'), Some('8'), Some('7'), None, None]);
    }

    #[test]
    fn somebody_else_may_empty_move_or_remove_the_file() {
        let desk = Desk::new();
        let mut book = desk.book();
        write(&mut book, "one\n");
        let path = desk.folder.path().join(FILE);
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        write(&mut book, "two\n");
        assert_eq!(desk.text(""), "two\n");
        fs::rename(&path, desk.folder.path().join("moved")).unwrap();
        write(&mut book, "three\n");
        book.reopen();
        write(&mut book, "four\n");
        assert_eq!(desk.text(""), "four\n");
        fs::remove_dir_all(desk.folder.path()).unwrap();
        book.reopen();
        write(&mut book, "five\n");
        assert_eq!(desk.text(""), "five\n");
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_told_once_it_can() {
        let desk = Desk::new();
        let mut book = desk.book();
        let path = desk.folder.path().join(FILE);
        fs::create_dir(&path).unwrap(); // nobody can append to that
        write(&mut book, "one\ntwo\n");
        write(&mut book, "three\n");
        assert_eq!(book.state.lost, 3);
        fs::remove_dir(&path).unwrap();
        write(&mut book, "four\n");
        let told = "T [logger] 3 lines of all could not be written: Is a directory (os error 21)\nfour\n";
        assert_eq!((desk.text("").as_str(), book.state.lost), (told, 0));
    }
}
