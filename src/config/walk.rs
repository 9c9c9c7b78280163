//! The walk over a parsed table: each key finds its row, or is unknown.

use super::fault::{Fault, Finding, Message};
use super::keys::Key;
use super::suggest::{self, join};
use super::value::{Value, quoted};
use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Most findings of one table, so that a file of nonsense costs little.
const MOST_FINDINGS: usize = 100;

/// What a walk found.
#[derive(Default)]
pub(super) struct Filled {
    /// Everything wrong.
    pub(super) findings: Vec<Finding>,
    /// Rows that occurred, with the place of the key.
    pub(super) found: Vec<(&'static str, Range<usize>)>,
}

/// Fills `target` from a table of the file; `section` is empty for its top.
pub(super) fn fill<T>(keys: &[Key<T>], section: &str, table: &DeTable<'_>, target: &mut T) -> Filled {
    let mut filled = Filled::default();
    for (name, value) in table {
        if filled.findings.len() >= MOST_FINDINGS {
            break;
        }
        let path = join(section, name.get_ref());
        let is_section =
            keys.iter().any(|key| key.path.strip_prefix(&path).is_some_and(|rest| rest.starts_with('.')));
        if name.get_ref().contains('.') {
            filled.findings.push(unknown(keys, section, name, value));
        } else if let Some(key) = keys.iter().find(|key| key.path == path) {
            filled.found.push((key.path, name.span()));
            filled.findings.extend(put(key, name.span(), value, target));
        } else if !is_section {
            filled.findings.push(unknown(keys, section, name, value));
        } else if let Some(inner) = value.get_ref().as_table() {
            let inner = fill(keys, &path, inner, target);
            filled.findings.extend(inner.findings);
            filled.found.extend(inner.found);
        } else {
            filled.findings.push(no_section(&path, value));
        }
    }
    filled
}

/// What is said about a fault, and the way out. `example` is how one would write it in this place.
pub(super) fn complete<T>(key: &Key<T>, fault: Fault, label: &str, example: &str) -> (String, String) {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let path = key.path;
    let sentence = match fault.message {
        Message::Value(why) => format!("{label}{why}"),
        Message::Sentence(sentence) => sentence,
        Message::Elsewhere => format!("`{path}` is not part of the configuration"),
        Message::Later => format!("`{path}` is not supported by version {VERSION} yet"),
    };
    let hint = fault.hint.unwrap_or_else(|| match example {
        "" => format!("allowed: {}", key.slot.takes()),
        _ => format!("allowed: {}; for example {example}", key.slot.takes()),
    });
    (sentence, hint)
}

/// Puts one value of the file into its place.
fn put<T>(key: &Key<T>, at: Range<usize>, value: &Spanned<DeValue<'_>>, target: &mut T) -> Vec<Finding> {
    let faults = match key.slot.instead_of_file() {
        Some(instead) => {
            vec![Fault { span: None, message: Message::Elsewhere, hint: Some(instead.to_owned()) }]
        }
        None => match key.slot.put(target, &Value::Toml(value)) {
            Ok(()) => return Vec::new(),
            Err(faults) => faults,
        },
    };
    let name = key.path.rsplit('.').next().unwrap_or(key.path);
    let example = if key.example.is_empty() { String::new() } else { format!("`{name} = {}`", key.example) };
    let label = format!("{}: ", key.path);
    let located = |fault: Fault| {
        let span = fault.span.clone().unwrap_or_else(|| at.clone());
        let (sentence, hint) = complete(key, fault, &label, &example);
        Finding { span, sentence, hint }
    };
    faults.into_iter().map(located).collect()
}

/// A key, or a section, without a row.
fn unknown<T>(
    keys: &[Key<T>],
    section: &str,
    name: &Spanned<Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
) -> Finding {
    let key = name.get_ref();
    let sentence = match (section, value.get_ref().as_table()) {
        ("", Some(_)) => format!("unknown section {}", quoted(&format!("[{key}]"))),
        ("", None) => format!("unknown key {}", quoted(key)),
        _ => format!("unknown key {} in {}", quoted(key), suggest::header(section)),
    };
    let hint = suggest::for_unknown(keys, section, key);
    Finding { span: name.span(), sentence, hint }
}

/// A section that is written as if it were a key.
fn no_section(path: &str, value: &Spanned<DeValue<'_>>) -> Finding {
    let shown = Value::Toml(value).shown_with_type();
    Finding {
        span: value.span(),
        sentence: format!("{path}: {shown} has the wrong type"),
        hint: format!("allowed: a section, its keys under a line {}", suggest::header(path)),
    }
}
