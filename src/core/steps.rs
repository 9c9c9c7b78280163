//! The steps that decisions are made of: spawn, dismiss, close.

use super::event::{Action, Generation, Plan, Policy, Run, Slot};
use super::fleet::{Fleet, Turn};
use super::slot::{Holder, Phase, Proc, Proof, Start};
use std::time::Duration;

/// Whose child a new process is.
pub(super) struct Of {
    pub(super) generation: Generation,
    pub(super) listen_timeout: Duration,
    pub(super) proof: Proof,
    pub(super) heir: bool,
}

impl Of {
    pub(super) fn new(generation: Generation, policy: &Policy, heir: bool) -> Of {
        let proof = match (policy.mute, policy.checked) {
            (false, false) => Proof::Word,
            (true, false) => Proof::Life(policy.min_uptime),
            (false, true) => Proof::WordAndHealth,
            (true, true) => Proof::BoundAndHealth,
        };
        Of { generation, listen_timeout: policy.listen_timeout, proof, heir }
    }
}

pub(super) fn policy(plan: &Plan, slot: Slot) -> &Policy {
    match slot {
        Slot::Worker(_) => &plan.worker,
        Slot::Role(_) => &plan.role,
    }
}

impl Fleet {
    /// A new process, launching.
    pub(super) fn launch(&mut self, turn: &mut Turn, slot: Slot, start: Start, of: &Of) -> Proc {
        self.last_run += 1;
        let (run, generation) = (Run(self.last_run), of.generation);
        turn.act(Action::Spawn { slot, run, generation, heir: of.heir });
        let (until, proof) = (turn.now.after(of.listen_timeout), of.proof);
        Proc { run, generation, spawned: turn.now, phase: Phase::Launching { until, start, proof } }
    }

    pub(super) fn spawn_holder(&mut self, turn: &mut Turn, slot: Slot, start: Start) -> bool {
        let of = Of::new(self.generation, self.policy(slot), false);
        let proc = self.launch(turn, slot, start, &of);
        let seat = self.seat(slot);
        seat.restarts += u32::from(start.is_restart());
        (seat.holder, seat.drains) = (Holder::Held(proc), 0);
        true
    }

    pub(super) fn spawn_drainer(&mut self, turn: &mut Turn, slot: Slot) {
        let of = Of::new(self.generation, self.policy(slot), false);
        let proc = self.launch(turn, slot, Start::Cold, &of);
        let seat = self.seat(slot);
        (seat.holder, seat.drains) = (Holder::Draining(proc), seat.drains.saturating_add(1));
    }

    /// The slot is wanted again, and a worker is there already. Its watchdog begins as at a takeover.
    pub(super) fn keep_drainer(&mut self, turn: &Turn, slot: Slot, mut proc: Proc) -> bool {
        if proc.is_online() {
            proc.takes_over(turn.now, self.policy(slot));
        }
        let seat = self.seat(slot);
        (seat.holder, seat.drains) = (Holder::Held(proc), 0);
        true
    }

    pub(super) fn forget_failures(&mut self, slot: Slot) -> bool {
        self.seat(slot).holder = Holder::Empty(Start::Cold);
        true
    }

    /// Holder and heir of a slot that is not wanted any more, or a drainer of a generation that is not.
    pub(super) fn dismiss(&mut self, turn: &mut Turn, slot: Slot) -> bool {
        let kill_timeout = self.policy(slot).kill_timeout;
        let seat = self.seat(slot);
        for proc in seat.vacate() {
            seat.term(turn, &proc, kill_timeout);
        }
        true
    }

    pub(super) fn close(&mut self, turn: &mut Turn, slot: Slot) -> bool {
        self.seat(slot).holder = Holder::Closing;
        turn.act(Action::Close(slot));
        true
    }

    pub(super) fn policy(&self, slot: Slot) -> &Policy {
        policy(&self.plan, slot)
    }
}
