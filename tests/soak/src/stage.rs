//! Where the faults are performed: the cluster inside of another one, the ledger, and how things were before.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use harness::shape::{List, Worker};
use harness::{Builder, Cluster, Faults, Nested, PATIENCE, Place, install, process, try_for, wait_for};
use nix::sys::signal::Signal;

use crate::args::Args;
use crate::book::Book;

/// The watchdog and `min_uptime` are short, so that a round of faults is. A worker of its usual size that has marked
/// a round's share of the ledger stays below the limit of memory; what `"fault":"fat"` adds (64 MiB) is beyond it.
pub(crate) const CONFIG: &str = r#"
[worker]
watchdog = "1s"
min_uptime = "1s"
exp_backoff_max_delay = "1s"
max_memory_restart = "56M"
"#;
/// The outer supervisor has a session of its own, so that Ctrl-C is for the soak alone; and it ends with the soak.
const WRAPPER: [&str; 4] = ["setpriv", "--pdeathsig", "TERM", "setsid"];

/// Everything a fault may use.
pub(crate) struct Stage {
    /// Whom the faults hit; its supervisor is the only worker of …
    pub(crate) cluster: Cluster,
    /// … this one, whose store is what it survives by.
    pub(crate) outer: Cluster,
    pub(crate) book: Book,
    pub(crate) faults: Faults,
    pub(crate) workers: usize,
    /// The most that it is scaled to.
    pub(crate) most: usize,
    /// Where datagrams are sent to.
    pub(crate) target: SocketAddr,
    /// The binary that both were started from: a copy, which an installer may replace.
    pub(crate) binary: PathBuf,
    /// What lies there, unless a fault has changed it.
    pub(crate) good_binary: Vec<u8>,
    /// Numbers of the poisonous datagrams sent so far.
    poison: Mutex<Vec<u64>>,
    /// As both were before the fault under way.
    pub(crate) before: List,
    pub(crate) outer_before: List,
    /// Length of the log before the fault under way.
    log_before: usize,
}

impl Stage {
    /// Starts the cluster.
    #[track_caller]
    pub(crate) fn set(args: &Args, book: Book) -> Stage {
        let (faults, place) = (Faults::new(), Place::new());
        let binary = place.folder().join("atlas-cluster");
        let good_binary = fs::read(&args.binary).expect("the binary");
        install(&binary, &good_binary);
        let Nested { inner, outer } = Builder::new(&binary)
            .binary(&binary)
            .place(&place)
            .wrapped_in(&WRAPPER)
            .workers(args.workers)
            .listen("0.0.0.0:0")
            .config(CONFIG)
            .env("ATLAS_CLUSTER_LEDGER", book.path())
            .faults(&faults)
            .start_nested();
        let (cluster, outer) = (inner.asked_by(&args.binary), outer.asked_by(&args.binary));
        // Each slot there will be has its segment and its socket from here on: they outlive it.
        let most = (2 * args.workers).min(64);
        for workers in [most, args.workers] {
            cluster.command(["scale", &workers.to_string()]).expect_code(0);
        }
        Stage {
            most,
            before: cluster.list(),
            outer_before: outer.list(),
            target: cluster.targets()[0],
            cluster,
            outer,
            book,
            faults,
            workers: args.workers,
            binary,
            good_binary,
            poison: Mutex::default(),
            log_before: 0,
        }
    }

    /// A fault is about to be performed.
    #[track_caller]
    pub(crate) fn begin(&mut self) {
        self.before = self.cluster.list();
        self.outer_before = self.outer.list();
        self.log_before = self.cluster.log().len();
    }

    /// The fault is over: every worker is online, and nobody is left who has been replaced.
    #[track_caller]
    pub(crate) fn expect_calm(&self) {
        let all = self.workers + 1;
        let calm = || {
            assert!(self.outer.try_exit().is_none(), "the outer cluster has ended");
            let list = self.cluster.try_list().filter(|list| list.cluster.state == "online")?;
            (list.workers.len() == self.workers && self.cluster.processes().len() == all).then_some(())
        };
        // Two faults may each need what one waits for at the most: backoffs, a watchdog, a slow machine.
        let seen = try_for(2 * PATIENCE, calm);
        assert!(
            seen.is_some(),
            "it should be online, with {all} processes: {:#?} {:#?}",
            self.cluster.try_list(),
            self.cluster.processes()
        );
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

    /// The supervisor, as the outer one tells it.
    #[track_caller]
    pub(crate) fn supervisor(&self) -> i32 {
        wait_for("there is a supervisor", || {
            self.outer.try_list()?.workers.first()?.pid.filter(|&pid| process::lives(pid))
        })
    }

    /// Signals whoever holds the slot, other than `but`; answers who it was.
    #[track_caller]
    pub(crate) fn signal_holder(&self, slot: usize, signal: Signal, but: Option<i32>) -> i32 {
        let pid = wait_for(format_args!("worker {slot} has a process other than {but:?}"), || {
            let pid = self.cluster.try_list()?.workers.get(slot)?.pid;
            pid.filter(|&pid| Some(pid) != but && process::lives(pid))
        });
        process::signal(pid, signal);
        pid
    }

    /// A poisonous datagram has that number.
    pub(crate) fn note_poison(&self, seq: u64) {
        self.poison.lock().unwrap_or_else(PoisonError::into_inner).push(seq);
    }

    /// Numbers of the poisonous datagrams so far, in their order.
    pub(crate) fn poison(&self) -> Vec<u64> {
        let mut numbers = self.poison.lock().unwrap_or_else(PoisonError::into_inner).clone();
        numbers.sort_unstable();
        numbers
    }
}

/// How things are done with files, which are as they were afterwards.
impl Stage {
    /// Runs `act` while the configuration file holds `text`.
    pub(crate) fn with_config<T>(&self, text: &str, act: impl FnOnce(&Stage) -> T) -> T {
        self.cluster.place().write_config(text);
        let result = act(self);
        self.cluster.place().write_config(CONFIG);
        result
    }

    /// Runs `act` while `bytes` lie in the place of the binary.
    pub(crate) fn with_binary<T>(&self, bytes: &[u8], act: impl FnOnce(&Stage) -> T) -> T {
        install(&self.binary, bytes);
        let result = act(self);
        install(&self.binary, &self.good_binary);
        result
    }
}
