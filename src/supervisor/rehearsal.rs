//! What `check` tries in the place of a start: with names of its own, and gone again at once.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::thread::Builder;

use nix::libc::{EEXIST, ENAMETOOLONG};

use super::kept::Kept;
use super::{cannot_start, generations};
use crate::config::Config;
use crate::core::Slot;
use crate::exit;
use crate::roles::Roles;
use crate::wire::Trouble;

/// The longest name that a file system takes (NAME_MAX).
const MAX_NAME: usize = 255;
/// Enough for a thread that waits.
const STACK: usize = 64 << 10;

/// A name that nobody else has: what lies there was left by one that was killed, and had our pid.
fn own_name(folder: &Path) -> PathBuf {
    folder.join(format!(".atlas-cluster-check.{}", std::process::id()))
}

/// Whether a file can be made in `folder`, and take a few bytes.
pub(super) fn make_file(folder: &Path) -> io::Result<()> {
    let path = own_name(folder);
    let _ = fs::remove_file(&path);
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let written = file.write_all(b"check\n");
    drop(file);
    fs::remove_file(&path)?;
    written
}

/// Whether `folder`, which is not there, can be made with all above it that is not there either, and hold a file.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.components().any(|part| part.as_os_str().len() > MAX_NAME) {
        return Err(io::Error::from_raw_os_error(ENAMETOOLONG));
    }
    match folder.symlink_metadata() {
        Ok(_) => return Err(io::Error::from_raw_os_error(EEXIST)), // a link that leads nowhere
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        Err(_) => {}
    }
    let above = folder.ancestors().skip(1).find(|above| above.symlink_metadata().is_ok());
    let above = above.unwrap_or(Path::new("."));
    if !above.is_dir() {
        return Err(io::Error::from_raw_os_error(EEXIST));
    }
    let own = own_name(above);
    let _ = fs::remove_dir(&own);
    DirBuilder::new().mode(0o700).create(&own)?;
    let made = make_file(&own);
    fs::remove_dir(&own)?;
    made
}

/// Whether an existing file can be opened so, or, where there is none, one be made in its folder. The file that is there.
pub(super) fn open_or_make(path: &Path, open: impl FnOnce() -> io::Result<File>) -> io::Result<Option<File>> {
    match path.symlink_metadata() {
        Ok(_) => open().map(Some),
        Err(_) => make_file(path.parent().unwrap_or(Path::new("."))).map(|()| None),
    }
}

/// Why the supervisor could not make what it shares with its workers, if it could not.
pub(crate) fn memory(config: &Config, roles: &Roles) -> Option<Trouble> {
    let make = || {
        mio::Poll::new()?;
        let mut kept = Kept::alone(config, roles)?;
        kept.lend(Slot::Worker(0), roles.of_workers(config))?;
        generations::Generations::new(config.clone(), 0).map(drop)
    };
    make().err().map(|e| cannot_start(&e))
}

/// Why there could not be as many processes at once, if there could not: as many threads are started, which count alike.
pub(crate) fn processes(config: &Config, roles: &Roles) -> Option<Trouble> {
    let plan = generations::plan(config, roles);
    let of_us = if config.worker.user.is_some() { 0 } else { plan.workers };
    // One writes the log.
    let wanted = usize::from(of_us) + plan.roles.slots().count() + 1;
    let (gate, mut started, mut failed) = (RwLock::new(()), 0, None);
    std::thread::scope(|scope| {
        let _closed = gate.write();
        for _ in 0..wanted {
            match Builder::new().stack_size(STACK).spawn_scoped(scope, || drop(gate.read())) {
                Ok(_) => started += 1,
                Err(e) => {
                    failed = Some(e);
                    break;
                }
            }
        }
    });
    failed.map(|e| Trouble {
        message: format!(
            "{wanted} processes and threads are needed beside the supervisor, and {started} can be started: {e}"
        ),
        hint: Some("raise the limit of processes and threads of this user (ulimit -u)".into()),
        exit: exit::FAILED,
    })
}
