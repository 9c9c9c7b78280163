//! Faults that the next processes of a slot are to have while they prepare (`ATLAS_CLUSTER_FAULTS`).

use std::path::Path;

use tempfile::TempDir;

/// A folder of ordered faults.
#[derive(Debug)]
pub struct Faults {
    folder: TempDir,
}

impl Faults {
    /// None so far.
    ///
    /// # Panics
    /// When no folder can be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Faults {
        Faults { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// From now on every new process of `slot` does `fault` (`exit` or `hang`) at `point` (`before-ready` or
    /// `after-ready`).
    ///
    /// # Panics
    /// When it can't be written.
    pub fn order(&self, slot: usize, point: &str, fault: &str) {
        std::fs::write(self.folder().join(format!("{slot}.{point}")), fault).expect("a fault's file");
    }

    /// No faults any more.
    ///
    /// # Panics
    /// When they can't be taken back.
    pub fn clear(&self) {
        for entry in std::fs::read_dir(self.folder()).expect("the faults' folder").flatten() {
            std::fs::remove_file(entry.path()).expect("a fault's file");
        }
    }
}
