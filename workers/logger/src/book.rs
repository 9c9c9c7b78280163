//! What is written: whole lines, up to where the journal says; and what happens when the disk does not take them.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::libc::ENOSPC;

use crate::editor::{Now, Style, tell_lost};
use crate::folder::Folder;
use crate::gzip::Press;
use crate::journal::{Journal, State};
use crate::limit::Limit;
use crate::settings::Settings;
use crate::text::Text;

/// How long a file that cannot be opened is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// Room for the lines that tell what is missing.
const TELLING: u64 = 1024;

/// The log files, of which this process is the only writer.
pub(crate) struct Book<'a> {
    folder: Folder,
    max_size: u64,
    keep: usize,
    press: Option<Press>,
    style: Style,
    journal: Journal<'a>,
    /// As it will be committed. What a batch changes is in it once the batch is done, and not before: a file may be
    /// turned over, and that committed, while it is being written.
    state: State,
    file: Option<File>,
    /// No file is opened before this, since boot.
    next_try: Duration,
}

impl<'a> Book<'a> {
    /// Goes on where the journal says.
    pub(crate) fn new(folder: Folder, settings: &Settings, journal: Journal<'a>) -> Book<'a> {
        let mut book = Book {
            folder,
            max_size: settings.max_size,
            keep: usize::try_from(settings.keep).unwrap_or(usize::MAX),
            press: settings.gzip.then(Press::default),
            style: settings.style(),
            journal,
            state: journal.state(),
            file: None,
            next_try: Duration::ZERO,
        };
        if book.folder.hold().is_ok() {
            book.cut_to_state();
            book.tidy();
        }
        book
    }

    /// The last batch that is written.
    pub(crate) fn done(&self) -> u64 {
        self.state.done
    }

    /// What a source may write.
    pub(crate) fn limit(&self, source: usize) -> Limit {
        self.state.limits[source]
    }

    /// Whether there are lines that could not be written.
    pub(crate) fn has_lost(&self) -> bool {
        self.state.lost > 0
    }

    /// So many bytes of one batch, at most, fit into a file.
    pub(crate) fn most(&self) -> u64 {
        self.max_size.saturating_sub(TELLING)
    }

    /// Cuts off what a predecessor wrote and did not commit: it is to be written again.
    fn cut_to_state(&mut self) {
        let Some(file) = self.folder.find() else { return };
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

    /// Writes whole lines, or counts them: for good once the caller says that this is [finished](Book::finish).
    pub(crate) fn write(&mut self, now: &Now, boot: Duration, text: &Text) {
        if text.bytes.is_empty() {
            return;
        }
        let mut told = Vec::new();
        if self.state.lost > 0 {
            let why = io::Error::from_raw_os_error(self.state.why).to_string();
            tell_lost(&mut told, self.style, now, self.state.lost, &why);
        }
        match self.append(boot, &[&told, &text.bytes[..]].concat()) {
            Ok(()) => self.state.lost = 0,
            Err((written, e)) => {
                // Those of before, if that could be told at least.
                let before = if written < told.len() { self.state.lost } else { 0 };
                if before == 0 {
                    self.state.why = e.raw_os_error().unwrap_or(ENOSPC);
                }
                self.state.lost = before + text.missing_from(written.saturating_sub(told.len()));
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

    /// A batch is written, and its source may write so much more.
    pub(crate) fn finish(&mut self, batch: u64, source: usize, limit: Limit) {
        self.state.done = batch;
        self.set_limits([(source, limit)]);
    }

    /// What was written beside the batches holds, and sources may write so much more.
    pub(crate) fn set_limits(&mut self, limits: impl IntoIterator<Item = (usize, Limit)>) {
        limits.into_iter().for_each(|(source, limit)| self.state.limits[source] = limit);
        self.commit();
    }

    fn commit(&self) {
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
        let found = self.file.as_ref().map(File::metadata).transpose()?;
        let Some(found) = found.filter(|found| found.nlink() > 0) else {
            // It was removed.
            self.reopen();
            return self.open(boot);
        };
        let len = found.len();
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
        self.folder.turn_over()?;
        self.reopen();
        self.open(boot)?;
        self.tidy();
        Ok(())
    }

    fn open(&mut self, boot: Duration) -> io::Result<()> {
        if boot < self.next_try {
            return Err(io::Error::from_raw_os_error(self.state.why));
        }
        self.next_try = boot + RETRY;
        let file = self.folder.open()?;
        let found = file.metadata()?;
        self.state.file = (found.dev(), found.ino());
        self.state.len = found.len();
        self.commit();
        self.file = Some(file);
        Ok(())
    }

    /// Removes full files beyond those that are kept, and has the others compressed.
    fn tidy(&mut self) {
        self.folder.trim(self.keep);
        if let Some(press) = &mut self.press {
            press.start(self.folder.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal;
    use contract::logs::FILE;
    use std::fs;
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
            Book::new(Folder::claim(self.folder.path()), &settings, Journal::new(self.map.words()).unwrap())
        }

        fn text(&self, name: &str) -> String {
            fs::read_to_string(self.folder.path().join(format!("{FILE}{name}"))).unwrap_or_default()
        }
    }

    fn write(book: &mut Book<'_>, text: &str) {
        let now = Now { boot: 1, time: "T".into() };
        book.write(&now, book.next_try + RETRY, &Text::of(text));
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
        write(&mut next, "two\nthree\n");
        next.commit();
        drop(next);
        desk.book();
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
        let (mut flood, now) = (Text::of("9 left out\n"), Now { boot: 1, time: "T".into() });
        flood.note_teller(9);
        book.write(&now, book.next_try + RETRY, &flood);
        fs::remove_dir(&path).unwrap();
        write(&mut book, "four\n");
        let told = "T [logger] 12 lines, from all sources together, could not be written: Is a directory (os error 21)\nfour\n";
        assert_eq!((desk.text("").as_str(), book.state.lost), (told, 0));
    }

    #[test]
    fn a_file_or_a_folder_that_was_removed_is_made_anew_at_the_next_line() {
        let desk = Desk::new();
        let mut book = desk.book();
        write(&mut book, "one\n");
        fs::remove_file(desk.folder.path().join(FILE)).unwrap();
        write(&mut book, "two\n");
        assert_eq!(desk.text(""), "two\n");
        fs::remove_dir_all(desk.folder.path()).unwrap();
        for number in 0..3 {
            write(&mut book, &format!("{number}{}\n", "x".repeat(60)));
        }
        assert_eq!((book.state.lost, desk.text("").chars().next()), (0, Some('2')));
    }

    #[test]
    fn nothing_is_written_through_a_link_or_to_what_is_no_file() {
        let (desk, other) = (Desk::new(), tempfile::NamedTempFile::new().unwrap());
        let path = desk.folder.path().join(FILE);
        std::os::unix::fs::symlink(other.path(), &path).unwrap();
        let mut book = desk.book();
        write(&mut book, "one\n");
        assert_eq!((book.state.lost, other.as_file().metadata().unwrap().len()), (1, 0));
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _reader = File::options().read(true).write(true).open(&path).unwrap();
        write(&mut book, "two\n");
        assert_eq!(book.state.lost, 2);
    }

    #[test]
    fn a_file_that_is_turned_over_amid_a_batch_commits_nothing_of_it() {
        let desk = Desk::new();
        let mut book = desk.book();
        write(&mut book, &format!("{}\n", "x".repeat(60)));
        book.finish(1, 0, Limit { left: 7, at: 1, left_out: 5, muted: true });
        write(&mut book, &format!("{}\n", "y".repeat(60)));
        drop(book); // it was killed
        let next = desk.book();
        let limit = Limit { left: 7, at: 1, left_out: 5, muted: true };
        assert_eq!((desk.text(""), next.done(), next.limit(0)), (String::new(), 1, limit));
    }

    #[test]
    fn while_another_process_writes_there_lines_are_counted() {
        let desk = Desk::new();
        let other = contract::logs::try_claim(desk.folder.path()).unwrap().unwrap();
        let mut book = desk.book();
        write(&mut book, "one\n");
        assert_eq!((book.state.lost, book.state.why, desk.text("").as_str()), (1, nix::libc::EBUSY, ""));
        drop(other);
        write(&mut book, "two\n");
        assert!(desk.text("").ends_with("Device or resource busy (os error 16)\ntwo\n"), "{}", desk.text(""));
    }
}
