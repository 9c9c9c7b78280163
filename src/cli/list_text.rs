//! How `list` looks: a list in, text out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use jiff::Timestamp;

use super::terminal::{Look, Style};
use super::text::{bytes, clean, clean_lines, coarse, grouped, left, right, seconds, width};
use crate::wire::{Cluster, Counts, Heir, LastExit, List, QUARANTINE, RoleRow, Stranger, Worker};

/// Datagrams a second, by slot.
pub(super) type Rates = BTreeMap<u8, f64>;

/// The list at `now`; with a column of rates if there are any to come.
pub(super) fn draw(list: &List, rates: Option<&Rates>, now: Timestamp, look: &Look) -> String {
    let rows: Vec<Row> = rows(list, rates, now, look);
    let columns: Vec<Column> =
        Column::ALL.into_iter().filter(|c| *c != Column::Rate || rates.is_some()).collect();
    let mut text = heading(&list.cluster, look);
    text.push_str(&if look.terminal { framed(&rows, &columns, look) } else { plain(&rows, &columns) });
    text.push_str(&sums(&list.cluster.totals, look));
    text.push_str(&notices(&list.cluster, look));
    text
}

/// What a row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    Id,
    Pid,
    Role,
    State,
    Gen,
    Restarts,
    Uptime,
    LastExit,
    Datagrams,
    Rate,
    Malformed,
    Dropped,
    Queue,
    Memory,
    Cpu,
}

impl Column {
    const ALL: [Column; 15] = {
        use Column::{
            Cpu, Datagrams, Dropped, Gen, Id, LastExit, Malformed, Memory, Pid, Queue, Rate, Restarts, Role,
            State, Uptime,
        };
        [
            Id, Pid, Role, State, Gen, Restarts, Uptime, LastExit, Datagrams, Rate, Malformed, Dropped,
            Queue, Memory, Cpu,
        ]
    };

    /// What a narrow terminal does without, the most useful first.
    const DISPENSABLE: [Column; 12] = [
        Column::Restarts,
        Column::Pid,
        Column::Rate,
        Column::Uptime,
        Column::Dropped,
        Column::Memory,
        Column::LastExit,
        Column::Cpu,
        Column::Malformed,
        Column::Gen,
        Column::Queue,
        Column::Role,
    ];

    pub(super) fn heading(self) -> &'static str {
        match self {
            Column::Id => "id",
            Column::Pid => "pid",
            Column::Role => "role",
            Column::State => "state",
            Column::Gen => "gen",
            Column::Restarts => "restarts",
            Column::Uptime => "uptime",
            Column::LastExit => "last exit",
            Column::Datagrams => "datagrams",
            Column::Rate => "rate",
            Column::Malformed => "malformed",
            Column::Dropped => "dropped",
            Column::Queue => "queue",
            Column::Memory => "mem",
            Column::Cpu => "cpu",
        }
    }

    /// Filled up with spaces before it.
    pub(super) fn is_number(self) -> bool {
        !matches!(self, Column::Id | Column::Role | Column::State | Column::LastExit)
    }
}

/// Text and style of each column; what has none shows as `-`.
pub(super) type Row = BTreeMap<Column, (String, Option<Style>)>;

fn rows(list: &List, rates: Option<&Rates>, now: Timestamp, look: &Look) -> Vec<Row> {
    let rate = |worker: &Worker| rates.and_then(|rates| rates.get(&worker.id)).copied();
    let workers = list.workers.iter().map(|worker| worker_row(worker, rate(worker), now, look));
    workers.chain(list.roles.iter().map(|role| role_row(role, now))).collect()
}

pub(super) fn role_row(role: &RoleRow, now: Timestamp) -> Row {
    Seat::of_role(role).row(now)
}

pub(super) fn worker_row(worker: &Worker, rate: Option<f64>, now: Timestamp, look: &Look) -> Row {
    let counts = &worker.counts;
    let count = |amount: Option<u64>| amount.map(|amount| number(amount, look));
    let alarming = |amount: Option<u64>| amount.filter(|amount| *amount > 0).map(|_| Style::Yellow);
    let cells = [
        (Column::Gen, Some(worker.generation.to_string()), None),
        (Column::Datagrams, count(counts.datagrams), None),
        (Column::Rate, rate.map(|rate| format!("{}/s", number(rate.round() as u64, look))), None),
        (Column::Malformed, count(counts.malformed), alarming(counts.malformed)),
        (Column::Dropped, count(counts.dropped), alarming(counts.dropped)),
        (Column::Queue, worker.queue_bytes.map(bytes), None),
    ];
    let mut row = Seat::of_worker(worker).row(now);
    row.extend(cells.into_iter().filter_map(|(column, text, style)| Some((column, (text?, style)))));
    row
}

/// In groups of three for a person, whole for a program.
fn number(number: u64, look: &Look) -> String {
    if look.terminal { grouped(number) } else { number.to_string() }
}

/// What workers and roles have in common.
struct Seat<'a> {
    id: String,
    role: &'a str,
    pid: Option<u32>,
    state: &'a str,
    heir: Option<&'a Heir>,
    restarts: u32,
    uptime: Option<f64>,
    last_exit: Option<&'a LastExit>,
    memory: Option<u64>,
    cpu: Option<f64>,
}

impl Seat<'_> {
    fn of_worker(worker: &Worker) -> Seat<'_> {
        Seat {
            id: worker.id.to_string(),
            role: &worker.role,
            pid: worker.pid,
            state: &worker.state,
            heir: worker.heir.as_ref(),
            restarts: worker.restarts,
            uptime: worker.uptime_s,
            last_exit: worker.last_exit.as_ref(),
            memory: worker.memory_bytes,
            cpu: worker.cpu_percent,
        }
    }

    fn of_role(role: &RoleRow) -> Seat<'_> {
        Seat {
            id: clean(&role.name),
            role: &role.name,
            pid: role.pid,
            state: &role.state,
            heir: role.heir.as_ref(),
            restarts: role.restarts,
            uptime: role.uptime_s,
            last_exit: role.last_exit.as_ref(),
            memory: role.memory_bytes,
            cpu: role.cpu_percent,
        }
    }

    fn row(&self, now: Timestamp) -> Row {
        let heir = if self.heir.is_some() { " +heir" } else { "" };
        let cells = [
            (Column::Id, Some(self.id.clone()), None),
            (Column::Pid, self.pid.map(|pid| pid.to_string()), None),
            (Column::Role, Some(clean(self.role)), None),
            (Column::State, Some(clean(self.state) + heir), Some(state_style(self.state))),
            (Column::Restarts, Some(self.restarts.to_string()), (self.restarts > 0).then_some(Style::Yellow)),
            (Column::Uptime, self.uptime.map(seconds), None),
            (Column::LastExit, self.last_exit.map(|exit| last_exit(exit, now)), None),
            (Column::Memory, self.memory.map(bytes), None),
            (Column::Cpu, self.cpu.map(|percent| format!("{percent:.1}%")), None),
        ];
        cells.into_iter().filter_map(|(column, text, style)| Some((column, (text?, style)))).collect()
    }
}

pub(super) fn state_style(state: &str) -> Style {
    match state {
        "online" => Style::Green,
        "errored" | "waiting restart" | "degraded" => Style::Red,
        _ => Style::Yellow,
    }
}

/// `SIGKILL 3m ago`, `code 1 12s ago`.
pub(super) fn last_exit(exit: &LastExit, now: Timestamp) -> String {
    let how = match (&exit.signal, exit.code) {
        (Some(signal), _) => clean(signal),
        (None, Some(code)) => format!("code {code}"),
        (None, None) => "?".into(),
    };
    let Ok(at) = exit.at.parse::<Timestamp>() else { return how };
    // A wall clock that was set back is no reason to show nonsense.
    format!("{how} {} ago", coarse(Duration::try_from(now.duration_since(at)).unwrap_or_default()))
}

pub(super) fn heading(cluster: &Cluster, look: &Look) -> String {
    let state = look.paint(state_style(&cluster.state), &clean(&cluster.state));
    let mut parts = vec![
        format!("{} {state}", look.paint(Style::Bold, "atlas-cluster")),
        format!("pid {}", cluster.pid),
        format!("generation {}", cluster.generation),
        format!("up {}", seconds(cluster.uptime_s)),
        format!("listen {}", listen(cluster)),
    ];
    parts.extend(cluster.http.as_ref().map(|http| format!("http://{}", clean(http))));
    parts.join("  ") + "\n"
}

/// The addresses that are listened on.
pub(super) fn listen(cluster: &Cluster) -> String {
    let listen = cluster.listen.iter().map(|address| clean(address)).collect::<Vec<_>>().join(", ");
    if listen.is_empty() { "nothing yet".into() } else { listen }
}

/// Framed, with as many of the dispensable columns as there is room for.
fn framed(rows: &[Row], columns: &[Column], look: &Look) -> String {
    let mut chosen: Vec<Column> = columns.to_vec();
    chosen.retain(|column| !Column::DISPENSABLE.contains(column));
    for dispensable in Column::DISPENSABLE {
        let with: Vec<Column> = columns
            .iter()
            .copied()
            .filter(|column| *column == dispensable || chosen.contains(column))
            .collect();
        if frame(rows, &with, false).lines().all(|line| width(&line) <= look.columns) {
            chosen = with;
        }
    }
    frame(rows, &chosen, look.colour).to_string() + "\n"
}

fn frame(rows: &[Row], columns: &[Column], colour: bool) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.force_no_tty();
    if colour {
        table.enforce_styling();
    }
    let align = |column: Column| if column.is_number() { CellAlignment::Right } else { CellAlignment::Left };
    table.set_header(columns.iter().map(|column| {
        Cell::new(column.heading()).add_attribute(Attribute::Bold).set_alignment(align(*column))
    }));
    for row in rows {
        table.add_row(columns.iter().map(|column| {
            let (text, style) = cell(row, *column);
            let cell = Cell::new(text).set_alignment(align(*column));
            match style {
                Some(Style::Bold) => cell.add_attribute(Attribute::Bold),
                Some(Style::Dim) => cell.add_attribute(Attribute::Dim),
                Some(Style::Red) => cell.fg(Color::Red),
                Some(Style::Green) => cell.fg(Color::Green),
                Some(Style::Yellow) => cell.fg(Color::Yellow),
                None => cell,
            }
        }));
    }
    // Two spaces between columns; the frame has one on either side.
    for column in table.column_iter_mut().rev().skip(1) {
        column.set_padding((1, 0));
    }
    table
}

fn cell(row: &Row, column: Column) -> (&str, Option<Style>) {
    row.get(&column).map_or(("-", None), |(text, style)| (text, *style))
}

/// Aligned columns and nothing else.
fn plain(rows: &[Row], columns: &[Column]) -> String {
    let mut lines = vec![String::new(); rows.len() + 1];
    for column in columns {
        let cells: Vec<&str> =
            std::iter::once(column.heading()).chain(rows.iter().map(|row| cell(row, *column).0)).collect();
        let widest = cells.iter().map(|cell| width(cell)).max().unwrap_or(0);
        for (line, cell) in lines.iter_mut().zip(cells) {
            let filled = if column.is_number() { right(cell, widest) } else { left(cell, widest) };
            let gap = if line.is_empty() { "" } else { "  " };
            let _ = write!(line, "{gap}{filled}");
        }
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// What all slots together counted: the classes that occurred.
pub(super) fn sums(totals: &Counts, look: &Look) -> String {
    let count = |amount: u64| number(amount, look);
    let classes = [
        ("meter", totals.meter),
        ("keepalive", totals.keepalive),
        ("other", totals.other),
        ("malformed", totals.malformed),
        ("unknown sender", totals.unknown_sender),
        ("quarantined", totals.quarantined),
    ];
    let occurred = classes.into_iter().filter_map(|(name, number)| Some((name, number.filter(|n| *n > 0)?)));
    let classes: Vec<String> = occurred.map(|(name, number)| format!("{} {name}", count(number))).collect();
    let mut text = match totals.datagrams {
        Some(number) => format!("in all: {}", datagrams(number, look)),
        None => "in all: datagrams not known".to_owned(),
    };
    if !classes.is_empty() {
        let _ = write!(text, ": {}", classes.join(", "));
    }
    if let Some(dropped) = totals.dropped {
        let dropped_text = format!("{} dropped by the kernel", count(dropped));
        let painted = if dropped > 0 { look.paint(Style::Yellow, &dropped_text) } else { dropped_text };
        let _ = write!(text, "; {painted}");
    }
    text + "\n"
}

/// What deserves a line of its own.
pub(super) fn notices(cluster: &Cluster, look: &Look) -> String {
    let mut text = String::new();
    if let Some(reload) =
        cluster.last_reload.as_ref().filter(|reload| !matches!(reload.result.as_str(), "done" | "running"))
    {
        let why = reload.error.as_deref().map(|why| format!(": {}", clean_lines(why))).unwrap_or_default();
        let line = format!("last reload {} (generation {}){why}", clean(&reload.result), reload.generation);
        let _ = writeln!(text, "{}", look.paint(Style::Red, &line));
    }
    if cluster.retired_queue_bytes > 0 {
        let line = format!(
            "{} wait in retired slots, unread until those come back",
            bytes(cluster.retired_queue_bytes)
        );
        let _ = writeln!(text, "{}", look.paint(Style::Yellow, &line));
    }
    for stranger in &cluster.strangers {
        let _ =
            writeln!(text, "{}", look.paint(Style::Yellow, &format!("also on the port: {}", who(stranger))));
    }
    text
}

fn datagrams(amount: u64, look: &Look) -> String {
    format!("{} datagram{}", number(amount, look), if amount == 1 { "" } else { "s" })
}

/// Where datagrams lie that killed workers, if there are any.
pub(super) fn quarantine(list: &List, dir: &Path, look: &Look) -> String {
    let Some(number) = list.cluster.totals.quarantined.filter(|number| *number > 0) else {
        return String::new();
    };
    let place = clean(&dir.join(QUARANTINE).display().to_string());
    look.paint(Style::Yellow, &format!("{} in quarantine: {place}", datagrams(number, look))) + "\n"
}

pub(super) fn who(stranger: &Stranger) -> String {
    let name = stranger.name.as_deref().map_or_else(|| "a process".into(), clean);
    let pid = stranger.pid.map_or_else(|| "pid hidden".into(), |pid| format!("pid {pid}"));
    format!("{name} ({pid}, uid {})", stranger.uid)
}
