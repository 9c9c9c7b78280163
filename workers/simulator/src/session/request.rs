//! What a client's line asks for.

use serde_json::{Map, Value};

use crate::model::{Format, Given};

/// The most parameters in one message; 256 were seen to work, nobody knows where a real processor ends.
pub const MAX_PARAMS: usize = 1024;
/// The longest id that is sent back, as JSON, in bytes.
pub const MAX_ID: usize = 256;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// `set`
    Set,
    /// `bmp`
    Bump,
    /// `sub`
    Subscribe,
    /// `unsub`
    Unsubscribe,
    /// `get`
    Get,
}

impl Method {
    /// Every method.
    pub const ALL: [Method; 5] =
        [Method::Set, Method::Bump, Method::Subscribe, Method::Unsubscribe, Method::Get];

    /// Its name in a message.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Method::Set => "set",
            Method::Bump => "bmp",
            Method::Subscribe => "sub",
            Method::Unsubscribe => "unsub",
            Method::Get => "get",
        }
    }
}

/// One parameter of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// Its name, as it was sent.
    pub param: String,
    /// In which format, where one is named.
    pub format: Option<Format>,
    /// What it is to be set to or bumped by, where a value is given.
    pub given: Option<Given>,
}

/// A line that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// With which parameters.
    pub asks: Vec<Ask>,
    /// What the answer is to bear, as JSON.
    pub id: Option<String>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not JSON.
    Json,
    /// It is JSON, but no object with a method; or its id is longer than [`MAX_ID`].
    Shape,
    /// Nobody knows this method.
    Method(String),
    /// `params` is neither an object with a `param` nor an array of such, or there are more than [`MAX_PARAMS`].
    Params,
}

/// A line that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Why.
    pub wrong: Wrong,
    /// Its id, as far as one could be read.
    pub id: Option<String>,
}

impl Request {
    /// Reads a line that is not blank; white space around it does not matter.
    ///
    /// # Errors
    /// When it asks for nothing that a processor knows.
    pub fn parse(line: &[u8]) -> Result<Request, Invalid> {
        let invalid = |wrong, id| Err(Invalid { wrong, id });
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            return invalid(Wrong::Json, None);
        };
        let Some(message) = message.as_object() else { return invalid(Wrong::Shape, None) };
        let id = message.get("id").filter(|id| !id.is_null()).map(Value::to_string);
        if id.as_ref().is_some_and(|id| id.len() > MAX_ID) {
            return invalid(Wrong::Shape, None);
        }
        let Some(name) = message.get("method").and_then(Value::as_str) else {
            return invalid(Wrong::Shape, id);
        };
        let Some(method) = Method::ALL.into_iter().find(|method| method.name() == name) else {
            return invalid(Wrong::Method(name.to_owned()), id);
        };
        match asks(message.get("params")) {
            Some(asks) => Ok(Request { method, asks, id }),
            None => invalid(Wrong::Params, id),
        }
    }
}

/// One object, or an array of them.
fn asks(params: Option<&Value>) -> Option<Vec<Ask>> {
    match params? {
        Value::Object(one) => Some(vec![ask(one)?]),
        Value::Array(many) if many.len() <= MAX_PARAMS => {
            many.iter().map(|one| ask(one.as_object()?)).collect()
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn ask(entry: &Map<String, Value>) -> Option<Ask> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let number = |key: &str| entry.get(key).and_then(Value::as_f64);
    // The manual prints `"val":"str"` once where it means `"fmt":"str"`.
    let format = text("fmt").or_else(|| text("val")).and_then(Format::from_key);
    let given = number("val").map(Given::Val).or_else(|| number("pct").map(Given::Pct));
    let given = given.or_else(|| text("str").map(|text| Given::Str(text.to_owned())));
    Some(Ask { param: text("param")?.to_owned(), format, given })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Request {
        Request::parse(line.as_bytes()).unwrap_or_else(|invalid| panic!("{line}: {invalid:?}"))
    }

    #[test]
    fn objects_arrays_white_space_and_the_manuals_misprints_are_read() {
        let one =
            parsed(r#" { "params" : { "fmt" : "val ", "param" : "ZoneGain_0" } , "method":"sub","x":[]} "#);
        let plain = |format| vec![Ask { param: "ZoneGain_0".into(), format, given: None }];
        assert_eq!(one, Request { method: Method::Subscribe, asks: plain(Some(Format::Val)), id: None });
        let misprint = parsed(r#"{"method":"get","params":{"param":"ZoneGain_0","val":"str"},"id":"a\"b"}"#);
        assert_eq!(misprint.asks, plain(Some(Format::Str)));
        assert_eq!(misprint.id.as_deref(), Some(r#""a\"b""#));
        let many = parsed(
            r#"{"jsonrpc":"2.0","method":"bmp","params":[{"param":"SourceGain_0","val":-1},{"param":"SourceGain_1","pct":2}],"id":null}"#,
        );
        let given: Vec<_> = many.asks.into_iter().map(|ask| ask.given).collect();
        assert_eq!((given, many.id), (vec![Some(Given::Val(-1.0)), Some(Given::Pct(2.0))], None));
        assert!(parsed(r#"{"method":"get","params":[]}"#).asks.is_empty());
    }

    #[test]
    fn what_cannot_be_read_says_why_and_keeps_its_id() {
        let long = format!(r#"{{"method":"get","params":[],"id":"{}"}}"#, "x".repeat(MAX_ID));
        let many = format!(
            r#"{{"method":"get","params":[{}{{"param":"x"}}]}}"#,
            r#"{"param":"x"},"#.repeat(MAX_PARAMS)
        );
        #[rustfmt::skip]
        let table = [
            ("", Wrong::Json, None),
            ("hello", Wrong::Json, None),
            (r#"{"method":"get","params":{"param":"x"}"#, Wrong::Json, None),
            (r#"{"method":"set","params":{"param":"x","val":1e999}}"#, Wrong::Json, None),
            ("[]", Wrong::Shape, None),
            ("7", Wrong::Shape, None),
            (r#"{"id":7}"#, Wrong::Shape, Some("7")),
            (&long, Wrong::Shape, None),
            (r#"{"method":"frob","params":{"param":"x"},"id":7}"#, Wrong::Method("frob".into()), Some("7")),
            (r#"{"method":"get","id":7}"#, Wrong::Params, Some("7")),
            (r#"{"method":"get","params":"x"}"#, Wrong::Params, None),
            (r#"{"method":"get","params":[{"fmt":"val"}]}"#, Wrong::Params, None),
            (r#"{"method":"get","params":[7]}"#, Wrong::Params, None),
            (&many, Wrong::Params, None),
        ];
        for (line, wrong, id) in table {
            let expected = Err(Invalid { wrong, id: id.map(str::to_owned) });
            assert_eq!(Request::parse(line.as_bytes()), expected, "{line}");
        }
        assert!(Request::parse("[".repeat(10_000).as_bytes()).is_err());
    }
}
