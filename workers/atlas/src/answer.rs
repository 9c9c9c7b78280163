//! What a processor says on its TCP port: updates, answers, refusals.
//!
//! Users have seen more forms than the manual prints (`docs/protocol.md`), so everything of these shapes is accepted:
//! `params` and `result` as one object or an array, a `getResp` with an id, an error as an object, a string or a method,
//! a trailing `\r`, empty lines, several objects on a line, any key order and extra keys.

use serde_json::{Map, Value as Json};

use crate::control::Value;

/// The code of "no such parameter": an answer to the question what there is.
pub const NOT_FOUND: i64 = -32604;

/// A parameter, and a value of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// The parameter.
    pub param: String,
    /// Its value.
    pub value: Value,
}

/// One thing that a processor said.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A subscription's update.
    Update(Vec<Named>),
    /// Values that somebody asked for: `getResp`, or `result` with values.
    Values {
        /// Of the command it answers.
        id: Option<u32>,
        /// The values; perhaps fewer than were asked for.
        values: Vec<Named>,
    },
    /// `result` without values: done.
    Done {
        /// Of the command it answers.
        id: Option<u32>,
    },
    /// An error.
    Refused {
        /// Of the command it answers.
        id: Option<u32>,
        /// Its code.
        code: Option<i64>,
        /// What it says, in the processor's words.
        message: String,
        /// The parameter it names.
        param: Option<String>,
    },
    /// Valid JSON that says nothing we know.
    Other,
}

/// A line that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbage;

/// Reads one line, with or without its end; an empty one says nothing. Of a line that turns into garbage, what stood
/// before it is said.
///
/// # Errors
/// [`Garbage`], if not even its beginning is JSON.
pub fn read(line: &[u8]) -> Result<Vec<Answer>, Garbage> {
    let mut answers = Vec::new();
    for object in serde_json::Deserializer::from_slice(line).into_iter::<Json>() {
        match object {
            Ok(object) => answers.push(answer(&object)),
            Err(_) if answers.is_empty() => return Err(Garbage),
            Err(_) => break,
        }
    }
    Ok(answers)
}

fn answer(object: &Json) -> Answer {
    let id = id(&object["id"]);
    let method = object["method"].as_str().unwrap_or_default();
    if !object["error"].is_null() {
        return refused(id, &object["error"]);
    }
    match (method, &object["result"]) {
        ("update", _) => Answer::Update(values(&object["params"])),
        ("getResp", _) => Answer::Values { id, values: values(&object["params"]) },
        ("error", _) => refused(id, &object["params"]),
        (_, Json::Null) => Answer::Other,
        (_, result @ (Json::Array(_) | Json::Object(_))) => Answer::Values { id, values: values(result) },
        (_, _) => Answer::Done { id },
    }
}

fn refused(id: Option<u32>, error: &Json) -> Answer {
    let error = error.as_array().and_then(|all| all.first()).unwrap_or(error);
    let text = error["message"].as_str().or(error.as_str());
    let message = text.map_or_else(|| error.to_string(), str::to_owned);
    let param = error["param"].as_str().or_else(|| quoted(&message)).map(str::to_owned);
    Answer::Refused { id, code: error["code"].as_i64(), message, param }
}

/// The name in `param 'ZoneGain_8' could not be found`.
fn quoted(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once('\'')?;
    rest.split_once('\'').map(|(name, _)| name)
}

/// Ours are numbers; who keeps them as text gives them back as text.
fn id(id: &Json) -> Option<u32> {
    match id {
        Json::String(text) => text.parse().ok(),
        number => number.as_u64().and_then(|number| u32::try_from(number).ok()),
    }
}

fn values(params: &Json) -> Vec<Named> {
    match params {
        Json::Array(items) => items.iter().filter_map(Json::as_object).filter_map(named).collect(),
        Json::Object(item) => named(item).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn named(item: &Map<String, Json>) -> Option<Named> {
    let param = item.get("param")?.as_str()?.to_owned();
    let number = |key: &str| item.get(key).and_then(Json::as_f64);
    let text = |key: &str| item.get(key).and_then(Json::as_str).map(|text| Value::Str(text.to_owned()));
    let value = (number("val").map(Value::Val))
        .or_else(|| number("pct").map(Value::Pct))
        .or_else(|| text("str"))
        .or_else(|| text("val"))?;
    Some(Named { param, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Answer {
        let mut answers = read(line.as_bytes()).unwrap();
        assert_eq!(answers.len(), 1, "{line}");
        answers.remove(0)
    }

    fn named(param: &str, value: Value) -> Named {
        Named { param: param.into(), value }
    }

    #[test]
    fn every_form_of_the_facts_is_understood() {
        let gain = || vec![named("ZoneGain_0", Value::Val(-20.0))];
        let patio = || vec![named("ZoneName_0", Value::Str("Patio".into()))];
        let missing = "param 'ZoneGain_8' could not be found";
        let refused = |id, code| Answer::Refused {
            id,
            code,
            message: missing.into(),
            param: Some("ZoneGain_8".into()),
        };
        for (line, expected) in [
            (r#"{"jsonrpc":"2.0","result":"OK","id":7}"#.to_owned(), Answer::Done { id: Some(7) }),
            (r#"{"result":"OK"}"#.into(), Answer::Done { id: None }),
            (r#"{"id":"7","result":"OK"}"#.into(), Answer::Done { id: Some(7) }),
            (
                r#"{"jsonrpc":"2.0","result":[{"param":"ZoneGain_0","val":-20}],"id":10}"#.into(),
                Answer::Values { id: Some(10), values: gain() },
            ),
            (
                r#"{"result":{"val":-2e1,"param":"ZoneGain_0","more":[]},"id":10}"#.into(),
                Answer::Values { id: Some(10), values: gain() },
            ),
            (
                r#"{"method":"getResp","params":[{"param":"ZoneName_0","str":"Patio"}]}"#.into(),
                Answer::Values { id: None, values: patio() },
            ),
            (
                r#"{"method":"getResp","params":{"param":"ZoneName_0","str":"Patio"},"id":3}"#.into(),
                Answer::Values { id: Some(3), values: patio() },
            ),
            (
                r#"{"method":"getResp","params":{"param":"ZoneName_0","val":"Patio"}}"#.into(),
                Answer::Values { id: None, values: patio() },
            ),
            (
                r#" {"method":"update","params":{"param":"ZoneGain_0","val":-20}} "#.into(),
                Answer::Update(gain()),
            ),
            (
                r#"{"method":"update","params":[{"param":"G_1","pct":75},{"param":"x"},7]}"#.into(),
                Answer::Update(vec![named("G_1", Value::Pct(75.0))]),
            ),
            (
                format!(r#"{{"error":{{"code":-32604,"message":"{missing}"}},"id":7}}"#),
                refused(Some(7), Some(NOT_FOUND)),
            ),
            (format!(r#"{{"error":"{missing}","id":7}}"#), refused(Some(7), None)),
            (
                format!(r#"{{"method":"error","params":{{"code":-32604,"message":"{missing}"}}}}"#),
                refused(None, Some(NOT_FOUND)),
            ),
            (format!(r#"{{"method":"error","params":["{missing}"]}}"#), refused(None, None)),
            (r#"{"jsonrpc":"2.0"}"#.into(), Answer::Other),
            ("[1,2]".into(), Answer::Other),
        ] {
            assert_eq!(one(&line), expected, "{line}");
            assert_eq!(one(&format!("{line}\r\n")), expected);
        }
    }

    #[test]
    fn empty_lines_say_nothing_and_glued_objects_each_say_theirs() {
        for empty in ["", "\n", "\r\n", "  "] {
            assert_eq!(read(empty.as_bytes()), Ok(Vec::new()));
        }
        let two = r#"{"result":"OK","id":1}{"result":"OK","id":2}"#;
        let done = |id| Answer::Done { id: Some(id) };
        assert_eq!(read(two.as_bytes()), Ok(vec![done(1), done(2)]));
        assert_eq!(read(format!("{two}oops").as_bytes()), Ok(vec![done(1), done(2)]));
    }

    #[test]
    fn garbage_is_told_from_what_merely_means_nothing() {
        for garbage in [&b"oops"[..], b"{", b"\xff", b"{\"method\":\"update\"", &[b'['; 4000]] {
            assert_eq!(read(garbage), Err(Garbage));
        }
        assert_eq!(read(b"null"), Ok(vec![Answer::Other]));
    }
}
