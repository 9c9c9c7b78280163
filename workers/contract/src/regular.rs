//! Files in folders where others may have put something else in their place.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

/// Opens a regular file: follows no link, waits for nobody at the other end of a pipe. None for what is something else.
///
/// # Errors
/// What open(2) says: `ELOOP` for a link.
pub fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<Option<File>> {
    let file = options.custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}
