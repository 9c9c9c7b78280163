//! What the screen knows. Events in, deeds out: it is told the time, and asks nobody.
//!
//! ```text
//!                 Seen                          y
//!   ┌─ Missed ◀──────────▶ Seen     question ──────▶ under way ──────▶ told
//!   └──────────▲  Missed                 └─ another key, or it lapses ─▶ told ─ any key ─▶ nothing
//! ```
//! The cluster is alive on the screen only while it was seen a moment ago: old figures never look alive. A question lapses
//! with the cluster, or the worker, that it is about.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use ratatui::crossterm::event::KeyEvent;

use super::order::{ANOTHER, Order, Told, seat};
use super::rates::History;
use crate::cli::list::rates;
use crate::cli::list_text::Rates;
use crate::cli::meters::shape::Meters;
use crate::cli::progress::Course;
use crate::wire::List;

/// A view of the cluster that is older than this shows nothing alive any more.
const OLD: Duration = Duration::from_secs(3);
/// Log lines that are kept.
pub(super) const LINES_KEPT: usize = 1000;

/// When something is: since the screen was opened.
pub(super) type Moment = Duration;

/// What happens.
#[derive(Debug)]
pub(super) enum Event {
    /// The cluster was asked, and answered; when that was by the clock on the wall.
    Seen(Box<List>, Timestamp),
    /// It was asked in vain.
    Missed(Told),
    /// Levels as they are now.
    Meters(Meters),
    /// The cluster was seen, but its levels cannot be read.
    Blind(Told),
    /// Log lines that have come; None while they go to no file.
    Lines(Option<Vec<String>>),
    /// A key.
    Key(KeyEvent),
    /// What came of the order that was under way.
    Answered(Told),
    /// The size of the terminal: columns and rows.
    Size(u16, u16),
    /// Nothing but that time goes by.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Close the screen.
    Quit,
    /// Stop this process, as Ctrl-Z does.
    Suspend,
    /// Give an order, and tell what came of it.
    Give(Order),
}

/// Parts of the screen that can be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    /// Workers and roles.
    #[default]
    Workers,
    /// Processors and their meters.
    Meters,
    /// Log lines.
    Lines,
}

/// Whether the cluster is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It answered.
    Seen,
    /// It did not, for this reason.
    Missed(Told),
}

/// What the user is told, or asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Talk {
    /// Whether that shall be done.
    Asked(Order),
    /// What there was to tell.
    Told(Told),
}

/// What is known.
#[derive(Debug)]
pub(super) struct Model {
    /// With colours.
    pub(super) colour: bool,
    /// Columns and rows of the terminal.
    pub(super) size: (u16, u16),
    pub(super) now: Moment,
    pub(super) reach: Reach,
    /// The newest list, when it came, and what the clock on the wall said.
    pub(super) seen: Option<(Moment, Timestamp, Box<List>)>,
    pub(super) rates: Rates,
    pub(super) history: History,
    pub(super) meters: Option<Meters>,
    /// Why there are none, where they cannot be read.
    pub(super) blind: Option<Told>,
    /// The last ones; None while they go to no file.
    pub(super) lines: Option<VecDeque<String>>,
    pub(super) pane: Pane,
    /// The number of a worker or the name of a role.
    pub(super) chosen: Option<String>,
    /// Lines of meters that are above the pane.
    pub(super) meters_above: usize,
    /// Log lines that are below the pane.
    pub(super) lines_below: usize,
    pub(super) help: bool,
    pub(super) talk: Option<Talk>,
    pub(super) under_way: Option<UnderWay>,
}

/// The order that is being carried out.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) order: Order,
    pub(super) since: Moment,
    /// How far it is.
    pub(super) course: Course,
}

impl Model {
    /// Nothing is known yet.
    pub(super) fn new(colour: bool, size: (u16, u16)) -> Model {
        Model {
            colour,
            size,
            now: Moment::ZERO,
            reach: Reach::Seen,
            seen: None,
            rates: Rates::new(),
            history: History::default(),
            meters: None,
            blind: None,
            lines: None,
            pane: Pane::default(),
            chosen: None,
            meters_above: 0,
            lines_below: 0,
            help: false,
            talk: None,
            under_way: None,
        }
    }

    /// Takes up what happened at `now`; tells what is to be done.
    pub(super) fn update(&mut self, now: Moment, event: Event) -> Option<Deed> {
        self.now = now;
        match event {
            Event::Seen(list, at) => self.on_seen(list, at),
            Event::Missed(why) => {
                self.reach = Reach::Missed(why);
                (self.meters, self.blind) = (None, None);
            }
            Event::Meters(meters) => (self.meters, self.blind) = (Some(meters), None),
            Event::Blind(why) => (self.meters, self.blind) = (None, Some(why)),
            Event::Lines(lines) => self.on_lines(lines),
            Event::Key(key) => return self.on_key(key),
            Event::Answered(told) => {
                self.under_way = None;
                self.talk = Some(Talk::Told(told));
            }
            Event::Size(columns, rows) => self.size = (columns, rows),
            Event::Tick => {}
        }
        self.let_lapse();
        None
    }

    /// The cluster, if what is known of it holds now.
    pub(super) fn alive(&self) -> Option<&List> {
        let (at, _, list) = self.seen.as_ref()?;
        (self.reach == Reach::Seen && self.now.saturating_sub(*at) < OLD).then_some(list)
    }

    /// Numbers of the workers and names of the roles, in the order of the rows.
    pub(super) fn ids(&self) -> Vec<String> {
        let Some(list) = self.alive() else { return Vec::new() };
        let workers = list.workers.iter().map(|worker| worker.id.to_string());
        workers.chain(list.roles.iter().map(|role| role.name.clone())).collect()
    }

    /// The row that is chosen.
    pub(super) fn row(&self) -> usize {
        let chosen = self.chosen.as_ref();
        chosen.and_then(|id| self.ids().iter().position(|other| other == id)).unwrap_or(0)
    }

    /// A question is about what was there when it was asked.
    fn let_lapse(&mut self) {
        let Some(Talk::Asked(order)) = &self.talk else { return };
        let why = match order.whom() {
            _ if self.alive().is_none() => "the cluster is not reached any more".into(),
            Some(id) if !self.ids().iter().any(|other| other == id) => {
                format!("there is no {} any more", seat(id))
            }
            Some(_) | None => return,
        };
        self.talk = Some(Talk::Told(order.not_done(&why)));
    }

    fn on_seen(&mut self, list: Box<List>, at: Timestamp) {
        let row = self.row();
        if let (Some((_, _, old)), Some(Talk::Asked(order))) = (&self.seen, &self.talk)
            && old.cluster.pid != list.cluster.pid
        {
            self.talk = Some(Talk::Told(order.not_done(ANOTHER)));
        }
        // What another cluster counted is no beginning for this one.
        let before = self.seen.take();
        let before = before.filter(|(_, _, old)| old.cluster.started_at == list.cluster.started_at);
        if before.is_none() {
            self.history = History::default();
        }
        let before = before.filter(|_| self.reach == Reach::Seen);
        self.rates = before
            .map_or_else(Rates::new, |(then, _, old)| rates(&old, &list, self.now.saturating_sub(then)));
        self.history.push(&list, &self.rates);
        self.reach = Reach::Seen;
        self.seen = Some((self.now, at, list));
        self.choose_anew(row);
    }

    /// Whoever is chosen stays so. In place of a worker that is gone it is the one before it; of a role, who has its row.
    fn choose_anew(&mut self, row: usize) {
        let Some((_, _, list)) = &self.seen else { return };
        let ids = self.ids();
        let chosen = self.chosen.as_ref();
        if chosen.is_some_and(|id| ids.contains(id)) {
            return;
        }
        let neighbour = chosen.and_then(|id| id.parse::<u8>().ok()).and_then(|id| {
            let before = list.workers.iter().rev().find(|worker| worker.id < id);
            before.or(list.workers.first()).map(|worker| worker.id.to_string())
        });
        self.chosen = neighbour.or_else(|| ids.get(row.min(ids.len().saturating_sub(1))).cloned());
    }

    fn on_lines(&mut self, lines: Option<Vec<String>>) {
        let Some(lines) = lines else {
            self.lines = None;
            return;
        };
        // Whoever reads further up is not moved.
        if self.lines_below > 0 {
            self.lines_below += lines.len();
        }
        let kept = self.lines.get_or_insert_default();
        kept.extend(lines);
        kept.drain(..kept.len().saturating_sub(LINES_KEPT));
        self.lines_below = self.lines_below.min(kept.len().saturating_sub(1));
    }
}
