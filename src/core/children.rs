//! What the children say and do: bound, ready, alive, exited; and what the shell says of their sockets.

use super::backoff::{self, Next};
use super::event::{Action, Failure, News, Run, Slot, Verdict};
use super::fleet::{Fleet, Op, Turn, Want};
use super::slot::{Holder, Phase, Proc, Start};
use super::view::Place;

impl Fleet {
    /// Whoever bound it, also one that leaves: the sockets are there. A role is outside the group.
    pub(super) fn on_bound(&mut self, turn: &mut Turn, run: Run) {
        match self.find(run) {
            Some((slot @ Slot::Worker(_), place)) => {
                let seat = self.seat(slot);
                seat.bound = true;
                if let Some(proc) = seat.proc_in(place) {
                    proc.begins(turn.now);
                }
            }
            Some((Slot::Role(_), Place::Holder | Place::Heir | Place::Leaver)) | None => {}
        }
    }

    pub(super) fn on_ready(&mut self, turn: &mut Turn, run: Run) {
        let Some((slot, place)) = self.find(run) else { return };
        if !self.may_be_ready(slot) {
            return;
        }
        if self.seat(slot).proc_in(place).is_some_and(Proc::gives_its_word) {
            self.on_proven(turn, slot, place);
        }
    }

    /// Counts while it is asked for: an answer that comes later, or before anybody asked, does not.
    pub(super) fn on_healthy(&mut self, turn: &mut Turn, run: Run) {
        let Some((slot, place)) = self.find(run) else { return };
        if self.seat(slot).proc_in(place).is_some_and(|proc| proc.is_unproven()) {
            self.on_proven(turn, slot, place);
        }
    }

    /// There is nothing to wait for: it is late now, and not when its time is over.
    pub(super) fn on_never_healthy(&mut self, turn: &mut Turn, run: Run) {
        let Some((slot, place)) = self.find(run) else { return };
        let Some(proc) = self.seat(slot).proc_in(place).filter(|proc| proc.is_unproven()) else { return };
        match &mut proc.phase {
            Phase::Launching { until, .. } => *until = turn.now,
            Phase::Online { .. } => {}
        }
        match place {
            Place::Holder => self.judge_holder(turn, slot),
            Place::Heir => self.judge_heir(turn, slot),
            Place::Leaver => {}
        }
    }

    fn on_proven(&mut self, turn: &mut Turn, slot: Slot, place: Place) {
        match place {
            Place::Holder => self.on_holder_ready(turn, slot),
            Place::Heir => self.on_heir_ready(turn, slot),
            Place::Leaver => {}
        }
    }

    /// READY is taken once, and from a worker only when its sockets are bound: an online slot is a place
    /// that datagrams can be steered to. One that is not is judged by its listen timeout.
    pub(super) fn on_holder_ready(&mut self, turn: &mut Turn, slot: Slot) {
        let policy = self.policy(slot).clone();
        if !self.may_be_ready(slot) {
            return;
        }
        let seat = self.seat(slot);
        let heir = seat.heir.is_some();
        match &mut seat.holder {
            Holder::Held(proc) => match proc.phase {
                Phase::Launching { .. } => {
                    proc.takes_over(turn.now, &policy);
                    if heir {
                        proc.excuse();
                    }
                    turn.tell(News::Online { slot, run: proc.run, generation: proc.generation });
                }
                Phase::Online { .. } => {}
            },
            Holder::Draining(proc) => match proc.phase {
                Phase::Launching { .. } => {
                    proc.drains(turn.now, &policy);
                    turn.tell(News::Drains { slot, run: proc.run });
                }
                Phase::Online { .. } => {}
            },
            Holder::Empty(_)
            | Holder::Waiting { .. }
            | Holder::Errored
            | Holder::Finished
            | Holder::Closing => {}
        }
    }

    /// The heir of a reload waits for the commit; that of a holder too fat takes over.
    pub(super) fn on_heir_ready(&mut self, turn: &mut Turn, slot: Slot) {
        if !self.may_be_ready(slot) {
            return;
        }
        if let Some(heir) = &mut self.seat(slot).heir {
            match heir.phase {
                Phase::Launching { .. } => heir.phase = Phase::Online { since: turn.now, silent_at: None },
                Phase::Online { .. } => return,
            }
        }
        match self.op {
            Op::Steady => self.succeed(turn, slot),
            Op::Starting | Op::Reloading(_) | Op::Stopping(_) | Op::Over => {}
        }
    }

    fn may_be_ready(&mut self, slot: Slot) -> bool {
        match slot {
            Slot::Worker(_) => self.seat(slot).bound,
            Slot::Role(_) => true,
        }
    }

    /// Counts from a holder that is online: the others have no watchdog.
    pub(super) fn on_alive(&mut self, turn: &mut Turn, run: Run) {
        match self.find(run) {
            Some((slot, Place::Holder)) => {
                let next = self.policy(slot).watchdog.map(|watchdog| turn.now.after(watchdog));
                match &mut self.seat(slot).holder {
                    Holder::Held(proc) => match &mut proc.phase {
                        Phase::Online { silent_at, .. } => *silent_at = next,
                        Phase::Launching { .. } => {}
                    },
                    Holder::Draining(proc) if proc.is_online() => self.end_drain(turn, slot),
                    Holder::Draining(_)
                    | Holder::Empty(_)
                    | Holder::Waiting { .. }
                    | Holder::Errored
                    | Holder::Finished
                    | Holder::Closing => {}
                }
            }
            Some((_, Place::Heir | Place::Leaver)) | None => {}
        }
    }

    pub(super) fn on_exited(&mut self, turn: &mut Turn, run: Run) {
        match self.find(run) {
            Some((slot, Place::Leaver)) => self.seat(slot).leavers.retain(|leaver| leaver.run != run),
            Some((slot, Place::Heir)) => {
                self.seat(slot).heir = None;
                self.on_heir_lost(turn, slot, Failure::Died { slot, run });
            }
            Some((slot, Place::Holder)) => {
                let lost = self.seat(slot).holder;
                self.on_holder_lost(turn, slot, lost, Failure::Died { slot, run });
            }
            None => {}
        }
    }

    /// An unplanned exit all the same, but what follows is nothing, until a restart or a reload.
    pub(super) fn on_finished(&mut self, turn: &mut Turn, run: Run) {
        let steady = match self.op {
            Op::Steady => true,
            Op::Reloading(_) => false,
            Op::Starting | Op::Stopping(_) | Op::Over => return self.on_exited(turn, run),
        };
        match self.find(run) {
            Some((slot, Place::Holder)) if self.want(slot) == Want::Holder => {
                let kill_timeout = self.policy(slot).kill_timeout;
                let seat = self.seat(slot);
                seat.vacate_holder(Start::Cold);
                seat.holder = Holder::Finished;
                seat.unstable = 0;
                if steady && let Some(heir) = seat.heir.take() {
                    seat.term(turn, &heir, kill_timeout);
                }
                turn.tell(News::Finished { slot, run });
                self.fail_errands(turn, slot, Failure::Died { slot, run });
            }
            Some((_, Place::Holder | Place::Heir | Place::Leaver)) | None => self.on_exited(turn, run),
        }
    }

    /// The holder ended without being told to, or was killed because it failed us.
    pub(super) fn on_holder_lost(&mut self, turn: &mut Turn, slot: Slot, lost: Holder, failure: Failure) {
        self.seat(slot).vacate_holder(Start::Cold);
        match (&self.op, lost) {
            (Op::Starting | Op::Steady | Op::Reloading(_), Holder::Draining(_)) => {
                self.fail_errands(turn, slot, failure);
                self.fail_scale(turn, failure);
            }
            (Op::Starting, Holder::Held(_)) => {
                self.begin_stop(turn, None, Verdict::NeverOnline(failure), false);
            }
            (Op::Steady | Op::Reloading(_), Holder::Held(proc)) => {
                self.fail_errands(turn, slot, failure);
                self.replace(turn, slot, &proc);
            }
            (
                Op::Starting | Op::Steady | Op::Reloading(_),
                Holder::Empty(_)
                | Holder::Waiting { .. }
                | Holder::Errored
                | Holder::Finished
                | Holder::Closing,
            )
            | (
                Op::Stopping(_) | Op::Over,
                Holder::Held(_)
                | Holder::Draining(_)
                | Holder::Empty(_)
                | Holder::Waiting { .. }
                | Holder::Errored
                | Holder::Finished
                | Holder::Closing,
            ) => {}
        }
    }

    /// What follows an unplanned exit. An heir that a steady fleet prepares is the replacement: its
    /// predecessor, for whose lock it waits, is dead.
    fn replace(&mut self, turn: &mut Turn, slot: Slot, lost: &Proc) {
        match self.want(slot) {
            Want::Holder => {}
            Want::Newcomer | Want::Nothing | Want::Stopped => return,
        }
        let policy = self.policy(slot).clone();
        let steady = matches!(self.op, Op::Steady);
        let run = lost.run;
        let seat = self.seat(slot);
        let next = backoff::after_exit(&policy, lost.is_stable(turn.now, &policy), &mut seat.unstable);
        let (unstable, heir) = (seat.unstable, if steady { seat.heir.take() } else { None });
        let start = match next {
            Next::AtOnce => {
                turn.tell(News::RestartNow { slot, run });
                Start::AtOnce
            }
            Next::After(delay) => {
                turn.tell(News::Waiting { slot, run, delay, unstable });
                if delay.is_zero() || heir.is_some() {
                    Start::Retry
                } else {
                    seat.holder = Holder::Waiting { until: turn.now.after(delay) };
                    return;
                }
            }
            Next::GiveUp => {
                turn.tell(News::Errored { slot, unstable });
                seat.holder = Holder::Errored;
                if let Some(heir) = heir {
                    seat.term(turn, &heir, policy.kill_timeout);
                }
                return;
            }
        };
        seat.holder = heir.map_or(Holder::Empty(start), |heir| Holder::Held(heir.promoted(start)));
        seat.restarts += u32::from(heir.is_some());
    }

    /// An heir that was not told to leave has ended.
    pub(super) fn on_heir_lost(&mut self, turn: &mut Turn, slot: Slot, failure: Failure) {
        match self.op {
            Op::Reloading(_) => self.fail_reload(turn, failure),
            Op::Steady => self.put_off_succession(turn, slot),
            Op::Starting | Op::Stopping(_) | Op::Over => {}
        }
    }

    /// A drainer reads, or had its time: told to leave it empties the queue first. Beside an heir that a reload prepares
    /// it goes on.
    pub(super) fn end_drain(&mut self, turn: &mut Turn, slot: Slot) {
        let policy = self.policy(slot).clone();
        match (self.want(slot), &mut self.seat(slot).holder) {
            (Want::Nothing, Holder::Draining(_)) => {
                self.dismiss(turn, slot);
            }
            (Want::Newcomer, Holder::Draining(proc)) => proc.drains(turn.now, &policy),
            (Want::Holder | Want::Stopped, Holder::Draining(_))
            | (
                Want::Holder | Want::Newcomer | Want::Nothing | Want::Stopped,
                Holder::Empty(_)
                | Holder::Waiting { .. }
                | Holder::Errored
                | Holder::Finished
                | Holder::Held(_)
                | Holder::Closing,
            ) => {}
        }
    }

    /// The slot is no more; if it is wanted again meanwhile, it begins anew.
    pub(super) fn on_closed(&mut self, turn: &mut Turn, slot: Slot) {
        self.expect_closing(slot, "Closed");
        self.seats.remove(&slot);
        turn.tell(News::Retired(slot));
    }

    /// The first drainer comes at once, the others wait: a worker that does not read would be started over and over.
    /// Not for ever: what a program does not read is not lost by giving up, and the slots below wait.
    pub(super) fn on_still_queued(&mut self, turn: &mut Turn, slot: Slot, bytes: Option<u64>) {
        self.expect_closing(slot, "StillQueued");
        // Since it was last closed no process bound it again, so it was never in the mask: what waits there are
        // broadcasts, which nobody is owed.
        if !self.is_bound(slot) {
            return self.on_closed(turn, slot);
        }
        let seat = self.seat(slot);
        seat.holder = Holder::Empty(Start::Cold);
        let (drains, hopeless) = (seat.drains, seat.is_hopeless(bytes));
        match self.want(slot) {
            Want::Nothing if hopeless => self.abandon(turn, slot),
            Want::Nothing if drains == 0 => self.spawn_drainer(turn, slot),
            Want::Nothing => {
                let until = turn.now.after(backoff::delay(self.policy(slot), drains));
                self.seat(slot).holder = Holder::Waiting { until };
            }
            Want::Holder | Want::Newcomer | Want::Stopped => {}
        }
    }

    fn abandon(&mut self, turn: &mut Turn, slot: Slot) {
        self.seats.remove(&slot);
        turn.act(Action::Abandon(slot));
        turn.tell(News::Retired(slot));
    }

    fn expect_closing(&self, slot: Slot, said: &str) {
        let closing = self.seats.get(&slot).is_some_and(super::slot::Seat::is_closing);
        assert!(closing, "{said} for {slot}, which is not closing");
    }
}
