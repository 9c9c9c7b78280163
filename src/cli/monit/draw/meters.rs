//! The processors and their meters, live.

use contract::counted;
use ratatui::layout::Rect;

use super::pen::{Pen, Piece};
use crate::cli::meters::draw::{
    Bar, NOTHING, connection_style, decibels, heard, mark, number, short_label, who,
};
use crate::cli::meters::shape::{MeterRow, Meters, ProcessorRow};
use crate::cli::monit::layout::{GAP, Grid, GridLine, Layout};
use crate::cli::monit::model::{Model, Pane};
use crate::cli::terminal::Style;
use crate::cli::text::{cut, left, right, width};

/// `-23.5`.
const LEVEL: usize = 5;
/// ` stale`, ` muted`.
const MARK: usize = 6;
/// The longest bar that is still looked at as a whole, and the longest label.
const MOST_BAR: usize = 40;
const MOST_LABEL: usize = 24;
/// From this width of a cell on there is room for a mark beside the level.
const ROOMY: usize = 36;

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model, layout: &Layout) {
    if area.height == 0 {
        return;
    }
    let Some(meters) = &model.meters else {
        if let Some(why) = &model.blind {
            pen.title(area, model.pane == Pane::Meters, "meters");
            pen.text(area, 1, &why.line, Some(Style::Red));
        }
        return;
    };
    let grid = layout.grid(model);
    let room = usize::from(area.height.saturating_sub(1));
    let above = model.meters_above.min(grid.lines.len().saturating_sub(room));
    pen.title(area, model.pane == Pane::Meters, &title(meters, above, room, grid.lines.len()));
    if meters.processors.is_empty() {
        pen.text(area, 1, NOTHING, Some(Style::Dim));
    }
    let marks = meters.processors.iter().flat_map(|one| &one.meters).any(|meter| !mark(meter).is_empty());
    for (y, line) in grid.lines.iter().skip(above).take(room).enumerate() {
        let pieces = match line {
            GridLine::Heading(processor) => heading(processor),
            GridLine::Cells(meters) => cells(meters, &grid, marks),
        };
        pen.write(area, 1 + y, &pieces);
    }
}

fn title(meters: &Meters, above: usize, room: usize, lines: usize) -> String {
    let all = || meters.processors.iter().flat_map(|one| &one.meters);
    let stale = all().filter(|meter| !meter.fresh).count();
    let processors = counted(meters.processors.len() as u64, "processor");
    let mut title = format!("meters  {} of {processors}", all().count());
    if stale > 0 {
        title += &format!(", {stale} stale");
    }
    if lines > room {
        title += &format!("  lines {}–{} of {lines}", above + 1, above + room);
    }
    title + "  -80 … 0 dB"
}

fn heading(processor: &ProcessorRow) -> Vec<Piece> {
    let (name, address) = who(processor);
    let mut pieces = vec![(name, Some(Style::Bold))];
    pieces.extend(address.map(|address| (format!("  {address}"), None)));
    pieces.push(("  ".into(), None));
    pieces.push((processor.connection.into(), Some(connection_style(processor))));
    pieces.push((format!("  {}", heard(processor)), None));
    pieces
}

/// The cells of a line; with room for marks where any meter has one.
fn cells(meters: &[&MeterRow], grid: &Grid<'_>, marks: bool) -> Vec<Piece> {
    let beside = marks && grid.cell >= ROOMY;
    let room = grid.cell.saturating_sub(1 + LEVEL + if beside { MARK } else { 0 });
    let label = (room / 2).clamp(1, MOST_LABEL);
    let bar = room.saturating_sub(label + 1).min(MOST_BAR);
    let mut pieces: Vec<Piece> = Vec::new();
    for (at, meter) in meters.iter().enumerate() {
        let dim = (!meter.fresh).then_some(Style::Dim);
        let gap = if at > 0 { GAP } else { 0 };
        let Bar { full, style, empty } = Bar::of(meter, bar);
        let name = left(&cut(&self::label(meter, label), label), label);
        pieces.extend([
            (" ".repeat(gap), None),
            (format!("{name} "), dim),
            (full, Some(style)),
            (empty, Some(Style::Dim)),
            (tail(meter, marks, beside), dim),
        ]);
    }
    pieces
}

/// The level and what is said of it; where there is no room `beside` it, in its place.
fn tail(meter: &MeterRow, marks: bool, beside: bool) -> String {
    let (level, mark) = (decibels(meter), mark(meter));
    match (marks, beside) {
        (true, true) => format!(" {} {}", right(&level, LEVEL), left(mark, MARK - 1)),
        (true, false) if !mark.is_empty() => format!(" {}", right(mark, LEVEL)),
        _ => format!(" {}", right(&level, LEVEL)),
    }
}

/// `Z0 Patio`; where no name is known the parameter, or `Z0` where that does not fit: cut, all would look alike.
fn label(meter: &MeterRow, room: usize) -> String {
    let label = short_label(meter);
    if meter.name.is_none() && width(&label) > room { number(meter) } else { label }
}
