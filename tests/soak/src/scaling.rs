//! The fault that is none: scaling about, and what is to be seen of it.

use std::thread;

use harness::shape::List;
use harness::{Output, process};
use nix::sys::signal::Signal::{SIGKILL, SIGTTIN, SIGTTOU};

use crate::dice::Dice;
use crate::faults::Hit;
use crate::stage::Stage;

/// Scalings in a row; one more brings the usual number back.
const SCALINGS: usize = 6;
/// At most so many datagrams are sent between an order and the kill.
const MOST_SENT: usize = 2500;

impl Stage {
    /// To any number, by command or by signal, again and again, and back.
    pub(crate) fn scale_about(&self, dice: &mut Dice) -> Hit {
        let (mut workers, usual) = (self.workers, self.workers);
        for _ in 0..SCALINGS {
            workers = match dice.below(4) {
                0 if workers < self.most => {
                    self.signal_supervisor(SIGTTIN, 1);
                    workers + 1
                }
                1 if workers > 1 => {
                    self.signal_supervisor(SIGTTOU, 1);
                    workers - 1
                }
                _ => {
                    let goal = 1 + dice.below(self.most);
                    self.scale(goal).expect_code(0);
                    goal
                }
            };
            self.expect_workers(workers);
        }
        let back = usual as i64 - workers as i64;
        let amount = if back == 0 { usual.to_string() } else { format!("{back:+}") };
        Hit::Scaled(self.cluster.command(["scale", &amount]))
    }

    /// While the cluster scales, one of its processes is killed: a new one, one that leaves, one that stays.
    pub(crate) fn kill_amid_scaling(&self, dice: &mut Dice) -> Hit {
        for _ in 0..SCALINGS {
            let goal = 1 + dice.below(self.most);
            let (delay, luck) = (dice.below(MOST_SENT), dice.below(usize::MAX));
            let output = thread::scope(|scope| {
                let scaling = scope.spawn(|| self.scale(goal));
                self.book.ledger.wait_for_more(delay as u64);
                let children = process::children(self.supervisor());
                if let Some(victim) = children.get(luck % children.len().max(1)) {
                    process::signal(victim.pid, SIGKILL);
                }
                scaling.join().expect("the command ends")
            });
            let killed = output.code == Some(1) && output.stderr.contains("killed by SIGKILL");
            assert!(killed || output.code == Some(0), "{output:#?}");
            self.expect_workers(goal);
        }
        Hit::Scaled(self.scale(self.workers))
    }

    fn scale(&self, workers: usize) -> Output {
        self.cluster.command(["scale", &workers.to_string()])
    }

    #[track_caller]
    fn expect_workers(&self, workers: usize) -> List {
        self.cluster.expect(&format!("there are {workers} workers"), |list| {
            let ids = list.workers.iter().map(|worker| worker.id);
            ids.eq(0..workers)
                && list.cluster.workers_wanted == workers
                && list.workers.iter().all(|worker| worker.state == "online")
        })
    }

    /// There are as many workers as before.
    #[track_caller]
    pub(crate) fn expect_scaled_back(&self, hit: &Hit) {
        let Hit::Scaled(output) = hit else { unreachable!("a command was run") };
        let said = output.clone().expect_code(0).stdout;
        assert!(said.starts_with(&format!("scale done: {} worker", self.workers)), "{said}");
        self.expect_workers(self.workers);
        let news = self.news();
        assert!(news.matches("scale ordered").count() > 0, "it was scaled: {news}");
    }
}
