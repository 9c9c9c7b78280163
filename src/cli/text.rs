//! Words and numbers as people read them.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

pub(super) use crate::clean::{clean, clean_but_tabs, clean_lines};

/// How many columns of a terminal it takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Filled up with spaces behind.
pub(super) fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Filled up with spaces before.
pub(super) fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// At most so many columns; what is cut off shows as `…`.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    for c in text.chars() {
        if width(&cut) + width(c.encode_utf8(&mut [0; 4])) >= columns {
            break;
        }
        cut.push(c);
    }
    if columns > 0 {
        cut.push('…');
    }
    cut
}

/// `120 000`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// `0`, `712B`, `1.4M`: powers of 1024.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if bytes < 1024 {
        return if bytes == 0 { "0".into() } else { format!("{bytes}B") };
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 999.5 && unit < UNITS.len() - 1 {
        amount /= 1024.0;
        unit += 1;
    }
    if amount < 9.95 { format!("{amount:.1}{}", UNITS[unit]) } else { format!("{amount:.0}{}", UNITS[unit]) }
}

/// `31ms`, `12s`, `3m 5s`, `2h 10m`, `4d 3h`: two units at most.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let two = |big: u64, big_unit: &str, small: u64, small_unit: &str| {
        if small == 0 { format!("{big}{big_unit}") } else { format!("{big}{big_unit} {small}{small_unit}") }
    };
    match seconds {
        0 => format!("{}ms", span.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3600 => two(seconds / 60, "m", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds / 60 % 60, "m"),
        _ => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

/// `12s`, `3m`, `2h`, `4d`: one unit.
pub(super) fn coarse(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A span given as seconds, which may be anything a float can be.
pub(super) fn seconds(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or_else(
        |_| "?".into(),
        |whole| {
            if whole.is_zero() { "0s".into() } else { span(whole) }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
        assert_eq!(
            [0, 712, 1023, 1024, 1_400_000, 10 << 20, 1023 << 20, u64::MAX].map(bytes),
            ["0", "712B", "1023B", "1.0K", "1.3M", "10M", "1.0G", "16E"]
        );
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let spans = [0.031, 12.5, 60.0, 185.0, 7800.0, 90_000.0, 1e9].map(seconds);
        assert_eq!(spans, ["31ms", "12s", "1m", "3m 5s", "2h 10m", "1d 1h", "11574d 1h"]);
        assert_eq!([5, 185, 7800, 90_000].map(|s| coarse(Duration::from_secs(s))), ["5s", "3m", "2h", "1d"]);
        assert_eq!([0.0, -1.0, f64::NAN, f64::INFINITY].map(seconds), ["0s", "?", "?", "?"]);
    }

    #[test]
    fn columns_are_counted_as_a_terminal_shows_them() {
        assert_eq!((left("é", 3), right("日", 3)), ("é  ".into(), " 日".into()));
        assert_eq!(
            (cut("Patio", 5), cut("Terrasse", 5), cut("日本語", 4), cut("x", 0)),
            ("Patio".into(), "Terr…".into(), "日…".into(), String::new())
        );
    }
}
