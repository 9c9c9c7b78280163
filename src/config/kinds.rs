//! The kinds of values a key can take: what each accepts, and how it says so.

use super::fault::{Fault, Faults, refused, wrong_type};
use super::types::{MAX_WORKERS, Program, usable_cpus};
use super::value::{Value, is_digits};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A kind of value: from what was written to what the program uses.
pub(super) trait Kind {
    /// What the program uses.
    type Output;

    /// The checked value.
    fn read(&self, value: &Value<'_>) -> Result<Self::Output, Faults>;

    /// What is allowed, as a noun phrase.
    fn takes(&self) -> String;

    /// False for what can't be written in one variable.
    fn scalar(&self) -> bool {
        true
    }
}

/// A number of workers, or "max".
pub(super) struct Workers;

/// True or false.
pub(super) struct Switch;

/// One of these words, each with what it stands for.
pub(super) struct OneOf<T: 'static>(pub(super) &'static [(&'static str, T)]);

/// A whole number within bounds, both included.
pub(super) struct Whole<N>(pub(super) N, pub(super) N);

/// A duration within bounds, both included.
pub(super) struct Span(pub(super) Duration, pub(super) Duration);

/// A size in bytes within bounds, both included.
pub(super) struct Size(pub(super) u64, pub(super) u64);

/// A duration where zero means off.
pub(super) struct OrOff(pub(super) Span);

/// A size that is off by default.
pub(super) struct Optional(pub(super) Size);

/// An IP address.
pub(super) struct Address;

/// What people call something: at most this many characters, none of them invisible.
pub(super) struct Name(pub(super) usize);

/// An absolute path.
pub(super) struct Directory;

/// A program and its arguments.
pub(super) struct Command;

/// Environment variables.
pub(super) struct Environment;

impl Kind for Workers {
    type Output = u8;

    fn read(&self, value: &Value<'_>) -> Result<u8, Faults> {
        if value.as_integer().is_some() {
            return Whole(1, MAX_WORKERS).read(value);
        }
        match value.as_str() {
            Some("max") => Ok(usable_cpus()),
            Some(_) => Err(refused(value, "is not a number of workers")),
            None => Err(wrong_type(value)),
        }
    }

    fn takes(&self) -> String {
        format!("{}, or \"max\"", Whole(1, MAX_WORKERS).takes())
    }
}

impl Kind for Switch {
    type Output = bool;

    fn read(&self, value: &Value<'_>) -> Result<bool, Faults> {
        match value {
            Value::Toml(_) => value.as_bool().ok_or_else(|| wrong_type(value)),
            Value::Text(_) => value.as_bool().ok_or_else(|| refused(value, "is neither true nor false")),
        }
    }

    fn takes(&self) -> String {
        "true or false".to_owned()
    }
}

impl<T: Copy> Kind for OneOf<T> {
    type Output = T;

    fn read(&self, value: &Value<'_>) -> Result<T, Faults> {
        let text = value.as_str().ok_or_else(|| wrong_type(value))?;
        let meant = self.0.iter().find(|(word, _)| *word == text);
        meant.map(|&(_, meant)| meant).ok_or_else(|| refused(value, "is unknown"))
    }

    fn takes(&self) -> String {
        self.0.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
    }
}

impl<N: TryFrom<i128> + PartialOrd + std::fmt::Display> Kind for Whole<N> {
    type Output = N;

    fn read(&self, value: &Value<'_>) -> Result<N, Faults> {
        let integer = match value {
            Value::Toml(_) => value.as_integer().ok_or_else(|| wrong_type(value))?,
            Value::Text(_) => value.as_integer().ok_or_else(|| refused(value, "is not a whole number"))?,
        };
        match N::try_from(integer) {
            Ok(number) if (&self.0..=&self.1).contains(&&number) => Ok(number),
            _ => Err(refused(value, "is out of range")),
        }
    }

    fn takes(&self) -> String {
        format!("a whole number from {} to {}", self.0, self.1)
    }
}

impl Kind for Span {
    type Output = Duration;

    fn read(&self, value: &Value<'_>) -> Result<Duration, Faults> {
        let duration = parse_duration(value)?;
        if (self.0..=self.1).contains(&duration) {
            Ok(duration)
        } else {
            Err(refused(value, "is out of range"))
        }
    }

    fn takes(&self) -> String {
        let [least, most] = [self.0, self.1].map(humantime::format_duration);
        format!("a duration from {least} to {most}, with its unit")
    }
}

impl Kind for OrOff {
    type Output = Option<Duration>;

    fn read(&self, value: &Value<'_>) -> Result<Option<Duration>, Faults> {
        if parse_duration(value)?.is_zero() { Ok(None) } else { self.0.read(value).map(Some) }
    }

    fn takes(&self) -> String {
        format!("{}, or \"0s\" for off", self.0.takes())
    }
}

impl Kind for Size {
    type Output = u64;

    fn read(&self, value: &Value<'_>) -> Result<u64, Faults> {
        let bytes = match (value.as_integer(), value.as_str()) {
            (Some(bytes), _) => u64::try_from(bytes).ok(),
            (None, Some(text)) => parse_size(text).ok_or_else(|| refused(value, "is not a size"))?,
            (None, None) => return Err(wrong_type(value)),
        };
        match bytes {
            Some(bytes) if (self.0..=self.1).contains(&bytes) => Ok(bytes),
            _ => Err(refused(value, "is out of range")),
        }
    }

    fn takes(&self) -> String {
        match *self {
            Size(least, u64::MAX) => format!("a size of at least {}, as 200M or 1G", in_units(least)),
            Size(least, most) => format!("a size from {} to {}", in_units(least), in_units(most)),
        }
    }
}

impl Kind for Optional {
    type Output = Option<u64>;

    fn read(&self, value: &Value<'_>) -> Result<Option<u64>, Faults> {
        self.0.read(value).map(Some)
    }

    fn takes(&self) -> String {
        self.0.takes()
    }
}

impl Kind for Address {
    type Output = IpAddr;

    fn read(&self, value: &Value<'_>) -> Result<IpAddr, Faults> {
        let text = value.as_str().ok_or_else(|| wrong_type(value))?;
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(address.to_canonical()),
            Err(_) => Err(refused(value, "is not an IP address")),
        }
    }

    fn takes(&self) -> String {
        "an IPv4 or IPv6 address, without a port".to_owned()
    }
}

impl Kind for Name {
    type Output = String;

    fn read(&self, value: &Value<'_>) -> Result<String, Faults> {
        let text = value.as_str().ok_or_else(|| wrong_type(value))?;
        if text.is_empty() {
            Err(refused(value, "is empty"))
        } else if text.chars().count() > self.0 {
            Err(refused(value, "is too long"))
        } else if text.chars().any(char::is_control) {
            Err(refused(value, "contains a control character"))
        } else {
            Ok(text.to_owned())
        }
    }

    fn takes(&self) -> String {
        format!("1 to {} characters, none of them a control character", self.0)
    }
}

impl Kind for Directory {
    type Output = Option<PathBuf>;

    fn read(&self, value: &Value<'_>) -> Result<Option<PathBuf>, Faults> {
        let text = value.as_str().ok_or_else(|| wrong_type(value))?;
        if text.contains('\0') {
            Err(refused(value, "contains a NUL"))
        } else if !text.starts_with('/') {
            Err(refused(value, "is not an absolute path"))
        } else {
            Ok(Some(PathBuf::from(text)))
        }
    }

    fn takes(&self) -> String {
        "an absolute path".to_owned()
    }
}

impl Kind for Command {
    type Output = Option<Program>;

    fn read(&self, value: &Value<'_>) -> Result<Self::Output, Faults> {
        // Text is not split: nobody could say where an argument with a blank or a comma in it ends.
        let Value::Toml(_) = value else { return Err(refused(value, "is not a list of strings")) };
        let items = value.items().ok_or_else(|| wrong_type(value))?;
        let mut words = Vec::new();
        let mut faults = Faults::new();
        for item in &items {
            match item.as_str() {
                None => faults.extend(wrong_type(item)),
                Some(word) if word.contains('\0') => faults.extend(refused(item, "contains a NUL")),
                Some("") if words.is_empty() => faults.extend(refused(item, "is empty")),
                Some(word) => words.push(word.to_owned()),
            }
        }
        let mut words = words.into_iter();
        match words.next() {
            _ if !faults.is_empty() => Err(faults),
            None => Err(refused(value, "is empty")),
            Some(name) => Ok(Some(Program { name, arguments: words.collect() })),
        }
    }

    fn takes(&self) -> String {
        "a list of strings, the program first".to_owned()
    }
}

impl Kind for Environment {
    type Output = BTreeMap<String, String>;

    fn read(&self, value: &Value<'_>) -> Result<Self::Output, Faults> {
        let Value::Toml(written) = value else { return Err(refused(value, "is not a table")) };
        let table = written.get_ref().as_table().ok_or_else(|| wrong_type(value))?;
        let mut variables = BTreeMap::new();
        let mut faults = Faults::new();
        for (name, value) in table {
            let (name, at, value) = (name.get_ref(), name.span(), Value::Toml(value));
            match value.as_str() {
                None => faults.extend(wrong_type(&value)),
                Some(_) if name.is_empty() || name.contains(['=', '\0']) => {
                    let bad = refused(&Value::Text(name), "is not the name of a variable");
                    faults.extend(bad.into_iter().map(|fault| Fault { span: Some(at.clone()), ..fault }));
                }
                Some(text) if text.contains('\0') => faults.extend(refused(&value, "contains a NUL")),
                Some(text) => _ = variables.insert(name.to_string(), text.to_owned()),
            }
        }
        if faults.is_empty() { Ok(variables) } else { Err(faults) }
    }

    fn takes(&self) -> String {
        "a table of strings".to_owned()
    }

    fn scalar(&self) -> bool {
        false
    }
}

/// The duration, whatever its bounds.
fn parse_duration(value: &Value<'_>) -> Result<Duration, Faults> {
    let text = value.as_str().ok_or_else(|| wrong_type(value))?;
    humantime::parse_duration(text).map_err(|_| refused(value, "is not a duration"))
}

/// Bytes, or a number with K, M or G in powers of 1024. `Some(None)` is a size beyond `u64`.
pub(crate) fn parse_size(text: &str) -> Option<Option<u64>> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    if !is_digits(digits) {
        return None;
    }
    Some(digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift)))
}

/// A size as one would write it.
pub(crate) fn in_units(bytes: u64) -> String {
    match bytes.trailing_zeros() {
        _ if bytes == 0 => "0".to_owned(),
        30.. => format!("{}G", bytes >> 30),
        20.. => format!("{}M", bytes >> 20),
        10.. => format!("{}K", bytes >> 10),
        _ => bytes.to_string(),
    }
}
