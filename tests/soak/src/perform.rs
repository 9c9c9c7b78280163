//! How workers are hit, and the port.

use std::thread;
use std::time::Duration;

use harness::{PATIENCE, process, sender, try_for};
use nix::sys::signal::Signal;

use crate::dice::Dice;
use crate::faults::{Hit, Verb};
use crate::squatter::Squatter;
use crate::stage::Stage;

/// Kills of one slot in a row: the first run was stable, the others are not.
const KILLS: usize = 4;
/// What arrives in this time takes a worker about a millisecond; far below the watchdog.
const BACKLOG: Duration = Duration::from_millis(60);
const MAX_DELAY_MICROS: usize = 800;
/// Datagrams before and after one with a fault.
const COMPANY: usize = 24;

impl Stage {
    pub(crate) fn signal_any_worker(&self, dice: &mut Dice, signal: Signal) -> Hit {
        let slot = dice.below(self.workers);
        Hit::Holder(slot, self.signal_holder(slot, signal, None))
    }

    /// A worker that finds a backlog goes from batch to batch for a while: most of these kills fall into one.
    pub(crate) fn kill_amid_backlog(&self, dice: &mut Dice) -> Hit {
        let slot = dice.below(self.workers);
        let pid = self.signal_holder(slot, Signal::SIGSTOP, None);
        let _: Option<()> = try_for(BACKLOG, || None);
        process::signal(pid, Signal::SIGCONT);
        thread::sleep(Duration::from_micros(dice.below(MAX_DELAY_MICROS) as u64));
        process::signal(pid, Signal::SIGKILL);
        Hit::Holder(slot, pid)
    }

    /// By a signal that Rust's runtime may take for a stack overflow that is none: the first one only disarms its
    /// handler then.
    pub(crate) fn crash_any_worker(&self, dice: &mut Dice, signal: Signal) -> Hit {
        let slot = dice.below(self.workers);
        let pid = self.signal_holder(slot, signal, None);
        let dead = try_for(PATIENCE, || {
            process::signal(pid, signal);
            (!process::lives(pid)).then_some(())
        });
        assert!(dead.is_some(), "{signal} does not kill pid {pid}");
        Hit::Holder(slot, pid)
    }

    /// Whoever comes is killed as soon as `list` shows him: launching, waiting for the lock, replaying or reading.
    pub(crate) fn kill_into_backoff(&self, dice: &mut Dice) -> Hit {
        let slot = dice.below(self.workers);
        let mut last = self.signal_holder(slot, Signal::SIGKILL, None);
        for _ in 1..KILLS {
            last = self.signal_holder(slot, Signal::SIGKILL, Some(last));
        }
        Hit::Holder(slot, last)
    }

    /// A datagram that does something to the worker that reads it.
    pub(crate) fn send_fault(&self, dice: &mut Dice, fault: &str) -> Hit {
        let seq = self.send_in_company(dice, fault);
        Hit::Reader(self.book.wait_for_reader_of(seq))
    }

    /// A datagram that does something to every worker that reads it.
    pub(crate) fn send_poison(&self, dice: &mut Dice, fault: &str) -> Hit {
        let seq = self.send_in_company(dice, fault);
        self.note_poison(seq);
        Hit::Poison(seq)
    }

    /// Amid others of the same sender: they lie in one batch, some finished, some not.
    fn send_in_company(&self, dice: &mut Dice, fault: &str) -> u64 {
        let to = self.target;
        let from = sender(to, dice.below(64));
        let send = |extra: &str| self.book.ledger.send(&from, to, extra);
        (0..COMPANY).for_each(|_| _ = send(""));
        let seq = send(&format!(r#","fault":"{fault}""#));
        (0..COMPANY).for_each(|_| _ = send(""));
        seq
    }

    pub(crate) fn order(&self, verb: Verb, words: &[&str]) -> Hit {
        Hit::Answer(verb, self.cluster.command(words.iter().copied()))
    }

    pub(crate) fn restart_one(&self, dice: &mut Dice) -> Hit {
        let slot = dice.below(self.workers);
        Hit::Restart(slot, self.cluster.command(["restart", &slot.to_string()]))
    }

    /// While somebody is after the port, a worker dies and all are replaced.
    pub(crate) fn let_squat(&self, dice: &mut Dice) -> Hit {
        let squatter = Squatter::start(self.target.port());
        self.signal_holder(dice.below(self.workers), Signal::SIGKILL, None);
        let answer = self.cluster.command(["reload", "--json"]);
        Hit::Squat(answer, squatter.stop())
    }
}
