//! Where a cluster lives: a folder of its own with its configuration file and its runtime directory.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

/// Puts `bytes` in the place of a program, as an installer does.
///
/// Another process writes them: a descriptor of ours that is open for writing would be in every child that another
/// test of this process forks meanwhile, and a file that somebody could write to cannot be run (ETXTBSY).
///
/// # Panics
/// When it cannot be done.
pub fn install(program: &Path, bytes: &[u8]) {
    let new = program.with_extension("new");
    let mut install = Command::new("install");
    install.args(["--mode=755", "/dev/stdin"]).arg(&new).stdin(Stdio::piped());
    let mut child = install.spawn().expect("install (Debian: coreutils) runs");
    let mut input = child.stdin.take().expect("its standard input");
    input.write_all(bytes).expect("it reads");
    drop(input);
    let status = child.wait().expect("it ends");
    assert!(status.success(), "{install:?}: {status}");
    std::fs::rename(&new, program).expect("the new file takes the place");
}

/// A temporary folder with a short path; it goes with the last of its clones. Two clusters in one place share
/// configuration file and runtime directory.
#[derive(Clone, Debug)]
pub struct Place {
    folder: Arc<TempDir>,
}

impl Place {
    /// A new folder.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Place {
        Place::named("ac-".as_ref())
    }

    /// A new folder in whose path one byte is no UTF-8.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn without_text_for_a_name() -> Place {
        Place::named(OsStr::from_bytes(b"ac-\xe9-"))
    }

    fn named(prefix: &OsStr) -> Place {
        // Others can look in: a test that plays another user finds what that user would find.
        let folder = tempfile::Builder::new()
            .prefix(prefix)
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in("/tmp");
        Place { folder: Arc::new(folder.expect("a folder in /tmp")) }
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `--runtime-dir`.
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.folder().join("run")
    }

    /// `--config`.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder().join("cluster.toml")
    }

    /// Writes the configuration file: what the next start or reload reads.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_config(&self, text: &str) {
        std::fs::write(self.config_file(), text).expect("the configuration file");
    }

    /// What every process of a cluster here has in its environment.
    pub(crate) fn mark(&self) -> OsString {
        let mut mark = OsString::from("ATLAS_CLUSTER_RUNTIME_DIR=");
        mark.push(self.runtime_dir());
        mark
    }
}
