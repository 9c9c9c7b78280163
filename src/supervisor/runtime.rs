//! The runtime directory: one cluster in each, its pid, its sockets; nothing stays behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use contract::Seat;

use crate::exit;
use crate::wire::{CONTROL_SOCKET, PID_FILE, Trouble};

/// Folder of the children's notify addresses.
const NOTIFY: &str = "notify";
/// The longest path of a socket, its NUL left out (sun_path, unix(7)).
const MAX_SOCKET_PATH: usize = 107;
/// The longest name below [`NOTIFY`]: a role, a dot, a run of 20 digits.
const MAX_LINE_NAME: usize = 40;

/// Ours while the lock on the pid file is held.
pub(super) struct RuntimeDir {
    folder: PathBuf,
    _lock: Seat,
}

impl RuntimeDir {
    /// Makes the directory if need be (0711), takes the lock, clears what a killed predecessor left.
    ///
    /// # Errors
    /// A [`Trouble`] for the user: somebody else runs there, or it can't be used.
    pub(super) fn claim(folder: &Path) -> Result<RuntimeDir, Trouble> {
        let too_long = folder.join(NOTIFY).as_os_str().len() + 1 + MAX_LINE_NAME > MAX_SOCKET_PATH;
        if too_long {
            return Err(trouble(
                folder,
                "its path is too long for a socket below it",
                "choose a shorter --runtime-dir",
            ));
        }
        let failed = |e: io::Error| {
            let hint = "choose a directory of your own with --runtime-dir";
            trouble(folder, &e.to_string(), hint)
        };
        make_folder(folder).map_err(failed)?;
        let pid_path = folder.join(PID_FILE);
        let (mut pid_file, lock) = lock(&pid_path).map_err(failed)?;
        let Some(lock) = lock else {
            let mut pid = String::new();
            let _ = pid_file.take(20).read_to_string(&mut pid);
            let pid = pid.trim();
            return Err(Trouble {
                message: format!("a cluster already runs in {}: pid {pid}", folder.display()),
                hint: Some("stop it with `atlas-cluster stop`, or choose another --runtime-dir".into()),
                exit: exit::PORT,
            });
        };
        let mut settle = || {
            pid_file.set_len(0)?;
            pid_file.rewind()?;
            writeln!(pid_file, "{}", std::process::id())?;
            let _ = fs::remove_file(folder.join(CONTROL_SOCKET));
            let _ = fs::remove_dir_all(folder.join(NOTIFY));
            fs::DirBuilder::new().mode(0o711).create(folder.join(NOTIFY))?;
            fs::set_permissions(folder.join(NOTIFY), fs::Permissions::from_mode(0o711))
        };
        settle().map_err(failed)?;
        Ok(RuntimeDir { folder: folder.to_owned(), _lock: lock })
    }

    /// Binds the control socket, 0600 from its first moment.
    pub(super) fn control(&self) -> io::Result<UnixListener> {
        use nix::sys::stat::{Mode, umask};
        let before = umask(Mode::from_bits_truncate(0o177));
        let listener = UnixListener::bind(self.folder.join(CONTROL_SOCKET));
        umask(before);
        listener
    }

    /// Where children's notify addresses lie.
    pub(super) fn notify(&self) -> PathBuf {
        self.folder.join(NOTIFY)
    }
}

impl Drop for RuntimeDir {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.folder.join(CONTROL_SOCKET));
        let _ = fs::remove_dir_all(self.folder.join(NOTIFY));
        // Last, and still under the lock: who waits for our end sees it end with everything else gone.
        let _ = fs::remove_file(self.folder.join(PID_FILE));
    }
}

fn trouble(folder: &Path, why: &str, hint: &str) -> Trouble {
    let message = format!("cannot use the runtime directory {}: {why}", folder.display());
    Trouble { message, hint: Some(hint.into()), exit: exit::FAILED }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o711).create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711))?;
    }
    let found = fs::metadata(folder)?;
    if !found.is_dir() {
        return Err(io::Error::from_raw_os_error(nix::libc::ENOTDIR));
    }
    let (owner, us) = (found.uid(), nix::unistd::geteuid().as_raw());
    if owner != us {
        return Err(io::Error::other(format!("it belongs to uid {owner}, and we are uid {us}")));
    }
    Ok(())
}

/// Opens the pid file and tries its lock; without the lock, somebody holds it. A file that its owner removed between
/// our open and our lock is not the one in the directory: try again.
fn lock(path: &Path) -> io::Result<(File, Option<Seat>)> {
    for _ in 0..100 {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
            .open(path)?;
        let seat = match Seat::try_take(file.as_fd()) {
            Ok(seat) => seat,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok((file, None)),
            Err(e) => return Err(e),
        };
        let (ours, there) = (file.metadata()?.ino(), fs::metadata(path).map(|found| found.ino()));
        if there.is_ok_and(|there| there == ours) {
            return Ok((file, Some(seat)));
        }
    }
    Err(io::Error::other("its pid file changes all the time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cluster_in_each_directory_and_a_stale_pid_file_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        fs::create_dir(&path).unwrap();
        fs::write(path.join(PID_FILE), "4194304\n").unwrap();
        fs::write(path.join(CONTROL_SOCKET), "left behind").unwrap();
        let first = RuntimeDir::claim(&path).unwrap();
        let listener = first.control().unwrap();
        let mode = fs::metadata(path.join(CONTROL_SOCKET)).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let refused = RuntimeDir::claim(&path).err().unwrap();
        assert_eq!(refused.exit, exit::PORT);
        assert!(refused.message.ends_with(&format!("pid {}", std::process::id())), "{}", refused.message);
        drop((first, listener));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "nothing stays behind");
        RuntimeDir::claim(&path).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_used_says_why() {
        let long = PathBuf::from(format!("/tmp/{}", "x".repeat(100)));
        let refused = RuntimeDir::claim(&long).err().unwrap();
        assert!(refused.message.contains("too long") && refused.hint.is_some());
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(RuntimeDir::claim(file.path()).err().unwrap().message.contains("Not a directory"));
    }
}
