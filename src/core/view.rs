//! The view: what `list` shows, read from the state and never kept beside it.

#[cfg(test)]
use super::event::Plan;
use super::event::{Generation, Run, Slot, Tick};
use super::fleet::{Fleet, Op, Want};
use super::slot::{Holder, Phase, Proc, Seat};

/// The state of the whole: the first that applies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClusterState {
    /// Everybody leaves.
    Stopping,
    /// Heirs are being prepared, or take over and what they replace is not gone yet.
    Reloading,
    /// Not everybody was online yet, once; or of a worker that is wanted no process is online, and one is on its way: a
    /// restart, an addition. (A role's row tells of itself.)
    Launching,
    /// A worker that is wanted waits to be restarted, is errored, or has no room for one more process.
    Degraded,
    /// None of these: of every worker a process is online, but for those that ended and want no replacement.
    Online,
}

/// The state of one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    /// Started or about to be, not READY.
    Launching,
    /// READY and in charge; of an heir: READY.
    Online,
    /// Told to leave, or being closed.
    Stopping,
    /// The last run failed, the next one comes later.
    WaitingRestart,
    /// Given up.
    Errored,
    /// Ended by itself, and not to be replaced.
    Stopped,
    /// Nobody: the reload under way prepares the slot's first holder.
    Empty,
}

/// What a process is to its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// It has the slot.
    Holder,
    /// It may inherit it.
    Heir,
    /// It was told to leave.
    Leaver,
}

/// One row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SlotView {
    /// Which.
    pub(crate) slot: Slot,
    /// How it is.
    pub(crate) status: Status,
    /// The holder; while the slot is only left, the last one to leave.
    pub(crate) run: Option<Run>,
    /// That process's generation; without one, the generation in force.
    pub(crate) generation: Generation,
    /// When that process was spawned.
    pub(crate) since: Option<Tick>,
    /// Its health is asked: that is all it lacks to be online.
    pub(crate) unproven: bool,
    /// Starts after an unplanned exit.
    pub(crate) restarts: u32,
    /// Who prepares to take over.
    pub(crate) heir: Option<HeirView>,
    /// Who was told to leave and has not yet, beside `run`.
    pub(crate) leaving: Vec<Run>,
}

/// The heir in a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HeirView {
    /// Who.
    pub(crate) run: Run,
    /// Launching or online.
    pub(crate) status: Status,
    /// As a holder's.
    pub(crate) unproven: bool,
    /// Whose configuration it has.
    pub(crate) generation: Generation,
}

impl Fleet {
    /// The state of the whole.
    pub(crate) fn state(&self) -> ClusterState {
        match self.op {
            Op::Stopping(_) | Op::Over => ClusterState::Stopping,
            Op::Reloading(_) => ClusterState::Reloading,
            Op::Steady if self.errands.reload.is_some() => ClusterState::Reloading,
            Op::Starting => ClusterState::Launching,
            Op::Steady => self.state_of_workers(),
        }
    }

    /// The first that applies to any of those that are wanted.
    fn state_of_workers(&self) -> ClusterState {
        let workers = || (0..self.wanted).map(|index| self.service(Slot::Worker(index)));
        if workers().any(|service| service == Service::Coming) {
            ClusterState::Launching
        } else if workers().any(|service| service == Service::Lacking) {
            ClusterState::Degraded
        } else {
            ClusterState::Online
        }
    }

    /// No start, reload or stop is under way: the time to freeze it. (Restarts and scalings may be.)
    pub(crate) fn is_steady(&self) -> bool {
        matches!(self.op, Op::Steady) && self.errands.reload.is_none()
    }

    /// The generation in force.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Workers wanted now.
    pub(crate) fn wanted(&self) -> u8 {
        self.wanted
    }

    /// The plan in force.
    #[cfg(test)]
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whom datagrams go to, as last said in `Steer`.
    #[cfg(test)]
    pub(crate) fn mask(&self) -> u64 {
        self.steered.mask
    }

    /// An operation is under way (first start, reload, stop), or an order waits or is not reached yet.
    #[cfg(test)]
    pub(crate) fn busy(&self) -> bool {
        !matches!(self.op, Op::Steady | Op::Over) || !self.queue.is_empty() || !self.errands.is_empty()
    }

    /// Where a process is; none that has exited.
    #[cfg(test)]
    pub(crate) fn place(&self, run: Run) -> Option<(Slot, Place)> {
        self.find(run)
    }

    /// Whose health commands are to be asked, until each is `Healthy` or no longer among these.
    pub(crate) fn unproven(&self) -> impl Iterator<Item = (Slot, Run, Generation)> {
        self.seats.iter().flat_map(|(&slot, seat)| {
            let procs = seat.holder_proc().into_iter().chain(&seat.heir);
            procs.filter(|proc| proc.is_unproven()).map(move |proc| (slot, proc.run, proc.generation))
        })
    }

    /// Every slot: workers by number, then roles.
    pub(crate) fn slots(&self) -> impl Iterator<Item = SlotView> {
        self.seats.iter().map(|(&slot, seat)| self.row(slot, seat))
    }

    fn row(&self, slot: Slot, seat: &Seat) -> SlotView {
        let process = seat.process();
        let shown = process.map(|(run, _, _)| run);
        SlotView {
            slot,
            status: self.blocker(slot).unwrap_or(seat).status(self.want(slot)),
            run: shown,
            generation: process.map_or(self.generation, |(_, generation, _)| generation),
            since: process.map(|(_, _, spawned)| spawned),
            unproven: seat.holder_proc().is_some_and(Proc::is_unproven),
            restarts: seat.restarts,
            heir: seat.heir.as_ref().map(|heir| HeirView {
                run: heir.run,
                status: status(heir),
                unproven: heir.is_unproven(),
                generation: heir.generation,
            }),
            leaving: seat.leavers.iter().map(|leaver| leaver.run).filter(|&run| Some(run) != shown).collect(),
        }
    }

    /// The slot below that is not bound: until it is, this one waits, and is no better off.
    fn blocker(&self, slot: Slot) -> Option<&Seat> {
        let blocked =
            self.want(slot) == Want::Holder && self.seats[&slot].is_deserted() && !self.may_start(slot);
        let unbound =
            self.seats.iter().find(|&(&below, seat)| matches!(below, Slot::Worker(_)) && !seat.bound);
        unbound.filter(|&(&below, _)| blocked && below < slot).map(|(_, seat)| seat)
    }

    fn service(&self, slot: Slot) -> Service {
        // One without a row comes when the slot that is being closed there is.
        let Some(seat) = self.seats.get(&slot) else { return Service::Coming };
        let seat = self.blocker(slot).unwrap_or(seat);
        match &seat.holder {
            Holder::Held(proc) if proc.is_online() => Service::Given,
            Holder::Held(_) | Holder::Draining(_) | Holder::Closing => Service::Coming,
            Holder::Empty(_) if seat.is_full() => Service::Lacking,
            Holder::Empty(_) => Service::Coming,
            Holder::Waiting { .. } | Holder::Errored => Service::Lacking,
            Holder::Finished => Service::Given,
        }
    }
}

/// What the whole has of a worker that is wanted. What becomes of its heir is nothing to it: the holder serves meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    /// All there is to have: a process is online, or the last one ended and wants no replacement.
    Given,
    /// A process is launching, or is about to be.
    Coming,
    /// Nobody comes for now.
    Lacking,
}

/// A process in a row.
type Seen = (Run, Generation, Tick);

impl Seat {
    /// The holder, else the last one to leave; one that waits to be restarted shows nobody.
    fn process(&self) -> Option<Seen> {
        let leaver = self.leavers.last().map(|leaver| (leaver.run, leaver.generation, leaver.spawned));
        match &self.holder {
            Holder::Held(proc) | Holder::Draining(proc) => Some((proc.run, proc.generation, proc.spawned)),
            Holder::Empty(_) | Holder::Closing => leaver,
            Holder::Waiting { .. } | Holder::Errored | Holder::Finished => None,
        }
    }

    fn status(&self, want: Want) -> Status {
        let empty = match want {
            Want::Holder => Status::Launching,
            Want::Newcomer => Status::Empty,
            Want::Nothing | Want::Stopped => Status::Stopping,
        };
        match &self.holder {
            Holder::Held(proc) => status(proc),
            Holder::Draining(_) => Status::Stopping,
            Holder::Waiting { .. } if want == Want::Nothing => Status::Stopping, // for its next drainer
            Holder::Waiting { .. } => Status::WaitingRestart,
            Holder::Errored => Status::Errored,
            Holder::Finished => Status::Stopped,
            Holder::Empty(_) | Holder::Closing if self.leavers.is_empty() => empty,
            Holder::Empty(_) | Holder::Closing => Status::Stopping,
        }
    }
}

fn status(proc: &Proc) -> Status {
    match proc.phase {
        Phase::Launching { .. } => Status::Launching,
        Phase::Online { .. } => Status::Online,
    }
}
