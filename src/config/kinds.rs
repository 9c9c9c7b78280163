//! The kinds of values a key can take: what each accepts, and how it says so.

use super::fault::{Fault, Faults, Message, refused, wrong_type};
use super::types::{MAX_WORKERS, Program, usable_cpus};
use super::units::{duration, in_units, parse_size, text};
use super::value::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The kernel takes no longer one, with `=` and its end (MAX_ARG_STRLEN, execve(2)).
const LONGEST_VARIABLE: usize = (128 << 10) - 2;

/// A kind of value: from what was written to what the program uses.
pub(super) trait Kind {
    /// What the program uses.
    type Output;

    /// The checked value.
    fn read(&self, value: &Value<'_>) -> Result<Self::Output, Faults>;

    /// What is allowed, as a noun phrase.
    fn takes(&self) -> String;

    /// A value as one writes it in TOML; None for one that has no form, which is "off" by being absent.
    fn show(&self, value: &Self::Output) -> Option<String>;
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

/// A value that is absent by default.
pub(super) struct Optional<K>(pub(super) K);

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

    fn show(&self, value: &u8) -> Option<String> {
        Some(value.to_string())
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

    fn show(&self, value: &bool) -> Option<String> {
        Some(value.to_string())
    }
}

impl<T: Copy + PartialEq> Kind for OneOf<T> {
    type Output = T;

    fn read(&self, value: &Value<'_>) -> Result<T, Faults> {
        let text = value.as_str().ok_or_else(|| wrong_type(value))?;
        let meant = self.0.iter().find(|(word, _)| *word == text);
        meant.map(|&(_, meant)| meant).ok_or_else(|| refused(value, "is unknown"))
    }

    fn takes(&self) -> String {
        self.0.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
    }

    fn show(&self, value: &T) -> Option<String> {
        self.0.iter().find(|(_, meant)| meant == value).map(|(word, _)| text(word))
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

    fn show(&self, value: &N) -> Option<String> {
        Some(value.to_string())
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

    fn show(&self, value: &Duration) -> Option<String> {
        Some(text(&duration(*value)))
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

    fn show(&self, value: &Option<Duration>) -> Option<String> {
        Some(text(&duration(value.unwrap_or_default())))
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

    fn show(&self, value: &u64) -> Option<String> {
        Some(text(&in_units(*value)))
    }
}

impl<K: Kind> Kind for Optional<K> {
    type Output = Option<K::Output>;

    fn read(&self, value: &Value<'_>) -> Result<Self::Output, Faults> {
        self.0.read(value).map(Some)
    }

    fn takes(&self) -> String {
        self.0.takes()
    }

    fn show(&self, value: &Option<K::Output>) -> Option<String> {
        self.0.show(value.as_ref()?)
    }
}

impl Kind for Address {
    type Output = IpAddr;

    fn read(&self, value: &Value<'_>) -> Result<IpAddr, Faults> {
        let text = value.as_str().ok_or_else(|| wrong_type(value))?;
        match text.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) if address.is_unicast_link_local() => {
                let why =
                    "is link-local: it says nothing without an interface, and an address here names none";
                let message = Message::Value(format!("{} {why}", value.shown()));
                let hint =
                    Some("give the IPv4 address, or an IPv6 address that does not begin with fe80".into());
                Err(vec![Fault { span: value.span(), message, hint }])
            }
            Ok(address) => match super::processors::no_host(address.to_canonical()) {
                Some(why) => Err(refused(value, why)),
                None => Ok(address.to_canonical()),
            },
            Err(_) => Err(refused(value, "is not an IP address")),
        }
    }

    fn takes(&self) -> String {
        "an IPv4 or IPv6 address, without a port".to_owned()
    }

    fn show(&self, value: &IpAddr) -> Option<String> {
        Some(text(&value.to_string()))
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

    fn show(&self, value: &String) -> Option<String> {
        Some(text(value))
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

    fn show(&self, value: &Option<PathBuf>) -> Option<String> {
        Some(text(&value.as_ref()?.to_string_lossy()))
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

    fn show(&self, value: &Option<Program>) -> Option<String> {
        let Program { name, arguments } = value.as_ref()?;
        let words: Vec<String> = std::iter::once(name).chain(arguments).map(|word| text(word)).collect();
        Some(format!("[{}]", words.join(", ")))
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
                Some(_) if !is_variable(name) => {
                    let bad = refused(&Value::Text(name), "is not the name of a variable");
                    faults.extend(bad.into_iter().map(|fault| Fault { span: Some(at.clone()), ..fault }));
                }
                Some(text) if text.contains('\0') => faults.extend(refused(&value, "contains a NUL")),
                Some(text) if name.len() + text.len() > LONGEST_VARIABLE => {
                    faults.extend(refused(&value, "is longer than a variable can be, 128 KiB with its name"));
                }
                Some(text) => _ = variables.insert(name.to_string(), text.to_owned()),
            }
        }
        if faults.is_empty() { Ok(variables) } else { Err(faults) }
    }

    fn takes(&self) -> String {
        "a table of strings".to_owned()
    }

    fn show(&self, value: &BTreeMap<String, String>) -> Option<String> {
        let pairs: Vec<String> =
            value.iter().map(|(name, value)| format!("{} = {}", text(name), text(value))).collect();
        Some(if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) })
    }
}

/// Whether an environment variable may be called so (environ(7)).
pub(super) fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

/// The duration, whatever its bounds.
fn parse_duration(value: &Value<'_>) -> Result<Duration, Faults> {
    let text = value.as_str().ok_or_else(|| wrong_type(value))?;
    humantime::parse_duration(text).map_err(|_| refused(value, "is not a duration"))
}
