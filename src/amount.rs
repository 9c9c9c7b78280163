//! How many workers `scale` is asked for, as people write it: `6`, `+2`, `-1`.

use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;

use crate::config::MAX_WORKERS;
pub use crate::core::Scale;

/// What is allowed, for a hint.
pub const ALLOWED: &str = "allowed: a number from 1 to 64, or +N or -N for so many more or fewer";

/// Whether that is more, or fewer, than there can be, from `workers` on.
pub(crate) fn is_cut(scale: Scale, workers: u8) -> bool {
    match scale {
        Scale::To(_) => false,
        Scale::Up(more) => workers.saturating_add(more) > MAX_WORKERS,
        Scale::Down(fewer) => workers <= fewer,
    }
}

/// What is said of a number at which a scaling was cut.
pub(crate) fn bound(workers: u8) -> Option<&'static str> {
    match workers {
        1 => Some(" (1 is the least)"),
        MAX_WORKERS => Some(" (64 is the most)"),
        _ => None,
    }
}

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Not a number, with or without a sign.
    #[error("is not a number of workers")]
    NotANumber,
    /// A number, but none that can be.
    #[error("is out of range")]
    OutOfRange,
}

impl FromStr for Scale {
    type Err = Wrong;

    /// Never zero, never more than there can be.
    fn from_str(text: &str) -> Result<Scale, Wrong> {
        let (amount, digits): (fn(u8) -> Scale, _) = match text.as_bytes().first() {
            Some(b'+') => (Scale::Up, &text[1..]),
            Some(b'-') => (Scale::Down, &text[1..]),
            Some(_) | None => (Scale::To, text),
        };
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(Wrong::NotANumber);
        }
        let number = digits.parse::<NonZeroU8>().map_err(|_| Wrong::OutOfRange)?.get();
        if number <= MAX_WORKERS { Ok(amount(number)) } else { Err(Wrong::OutOfRange) }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scale::To(number) => write!(f, "{number}"),
            Scale::Up(number) => write!(f, "+{number}"),
            Scale::Down(number) => write!(f, "-{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_amounts_are_cut_at_the_bounds() {
        for (scale, workers, cut) in [
            (Scale::Down(1), 1, true),
            (Scale::Down(5), 4, true),
            (Scale::Down(3), 4, false),
            (Scale::Up(1), 64, true),
            (Scale::Up(60), 4, false),
            (Scale::To(1), 1, false),
        ] {
            assert_eq!(is_cut(scale, workers), cut, "{scale} at {workers}");
        }
        assert_eq!(bound(MAX_WORKERS), Some(" (64 is the most)"));
    }

    #[test]
    fn amounts_are_read_as_they_are_written() {
        for (text, amount) in
            [("1", Scale::To(1)), ("64", Scale::To(64)), ("+1", Scale::Up(1)), ("-64", Scale::Down(64))]
        {
            assert_eq!(text.parse(), Ok(amount));
            assert_eq!(amount.to_string(), text);
        }
        assert_eq!("007".parse(), Ok(Scale::To(7)));
        for text in ["0", "+0", "-0", "65", "+65", "-65", "256", "99999999999999999999999"] {
            assert_eq!(text.parse::<Scale>(), Err(Wrong::OutOfRange), "{text}");
        }
        for text in ["", "+", "-", "--1", "+-1", "1.5", "1e1", "abc", " 1", "1 ", "١", "max", "0x1"] {
            assert_eq!(text.parse::<Scale>(), Err(Wrong::NotANumber), "{text}");
        }
    }
}
