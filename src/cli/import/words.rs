//! What PM2 takes for words, for a number, and for an interpreter.

use serde_json::Value;

/// PM2's choice of an interpreter.
pub(super) fn by_extension(script: &str) -> &'static str {
    match script.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js" | "cjs" | "mjs" | "ts") => "node",
        Some("py") => "python3",
        Some("sh") => "bash",
        Some("rb") => "ruby",
        Some("pl") => "perl",
        Some("php") => "php",
        _ => "none",
    }
}

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

fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in text.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// A whole number, as a text too.
pub(super) fn number(value: &Value) -> Option<u32> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u32::try_from(number).ok()
}
