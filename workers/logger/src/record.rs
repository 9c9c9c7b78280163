//! One line of a log file: when, who, what. Pure.

use contract::logs::{Format, Record, text_line};

/// The words that a line of the supervisor's begins with, and what they are called.
const LEVELS: [(&str, &str); 5] =
    [("ERROR", "error"), ("WARN", "warn"), ("INFO", "info"), ("DEBUG", "debug"), ("TRACE", "trace")];

/// Appends one line. `time` is RFC 3339.
pub(crate) fn append(out: &mut Vec<u8>, format: Format, time: &str, source: &str, line: &[u8]) {
    match format {
        Format::Text => text_line(out, time, source, line),
        Format::Json => {
            let text = String::from_utf8_lossy(line);
            let (level, message) = level_of(source, &text);
            let record = Record { time: time.into(), source: source.into(), level, message: message.into() };
            // To memory, and of strings alone: neither can fail.
            let _ = serde_json::to_writer(&mut *out, &record);
            out.push(b'\n');
        }
    }
}

/// What the supervisor says begins with its level; what others print is theirs.
fn level_of<'a>(source: &str, text: &'a str) -> (Option<std::borrow::Cow<'static, str>>, &'a str) {
    let known = LEVELS.iter().find_map(|(word, level)| {
        let rest = text.strip_prefix(word)?;
        rest.starts_with(' ').then(|| (Some((*level).into()), rest.trim_start()))
    });
    known.filter(|_| source == contract::logs::SUPERVISOR).unwrap_or((None, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format, source: &str, text: &[u8]) -> String {
        let mut out = Vec::new();
        append(&mut out, format, "2026-01-31T18:30:00.123Z", source, text);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_line_says_when_who_and_what() {
        assert_eq!(line(Format::Text, "2", b"hello"), "2026-01-31T18:30:00.123Z [2] hello\n");
        assert_eq!(line(Format::Text, "link", b""), "2026-01-31T18:30:00.123Z [link] \n");
        assert_eq!(
            line(Format::Json, "2", b"INFO a \"b\"\xff"),
            "{\"time\":\"2026-01-31T18:30:00.123Z\",\"source\":\"2\",\"message\":\"INFO a \\\"b\\\"\u{fffd}\"}\n"
        );
        assert_eq!(
            line(Format::Json, "supervisor", b"WARN  worker 2 gone"),
            "{\"time\":\"2026-01-31T18:30:00.123Z\",\"source\":\"supervisor\",\"level\":\"warn\",\"message\":\"worker 2 gone\"}\n"
        );
    }
}
