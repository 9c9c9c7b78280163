//! Whether colours are wanted: one rule for answers and for log lines.

use std::ffi::OsString;
use std::io::IsTerminal;

/// On a terminal that can do more than append, and never with `NO_COLOR`.
pub(crate) fn is_wanted(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && is_smart() && set("NO_COLOR").is_none()
}

/// Whether a terminal can do more than append.
pub(crate) fn is_smart() -> bool {
    set("TERM").is_none_or(|term| term != "dumb")
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
