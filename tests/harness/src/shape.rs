//! `list --json` as the tests read it: the promised fields, by their promised names.
#![expect(missing_docs, reason = "each field is explained in the interface's description of list --json")]

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
pub struct List {
    pub schema: u32,
    pub cluster: ClusterRow,
    pub workers: Vec<Worker>,
    pub roles: Vec<Role>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ClusterRow {
    pub pid: i32,
    pub version: String,
    pub state: String,
    pub generation: u32,
    pub upgrades: u32,
    pub uptime_s: f64,
    pub started_at: String,
    pub listen: Vec<String>,
    pub http: Option<String>,
    pub workers_wanted: usize,
    pub last_reload: Option<Reload>,
    pub totals: Counts,
    pub retired_queue_bytes: u64,
    pub strangers: Vec<Stranger>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Reload {
    pub result: String,
    pub generation: u32,
    pub error: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    pub datagrams: Option<u64>,
    pub bytes: Option<u64>,
    pub meter: Option<u64>,
    pub keepalive: Option<u64>,
    pub other: Option<u64>,
    pub malformed: Option<u64>,
    pub unknown_sender: Option<u64>,
    pub quarantined: Option<u64>,
    pub readings: Option<u64>,
    pub dropped: Option<u64>,
}

impl Worker {
    /// How many datagrams were malformed in that way.
    ///
    /// # Panics
    /// When it does not count them.
    #[track_caller]
    #[must_use]
    pub fn malformed_as(&self, reason: &str) -> u64 {
        self.malformed_by_reason.as_ref().expect("a built-in worker counts by reason")[reason]
    }
}

impl Counts {
    /// The six classes, null taken for 0: they add up to `datagrams`.
    #[must_use]
    pub fn classes(&self) -> u64 {
        let classes =
            [self.meter, self.keepalive, self.other, self.malformed, self.unknown_sender, self.quarantined];
        classes.iter().map(|class| class.unwrap_or(0)).sum()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Stranger {
    pub pid: Option<i32>,
    pub name: Option<String>,
    pub uid: u32,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Worker {
    pub id: usize,
    pub pid: Option<i32>,
    pub role: String,
    pub state: String,
    pub generation: u32,
    pub restarts: u32,
    pub uptime_s: Option<f64>,
    pub last_exit: Option<Exit>,
    pub heir: Option<Heir>,
    pub memory_bytes: Option<u64>,
    pub cpu_percent: Option<f64>,
    #[serde(flatten)]
    pub counts: Counts,
    pub queue_bytes: Option<u64>,
    #[serde(default)]
    pub malformed_by_reason: Option<std::collections::BTreeMap<String, u64>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<String>,
    pub at: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Heir {
    pub pid: Option<i32>,
    pub state: String,
    pub generation: u32,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Role {
    pub name: String,
    pub pid: Option<i32>,
    pub state: String,
    pub restarts: u32,
    pub last_exit: Option<Exit>,
}

impl List {
    /// The pids of the workers that have one, by slot.
    #[must_use]
    pub fn pids(&self) -> Vec<Option<i32>> {
        self.workers.iter().map(|worker| worker.pid).collect()
    }

    /// Restarts of all workers.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.workers.iter().map(|worker| worker.restarts).sum()
    }
}
