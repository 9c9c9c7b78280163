//! What is to be seen after a fault: that it happened, and what should follow.

use harness::Output;
use harness::shape::{Exit, List, Worker};

use crate::faults::Hit;
use crate::stage::Stage;

impl Stage {
    /// The worker ended so (`SIGKILL`, `code 0 or SIGTERM`), the log says why, another one is online, and that was no
    /// plan.
    #[track_caller]
    pub(crate) fn expect_death(&self, hit: &Hit, ending: &str, news: &str) {
        let slot = slot(hit);
        let before = self.row_before(slot);
        self.replacement(slot);
        // One that was too fat leaves when the other one is online already.
        let ended = |list: &List| list.workers[slot].last_exit != before.last_exit;
        let row = self.cluster.expect(&format!("worker {slot} has ended"), ended).workers[slot].clone();
        let exit = row.last_exit.as_ref().map(Exit::described);
        let as_expected = ending.split(" or ").any(|one| exit.as_deref() == Some(one));
        assert!(as_expected, "worker {slot} should have ended with {ending}: {row:#?}");
        assert!(row.restarts > before.restarts, "a restart is counted: {before:#?} {row:#?}");
        self.expect_news(news);
    }

    /// The command says so, and another one is online.
    #[track_caller]
    pub(crate) fn expect_one_restarted(&self, hit: &Hit) {
        answer(hit).clone().expect_code(0);
        self.replacement(slot(hit));
    }

    /// The command says so, and all workers are others.
    #[track_caller]
    pub(crate) fn expect_all_replaced(&self, hit: &Hit) {
        answer(hit).clone().expect_code(0);
        self.cluster.expect("every worker has been replaced", |list| self.all_are_others(list));
    }

    /// The last reload is another one and done, of a newer generation, and all workers are others.
    #[track_caller]
    pub(crate) fn expect_reloaded(&self, hit: &Hit) {
        if !matches!(hit, Hit::Told(_)) {
            assert_eq!(answer(hit).clone().expect_code(0).json()["result"], "done");
        }
        let before = &self.before.cluster;
        let over =
            |list: &List| list.cluster.state == "online" && list.cluster.last_reload != before.last_reload;
        let list = self.cluster.expect("the reload is over", over);
        let reload = list.cluster.last_reload.clone().expect("one that differs from the last");
        assert_eq!(reload.result, "done", "{reload:?}");
        assert!(list.cluster.generation > before.generation, "{:?} {:?}", before, list.cluster);
        assert!(self.all_are_others(&list), "every worker has been replaced: {list:#?}");
    }

    /// The reload came to nothing, with that exit code and result, and nobody was touched.
    #[track_caller]
    pub(crate) fn expect_untouched(&self, hit: &Hit, code: i32, result: &str) {
        answer(hit).clone().expect_code(code).expect_said(&["hint: "]);
        let reload = self.cluster.list().cluster.last_reload.expect("the one that was tried");
        assert_eq!(reload.result, result, "{reload:?}");
        assert!(reload.error.is_some_and(|why| !why.is_empty()), "it says why");
        self.expect_same_processes();
    }

    #[track_caller]
    pub(crate) fn expect_same_processes(&self) {
        let list = self.cluster.expect_state("online");
        assert_eq!(list.pids(), self.before.pids(), "nobody was touched");
        assert_eq!(list.restarts(), self.before.restarts(), "nobody was restarted");
        assert_eq!(list.cluster.generation, self.before.cluster.generation);
    }

    /// He tried, and got nothing; what went on meanwhile went on as usual.
    #[track_caller]
    pub(crate) fn expect_squatter_refused(&self, hit: &Hit) {
        let Hit::Squat(_, loot) = hit else { unreachable!("a squatter was let") };
        loot.expect_none();
        self.expect_reloaded(hit);
        self.expect_news("killed by SIGKILL");
    }

    /// The row of whoever came after the holder that a slot had before.
    #[track_caller]
    fn replacement(&self, slot: usize) -> Worker {
        let replaced = |row: &Worker| row.state == "online" && row.pid != self.row_before(slot).pid;
        let list = self.cluster.expect(&format!("worker {slot} has been replaced"), |list| {
            list.workers.get(slot).is_some_and(replaced) && list.cluster.state == "online"
        });
        list.workers[slot].clone()
    }

    pub(crate) fn all_are_others(&self, list: &List) -> bool {
        let mut pairs = list.workers.iter().zip(&self.before.workers);
        pairs.all(|(now, before)| now.state == "online" && now.pid != before.pid)
    }

    #[track_caller]
    pub(crate) fn expect_news(&self, text: &str) {
        harness::wait_until(format_args!("the log says {text:?}"), || self.news().contains(text));
    }
}

fn slot(hit: &Hit) -> usize {
    match hit {
        Hit::Holder(slot, _) | Hit::Reader(slot) | Hit::Restart(slot, _) => *slot,
        _ => unreachable!("a worker was hit"),
    }
}

pub(crate) fn answer(hit: &Hit) -> &Output {
    match hit {
        Hit::InVain(output) | Hit::Answer(_, output) | Hit::Restart(_, output) | Hit::Squat(output, _) => {
            output
        }
        _ => unreachable!("a command was run"),
    }
}

/// `SIGKILL`, `code 0`.
trait Described {
    fn described(&self) -> String;
}

impl Described for Exit {
    fn described(&self) -> String {
        match (&self.signal, self.code) {
            (Some(signal), _) => signal.clone(),
            (None, Some(code)) => format!("code {code}"),
            (None, None) => "neither signal nor code".into(),
        }
    }
}
