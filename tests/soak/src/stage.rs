//! Where the faults are performed: the cluster, the ledger, and how things were before.

use harness::shape::{List, Worker};
use harness::{Builder, Cluster, Faults, PATIENCE, try_for, wait_for};
use nix::sys::signal::Signal;

use crate::args::Args;
use crate::book::Book;
use crate::dice::Dice;

/// The watchdog and `min_uptime` are short, so that a round of faults is. A worker of its usual size that has marked
/// a round's share of the ledger stays below the limit of memory; what `"fault":"fat"` adds (64 MiB) is beyond it.
const CONFIG: &str = r#"
[worker]
watchdog = "1s"
min_uptime = "1s"
exp_backoff_max_delay = "1s"
max_memory_restart = "56M"
"#;
/// The supervisor has a session of its own, so that Ctrl-C is for the soak alone; and it ends with the soak.
const WRAPPER: [&str; 4] = ["setpriv", "--pdeathsig", "TERM", "setsid"];

/// Everything a fault may use.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) book: Book,
    pub(crate) faults: Faults,
    pub(crate) workers: usize,
    /// The most that it is scaled to.
    pub(crate) most: usize,
    pub(crate) port: u16,
    /// Of the fault under way.
    pub(crate) dice: Dice,
    /// As it was before the fault under way.
    pub(crate) before: List,
    /// Length of the log before the fault under way.
    log_before: usize,
}

impl Stage {
    /// Starts the cluster.
    #[track_caller]
    pub(crate) fn set(args: &Args, book: Book) -> Stage {
        let faults = Faults::new();
        let cluster = Builder::new(&args.binary)
            .wrapped_in(&WRAPPER)
            .workers(args.workers)
            .listen("0.0.0.0:0")
            .config(CONFIG)
            .env("ATLAS_CLUSTER_LEDGER", book.path())
            .faults(&faults)
            .start();
        // Each slot there will be has its segments from here on: they outlive it.
        let most = (2 * args.workers).min(64);
        for workers in [most, args.workers] {
            cluster.command(["scale", &workers.to_string()]).expect_code(0);
        }
        let before = cluster.list();
        let port = cluster.port();
        let dice = Dice::new(args.seed, 0);
        Stage { cluster, book, faults, workers: args.workers, most, port, dice, before, log_before: 0 }
    }

    /// A fault is about to be performed.
    #[track_caller]
    pub(crate) fn begin(&mut self, dice: Dice) {
        self.dice = dice;
        self.before = self.cluster.list();
        self.log_before = self.cluster.log().len();
    }

    /// The fault is over: every worker is online, and nobody is left who has been replaced.
    #[track_caller]
    pub(crate) fn expect_calm(&self) {
        self.cluster.expect_state("online");
        let all = self.workers + 1;
        let calm = try_for(PATIENCE, || (self.cluster.processes().len() == all).then_some(()));
        assert!(calm.is_some(), "there should be {all} processes: {:#?}", self.cluster.processes());
        self.cluster.expect_state("online");
    }

    /// What the log says since the fault began.
    pub(crate) fn news(&self) -> String {
        let log = self.cluster.log();
        log.get(self.log_before..).unwrap_or(&log).to_owned()
    }

    /// The row of a worker before the fault.
    pub(crate) fn row_before(&self, slot: usize) -> &Worker {
        &self.before.workers[slot]
    }

    /// Any worker.
    pub(crate) fn any_slot(&mut self) -> usize {
        self.dice.below(self.workers)
    }

    /// Signals whoever holds the slot, other than `but`; answers who it was.
    #[track_caller]
    pub(crate) fn signal_holder(&self, slot: usize, signal: Signal, but: Option<i32>) -> i32 {
        let pid = wait_for(format_args!("worker {slot} has a process other than {but:?}"), || {
            self.cluster.try_list()?.workers.get(slot)?.pid.filter(|&pid| Some(pid) != but)
        });
        harness::process::signal(pid, signal);
        pid
    }
}

/// How things are done with the configuration file, which is as it was afterwards.
impl Stage {
    /// Runs `act` while the configuration file holds `text`.
    pub(crate) fn with_config<T>(&self, text: &str, act: impl FnOnce(&Stage) -> T) -> T {
        self.cluster.place().write_config(text);
        let result = act(self);
        self.cluster.place().write_config(CONFIG);
        result
    }
}
