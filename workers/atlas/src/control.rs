//! Commands to a processor, as lines of its TCP port.
//!
//! A command is a JSON-RPC 2.0 object that ends with one `\n`: `sub`, `unsub`, `get`, `set` or `bmp` of one parameter or
//! of several (manual ATS006993 Rev B).

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// In which form a value is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A number: dB, 0 or 1, or an index.
    Val,
    /// Percent of the range.
    Pct,
    /// Text.
    Str,
}

impl Format {
    /// The protocol's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Val => "val",
            Format::Pct => "pct",
            Format::Str => "str",
        }
    }
}

/// A value in one of its forms. As JSON it is one key: `{"val": -23.5}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// dB, 0 or 1, or an index; finite.
    Val(#[serde(serialize_with = "shortest")] f64),
    /// Percent of the range; finite.
    Pct(#[serde(serialize_with = "shortest")] f64),
    /// Text.
    Str(String),
}

impl Value {
    /// Its form.
    pub const fn format(&self) -> Format {
        match self {
            Value::Val(_) => Format::Val,
            Value::Pct(_) => Format::Pct,
            Value::Str(_) => Format::Str,
        }
    }
}

/// As people read it: `-23.5`, `50%`, `Patio`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Val(number) => write!(f, "{}", Readable(*number)),
            Value::Pct(number) => write!(f, "{}%", Readable(*number)),
            Value::Str(text) => f.write_str(text),
        }
    }
}

/// A number that takes no hundreds of digits, whatever it is.
struct Readable(f64);

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0;
        if number == 0.0 || (1e-6..1e16).contains(&number.abs()) {
            write!(f, "{number}")
        } else {
            write!(f, "{number:e}")
        }
    }
}

/// What is asked of a processor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command<'a> {
    /// Updates of these parameters, one subscription for each parameter and form.
    Subscribe(&'a [(String, Format)]),
    /// No more of them.
    Unsubscribe(&'a [(String, Format)]),
    /// Their values, once.
    Get(&'a [(String, Format)]),
    /// New values; out of range they are clamped.
    Set(&'a [(String, Value)]),
    /// Values changed by so much.
    Bump(&'a [(String, Value)]),
}

/// The command as a line, its `\n` included: with an id it is answered, `set` and `bmp` without one are not.
pub fn line(command: Command<'_>, id: Option<u32>) -> String {
    #[derive(Serialize)]
    struct Asked<'a> {
        param: &'a str,
        fmt: Format,
    }
    #[derive(Serialize)]
    struct Told<'a> {
        param: &'a str,
        #[serde(flatten)]
        value: &'a Value,
    }
    let ask = |items: &[(String, Format)]| {
        one_or_all(items.iter().map(|(param, fmt)| json(&Asked { param, fmt: *fmt })).collect())
    };
    let tell = |items: &[(String, Value)]| {
        one_or_all(items.iter().map(|(param, value)| json(&Told { param, value })).collect())
    };
    let (method, params) = match command {
        Command::Subscribe(items) => ("sub", ask(items)),
        Command::Unsubscribe(items) => ("unsub", ask(items)),
        Command::Get(items) => ("get", ask(items)),
        Command::Set(items) => ("set", tell(items)),
        Command::Bump(items) => ("bmp", tell(items)),
    };
    let id = id.map(|id| format!(r#","id":{id}"#)).unwrap_or_default();
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{params}{id}}}\n")
}

/// One parameter stands alone, as the manual prints it; several are an array.
fn one_or_all(mut items: Vec<String>) -> String {
    match items.len() {
        1 => items.remove(0),
        _ => format!("[{}]", items.join(",")),
    }
}

fn json(item: &impl Serialize) -> String {
    serde_json::to_string(item).expect("strings and finite numbers are JSON")
}

/// Whole numbers without a fraction, as the manual prints them.
fn shortest<S: Serializer>(number: &f64, out: S) -> Result<S::Ok, S::Error> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        out.serialize_i64(*number as i64)
    } else {
        out.serialize_f64(*number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_whatever_they_are() {
        for (number, shown) in [
            (-23.5, "-23.5"),
            (0.0, "0"),
            (123_456_789.0, "123456789"),
            (1e300, "1e300"),
            (-2.5e-300, "-2.5e-300"),
        ] {
            assert_eq!(Value::Val(number).to_string(), shown);
        }
        assert_eq!(Value::Pct(1e300).to_string(), "1e300%");
    }

    fn asked(params: &[&str], format: Format) -> Vec<(String, Format)> {
        params.iter().map(|param| ((*param).to_owned(), format)).collect()
    }

    #[test]
    fn commands_have_the_manuals_form() {
        let told = |param: &str, value| vec![(param.to_owned(), value)];
        for (command, id, expected) in [
            (
                Command::Set(&told("ZoneGain_0", Value::Pct(50.0))),
                None,
                r#"{"jsonrpc":"2.0","method":"set","params":{"param":"ZoneGain_0","pct":50}}"#,
            ),
            (
                Command::Bump(&[
                    ("SourceGain_0".into(), Value::Val(-1.0)),
                    ("SourceGain_1".into(), Value::Val(2.5)),
                ]),
                Some(7),
                r#"{"jsonrpc":"2.0","method":"bmp","params":[{"param":"SourceGain_0","val":-1},{"param":"SourceGain_1","val":2.5}],"id":7}"#,
            ),
            (
                Command::Subscribe(&asked(&["SourceMeter_0", "SourceMeter_1"], Format::Val)),
                Some(10),
                r#"{"jsonrpc":"2.0","method":"sub","params":[{"param":"SourceMeter_0","fmt":"val"},{"param":"SourceMeter_1","fmt":"val"}],"id":10}"#,
            ),
            (
                Command::Unsubscribe(&asked(&["SourceMeter_0"], Format::Pct)),
                Some(10),
                r#"{"jsonrpc":"2.0","method":"unsub","params":{"param":"SourceMeter_0","fmt":"pct"},"id":10}"#,
            ),
            (
                Command::Get(&asked(&["KeepAlive"], Format::Str)),
                None,
                r#"{"jsonrpc":"2.0","method":"get","params":{"param":"KeepAlive","fmt":"str"}}"#,
            ),
            (
                Command::Set(&told("Odd\n\"name", Value::Str("a\nb".into()))),
                None,
                r#"{"jsonrpc":"2.0","method":"set","params":{"param":"Odd\n\"name","str":"a\nb"}}"#,
            ),
        ] {
            assert_eq!(line(command, id), format!("{expected}\n"));
        }
    }
}
