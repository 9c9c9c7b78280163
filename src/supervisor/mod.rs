//! The supervisor: the only shell around the core. It performs what the core said, in that order.
//!
//! ```text
//!   epoll ──▶ what children said ──▶ who died ──▶ signals, requests ──▶ deadlines      (one turn, in this order)
//!                     └───────────────────┴─────── events ─────┴───────────┘
//!                                            core::Fleet
//!                     ┌──────────────────── actions ────────────────────┐
//!               children (fork, kill)   kept (steer, close)   desk (answers)   log
//! ```
//! One thread decides and acts. It never sleeps, never waits for a child or a terminal (but at its end for the log's last
//! lines, and for helpers that were killed), never maps a shared segment, never parses what came from the network. Files it
//! does read and make in the loop, and waits for their disk: those of the runtime directory, which as a rule lies in memory;
//! at a reload the configuration, /etc/passwd and /etc/group; at an upgrade the binary.

mod above;
mod act;
mod advice;
mod begin;
mod blame;
mod budget;
mod children;
mod clock;
mod closing;
mod control;
mod describe;
mod desk;
mod ears;
mod epilogue;
pub(crate) mod foreign;
mod generations;
mod handover;
mod health;
pub(crate) mod held;
mod helper;
mod image;
mod kept;
pub(crate) mod launcher;
pub(crate) mod limits;
pub(crate) mod log_folder;
mod log_writer;
mod logs;
mod news;
mod notify;
mod orders;
mod place;
pub(crate) mod probe;
mod pulse;
mod quarantine;
pub(crate) mod rehearsal;
mod rest;
pub(crate) mod resume;
pub(crate) mod runs_as;
pub(crate) mod runtime;
mod sharing;
mod signalling;
pub(crate) mod starter;
mod store;
mod tail;
pub(crate) mod upgrade;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use log::LevelFilter;
use mio::{Events, Interest, Poll, Registry, Token};
use nix::libc::{EAGAIN, EFBIG, EMFILE, ENFILE, ENOMEM};
use nix::sys::signal::SigSet;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};
use signal_hook_mio::v1_0::Signals;

use crate::config::{Config, Overrides};
use crate::core::{Action, Event, Fleet, Run, Slot, Tick, Verdict};
use crate::exit;
use crate::roles::Roles;
use crate::wire::{LastExit, LastReload, Trouble};
use blame::Blames;
use children::Children;
use closing::Closing;
use control::Control;
use desk::Desk;
use generations::{Generations, Source};
use health::Health;
use kept::Kept;
use limits::Room;
use log_writer::LogWriter;
use logs::Logs;
use quarantine::Quarantine;
use rest::Rest;
use runtime::RuntimeDir;
use starter::Starter;
use upgrade::Upgrade;

/// Token of the signals.
const SIGNALS: Token = Token(0);
/// Token by which helper threads wake the loop.
const HELPERS: Token = Token(2);
/// How often memory is looked at, where it has a limit.
const MEMORY_INTERVAL: Duration = Duration::from_secs(1);
/// Events taken from the poll in one turn.
const MAX_EVENTS: usize = 256;

/// What `start` was told.
pub(crate) struct Start {
    pub(crate) runtime_dir: PathBuf,
    pub(crate) log_level: LevelFilter,
    pub(crate) overrides: Overrides,
    pub(crate) file: Option<PathBuf>,
    /// Whether a command waits for our word.
    pub(crate) background: bool,
}

/// Runs a cluster until it is stopped; answers the exit code.
///
/// # Errors
/// Why it could not be started, for the user.
pub(crate) fn run(start: Start, roles: &'static Roles) -> Result<u8, Trouble> {
    sys::process::outlive_file_limit(); // log lines may go to a file
    sys::process::outlive_strays();
    let mut shell = match resume::state() {
        None => Shell::begin(start, roles)?,
        Some(state) => Shell::resume(state, start, roles)?,
    };
    let verdict = shell.serve().map_err(|e| Trouble {
        message: format!("the supervisor cannot wait for events: {e}"),
        hint: None,
        exit: exit::FAILED,
    })?;
    shell.children.end_helpers();
    match verdict {
        Verdict::Stopped => {
            log::info!("cluster stopped after {}", news::Short(clock::since(shell.started)));
            shell.write_last_lines();
            Ok(exit::DONE)
        }
        Verdict::NeverOnline(failure) => {
            let trouble = shell.first_start_failed(failure);
            if shell.logs.is_some() {
                log::error!("{}", trouble.message);
            }
            shell.write_last_lines();
            let Some(starter) = shell.starter.take() else { return Err(trouble) };
            starter.failed(&trouble);
            Ok(trouble.exit)
        }
    }
}

/// Why there is no room for the workers of a configuration, if there is none.
pub(crate) fn room(config: &Config) -> Option<Trouble> {
    Room::make(config.listen.len(), config.logs_to_files()).refuse(config.workers)
}

fn cannot_start(why: &io::Error) -> Trouble {
    let hint = match why.raw_os_error() {
        Some(EFBIG) => Some("its shared memory counts as files: raise the limit of their size (ulimit -f)"),
        Some(EAGAIN) => Some("raise the limit of processes and threads of this user (ulimit -u)"),
        Some(EMFILE | ENFILE) => Some("raise the limit of open descriptors (ulimit -n)"),
        Some(ENOMEM) => Some("free memory, or raise the limit of it (ulimit -v, the cgroup's memory.max)"),
        _ => None,
    };
    let (message, hint) = (format!("cannot start the supervisor: {why}"), hint.map(str::to_owned));
    Trouble { message, hint, exit: exit::FAILED }
}

/// A bad configuration: what is wrong with the line it quotes, then the way out.
fn config_trouble(why: &crate::config::ConfigError) -> Trouble {
    let text = why.render();
    let text = text.trim_end().trim_start_matches("atlas-cluster: ");
    let (message, hint) =
        text.rsplit_once("\nhint: ").map_or((text, None), |(text, hint)| (text, Some(hint)));
    Trouble { message: message.into(), hint: hint.map(str::to_owned), exit: exit::USAGE }
}

/// The core, and everything that it decides about.
struct Shell {
    fleet: Fleet,
    /// Events that arose while actions were performed.
    events: VecDeque<Event>,
    actions: Vec<Action>,
    /// Runs that could not be started, and when the core is told; in that order.
    unborn: VecDeque<(Tick, Run)>,
    /// Runs whose slots are bound; the core is told once the store above us has the sockets.
    bound: VecDeque<ears::Bound>,
    /// A steering program that the kernel refused, and when it is tried again.
    unsteered: Option<(Tick, u8, u64)>,
    closing: Closing,
    verdict: Option<Verdict>,
    poll: Poll,
    signals: Signals,
    children: Children,
    /// More may have died than were reaped in the last turn.
    more_dead: bool,
    kept: Kept,
    quarantine: Quarantine,
    generations: Generations,
    room: Room,
    control: Control,
    desk: Desk,
    source: Source,
    roles: &'static Roles,
    /// How the last process of each slot ended.
    last_exits: BTreeMap<Slot, LastExit>,
    health: Health,
    blames: Blames,
    news: news::Reporter,
    last_reload: Option<LastReload>,
    /// What `scale` had set when a supervisor before us died, until it is reached again.
    scaled_before: Option<u8>,
    next_memory_look: Instant,
    rest: Rest,
    started: Tick,
    /// The same by the wall clock: RFC 3339, UTC.
    started_at: String,
    /// Where our program lay when we were started.
    binary: PathBuf,
    /// The one under way.
    upgrade: Option<Upgrade>,
    /// How often we were replaced.
    upgrades: u32,
    /// We left the terminal.
    detached: bool,
    /// Whoever waits until we are online.
    starter: Option<Starter>,
    /// What processes print, where that goes to files.
    logs: Option<Logs>,
    /// Next to last: whoever sees that we are gone finds our last lines written.
    log: LogWriter,
    /// Last to go: its files say that we are here.
    runtime: RuntimeDir,
}

impl Shell {
    /// Turns until no process is left.
    fn serve(&mut self) -> io::Result<Verdict> {
        let mut events = Events::with_capacity(MAX_EVENTS);
        loop {
            self.settle();
            self.ask_about_health();
            if let Some(verdict) = self.verdict {
                return Ok(verdict);
            }
            let wait = self.wait();
            match self.poll.poll(&mut events, Some(wait)) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
                Ok(()) | Err(_) => {}
            }
            let mut signalled = false;
            for event in &events {
                match event.token() {
                    SIGNALS => signalled = true,
                    // Read when it has ended.
                    upgrade::LINE => {}
                    HELPERS => {} // what they have to tell is asked for in every turn
                    token if self.control.handle(token) => {}
                    token => self.hear(token),
                }
            }
            for run in self.children.unread() {
                self.hear_run(run);
            }
            self.reap();
            if signalled {
                self.take_signals();
            }
            self.take_requests();
            self.bury_unborn();
            self.tell_bound();
            self.steer_again();
            self.look_at_memory();
            self.judge_deadlines();
            self.advance_upgrade();
            self.kept.above.give_sign_of_life();
            self.rest.begin_if_due(clock::now());
        }
    }

    /// Lets the core see what happened and performs what follows, until nothing follows.
    fn settle(&mut self) {
        loop {
            self.close_retired();
            let Some(event) = self.events.pop_front() else { return };
            self.handle(clock::now(), event);
        }
    }

    fn handle(&mut self, now: Tick, event: Event) {
        self.rest.disturbed_by(&event, now);
        let mut actions = std::mem::take(&mut self.actions);
        self.fleet.handle(now, event, &mut actions);
        for action in &actions {
            self.perform(action);
        }
        actions.clear();
        self.actions = actions;
    }

    /// How long the poll may wait.
    fn wait(&self) -> Duration {
        let now = clock::now();
        let deadline = self.fleet.deadline().map(|deadline| deadline.since(now));
        let memory =
            self.memory_limit().map(|_| self.next_memory_look.saturating_duration_since(Instant::now()));
        let more = self.control.has_more() || self.more_dead || !self.children.unread().is_empty();
        let more = more.then_some(Duration::ZERO);
        let accept = self.control.deadline().map(|at| at.saturating_duration_since(Instant::now()));
        let unborn = self.unborn.front().map(|(due, _)| due.since(now));
        let unsteered = self.unsteered.map(|(due, ..)| due.since(now));
        let closing = self.closing.deadline().map(|due| due.saturating_duration_since(Instant::now()));
        let upgrade = self.upgrade_deadline().map(|until| until.since(now));
        let store = self.kept.above.deadline().map(|due| due.since(now));
        let rest = self.rest.deadline().map(|due| due.since(now));
        let health = self.health.deadline().map(|due| due.since(now));
        [deadline, memory, more, accept, unborn, unsteered, closing, upgrade, store, rest, health]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(Duration::from_secs(3600))
    }

    /// Judges deadlines only after everybody was heard, and by the time at which that began: a supervisor that was
    /// stopped for a while, at whatever line, must not take its own absence for a worker's silence.
    fn judge_deadlines(&mut self) {
        let now = clock::now();
        if self.fleet.deadline().is_some_and(|deadline| deadline <= now) {
            for run in self.children.runs() {
                self.hear_run(run);
            }
            self.settle();
            self.handle(now, Event::Clock);
        }
    }

    fn memory_limit(&self) -> Option<u64> {
        self.generations.get(self.fleet.generation())?.config.worker.max_memory_restart
    }

    fn look_at_memory(&mut self) {
        let Some(limit) = self.memory_limit() else { return };
        if Instant::now() < self.next_memory_look {
            return;
        }
        self.next_memory_look = Instant::now() + MEMORY_INTERVAL;
        for view in self.fleet.slots().filter(|view| matches!(view.slot, Slot::Worker(_))) {
            if let Some(run) = view.run
                && self.children.memory(run).is_some_and(|bytes| bytes > limit)
            {
                self.events.push_back(Event::TooFat(run));
            }
        }
    }

    /// Gives every kept socket the receive buffer of the generation in force. Launchers do it for new ones; a kept one
    /// follows a reload only once that is committed.
    fn size_buffers(&mut self) {
        let frozen = self.generations.get(self.fleet.generation());
        if let Some(wanted) = frozen.map(|frozen| frozen.config.receive_buffer)
            && let Some(granted) = self.kept.set_receive_buffer(wanted)
        {
            self.news.short_buffer(granted, wanted);
        }
    }

    /// Deals datagrams out as the generation in force says: with the commit, and not before.
    fn rebalance(&mut self) {
        let Some(frozen) = self.generations.get(self.fleet.generation()) else { return };
        let balance = frozen.config.balance;
        if self.kept.set_balance(balance) {
            log::info!("balance: {balance} from now on");
            if let Some((bound, mask)) = self.kept.ordered_steering() {
                self.steer(bound, mask);
            }
        }
    }

    /// `worker 2`, `simulator`.
    fn name(&self, slot: Slot) -> String {
        match slot {
            Slot::Worker(number) => format!("worker {number}"),
            Slot::Role(index) => self.roles.beside[usize::from(index)].role.name.to_owned(),
        }
    }
}

/// Handlers for everything that we are told by signals, in the place of whatever was inherited.
fn signals(registry: &Registry) -> io::Result<Signals> {
    let mut signals =
        Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2])?;
    registry.register(&mut signals, SIGNALS, Interest::READABLE)?;
    // Blocked since our first moment (`main`), and before an exec.
    SigSet::empty().thread_set_mask()?;
    Ok(signals)
}
