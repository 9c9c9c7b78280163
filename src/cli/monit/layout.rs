//! What has room where: a pure function of what is known and of the terminal's size.
//!
//! ```text
//!   header    2 lines, and what deserves a line of its own
//!   workers   ┐
//!   meters    ├ each as much as it wants; where that is too much, the chosen one first
//!   log lines ┘
//!   footer    what is asked or told, then the keys
//! ```

use ratatui::layout::Rect;

use super::model::{Model, Pane, Talk};
use crate::cli::list_text::notices;
use crate::cli::meters::shape::{MeterRow, Meters, ProcessorRow};
use crate::cli::terminal::Look;

/// The least that something can be seen on.
pub(super) const LEAST: (u16, u16) = (30, 8);
/// Lines of notices that are shown.
const NOTICES: usize = 2;
/// What a pane has at least, its title included, where there is room.
const LEAST_PANE: u16 = 4;
/// With less than a title and a line a pane is nothing.
const NOTHING: u16 = 2;
/// Between two columns of meters.
pub(super) const GAP: usize = 2;
/// The narrowest column of meters.
const LEAST_CELL: usize = 25;

/// The parts of the screen, from the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) header: Rect,
    pub(super) workers: Rect,
    pub(super) meters: Rect,
    pub(super) lines: Rect,
    pub(super) footer: Rect,
}

/// How much a pane has to show, and how much of it has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) all: usize,
    pub(super) shown: usize,
}

impl Layout {
    /// For what is known now.
    pub(super) fn of(model: &Model) -> Layout {
        let (columns, rows) = model.size;
        let header = 2 + notice_lines(model).len();
        let footer = 1 + match (&model.talk, &model.under_way) {
            (Some(Talk::Told(told)), _) => 1 + usize::from(told.hint.is_some()),
            (Some(Talk::Asked(_)), _) | (None, Some(_)) => 1,
            (None, None) => 0,
        };
        let [header, footer] =
            [header, footer].map(|lines| u16::try_from(lines).unwrap_or(u16::MAX).min(rows / 3));
        let room = rows.saturating_sub(header + footer);
        let [workers, meters, lines] = share(room, Wanted::of(model), model.pane);
        let mut top = 0;
        let mut next = |height: u16| {
            let area = Rect::new(0, top, columns, height);
            top += height;
            area
        };
        let (header, workers, meters, lines) = (next(header), next(workers), next(meters), next(lines));
        let footer = Rect::new(0, rows.saturating_sub(footer), columns, footer);
        Layout { header, workers, meters, lines, footer }
    }

    /// What a pane has to show.
    pub(super) fn lines(&self, model: &Model, pane: Pane) -> Lines {
        let (area, all) = match pane {
            Pane::Workers => (self.workers, model.ids().len()),
            Pane::Meters => (self.meters, self.grid(model).lines.len()),
            Pane::Lines => (self.lines, model.lines.as_ref().map_or(0, |lines| lines.len())),
        };
        Lines { all, shown: usize::from(area.height.saturating_sub(1)) }
    }

    /// The meters, as they fit their part.
    pub(super) fn grid<'a>(&self, model: &'a Model) -> Grid<'a> {
        let (width, height) =
            (usize::from(self.meters.width), usize::from(self.meters.height.saturating_sub(1)));
        model.meters.as_ref().map_or_else(Grid::default, |meters| Grid::of(meters, width, height))
    }
}

/// What deserves a line of its own: a reload that failed, strangers, what waits unread.
pub(super) fn notice_lines(model: &Model) -> Vec<String> {
    let plain = Look { terminal: true, colour: false, columns: 0, rows: 0 };
    let Some(list) = model.alive() else { return Vec::new() };
    notices(&list.cluster, &plain).lines().take(NOTICES).map(str::to_owned).collect()
}

/// How many lines a part would like to have, its title included.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    workers: usize,
    /// In as many columns as the width allows.
    meters: usize,
    /// In one column.
    long_meters: usize,
    lines: usize,
}

impl Wanted {
    fn of(model: &Model) -> Wanted {
        let lines = model.lines.as_ref().map(|lines| 1 + lines.len().max(1));
        if model.alive().is_none() {
            // In place of the workers it is said that they are not reached.
            return Wanted { workers: 8, lines: lines.unwrap_or(0), ..Wanted::default() };
        }
        let width = usize::from(model.size.0);
        let meters = |height| {
            let lines = model.meters.as_ref().map(|meters| Grid::of(meters, width, height).lines.len());
            1 + lines.unwrap_or(0).max(1)
        };
        Wanted {
            workers: 1 + model.ids().len(),
            meters: meters(0),
            long_meters: meters(usize::MAX),
            lines: lines.unwrap_or(3),
        }
    }
}

/// Heights of workers, meters and log lines in `room` lines.
fn share(room: u16, wanted: Wanted, chosen: Pane) -> [u16; 3] {
    let lines = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let long_meters = lines(wanted.long_meters);
    let wanted = [wanted.workers, wanted.meters, wanted.lines].map(lines);
    let chosen = match chosen {
        Pane::Workers => 0,
        Pane::Meters => 1,
        Pane::Lines => 2,
    };
    let mut heights = [0; 3];
    let mut left = room;
    // First the least for each, then as much as it wants: the chosen one before the others, log lines last.
    for most in [LEAST_PANE, u16::MAX] {
        for pane in [chosen, 0, 1, 2] {
            let more = wanted[pane].min(most).saturating_sub(heights[pane]).min(left);
            if heights[pane] + more >= NOTHING {
                heights[pane] += more;
                left -= more;
            }
        }
    }
    // Where there is room, bars are long.
    heights[1] += long_meters.saturating_sub(heights[1]).min(left);
    heights
}

/// Meters in columns, read downwards, below the heading of their processor.
#[derive(Debug, Default)]
pub(super) struct Grid<'a> {
    /// Width of a cell.
    pub(super) cell: usize,
    /// What each line shows.
    pub(super) lines: Vec<GridLine<'a>>,
}

/// A line of the meters.
#[derive(Debug)]
pub(super) enum GridLine<'a> {
    /// A processor.
    Heading(&'a ProcessorRow),
    /// Its meters, one for each column.
    Cells(Vec<&'a MeterRow>),
}

impl<'a> Grid<'a> {
    /// In as few columns as the height allows, so that bars are as long as they can be.
    fn of(meters: &'a Meters, width: usize, height: usize) -> Grid<'a> {
        let most = ((width + GAP) / (LEAST_CELL + GAP)).max(1);
        let lines_of = |columns: usize| -> usize {
            meters.processors.iter().map(|processor| 1 + processor.meters.len().div_ceil(columns)).sum()
        };
        let columns = (1..=most).find(|&columns| lines_of(columns) <= height).unwrap_or(most);
        let cell = ((width + GAP) / columns).saturating_sub(GAP);
        let mut lines = Vec::with_capacity(lines_of(columns));
        for processor in &meters.processors {
            lines.push(GridLine::Heading(processor));
            let rows = processor.meters.len().div_ceil(columns);
            lines.extend(
                (0..rows)
                    .map(|row| GridLine::Cells(processor.meters.iter().skip(row).step_by(rows).collect())),
            );
        }
        Grid { cell, lines }
    }
}
