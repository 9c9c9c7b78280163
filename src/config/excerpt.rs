//! The line of a file that an error is about, with a caret under the place.

use crate::clean::{REPLACEMENT, is_harmful};
use std::ops::Range;
use unicode_width::UnicodeWidthChar;

/// Most characters of a line that are shown.
const WIDEST: usize = 120;

/// Characters kept before the place when a line is too long to be shown whole.
const BEFORE: usize = 40;

/// A place in a text, and the line around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is shown of the line; control characters but tabs are replaced.
    text: String,
    /// The same width up to the place, then carets.
    carets: String,
}

impl Excerpt {
    /// The place `span` (bytes) in `source`; of a span over several lines, its first line.
    pub(super) fn new(source: &str, span: &Range<usize>) -> Self {
        let start = floor(source, span.start);
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = source[line_start..].lines().next().unwrap_or("");
        let before = source[line_start..start].chars().count();
        let end = floor(source, span.end.max(start)).min(line_start + line.len());
        let marked = source[start..end.max(start)].chars().count().max(1);

        let skipped = if line.chars().count() > WIDEST { before.saturating_sub(BEFORE) } else { 0 };
        let mut text = String::new();
        let mut carets = String::new();
        if skipped > 0 {
            text.push('…');
            carets.push(' ');
        }
        for (at, c) in line.chars().enumerate().skip(skipped).take(WIDEST) {
            text.push(if is_harmful(c) && c != '\t' { REPLACEMENT } else { c });
            let width = if is_harmful(c) { 1 } else { c.width().unwrap_or(1) };
            if at < before {
                carets.extend(if c == '\t' { vec!['\t'] } else { vec![' '; width] });
            } else if at < before + marked {
                carets.extend(std::iter::repeat_n('^', width));
            }
        }
        if line.chars().count() > skipped + WIDEST {
            text.push('…');
        }
        if !carets.ends_with('^') {
            carets.push('^');
        }
        Self { line: source[..line_start].matches('\n').count() + 1, column: before + 1, text, carets }
    }

    /// A line, counted from 1, without the blanks around it.
    pub(super) fn of_line(source: &str, line: usize) -> Self {
        let start: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let text = source[start..].lines().next().unwrap_or_default();
        let begin = start + text.len() - text.trim_start().len();
        Self::new(source, &(begin..begin + text.trim().len()))
    }

    /// The three lines that show the place, without a line break at the end.
    pub fn render(&self) -> String {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        format!("{gutter} |\n{number} | {}\n{gutter} | {}", self.text, self.carets)
    }
}

/// The character boundary at or before `at`.
fn floor(source: &str, at: usize) -> usize {
    source.floor_char_boundary(at)
}
