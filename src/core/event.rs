//! The words between shell and core: names, events, actions.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The most workers a fleet may have: the steering mask is one 64-bit word.
pub(crate) const MAX_WORKERS: u8 = 64;

/// Nanoseconds of a monotonic clock, told by the shell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tick(pub(crate) u64);

impl Tick {
    /// This much later; never wraps.
    pub(crate) fn after(self, wait: Duration) -> Tick {
        Tick(self.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time passed since `earlier`; zero if that lies ahead.
    pub(crate) fn since(self, earlier: Tick) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// One process for all time: given at spawn, never used again, so that late news names nobody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Run(pub(crate) u64);

/// A configuration that was accepted, numbered by the shell, each higher than those before; the first is 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Generation(pub(crate) u32);

/// Who asked. Every order is answered exactly once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Ticket(pub(crate) u64);

/// A seat for one process at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub(crate) enum Slot {
    /// A worker; its number is its place in the reuseport group.
    Worker(u8),
    /// A role outside the group; its number is an index in the shell's table of roles.
    Role(u8),
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::Worker(index) => write!(f, "worker {index}"),
            Slot::Role(index) => write!(f, "role {index}"),
        }
    }
}

/// Which roles are wanted: bit k is `Slot::Role(k)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RoleSet(pub(crate) u32);

impl RoleSet {
    /// Whether role `index` is wanted.
    pub(crate) fn has(self, index: u8) -> bool {
        index < 32 && self.0 >> index & 1 == 1
    }

    /// The roles' slots, in order.
    pub(crate) fn slots(self) -> impl Iterator<Item = Slot> {
        (0..32).filter(move |&index| self.has(index)).map(Slot::Role)
    }
}

/// How processes of one kind are treated.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Policy {
    /// Not READY this long after its spawn: failed.
    pub(crate) listen_timeout: Duration,
    /// Still there this long after TERM: KILL.
    pub(crate) kill_timeout: Duration,
    /// Online for this long: a stable run.
    pub(crate) min_uptime: Duration,
    /// The wait after the first unstable exit; zero: always at once.
    pub(crate) backoff_start: Duration,
    /// The longest wait.
    pub(crate) backoff_max: Duration,
    /// Unstable exits in a row before the slot is given up; 0: never.
    pub(crate) max_restarts: u32,
    /// Silent for this long: KILL.
    pub(crate) watchdog: Option<Duration>,
    /// One that says no READY counts as READY once it has lived for `min_uptime` with its slot bound.
    #[serde(default)]
    pub(crate) mute: bool,
    /// One that says READY, or that is mute and whose slot is bound, has to be `Healthy`, too; its life alone proves
    /// nothing then.
    #[serde(default)]
    pub(crate) checked: bool,
}

/// What a generation asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Workers as the configuration names them, 1 … `MAX_WORKERS`. What `scale` set stands above it until
    /// a reload brings another number.
    pub(crate) workers: u8,
    /// Roles beside the workers.
    pub(crate) roles: RoleSet,
    /// The one of them that leaves last at a stop: when everybody else has.
    #[serde(default)]
    pub(crate) last: Option<u8>,
    /// How workers are treated.
    pub(crate) worker: Policy,
    /// How roles are treated.
    pub(crate) role: Policy,
}

/// What happened. News of a run that is unknown (any more) is dropped without a word.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::large_enum_variant, reason = "events are few and never stored; a reload carries its plan")]
pub(crate) enum Event {
    /// The slot's sockets are bound, and the shell keeps them.
    Bound(Run),
    /// READY=1: it could take over.
    Ready(Run),
    /// Its health command says that it could. Whom to ask about, `unproven` tells.
    Healthy(Run),
    /// Its health command cannot be run at all: it will never be `Healthy`.
    NeverHealthy(Run),
    /// WATCHDOG=1.
    Alive(Run),
    /// It uses more memory than it may. Told again as long as it does.
    TooFat(Run),
    /// It was reaped, whatever ended it.
    Exited(Run),
    /// It was reaped, and ended as one that wants no replacement. One that was told to leave, or never was in charge, has
    /// just exited.
    Finished(Run),
    /// Answer to `Close`: nothing waits in the slot and nothing can arrive any more.
    Closed(Slot),
    /// Answer to `Close`: datagrams wait.
    StillQueued {
        /// Where.
        slot: Slot,
        /// How much the kernel holds in the slot's queues. None: they wait in the batch of a worker that died, and
        /// whoever dies in his turn may have come further there.
        bytes: Option<u64>,
    },
    /// Somebody wants something.
    Order(Ticket, Order),
    /// `deadline()` has come. Only this event judges deadlines, so that the shell can read what the
    /// children said before a late clock condemns them.
    Clock,
}

/// What may be asked of a fleet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// More or fewer workers.
    Scale(Scale),
    /// A new generation takes over, or nothing changes.
    Reload {
        /// Its number, higher than any before.
        generation: Generation,
        /// What it asks for.
        plan: Plan,
    },
    /// Stop and start these slots, at once; none named: every worker.
    Restart(Vec<Slot>),
    /// Everybody leaves.
    Stop {
        /// By KILL.
        now: bool,
    },
}

/// How many workers; relative to the number in force when the order's turn comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Scale {
    /// Exactly so many.
    To(u8),
    /// So many more, at most `MAX_WORKERS` in all.
    Up(u8),
    /// So many fewer, at least one left.
    Down(u8),
}

/// What the shell has to do, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Start a process. If that fails, `Exited` is the answer.
    Spawn {
        /// The seat it is meant for.
        slot: Slot,
        /// Its name from now on.
        run: Run,
        /// Whose configuration and image it gets.
        generation: Generation,
        /// It prepares to take over, beside a holder or in a slot that is to be.
        heir: bool,
    },
    /// Send a signal: TERM to the process, KILL to its group.
    Signal(Run, Sig),
    /// Attach the program for a group of `bound` members that steers to `mask`.
    Steer {
        /// Members of the group: slots 0 … bound - 1.
        bound: u8,
        /// Whom new datagrams go to; never empty, never beyond `bound`.
        mask: u64,
    },
    /// Close the slot if nothing waits there to be read; answered by `Closed` or `StillQueued`. A slot without sockets
    /// is `Closed`. No datagram is steered there from before this until after the answer. Its sockets may well stay:
    /// the slot's next process then finds them bound.
    Close(Slot),
    /// The slot is no more, though datagrams wait there; it was `StillQueued`. They are left to the slot's next process,
    /// where its sockets stay.
    Abandon(Slot),
    /// The one answer to an order.
    Answer(Ticket, Outcome),
    /// For log lines; never a decision.
    Tell(News),
    /// No process is left: the shell may leave. Said once, last of all.
    Gone(Verdict),
}

/// The two signals a fleet needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sig {
    /// Leave, please.
    Term,
    /// SIGKILL.
    Kill,
}

/// How an order ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It is reached.
    Done,
    /// It was tried; this is where it failed.
    Failed(Failure),
    /// It was not tried.
    Refused(Refusal),
    /// A later order overtook it.
    Superseded,
}

/// Who did not come up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Failure {
    /// It exited, or was killed.
    Died {
        /// Where.
        slot: Slot,
        /// Who.
        run: Run,
    },
    /// It was not READY in time, or is `NeverHealthy`.
    TooLate {
        /// Where.
        slot: Slot,
        /// Who.
        run: Run,
    },
}

/// Why an order is not even tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// No such worker or role is wanted.
    NoSuchSlot(Slot),
    /// Too many orders wait.
    TooMany,
    /// The fleet stops.
    Stopping,
    /// Not 1 … `MAX_WORKERS`.
    OutOfRange,
    /// So many workers are more than the shell has room for.
    NoRoom(u8),
}

/// How a fleet's life ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// By order.
    Stopped,
    /// The first start failed.
    NeverOnline(Failure),
}

/// One line for the log. `unstable` counts unplanned exits of unstable runs, in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum News {
    /// A holder is online: by its READY, or an heir by taking over.
    Online { slot: Slot, run: Run, generation: Generation },
    /// A worker has come to empty the queue of a retired slot.
    Drains { slot: Slot, run: Run },
    /// The first start is over; said once in a life.
    AllOnline,
    /// `run` ended after an unstable run; another follows after `delay`.
    Waiting { slot: Slot, run: Run, delay: Duration, unstable: u32 },
    /// `run` ended after a stable run; another follows at once.
    RestartNow { slot: Slot, run: Run },
    /// The slot is given up until a restart or a reload.
    Errored { slot: Slot, unstable: u32 },
    /// `run` ended as one that wants no replacement.
    Finished { slot: Slot, run: Run },
    /// The watchdog killed it.
    Silent { slot: Slot, run: Run },
    /// It was not READY in time, or is `NeverHealthy`, and was killed.
    TooLate { slot: Slot, run: Run },
    /// TERM was not enough, it was killed.
    KillTimeout { slot: Slot, run: Run },
    /// It uses too much memory: an heir is started.
    TooFat { slot: Slot, run: Run },
    /// Heirs are being prepared.
    ReloadStarted(Generation),
    /// The heirs have taken over.
    ReloadCommitted(Generation),
    /// The heirs are sent away; nobody else was touched.
    ReloadFailed(Generation),
    /// The slot is no more.
    Retired(Slot),
}
