//! What goes over the control socket: one JSON object on a line each way, and the shape of `list --json`.
//!
//! A request is one line of at most [`MAX_REQUEST`] bytes, an answer one line of at most [`MAX_ANSWER`] bytes.
//! The answer to `view` carries read-only descriptors (SCM_RIGHTS) in the order of [`View::segments`]: the asker
//! reads counters and levels for itself, so no answer ever waits for a worker. Unknown fields are ignored, so that
//! a newer command line may talk to an older supervisor; an unknown verb is answered with an error.

mod described;

pub use described::{Above, Described, Kept, KeptSlot, MAX_STORED_NAMES, Signalled, Steering};

use serde::{Deserialize, Serialize};

/// Longest request, in bytes, its newline included.
pub const MAX_REQUEST: usize = 4096;
/// Longest answer, in bytes, its newline included.
pub const MAX_ANSWER: usize = 1 << 20;
/// File name of the control socket in the runtime directory.
pub const CONTROL_SOCKET: &str = "control";
/// File name of the pid file in the runtime directory.
pub const PID_FILE: &str = "pid";
/// Folder in the runtime directory with the datagrams that killed workers.
pub const QUARANTINE: &str = "quarantine";

/// The longest path of a runtime directory, in bytes: `/notify/`, a role of 9 letters, a dot and a run of 10 digits (a
/// start every 100 ms for thirty years) must fit behind it into the 107 bytes of a socket's path (sun_path, unix(7)).
pub const MAX_RUNTIME_DIR: usize = 79;

/// Variable of a supervisor that was started in the background: the pid of the command that waits for its word.
pub const STARTER: &str = "X_ATLAS_STARTER";

/// The word of a supervisor in the background to the command that started it: one JSON object on its standard output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begun {
    /// Its pid.
    pub pid: u32,
    /// Folder of its log files.
    pub logs: String,
    /// Why it did not come up; none once every worker is online.
    #[serde(default)]
    pub trouble: Option<Trouble>,
}

/// One request: a verb and what it needs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Request {
    /// Version of the asker.
    #[serde(default)]
    pub version: String,
    /// `ping`, `view`, `describe`, `reload`, `upgrade`, `restart`, `scale`, `signal` or `stop`.
    pub verb: String,
    /// `restart`, `signal`: worker numbers or role names; for `restart` empty means every worker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// `scale`: how many workers, as the user wrote it: `6`, `+2`, `-1`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub amount: String,
    /// `signal`: its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// `stop`: kill at once instead of draining.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
}

/// One answer. What was asked for is filled, or `error`; a failed reload fills `reload` too, and where "done" says it all
/// nothing is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// Version of the supervisor.
    pub version: String,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
    /// Answer to `view`, and to `describe`, where the configuration in force is lent in place of the meter table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Box<View>>,
    /// Answer to `describe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described: Option<Box<Described>>,
    /// Answer to `signal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signalled: Option<Vec<Signalled>>,
    /// Answer to `reload` and `upgrade`, also when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<LastReload>,
    /// Answer to `scale`: how many workers there are now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u8>,
    /// Beside it: fewer, or more, were asked for than there can be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Answer to `ping`: pid of the supervisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// An error as a person reads it, and the exit code that goes with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// What failed, on what, why; one line, or a few where a file is quoted.
    pub message: String,
    /// The way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Exit code for the asker.
    pub exit: u8,
}

/// What the supervisor knows, and where the rest can be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct View {
    /// `list --json` without what the asker reads for itself: counters, memory, CPU, strangers.
    pub list: List,
    /// The processors of the configuration in force.
    pub processors: Vec<Configured>,
    /// Whether datagrams of other addresses are taken, too.
    #[serde(default = "is_taken")]
    pub accepts_unknown: bool,
    /// The user that workers run as; none: the supervisor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_uid: Option<u32>,
    /// Age in milliseconds from which a reading is stale.
    pub stale_after_ms: u64,
    /// What the descriptors beside this answer are, in their order.
    pub segments: Vec<Segment>,
}

/// An older supervisor does not say.
fn is_taken() -> bool {
    true
}

/// A `[[processor]]` of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Configured {
    /// The name people gave it.
    pub name: String,
    /// Its address, without a port.
    pub address: std::net::IpAddr,
}

/// One lent descriptor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Segment {
    /// `table`, `ring` or `config`.
    pub name: String,
    /// For `ring`: the worker slot it counts for; retired slots too.
    #[serde(default)]
    pub slot: Option<u8>,
    /// Size in bytes.
    pub bytes: u64,
}

/// `list --json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct List {
    /// Version of this shape: 1.
    pub schema: u32,
    /// The cluster as a whole.
    pub cluster: Cluster,
    /// One row for each slot, by id.
    pub workers: Vec<Worker>,
    /// The roles beside the workers.
    pub roles: Vec<RoleRow>,
}

/// The cluster as a whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cluster {
    /// Pid of the supervisor.
    pub pid: u32,
    /// Version of the supervisor.
    pub version: String,
    /// `stopping`, `reloading`, `launching`, `degraded` or `online`.
    pub state: String,
    /// The generation in force.
    pub generation: u32,
    /// How often the supervisor replaced itself.
    pub upgrades: u32,
    /// Seconds since the start.
    pub uptime_s: f64,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Listen addresses; with port 0 the port that was taken.
    pub listen: Vec<String>,
    /// Address of the gateway, null without one.
    pub http: Option<String>,
    /// Workers that should run.
    pub workers_wanted: u32,
    /// Null before the first reload.
    pub last_reload: Option<LastReload>,
    /// Sums over all slots, those retired included.
    pub totals: Counts,
    /// Bytes waiting in the receive buffers of retired slots: nobody reads them until the slot comes back.
    #[serde(default)]
    pub retired_queue_bytes: u64,
    /// Others bound to the port.
    #[serde(default)]
    pub strangers: Vec<Stranger>,
}

/// How the last reload went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastReload {
    /// `running`, `done`, `failed` or `refused`.
    pub result: String,
    /// The generation that was tried; where it was refused, the one in force.
    pub generation: u32,
    /// Why it failed.
    pub error: Option<String>,
}

/// What was counted; null where it cannot be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Datagrams taken and finished.
    pub datagrams: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
    /// At least one meter update, nothing malformed.
    pub meter: Option<u64>,
    /// The processor's answer to a keep-alive.
    pub keepalive: Option<u64>,
    /// Valid, but neither.
    pub other: Option<u64>,
    /// Not a message of the protocol.
    pub malformed: Option<u64>,
    /// From an address that is no processor of the configuration.
    pub unknown_sender: Option<u64>,
    /// Put aside because it killed workers.
    pub quarantined: Option<u64>,
    /// Levels stored.
    pub readings: Option<u64>,
    /// Thrown away by the kernel on a full buffer.
    pub dropped: Option<u64>,
}

/// One worker slot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Worker {
    /// Slot number.
    pub id: u8,
    /// Null where no process is.
    pub pid: Option<u32>,
    /// `meter`, or the file name of the program that runs there.
    pub role: String,
    /// `launching`, `online`, `stopping`, `waiting restart`, `errored` or `stopped`.
    pub state: String,
    /// Its health command is asked: that is all it lacks to be online. Told only then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub health_asked: bool,
    /// Generation of the process.
    pub generation: u32,
    /// Starts after an unplanned exit.
    pub restarts: u32,
    /// Seconds since the process was started.
    pub uptime_s: Option<f64>,
    /// How the last process of this slot ended.
    pub last_exit: Option<LastExit>,
    /// The successor that is being prepared: by a reload, or for a holder that outgrew `max_memory_restart`.
    pub heir: Option<Heir>,
    /// Pids, beside `pid`, of those that were told to leave and have not yet.
    #[serde(default)]
    pub leaving: Vec<u32>,
    /// Resident memory.
    pub memory_bytes: Option<u64>,
    /// CPU time over the process's life, in percent of one CPU.
    pub cpu_percent: Option<f64>,
    /// What this slot counted.
    #[serde(flatten)]
    pub counts: Counts,
    /// Bytes waiting in the slot's receive buffers.
    pub queue_bytes: Option<u64>,
    /// Malformed datagrams by reason. In a `view` it is empty, and not null: older versions want a map.
    #[serde(default)]
    pub malformed_by_reason: Option<std::collections::BTreeMap<String, u64>>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastExit {
    /// Exit code, when it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Name of the signal, when it was killed, as `kill -l` has it: `SIGKILL`, `SIGRTMIN+2`; `signal 32` for one that
    /// has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// RFC 3339, UTC.
    pub at: String,
}

/// A successor on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heir {
    /// Its pid.
    pub pid: Option<u32>,
    /// `launching` or `online` (ready to take over).
    pub state: String,
    /// As a worker's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub health_asked: bool,
    /// Its generation.
    pub generation: u32,
}

/// One role beside the workers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoleRow {
    /// `simulator`, `link`, …
    pub name: String,
    /// Null where no process is.
    pub pid: Option<u32>,
    /// As a worker's.
    pub state: String,
    /// Starts after an unplanned exit.
    pub restarts: u32,
    /// Seconds since the process was started.
    pub uptime_s: Option<f64>,
    /// How the last process ended.
    pub last_exit: Option<LastExit>,
    /// As a worker's.
    #[serde(default)]
    pub heir: Option<Heir>,
    /// As a worker's.
    #[serde(default)]
    pub leaving: Vec<u32>,
    /// Resident memory.
    pub memory_bytes: Option<u64>,
    /// CPU time over the process's life, in percent of one CPU.
    pub cpu_percent: Option<f64>,
}

/// Somebody else on the port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stranger {
    /// Null where /proc hides it.
    pub pid: Option<u32>,
    /// Null where /proc hides it.
    pub name: Option<String>,
    /// Owner of the socket.
    pub uid: u32,
    /// Inode of the socket.
    pub inode: u64,
}
