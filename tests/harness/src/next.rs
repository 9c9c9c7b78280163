//! The second build: the same sources under another version, to be upgraded to.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Path of the binary of `tests/next`; built when the first test of a process asks for it.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn next_binary() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).clone()
}

fn build() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    // TARGET/PROFILE/deps/test-hash
    let profile = test.ancestors().nth(2).expect("the folder of the profile");
    let target = profile.parent().expect("the target folder");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // Chosen as part of the workspace, with the gate's features: then what it depends on is there already.
    command
        .args(["build", "--quiet", "--locked", "--workspace", "--features", "ledger"])
        .args(["--bin", "atlas-cluster-next", "--target-dir"])
        .arg(target);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(status.success(), "{command:?}: {status}");
    profile.join("atlas-cluster-next")
}
