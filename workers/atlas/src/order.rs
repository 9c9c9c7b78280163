//! What a user asks of a processor through the owner of its connection: one JSON object on a line each way.
//!
//! ```text
//! → {"verb":"set","processor":"bar","param":"ZoneGain_0","val":-10}      get takes "fmt" in place of a value
//! ← {"param":"ZoneGain_0"}                                                done; get: with "val", "pct" or "str"
//! ← {"error":{"message":"…","hint":"…","exit":2}}                         nothing was sent
//! ← {"param":"ZoneGain_0","sent":true,"error":{"message":"…","exit":1}}    it was, and may have been done
//! ← {"param":"ZoneGain_0","again":true,"error":{"message":"…","exit":1}}   nothing was sent, link is replaced: ask again
//! ```
//! A line that makes no sense is answered with an error too, exit 2 and a hint ([`crate::asked`]); one that is longer than
//! [`MAX_FRAME`] ends the connection. The control socket is not asked so: the supervisor waits for nobody, and names this
//! socket.
//!
//! One request at a time is under way for a client. It may send several without waiting: they are answered one after
//! another, in their order; and it may close its sending side behind the last one. An answer that is missing when the
//! connection ends, because link ended, says nothing: the command may have been done. Where the connection is reset or
//! broken instead, nobody read what was not answered: it can be asked again. A link that is replaced lets go of each client
//! once he has the answers to what he had said before.

use serde::{Deserialize, Serialize};

use crate::control::{Format, Value};
use crate::params;

/// Longest frame either way, in bytes, its newline included.
pub const MAX_FRAME: usize = 4096;
/// Longest name of a parameter, in bytes; the longest of the table has 21.
pub const MAX_PARAM: usize = 128;
/// Longest text that a parameter is set to, in bytes.
pub const MAX_TEXT: usize = 1024;

/// The exit code of what was tried and failed.
pub const FAILED: u8 = 1;
/// The exit code of what was not even sent, because it makes no sense.
pub const USAGE: u8 = 2;

/// What to do with the parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Tell its value.
    Get,
    /// Set it.
    Set,
    /// Change it by so much.
    Bump,
}

/// One request. [`crate::asked::parse`] reads it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// What to do.
    pub verb: Verb,
    /// The processor's name in the configuration, or its address.
    pub processor: String,
    /// The parameter.
    pub param: String,
    /// `get`: the form of the answer; without it the parameter's usual one.
    #[serde(rename = "fmt", skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// `set` and `bump`: the value.
    #[serde(flatten)]
    pub value: Option<Value>,
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The parameter.
    #[serde(default)]
    pub param: String,
    /// `get`: its value.
    #[serde(flatten)]
    pub value: Option<Value>,
    /// Beside an error: it was sent all the same, and may have been done, or be done yet. Who tries a `bump` again then
    /// may do it twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sent: bool,
    /// Beside an error: nothing was sent, since this link leaves. The one that follows it can be asked at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
}

/// An error as a person reads it, and the exit code that goes with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What failed, on what, why; one line.
    pub message: String,
    /// The way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Exit code for the asker.
    pub exit: u8,
}

/// What may be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The parameter.
    pub param: String,
    /// What is to become of it.
    pub deed: Deed,
}

/// What is to become of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Its value is told.
    Get(Format),
    /// It is set.
    Set(Value),
    /// It is changed by so much.
    Bump(Value),
}

impl Request {
    /// What may be sent of it: ranges are checked, parameters that are not in the table are let through.
    ///
    /// # Errors
    /// Why nothing is sent, and what is allowed.
    pub fn check(self) -> Result<Order, Refusal> {
        let Request { verb, param, format, value, .. } = self;
        if param.is_empty() || param.len() > MAX_PARAM || param.contains(char::is_control) {
            let what = format!("`{}` cannot be a parameter", param.escape_debug());
            return Err(usage(what, "parameters are called like ZoneGain_0"));
        }
        if let Some(Value::Str(text)) = &value
            && text.len() > MAX_TEXT
        {
            return Err(usage(format!("{param}: {} bytes are too many", text.len()), "at most 1024 bytes"));
        }
        let spec = params::spec(&param);
        let deed = match (verb, value) {
            (Verb::Get, None) => {
                Deed::Get(format.unwrap_or_else(|| spec.map_or(Format::Val, params::Spec::format)))
            }
            (Verb::Get, Some(_)) => {
                return Err(usage(format!("get {param}: takes no value"), "leave it out"));
            }
            (Verb::Set | Verb::Bump, _) if spec.is_some_and(|spec| spec.read_only) => {
                return Err(usage(format!("{param} is read-only"), "`get` tells its value"));
            }
            (Verb::Set, None) if spec.is_some_and(|spec| spec.range == params::Range::Trigger) => {
                Deed::Set(Value::Val(1.0))
            }
            (Verb::Set | Verb::Bump, None) => {
                return Err(usage(format!("{param}: a value is missing"), "for example -10, 50% or +3"));
            }
            (Verb::Set, Some(value)) => {
                spec.map_or(Ok(()), |spec| spec.check_set(&value))
                    .map_err(|allowed| range(&param, &value, allowed))?;
                Deed::Set(value)
            }
            (Verb::Bump, Some(value)) => {
                spec.map_or(Ok(()), |spec| spec.check_bump(&value))
                    .map_err(|allowed| range(&param, &value, allowed))?;
                Deed::Bump(value)
            }
        };
        Ok(Order { param, deed })
    }
}

fn range(param: &str, value: &Value, allowed: &str) -> Refusal {
    let shown = match value {
        Value::Str(text) => format!("`{}`", text.escape_debug()),
        Value::Val(_) | Value::Pct(_) => value.to_string(),
    };
    usage(format!("{param} cannot take {shown}"), &format!("allowed: {allowed}"))
}

fn usage(message: String, hint: &str) -> Refusal {
    Refusal { message, hint: Some(hint.into()), exit: USAGE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::{self, Asked};

    fn request(json: &str) -> Request {
        match asked::parse(json.as_bytes()) {
            Ok(Asked::Param(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn frames_are_as_the_page_says() {
        let set = request(r#"{"verb":"set","processor":"bar","param":"ZoneGain_0","val":-10}"#);
        assert_eq!(set.value, Some(Value::Val(-10.0)));
        assert_eq!(request(&serde_json::to_string(&set).unwrap()), set);
        let get = request(r#"{"verb":"get","processor":"bar","param":"ZoneGain_0","fmt":"pct","new":1}"#);
        assert_eq!((get.format, get.value), (Some(Format::Pct), None));
        let reply =
            Reply { param: "ZoneName_0".into(), value: Some(Value::Str("Patio".into())), ..Reply::default() };
        assert_eq!(serde_json::to_string(&reply).unwrap(), r#"{"param":"ZoneName_0","str":"Patio"}"#);
        let done = Reply { param: "ZoneGain_0".into(), ..Reply::default() };
        assert_eq!(serde_json::to_string(&done).unwrap(), r#"{"param":"ZoneGain_0"}"#);
        assert_eq!(serde_json::from_str::<Reply>(r#"{"param":"ZoneGain_0"}"#).unwrap(), done);
        let lost = Reply { sent: true, ..done };
        assert_eq!(serde_json::to_string(&lost).unwrap(), r#"{"param":"ZoneGain_0","sent":true}"#);
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_sent() {
        for (json, message) in [
            (r#"{"verb":"set","processor":"b","param":"ZoneGain_0","val":3}"#, "ZoneGain_0 cannot take 3"),
            (r#"{"verb":"set","processor":"b","param":"ZoneMute_0","pct":50}"#, "ZoneMute_0 cannot take 50%"),
            (
                r#"{"verb":"set","processor":"b","param":"ZoneGain_0","str":" -3"}"#,
                "ZoneGain_0 cannot take ` -3`",
            ),
            (r#"{"verb":"set","processor":"b","param":"ZoneGain_0","str":""}"#, "ZoneGain_0 cannot take ``"),
            (r#"{"verb":"set","processor":"b","param":"ZoneMeter_0","val":-3}"#, "ZoneMeter_0 is read-only"),
            (r#"{"verb":"bump","processor":"b","param":"ZoneName_0","val":-3}"#, "ZoneName_0 is read-only"),
            (r#"{"verb":"set","processor":"b","param":"ZoneGain_0"}"#, "ZoneGain_0: a value is missing"),
            (
                r#"{"verb":"get","processor":"b","param":"ZoneGain_0","val":1}"#,
                "get ZoneGain_0: takes no value",
            ),
            (r#"{"verb":"get","processor":"b","param":"a\nb"}"#, "`a\\nb` cannot be a parameter"),
        ] {
            let refusal = request(json).check().unwrap_err();
            assert_eq!((refusal.message.as_str(), refusal.exit), (message, USAGE));
            assert!(refusal.hint.is_some());
        }
    }

    #[test]
    fn what_is_unknown_is_sent_as_it_is() {
        let deed = |json: &str| request(json).check().unwrap().deed;
        assert_eq!(
            deed(r#"{"verb":"set","processor":"b","param":"New_0","val":900}"#),
            Deed::Set(Value::Val(900.0))
        );
        assert_eq!(deed(r#"{"verb":"get","processor":"b","param":"New_0"}"#), Deed::Get(Format::Val));
        assert_eq!(deed(r#"{"verb":"get","processor":"b","param":"ZoneName_0"}"#), Deed::Get(Format::Str));
        assert_eq!(
            deed(r#"{"verb":"set","processor":"b","param":"PlayMessage_0"}"#),
            Deed::Set(Value::Val(1.0)),
            "any value triggers it"
        );
    }
}
