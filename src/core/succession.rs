//! Succession in one slot: a holder that is too fat leaves when its heir is READY.

use super::backoff;
use super::event::{News, Run, Slot};
use super::fleet::{Fleet, Op, Turn};
use super::slot::Start;
use super::steps::Of;
use super::view::Place;

impl Fleet {
    /// Only of a holder in a steady fleet: a reload replaces it anyway.
    pub(super) fn on_too_fat(&mut self, turn: &mut Turn, run: Run) {
        match (self.find(run), &self.op) {
            (Some((slot, Place::Holder)), Op::Steady) => self.prepare_heir(turn, slot, run),
            (Some((_, Place::Holder)), Op::Starting | Op::Reloading(_) | Op::Stopping(_) | Op::Over)
            | (
                Some((_, Place::Heir | Place::Leaver)) | None,
                Op::Starting | Op::Steady | Op::Reloading(_) | Op::Stopping(_) | Op::Over,
            ) => {}
        }
    }

    fn prepare_heir(&mut self, turn: &mut Turn, slot: Slot, run: Run) {
        let seat = &self.seats[&slot];
        let again = seat.heir.is_some() || turn.now < seat.fat_until;
        if again || !seat.is_online() || !self.may_start(slot) {
            return;
        }
        turn.tell(News::TooFat { slot, run });
        let of = Of::new(self.generation, self.policy(slot), true);
        let heir = self.launch(turn, slot, Start::Cold, &of);
        self.seat(slot).heir = Some(heir);
    }

    /// The heir said READY: it takes over.
    pub(super) fn succeed(&mut self, turn: &mut Turn, slot: Slot) {
        let policy = self.policy(slot).clone();
        let seat = self.seat(slot);
        let Some(mut heir) = seat.heir.take() else { return };
        heir.takes_over(turn.now, &policy);
        if let Some(holder) = seat.vacate_holder(Start::Cold) {
            seat.term(turn, &holder, policy.kill_timeout);
        }
        seat.inherit(heir);
        seat.restarts += 1;
        turn.tell(News::Online { slot, run: heir.run, generation: heir.generation });
    }

    /// The heir failed: the holder stays, too fat as it is, and is left alone for a while.
    pub(super) fn put_off_succession(&mut self, turn: &mut Turn, slot: Slot) {
        let policy = self.policy(slot).clone();
        let seat = self.seat(slot);
        seat.fat_failures = seat.fat_failures.saturating_add(1);
        seat.fat_until = turn.now.after(backoff::delay(&policy, seat.fat_failures));
    }
}
