//! What the system must allow: descriptors, locked memory.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::core::MAX_WORKERS;
use crate::exit;
use crate::wire::Trouble;

/// What the process itself has open, and clients.
const FOR_ITSELF: u64 = 32;
/// Beside its sockets: the segment, once more for reading, its quarantine, a line to the holder and one to the heir.
const FOR_EACH_WORKER: u64 = 5;

/// How many workers there is room for; known from the start, since neither the limit nor the addresses change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// RLIMIT_NOFILE, the hard one.
    limit: u64,
    /// Listen addresses: sockets of each worker.
    addresses: u64,
}

impl Room {
    /// Raises the soft limit to the hard one.
    pub(super) fn make(addresses: usize) -> Room {
        let addresses = addresses as u64;
        let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
            return Room { limit: u64::MAX, addresses };
        };
        if soft < hard {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        }
        Room { limit: hard, addresses }
    }

    fn needed(self, workers: u8) -> u64 {
        FOR_ITSELF + u64::from(workers) * (self.addresses + FOR_EACH_WORKER)
    }

    /// The most workers, up to the most that a cluster may have.
    pub(super) fn workers(self) -> u8 {
        (1..=MAX_WORKERS).rev().find(|&workers| self.needed(workers) <= self.limit).unwrap_or(0)
    }

    /// Why so many are too many, if they are.
    pub(super) fn refuse(self, workers: u8) -> Option<Trouble> {
        (workers > self.workers()).then(|| Trouble {
            message: format!(
                "{workers} workers on {} addresses need {} descriptors, and the limit is {}",
                self.addresses,
                self.needed(workers),
                self.limit
            ),
            hint: Some("raise it (ulimit -n, LimitNOFILE=), or take fewer workers".into()),
            exit: exit::FAILED,
        })
    }
}

/// Workers lock their rings in memory where they may (mlock(2)). What holds for them is what holds for us, so it is tried:
/// root without CAP_IPC_LOCK, as in many containers, is bound by the limit like anybody else.
pub(super) fn warn_of_memlock(bytes: usize) {
    if let Err(e) = sys::map::may_lock(bytes) {
        let limit =
            getrlimit(Resource::RLIMIT_MEMLOCK).map_or("unknown".into(), |(soft, _)| soft.to_string());
        ::log::warn!(
            "workers cannot lock their receive rings in memory, {bytes} bytes each: {e}; LimitMEMLOCK is {limit}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_as_many_as_the_limit_holds() {
        for (limit, addresses, workers) in [
            (37, 1, 0),
            (38, 1, 1),
            (43, 1, 1),
            (44, 1, 2),
            (1376, 16, 64),
            (1375, 16, 63),
            (u64::MAX, 1, 64),
        ] {
            let room = Room { limit, addresses };
            assert_eq!(room.workers(), workers, "{room:?}");
            assert!(room.refuse(workers).is_none());
            assert!(room.refuse(workers + 1).is_some(), "{room:?}");
        }
    }
}
