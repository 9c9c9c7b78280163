//! Deadlines: the next one, and what happens to those that have passed.

use super::errand::Aftermath;
use super::event::{Action, Failure, News, Sig, Slot, Tick};
use super::fleet::{Fleet, Turn, Want};
use super::slot::{Grace, Holder, Phase, Proof, Seat, Start};

impl Fleet {
    /// When `handle(_, Event::Clock, _)` is due. After it was handled this lies ahead.
    pub(crate) fn deadline(&self) -> Option<Tick> {
        let reload = self.errands.reload.as_ref().and_then(|aftermath| aftermath.until);
        self.seats.values().filter_map(Seat::deadline).chain(reload).min()
    }

    /// The heir comes before the holder: whoever replaces a holder that failed has been judged himself.
    pub(super) fn on_clock(&mut self, turn: &mut Turn) {
        for slot in self.slot_names() {
            self.kill_overdue(turn, slot);
            self.judge_heir(turn, slot);
            self.judge_holder(turn, slot);
        }
        let overdue = |aftermath: &Aftermath| aftermath.until.is_some_and(|until| until <= turn.now);
        if self.errands.reload.as_ref().is_some_and(overdue) {
            self.finish_reload(turn);
        }
    }

    /// Leavers whose kill timeout has passed.
    fn kill_overdue(&mut self, turn: &mut Turn, slot: Slot) {
        let mut killed = false;
        for leaver in &mut self.seat(slot).leavers {
            match leaver.grace {
                Grace::Until(tick) if tick <= turn.now => {
                    leaver.grace = Grace::Killed;
                    turn.tell(News::KillTimeout { slot, run: leaver.run });
                    turn.act(Action::Signal(leaver.run, Sig::Kill));
                    killed = true;
                }
                Grace::Until(_) | Grace::Killed => {}
            }
        }
        if killed {
            self.limit_reload(turn.now.after(self.policy(slot).kill_timeout));
        }
    }

    pub(super) fn judge_heir(&mut self, turn: &mut Turn, slot: Slot) {
        let seat = self.seat(slot);
        let Some(heir) = seat.heir else { return };
        match heir.phase {
            Phase::Launching { until, proof: Proof::Lives { .. }, .. } if until <= turn.now => {
                self.on_heir_ready(turn, slot);
            }
            Phase::Launching { until, .. } if until <= turn.now => {
                seat.heir = None;
                turn.tell(News::TooLate { slot, run: heir.run });
                seat.kill(turn, &heir);
                self.on_heir_lost(turn, slot, Failure::TooLate { slot, run: heir.run });
            }
            Phase::Launching { .. } | Phase::Online { .. } => {}
        }
    }

    pub(super) fn judge_holder(&mut self, turn: &mut Turn, slot: Slot) {
        let now = turn.now;
        let holder = self.seat(slot).holder;
        match holder {
            Holder::Held(proc) | Holder::Draining(proc) => {
                let run = proc.run;
                let (news, failure) = match proc.phase {
                    Phase::Launching { until, proof: Proof::Lives { .. }, .. } if until <= now => {
                        return self.on_holder_ready(turn, slot);
                    }
                    Phase::Launching { until, .. } if until <= now => {
                        (News::TooLate { slot, run }, Failure::TooLate { slot, run })
                    }
                    Phase::Online { silent_at: Some(at), .. } if at <= now && holder.is_draining() => {
                        return self.end_drain(turn, slot);
                    }
                    Phase::Online { silent_at: Some(at), .. } if at <= now => {
                        (News::Silent { slot, run }, Failure::Died { slot, run })
                    }
                    Phase::Launching { .. } | Phase::Online { .. } => return,
                };
                turn.tell(news);
                self.seat(slot).kill(turn, &proc);
                self.on_holder_lost(turn, slot, holder, failure);
            }
            Holder::Waiting { until } if until <= now => self.on_waited(turn, slot),
            Holder::Waiting { .. }
            | Holder::Empty(_)
            | Holder::Errored
            | Holder::Finished
            | Holder::Closing => {}
        }
    }

    /// The backoff is over. In a retired slot it was a drainer's.
    fn on_waited(&mut self, turn: &mut Turn, slot: Slot) {
        self.seat(slot).holder = Holder::Empty(Start::Retry);
        match self.want(slot) {
            Want::Nothing if self.may_start(slot) => self.spawn_drainer(turn, slot),
            Want::Holder | Want::Newcomer | Want::Nothing | Want::Stopped => {}
        }
    }
}
