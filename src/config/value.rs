//! A value as it was written: in TOML, or as the plain text of a flag or an environment variable.

use crate::clean::clean;
use std::ops::Range;
use toml::Spanned;
use toml::de::DeValue;

/// Most characters of a value that an error repeats.
const SHOWN: usize = 60;

/// What stands behind a key. Text has no type of its own: it is whatever the key wants it to be.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// Parsed TOML; its span counts in the text it was parsed from.
    Toml(&'a Spanned<DeValue<'a>>),
    /// A flag's or a variable's text.
    Text(&'a str),
}

impl<'a> Value<'a> {
    /// Where it stands in the text that it was parsed from.
    pub(super) fn span(&self) -> Option<Range<usize>> {
        match self {
            Value::Toml(value) => Some(value.span()),
            Value::Text(_) => None,
        }
    }

    /// As a string.
    pub(super) fn as_str(&self) -> Option<&'a str> {
        match *self {
            Value::Toml(value) => value.get_ref().as_str(),
            Value::Text(text) => Some(text),
        }
    }

    /// As a whole number; one beyond `i128` becomes `i128::MAX`, which is out of every range.
    pub(super) fn as_integer(&self) -> Option<i128> {
        match self {
            Value::Toml(value) => {
                let integer = value.get_ref().as_integer()?;
                Some(i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i128::MAX))
            }
            Value::Text(text) if is_digits(text.strip_prefix(['-', '+']).unwrap_or(text)) => {
                Some(text.parse().unwrap_or(i128::MAX))
            }
            Value::Text(_) => None,
        }
    }

    /// As a switch. Text may also be `1` or `0`, the custom of environment variables.
    pub(super) fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Toml(value) => value.get_ref().as_bool(),
            Value::Text("true" | "1") => Some(true),
            Value::Text("false" | "0") => Some(false),
            Value::Text(_) => None,
        }
    }

    /// As a list; text is split at its commas.
    pub(super) fn items(&self) -> Option<Vec<Value<'a>>> {
        match *self {
            Value::Toml(value) => Some(value.get_ref().as_array()?.iter().map(Value::Toml).collect()),
            Value::Text(text) => Some(text.split(',').map(|item| Value::Text(item.trim())).collect()),
        }
    }

    /// The value itself for an error, in one line of bounded length: `` `5 parsecs` ``, `an array`.
    pub(super) fn shown(&self) -> String {
        match self {
            Value::Text(text) => quoted(text),
            Value::Toml(value) => match value.get_ref() {
                DeValue::String(text) => quoted(text),
                DeValue::Integer(integer) => quoted(&integer.to_string()),
                DeValue::Float(float) => quoted(float.as_str()),
                DeValue::Boolean(switch) => quoted(&switch.to_string()),
                DeValue::Datetime(time) => quoted(&time.to_string()),
                DeValue::Array(_) => "an array".to_owned(),
                DeValue::Table(_) => "a table".to_owned(),
            },
        }
    }

    /// The value with its type, for an error about that: `` the boolean `true` ``, `an array`.
    pub(super) fn shown_with_type(&self) -> String {
        match self {
            Value::Toml(value) if !value.get_ref().is_array() && !value.get_ref().is_table() => {
                format!("the {} {}", value.get_ref().type_str(), self.shown())
            }
            _ => self.shown(),
        }
    }
}

/// Whether the text is a whole number without sign.
pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Text in backquotes, cut to a bounded length and free of control characters.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    let shown = clean(&shown);
    format!("`{shown}`")
}
