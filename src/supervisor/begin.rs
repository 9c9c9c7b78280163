//! The first moment: what is taken up, and what is made.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::time::Instant;

use contract::counted;
use mio::{Poll, Waker};

use super::above::{Above, Found};
use super::blame::Blames;
use super::children::Children;
use super::closing::Closing;
use super::control::Control;
use super::desk::Desk;
use super::generations::{self, Generations, Source};
use super::health::Health;
use super::kept::{self, Kept};
use super::limits::{self, Room, warn_of_memlock};
use super::log_folder::{self, LogFolder};
use super::log_writer::{self, LogWriter, Sink};
use super::logs::Logs;
use super::quarantine::Quarantine;
use super::rest::Rest;
use super::runs_as;
use super::runtime::RuntimeDir;
use super::starter::Starter;
use super::{HELPERS, Shell, Start, cannot_start, clock, config_trouble, news, signals};
use crate::config::Config;
use crate::core::{Event, Fleet};
use crate::exit;
use crate::roles::Roles;
use crate::wire::Trouble;

impl Shell {
    /// A cluster in which nothing runs yet.
    pub(super) fn begin(start: Start, roles: &'static Roles) -> Result<Shell, Trouble> {
        // Before anything is opened: from then on a number may be ours.
        let mut found = Found::from_environment(kept::shared_names(roles)).map_err(|e| not_passed(&e))?;
        let source = Source { overrides: start.overrides, file: start.file };
        let loaded = source.load().map_err(|e| config_trouble(&e))?;
        // A reload finds the same file again, wherever the working directory is by then.
        let source = Source { file: loaded.file, ..source };
        found.set_bound_aside(&loaded.config)?;
        let room = Room::make(loaded.config.listen.len(), loaded.config.logs_to_files());
        room.refuse(loaded.config.workers).map_or(Ok(()), Err)?;
        limits::too_low(&loaded.config, roles).map_or(Ok(()), Err)?;
        runs_as::powerless(&loaded.config.worker).map_or(Ok(()), Err)?;
        let runtime = RuntimeDir::claim(&start.runtime_dir)?;
        let log_folder = log_folder::prepare(runtime.folder(), &loaded.config)?;
        let folder = log_folder.as_ref().map(|folder| folder.path.clone());
        let failed = |e| cannot_start(&e);
        let starter = start.background.then(|| folder.clone().map(Starter::meet)).flatten();
        let starter = starter.transpose().map_err(failed)?;
        let logs = folder.as_ref().map(|_| Logs::new(roles)).transpose().map_err(failed)?;
        let sink = Sink::of(logs.as_ref()).map_err(failed)?;
        let log = log_writer::init(start.log_level, 0, sink, loaded.config.log.format).map_err(failed)?;
        let mut shell =
            Shell::new(runtime, log, source, loaded.config, roles, room, found).map_err(failed)?;
        shell.logs = logs;
        log_folder.iter().for_each(LogFolder::tell);
        shell.leave_terminal(starter, folder.as_deref()).map_err(failed)?;
        shell.remember();
        shell.scale_as_before();
        Ok(shell)
    }

    /// In the background; in the foreground one line says where the others go.
    fn leave_terminal(&mut self, starter: Option<Starter>, folder: Option<&Path>) -> io::Result<()> {
        match (&starter, self.logs.as_ref().and_then(Logs::own_output), folder) {
            (Some(starter), Some(output), _) => starter.detach(output)?,
            (None, Some(_), Some(folder)) => {
                crate::complain(&format!(
                    "atlas-cluster: log lines go to {}; `atlas-cluster logs -f` shows them\n",
                    folder.display()
                ));
            }
            _ => {}
        }
        self.detached = starter.is_some();
        self.starter = starter;
        Ok(())
    }

    fn new(
        runtime: RuntimeDir,
        log: LogWriter,
        source: Source,
        config: Config,
        roles: &'static Roles,
        room: Room,
        mut found: Found,
    ) -> io::Result<Shell> {
        let poll = Poll::new()?;
        let signals = signals(poll.registry())?;
        let plan = generations::plan(&config, roles);
        let workers = roles.of_workers(&config);
        let bound_for_us = found.bound_for_us();
        let memo = found.take_memo().unwrap_or_default();
        let mut kept = Kept::new(roles, &config, &mut found, Above::from_environment())?;
        kept.recall_dropped(&memo.dropped);
        kept.above.go_on_from(&memo);
        found.leftovers().into_iter().for_each(|name| kept.above.forget(name));
        let scaled_before = memo.scaled(config.workers);
        let generations = Generations::new(config, memo.generation)?;
        let bound = kept.bound_slots();
        tell_of_found(bound_for_us, bound, memo.stopped);
        if let Some(seat) = workers.seat {
            warn_of_memlock(seat.bytes);
        }
        let mut closing = Closing::new(Waker::new(poll.registry(), HELPERS)?);
        closing.assume_steered(bound);
        Ok(Shell {
            fleet: Fleet::new(generations.last(), plan).with_room(room.workers()).adopting(bound),
            bound: VecDeque::new(),
            events: VecDeque::from([Event::Clock]),
            actions: Vec::new(),
            unborn: VecDeque::new(),
            unsteered: None,
            closing,
            verdict: None,
            children: Children::new(runtime.notify())?,
            more_dead: false,
            kept,
            quarantine: Quarantine::new(runtime.quarantine()),
            control: Control::new(runtime.control()?, poll.registry())?,
            generations,
            room,
            desk: Desk::default(),
            poll,
            signals,
            source,
            roles,
            last_exits: BTreeMap::new(),
            health: Health::default(),
            blames: Blames::default(),
            news: news::Reporter::default(),
            last_reload: memo.last_reload(),
            scaled_before,
            next_memory_look: Instant::now(),
            rest: Rest::default(),
            started: clock::now(),
            started_at: format!("{:.0}", jiff::Timestamp::now()),
            binary: std::env::current_exe()?,
            upgrade: None,
            upgrades: memo.upgrades,
            detached: false,
            starter: None,
            logs: None,
            log,
            runtime,
        })
    }
}

fn not_passed(why: &io::Error) -> Trouble {
    Trouble {
        message: format!("cannot take over the descriptors that LISTEN_FDS promises: {why}"),
        hint: Some("whoever sets LISTEN_FDS and LISTEN_PID passes them from 3 on; else unset both".into()),
        exit: exit::FAILED,
    }
}

/// What of others is gone on with.
fn tell_of_found(bound_for_us: usize, bound: u8, stopped: bool) {
    let slots = counted(u64::from(bound), "slot");
    if bound_for_us > 0 {
        let sockets = counted(bound_for_us as u64, "socket");
        log::info!("whoever started us has bound {sockets} for us: taken up");
    } else if bound > 0 && stopped {
        log::info!("the store has kept sockets and counters of {slots} since the stop: they are taken up");
    } else if bound > 0 {
        log::warn!("a supervisor before us is gone: its sockets and counters are taken up, {slots}");
    }
}
