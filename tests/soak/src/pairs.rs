//! Two faults in the same moment. What comes of an order is open then; that nothing is lost, and all is well in the
//! end, is not.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use harness::{Output, process, wait_until};
use nix::sys::signal::Signal;

use crate::attempt::attempt;
use crate::dice::Dice;
use crate::faults::{Fault, Hit, Verb};
use crate::stage::Stage;

/// By how much the one may come after the other: about as long as a reload takes.
const MAX_DELAY_MICROS: usize = 60_000;

/// Orders that were carried out, and those that came to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) done: u64,
    pub(crate) failed: u64,
}

impl Outcomes {
    fn count(&mut self, output: &Output) {
        *(if output.code == Some(0) { &mut self.done } else { &mut self.failed }) += 1;
    }
}

/// Of each verb.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) restarts: Outcomes,
    pub(crate) reloads: Outcomes,
    pub(crate) upgrades: Outcomes,
}

impl Open {
    fn count(&mut self, hit: &Hit) {
        match hit {
            Hit::Restart(_, output) => self.restarts.count(output),
            Hit::Answer(Verb::Restart, output) => self.restarts.count(output),
            Hit::Answer(Verb::Reload, output) | Hit::Squat(output, _) => self.reloads.count(output),
            Hit::Answer(Verb::Upgrade, output) => self.upgrades.count(output),
            Hit::Answers(there, back) => [there, back].into_iter().for_each(|one| self.reloads.count(one)),
            Hit::Holder(..)
            | Hit::Reader(_)
            | Hit::Poison(_)
            | Hit::Supervisor(..)
            | Hit::InVain(_)
            | Hit::Everybody
            | Hit::Scaled(_)
            | Hit::Told(_) => {}
        }
    }
}

/// Performs both, and looks whether both happened; the outcome of orders goes to `open`.
#[track_caller]
pub(crate) fn perform(stage: &Stage, faults: [&Fault; 2], mut dice: Dice, open: &mut Open) {
    let together = Barrier::new(2);
    let late = dice.below(2);
    let delay = Duration::from_micros(dice.below(MAX_DELAY_MICROS) as u64);
    let hits = thread::scope(|scope| {
        let acts = [0, 1].map(|place| {
            let (fault, mut dice, together) = (faults[place], dice.another(), &together);
            scope.spawn(move || {
                attempt(|| {
                    together.wait();
                    if place == late {
                        thread::sleep(delay);
                    }
                    (fault.perform)(stage, &mut dice)
                })
            })
        });
        acts.map(|act| act.join().expect("an attempt does not panic"))
    });
    let hits = hits.map(|hit| hit.unwrap_or_else(|why| panic!("{why}")));
    for hit in &hits {
        open.count(hit);
        stage.expect_happened(hit);
    }
    stage.expect_calm();
    // Whatever the two have left, from here on there is no excuse.
    stage.cluster.command(["reload", "--json"]).expect_code(0);
}

impl Stage {
    /// The fault was real, whatever followed.
    #[track_caller]
    fn expect_happened(&self, hit: &Hit) {
        let gone = |pid: i32| wait_until(format_args!("pid {pid} is gone"), || !process::lives(pid));
        match hit {
            Hit::Holder(_, pid) => gone(*pid),
            Hit::Supervisor(pid, workers) => workers.iter().chain([pid]).for_each(|&pid| gone(pid)),
            Hit::Poison(seq) => drop(self.expect_record(*seq)),
            Hit::Squat(_, loot) => loot.expect_none(),
            Hit::Told(signal) => self.expect_heeded(*signal),
            Hit::InVain(output) => assert_ne!(output.code, Some(0), "it should have failed: {output:#?}"),
            // The ledger knows its reader; the command has answered.
            Hit::Reader(_)
            | Hit::Restart(..)
            | Hit::Answer(..)
            | Hit::Answers(..)
            | Hit::Scaled(_)
            | Hit::Everybody => {}
        }
    }

    /// The supervisor says that it was told so, if it has lived to.
    #[track_caller]
    fn expect_heeded(&self, signal: Signal) {
        let order = if signal == Signal::SIGUSR2 { "upgrade ordered" } else { "reload " };
        wait_until(format_args!("{signal} is heeded, or the supervisor is dead"), || {
            self.news().contains(order) || self.supervisor() != self.before.cluster.pid
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::squatter::Loot;

    #[test]
    fn outcomes_are_counted_by_what_was_ordered() {
        let output = |code| Output {
            what: String::new(),
            code: Some(code),
            stdout: String::new(),
            stderr: String::new(),
        };
        let mut open = Open::default();
        let hits = [
            Hit::Restart(1, output(0)),
            Hit::Answer(Verb::Restart, output(4)),
            Hit::Answer(Verb::Upgrade, output(1)),
            Hit::Answers(output(0), output(2)),
            Hit::Squat(output(0), Loot::default()),
            Hit::Poison(7),
        ];
        hits.iter().for_each(|hit| open.count(hit));
        assert_eq!(open.restarts, Outcomes { done: 1, failed: 1 });
        assert_eq!(open.upgrades, Outcomes { done: 0, failed: 1 });
        assert_eq!(open.reloads, Outcomes { done: 2, failed: 1 });
    }
}
