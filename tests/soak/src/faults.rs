//! The faults: what each is called, how it is performed, and what is to be seen of it afterwards.

use harness::Output;
use nix::sys::signal::Signal::{self, SIGHUP, SIGKILL, SIGSEGV, SIGSTOP, SIGTERM};

use crate::dice::Dice;
use crate::squatter::Loot;
use crate::stage::Stage;

/// A row of the table.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// What it changes for its time; nobody else may change that meanwhile.
    pub(crate) changes: Option<Thing>,
    pub(crate) perform: fn(&Stage, &mut Dice) -> Hit,
    /// Panics if the fault did not happen, or if what should follow does not. Not asked when it was one of two.
    pub(crate) expect: fn(&Stage, &Hit),
}

/// What there is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    /// The configuration file.
    Config,
    /// The folder of faults that new processes are to have.
    Orders,
    /// The binary on disk.
    Binary,
    /// How many workers there are: others count on them.
    Workers,
}

/// An order whose outcome is open when something else happens in the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Restart,
    Reload,
    Upgrade,
}

/// Whom a fault has hit, or what came of it.
pub(crate) enum Hit {
    /// That process held the slot.
    Holder(usize, i32),
    /// A worker of that slot has read a datagram with a fault.
    Reader(usize),
    /// A datagram that kills whoever reads it.
    Poison(u64),
    /// The supervisor, and workers in the same moment.
    Supervisor(i32, Vec<i32>),
    Everybody,
    /// The supervisor was told to do something.
    Told(Signal),
    Restart(usize, Output),
    Answer(Verb, Output),
    /// An order that must come to nothing.
    InVain(Output),
    /// Back to the usual number.
    Scaled(Output),
    /// There and back.
    Answers(Output, Output),
    Squat(Output, Loot),
}

/// Each kind.
pub(crate) const FAULTS: &[Fault] = &[
    plain(
        "SIGKILL",
        |stage, dice| stage.signal_any_worker(dice, SIGKILL),
        |stage, hit| stage.expect_death(hit, "SIGKILL", "killed by SIGKILL"),
    ),
    plain("SIGKILL amid a backlog", Stage::kill_amid_backlog, |stage, hit| {
        stage.expect_death(hit, "SIGKILL", "killed by SIGKILL");
    }),
    plain("SIGKILL again and again", Stage::kill_into_backoff, |stage, hit| {
        stage.expect_death(hit, "SIGKILL", "unstable runs in a row");
    }),
    plain(
        "SIGSEGV",
        |stage, dice| stage.crash_any_worker(dice, SIGSEGV),
        |stage, hit| stage.expect_death(hit, "SIGSEGV", "killed by SIGSEGV"),
    ),
    // One that has taken its slot over just now may not heed it yet: it dies of it.
    plain(
        "SIGTERM from outside",
        |stage, dice| stage.signal_any_worker(dice, SIGTERM),
        |stage, hit| stage.expect_death(hit, "code 0 or SIGTERM", "; restart "),
    ),
    plain(
        "SIGSTOP until the watchdog",
        |stage, dice| stage.signal_any_worker(dice, SIGSTOP),
        |stage, hit| stage.expect_death(hit, "SIGKILL", "no sign of life"),
    ),
    plain(
        "a datagram that hangs",
        |stage, dice| stage.send_fault(dice, "hang"),
        |stage, hit| stage.expect_death(hit, "SIGKILL", "no sign of life"),
    ),
    plain(
        "a datagram that aborts",
        |stage, dice| stage.send_fault(dice, "abort"),
        |stage, hit| stage.expect_death(hit, "SIGABRT", "killed by SIGABRT"),
    ),
    plain(
        "a datagram that fattens",
        |stage, dice| stage.send_fault(dice, "fat"),
        |stage, hit| stage.expect_death(hit, "code 0", "more memory than max_memory_restart"),
    ),
    plain(
        "poison that aborts",
        |stage, dice| stage.send_poison(dice, "poison"),
        |stage, hit| stage.expect_put_aside(hit, "SIGABRT"),
    ),
    plain(
        "poison that hangs",
        |stage, dice| stage.send_poison(dice, "poison-hang"),
        |stage, hit| stage.expect_put_aside(hit, "hang"),
    ),
    plain("restart of one worker", Stage::restart_one, Stage::expect_one_restarted),
    plain(
        "restart of all workers",
        |stage, _| stage.order(Verb::Restart, &["restart"]),
        Stage::expect_all_replaced,
    ),
    plain("reload by SIGHUP", |stage, _| stage.signal_supervisor(SIGHUP, 1), Stage::expect_reloaded),
    plain("burst of SIGHUPs", |stage, _| stage.signal_supervisor(SIGHUP, 20), Stage::expect_reloaded),
    plain("reload by command", |stage, _| stage.reload(), Stage::expect_reloaded),
    changing(Thing::Config, "reload of a bad file", Stage::reload_bad_file, |stage, hit| {
        stage.expect_untouched(hit, 2, "refused");
    }),
    changing(Thing::Orders, "reload, an heir fails", Stage::reload_failing_heir, |stage, hit| {
        stage.expect_untouched(hit, 1, "failed");
    }),
    changing(Thing::Workers, "scaling", Stage::scale_about, Stage::expect_scaled_back),
    changing(Thing::Workers, "SIGKILL amid scaling", Stage::kill_amid_scaling, Stage::expect_scaled_back),
    changing(Thing::Config, "balance, spread and back", Stage::spread_and_back, Stage::expect_rebalanced),
    changing(Thing::Binary, "upgrade by command", Stage::upgrade_by_command, Stage::expect_upgraded),
    changing(Thing::Binary, "upgrade by SIGUSR2", Stage::upgrade_by_signal, Stage::expect_upgraded),
    changing(
        Thing::Binary,
        "upgrade to a bad binary",
        Stage::upgrade_to_bad_binary,
        Stage::expect_upgrade_refused,
    ),
    plain("SIGKILL of the supervisor", |stage, _| stage.kill_supervisor(), Stage::expect_next_supervisor),
    plain(
        "SIGKILL of supervisor, workers",
        Stage::kill_supervisor_and_workers,
        Stage::expect_next_supervisor,
    ),
    plain(
        "pause of the supervisor",
        |stage, _| stage.pause_supervisor(),
        |stage, _| {
            stage.expect_same_processes();
        },
    ),
    plain("a squatter", Stage::let_squat, Stage::expect_squatter_refused),
];

const fn plain(name: &'static str, perform: fn(&Stage, &mut Dice) -> Hit, expect: fn(&Stage, &Hit)) -> Fault {
    Fault { name, changes: None, perform, expect }
}

const fn changing(
    thing: Thing,
    name: &'static str,
    perform: fn(&Stage, &mut Dice) -> Hit,
    expect: fn(&Stage, &Hit),
) -> Fault {
    Fault { name, changes: Some(thing), perform, expect }
}

impl Fault {
    /// Whether it is ever one of two: what changes the number of workers is not.
    pub(crate) fn goes_with_any(&self) -> bool {
        self.changes != Some(Thing::Workers)
    }

    /// Whether both can be performed in the same moment.
    pub(crate) fn goes_with(&self, other: &Fault) -> bool {
        let both = self.goes_with_any() && other.goes_with_any();
        self.name != other.name && both && (self.changes.is_none() || self.changes != other.changes)
    }
}
