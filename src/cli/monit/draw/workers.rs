//! The workers and the roles beside them; or, where the cluster is not reached, since when and why.

use ratatui::layout::Rect;

use super::pen::{Pen, Piece, mark};
use crate::cli::list_text::state_style;
use crate::cli::monit::model::{Model, Pane, Reach};
use crate::cli::terminal::Style;
use crate::cli::text::{bytes, clean, cut, grouped, left, right, seconds, width};
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
    let rows: Vec<Row<'_>> = list
        .workers
        .iter()
        .map(|worker| Row::Worker(worker, model.rates.get(&worker.id).copied()))
        .chain(list.roles.iter().map(Row::Role))
        .collect();
    let room = usize::from(area.height.saturating_sub(1));
    let chosen = model.row();
    // The chosen row is always seen: in the middle, where there are rows enough on either side.
    let first = chosen.saturating_sub(room / 2).min(rows.len().saturating_sub(room));
    let table = Table::of(&rows, usize::from(area.width));
    let mut heading = table.heading();
    if rows.len() > room {
        heading.push((format!(" {}–{} of {}", first + 1, first + room, rows.len()), Some(Style::Dim)));
    } else if table.rates > 0 {
        heading.push((" lately".into(), Some(Style::Bold)));
    }
    heading[0].0 = mark(model.pane == Pane::Workers);
    pen.write(area, 0, &heading);
    let most = most_lately(list, model, table.rates);
    for (y, (at, row)) in rows.iter().enumerate().skip(first).take(room).enumerate() {
        let mut pieces = table.row(at);
        pieces[0].0 = mark(at == chosen);
        if let Row::Worker(worker, _) = row {
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
    say("it is asked again and again: this comes back when it does", Some(Style::Dim));
}

/// A row: a worker with its rate, or a role.
enum Row<'a> {
    Worker(&'a Worker, Option<f64>),
    Role(&'a RoleRow),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Id,
    Pid,
    Role,
    State,
    Restarts,
    Rate,
    Queue,
    Dropped,
    Cpu,
    Memory,
}

impl Column {
    const ALL: [Column; 10] = {
        use Column::{Cpu, Dropped, Id, Memory, Pid, Queue, Rate, Restarts, Role, State};
        [Id, Pid, Role, State, Restarts, Rate, Queue, Dropped, Cpu, Memory]
    };
    /// What a narrow terminal does without: first the first.
    const DISPENSABLE: [Column; 7] = {
        use Column::{Cpu, Dropped, Memory, Pid, Queue, Restarts, Role};
        [Pid, Memory, Cpu, Queue, Dropped, Restarts, Role]
    };

    fn heading(self) -> &'static str {
        match self {
            Column::Id => "id",
            Column::Pid => "pid",
            Column::Role => "role",
            Column::State => "state",
            Column::Restarts => "restarts",
            Column::Rate => "rate/s",
            Column::Queue => "queue",
            Column::Dropped => "dropped",
            Column::Cpu => "cpu",
            Column::Memory => "mem",
        }
    }

    fn is_number(self) -> bool {
        !matches!(self, Column::Role | Column::State)
    }

    /// What a row has in this column; None for what it cannot tell.
    fn cell(self, row: &Row<'_>) -> Option<Piece> {
        let (pid, state, restarts, cpu, memory) = match row {
            Row::Worker(it, _) => (it.pid, &it.state, it.restarts, it.cpu_percent, it.memory_bytes),
            Row::Role(it) => (it.pid, &it.state, it.restarts, it.cpu_percent, it.memory_bytes),
        };
        let worker = match row {
            Row::Worker(worker, rate) => Some((*worker, *rate)),
            Row::Role(_) => None,
        };
        let alarming = |amount: u64| (amount > 0).then_some(Style::Yellow);
        Some(match self {
            Column::Id => (worker?.0.id.to_string(), None),
            Column::Pid => (pid?.to_string(), None),
            Column::Role => match row {
                Row::Worker(it, _) => (clean(&it.role), None),
                Row::Role(it) => (clean(&it.name), None),
            },
            Column::State => {
                let heir = if worker.is_some_and(|(it, _)| it.heir.is_some()) { " +heir" } else { "" };
                (clean(state) + heir, Some(state_style(state)))
            }
            Column::Restarts => (restarts.to_string(), alarming(u64::from(restarts))),
            Column::Rate => (grouped(worker?.1?.round() as u64), None),
            Column::Queue => (bytes(worker?.0.queue_bytes?), None),
            Column::Dropped => {
                let dropped = worker?.0.counts.dropped?;
                (grouped(dropped), alarming(dropped))
            }
            Column::Cpu => (format!("{:.1}%", cpu?), None),
            Column::Memory => (bytes(memory?), None),
        })
    }
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
    fn of(rows: &[Row<'_>], room: usize) -> Table {
        let wide = room >= WIDE;
        let cell = |column: Column, row: &Row<'_>| {
            let (text, style) = column.cell(row).unwrap_or_else(|| ("-".into(), None));
            (if column == Column::State && !wide { cut(&text, STATE) } else { text }, style)
        };
        let gap = if wide { 2 } else { 1 };
        let mut columns: Vec<(Column, usize)> = Column::ALL
            .iter()
            .map(|column| {
                let heading = if *column == Column::State { STATE } else { width(column.heading()) };
                (*column, rows.iter().map(|row| width(&cell(*column, row).0)).max().unwrap_or(0).max(heading))
            })
            .collect();
        let taken =
            |columns: &[(Column, usize)]| -> usize { columns.iter().map(|(_, width)| width + gap).sum() };
        for dispensable in Column::DISPENSABLE {
            if taken(&columns) > room {
                columns.retain(|(column, _)| *column != dispensable);
            }
        }
        let rates = room.saturating_sub(taken(&columns) + 1).min(MOST_RATES);
        let cells =
            rows.iter().map(|row| columns.iter().map(|(column, _)| cell(*column, row)).collect()).collect();
        Table { cells, columns, gap, rates: if rates < LEAST_RATES { 0 } else { rates } }
    }

    fn heading(&self) -> Vec<Piece> {
        let cells = self.columns.iter().map(|(column, _)| (column.heading().to_owned(), Some(Style::Bold)));
        self.spaced(cells)
    }

    fn row(&self, at: usize) -> Vec<Piece> {
        self.spaced(self.cells[at].iter().cloned())
    }

    /// Cells, each filled up to the width of its column; before them room for a mark.
    fn spaced(&self, cells: impl Iterator<Item = Piece>) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = vec![(" ".into(), None)];
        for (at, ((text, style), (column, width))) in cells.zip(&self.columns).enumerate() {
            let filled = if column.is_number() { right(&text, *width) } else { left(&text, *width) };
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
