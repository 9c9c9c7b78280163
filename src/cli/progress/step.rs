//! From what a supervisor says of itself to the line that tells what is waited for. Pure.

use std::time::{Duration, Instant};

use contract::counted;

use crate::cli::error::numbered;
use crate::cli::text::{clean, cut, span, width};
use crate::wire::{Heir, List};

/// Columns that stay free: where the line ends the terminal shows `^C`, and the last one would make it go to its next line.
const MARGIN: usize = 3;

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Wait {
    /// A supervisor in the background, of this pid, that comes online.
    Start(u32),
    /// Another generation.
    Reload,
    /// Another supervisor, and then another generation.
    Upgrade,
    /// The end of every process.
    Stop,
    /// Others in these slots; none named: in every worker's.
    Restart(Vec<String>),
    /// More or fewer workers.
    Scale,
    /// `wait --for online`.
    Online,
    /// `wait --for stopped`.
    Stopped,
}

impl Wait {
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Wait::Start(_) => "start",
            Wait::Reload => "reload",
            Wait::Upgrade => "upgrade",
            Wait::Stop => "stop",
            Wait::Restart(_) => "restart",
            Wait::Scale => "scale",
            Wait::Online | Wait::Stopped => "wait",
        }
    }

    /// Whether how far it is shows only beside how it was before.
    pub(super) fn compares(&self) -> bool {
        matches!(self, Wait::Upgrade | Wait::Restart(_))
    }
}

/// What was seen of the supervisor last.
pub(super) enum Sight {
    /// What it says of itself.
    List(Box<List>),
    /// It has a control socket, and does not answer there.
    Silent(Silence),
    /// There is none.
    Nobody,
    /// Nothing that says anything: it was not looked yet, or that failed.
    Nothing,
}

/// A supervisor that does not answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    pub(super) pid: Option<u32>,
    /// It stands still.
    pub(super) stopped: bool,
    /// When the first question was asked that it left without an answer.
    pub(super) since: Instant,
}

impl Sight {
    pub(super) fn list(&self) -> Option<&List> {
        match self {
            Sight::List(list) => Some(list),
            Sight::Silent(_) | Sight::Nobody | Sight::Nothing => None,
        }
    }

    pub(super) fn silence(&self) -> Option<Silence> {
        match self {
            Sight::Silent(silence) => Some(*silence),
            Sight::List(_) | Sight::Nobody | Sight::Nothing => None,
        }
    }
}

/// What is waited for, how it was before, and what was told last.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Course {
    wait: Wait,
    before: Option<List>,
    last: Option<String>,
}

impl Course {
    /// `before`: what there was before the order was given, where that is known.
    pub(in crate::cli) fn new(wait: Wait, before: Option<List>) -> Course {
        Course { wait, before, last: None }
    }

    /// The line for what there is `now`, in less than `columns`: the last one would make a terminal go to its next line.
    /// Where there is nothing to see it is still what it was last.
    pub(super) fn line(
        &mut self,
        sight: &Sight,
        begun: Instant,
        now: Instant,
        columns: usize,
    ) -> Option<String> {
        let step = match sight {
            Sight::List(list) => self.step(list),
            Sight::Silent(silence) => Some(unanswered(silence, now)),
            Sight::Nobody => self.nobody(),
            Sight::Nothing => None,
        };
        self.last = step.or(self.last.take());
        Some(self.told(self.last.as_ref()?, now.saturating_duration_since(begun), columns))
    }

    /// A step as a line, after so much time.
    pub(in crate::cli) fn told(&self, step: &str, waited: Duration, columns: usize) -> String {
        let text = format!("{}: {step}", self.wait.verb());
        let time = format!(" ({})", time(waited));
        let room = columns.saturating_sub(MARGIN);
        cut(&(cut(&text, room.saturating_sub(width(&time))) + &time), room)
    }

    /// One that has gone leaves the line as it is: that is told by how the command ends.
    fn nobody(&self) -> Option<String> {
        match self.wait {
            _ if self.last.is_some() => None,
            Wait::Start(pid) => Some(format!("the supervisor (pid {pid}) has not answered yet")),
            Wait::Online => Some("no cluster is there yet".into()),
            Wait::Reload | Wait::Upgrade | Wait::Stop | Wait::Restart(_) | Wait::Scale | Wait::Stopped => {
                None
            }
        }
    }

    /// How far it is, as `list` shows it; None where that shows nothing.
    pub(in crate::cli) fn step(&self, list: &List) -> Option<String> {
        let rows = rows(list);
        match &self.wait {
            // Somebody else's cluster is there, and ours is about to say so.
            Wait::Start(pid) if list.cluster.pid != *pid => None,
            Wait::Start(_) => Some(coming(list, &rows)),
            Wait::Online => Some(format!("it is {}; {}", clean(&list.cluster.state), coming(list, &rows))),
            Wait::Stop => Some(leaving(&rows)),
            Wait::Stopped if list.cluster.state == "stopping" => Some(leaving(&rows)),
            Wait::Stopped => Some(format!("it is {}", clean(&list.cluster.state))),
            Wait::Reload => Some(reload(list, &rows)),
            // Without a before it cannot be told what is done of these.
            Wait::Upgrade => self.before.as_ref().map(|before| upgrade(before, list, &rows)),
            Wait::Restart(ids) => self.before.as_ref().map(|before| restart(before, ids, &rows)),
            Wait::Scale => Some(scale(list, &rows)),
        }
    }
}

/// A slot, of a worker or of a role.
struct Row<'a> {
    worker: bool,
    id: String,
    pid: Option<u32>,
    state: &'a str,
    health_asked: bool,
    heir: Option<&'a Heir>,
    leaving: &'a [u32],
}

fn rows(list: &List) -> Vec<Row<'_>> {
    let workers = list.workers.iter().map(|it| Row {
        worker: true,
        id: it.id.to_string(),
        pid: it.pid,
        state: &it.state,
        health_asked: it.health_asked,
        heir: it.heir.as_ref(),
        leaving: &it.leaving,
    });
    let roles = list.roles.iter().map(|it| Row {
        worker: false,
        id: clean(&it.name),
        pid: it.pid,
        state: &it.state,
        health_asked: false,
        heir: it.heir.as_ref(),
        leaving: &it.leaving,
    });
    workers.chain(roles).collect()
}

impl Row<'_> {
    fn name(&self) -> String {
        if self.worker { format!("worker {}", self.id) } else { self.id.clone() }
    }

    /// What it has to do yet until one process of it is online, and no other is left.
    fn late(&self) -> Option<String> {
        match self.leaving.first() {
            _ if self.state != "online" => {
                Some(format!("{} {}", self.name(), state(self.state, self.health_asked)))
            }
            Some(pid) => Some(format!("{}: pid {pid} leaving", self.name())),
            None => None,
        }
    }

    fn processes(&self) -> usize {
        usize::from(self.pid.is_some()) + usize::from(self.heir.is_some()) + self.leaving.len()
    }
}

fn state(state: &str, health_asked: bool) -> String {
    if health_asked { "in health check".into() } else { clean(state) }
}

/// What is done, and who holds up the rest.
fn with(done: String, held_up: Vec<String>) -> String {
    let more = match held_up.len() {
        0 | 1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    match held_up.into_iter().next() {
        Some(first) => format!("{done}; {first}{more}"),
        None => done,
    }
}

fn online(list: &List) -> String {
    let online = list.workers.iter().filter(|it| it.state == "online").count();
    format!("{online} of {} online", counted(list.cluster.workers_wanted.into(), "worker"))
}

fn coming(list: &List, rows: &[Row<'_>]) -> String {
    with(online(list), rows.iter().filter_map(Row::late).collect())
}

fn leaving(rows: &[Row<'_>]) -> String {
    let left: usize = rows.iter().map(Row::processes).sum();
    if left == 0 {
        return "the supervisor is about to leave".into();
    }
    let held_up = rows.iter().filter(|row| row.processes() > 0);
    let name = |row: &Row<'_>| match row.pid.or(row.leaving.first().copied()) {
        Some(pid) => format!("{} pid {pid}", row.name()),
        None => row.name(),
    };
    with(format!("{} left", counted(left as u64, "process")), held_up.map(name).collect())
}

fn upgrade(before: &List, list: &List, rows: &[Row<'_>]) -> String {
    if before.cluster.upgrades < list.cluster.upgrades {
        return reload(list, rows);
    }
    match list.cluster.state.as_str() {
        "reloading" => "it waits until the cluster is not reloading any more".into(),
        // Of a first start or of a worker alone, which is not waited for: nothing here tells.
        "launching" => "the binary on disk is checked; a first start under way comes before it".into(),
        _ => "the binary on disk is checked".into(),
    }
}

fn restart(before: &List, ids: &[String], rows: &[Row<'_>]) -> String {
    let meant = |row: &&Row<'_>| if ids.is_empty() { row.worker } else { ids.contains(&row.id) };
    let old: Vec<u32> = self::rows(before).iter().filter_map(|row| row.pid).collect();
    let late = |row: &&Row<'_>| {
        row.late().or_else(|| {
            let same = row.pid.is_some_and(|pid| old.contains(&pid));
            same.then(|| format!("{} about to be stopped", row.name()))
        })
    };
    let meant: Vec<&Row<'_>> = rows.iter().filter(meant).collect();
    let held_up: Vec<String> = meant.iter().filter_map(late).collect();
    let done = meant.len() - held_up.len();
    with(format!("{done} of {} restarted", meant.len()), held_up)
}

fn scale(list: &List, rows: &[Row<'_>]) -> String {
    if list.cluster.state == "reloading" {
        return "it waits until the reload under way is over".into();
    }
    let surplus = list.workers.iter().filter(|it| u32::from(it.id) >= list.cluster.workers_wanted).count();
    let done = match surplus {
        0 => online(list),
        many => format!("{} too many", counted(many as u64, "worker")),
    };
    with(done, rows.iter().filter(|row| row.worker).filter_map(Row::late).collect())
}

fn reload(list: &List, rows: &[Row<'_>]) -> String {
    let running = list.cluster.last_reload.as_ref().filter(|last| last.result == "running");
    let Some(generation) = running.map(|last| last.generation) else {
        return "it is about to begin".into();
    };
    let step = if list.cluster.state == "launching" {
        with("it waits until the cluster has started".into(), rows.iter().filter_map(Row::late).collect())
    } else if list.cluster.generation < generation {
        successors(rows, generation)
    } else {
        let late: Vec<String> = rows.iter().filter_map(Row::late).collect();
        // An older supervisor does not tell who leaves.
        let rest = if late.is_empty() { "; what it replaced is leaving" } else { "" };
        with(format!("in force{rest}"), late)
    };
    format!("generation {generation}: {step}")
}

fn successors(rows: &[Row<'_>], generation: u32) -> String {
    let of_it = |row: &Row<'_>| row.heir.filter(|heir| heir.generation == generation).cloned();
    // A slot that the generation adds has nobody until the one before it is bound.
    let begins = |row: &Row<'_>| row.heir.is_none() && row.pid.is_none() && row.state == "launching";
    let (mut ready, mut held_up) = (0, Vec::new());
    for row in rows {
        match of_it(row) {
            Some(heir) if heir.state == "online" => ready += 1,
            Some(heir) => {
                held_up.push(format!("{} {}", row.name(), state(&heir.state, heir.health_asked)));
            }
            None if begins(row) => held_up.push(format!("{} about to be launched", row.name())),
            None => {}
        }
    }
    let all = ready + held_up.len();
    if all == 0 {
        "it waits for its turn".into()
    } else {
        with(format!("{ready} of {} ready", counted(all as u64, "successor")), held_up)
    }
}

fn unanswered(silence: &Silence, now: Instant) -> String {
    let (pid, time) = (numbered(silence.pid), span(now.saturating_duration_since(silence.since)));
    if silence.stopped {
        format!("the supervisor{pid} is stopped: no answer for {time}")
    } else {
        format!("the supervisor{pid} has not answered for {time}")
    }
}

fn time(waited: Duration) -> String {
    if waited < Duration::from_secs(60) { format!("{:.1} s", waited.as_secs_f64()) } else { span(waited) }
}
