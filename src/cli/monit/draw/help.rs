//! The help: every key, and what the signs mean.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::cli::monit::keys::KEYS;
use crate::cli::terminal::Style;
use crate::cli::text::{cut, left, width};

const SIGNS: [(&str, &str); 4] = [
    ("-", "not known: a program of your own reports no figures"),
    ("S M Z G", "source, mix, zone, group, with the parameter's number"),
    ("░ stale", "no reading for a while: the level shown is old"),
    ("▁▂▃▅█", "recent datagrams per second; all workers on one scale"),
];

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect) {
    pen.title(area, false, "keys and signs");
    let lines: Vec<_> = KEYS.iter().chain(&SIGNS).collect();
    let widest = lines.iter().map(|(what, _)| width(what)).max().unwrap_or(0);
    let room = usize::from(area.height.saturating_sub(1));
    let shown = if lines.len() > room { room.saturating_sub(1) } else { lines.len() };
    for (at, (what, meaning)) in lines.iter().take(shown).enumerate() {
        let what = format!(" {}  ", left(what, widest));
        let meaning = cut(meaning, usize::from(area.width).saturating_sub(width(&what)));
        pen.write(area, 1 + at, &[(what, Some(Style::Bold)), (meaning, None)]);
    }
    if shown < lines.len() {
        let more = format!(" … {} more on a taller terminal", lines.len() - shown);
        pen.text(area, 1 + shown, &more, Some(Style::Dim));
    }
}
