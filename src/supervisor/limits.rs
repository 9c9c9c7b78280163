//! What the system must allow: descriptors, locked memory.

use contract::counted;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::control::{MAX_CLIENTS, MAX_UNSENT_VIEWS};
use crate::config::Config;
use crate::core::{MAX_PROCESSES, MAX_WORKERS};
use crate::exit;
use crate::roles::Roles;
use crate::wire::Trouble;

/// What the process itself has open: 20 at rest (counted in /proc/PID/fd of a cluster without roles, less 5 for each
/// worker), the others for what comes and goes: the configuration of a reload, a starter's pipes, an upgrade's image, offers
/// and check. What opens one more for good takes it from those; tests/edges.rs holds the 20.
const FOR_ITSELF: u64 = 32;
/// The segment, once more for reading and once more on its way into the store above; and a line to each process.
const FOR_EACH_SEAT: u64 = 3 + MAX_PROCESSES as u64;
/// Beside seat and sockets: its quarantine.
const FOR_EACH_WORKER: u64 = FOR_EACH_SEAT + 1 + FOR_TRIES;
/// Link, simulator, logger.
const FOR_ROLES: u64 = 3 * FOR_EACH_SEAT;
/// A reload may bring a health command: a line to the try that asks about the holder, and to the one about the heir, and
/// what each of them prints.
const FOR_TRIES: u64 = 2 * 2;
/// Both ends of what each worker, each role and we ourselves print to, and of the stage.
const FOR_LOGS: u64 = 2 * (MAX_WORKERS as u64 + 8);
/// Views that were lent and not taken, and the one that is being made.
const VIEWS: u64 = MAX_UNSENT_VIEWS as u64 + 1;

/// The budget of descriptors: how many workers there is room for, and how much may be stored beside them. Known from the
/// start, since neither the limit nor the addresses change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// RLIMIT_NOFILE, the hard one.
    limit: u64,
    /// Listen addresses: sockets of each worker.
    addresses: u64,
    /// What processes print goes to files.
    logs: bool,
}

impl Room {
    /// Raises the soft limit to the hard one.
    pub(super) fn make(addresses: usize, logs: bool) -> Room {
        let addresses = addresses as u64;
        let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
            return Room { limit: u64::MAX, addresses, logs };
        };
        if soft < hard {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        }
        Room { limit: hard, addresses, logs }
    }

    /// Of one slot the sockets may be on their way into the store above; a view names each worker's segment and the table.
    fn needed(self, workers: u8) -> u64 {
        let workers = u64::from(workers);
        let clients = MAX_CLIENTS as u64 + VIEWS * (workers + 1);
        let logs = if self.logs { FOR_LOGS } else { 0 };
        FOR_ITSELF
            + FOR_ROLES
            + logs
            + clients
            + self.addresses
            + workers * (self.addresses + FOR_EACH_WORKER)
    }

    /// How many descriptors all stores together may hold: what is left beside the most workers; a third of it, since a
    /// child that is being born has each of its own twice.
    pub(super) fn for_stores(self) -> usize {
        let left = self.limit.saturating_sub(self.needed(MAX_WORKERS));
        usize::try_from(left / 3).unwrap_or(usize::MAX)
    }

    /// The most workers, up to the most that a cluster may have.
    pub(super) fn workers(self) -> u8 {
        (1..=MAX_WORKERS).rev().find(|&workers| self.needed(workers) <= self.limit).unwrap_or(0)
    }

    /// Why so many are too many, if they are.
    pub(super) fn refuse(self, workers: u8) -> Option<Trouble> {
        (workers > self.workers()).then(|| Trouble {
            message: format!(
                "{} on {} need{} {} descriptors, and the limit is {}",
                counted(workers.into(), "worker"),
                counted(self.addresses, "address"),
                if workers == 1 { "s" } else { "" },
                self.needed(workers),
                self.limit
            ),
            hint: Some("raise it (ulimit -n, LimitNOFILE=), or take fewer workers".into()),
            exit: exit::FAILED,
        })
    }
}

/// What a built-in worker has open beside its sockets when it comes up, found by trying: with one less it does not.
/// tests/agree.rs holds it; a role that opens one more needs one more here.
const OF_A_WORKER: u64 = 13;
/// The same of the launcher of a program, before it becomes that.
const OF_A_LAUNCHER: u64 = 8;

/// Why a worker could not live under the limits that are named for it, if that is certain: what a program needs beside
/// what its launcher does, nobody knows.
pub(crate) fn too_low(config: &Config, roles: &Roles) -> Option<Trouble> {
    let role = roles.of_workers(config);
    let (limits, addresses) = (&config.worker.limits, config.listen.len() as u64);
    let descriptors = addresses + if config.worker.program.is_some() { OF_A_LAUNCHER } else { OF_A_WORKER };
    let shared: usize = role.seat.iter().chain(role.shared).map(|lent| lent.bytes).sum();
    let memory = if shared == 0 { 0 } else { shared as u64 + mapped_files() };
    let needed = [
        ("nofile", limits.nofile, descriptors, "descriptors"),
        ("as", limits.address_space, memory, "bytes of program and shared memory"),
    ];
    let low = needed.into_iter().find(|(_, limit, needed, _)| limit.is_some_and(|limit| limit < *needed));
    low.map(|(name, limit, needed, of)| Trouble {
        message: format!(
            "worker.limit_{name} of {} is too low: a worker has {needed} {of}",
            limit.unwrap_or_default()
        ),
        hint: Some(format!("raise worker.limit_{name}, or leave it out")),
        exit: exit::USAGE,
    })
}

/// What every process of this image maps of files, in bytes: the image itself, and its libraries.
fn mapped_files() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let size = |line: &str| {
        let (from, to) = line.split_whitespace().next()?.split_once('-')?;
        let address = |text| u64::from_str_radix(text, 16).ok();
        address(to)?.checked_sub(address(from)?)
    };
    maps.lines().filter(|line| line.contains(" /")).filter_map(size).sum()
}

/// Workers lock their rings in memory where they may (mlock(2)). What holds for them is what holds for us, so it is tried:
/// root without CAP_IPC_LOCK, as in many containers, is bound by the limit like anybody else.
pub(super) fn warn_of_memlock(bytes: usize) {
    if let Err(e) = sys::map::may_lock(bytes) {
        let limit =
            getrlimit(Resource::RLIMIT_MEMLOCK).map_or("unknown".into(), |(soft, _)| soft.to_string());
        log::warn!(
            "workers cannot lock their receive rings in memory, {bytes} bytes each: {e}; LimitMEMLOCK is {limit}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::ROLES;

    #[test]
    fn every_role_is_counted() {
        assert_eq!(
            FOR_ROLES,
            ROLES.beside.len() as u64 * FOR_EACH_SEAT,
            "a role more needs one more in FOR_ROLES"
        );
    }

    #[test]
    fn there_is_room_for_as_many_as_the_limit_holds() {
        for (limit, addresses, workers) in [
            (146, 1, 0),
            (147, 1, 1),
            (165, 1, 1),
            (166, 1, 2),
            (1024, 1, 47),
            (2319, 16, 64),
            (2318, 16, 63),
            (u64::MAX, 1, 64),
        ] {
            let room = Room { limit, addresses, logs: false };
            assert_eq!(room.workers(), workers, "{room:?}");
            assert!(room.refuse(workers).is_none());
            assert!(room.refuse(workers + 1).is_some(), "{room:?}");
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_told_in_good_english() {
        let said = |limit, addresses, workers| {
            Room { limit, addresses, logs: false }.refuse(workers).unwrap().message
        };
        assert_eq!(said(146, 1, 1), "1 worker on 1 address needs 147 descriptors, and the limit is 146");
        assert!(said(146, 2, 4).starts_with("4 workers on 2 addresses need "));
    }

    #[test]
    fn stores_get_a_third_of_what_the_most_workers_leave() {
        for (limit, addresses, stored) in
            [(1344, 1, 0), (1347, 1, 1), (1563, 1, 73), (2319, 16, 0), (4352, 16, 677)]
        {
            assert_eq!(Room { limit, addresses, logs: false }.for_stores(), stored, "{limit} {addresses}");
        }
    }
}
