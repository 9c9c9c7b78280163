//! Where a cluster lives: a folder of its own with its configuration file and its runtime directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

/// Puts `bytes` in the place of a binary, as an installer does.
///
/// # Panics
/// When it cannot be done.
pub fn install(binary: &Path, bytes: &[u8]) {
    let new = binary.with_extension("new");
    std::fs::write(&new, bytes).expect("the new file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&new, mode).expect("its mode");
    std::fs::rename(&new, binary).expect("the new file takes the place");
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
        // Others can look in: a test that plays another user finds what that user would find.
        let folder = tempfile::Builder::new()
            .prefix("ac-")
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
    pub(crate) fn mark(&self) -> String {
        format!("ATLAS_CLUSTER_RUNTIME_DIR={}", self.runtime_dir().display())
    }
}
