//! The screen without a terminal: what happens in, what is known and drawn out.

mod drawing;
mod model;

use std::time::Duration;

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::draw::draw;
use super::model::{Deed, Event, Model};
use super::order::Told;
use crate::cli::fake;
use crate::cli::meters::shape::{MeterRow, Meters, ProcessorRow};
use crate::wire::{Counts, List, Worker};

/// A model, and the time that goes by.
struct Screen {
    model: Model,
    now: Duration,
}

impl Screen {
    /// Of so many columns and rows; nothing is known.
    fn new(columns: u16, rows: u16) -> Screen {
        Screen { model: Model::new(true, (columns, rows)), now: Duration::ZERO }
    }

    /// One that knows a cluster.
    fn of(list: List, columns: u16, rows: u16) -> Screen {
        let mut screen = Screen::new(columns, rows);
        screen.seen(list);
        screen
    }

    fn happens(&mut self, event: Event) -> Option<Deed> {
        self.model.update(self.now, event)
    }

    /// Sees a list, a second after the last thing that happened.
    fn seen(&mut self, list: List) {
        self.now += Duration::from_secs(1);
        let at: Timestamp = "2026-01-31T18:30:00Z".parse().unwrap();
        self.happens(Event::Seen(Box::new(list), at));
    }

    fn missed(&mut self) {
        self.now += Duration::from_secs(1);
        let why = Told::wrong("no cluster is running in /run/x: nobody listens", Some("start one".into()));
        self.happens(Event::Missed(why));
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.happens(Event::Tick);
    }

    fn press(&mut self, key: char) -> Option<Deed> {
        self.key(KeyCode::Char(key))
    }

    fn key(&mut self, code: KeyCode) -> Option<Deed> {
        self.happens(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn control(&mut self, key: char) -> Option<Deed> {
        self.happens(Event::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL)))
    }

    /// The lines of the screen, without the spaces at their ends.
    fn lines(&self) -> Vec<String> {
        let (columns, rows) = self.model.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| draw(frame, &self.model)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |row: u16| {
            // The cell behind a wide character holds nothing of its own.
            let mut hidden = 0;
            let mut line = String::new();
            for column in 0..columns {
                if hidden > 0 {
                    hidden -= 1;
                    continue;
                }
                let symbol = buffer[(column, row)].symbol();
                line.push_str(symbol);
                hidden = crate::cli::text::width(symbol).saturating_sub(1);
            }
            line.trim_end().to_owned()
        };
        (0..rows).map(line).collect()
    }

    fn text(&self) -> String {
        self.lines().join("\n")
    }
}

/// A cluster of so many workers that are all well, without roles.
fn cluster_of(workers: u8) -> List {
    let mut list = fake::view().list;
    let pattern = list.workers[0].clone();
    let worker = |id| Worker {
        id,
        pid: Some(5000 + u32::from(id)),
        memory_bytes: Some(5 << 20),
        cpu_percent: Some(0.3),
        counts: Counts { datagrams: Some(0), dropped: Some(0), ..Counts::default() },
        ..pattern.clone()
    };
    list.workers = (0..workers).map(worker).collect();
    list.roles.clear();
    list.cluster.state = "online".into();
    list.cluster.last_reload = None;
    list.cluster.workers_wanted = u32::from(workers);
    list.cluster.totals = Counts { datagrams: Some(0), dropped: Some(0), ..Counts::default() };
    list
}

/// The same with so many datagrams in each worker.
fn counted(workers: u8, datagrams: u64) -> List {
    let mut list = cluster_of(workers);
    list.workers.iter_mut().for_each(|worker| worker.counts.datagrams = Some(datagrams));
    list.cluster.totals.datagrams = Some(datagrams * u64::from(workers));
    list
}

fn meter(index: u8, name: Option<&str>, level_db: f64) -> MeterRow {
    MeterRow {
        param: format!("ZoneMeter_{index}"),
        kind: "zone",
        index,
        name: name.map(str::to_owned),
        level_db,
        muted: None,
        gain_db: None,
        source: None,
        grouped: None,
        age_ms: 30,
        fresh: true,
    }
}

fn processor(number: u8, meters: Vec<MeterRow>) -> ProcessorRow {
    ProcessorRow {
        name: format!("bar {number}"),
        address: [10, 0, 0, number].into(),
        connection: "connected",
        last_heard_ms: Some(31),
        meters,
    }
}

fn meters(processors: Vec<ProcessorRow>) -> Event {
    Event::Meters(Meters { schema: 1, processors })
}
