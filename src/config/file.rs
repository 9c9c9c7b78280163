//! The file itself: which one, and its text.

use super::error::{ConfigError, Unreadable};
use nix::fcntl::OFlag;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The files that are taken without `--config`, the first that exists.
pub(super) const USUAL: &[&str] = &["atlas-cluster.toml", "/etc/atlas-cluster/atlas-cluster.toml"];

/// The file to read, absolute: the one that was named, else the first of the usual ones that exists.
/// A usual one that exists but is out of reach is an error: what it says would be missed in silence.
pub(super) fn find(named: Option<&Path>, usual: &[&str]) -> Result<Option<PathBuf>, ConfigError> {
    if let Some(path) = named {
        return absolute(path).map(Some);
    }
    for path in usual.iter().map(Path::new) {
        match fs::metadata(path) {
            Ok(_) => return absolute(path).map(Some),
            Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(why) => {
                return Err(ConfigError::Unreadable { path: path.to_owned(), why: Unreadable::Refused(why) });
            }
        }
    }
    Ok(None)
}

/// The text of the file. Never blocks on a pipe or a device.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    read_regular(path).map_err(|why| ConfigError::Unreadable { path: path.to_owned(), why })
}

fn absolute(path: &Path) -> Result<PathBuf, ConfigError> {
    std::path::absolute(path).map_err(|why| ConfigError::NoDirectory { path: path.to_owned(), why })
}

fn read_regular(path: &Path) -> Result<String, Unreadable> {
    // Opening a device can have effects, so look first; and look again at what was really opened.
    if !fs::metadata(path).map_err(Unreadable::Refused)?.is_file() {
        return Err(Unreadable::NotRegular);
    }
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file =
        OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(Unreadable::Refused)?;
    if !file.metadata().map_err(Unreadable::Refused)?.is_file() {
        return Err(Unreadable::NotRegular);
    }
    text_of(file)
}

fn text_of(file: File) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(Unreadable::Refused)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Unreadable::TooLarge);
    }
    // The mark that some editors put first is no part of the text; errors count columns without it.
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        Unreadable::NotUtf8 { line: good.iter().filter(|&&byte| byte == b'\n').count() + 1 }
    })
}
