//! Strings, durations and sizes as one writes them.

use super::value::is_digits;
use std::time::Duration;

/// A string of TOML, in one line.
pub(super) fn text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            _ if c.is_control() => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            _ => quoted.push(c),
        }
    }
    quoted + "\""
}

/// As one writes it: `1600ms`, `3s`, `1m 30s`.
pub(super) fn duration(duration: Duration) -> String {
    match (duration.subsec_nanos(), duration.as_secs()) {
        (0, _) => humantime::format_duration(duration).to_string(),
        (nanos, 0..60) if nanos.is_multiple_of(1_000_000) => format!("{}ms", duration.as_millis()),
        _ => humantime::format_duration(duration).to_string(),
    }
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
