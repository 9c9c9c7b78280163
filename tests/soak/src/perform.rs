//! How faults are performed.

use std::thread;
use std::time::Duration;

use harness::{PATIENCE, process, sender, try_for};
use nix::sys::signal::Signal;

use crate::faults::Hit;
use crate::squatter::Squatter;
use crate::stage::Stage;

/// Kills of one slot in a row: the first run was stable, the others are not.
const KILLS: usize = 4;
/// What arrives in this time takes a worker about a millisecond; far below the watchdog.
const BACKLOG: Duration = Duration::from_millis(60);
const MAX_DELAY_MICROS: usize = 800;
/// Datagrams before and after one with a fault.
const COMPANY: usize = 24;
/// Longer than the watchdog.
const PAUSE: Duration = Duration::from_millis(1600);
/// A wrong type, an unknown key, a size that is none, a file that is still being written.
const BAD_FILES: [&str; 4] =
    ["[worker]\nwatchdog = 7\n", "wrokers = 4\n", "receive_buffer = \"much\"\n", "[worker]\nwatchdog = \"1"];

impl Stage {
    pub(crate) fn signal_any_worker(&mut self, signal: Signal) -> Hit {
        let slot = self.any_slot();
        self.signal_holder(slot, signal, None);
        Hit::Worker(slot)
    }

    /// A worker that finds a backlog goes from batch to batch for a while: most of these kills fall into one.
    pub(crate) fn kill_amid_backlog(&mut self) -> Hit {
        let slot = self.any_slot();
        let pid = self.signal_holder(slot, Signal::SIGSTOP, None);
        let _: Option<()> = try_for(BACKLOG, || None);
        process::signal(pid, Signal::SIGCONT);
        thread::sleep(Duration::from_micros(self.dice.below(MAX_DELAY_MICROS) as u64));
        process::signal(pid, Signal::SIGKILL);
        Hit::Worker(slot)
    }

    /// By a signal that Rust's runtime may take for a stack overflow that is none: the first one only disarms its
    /// handler then.
    pub(crate) fn crash_any_worker(&mut self, signal: Signal) -> Hit {
        let slot = self.any_slot();
        let pid = self.signal_holder(slot, signal, None);
        let dead = try_for(PATIENCE, || {
            process::signal(pid, signal);
            (!process::lives(pid)).then_some(())
        });
        assert!(dead.is_some(), "{signal} does not kill pid {pid}");
        Hit::Worker(slot)
    }

    /// Whoever comes is killed as soon as `list` shows him: launching, waiting for the lock, replaying or reading.
    pub(crate) fn kill_into_backoff(&mut self) -> Hit {
        let slot = self.any_slot();
        let mut last = None;
        for _ in 0..KILLS {
            last = Some(self.signal_holder(slot, Signal::SIGKILL, last));
        }
        Hit::Worker(slot)
    }

    /// A datagram that does something to the worker that reads it, amid others of the same sender: they lie in one
    /// batch, some finished, some not.
    pub(crate) fn send_fault(&mut self, fault: &str) -> Hit {
        let to = self.cluster.targets()[0];
        let from = sender(to, self.dice.below(64));
        let send = |extra: &str| self.book.ledger.send(&from, to, extra);
        (0..COMPANY).for_each(|_| _ = send(""));
        let seq = send(&format!(r#","fault":"{fault}""#));
        (0..COMPANY).for_each(|_| _ = send(""));
        Hit::Worker(self.book.wait_for_reader_of(seq))
    }

    pub(crate) fn command(&mut self, words: &[&str]) -> Hit {
        Hit::Answer(self.cluster.command(words.iter().copied()))
    }

    pub(crate) fn restart_one(&mut self) -> Hit {
        let slot = self.any_slot();
        self.cluster.command(["restart", &slot.to_string()]).expect_code(0);
        Hit::Worker(slot)
    }

    pub(crate) fn hang_up(&mut self, times: usize) -> Hit {
        for _ in 0..times {
            self.cluster.signal(Signal::SIGHUP);
        }
        Hit::Everybody
    }

    pub(crate) fn reload_bad_file(&mut self) -> Hit {
        let text = self.dice.pick(&BAD_FILES);
        Hit::Answer(self.with_config(text, |stage| stage.cluster.command(["reload", "--json"])))
    }

    /// An heir that ends, one that hangs, or one that is ready and ends while another still prepares.
    pub(crate) fn reload_failing_heir(&mut self) -> Hit {
        let slot = self.any_slot();
        let ways = if self.workers > 1 { 3 } else { 2 };
        match self.dice.below(ways) {
            0 => self.faults.order(slot, "before-ready", "exit"),
            1 => self.faults.order(slot, "before-ready", "hang"),
            _ => {
                self.faults.order(slot, "after-ready", "exit");
                self.faults.order((slot + 1) % self.workers, "before-ready", "hang");
            }
        }
        let answer = self.cluster.command(["reload", "--json"]);
        self.faults.clear();
        Hit::Answer(answer)
    }

    /// Nobody is asked meanwhile: he could not answer. Whatever happens, the supervisor goes on.
    pub(crate) fn pause_supervisor(&mut self) -> Hit {
        let pid = self.cluster.pid();
        self.cluster.signal(Signal::SIGSTOP);
        let stopped = || process::find(pid).filter(|supervisor| supervisor.state == 'T');
        let seen = try_for(PATIENCE, stopped);
        let _: Option<()> = try_for(PAUSE, || None);
        self.cluster.signal(Signal::SIGCONT);
        assert!(seen.is_some(), "the supervisor was never stopped");
        Hit::Everybody
    }

    /// While somebody is after the port, a worker dies and all are replaced.
    pub(crate) fn let_squat(&mut self) -> Hit {
        let squatter = Squatter::start(self.port);
        let slot = self.any_slot();
        self.signal_holder(slot, Signal::SIGKILL, None);
        let answer = self.cluster.command(["reload", "--json"]);
        Hit::Squat(answer, squatter.stop())
    }
}
