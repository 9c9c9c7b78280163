//! What a line says that link was sent: a request, a recording, or why it is neither.

use serde_json::{Map, Value as Json};

use crate::control::{Format, Value};
use crate::order::{FAILED, Refusal, Request, USAGE, Verb};
use crate::recording::{self, Subscription};

/// What link is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// About a parameter.
    Param(Request),
    /// For every line.
    Recording(Subscription),
}

/// How a request looks.
const EXAMPLE: &str =
    r#"a request is one line like {"verb":"set","processor":"bar","param":"ZoneGain_0","val":-10}"#;

/// Understands a line that link was sent. Keys that it does not know are passed over.
///
/// # Errors
/// Why it makes no sense, and what would.
pub fn parse(line: &[u8]) -> Result<Asked, Refusal> {
    let object: Map<String, Json> =
        serde_json::from_slice(line).map_err(|why| strange(&format!("it is not a JSON object: {why}")))?;
    let verb = match text(&object, "verb")?.as_str() {
        "get" => Verb::Get,
        "set" => Verb::Set,
        "bump" => Verb::Bump,
        recording::VERB => return recording(&object).map(Asked::Recording),
        other => return Err(unsupported(other)),
    };
    let (processor, param) = (text(&object, "processor")?, text(&object, "param")?);
    Ok(Asked::Param(Request { verb, processor, param, format: format(&object)?, value: value(&object)? }))
}

/// An answer to somebody whose line makes no sense.
#[must_use]
pub fn strange(why: &str) -> Refusal {
    let message = format!("the link cannot understand this request: {why}");
    Refusal { message, hint: Some(EXAMPLE.into()), exit: USAGE }
}

fn unsupported(verb: &str) -> Refusal {
    let verb: String = verb.chars().take(MAX_SHOWN).collect();
    let message =
        format!("`{}` is unsupported by version {}", verb.escape_debug(), env!("CARGO_PKG_VERSION"));
    let hint = "this link is asked to get, set, bump or capture";
    Refusal { message, hint: Some(hint.into()), exit: FAILED }
}

/// Characters of a word that makes no sense that are shown.
const MAX_SHOWN: usize = 40;

fn text(object: &Map<String, Json>, key: &str) -> Result<String, Refusal> {
    match object.get(key) {
        Some(Json::String(text)) => Ok(text.clone()),
        Some(_) => Err(strange(&format!("its `{key}` is not a string"))),
        None => Err(strange(&format!("it has no `{key}`"))),
    }
}

fn recording(object: &Map<String, Json>) -> Result<Subscription, Refusal> {
    let processor = text(object, "processor")?;
    match object.get("recorder").and_then(Json::as_u64) {
        Some(recorder) if recorder != 0 => Ok(Subscription::new(&processor, recorder)),
        Some(_) | None => Err(strange("its `recorder` is not a number from 1 up")),
    }
}

fn format(object: &Map<String, Json>) -> Result<Option<Format>, Refusal> {
    match object.get("fmt") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => {
            let known =
                [Format::Val, Format::Pct, Format::Str].into_iter().find(|known| known.name() == text);
            known.map(Some).ok_or_else(|| strange("its `fmt` is none of val, pct and str"))
        }
        Some(_) => Err(strange("its `fmt` is not a string")),
    }
}

/// The one value, if there is one.
fn value(object: &Map<String, Json>) -> Result<Option<Value>, Refusal> {
    let number =
        |json: &Json, key| json.as_f64().ok_or_else(|| strange(&format!("its `{key}` is not a number")));
    let mut values = Vec::new();
    if let Some(json) = object.get("val") {
        values.push(Value::Val(number(json, "val")?));
    }
    if let Some(json) = object.get("pct") {
        values.push(Value::Pct(number(json, "pct")?));
    }
    if object.contains_key("str") {
        values.push(Value::Str(text(object, "str")?));
    }
    match values.len() {
        0 | 1 => Ok(values.pop()),
        _ => Err(strange("it has more than one of `val`, `pct` and `str`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(rest: &str) -> Result<Asked, Refusal> {
        parse(format!(r#"{{"verb":"set","processor":"bar","param":"ZoneGain_0"{rest}}}"#).as_bytes())
    }

    #[test]
    fn requests_and_recordings_are_told_apart() {
        let Ok(Asked::Param(set)) = request(r#","val":-10,"new":[1]"#) else { panic!() };
        assert_eq!((set.verb, set.value), (Verb::Set, Some(Value::Val(-10.0))));
        let get = parse(br#"{"verb":"get","processor":"bar","param":"ZoneGain_0","fmt":"pct"}"#);
        assert!(matches!(get, Ok(Asked::Param(get)) if get.format == Some(Format::Pct)));
        let wanted = Subscription::new("bar", 3_735_928_559);
        let line = serde_json::to_vec(&wanted).unwrap();
        assert_eq!(parse(&line), Ok(Asked::Recording(wanted)));
    }

    #[test]
    fn what_is_written_is_read() {
        for value in [Value::Val(-23.5), Value::Pct(50.0), Value::Str("Patio \"2\"".into())] {
            let request = Request {
                verb: Verb::Bump,
                processor: "bar".into(),
                param: "ZoneGain_0".into(),
                format: Some(Format::Val),
                value: Some(value),
            };
            let line = serde_json::to_vec(&request).unwrap();
            assert_eq!(parse(&line), Ok(Asked::Param(request)));
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_why_and_what_would() {
        for (line, why) in [
            ("x", "not a JSON object"),
            ("[]", "not a JSON object"),
            ("{}", "no `verb`"),
            (r#"{"verb":7}"#, "`verb` is not a string"),
            (r#"{"verb":"get"}"#, "no `processor`"),
            (r#"{"verb":"get","processor":"bar"}"#, "no `param`"),
            (
                r#"{"verb":"get","processor":"bar","param":"ZoneGain_0","fmt":"zzz"}"#,
                "none of val, pct and str",
            ),
            (r#"{"verb":"set","processor":"bar","param":"ZoneGain_0","val":NaN}"#, "not a JSON object"),
            (r#"{"verb":"set","processor":"bar","param":"ZoneGain_0","val":1e999}"#, "not a JSON object"),
            (r#"{"verb":"capture","processor":"bar"}"#, "`recorder` is not a number"),
            (r#"{"verb":"capture","processor":"bar","recorder":0}"#, "`recorder` is not a number"),
        ] {
            let refusal = parse(line.as_bytes()).unwrap_err();
            assert!(refusal.message.contains(why), "{line}: {}", refusal.message);
            assert_eq!((refusal.exit, refusal.hint.as_deref()), (USAGE, Some(EXAMPLE)), "{line}");
        }
        for (rest, why) in [
            (r#","val":true"#, "`val` is not a number"),
            (r#","val":"-5""#, "`val` is not a number"),
            (r#","pct":null"#, "`pct` is not a number"),
            (r#","str":5"#, "`str` is not a string"),
            (r#","val":-5,"pct":50"#, "more than one of"),
        ] {
            let refusal = request(rest).unwrap_err();
            assert!(refusal.message.contains(why), "{rest}: {}", refusal.message);
            assert_eq!(refusal.exit, USAGE);
        }
    }

    #[test]
    fn a_verb_of_another_version_is_told_so() {
        let refusal = parse(br#"{"verb":"del","processor":"bar","param":"ZoneGain_0"}"#).unwrap_err();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(refusal.message, format!("`del` is unsupported by version {version}"));
        assert!(refusal.exit == FAILED && refusal.hint.is_some());
        let long = format!(r#"{{"verb":"{}"}}"#, "x".repeat(4000));
        assert!(parse(long.as_bytes()).unwrap_err().message.len() < 100);
    }
}
