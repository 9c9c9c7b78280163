//! The folder of the log files: made, held against others, its files opened, numbered and removed.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use contract::logs::{FILE, HALF, claim, full_files, open_file, rotated, try_claim};
use nix::fcntl::Flock;
use nix::libc::EBUSY;

/// A logger whose supervisor was killed lives on for a while, and its seat is not that of the next cluster: but their
/// folder is the same one.
pub(crate) struct Folder {
    path: PathBuf,
    lock: Option<Flock<File>>,
    /// The highest number that a full file ever had, as far as we know: none is given twice, so that whoever is at work
    /// on a file (`gzip.rs`) never finds another one under its name.
    last: u64,
}

impl Folder {
    /// Waits until whoever had it before is gone. Where it is not ours then, no file is opened until it is.
    pub(crate) fn claim(path: &Path) -> Folder {
        let lock = make(path).and_then(|()| claim(path)).ok().flatten();
        let mut folder = Folder { path: path.to_owned(), lock, last: 0 };
        if folder.hold().is_ok() {
            folder.sweep();
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The current file, made if need be, for appending.
    ///
    /// # Errors
    /// `EBUSY` while another process writes there; else what the kernel says.
    pub(crate) fn open(&mut self) -> io::Result<File> {
        make(&self.path)?;
        self.hold()?;
        open_file(File::options().append(true).create(true).mode(0o640), &self.current())
    }

    /// The current file, if there is one and it is ours.
    pub(crate) fn find(&mut self) -> Option<File> {
        self.hold().ok()?;
        open_file(File::options().append(true), &self.current()).ok()
    }

    /// The current file is full.
    pub(crate) fn turn_over(&mut self) -> io::Result<()> {
        let newest = present(rotated(&self.path))?.into_keys().next_back();
        let number = newest.unwrap_or(0).max(self.last) + 1;
        // It may have been moved away by somebody else.
        present(fs::rename(self.current(), self.path.join(format!("{FILE}.{number}"))))?;
        self.last = number;
        Ok(())
    }

    /// Removes full files, so that the newest `keep` of them stay.
    pub(crate) fn trim(&self, keep: usize) {
        let numbers: Vec<u64> = rotated(&self.path).unwrap_or_default().into_keys().collect();
        let oldest = numbers.len().checked_sub(keep).map_or(Some(0), |surplus| numbers.get(surplus).copied());
        let oldest = oldest.unwrap_or(u64::MAX);
        for (_, path) in full_files(&self.path).into_iter().flatten().filter(|(number, _)| *number < oldest) {
            let _ = fs::remove_file(path);
        }
    }

    /// Removes what a logger that was killed had not compressed to its end.
    fn sweep(&self) {
        for (_, path) in full_files(&self.path).into_iter().flatten() {
            if path.as_os_str().as_encoded_bytes().ends_with(HALF.as_bytes()) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Makes sure that nobody else writes in the folder of that name, which may be another one by now.
    ///
    /// # Errors
    /// `EBUSY` if somebody does.
    pub(crate) fn hold(&mut self) -> io::Result<()> {
        let place = |found: fs::Metadata| (found.dev(), found.ino());
        let there = fs::metadata(&self.path).map(place).ok();
        let held = self.lock.as_ref().and_then(|lock| lock.metadata().map(place).ok());
        if held.is_none() || held != there {
            self.lock = try_claim(&self.path).map_err(|_| io::Error::from_raw_os_error(EBUSY))?;
        }
        Ok(())
    }

    fn current(&self) -> PathBuf {
        self.path.join(FILE)
    }
}

fn make(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o750).create(path)
}

/// What is not there is as good as nothing.
fn present<T: Default>(result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(T::default()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(folder: &mut Folder, files: usize) {
        for _ in 0..files {
            drop(folder.open().unwrap());
            folder.turn_over().unwrap();
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let names =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.map(|name| name.replace(FILE, "")).collect();
        names.sort();
        names
    }

    #[test]
    fn a_number_is_given_once_even_if_the_full_files_are_removed() {
        let place = tempfile::tempdir().unwrap();
        let mut folder = Folder::claim(place.path());
        fill(&mut folder, 2);
        folder.trim(0);
        fill(&mut folder, 1);
        assert_eq!(names(place.path()), [".3"]);
    }

    #[test]
    fn what_a_killed_compression_left_goes_with_its_file() {
        let place = tempfile::tempdir().unwrap();
        for name in [".1", ".1.gz", ".1.gz.part", ".2.gz", ".7.gz.part"] {
            fs::write(place.path().join(format!("{FILE}{name}")), "left\n").unwrap();
        }
        let mut folder = Folder::claim(place.path());
        assert_eq!(names(place.path()), [".1", ".1.gz", ".2.gz"]);
        fill(&mut folder, 1);
        folder.trim(2);
        assert_eq!(names(place.path()), [".2.gz", ".3"]);
    }

    #[test]
    fn a_folder_that_another_process_has_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let other = Folder::claim(place.path());
        fs::write(place.path().join(format!("{FILE}.1.gz.part")), "half").unwrap();
        let mut folder = Folder::claim(place.path());
        assert_eq!(folder.open().unwrap_err().raw_os_error(), Some(EBUSY));
        assert!(folder.find().is_none());
        assert_eq!(names(place.path()), [".1.gz.part"]);
        drop(other);
        folder.open().unwrap();
    }
}
