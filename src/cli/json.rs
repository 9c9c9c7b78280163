//! JSON answers.

use serde::Serialize;

/// For one answer: several lines, as a person and a program can read them.
pub(super) fn whole(answer: &impl Serialize) -> String {
    serde_json::to_string_pretty(answer).map_or_else(|_| String::new(), |text| text + "\n")
}

/// For one of many answers: a line each.
pub(super) fn line(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).map_or_else(|_| String::new(), |text| text + "\n")
}
