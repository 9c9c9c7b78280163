//! The shape of `describe --json` (docs/schema/describe.json), and how it comes about.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::super::snapshot::Snapshot;
use super::standing::Standing;
use crate::wire::{Above, Cluster, Described, Kept, KeptSlot, QUARANTINE, RoleRow, Steering, Worker};

/// `describe --json`.
#[derive(Debug, Serialize)]
pub(super) struct Description {
    /// Version of this shape: 1.
    pub(super) schema: u32,
    /// The cluster as a whole.
    pub(super) cluster: ClusterPart,
    /// The supervisor's process.
    pub(super) supervisor: Standing,
    /// The configuration in force, as the children have it; null if it cannot be read.
    pub(super) config: Value,
    /// One for each slot.
    pub(super) workers: Vec<WorkerPart>,
    /// One for each role beside the workers.
    pub(super) roles: Vec<RolePart>,
    /// What is kept for slots that have no row any more.
    pub(super) retired: Vec<RetiredPart>,
}

/// The cluster as `list` has it, and what only `describe` tells.
#[derive(Debug, Serialize)]
pub(super) struct ClusterPart {
    #[serde(flatten)]
    pub(super) list: Cluster,
    /// Its runtime directory.
    pub(super) runtime_dir: String,
    /// The configuration file; null without one.
    pub(super) config_file: Option<String>,
    /// Where an upgrade finds the next binary.
    pub(super) binary: String,
    /// Whoever started the supervisor.
    pub(super) above: Above,
    /// Whom datagrams are given to.
    pub(super) steering: Option<Steering>,
    /// What all processes share.
    pub(super) kept: Vec<KeptRow>,
}

/// A worker as `list` has it, and what only `describe` tells.
#[derive(Debug, Serialize)]
pub(super) struct WorkerPart {
    #[serde(flatten)]
    pub(super) list: Worker,
    /// Its process; null where there is none.
    pub(super) process: Option<Standing>,
    #[serde(flatten)]
    pub(super) keeps: Keeps,
    /// Its datagrams in quarantine; null if there are none, or they cannot be read.
    pub(super) quarantine: Option<Quarantined>,
}

/// A role as `list` has it, and what only `describe` tells.
#[derive(Debug, Serialize)]
pub(super) struct RolePart {
    #[serde(flatten)]
    pub(super) list: RoleRow,
    /// Its process; null where there is none.
    pub(super) process: Option<Standing>,
    #[serde(flatten)]
    pub(super) keeps: Keeps,
}

/// A slot that has no row any more.
#[derive(Debug, Serialize)]
pub(super) struct RetiredPart {
    /// Its number, or the role's name.
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) keeps: Keeps,
}

/// What is kept for a slot.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Keeps {
    /// Segment, sockets, and the first descriptors of its store.
    pub(super) kept: Vec<KeptRow>,
    /// How many descriptors are in its store.
    pub(super) stored: u64,
}

/// A descriptor, and what it is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct KeptRow {
    #[serde(flatten)]
    pub(super) kept: Kept,
    /// What /proc calls it: `socket:[77]`, `/memfd:ring (deleted)`; null where it is hidden.
    pub(super) target: Option<String>,
}

/// A file of datagrams that killed workers.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Quarantined {
    /// Where it lies.
    pub(super) file: String,
    /// How many.
    pub(super) datagrams: u64,
}

impl Description {
    pub(super) fn new(snapshot: &Snapshot, described: Described, dir: &Path) -> Description {
        let list = snapshot.list();
        let supervisor = list.cluster.pid;
        let row = |kept: Kept| {
            let link = fs::read_link(format!("/proc/{supervisor}/fd/{}", kept.fd)).ok();
            KeptRow { target: link.map(|link| link.display().to_string()), kept }
        };
        let mut slots: Vec<KeptSlot> = described.slots;
        let mut keeps_of = |name: &str| {
            let at = slots.iter().position(|slot| slot.slot == name);
            at.map(|at| slots.remove(at)).map(|slot| keeps(slot, &row)).unwrap_or_default()
        };
        let worker = |worker: Worker| WorkerPart {
            process: worker.pid.map(Standing::of),
            keeps: keeps_of(&worker.id.to_string()),
            quarantine: quarantine(dir, worker.id),
            list: worker,
        };
        let workers = list.workers.into_iter().map(worker).collect();
        let role = |role: RoleRow| RolePart {
            process: role.pid.map(Standing::of),
            keeps: keeps_of(&role.name),
            list: role,
        };
        let roles = list.roles.into_iter().map(role).collect();
        let retired =
            slots.into_iter().map(|slot| RetiredPart { id: slot.slot.clone(), keeps: keeps(slot, &row) });
        Description {
            schema: 1,
            supervisor: Standing::of(supervisor),
            config: snapshot.config().unwrap_or_default(),
            workers,
            roles,
            retired: retired.collect(),
            cluster: ClusterPart {
                list: list.cluster,
                runtime_dir: dir.display().to_string(),
                config_file: described.config_file,
                binary: described.binary,
                above: described.above,
                steering: described.steering,
                kept: described.shared.into_iter().map(row).collect(),
            },
        }
    }

    /// Leaves one slot, retired or not; false if there is none of that name, and then all stay.
    pub(super) fn narrow(&mut self, id: &str) -> bool {
        if !self.ids().iter().any(|known| known == id) {
            return false;
        }
        self.workers.retain(|worker| worker.list.id.to_string() == id);
        self.roles.retain(|role| role.list.name == id);
        self.retired.retain(|slot| slot.id == id);
        true
    }

    /// The names of all slots.
    pub(super) fn ids(&self) -> Vec<String> {
        let workers = self.workers.iter().map(|worker| worker.list.id.to_string());
        let roles = self.roles.iter().map(|role| role.list.name.clone());
        workers.chain(roles).chain(self.retired.iter().map(|slot| slot.id.clone())).collect()
    }
}

fn keeps(slot: KeptSlot, row: &impl Fn(Kept) -> KeptRow) -> Keeps {
    Keeps { kept: slot.kept.into_iter().map(row).collect(), stored: slot.stored }
}

/// One datagram is one line.
fn quarantine(dir: &Path, slot: u8) -> Option<Quarantined> {
    let path = dir.join(QUARANTINE).join(format!("{slot}.jsonl"));
    // A file takes 1 MiB; what lies there may be anything.
    let file = fs::File::open(&path).ok().filter(|file| file.metadata().is_ok_and(|it| it.is_file()))?;
    let lines = BufReader::new(std::io::Read::take(file, 4 << 20)).split(b'\n').map_while(Result::ok);
    let datagrams = lines.filter(|line| !line.is_empty()).count() as u64;
    (datagrams > 0).then(|| Quarantined { file: path.display().to_string(), datagrams })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarantine_is_counted_by_its_lines_and_an_empty_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(QUARANTINE);
        fs::create_dir(&folder).unwrap();
        assert_eq!(quarantine(dir.path(), 0), None);
        fs::write(folder.join("0.jsonl"), "").unwrap();
        assert_eq!(quarantine(dir.path(), 0), None);
        fs::write(folder.join("0.jsonl"), "{}\n{}\n").unwrap();
        assert_eq!(quarantine(dir.path(), 0).unwrap().datagrams, 2);
        fs::create_dir(folder.join("1.jsonl")).unwrap();
        assert_eq!(quarantine(dir.path(), 1), None);
    }
}
