//! Why a datagram is refused.

use std::fmt;

/// The one reason why a whole datagram is refused; none of its readings is delivered.
///
/// What is wrong with the JSON itself is found first, wherever it stands: [`NoLevel`](Malformed::NoLevel) and
/// [`BadLevel`](Malformed::BadLevel) are said of valid JSON only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Malformed {
    /// No bytes, or nothing but white space.
    Empty = 0,
    /// Longer than [`MAX_DATAGRAM`](crate::MAX_DATAGRAM): set by the caller, who saw it truncated, or by the parser.
    TooLong = 1,
    /// Not valid JSON, or not UTF-8.
    Json = 2,
    /// Arrays and objects nested deeper than 127.
    Depth = 3,
    /// A number, in any place, too large for an `f64`, such as `1e999`.
    Number = 4,
    /// A meter without `val` and without `pct`.
    NoLevel = 5,
    /// A meter whose `val` (or, without it, `pct`) is not a number.
    BadLevel = 6,
}

impl Malformed {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Malformed; 7] = [
        Malformed::Empty,
        Malformed::TooLong,
        Malformed::Json,
        Malformed::Depth,
        Malformed::Number,
        Malformed::NoLevel,
        Malformed::BadLevel,
    ];

    /// Its name in counters and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Malformed::Empty => "empty",
            Malformed::TooLong => "too_long",
            Malformed::Json => "json",
            Malformed::Depth => "depth",
            Malformed::Number => "number",
            Malformed::NoLevel => "no_level",
            Malformed::BadLevel => "bad_level",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Empty => "the datagram is empty",
            Malformed::TooLong => "the datagram is longer than 4096 bytes",
            Malformed::Json => "the datagram is not valid JSON",
            Malformed::Depth => "arrays and objects are nested deeper than 127",
            Malformed::Number => "a number is out of range",
            Malformed::NoLevel => "a meter has neither val nor pct",
            Malformed::BadLevel => "a meter's level is not a number",
        })
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_numbered_and_named_apart() {
        for (number, reason) in Malformed::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
            let same = Malformed::ALL.iter().filter(|other| other.name() == reason.name()).count();
            assert_eq!(same, 1, "{}", reason.name());
            assert!(reason.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        }
    }
}
