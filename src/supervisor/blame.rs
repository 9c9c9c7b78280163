//! Which deaths say something about what the process was doing, for whoever takes its slot over.

use std::collections::BTreeMap;

use contract::Blame;
use nix::sys::signal::Signal;

use super::children::Ending;
use crate::core::{Run, Slot};

/// The last death of each slot that is to be blamed on the work; others don't take it back, since whoever takes over
/// looks whether it is his last owner's.
#[derive(Default)]
pub(super) struct Blames(BTreeMap<Slot, Blame>);

impl Blames {
    /// As it is handed over at an upgrade.
    pub(super) fn freeze(&self) -> Vec<(Slot, String)> {
        self.0.iter().map(|(&slot, blame)| (slot, blame.to_string())).collect()
    }

    pub(super) fn thaw(frozen: Vec<(Slot, String)>) -> Blames {
        Blames(frozen.into_iter().filter_map(|(slot, text)| Some((slot, text.parse().ok()?))).collect())
    }

    /// It was silent for too long and is being killed for it: known before it is reaped, because its replacement may be
    /// started before that.
    pub(super) fn note_silence(&mut self, slot: Slot, run: Run) {
        self.0.insert(slot, Blame { run: run.0, how: "hang".into() });
    }

    /// It was reaped.
    pub(super) fn note_death(&mut self, slot: Slot, run: Run, ending: Ending) {
        if let Ending::Signal(signal) = ending
            && is_fault(signal)
        {
            self.0.insert(slot, Blame { run: run.0, how: sys::wait::signal_name(signal) });
        }
    }

    /// What a process that is started in this slot is told.
    pub(super) fn of(&self, slot: Slot) -> Option<&Blame> {
        self.0.get(&slot)
    }
}

/// What a process brings upon itself. Anything else is somebody's will, or the machine's trouble.
fn is_fault(signal: i32) -> bool {
    use Signal::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    [SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE].iter().any(|&fault| fault as i32 == signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_faults_and_silence_are_told() {
        let slot = Slot::Worker(2);
        let mut blames = Blames::default();
        let others = (1..=64).filter(|&signal| !is_fault(signal)).map(Ending::Signal);
        for ending in others.chain([0, 1, 134, 139].map(Ending::Code)) {
            blames.note_death(slot, Run(1), ending);
            assert_eq!(blames.of(slot), None, "{ending}");
        }
        blames.note_death(slot, Run(2), Ending::Signal(Signal::SIGSEGV as i32));
        blames.note_death(slot, Run(3), Ending::Signal(Signal::SIGKILL as i32));
        assert_eq!(
            blames.of(slot),
            Some(&Blame { run: 2, how: "SIGSEGV".into() }),
            "told until there is a later one"
        );
        blames.note_silence(slot, Run(4));
        blames.note_death(slot, Run(4), Ending::Signal(Signal::SIGKILL as i32));
        assert_eq!(blames.of(slot), Some(&Blame { run: 4, how: "hang".into() }));
        assert_eq!(blames.of(Slot::Worker(1)), None);
    }
}
