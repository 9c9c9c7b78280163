//! One app of an ecosystem file, by names that mean one thing each.

use serde_json::{Map, Value};

use super::names::known_as;
use crate::cli::text::cut;

/// How much of a value is shown.
const SHOWN: usize = 60;

/// What the file says of one key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    /// The name it has there.
    pub(super) written: &'a str,
    /// The value, which is not null.
    pub(super) value: &'a Value,
}

/// Its keys.
#[derive(Debug)]
pub(super) struct App<'a> {
    keys: Vec<(String, Given<'a>)>,
}

impl<'a> App<'a> {
    /// The app, and what is said twice, by two names of the same key: the first of each counts.
    pub(super) fn new(app: &'a Map<String, Value>) -> (Self, Vec<(Given<'a>, Given<'a>)>) {
        let (mut keys, mut twice): (Vec<(String, Given<'_>)>, Vec<_>) = (Vec::new(), Vec::new());
        let mut given: Vec<_> = app.iter().filter(|(_, value)| !value.is_null()).collect();
        // PM2's own name for it comes first, others as they stand.
        given.sort_by_key(|(written, _)| known_as(written) != **written);
        for (written, value) in given {
            let (key, given) = (known_as(written), Given { written, value });
            match keys.iter().find(|(known, _)| *known == key) {
                None => keys.push((key, given)),
                Some((_, first)) if first.value == value => {}
                Some((_, first)) => twice.push((given, *first)),
            }
        }
        (App { keys }, twice)
    }

    /// What is said of a key.
    pub(super) fn get(&self, key: &str) -> Option<Given<'a>> {
        self.keys.iter().find(|(known, _)| known == key).map(|(_, given)| *given)
    }

    /// Every key, by what it is called here.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Given<'a>)> {
        self.keys.iter().map(|(key, given)| (key.as_str(), *given))
    }
}

impl Given<'_> {
    /// As it stands in the file: `kill_timeout = 0`.
    pub(super) fn shown(&self) -> String {
        format!("{} = {}", self.written, cut(&self.value.to_string(), SHOWN))
    }

    /// Whether it is on; a text says so, too.
    pub(super) fn is_on(&self) -> Option<bool> {
        match self.value {
            Value::Bool(on) => Some(*on),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }
}
