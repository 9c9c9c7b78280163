//! Everybody obeys and nobody fails: whatever came before, this leads to rest.

use super::super::*;
use super::plans::ms;
use super::world::World;

impl World {
    /// Everybody does as told until nothing happens any more.
    #[track_caller]
    pub(super) fn calm(&mut self) {
        self.try_calm().unwrap_or_else(|story| panic!("{story}"));
    }

    pub(super) fn try_calm(&mut self) -> Result<(), String> {
        for _ in 0..400 {
            for slot in std::mem::take(&mut self.closing) {
                self.try_answer_close(slot, false)?;
            }
            for run in self.children.keys().copied().collect::<Vec<_>>() {
                self.try_step(run)?;
            }
            self.try_pass(ms(50))?;
            if self.is_calm() {
                return Ok(());
            }
        }
        Err(self.tell("it does not come to rest"))
    }

    pub(super) fn is_calm(&self) -> bool {
        let at_rest =
            |view: &SlotView| matches!(view.status, Status::Online | Status::Errored | Status::Stopped);
        let all_in_place =
            self.children.keys().all(|run| matches!(self.fleet.place(*run), Some((_, Place::Holder))));
        self.gone.is_some()
            || (!self.fleet.busy() && all_in_place && self.fleet.slots().all(|view| at_rest(&view)))
    }
}
