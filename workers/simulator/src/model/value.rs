//! Values of parameters, and the forms they are asked for and given in.

use std::fmt;

use atlas::CentiDb;
use serde::Serialize;

use super::param::Nature;

/// How a value is written: the key it stands under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// dB, 0 or 1, or an index.
    Val,
    /// 0 … 100 of the range.
    Pct,
    /// Text.
    Str,
}

impl Format {
    /// Its key in a message.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Format::Val => "val",
            Format::Pct => "pct",
            Format::Str => "str",
        }
    }

    /// The format of that key, white space around it aside: the manual prints `"val "` once.
    #[must_use]
    pub fn from_key(text: &str) -> Option<Format> {
        [Format::Val, Format::Pct, Format::Str].into_iter().find(|format| format.key() == text.trim())
    }

    /// What is meant where a client names none; nobody knows what a real processor does then.
    #[must_use]
    pub const fn usual(nature: Nature) -> Format {
        match nature {
            Nature::Decibels | Nature::Number { .. } | Nature::Action => Format::Val,
            Nature::Text => Format::Str,
        }
    }
}

/// What a parameter holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A gain or a level.
    Decibels(CentiDb),
    /// A switch, an index, or what an action was last set off with.
    Number(i16),
    /// A name.
    Text(String),
}

/// What a client gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// A number under `val`.
    Val(f64),
    /// A number under `pct`.
    Pct(f64),
    /// A string under `str`.
    Str(String),
}

/// Whether what is given replaces the value or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `set`.
    Replace,
    /// `bmp`.
    Add,
}

impl Value {
    /// The value after a change, clamped to the range; None where what is given does not fit the nature.
    #[must_use]
    pub fn changed(&self, nature: Nature, change: Change, given: &Given) -> Option<Value> {
        let base = match (change, self) {
            (Change::Replace, _) | (Change::Add, Value::Text(_)) => 0.0,
            (Change::Add, Value::Decibels(level)) => level.to_db(),
            (Change::Add, Value::Number(number)) => f64::from(*number),
        };
        let number = |low: i16, high: i16| {
            let (low, high) = (f64::from(low), f64::from(high));
            let number = match (change, given) {
                (Change::Replace | Change::Add, Given::Val(val)) => base + val,
                (Change::Replace, Given::Pct(pct)) => low + pct * (high - low) / 100.0,
                (Change::Add, Given::Pct(pct)) => base + pct * (high - low) / 100.0,
                (Change::Replace | Change::Add, Given::Str(_)) => return None,
            };
            Some(number.clamp(low, high))
        };
        match nature {
            Nature::Decibels => number(-80, 0).map(|db| Value::Decibels(CentiDb::from_db(db))),
            Nature::Number { low, high } => {
                number(low, high).map(|number| Value::Number(number.round() as i16))
            }
            // Any value sets it off; a number is remembered.
            Nature::Action => {
                Some(Value::Number(number(i16::MIN, i16::MAX).map_or(0, |number| number.round() as i16)))
            }
            Nature::Text => None,
        }
    }

    /// The value as JSON, under the key that goes with it. Text has no other form than `str`; nobody knows what a real
    /// processor makes of text in `val`.
    #[must_use]
    pub fn written(&self, nature: Nature, format: Format) -> (Format, String) {
        match (self, format) {
            (Value::Text(text), Format::Val | Format::Pct | Format::Str) => (Format::Str, quoted(text)),
            (Value::Decibels(level), Format::Val) => (format, level.to_string()),
            (Value::Decibels(level), Format::Pct) => (format, (f64::from(level.0 + 8000) / 80.0).to_string()),
            (Value::Decibels(level), Format::Str) => (format, quoted(level)),
            (Value::Number(number), Format::Val) => (format, number.to_string()),
            (Value::Number(number), Format::Pct) => (format, percent(*number, nature).to_string()),
            (Value::Number(number), Format::Str) => (format, quoted(number)),
        }
    }
}

/// A number's place in its range, in percent.
fn percent(number: i16, nature: Nature) -> f64 {
    match nature {
        Nature::Number { low, high } if low < high => {
            (f64::from(number) - f64::from(low)) * 100.0 / (f64::from(high) - f64::from(low))
        }
        Nature::Number { .. } | Nature::Decibels | Nature::Action | Nature::Text => 0.0,
    }
}

/// As a JSON string.
fn quoted(text: impl fmt::Display) -> String {
    serde_json::Value::String(text.to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWITCH: Nature = Nature::Number { low: 0, high: 1 };
    const SOURCE: Nature = Nature::Number { low: -1, high: 21 };

    #[test]
    fn changes_are_clamped_and_never_refused_for_their_size() {
        let db = |db| Value::Decibels(CentiDb::from_db(db));
        #[rustfmt::skip]
        let table = [
            (Nature::Decibels, db(-20.0), Change::Replace, Given::Val(-23.5), Some(db(-23.5))),
            (Nature::Decibels, db(-20.0), Change::Replace, Given::Val(3.0), Some(db(0.0))),
            (Nature::Decibels, db(-20.0), Change::Replace, Given::Val(-1e300), Some(db(-80.0))),
            (Nature::Decibels, db(-20.0), Change::Replace, Given::Pct(50.0), Some(db(-40.0))),
            (Nature::Decibels, db(-20.0), Change::Replace, Given::Pct(-74.0), Some(db(-80.0))),
            (Nature::Decibels, db(-20.0), Change::Add, Given::Val(-1.0), Some(db(-21.0))),
            (Nature::Decibels, db(-20.0), Change::Add, Given::Val(30.0), Some(db(0.0))),
            (Nature::Decibels, db(-20.0), Change::Add, Given::Pct(10.0), Some(db(-12.0))),
            (Nature::Decibels, db(-20.0), Change::Replace, Given::Str("x".into()), None),
            (SWITCH, Value::Number(0), Change::Replace, Given::Val(7.0), Some(Value::Number(1))),
            (SWITCH, Value::Number(1), Change::Replace, Given::Pct(0.0), Some(Value::Number(0))),
            (SOURCE, Value::Number(3), Change::Replace, Given::Val(14.0), Some(Value::Number(14))),
            (SOURCE, Value::Number(3), Change::Replace, Given::Val(-9.0), Some(Value::Number(-1))),
            (SOURCE, Value::Number(21), Change::Add, Given::Val(1.0), Some(Value::Number(21))),
            (Nature::Action, Value::Number(0), Change::Replace, Given::Val(5.0), Some(Value::Number(5))),
            (Nature::Action, Value::Number(0), Change::Replace, Given::Str("go".into()), Some(Value::Number(0))),
            (Nature::Text, Value::Text("a".into()), Change::Replace, Given::Str("b".into()), None),
        ];
        for (nature, before, change, given, after) in table {
            assert_eq!(before.changed(nature, change, &given), after, "{before:?} {change:?} {given:?}");
        }
    }

    #[test]
    fn values_are_written_as_the_manual_writes_them() {
        #[rustfmt::skip]
        let table = [
            (Nature::Decibels, Value::Decibels(CentiDb(-2350)), Format::Val, Format::Val, "-23.5"),
            (Nature::Decibels, Value::Decibels(CentiDb(-2350)), Format::Pct, Format::Pct, "70.625"),
            (Nature::Decibels, Value::Decibels(CentiDb(-4000)), Format::Pct, Format::Pct, "50"),
            (Nature::Decibels, Value::Decibels(CentiDb(-2350)), Format::Str, Format::Str, "\"-23.5\""),
            (SWITCH, Value::Number(1), Format::Val, Format::Val, "1"),
            (SWITCH, Value::Number(1), Format::Pct, Format::Pct, "100"),
            (SOURCE, Value::Number(-1), Format::Val, Format::Val, "-1"),
            (SOURCE, Value::Number(10), Format::Pct, Format::Pct, "50"),
            (Nature::Action, Value::Number(5), Format::Val, Format::Val, "5"),
            (Nature::Text, Value::Text("Bar \"North\"".into()), Format::Val, Format::Str, "\"Bar \\\"North\\\"\""),
        ];
        for (nature, value, asked, key, written) in table {
            assert_eq!(value.written(nature, asked), (key, written.to_owned()), "{value:?} as {asked:?}");
        }
    }

    #[test]
    fn formats_are_found_by_their_keys() {
        assert_eq!(Format::from_key("val "), Some(Format::Val));
        assert_eq!(Format::from_key("pct"), Some(Format::Pct));
        assert_eq!(Format::from_key("str"), Some(Format::Str));
        assert_eq!(Format::from_key("value"), None);
    }
}
