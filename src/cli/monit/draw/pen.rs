//! Writing on the screen, in the colours of the other commands or in none.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style as Look};
use ratatui::text::{Line, Span};

use crate::cli::terminal::Style;
use crate::cli::text::{cut, width};

/// A text and how it is written.
pub(super) type Piece = (String, Option<Style>);

/// Writes into the cells of a screen.
pub(super) struct Pen<'a> {
    buffer: &'a mut Buffer,
    colour: bool,
}

impl<'a> Pen<'a> {
    /// On `buffer`; without `colour` everything is written alike.
    pub(super) fn new(buffer: &'a mut Buffer, colour: bool) -> Pen<'a> {
        Pen { buffer, colour }
    }

    /// The whole screen.
    pub(super) fn area(&self) -> Rect {
        self.buffer.area
    }

    /// Pieces one after the other on line `y` of `area`, counted from its top; what has no room is cut off.
    pub(super) fn write(&mut self, area: Rect, y: usize, pieces: &[Piece]) {
        let Some(y) = line_of(area, y) else { return };
        let spans = pieces.iter().map(|(text, style)| Span::styled(text.as_str(), self.look(*style)));
        self.buffer.set_line(area.x, y, &Line::from_iter(spans), area.width);
    }

    /// A text that ends in `…` where it has no room.
    pub(super) fn text(&mut self, area: Rect, y: usize, text: &str, style: Option<Style>) {
        self.write(area, y, &[(cut(text, usize::from(area.width)), style)]);
    }

    /// A text over as many lines of `area` as it takes; gives how many those were.
    pub(super) fn wrapped(&mut self, area: Rect, text: &str, style: Option<Style>) -> usize {
        let lines = wrap(text, usize::from(area.width));
        for (y, line) in lines.iter().enumerate() {
            self.text(area, y, line, style);
        }
        lines.len()
    }

    /// The title of a part: it says whether that is the chosen one, and reaches over the whole width.
    pub(super) fn title(&mut self, area: Rect, chosen: bool, title: &str) {
        let title = cut(title, usize::from(area.width).saturating_sub(2));
        let rest = usize::from(area.width).saturating_sub(width(&title) + 3);
        let rule = (format!(" {}", "─".repeat(rest)), Some(Style::Dim));
        self.write(area, 0, &[(mark(chosen), None), (title, Some(Style::Bold)), rule]);
    }

    /// Turns a line of `area` around, foreground for background.
    pub(super) fn highlight(&mut self, area: Rect, y: usize) {
        if let (Some(y), true) = (line_of(area, y), self.colour) {
            let look = Look::new().add_modifier(Modifier::REVERSED);
            self.buffer.set_style(Rect { y, height: 1, ..area }, look);
        }
    }

    fn look(&self, style: Option<Style>) -> Look {
        match style.filter(|_| self.colour) {
            None => Look::new(),
            Some(Style::Bold) => Look::new().add_modifier(Modifier::BOLD),
            Some(Style::Dim) => Look::new().add_modifier(Modifier::DIM),
            Some(Style::Red) => Look::new().fg(Color::Red),
            Some(Style::Green) => Look::new().fg(Color::Green),
            Some(Style::Yellow) => Look::new().fg(Color::Yellow),
        }
    }
}

/// What stands before what is chosen; it needs no colour.
pub(super) fn mark(chosen: bool) -> String {
    if chosen { "▸".into() } else { " ".into() }
}

fn line_of(area: Rect, y: usize) -> Option<u16> {
    let y = u16::try_from(y).ok().filter(|y| *y < area.height)?;
    area.y.checked_add(y)
}

/// Broken between words, at most `columns` wide; a word that is longer stays whole.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_broken_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("incomprehensible", 5), ["incomprehensible"]);
        assert_eq!(wrap("日本 語", 5), ["日本", "語"]);
        assert!(wrap("", 5).is_empty());
    }
}
