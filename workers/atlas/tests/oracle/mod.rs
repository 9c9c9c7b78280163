//! What a datagram means, worked out from serde_json's values: slow, short, and independent of the parser.

use atlas::{CentiDb, Class, INDICES, Kind, Malformed, MeterId, Parser, Reading};
use serde_json::{Deserializer, Map, Value};

/// What the parser must say of a datagram.
#[derive(Debug, PartialEq)]
pub(crate) struct Meaning {
    pub(crate) class: Class,
    pub(crate) readings: Vec<Reading>,
    pub(crate) index_out_of_range: bool,
}

/// What the parser says.
pub(crate) fn parsed(parser: &mut Parser, datagram: &[u8]) -> Result<Meaning, Malformed> {
    parser.parse(datagram).map(|parsed| Meaning {
        class: parsed.class,
        readings: parsed.readings.to_vec(),
        index_out_of_range: parsed.index_out_of_range,
    })
}

/// What it must say.
pub(crate) fn expected(datagram: &[u8]) -> Result<Meaning, Malformed> {
    if datagram.len() > atlas::MAX_DATAGRAM {
        return Err(Malformed::TooLong);
    }
    let values: Vec<Value> = Deserializer::from_slice(datagram)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|error| reason(&error))?;
    if values.is_empty() {
        return Err(Malformed::Empty);
    }
    let mut readings: Vec<Reading> = Vec::new();
    let mut index_out_of_range = false;
    for message in values.iter().filter_map(Value::as_object) {
        if message.get("method").and_then(Value::as_str) != Some("update") {
            continue;
        }
        for entry in entries(message.get("params")) {
            match meter(entry) {
                Some(Ok(meter)) => {
                    let level = level(entry)?;
                    match readings.iter_mut().find(|reading| reading.meter == meter) {
                        Some(reading) => reading.level = level,
                        None => readings.push(Reading { meter, level }),
                    }
                }
                Some(Err(OutOfRange)) => index_out_of_range = true,
                None => {}
            }
        }
    }
    let class = if !readings.is_empty() {
        Class::Meter
    } else if values.iter().filter_map(Value::as_object).any(is_keep_alive) {
        Class::KeepAlive
    } else {
        Class::Other
    };
    Ok(Meaning { class, readings, index_out_of_range })
}

fn reason(error: &serde_json::Error) -> Malformed {
    let text = error.to_string();
    if text.starts_with("recursion limit exceeded") {
        Malformed::Depth
    } else if text.starts_with("number out of range") {
        Malformed::Number
    } else {
        Malformed::Json
    }
}

fn entries(params: Option<&Value>) -> Vec<&Map<String, Value>> {
    match params {
        Some(Value::Object(entry)) => vec![entry],
        Some(Value::Array(entries)) => entries.iter().filter_map(Value::as_object).collect(),
        _ => Vec::new(),
    }
}

struct OutOfRange;

fn meter(entry: &Map<String, Value>) -> Option<Result<MeterId, OutOfRange>> {
    let (name, digits) = entry.get("param")?.as_str()?.split_once('_')?;
    let kind = Kind::from_meter_name(name)?;
    let canonical = digits == "0" || !digits.starts_with('0');
    if digits.is_empty() || !canonical || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(match digits.parse::<u8>() {
        Ok(index) if usize::from(index) < INDICES => Ok(MeterId { kind, index }),
        _ => Err(OutOfRange),
    })
}

fn level(entry: &Map<String, Value>) -> Result<CentiDb, Malformed> {
    let number = |value: &Value| value.as_f64().ok_or(Malformed::BadLevel);
    match (entry.get("val"), entry.get("pct")) {
        (Some(val), _) => number(val).map(CentiDb::from_db),
        (None, Some(pct)) => number(pct).map(CentiDb::from_pct),
        (None, None) => Err(Malformed::NoLevel),
    }
}

fn is_keep_alive(message: &Map<String, Value>) -> bool {
    let names_it =
        |value| entries(value).iter().any(|entry| entry.get("param").is_some_and(|name| name == "KeepAlive"));
    message.get("method").is_some_and(|method| method == "getResp") && names_it(message.get("params"))
        || names_it(message.get("result"))
}

/// Panics unless the parser and the oracle agree; returns what they agree on.
#[track_caller]
pub(crate) fn agree(parser: &mut Parser, datagram: &[u8]) -> Result<Meaning, Malformed> {
    let (expected, parsed) = (expected(datagram), parsed(parser, datagram));
    assert_eq!(parsed, expected, "left: parser, right: oracle, of b\"{}\"", datagram.escape_ascii());
    parsed
}
