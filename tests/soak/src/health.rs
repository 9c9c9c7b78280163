//! What a cluster uses: it must be the same at the end.

use std::collections::BTreeSet;
use std::fs;

use harness::process::{self, descriptors_at_rest};

use crate::stage::Stage;

/// Growth that is no leak, of the supervisor or a worker: buffers that found their size, an allocator's slack.
const SLACK_KIB: u64 = 2048;

/// One look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    /// Deaths of the supervisor, as the outer one counts them.
    pub(crate) deaths: u64,
    /// Supervisor, workers, and whoever else belongs to them; those not reaped too.
    pub(crate) processes: u64,
    /// Of the supervisor.
    pub(crate) descriptors: u64,
    /// Of the outer supervisor: the store above.
    pub(crate) store: u64,
    /// Resident memory of the supervisor.
    pub(crate) supervisor_kib: u64,
    /// Anonymous resident memory of the largest worker: the rest is segments of a fixed size, and the ledger.
    pub(crate) worker_kib: u64,
}

impl Health {
    #[track_caller]
    pub(crate) fn of(stage: &Stage) -> Health {
        let (list, supervisor) = (stage.cluster.list(), stage.supervisor());
        let workers = list.pids().into_iter().flatten();
        Health {
            deaths: u64::from(stage.outer.list().restarts()),
            processes: processes(stage, supervisor) as u64,
            descriptors: descriptors_at_rest(supervisor) as u64,
            store: descriptors_at_rest(stage.outer.pid()) as u64,
            supervisor_kib: memory(supervisor, "VmRSS:"),
            worker_kib: workers.map(|pid| memory(pid, "RssAnon:")).max().unwrap_or(0),
        }
    }

    /// What it may be at the end, deaths aside, if it was `self` at the start and nothing leaks.
    pub(crate) fn bound(&self) -> Health {
        Health {
            deaths: self.deaths,
            processes: self.processes,
            descriptors: self.descriptors,
            store: self.store,
            supervisor_kib: self.supervisor_kib + SLACK_KIB,
            worker_kib: self.worker_kib + SLACK_KIB,
        }
    }
}

fn processes(stage: &Stage, supervisor: i32) -> usize {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children = pids.filter_map(process::find).filter(|process| process.parent == supervisor);
    let all: BTreeSet<i32> =
        stage.cluster.processes().into_iter().chain(children).map(|process| process.pid).collect();
    all.len()
}

fn memory(pid: i32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
