//! The workers and the roles beside them; or, where the cluster is not reached, since when and why.

use ratatui::layout::Rect;

use super::pen::{Pen, Piece, mark};
use crate::cli::list_text::{Column, Row, role_row, worker_row};
use crate::cli::monit::model::{Model, Pane, Reach};
use crate::cli::terminal::{Look, Style};
use crate::cli::text::{cut, grouped, left, right, seconds, width};
use crate::wire::{List, RoleRow, Worker};

/// The shortest row of rates that tells something, and the longest that is looked at as a whole.
const LEAST_RATES: usize = 4;
const MOST_RATES: usize = 60;
/// From this width on there is room between columns, and for whatever state there is.
const WIDE: usize = 100;
/// The widest state where there is not.
const STATE: usize = 9;

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let Some(list) = model.alive() else {
        return not_reached(pen, area, model);
    };
    let rows = rows(list, model);
    let room = usize::from(area.height.saturating_sub(1));
    let chosen = model.row();
    // The chosen row is always seen: in the middle, where there are rows enough on either side.
    let first = chosen.saturating_sub(room / 2).min(rows.len().saturating_sub(room));
    let range = if rows.len() > room {
        format!(" {}–{} of {}", first + 1, first + room, rows.len())
    } else {
        String::new()
    };
    let table = Table::of(&rows, usize::from(area.width), width(&range));
    let mut heading = table.heading();
    if !range.is_empty() {
        heading.push((range, Some(Style::Dim)));
    } else if table.rates > 0 {
        heading.push((" lately".into(), Some(Style::Bold)));
    }
    heading[0].0 = mark(model.pane == Pane::Workers);
    pen.write(area, 0, &heading);
    let most = most_lately(list, model, table.rates);
    for (y, at) in (first..rows.len()).take(room).enumerate() {
        let mut pieces = table.row(at);
        pieces[0].0 = mark(at == chosen);
        if let Some(worker) = list.workers.get(at) {
            pieces.push((format!(" {}", line_of(&model.history.last(worker.id, table.rates), most)), None));
        }
        pen.write(area, 1 + y, &pieces);
        if at == chosen && model.pane == Pane::Workers {
            pen.highlight(area, 1 + y);
        }
    }
}

/// What is said in place of figures that are old.
fn not_reached(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let since = model.seen.as_ref().map(|(then, at, _)| {
        let ago = seconds(model.now.saturating_sub(*then).as_secs() as f64);
        format!("the cluster is not reached: last seen at {}, {ago} ago", at.strftime("%H:%M:%SZ"))
    });
    let mut y = 1;
    let mut say = |text: &str, style| {
        let below = Rect { y: area.y.saturating_add(y), height: area.height.saturating_sub(y), ..area };
        y = y.saturating_add(u16::try_from(pen.wrapped(below, text, style)).unwrap_or(u16::MAX));
    };
    say(&since.unwrap_or_else(|| "the cluster is not reached".into()), Some(Style::Red));
    match &model.reach {
        Reach::Seen => say("its supervisor has not answered since", None),
        Reach::Missed(why) => {
            say(&why.line, None);
            if let Some(hint) = &why.hint {
                say(&format!("hint: {hint}"), None);
            }
        }
    }
    say("trying again; the screen returns once it answers", Some(Style::Dim));
}

/// In the order of the list, but for what matters less here.
const COLUMNS: [Column; 10] = {
    use Column::{Cpu, Dropped, Id, Memory, Pid, Queue, Rate, Restarts, Role, State};
    [Id, Pid, Role, State, Restarts, Rate, Queue, Dropped, Cpu, Memory]
};
/// What a narrow terminal does without: first the first.
const DISPENSABLE: [Column; 7] = {
    use Column::{Cpu, Dropped, Memory, Pid, Queue, Restarts, Role};
    [Pid, Memory, Cpu, Queue, Dropped, Restarts, Role]
};

/// As `list` has them, but for a shorter rate, and for a role's name, which stands once.
fn rows(list: &List, model: &Model) -> Vec<Row> {
    let look = Look { terminal: true, colour: false, columns: 0, rows: 0 };
    let at = model.seen.as_ref().map(|(_, at, _)| *at).unwrap_or_default();
    let of_worker = |worker: &Worker| {
        let mut row = worker_row(worker, None, at, &look);
        let rate = model.rates.get(&worker.id).map(|rate| (grouped(rate.round() as u64), None));
        row.extend(rate.map(|rate| (Column::Rate, rate)));
        row
    };
    let of_role = |role: &RoleRow| {
        let mut row = role_row(role, at);
        row.remove(&Column::Id);
        row
    };
    list.workers.iter().map(of_worker).chain(list.roles.iter().map(of_role)).collect()
}

fn heading(column: Column) -> &'static str {
    if column == Column::Rate { "rate/s" } else { column.heading() }
}

fn is_number(column: Column) -> bool {
    column == Column::Id || column.is_number()
}

/// Cells, and the columns that have room.
struct Table {
    cells: Vec<Vec<Piece>>,
    columns: Vec<(Column, usize)>,
    gap: usize,
    /// How many rates each row shows behind.
    rates: usize,
}

impl Table {
    /// In `room` columns, so many of which are kept free in the heading.
    fn of(rows: &[Row], room: usize, free: usize) -> Table {
        let wide = room >= WIDE;
        let cell = |column: Column, row: &Row| {
            let (text, style) = row.get(&column).cloned().unwrap_or_else(|| ("-".into(), None));
            (if column == Column::State && !wide { cut(&text, STATE) } else { text }, style)
        };
        let gap = if wide { 2 } else { 1 };
        let mut columns: Vec<(Column, usize)> = COLUMNS
            .iter()
            .map(|column| {
                let least = if *column == Column::State { STATE } else { width(heading(*column)) };
                (*column, rows.iter().map(|row| width(&cell(*column, row).0)).max().unwrap_or(0).max(least))
            })
            .collect();
        let taken =
            |columns: &[(Column, usize)]| -> usize { columns.iter().map(|(_, width)| width + gap).sum() };
        for dispensable in DISPENSABLE {
            if taken(&columns) + free > room {
                columns.retain(|(column, _)| *column != dispensable);
            }
        }
        let rates = room.saturating_sub(taken(&columns) + 1).min(MOST_RATES);
        let cells =
            rows.iter().map(|row| columns.iter().map(|(column, _)| cell(*column, row)).collect()).collect();
        Table { cells, columns, gap, rates: if rates < LEAST_RATES { 0 } else { rates } }
    }

    fn heading(&self) -> Vec<Piece> {
        let cells = self.columns.iter().map(|(column, _)| (heading(*column).to_owned(), Some(Style::Bold)));
        self.spaced(cells)
    }

    fn row(&self, at: usize) -> Vec<Piece> {
        self.spaced(self.cells[at].iter().cloned())
    }

    /// Cells, each filled up to the width of its column; before them room for a mark.
    fn spaced(&self, cells: impl Iterator<Item = Piece>) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = vec![(" ".into(), None)];
        for (at, ((text, style), (column, width))) in cells.zip(&self.columns).enumerate() {
            let filled = if is_number(*column) { right(&text, *width) } else { left(&text, *width) };
            let gap = if at == 0 { 0 } else { self.gap };
            pieces.extend([(" ".repeat(gap), None), (filled, style)]);
        }
        pieces
    }
}

/// The highest rate that any worker shows: all of them have one scale.
fn most_lately(list: &List, model: &Model, rates: usize) -> u64 {
    let of = |worker: &Worker| model.history.last(worker.id, rates).into_iter().flatten().max();
    list.workers.iter().filter_map(of).max().unwrap_or(0)
}

/// Rates as a line of bars; nothing where a rate is not known, a dot where it is zero.
fn line_of(rates: &[Option<u64>], most: u64) -> String {
    const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let bar = |rate: &Option<u64>| match rate {
        None => " ",
        Some(0) => "·",
        Some(rate) => {
            let eighth = (*rate as f64 / most.max(1) as f64 * BARS.len() as f64).ceil() as usize;
            BARS[eighth.clamp(1, BARS.len()) - 1]
        }
    };
    rates.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_no_zero() {
        assert_eq!(line_of(&[None, Some(0), Some(1), Some(4), Some(8)], 8), " ·▁▄█");
        assert_eq!(line_of(&[Some(0), None], 0), "· ");
    }
}
