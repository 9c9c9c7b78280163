//! What PM2 takes for words, and for a number.

use regex_lite::Regex;
use serde_json::Value;

/// A word: quoted after `=`, quoted, or up to the next blank.
const WORD: &str = r#"[^\s"'=]+="[^"]*"|[^\s"'=]+='[^']*'|"[^"]*"|'[^']*'|\S+"#;

/// A list, a number, or one text whose words are parted by blanks outside quotes.
pub(super) fn words_of(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(words) => {
            let word = |word: &Value| word.as_str().map_or_else(|| word.to_string(), str::to_owned);
            Some(words.iter().map(word).collect())
        }
        Value::String(text) => Some(split(text)),
        Value::Number(number) => Some(vec![number.to_string()]),
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

/// As PM2 does: the quotes around a whole word go, those within it stay, an empty word is none.
fn split(text: &str) -> Vec<String> {
    let Ok(word) = Regex::new(WORD) else { return Vec::new() };
    let words = word.find_iter(text).map(|word| {
        let word = word.as_str();
        let bare = ['"', '\''].into_iter().find_map(|quote| word.strip_prefix(quote)?.strip_suffix(quote));
        bare.unwrap_or(word)
    });
    words.filter(|word| !word.trim().is_empty()).map(str::to_owned).collect()
}

/// A whole number, as a text too.
pub(super) fn number(value: &Value) -> Option<u32> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u32::try_from(number).ok()
}

/// A value as a variable of the environment has it: what is no text, as JSON.
pub(super) fn variable(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
