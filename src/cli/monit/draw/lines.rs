//! The last log lines, or where they are.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::cli::logs::ELSEWHERE;
use crate::cli::monit::model::{Model, Pane};
use crate::cli::terminal::Style;

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let chosen = model.pane == Pane::Lines;
    let below = Rect { y: area.y.saturating_add(1), height: area.height.saturating_sub(1), ..area };
    let Some(lines) = &model.lines else {
        pen.title(area, chosen, "log lines");
        pen.wrapped(below, &format!("no log files: {ELSEWHERE}"), Some(Style::Dim));
        return;
    };
    let room = usize::from(below.height);
    let hidden = model.lines_below.min(lines.len().saturating_sub(room));
    let title = if hidden > 0 { format!("log lines  {hidden} more below") } else { "log lines".into() };
    pen.title(area, chosen, &title);
    let first = lines.len().saturating_sub(hidden + room);
    for (y, line) in lines.iter().skip(first).take(room).enumerate() {
        pen.text(below, y, line, None);
    }
}
