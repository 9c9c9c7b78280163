//! How the supervisor is hit, and told what to do.

use std::time::Duration;

use harness::{Output, PATIENCE, install, process, try_for};
use nix::sys::signal::Signal;

use crate::dice::Dice;
use crate::faults::{Hit, Verb};
use crate::stage::{CONFIG, Stage};

/// Longer than the watchdog.
const PAUSE: Duration = Duration::from_millis(1600);
/// A wrong type, an unknown key, a size that is none, a file that is still being written.
const BAD_FILES: [&str; 4] =
    ["[worker]\nwatchdog = 7\n", "wrokers = 4\n", "receive_buffer = \"much\"\n", "[worker]\nwatchdog = \"1"];

impl Stage {
    pub(crate) fn signal_supervisor(&self, signal: Signal, times: usize) -> Hit {
        let pid = self.supervisor();
        (0..times).for_each(|_| process::signal(pid, signal));
        Hit::Told(signal)
    }

    pub(crate) fn reload(&self) -> Hit {
        Hit::Answer(Verb::Reload, self.try_reload())
    }

    fn try_reload(&self) -> Output {
        self.cluster.command(["reload", "--json"])
    }

    pub(crate) fn reload_bad_file(&self, dice: &mut Dice) -> Hit {
        Hit::InVain(self.with_config(dice.pick(&BAD_FILES), Stage::try_reload))
    }

    /// An heir that ends, one that hangs, or one that is ready and ends while another still prepares.
    pub(crate) fn reload_failing_heir(&self, dice: &mut Dice) -> Hit {
        let slot = dice.below(self.workers);
        let ways = if self.workers > 1 { 3 } else { 2 };
        match dice.below(ways) {
            0 => self.faults.order(slot, "before-ready", "exit"),
            1 => self.faults.order(slot, "before-ready", "hang"),
            _ => {
                self.faults.order(slot, "after-ready", "exit");
                self.faults.order((slot + 1) % self.workers, "before-ready", "hang");
            }
        }
        let output = self.try_reload();
        self.faults.clear();
        Hit::InVain(output)
    }

    pub(crate) fn spread_and_back(&self, _: &mut Dice) -> Hit {
        let there = self.with_config(&format!("balance = \"spread\"\n{CONFIG}"), Stage::try_reload);
        Hit::Answers(there, self.try_reload())
    }

    pub(crate) fn upgrade_by_command(&self, _: &mut Dice) -> Hit {
        install(&self.binary, &self.good_binary);
        self.order(Verb::Upgrade, &["upgrade", "--json"])
    }

    pub(crate) fn upgrade_by_signal(&self, _: &mut Dice) -> Hit {
        install(&self.binary, &self.good_binary);
        self.signal_supervisor(Signal::SIGUSR2, 1)
    }

    /// No program, the beginning of one, one that knows nothing of it, one that fails.
    pub(crate) fn upgrade_to_bad_binary(&self, dice: &mut Dice) -> Hit {
        let program = |path: &str| std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let bytes = match dice.below(4) {
            0 => b"no program at all\n".to_vec(),
            1 => self.good_binary[..self.good_binary.len().min(1 << 16)].to_vec(),
            2 => program("/bin/true"),
            _ => program("/bin/false"),
        };
        Hit::InVain(self.with_binary(&bytes, |stage| stage.cluster.command(["upgrade", "--json"])))
    }

    pub(crate) fn kill_supervisor(&self) -> Hit {
        let pid = self.supervisor();
        process::signal(pid, Signal::SIGKILL);
        Hit::Supervisor(pid, Vec::new())
    }

    /// Before it, or after it; one of them, or all.
    pub(crate) fn kill_supervisor_and_workers(&self, dice: &mut Dice) -> Hit {
        let pid = self.supervisor();
        let mut workers: Vec<i32> = process::children(pid).iter().map(|worker| worker.pid).collect();
        if dice.below(2) == 0 && !workers.is_empty() {
            workers = vec![dice.pick(&workers)];
        }
        let mut victims = workers.clone();
        victims.insert(if dice.below(2) == 0 { 0 } else { victims.len() }, pid);
        victims.iter().for_each(|&victim| process::signal(victim, Signal::SIGKILL));
        Hit::Supervisor(pid, workers)
    }

    /// Nobody is asked meanwhile: he could not answer. Whatever happens, the supervisor goes on.
    pub(crate) fn pause_supervisor(&self) -> Hit {
        let pid = self.supervisor();
        process::signal(pid, Signal::SIGSTOP);
        let stopped = || process::find(pid).is_none_or(|it| matches!(it.state, 'T' | 'Z')).then_some(());
        let seen = try_for(PATIENCE, stopped);
        let _: Option<()> = try_for(PAUSE, || None);
        process::signal(pid, Signal::SIGCONT);
        assert!(seen.is_some(), "the supervisor was never stopped");
        Hit::Everybody
    }
}
