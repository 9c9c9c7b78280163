//! The life of one slot: who holds it, who may inherit it, who is on his way out.
//!
//! ```text
//!            spawn          READY          TERM, KILL        exited
//!   Empty ─────────▶ Launching ───▶ Online ─────────▶ (leaver) ─────▶ gone
//!     ▲  ▲               │            │ exits by itself, too silent
//!     │  └── Waiting ◀───┴────────────┤
//!     └───── Errored ◀───┴────────────┘   too many unstable exits in a row; restart or reload leaves it
//!
//!   retired: Empty, nobody left ──▶ Closing ──Closed──▶ no slot
//!                      ▲               │ StillQueued       ──▶ no slot, if drainer after drainer reads nothing
//!                      └── (leaver) ◀── Draining: reads, then TERM
//! ```
//!
//! Who reads is not decided here: a worker takes its slot's lock after READY, so an heir reads when its
//! predecessor is dead and never before.

use super::event::{Action, Generation, Policy, Run, Sig, Tick};
use super::fleet::Turn;
pub(super) use super::start::{Proof, Start};
use super::view::Place;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most processes one slot may have at a time, leavers that do not die included. Beyond it nothing is
/// started there until one has exited.
pub(crate) const MAX_PROCESSES: usize = 6;

/// So many drainers in a row may leave a queue no shorter than they found it; then nobody is going to read it.
pub(super) const MAX_IDLE_DRAINS: u32 = 3;

/// How far a process has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Spawned, not READY; at `until` it is killed, or counts as READY.
    Launching {
        until: Tick,
        start: Start,
        #[serde(default)]
        proof: Proof,
    },
    /// READY since then; killed at `silent_at`. An heir before it takes over has no watchdog. A drainer is not killed
    /// then, but told to leave.
    Online { since: Tick, silent_at: Option<Tick> },
}

/// A process that holds a slot or prepares to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Proc {
    pub(super) run: Run,
    pub(super) generation: Generation,
    pub(super) spawned: Tick,
    pub(super) phase: Phase,
}

impl Proc {
    pub(super) fn is_online(&self) -> bool {
        match self.phase {
            Phase::Online { .. } => true,
            Phase::Launching { .. } => false,
        }
    }

    /// It was online for `min_uptime`. Time spent launching does not count: a process that never gets
    /// ready is not stable, however long it tries.
    pub(super) fn is_stable(&self, now: Tick, policy: &Policy) -> bool {
        match self.phase {
            Phase::Online { since, .. } => now.since(since) >= policy.min_uptime,
            Phase::Launching { .. } => false,
        }
    }

    /// READY and in charge. One that need not say READY has been so all its life.
    pub(super) fn takes_over(&mut self, now: Tick, policy: &Policy) {
        let since = match self.phase {
            Phase::Launching { proof: Proof::Lives { since }, .. } => since,
            Phase::Launching {
                proof:
                    Proof::Word | Proof::Life(_) | Proof::WordAndHealth | Proof::BoundAndHealth | Proof::Health,
                ..
            }
            | Phase::Online { .. } => now,
        };
        self.phase = Phase::Online { since, silent_at: first_silence(now, policy) };
    }

    /// Its slot is bound, and with that it is about to become what it is meant to be.
    pub(super) fn begins(&mut self, now: Tick) {
        match &mut self.phase {
            Phase::Launching { until, proof, .. } => match *proof {
                Proof::Life(wait) => (*until, *proof) = (now.after(wait), Proof::Lives { since: now }),
                Proof::BoundAndHealth => *proof = Proof::Health,
                Proof::Word | Proof::Lives { .. } | Proof::WordAndHealth | Proof::Health => {}
            },
            Phase::Online { .. } => {}
        }
    }

    /// It said READY; whether that is all there is to prove.
    pub(super) fn gives_its_word(&mut self) -> bool {
        match &mut self.phase {
            Phase::Launching { proof, .. } => match proof {
                Proof::Word | Proof::Life(_) | Proof::Lives { .. } => true,
                Proof::WordAndHealth | Proof::BoundAndHealth => {
                    *proof = Proof::Health;
                    false
                }
                Proof::Health => false,
            },
            Phase::Online { .. } => true,
        }
    }

    /// Its health command is to be asked.
    pub(super) fn is_unproven(&self) -> bool {
        match self.phase {
            Phase::Launching { proof, .. } => proof == Proof::Health,
            Phase::Online { .. } => false,
        }
    }

    /// READY, only to empty the queue of a retired slot. READY alone does not say that it reads: it is told to leave
    /// by its first sign of life, or then.
    pub(super) fn drains(&mut self, now: Tick, policy: &Policy) {
        self.phase = Phase::Online { since: now, silent_at: Some(now.after(policy.kill_timeout)) };
    }

    /// It waits behind an heir, which the lock went to when the holder before it died: nobody can tell silence from
    /// waiting, until the heir is sent away.
    pub(super) fn excuse(&mut self) {
        match &mut self.phase {
            Phase::Online { silent_at, .. } => *silent_at = None,
            Phase::Launching { .. } => {}
        }
    }

    /// The heir it waited behind is told to leave: its watchdog begins as at a takeover.
    pub(super) fn excuse_ends(&mut self, now: Tick, policy: &Policy) {
        match &mut self.phase {
            Phase::Online { silent_at: silent_at @ None, .. } => *silent_at = first_silence(now, policy),
            Phase::Online { silent_at: Some(_), .. } | Phase::Launching { .. } => {}
        }
    }

    /// The heir of a holder that died: launching still, it is the replacement now.
    pub(super) fn promoted(mut self, start: Start) -> Proc {
        match &mut self.phase {
            Phase::Launching { start: old, .. } => *old = start,
            Phase::Online { .. } => {}
        }
        self
    }

    fn deadline(&self) -> Option<Tick> {
        match self.phase {
            Phase::Launching { until, .. } => Some(until),
            Phase::Online { silent_at, .. } => silent_at,
        }
    }
}

/// When one that has not said WATCHDOG=1 yet counts as silent: the watchdog leaves it a kill timeout more, for so long
/// its predecessor may keep it waiting for the lock.
fn first_silence(now: Tick, policy: &Policy) -> Option<Tick> {
    policy.watchdog.map(|watchdog| now.after(policy.kill_timeout).after(watchdog))
}

/// Whom a leaver has to fear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Grace {
    /// TERM was sent; KILL follows.
    Until(Tick),
    /// KILL was sent; only the kernel can be waited for.
    Killed,
}

/// A process that was told to leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Leaver {
    pub(super) run: Run,
    pub(super) generation: Generation,
    pub(super) spawned: Tick,
    pub(super) grace: Grace,
}

/// Who has the slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Holder {
    /// Nobody yet, or any more; how the next one would come.
    Empty(Start),
    /// Nobody, until then: the last one failed.
    Waiting { until: Tick },
    /// Nobody: given up.
    Errored,
    /// Nobody: the last one ended as one that wants no replacement.
    Finished,
    /// This process.
    Held(Proc),
    /// This process, only to empty the queue of a retired slot.
    Draining(Proc),
    /// Nobody, and nobody may come: `Close` was ordered and is not answered.
    Closing,
}

impl Holder {
    pub(super) fn is_draining(&self) -> bool {
        matches!(self, Holder::Draining(_))
    }
}

/// The state of one slot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Seat {
    pub(super) holder: Holder,
    /// Online it waits for the commit (reload), launching it gets ready.
    pub(super) heir: Option<Proc>,
    /// At most `MAX_PROCESSES`.
    pub(super) leavers: Vec<Leaver>,
    /// The shell keeps the slot's sockets, and they are members of the group. Never true for a role.
    pub(super) bound: bool,
    /// Unplanned exits of unstable runs, in a row.
    pub(super) unstable: u32,
    /// Starts after an unplanned exit.
    pub(super) restarts: u32,
    /// Drainers started since the slot was retired.
    pub(super) drains: u32,
    /// Of them, those that left the queue no shorter than they found it, in a row.
    #[serde(default)]
    pub(super) idle_drains: u32,
    /// What waited in the queue when that was asked last, in bytes.
    #[serde(default)]
    pub(super) queued: u64,
    /// Heirs of a holder too fat that failed, in a row.
    pub(super) fat_failures: u32,
    /// Until then the holder is too fat in vain.
    pub(super) fat_until: Tick,
}

impl Seat {
    pub(super) fn new() -> Seat {
        Seat {
            holder: Holder::Empty(Start::Cold),
            heir: None,
            leavers: Vec::new(),
            bound: false,
            unstable: 0,
            restarts: 0,
            drains: 0,
            idle_drains: 0,
            queued: 0,
            fat_failures: 0,
            fat_until: Tick(0),
        }
    }

    /// The process that holds the slot, drainers included.
    pub(super) fn holder_proc(&self) -> Option<&Proc> {
        match &self.holder {
            Holder::Held(proc) | Holder::Draining(proc) => Some(proc),
            Holder::Empty(_)
            | Holder::Waiting { .. }
            | Holder::Errored
            | Holder::Finished
            | Holder::Closing => None,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.holder, Holder::Closing)
    }

    /// A holder is online; a drainer is none.
    pub(super) fn is_online(&self) -> bool {
        matches!(&self.holder, Holder::Held(proc) if proc.is_online())
    }

    /// Somebody reads the queue, or will in a moment. Decides the mask.
    pub(super) fn is_read(&self) -> bool {
        match &self.holder {
            Holder::Held(Proc { phase: Phase::Online { .. }, .. }) => true,
            Holder::Held(Proc { phase: Phase::Launching { start, .. }, .. }) => start.keeps_mask(),
            Holder::Empty(start) => start.keeps_mask() && !self.is_full(),
            Holder::Waiting { .. }
            | Holder::Errored
            | Holder::Finished
            | Holder::Draining(_)
            | Holder::Closing => false,
        }
    }

    pub(super) fn processes(&self) -> usize {
        self.leavers.len() + usize::from(self.holder_proc().is_some()) + usize::from(self.heir.is_some())
    }

    /// Nobody can be started there until somebody has exited.
    pub(super) fn is_full(&self) -> bool {
        self.processes() >= MAX_PROCESSES
    }

    /// What waits here is told; whether it is no less than before, for the last time that is forgiven.
    pub(super) fn is_hopeless(&mut self, bytes: Option<u64>) -> bool {
        let Some(bytes) = bytes else { return false };
        self.idle_drains = if self.drains == 0 || bytes < self.queued { 0 } else { self.idle_drains + 1 };
        self.queued = bytes;
        self.idle_drains >= MAX_IDLE_DRAINS
    }

    pub(super) fn is_deserted(&self) -> bool {
        self.processes() == 0
    }

    pub(super) fn place(&self, run: Run) -> Option<Place> {
        if self.holder_proc().is_some_and(|proc| proc.run == run) {
            Some(Place::Holder)
        } else if self.heir.is_some_and(|proc| proc.run == run) {
            Some(Place::Heir)
        } else if self.leavers.iter().any(|leaver| leaver.run == run) {
            Some(Place::Leaver)
        } else {
            None
        }
    }

    /// The process in a place that is not a leaver's.
    pub(super) fn proc_in(&mut self, place: Place) -> Option<&mut Proc> {
        match place {
            Place::Holder => match &mut self.holder {
                Holder::Held(proc) | Holder::Draining(proc) => Some(proc),
                Holder::Empty(_)
                | Holder::Waiting { .. }
                | Holder::Errored
                | Holder::Finished
                | Holder::Closing => None,
            },
            Place::Heir => self.heir.as_mut(),
            Place::Leaver => None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Tick> {
        let holder = match &self.holder {
            Holder::Held(proc) | Holder::Draining(proc) => proc.deadline(),
            Holder::Waiting { until } => Some(*until),
            Holder::Empty(_) | Holder::Errored | Holder::Finished | Holder::Closing => None,
        };
        let heir = self.heir.as_ref().and_then(Proc::deadline);
        let leavers = self.leavers.iter().filter_map(|leaver| match leaver.grace {
            Grace::Until(tick) => Some(tick),
            Grace::Killed => None,
        });
        holder.into_iter().chain(heir).chain(leavers).min()
    }

    /// Told to leave, with time to do so.
    pub(super) fn term(&mut self, turn: &mut Turn, proc: &Proc, kill_timeout: Duration) {
        turn.act(Action::Signal(proc.run, Sig::Term));
        self.leave(proc, Grace::Until(turn.now.after(kill_timeout)));
    }

    /// It failed us: no TERM. For a built-in worker the ring makes KILL lossless.
    pub(super) fn kill(&mut self, turn: &mut Turn, proc: &Proc) {
        turn.act(Action::Signal(proc.run, Sig::Kill));
        self.leave(proc, Grace::Killed);
    }

    fn leave(&mut self, proc: &Proc, grace: Grace) {
        let Proc { run, generation, spawned, .. } = *proc;
        self.leavers.push(Leaver { run, generation, spawned, grace });
    }

    /// A new holder with a clean record.
    pub(super) fn inherit(&mut self, heir: Proc) {
        self.holder = Holder::Held(heir);
        self.unstable = 0;
        self.drains = 0;
        self.fat_failures = 0;
    }

    /// Takes heir and holder out of their places and says who they were; what waits, waits no more.
    pub(super) fn vacate(&mut self) -> impl Iterator<Item = Proc> + use<> {
        let holder = self.vacate_holder(Start::Cold);
        self.heir.take().into_iter().chain(holder)
    }

    /// Takes the holder out of its place. A slot that is closing stays so until the shell has answered.
    pub(super) fn vacate_holder(&mut self, next: Start) -> Option<Proc> {
        let holder = self.holder_proc().copied();
        if !self.is_closing() {
            self.holder = Holder::Empty(next);
        }
        holder
    }
}
