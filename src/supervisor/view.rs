//! What the supervisor tells of itself: its own knowledge, and read-only descriptors for the rest.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::{Shell, clock};
use crate::core::{ClusterState, HeirView, Run, Slot, SlotView, Status};
use crate::wire::{Cluster, Configured, Counts, Heir, List, RoleRow, Segment, View, Worker};

/// What is lent with an answer.
#[derive(Default)]
pub(super) struct Loan {
    segments: Vec<Segment>,
    descriptors: Vec<OwnedFd>,
}

impl Loan {
    /// Adds a duplicate of a segment.
    pub(super) fn add(
        &mut self,
        name: &str,
        slot: Option<u8>,
        fd: BorrowedFd<'_>,
        bytes: usize,
    ) -> io::Result<()> {
        self.descriptors.push(sys::fds::duplicate(fd)?);
        self.segments.push(Segment { name: name.into(), slot, bytes: bytes as u64 });
        Ok(())
    }
}

impl Shell {
    /// The view, and the descriptors it names: what all share, and the rings.
    pub(super) fn view(&self) -> io::Result<(View, Vec<OwnedFd>)> {
        let mut loan = Loan::default();
        // What roles share among themselves is nobody else's.
        let is_of_workers = |name: &str| self.roles.worker.shared.iter().any(|lent| lent.name == name);
        for segment in self.kept.shared().iter().filter(|segment| is_of_workers(segment.name())) {
            loan.add(segment.name(), None, segment.read_only(), segment.bytes())?;
        }
        self.view_with(loan)
    }

    /// A view that lends `loan` before the rings.
    pub(super) fn view_with(&self, mut loan: Loan) -> io::Result<(View, Vec<OwnedFd>)> {
        for (slot, kept) in self.kept.slots() {
            if let (Slot::Worker(number), Some(seat)) = (slot, &kept.seat) {
                loan.add("ring", Some(number), seat.read_only(), seat.bytes())?;
            }
        }
        let Loan { segments, descriptors } = loan;
        let config = self.generations.get(self.fleet.generation()).map(|frozen| &frozen.config);
        let processors = config.map_or(&[][..], |config| &config.processor);
        let view = View {
            list: self.list(),
            processors: processors
                .iter()
                .map(|processor| Configured { name: processor.name.clone(), address: processor.address })
                .collect(),
            accepts_unknown: config.is_none_or(|config| config.accept_unknown || processors.is_empty()),
            worker_uid: config.and_then(|config| config.worker.user.as_ref()).map(|user| user.uid),
            stale_after_ms: config.map_or(0, |config| config.stale_after.as_millis() as u64),
            segments,
        };
        Ok((view, descriptors))
    }

    fn list(&self) -> List {
        let (workers, beside): (Vec<_>, Vec<_>) =
            self.fleet.slots().partition(|view| matches!(view.slot, Slot::Worker(_)));
        List {
            schema: 1,
            cluster: self.cluster(),
            workers: workers.iter().map(|view| self.worker(view)).collect(),
            roles: beside.iter().map(|view| self.role(view)).collect(),
        }
    }

    fn cluster(&self) -> Cluster {
        let state = match self.fleet.state() {
            ClusterState::Stopping => "stopping",
            ClusterState::Reloading => "reloading",
            ClusterState::Launching => "launching",
            ClusterState::Degraded => "degraded",
            ClusterState::Online => "online",
        };
        let dropped = self.kept.slots().map(|(_, kept)| kept.queue().1).sum();
        let rows: BTreeSet<Slot> = self.fleet.slots().map(|view| view.slot).collect();
        let retired = self.kept.slots().filter(|(slot, _)| !rows.contains(slot));
        Cluster {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            state: state.into(),
            generation: self.fleet.generation().0,
            upgrades: self.upgrades,
            uptime_s: seconds(clock::since(self.started)),
            started_at: self.started_at.clone(),
            listen: self.kept.listen().iter().map(ToString::to_string).collect(),
            http: None,
            workers_wanted: u32::from(self.fleet.wanted()),
            last_reload: self.last_reload.clone(),
            totals: Counts { dropped: Some(dropped), ..Counts::default() },
            retired_queue_bytes: retired.map(|(_, kept)| kept.queue().0).sum(),
            strangers: Vec::new(),
        }
    }

    fn worker(&self, view: &SlotView) -> Worker {
        let Slot::Worker(id) = view.slot else { unreachable!("partitioned by kind of slot") };
        let kept = self.kept.slots().find(|&(slot, _)| slot == view.slot);
        let queue = kept.map(|(_, kept)| kept.queue());
        let process = view.run.and_then(|run| self.children.get(run));
        Worker {
            id,
            pid: view.run.and_then(|run| self.pid_of(run)),
            role: self.role_of_worker(view),
            state: status(view.status).into(),
            health_asked: view.unproven,
            generation: view.generation.0,
            restarts: view.restarts,
            uptime_s: process.map(|process| seconds(clock::since(process.born))),
            last_exit: self.last_exit(view.slot),
            heir: view.heir.as_ref().map(|heir| self.heir(heir)),
            leaving: self.leaving(view),
            memory_bytes: None,
            cpu_percent: None,
            counts: Counts { dropped: queue.map(|queue| queue.1), ..Counts::default() },
            queue_bytes: queue.map(|queue| queue.0),
            malformed_by_reason: Some(Default::default()),
        }
    }

    /// What the process is, or would be: the built-in role, or a program by its file name.
    fn role_of_worker(&self, view: &SlotView) -> String {
        // One that leaves may be of a generation that is forgotten.
        let frozen = self.generations.get(view.generation).or(self.generations.get(self.fleet.generation()));
        let program = frozen.and_then(|frozen| frozen.config.worker.program.as_ref());
        program.map_or(self.roles.worker.name, |program| program.file_name()).to_owned()
    }

    fn role(&self, view: &SlotView) -> RoleRow {
        let process = view.run.and_then(|run| self.children.get(run));
        RoleRow {
            name: self.name(view.slot),
            pid: view.run.and_then(|run| self.pid_of(run)),
            state: status(view.status).into(),
            restarts: view.restarts,
            uptime_s: process.map(|process| seconds(clock::since(process.born))),
            last_exit: self.last_exit(view.slot),
            heir: view.heir.as_ref().map(|heir| self.heir(heir)),
            leaving: self.leaving(view),
            memory_bytes: None,
            cpu_percent: None,
        }
    }

    fn heir(&self, heir: &HeirView) -> Heir {
        Heir {
            pid: self.pid_of(heir.run),
            state: status(heir.status).into(),
            health_asked: heir.unproven,
            generation: heir.generation.0,
        }
    }

    fn leaving(&self, view: &SlotView) -> Vec<u32> {
        view.leaving.iter().filter_map(|&run| self.pid_of(run)).collect()
    }

    fn pid_of(&self, run: Run) -> Option<u32> {
        self.children.get(run).map(|process| process.pid.as_raw().unsigned_abs())
    }

    fn last_exit(&self, slot: Slot) -> Option<crate::wire::LastExit> {
        self.last_exits.get(&slot).cloned()
    }
}

/// The names of interface and PM2.
fn status(status: Status) -> &'static str {
    match status {
        Status::Launching | Status::Empty => "launching",
        Status::Online => "online",
        Status::Stopping => "stopping",
        Status::WaitingRestart => "waiting restart",
        Status::Errored => "errored",
        Status::Stopped => "stopped",
    }
}

/// Seconds, to the millisecond.
fn seconds(time: std::time::Duration) -> f64 {
    time.as_millis() as f64 / 1000.0
}

/// Addresses with commas between.
pub(super) fn join(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
