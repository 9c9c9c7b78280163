//! The supervisor: the only shell around the core. It performs what the core said, in that order.
//!
//! ```text
//!   epoll ──▶ what children said ──▶ who died ──▶ signals, requests ──▶ deadlines      (one turn, in this order)
//!                     └───────────────────┴─────── events ─────┴───────────┘
//!                                            core::Fleet
//!                     ┌──────────────────── actions ────────────────────┐
//!               children (fork, kill)   kept (steer, close)   desk (answers)   log
//! ```
//! One thread decides and acts. It never sleeps, never waits for a child, a disk or a terminal, never maps a shared
//! segment, never parses what came from the network.

mod act;
mod advice;
mod budget;
mod children;
mod control;
mod desk;
mod ears;
pub(crate) mod foreign;
mod generations;
mod kept;
pub(crate) mod launcher;
mod log;
mod news;
mod notify;
mod orders;
mod runtime;
mod store;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::log::LevelFilter;
use mio::{Events, Interest, Poll, Token};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};
use signal_hook_mio::v1_0::Signals;

use crate::config::{Config, Overrides};
use crate::core::{Action, Event, Fleet, Generation, Run, Slot, Tick, Verdict};
use crate::exit;
use crate::roles::Roles;
use crate::wire::{LastExit, LastReload, Trouble};
use children::Children;
use control::Control;
use desk::Desk;
use generations::{Generations, Source};
use kept::Kept;
use runtime::RuntimeDir;

/// Token of the signals.
const SIGNALS: Token = Token(0);
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
}

/// Runs a cluster until it is stopped; answers the exit code.
///
/// # Errors
/// Why it could not be started, for the user.
pub(crate) fn run(start: Start, roles: &'static Roles) -> Result<u8, Trouble> {
    let source = Source { overrides: start.overrides, file: start.file };
    let loaded = source.load().map_err(|e| config_trouble(&e))?;
    // A reload finds the same file again, wherever the working directory is by then.
    let source = Source { file: loaded.file, ..source };
    // Whoever started us may have had signals blocked, and that is inherited.
    let _ = SigSet::empty().thread_set_mask();
    descriptor_limit(&loaded.config)?;
    let runtime = RuntimeDir::claim(&start.runtime_dir)?;
    let _log = log::init(start.log_level).map_err(|e| cannot_start(&e))?;
    let mut shell = Shell::new(runtime, source, loaded.config, roles).map_err(|e| cannot_start(&e))?;
    let verdict = shell.serve().map_err(|e| Trouble {
        message: format!("the supervisor cannot wait for events: {e}"),
        hint: None,
        exit: exit::FAILED,
    })?;
    match verdict {
        Verdict::Stopped => {
            ::log::info!("cluster stopped after {}", news::Short(shell.epoch.elapsed()));
            Ok(exit::DONE)
        }
        Verdict::NeverOnline(failure) => Err(shell.first_start_failed(failure)),
    }
}

fn cannot_start(why: &io::Error) -> Trouble {
    Trouble { message: format!("cannot start the supervisor: {why}"), hint: None, exit: exit::FAILED }
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
    unborn: VecDeque<(Instant, Run)>,
    verdict: Option<Verdict>,
    poll: Poll,
    signals: Signals,
    children: Children,
    kept: Kept,
    generations: Generations,
    control: Control,
    desk: Desk,
    source: Source,
    roles: &'static Roles,
    /// How the last process of each slot ended.
    last_exits: BTreeMap<Slot, LastExit>,
    news: news::Reporter,
    last_reload: Option<LastReload>,
    next_memory_look: Instant,
    /// Time zero of the core's clock.
    epoch: Instant,
    started: jiff::Timestamp,
    /// To systemd, or to an outer cluster.
    upward: contract::Notify,
    /// Last to go: its files say that we are here.
    _runtime: RuntimeDir,
}

impl Shell {
    fn new(runtime: RuntimeDir, source: Source, config: Config, roles: &'static Roles) -> io::Result<Shell> {
        let poll = Poll::new()?;
        let mut signals =
            Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        let plan = generations::plan(&config, roles);
        if let Some(seat) = roles.of_workers(&config).seat {
            warn_of_memlock(seat.bytes as u64);
        }
        Ok(Shell {
            fleet: Fleet::new(Generation(1), plan),
            events: VecDeque::from([Event::Clock]),
            actions: Vec::new(),
            unborn: VecDeque::new(),
            verdict: None,
            children: Children::new(runtime.notify())?,
            kept: Kept::new(roles, config.listen.clone())?,
            control: Control::new(runtime.control()?, poll.registry())?,
            generations: Generations::new(config)?,
            desk: Desk::default(),
            poll,
            signals,
            source,
            roles,
            last_exits: BTreeMap::new(),
            news: news::Reporter::default(),
            last_reload: None,
            next_memory_look: Instant::now(),
            epoch: Instant::now(),
            started: jiff::Timestamp::now(),
            upward: contract::Notify::from_environment().unwrap_or_else(|failure| {
                ::log::warn!("whoever started us cannot be told how we are: {failure}");
                contract::Notify::nobody()
            }),
            _runtime: runtime,
        })
    }

    /// Turns until no process is left.
    fn serve(&mut self) -> io::Result<Verdict> {
        let mut events = Events::with_capacity(MAX_EVENTS);
        loop {
            self.settle();
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
            self.look_at_memory();
            self.judge_deadlines();
        }
    }

    /// Lets the core see what happened and performs what follows, until nothing follows.
    fn settle(&mut self) {
        while let Some(event) = self.events.pop_front() {
            self.handle(self.now(), event);
        }
    }

    fn handle(&mut self, now: Tick, event: Event) {
        let mut actions = std::mem::take(&mut self.actions);
        self.fleet.handle(now, event, &mut actions);
        for action in &actions {
            self.perform(action);
        }
        actions.clear();
        self.actions = actions;
    }

    fn now(&self) -> Tick {
        Tick(u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long the poll may wait.
    fn wait(&self) -> Duration {
        let now = self.now();
        let deadline = self.fleet.deadline().map(|deadline| deadline.since(now));
        let memory =
            self.memory_limit().map(|_| self.next_memory_look.saturating_duration_since(Instant::now()));
        let more = (self.control.has_more() || !self.children.unread().is_empty()).then_some(Duration::ZERO);
        let accept = self.control.deadline().map(|at| at.saturating_duration_since(Instant::now()));
        let unborn = self.unborn.front().map(|(due, _)| due.saturating_duration_since(Instant::now()));
        [deadline, memory, more, accept, unborn]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(Duration::from_secs(3600))
    }

    /// Judges deadlines only after everybody was heard, and by the time at which that began: a supervisor that was
    /// stopped for a while, at whatever line, must not take its own absence for a worker's silence.
    fn judge_deadlines(&mut self) {
        let now = self.now();
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

    /// `worker 2`, `simulator`.
    fn name(&self, slot: Slot) -> String {
        match slot {
            Slot::Worker(number) => format!("worker {number}"),
            Slot::Role(index) => self.roles.beside[usize::from(index)].role.name.to_owned(),
        }
    }
}

/// Raises the soft limit of descriptors to the hard one, and refuses to start where that is too low: what is kept for
/// each worker and its heir, clients, and what the process itself has open.
fn descriptor_limit(config: &Config) -> Result<(), Trouble> {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    let for_each_worker = config.listen.len() as u64 + 4;
    let needed = 32 + u64::from(config.workers) * for_each_worker;
    if hard < needed {
        let (workers, addresses) = (config.workers, config.listen.len());
        return Err(Trouble {
            message: format!(
                "{workers} workers on {addresses} addresses need {needed} descriptors, and the limit is {hard}"
            ),
            hint: Some("raise it (ulimit -n, LimitNOFILE=), or start fewer workers".into()),
            exit: exit::FAILED,
        });
    }
    if soft < hard {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    Ok(())
}

/// Workers lock their rings in memory where they may (mlock(2)); root may always.
fn warn_of_memlock(bytes: u64) {
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_MEMLOCK) else { return };
    if limit < bytes && !nix::unistd::geteuid().is_root() {
        ::log::warn!(
            "workers cannot lock their receive rings in memory: {bytes} bytes each, LimitMEMLOCK is {limit}"
        );
    }
}
