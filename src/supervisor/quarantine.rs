//! Files for datagrams that killed workers: made here, lent to the workers, which write them.
//!
//! Nothing here may stop the cluster: a worker without a file counts such datagrams and says what it knows of them.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use contract::open_regular;

/// The folder in the runtime directory, 0700. Dropped, it takes away the files that nothing was written to: what was
/// written is evidence, and stays for whoever comes to look, over the next start too.
pub(super) struct Quarantine {
    folder: PathBuf,
    files: BTreeMap<u8, File>,
    /// It was said that there is none to lend.
    complained: bool,
}

impl Quarantine {
    pub(super) fn new(folder: PathBuf) -> Quarantine {
        Quarantine { folder, files: BTreeMap::new(), complained: false }
    }

    /// The file of worker `slot`; opened anew if somebody took it away.
    pub(super) fn lend(&mut self, slot: u8) -> Option<BorrowedFd<'_>> {
        let there = self.files.get(&slot).is_some_and(|file| file.metadata().is_ok_and(|it| it.nlink() > 0));
        if !there {
            self.files.remove(&slot);
            match open(&self.folder, slot) {
                Ok(file) => drop(self.files.insert(slot, file)),
                Err(e) if self.complained => log::debug!("no quarantine for worker {slot}: {e}"),
                Err(e) => {
                    self.complained = true;
                    let path = path(&self.folder, slot);
                    log::warn!("datagrams that kill workers cannot be kept in {}: {e}", path.display());
                }
            }
        }
        self.files.get(&slot).map(AsFd::as_fd)
    }
}

impl Drop for Quarantine {
    fn drop(&mut self) {
        for (&slot, file) in &self.files {
            if file.metadata().is_ok_and(|it| it.len() == 0 && it.nlink() > 0) {
                let _ = fs::remove_file(path(&self.folder, slot));
            }
        }
        let _ = fs::remove_dir(&self.folder); // refused while something lies in it
    }
}

fn path(folder: &Path, slot: u8) -> PathBuf {
    folder.join(format!("{slot}.jsonl"))
}

/// Opens it for appending and reading, 0600. Whatever else lies there is not ours to write to.
fn open(folder: &Path, slot: u8) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut options = OpenOptions::new();
    let file = open_regular(options.append(true).read(true).create(true).mode(0o600), &path(folder, slot))?;
    file.ok_or_else(|| io::Error::other("it is not a regular file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn write(quarantine: &mut Quarantine, slot: u8, text: &str) {
        let fd = quarantine.lend(slot).unwrap().try_clone_to_owned().unwrap();
        File::from(fd).write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn what_was_written_stays_and_what_was_not_goes() {
        let runtime = tempfile::tempdir().unwrap();
        let folder = runtime.path().join("quarantine");
        let mut first = Quarantine::new(folder.clone());
        assert!(first.lend(0).is_some() && first.lend(1).is_some());
        assert_eq!((mode(&folder), mode(&folder.join("0.jsonl"))), (0o700, 0o600));
        drop(first);
        assert_eq!(fs::read_dir(runtime.path()).unwrap().count(), 0);
        let mut second = Quarantine::new(folder.clone());
        assert!(second.lend(0).is_some());
        write(&mut second, 1, "one\n");
        drop(second);
        let mut third = Quarantine::new(folder.clone());
        write(&mut third, 1, "two\n");
        assert!(third.lend(0).is_some());
        drop(third);
        assert_eq!(fs::read_to_string(folder.join("1.jsonl")).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_somebody_took_away_is_made_anew() {
        let runtime = tempfile::tempdir().unwrap();
        let folder = runtime.path().join("quarantine");
        let mut quarantine = Quarantine::new(folder.clone());
        write(&mut quarantine, 1, "one\n");
        fs::remove_dir_all(&folder).unwrap();
        write(&mut quarantine, 1, "two\n");
        assert_eq!(fs::read_to_string(folder.join("1.jsonl")).unwrap(), "two\n");
    }

    #[test]
    fn where_no_file_can_be_none_is_lent() {
        let runtime = tempfile::tempdir().unwrap();
        let folder = runtime.path().join("quarantine");
        fs::write(&folder, "in the way").unwrap();
        assert!(Quarantine::new(folder.clone()).lend(0).is_none());
        assert_eq!(fs::read_to_string(&folder).unwrap(), "in the way");
        fs::remove_file(&folder).unwrap();
        fs::create_dir_all(folder.join("0.jsonl")).unwrap();
        std::os::unix::fs::symlink("/dev/null", folder.join("1.jsonl")).unwrap();
        nix::unistd::mkfifo(&folder.join("2.jsonl"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut quarantine = Quarantine::new(folder);
        for slot in 0..3 {
            assert!(quarantine.lend(slot).is_none(), "{slot}");
        }
        assert!(quarantine.lend(3).is_some());
    }
}
