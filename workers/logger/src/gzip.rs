//! Full files, compressed by a thread of their own: whoever prints need not wait for it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

use contract::logs::{COMPRESSED, HALF, is_of_the_disk, open_file, rotated};
use flate2::Compression;
use flate2::write::GzEncoder;

/// At most one thread.
#[derive(Default)]
pub(crate) struct Press {
    thread: Option<JoinHandle<()>>,
}

impl Press {
    /// Has every full file compressed that is not; one that a dead logger left half done begins anew. Where one is at
    /// it already, what is new waits for the next call.
    pub(crate) fn start(&mut self, folder: &Path) {
        if self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let folder = folder.to_owned();
        // What cannot be compressed stays as it is, and is tried again with the next full file. It keeps no other from
        // being compressed, unless it is the disk that takes nothing.
        let work = move || {
            for path in rotated(&folder).into_iter().flat_map(std::collections::BTreeMap::into_values) {
                if path.as_os_str().as_encoded_bytes().ends_with(COMPRESSED.as_bytes()) {
                    continue;
                }
                if compress(&path).is_err_and(|e| is_of_the_disk(&e)) {
                    return;
                }
            }
        };
        self.thread = Builder::new().name("gzip".into()).spawn(work).ok();
    }
}

/// Under another name until it is whole.
fn compress(path: &Path) -> io::Result<()> {
    let with = |extension: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(extension);
        PathBuf::from(name)
    };
    let (part, whole) = (with(HALF), with(COMPRESSED));
    let press = || {
        let mut plain = open_file(File::options().read(true), path)?;
        let _ = fs::remove_file(&part);
        let file = File::options().write(true).create_new(true).mode(0o640).open(&part)?;
        let mut out = GzEncoder::new(file, Compression::fast());
        io::copy(&mut plain, &mut out)?;
        // The plain one goes: whatever ends the machine in this moment, one of the two is on the disk. Only this thread
        // waits for that.
        out.finish()?.sync_data()?;
        fs::rename(&part, &whole)?;
        // One that was removed meanwhile, for there are newer ones, is not to come back.
        match fs::remove_file(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => fs::remove_file(&whole),
            removed => removed,
        }
    };
    press().inspect_err(|_| _ = fs::remove_file(&part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::logs::FILE;
    use std::io::Read;

    #[test]
    fn full_files_are_compressed_and_come_out_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(format!("{FILE}{name}"));
        let text = "a line\n".repeat(100_000);
        fs::write(path(".1"), &text).unwrap();
        fs::write(path(".2"), "short\n").unwrap();
        fs::write(path(".2.gz.part"), "half").unwrap();
        fs::create_dir(path(".0")).unwrap(); // nobody can compress that
        fs::write(path(""), "current\n").unwrap();
        let mut press = Press::default();
        press.start(folder.path());
        press.thread.take().unwrap().join().unwrap();
        let mut out = String::new();
        let file = File::open(path(".1.gz")).unwrap();
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut out).unwrap();
        assert_eq!(out, text);
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(
            names,
            ["", ".0", ".1.gz", ".2.gz"].map(|name| format!("{FILE}{name}").into())
                as [std::ffi::OsString; 4]
        );
    }

    #[test]
    fn neither_end_of_a_compression_is_reached_through_a_link() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let path = |name: &str| folder.path().join(format!("{FILE}{name}"));
        fs::write(other.path(), "somebody else's").unwrap();
        std::os::unix::fs::symlink(other.path(), path(".1")).unwrap();
        assert!(compress(&path(".1")).is_err() && !path(".1.gz").exists());
        fs::write(path(".2"), "ours\n").unwrap();
        std::os::unix::fs::symlink(other.path(), path(".2.gz.part")).unwrap();
        compress(&path(".2")).unwrap();
        assert_eq!(fs::read_to_string(other.path()).unwrap(), "somebody else's");
        assert!(path(".2.gz").symlink_metadata().unwrap().is_file());
    }
}
