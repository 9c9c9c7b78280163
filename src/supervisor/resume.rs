//! A supervisor that goes on where another one of the same process stopped: freeze before the exec, thaw after it.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, RawFd};

use super::above::Above;
use super::blame::Blames;
use super::children::Children;
use super::closing::Closing;
use super::control::Control;
use super::desk::Asker;
use super::generations::Generations;
use super::handover::{self, FrozenPath, Packing, State, Unpacking, VARIABLE};
use super::health::Health;
use super::kept::Kept;
use super::limits::Room;
use super::log_writer::Sink;
use super::logs::Logs;
use super::quarantine::Quarantine;
use super::rest::Rest;
use super::runtime::RuntimeDir;
use super::{HELPERS, Shell, Source, Start, launcher, log_writer, news, signals};
use crate::core::Event;
use crate::exit;
use crate::roles::Roles;
use crate::wire::Trouble;

/// The descriptor of the state that was handed over to us, if one was.
pub(super) fn state() -> Option<RawFd> {
    let text = std::env::var(VARIABLE).ok()?;
    let (pid, number) = text.split_once(':')?;
    // To this process: the variable may have strayed into another one.
    (pid == std::process::id().to_string()).then_some(())?;
    number.parse().ok()
}

impl Shell {
    /// Everything, as the next supervisor needs it.
    pub(super) fn freeze(&self, upgrading: &[Asker]) -> (State, Packing<'_>) {
        let mut packing = Packing::default();
        let mut state = State {
            version: env!("CARGO_PKG_VERSION").into(),
            roles: self.roles.beside.iter().map(|beside| beside.role.name.to_owned()).collect(),
            descriptors: Vec::new(),
            runtime_dir: FrozenPath::of(self.runtime.folder()),
            runtime_lock: packing.pack(self.runtime.lock()),
            config_file: self.source.file.as_deref().map(FrozenPath::of),
            binary: FrozenPath::of(&self.binary),
            started: self.started,
            started_at: self.started_at.clone(),
            upgrades: self.upgrades,
            unwritten: self.log.unwritten(),
            fleet: self.fleet.clone(),
            generations: self.generations.freeze(&mut packing),
            children: self.children.freeze(&mut packing),
            kept: self.kept.freeze(&mut packing),
            memo: self.kept.above.memo(),
            logs: self.logs.as_ref().map(|logs| logs.freeze(&mut packing)),
            control: self.control.freeze(&mut packing),
            desk: self.desk.clone(),
            blames: self.blames.freeze(),
            last_exits: self.last_exits.iter().map(|(&slot, exit)| (slot, exit.clone())).collect(),
            last_reload: self.last_reload.clone(),
            unborn: self.unborn.iter().copied().collect(),
            upgrading: upgrading.to_vec(),
        };
        state.descriptors = packing.numbers();
        (state, packing)
    }

    /// Goes on from the state in that descriptor.
    pub(super) fn resume(state: RawFd, start: Start, roles: &'static Roles) -> Result<Shell, Trouble> {
        // The check has read all of it before: what fails here is a mistake of ours, and the end.
        Shell::thaw(state, start, roles).map_err(|e| Trouble {
            message: format!("cannot go on from the state of the supervisor before: {e}"),
            hint: Some("start the cluster again".into()),
            exit: exit::FAILED,
        })
    }

    fn thaw(state: RawFd, start: Start, roles: &'static Roles) -> io::Result<Shell> {
        sys::process::set_name(c"atlas-cluster");
        let text = handover::unsealed(File::open(format!("/proc/self/fd/{state}"))?.as_fd())?;
        let frozen = State::read(&text).map_err(io::Error::other)?;
        let mut fds = Unpacking::new(&[&frozen.descriptors[..], &[state]].concat())?;
        drop(fds.take(state)?);
        let runtime = RuntimeDir::claimed_before(frozen.runtime_dir.0, fds.take(frozen.runtime_lock)?);
        let mut above = Above::from_environment();
        above.go_on_from(&frozen.memo);
        above.was_ready_before(); // we are replaced at a steady moment
        let generations = Generations::thaw(frozen.generations, &mut fds)?;
        let in_force = generations.get(frozen.fleet.generation());
        let config = in_force.map(|made| made.config.clone()).unwrap_or_default();
        let logs = frozen.logs.map(|logs| Logs::thaw(logs, roles, &mut fds)).transpose()?;
        let sink = Sink::of(logs.as_ref())?;
        let log = log_writer::init(start.log_level, frozen.unwritten, sink, config.log.format)?;
        let poll = mio::Poll::new()?;
        let registry = poll.registry();
        let mut shell = Shell {
            fleet: frozen.fleet,
            events: [Event::Clock].into(),
            actions: Vec::new(),
            unborn: frozen.unborn.into(),
            unsteered: None,
            closing: Closing::new(mio::Waker::new(registry, HELPERS)?),
            room: Room::make(config.listen.len(), config.logs_to_files()),
            verdict: None,
            children: Children::thaw(runtime.notify(), frozen.children, &mut fds, registry)?,
            // Whoever died meanwhile: his signal may have been taken before the exec.
            more_dead: true,
            kept: Kept::thaw(frozen.kept, &config, roles, &mut fds, above)?,
            bound: VecDeque::new(),
            generations,
            control: Control::thaw(frozen.control, &mut fds, registry)?,
            desk: frozen.desk,
            // From now on we hear them: whatever came since the freeze was kept for us.
            signals: signals(registry)?,
            poll,
            source: Source { overrides: start.overrides, file: frozen.config_file.map(|path| path.0) },
            roles,
            blames: Blames::thaw(frozen.blames),
            quarantine: Quarantine::new(runtime.quarantine()),
            last_exits: frozen.last_exits.into_iter().collect(),
            health: Health::default(), // tries were ended before the exec; the fleet knows who is to be asked about
            news: news::Reporter::default(),
            last_reload: frozen.last_reload,
            scaled_before: None, // we are replaced at a steady moment: it is reached
            next_memory_look: std::time::Instant::now(),
            rest: Rest::default(),
            started: frozen.started,
            started_at: frozen.started_at,
            binary: frozen.binary.0,
            upgrade: None,
            upgrades: frozen.upgrades + 1,
            detached: config.daemon,
            starter: None,
            logs,
            log,
            runtime,
        };
        // What may still be on its way to a slot is not known any more: it may be any slot.
        shell.closing.assume_steered(shell.kept.bound_slots());
        if let Some((bound, mask)) = shell.kept.ordered_steering() {
            shell.steer(bound, mask);
        }
        let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
        log::info!("upgraded from version {} to version {version}, still pid {pid}", frozen.version);
        shell.reload(frozen.upgrading);
        Ok(shell)
    }
}

/// Run in the place of a supervisor that might be replaced: says whether we could take over from it, and how.
pub(crate) fn check(roles: &Roles) -> u8 {
    let mut contract = match contract::Contract::from_environment() {
        Ok(contract) => contract,
        Err(failure) => {
            let hint = format!("a supervisor uses {} at an upgrade", super::upgrade::CHECK);
            return launcher::misused(&failure, &hint);
        }
    };
    #[cfg(feature = "next")]
    let roles = &rehearse(roles);
    let mut reason = "nothing was offered".to_owned();
    for &format in handover::FORMATS {
        // One that we know and the other does not write is not there.
        let Ok(offer) = contract.take(&format!("state{format}")) else { continue };
        let fits = handover::unsealed(offer.as_fd())
            .map_err(|e| e.to_string())
            .and_then(|text| State::read(&text))
            .and_then(|state| state.fits(roles));
        match fits {
            Ok(()) => {
                contract.notify.takeover(format);
                return exit::DONE;
            }
            Err(why) => reason = why,
        }
    }
    contract.notify.failed(&contract::Failure { what: reason, errno: 0 });
    exit::FAILED
}

/// The second build fails as a test orders it: by a file beside the binary.
#[cfg(feature = "next")]
fn rehearse(roles: &Roles) -> Roles {
    let mut beside = roles.beside;
    let fault = std::env::current_exe().and_then(|exe| std::fs::read_to_string(exe.with_extension("fault")));
    match fault.unwrap_or_default().trim() {
        "hang" => loop {
            std::thread::park();
        },
        "die" => std::process::abort(),
        "forget-roles" => beside = &[],
        _ => {}
    }
    Roles { beside, ..*roles }
}
