//! The runtime directory: one cluster in each, its pid, its sockets; nothing stays behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::libc::{EISDIR, ENOTDIR};
use nix::unistd::{AccessFlags, eaccess};

use contract::{LINK_LOCK, LINK_SOCKET, Seat, open_regular, private_listener, tap};

use super::rehearsal;
use crate::exit;
use crate::wire::{CONTROL_SOCKET, PID_FILE, QUARANTINE, Trouble};

/// Folder of the children's notify addresses.
const NOTIFY: &str = "notify";
/// Ours while the lock on the pid file is held.
pub(crate) struct RuntimeDir {
    folder: PathBuf,
    lock: Seat,
}

impl RuntimeDir {
    /// Makes the directory if need be (0711), takes the lock, clears what a killed predecessor left.
    ///
    /// # Errors
    /// A [`Trouble`] for the user: somebody else runs there, or it can't be used.
    pub(super) fn claim(folder: &Path) -> Result<RuntimeDir, Trouble> {
        let failed = |e: io::Error| unusable(folder, &e);
        make_folder(folder).map_err(failed)?;
        let pid_path = folder.join(PID_FILE);
        let (mut pid_file, lock) = lock(&pid_path).map_err(failed)?;
        let Some(lock) = lock else { return Err(taken(folder, pid_file)) };
        let mut settle = || {
            // One of an older version is readable to all.
            pid_file.set_permissions(fs::Permissions::from_mode(0o600))?;
            pid_file.set_len(0)?;
            pid_file.rewind()?;
            writeln!(pid_file, "{}", std::process::id())?;
            remove(&folder.join(CONTROL_SOCKET), |path| fs::remove_file(path))?;
            remove(&folder.join(LINK_SOCKET), |path| fs::remove_file(path))?;
            remove(&folder.join(NOTIFY), |path| fs::remove_dir_all(path))?;
            let _ = tap::sweep(folder); // a socket that nobody hears harms nobody
            make_folder(&folder.join(NOTIFY))
        };
        settle().map_err(failed)?;
        Ok(RuntimeDir { folder: folder.to_owned(), lock })
    }

    /// Whether it could be claimed, as far as that can be told without doing it; nothing of the asking stays.
    ///
    /// # Errors
    /// As [`RuntimeDir::claim`].
    pub(crate) fn foresee(folder: &Path) -> Result<(), Trouble> {
        let failed = |e: io::Error| unusable(folder, &e);
        if !folder.exists() {
            return rehearsal::make_folder(folder).map_err(failed);
        }
        fs::metadata(folder).and_then(|found| judge(folder, &found)).map_err(failed)?;
        let pid_path = folder.join(PID_FILE);
        let pid_file = rehearsal::open_or_make(&pid_path, || {
            let file = open_pid(&pid_path, false)?;
            rehearsal::make_file(folder).map(|()| file)
        });
        let held = pid_file.map_err(failed)?.filter(|file| contract::is_locked(file.as_fd()));
        if let Some(pid_file) = held {
            return Err(taken(folder, pid_file));
        }
        [CONTROL_SOCKET, LINK_SOCKET]
            .into_iter()
            .try_for_each(|name| removable(&folder.join(name), false))
            .and_then(|()| removable(&folder.join(NOTIFY), true))
            .map_err(failed)
    }

    /// Ours since before an exec, with the lock that was taken then.
    pub(super) fn claimed_before(folder: PathBuf, lock: OwnedFd) -> RuntimeDir {
        RuntimeDir { folder, lock: Seat::taken_before(lock) }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The lock, to be taken along over an exec.
    pub(super) fn lock(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    /// Binds the control socket, 0600 from its first moment.
    pub(super) fn control(&self) -> io::Result<UnixListener> {
        private_listener(&self.folder.join(CONTROL_SOCKET))
    }

    /// Where children's notify addresses lie.
    pub(super) fn notify(&self) -> PathBuf {
        self.folder.join(NOTIFY)
    }

    /// Where datagrams that killed workers lie.
    pub(super) fn quarantine(&self) -> PathBuf {
        self.folder.join(QUARANTINE)
    }
}

impl Drop for RuntimeDir {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.folder.join(CONTROL_SOCKET));
        let _ = fs::remove_file(self.folder.join(LINK_SOCKET));
        // Only now: while a killed predecessor's link may still hold it, it is the one file that both of us know.
        let _ = fs::remove_file(self.folder.join(LINK_LOCK));
        let _ = fs::remove_dir_all(self.folder.join(NOTIFY));
        let _ = tap::sweep(&self.folder);
        // Last, and still under the lock: who waits for our end sees it end with everything else gone.
        let _ = fs::remove_file(self.folder.join(PID_FILE));
    }
}

fn unusable(folder: &Path, why: &io::Error) -> Trouble {
    let message = format!("cannot use the runtime directory {}: {why}", folder.display());
    let hint = match why.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "in a container mount a tmpfs or a volume there (--tmpfs /run); or choose a directory that can be written \
             with --runtime-dir"
        }
        _ => "choose a directory of your own with --runtime-dir",
    };
    Trouble { message, hint: Some(hint.into()), exit: exit::USAGE }
}

/// Somebody holds the lock on its pid file.
fn taken(folder: &Path, pid_file: File) -> Trouble {
    let mut pid = String::new();
    let _ = pid_file.take(20).read_to_string(&mut pid);
    Trouble {
        message: format!("a cluster already runs in {}: pid {}", folder.display(), pid.trim()),
        hint: Some("stop it with `atlas-cluster stop`, or choose another --runtime-dir".into()),
        exit: exit::PORT,
    }
}

/// Makes a folder, 0711 whatever the mask is, if it is not there; it must be ours.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o711).create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711))?;
    }
    let found = fs::metadata(folder)?;
    judge(folder, &found)?;
    if found.mode() & 0o002 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711))?;
        must_be_empty(folder)?; // from here on nobody else puts anything there
    }
    Ok(())
}

/// Whether what is there is a folder, and ours alone. One that everybody may write to is not, but for an empty one of our
/// own, such as a volume that was just mounted: it can be closed to others.
fn judge(folder: &Path, found: &fs::Metadata) -> io::Result<()> {
    if !found.is_dir() {
        return Err(io::Error::from_raw_os_error(ENOTDIR));
    }
    if found.mode() & 0o1002 == 0o1002 {
        return Err(open_to_all());
    }
    let (owner, us) = (found.uid(), nix::unistd::geteuid().as_raw());
    if owner != us {
        return Err(io::Error::other(format!("it belongs to uid {owner}, and we are uid {us}")));
    }
    if found.mode() & 0o002 != 0 { must_be_empty(folder) } else { Ok(()) }
}

/// What lies in a folder that was open to everybody may be anybody's.
fn must_be_empty(folder: &Path) -> io::Result<()> {
    if fs::read_dir(folder)?.next().is_none() { Ok(()) } else { Err(open_to_all()) }
}

fn open_to_all() -> io::Error {
    io::Error::other("anybody may write there")
}

/// Takes away what a killed predecessor left.
fn remove(path: &Path, how: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    match how(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot_remove(path, &e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn cannot_remove(path: &Path, why: &io::Error) -> io::Error {
    io::Error::new(why.kind(), format!("cannot remove {}: {why}", path.display()))
}

/// Whether it could be taken away: a file, or a folder with what is in it; a link goes either way.
fn removable(path: &Path, is_folder: bool) -> io::Result<()> {
    let Ok(found) = path.symlink_metadata() else { return Ok(()) };
    let why = match (found.is_symlink(), found.is_dir(), is_folder) {
        (true, ..) | (false, false, false) => return Ok(()),
        (false, true, false) => EISDIR,
        (false, false, true) => ENOTDIR,
        (false, true, true) => {
            let is_empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
            let may = eaccess(path, AccessFlags::W_OK | AccessFlags::X_OK).map_err(io::Error::from);
            return if is_empty { Ok(()) } else { may.map_err(|e| cannot_remove(path, &e)) };
        }
    };
    Err(cannot_remove(path, &io::Error::from_raw_os_error(why)))
}

/// Opens the pid file, and nothing else that lies in its place; made, if it is to be, for its owner alone: whoever could
/// read it could wait for its lock, and have it when we die.
fn open_pid(path: &Path, make: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = open_regular(options.read(true).write(true).create(make).mode(0o600), path)?;
    file.ok_or_else(|| io::Error::other("its pid file is not a file"))
}

/// Opens the pid file and tries its lock; without the lock, somebody holds it. A file that its owner removed between
/// our open and our lock is not the one in the directory: try again.
fn lock(path: &Path) -> io::Result<(File, Option<Seat>)> {
    for _ in 0..100 {
        let file = open_pid(path, true)?;
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
        fs::write(path.join(LINK_SOCKET), "left behind").unwrap();
        drop(tap::listen(&tap::path(&path, 7)).unwrap());
        fs::write(path.join(LINK_LOCK), "").unwrap();
        let first = RuntimeDir::claim(&path).unwrap();
        let listener = first.control().unwrap();
        let mode = fs::metadata(path.join(CONTROL_SOCKET)).unwrap().mode() & 0o777;
        assert_eq!((mode, tap::path(&path, 7).exists()), (0o600, false));
        drop(tap::listen(&tap::path(&path, 8)).unwrap());
        let refused = RuntimeDir::claim(&path).err().unwrap();
        assert_eq!(refused.exit, exit::PORT);
        assert!(refused.message.ends_with(&format!("pid {}", std::process::id())), "{}", refused.message);
        drop((first, listener));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "nothing stays behind");
        RuntimeDir::claim(&path).unwrap();
    }

    #[test]
    fn what_a_claim_would_say_is_told_without_one() {
        let place = tempfile::tempdir().unwrap();
        let foresee = |name: &str| RuntimeDir::foresee(&place.path().join(name)).err();
        for name in ["", "to/be/made"] {
            assert!(foresee(name).is_none(), "{name}");
        }
        fs::write(place.path().join(PID_FILE), "4194304\n").unwrap();
        assert!(foresee("").is_none(), "nobody holds it");
        let names = || fs::read_dir(place.path()).unwrap().count();
        assert_eq!(names(), 1, "nothing stays");
        let claimed = RuntimeDir::claim(place.path()).unwrap();
        let (foreseen, refused) =
            (foresee("").unwrap(), RuntimeDir::claim(&place.path().join("")).err().unwrap());
        assert_eq!((foreseen.message, foreseen.exit), (refused.message, exit::PORT));
        drop(claimed);
        for (name, make) in [
            (CONTROL_SOCKET, (|path| fs::create_dir(path)) as fn(&Path) -> io::Result<()>),
            (NOTIFY, |path| fs::write(path, "")),
            (PID_FILE, |path| fs::create_dir(path)),
            (PID_FILE, |path| std::os::unix::fs::symlink("/nowhere/at/all", path)),
        ] {
            let made = tempfile::tempdir().unwrap();
            let folder = made.path();
            make(&folder.join(name)).unwrap();
            let (foreseen, refused) =
                (RuntimeDir::foresee(folder).unwrap_err(), RuntimeDir::claim(folder).err().unwrap());
            assert_eq!((foreseen.message, foreseen.exit), (refused.message, refused.exit), "{name}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_used_says_why() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = RuntimeDir::claim(file.path()).err().unwrap();
        assert!(refused.message.contains("Not a directory") && refused.hint.is_some());
        let shared = tempfile::tempdir().unwrap();
        let set = |mode| fs::set_permissions(shared.path(), fs::Permissions::from_mode(mode)).unwrap();
        let refused = || {
            let said = RuntimeDir::claim(shared.path()).err().unwrap().message;
            assert_eq!(RuntimeDir::foresee(shared.path()).unwrap_err().message, said);
            assert!(said.contains("anybody may write"), "{said}");
        };
        set(0o1777);
        refused();
        let somebody_elses = shared.path().join(QUARANTINE);
        fs::write(&somebody_elses, "").unwrap();
        set(0o777);
        refused();
        fs::remove_file(&somebody_elses).unwrap();
        RuntimeDir::foresee(shared.path()).unwrap();
        RuntimeDir::claim(shared.path()).unwrap();
        assert_eq!(fs::metadata(shared.path()).unwrap().mode() & 0o777, 0o711);
    }

    #[test]
    fn one_that_is_there_keeps_what_others_may_do_there_but_write() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("made");
        RuntimeDir::claim(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o711);
        for mode in [0o700, 0o750, 0o755] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            RuntimeDir::claim(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
        }
    }
}
