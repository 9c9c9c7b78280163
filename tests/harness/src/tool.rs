//! Tools that a test needs and that are not ours: missing, they fail it with the way to get them.

use std::process::Command;
use std::sync::OnceLock;

/// The path of Node.js (Debian's package nodejs).
///
/// # Panics
/// When it is missing.
#[track_caller]
pub fn node() -> &'static str {
    static NODE: OnceLock<String> = OnceLock::new();
    NODE.get_or_init(|| own_path("node", ["-p", "process.execPath"], "nodejs"))
}

/// The path of Python's interpreter (Debian's package python3).
///
/// # Panics
/// When it is missing.
#[track_caller]
pub fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| own_path("python3", ["-c", "import sys; print(sys.executable)"], "python3"))
}

/// What an interpreter itself says: what lies in PATH may be a script of a version manager that takes its time.
#[track_caller]
fn own_path(program: &str, question: [&str; 2], package: &str) -> String {
    let answer = Command::new(program).args(question).output();
    let answer = answer.ok().filter(|answer| answer.status.success());
    let answer = answer.unwrap_or_else(|| panic!("{program} is missing: apt-get install {package}"));
    String::from_utf8_lossy(&answer.stdout).trim().to_owned()
}
