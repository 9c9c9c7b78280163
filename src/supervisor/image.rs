//! The binary on disk, opened to become our next image: whatever lies there, opening it waits for nobody.

use std::fmt;
use std::fs::{self, File, FileType, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::{AccessFlags, eaccess};

/// Why what lies there cannot be an image.
#[derive(Debug)]
pub(super) enum Unfit {
    /// No file: what it is instead.
    Kind(&'static str),
    NotExecutable,
    /// It begins with `#!`: its interpreter would be executed in our place.
    Script,
    Refused(io::Error),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Kind(what) => write!(f, "it is {what}"),
            Unfit::NotExecutable => f.write_str("permission denied (not executable)"),
            Unfit::Script => f.write_str("a script cannot be upgraded to"),
            Unfit::Refused(why) => why.fmt(f),
        }
    }
}

impl From<io::Error> for Unfit {
    fn from(why: io::Error) -> Unfit {
        Unfit::Refused(why)
    }
}

/// Opens what lies at `path`, if it is a file that may be executed and is no script.
///
/// # Errors
/// What it is instead.
pub(super) fn open(path: &Path) -> Result<OwnedFd, Unfit> {
    // Opening a device can have effects, so look first; and look again at what was really opened.
    require_file(fs::metadata(path)?.file_type())?;
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    require_file(file.metadata()?.file_type())?;
    eaccess(path, AccessFlags::X_OK).map_err(|_| Unfit::NotExecutable)?;
    if is_script(&file)? { Err(Unfit::Script) } else { Ok(file.into()) }
}

fn require_file(kind: FileType) -> Result<(), Unfit> {
    let kinds = [
        (kind.is_dir(), "a directory"),
        (kind.is_fifo(), "a FIFO"),
        (kind.is_socket(), "a socket"),
        (kind.is_char_device() || kind.is_block_device(), "a device"),
    ];
    let other = kinds.into_iter().find_map(|(is, what)| is.then_some(Unfit::Kind(what)));
    other.map_or(Ok(()), Err)
}

fn is_script(file: &File) -> io::Result<bool> {
    let mut beginning = [0; 2];
    let read = file.read_at(&mut beginning, 0)?;
    Ok(read == beginning.len() && &beginning == b"#!")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_can_be_no_image_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let with_mode = |name: &str, text: &str, mode: u32| {
            fs::write(at(name), text).unwrap();
            fs::set_permissions(at(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        with_mode("plain", "\x7fELF", 0o644);
        with_mode("script", "#!/bin/sh\n", 0o755);
        with_mode("program", "\x7fELF", 0o755);
        with_mode("empty", "", 0o755);
        for (name, expected) in [
            ("", "it is a directory"),
            ("fifo", "it is a FIFO"),
            ("socket", "it is a socket"),
            ("/dev/null", "it is a device"),
            ("plain", "permission denied (not executable)"),
            ("script", "a script cannot be upgraded to"),
            ("missing", "No such file or directory (os error 2)"),
        ] {
            assert_eq!(open(&at(name)).unwrap_err().to_string(), expected, "{name:?}");
        }
        open(&at("program")).unwrap();
        open(&at("empty")).unwrap();
    }
}
