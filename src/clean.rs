//! Text from elsewhere, made harmless to whoever reads it on a terminal or in a log: one rule for everything that is shown.
//!
//! Elsewhere only where text is not shown but written to be read again: TOML is escaped (`config/units.rs`), and what the
//! configuration does not allow is refused (`config/kinds.rs`).

/// What stands in the place of a character that is not shown.
pub(crate) const REPLACEMENT: char = '\u{fffd}';

/// Moves the cursor, or makes what follows read otherwise than it is written (Unicode's bidirectional overrides, embeddings
/// and isolates; its separators of lines).
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// One line, whatever it was: what comes from elsewhere must not move the cursor.
pub(crate) fn clean(text: &str) -> String {
    replaced(text, is_harmful)
}

/// As [`clean`], but a text of several lines stays one.
pub(crate) fn clean_lines(text: &str) -> String {
    replaced(text, |c| is_harmful(c) && c != '\n').trim_end().to_owned()
}

/// As [`clean`], but a tab stays: programs print tables with it, and configurations are indented with it.
pub(crate) fn clean_but_tabs(text: &str) -> String {
    replaced(text, |c| is_harmful(c) && c != '\t')
}

fn replaced(text: &str, bad: impl Fn(char) -> bool) -> String {
    text.chars().map(|c| if bad(c) { REPLACEMENT } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_does_not_move_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\n\t"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}");
        assert_eq!(clean_lines("a\nb\u{7}\n"), "a\nb\u{fffd}");
        assert_eq!(clean_but_tabs("a\tb\nc\u{202e}"), "a\tb\u{fffd}c\u{fffd}");
        assert_eq!(
            clean("a\u{202e}b\u{2066}c\u{2028}"),
            "a\u{fffd}b\u{fffd}c\u{fffd}",
            "nor reads backwards"
        );
        assert_eq!(clean("שלום é 日"), "שלום é 日");
    }
}
