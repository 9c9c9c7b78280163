//! What is wrong with one value, before it is known how to show it.

use super::value::Value;
use std::ops::Range;

/// A refusal, as the key's kind says it and the reader of the key completes it.
#[derive(Debug)]
pub(super) struct Fault {
    /// The place, where it is narrower than the key's value.
    pub(super) span: Option<Range<usize>>,
    /// What is said.
    pub(super) message: Message,
    /// The way out, where it is not simply what the key takes.
    pub(super) hint: Option<String>,
}

/// What a [`Fault`] says.
#[derive(Debug)]
pub(super) enum Message {
    /// About the value; the name of key or flag goes before it.
    Value(String),
    /// A sentence of its own.
    Sentence(String),
    /// No key of the configuration at all.
    Elsewhere,
    /// Promised for a later version: the key as such, or this value of it.
    Later,
}

/// A fault of the file that is ready to be shown.
#[derive(Debug)]
pub(super) struct Finding {
    /// The place.
    pub(super) span: Range<usize>,
    /// What is wrong, in one line.
    pub(super) sentence: String,
    /// The way out, in one line.
    pub(super) hint: String,
}

impl From<Finding> for Fault {
    fn from(finding: Finding) -> Self {
        Fault {
            span: Some(finding.span),
            message: Message::Sentence(finding.sentence),
            hint: Some(finding.hint),
        }
    }
}

/// Everything wrong with one value; never empty.
pub(super) type Faults = Vec<Fault>;

/// The value is of the right type, but `why`: "is out of range".
pub(super) fn refused(value: &Value<'_>, why: &str) -> Faults {
    let message = Message::Value(format!("{} {why}", value.shown()));
    vec![Fault { span: value.span(), message, hint: None }]
}

/// The value is of another type than the key wants.
pub(super) fn wrong_type(value: &Value<'_>) -> Faults {
    let message = Message::Value(format!("{} has the wrong type", value.shown_with_type()));
    vec![Fault { span: value.span(), message, hint: None }]
}
