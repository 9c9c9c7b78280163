//! What `describe` is answered beside a view: what is kept for whom.

use serde::{Deserialize, Serialize};

/// Names of a slot's store that an answer holds at the most, so that it stays below [`MAX_ANSWER`](super::MAX_ANSWER).
pub const MAX_STORED_NAMES: usize = 16;

/// What the supervisor knows beside `list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Described {
    /// The configuration file in force, absolute; null without one.
    pub config_file: Option<String>,
    /// The path that an upgrade takes the next binary from.
    pub binary: String,
    /// Whoever started the supervisor.
    pub above: Above,
    /// To whom the kernel was last told to give datagrams; null before that.
    pub steering: Option<Steering>,
    /// What all processes share.
    pub shared: Vec<Kept>,
    /// What is kept for each slot that ever was, roles beside the workers too.
    pub slots: Vec<KeptSlot>,
}

/// Whoever started the supervisor, if he wants to hear (`NOTIFY_SOCKET`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Above {
    /// He hears, and keeps what he is sent.
    pub heard: bool,
    /// Messages that wait for him.
    pub waiting: u64,
    /// He wants a sign of life this often, in milliseconds; null if not (`WATCHDOG_USEC`).
    pub watchdog_ms: Option<u64>,
}

/// What the steering programs do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steering {
    /// Members of each group.
    pub bound: u8,
    /// The slots that datagrams are given to.
    pub slots: Vec<u8>,
}

/// What is kept for one slot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptSlot {
    /// A worker's number, or a role's name.
    pub slot: String,
    /// Its segment and sockets, and what its processes gave up to be kept: of those, the first ones.
    pub kept: Vec<Kept>,
    /// How many descriptors its processes gave up.
    pub stored: u64,
}

/// One descriptor that the supervisor keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What its processes find it under.
    pub name: String,
    /// `segment`, `socket` or `stored`.
    pub kind: String,
    /// Its number in the supervisor.
    pub fd: i32,
    /// A segment's size.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// What a socket is bound to.
    #[serde(default)]
    pub address: Option<String>,
    /// What waits in it.
    #[serde(default)]
    pub queue_bytes: Option<u64>,
    /// What the kernel threw away in front of it.
    #[serde(default)]
    pub dropped: Option<u64>,
    /// How much of `receive_buffer` the kernel granted.
    #[serde(default)]
    pub receive_buffer: Option<u64>,
}

/// A process that a signal was sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signalled {
    /// `worker 2`, `link`.
    pub name: String,
    /// Its number at that moment.
    pub pid: u32,
}
