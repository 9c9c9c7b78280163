//! What is to be seen after a fault of the supervisor's, and after poison.

use harness::shape::List;
use harness::{Record, wait_until};

use crate::expect::answer;
use crate::faults::Hit;
use crate::stage::Stage;

impl Stage {
    /// There and back, each a reload that the log tells of.
    #[track_caller]
    pub(crate) fn expect_rebalanced(&self, hit: &Hit) {
        let Hit::Answers(there, back) = hit else { unreachable!("two commands were run") };
        let [Some(there), Some(back)] = [there, back].map(|output| {
            let answer = output.clone().expect_code(0).json();
            assert_eq!(answer["result"], "done");
            answer["generation"].as_u64()
        }) else {
            panic!("each answer names its generation")
        };
        self.expect_news("balance: spread");
        self.expect_news("balance: flow");
        // Not two more than before: a reload that failed may have used numbers up.
        let (before, now) = (&self.before.cluster, self.cluster.list().cluster);
        assert!(there > u64::from(before.generation));
        assert_eq!((back, u64::from(now.generation)), (there + 1, back));
    }

    /// The same process is the next supervisor, one upgrade more is counted, and all workers are others.
    #[track_caller]
    pub(crate) fn expect_upgraded(&self, hit: &Hit) {
        let before = &self.before.cluster;
        if !matches!(hit, Hit::Told(_)) {
            assert_eq!(answer(hit).clone().expect_code(0).json()["result"], "done");
        }
        let list = self.cluster.expect("the upgrade is over", |list| {
            list.cluster.upgrades == before.upgrades + 1
                && list.cluster.generation > before.generation
                && list.cluster.state == "online"
        });
        assert_eq!(list.cluster.pid, before.pid, "an upgrade keeps the process");
        assert!(self.all_are_others(&list), "every worker has been replaced: {list:#?}");
        assert_eq!(list.restarts(), self.before.restarts(), "an upgrade is no restart");
        self.expect_news("upgraded from version");
    }

    /// The reason is told, and nobody was touched.
    #[track_caller]
    pub(crate) fn expect_upgrade_refused(&self, hit: &Hit) {
        let output = answer(hit).clone().expect_code(1).expect_said(&["hint: "]);
        let json = output.json();
        assert_eq!(json["result"], "failed");
        assert!(json["error"].as_str().is_some_and(|why| why.contains("whether it can take over")), "{json}");
        self.expect_same_processes();
        assert_eq!(self.cluster.list().cluster.upgrades, self.before.cluster.upgrades);
    }

    /// The outer one tells how it ended; the next one is on the same port, with other workers, and has forgotten
    /// nothing.
    #[track_caller]
    pub(crate) fn expect_next_supervisor(&self, hit: &Hit) {
        let Hit::Supervisor(pid, _) = hit else { unreachable!("the supervisor was hit") };
        let before = &self.before.cluster;
        assert_eq!(*pid, before.pid, "whom the outer one calls its worker is the inner supervisor");
        let next = |list: &List| list.cluster.pid != before.pid && list.cluster.state == "online";
        let list = self.cluster.expect("the next supervisor is online", next);
        let row = self.outer.worker(0);
        assert_eq!(row.last_exit.and_then(|exit| exit.signal).as_deref(), Some("SIGKILL"));
        assert!(row.restarts > self.outer_before.workers[0].restarts, "a restart is counted");
        assert!(self.all_are_others(&list), "nobody outlives his supervisor: {list:#?}");
        assert_eq!(list.cluster.listen, before.listen, "the port stays");
        assert!(list.cluster.generation > before.generation, "no generation's number comes twice");
        assert!(list.cluster.totals.datagrams >= before.totals.datagrams, "counters go on");
        self.expect_news("its sockets and counters are taken up");
    }

    /// Two workers have died of it, and it is in quarantine.
    #[track_caller]
    pub(crate) fn expect_put_aside(&self, hit: &Hit, died: &str) {
        let Hit::Poison(seq) = hit else { unreachable!("poison was sent") };
        let record = self.expect_record(*seq);
        assert_eq!(record.died, died, "{record:#?}");
        let list = self.cluster.expect_state("online");
        let quarantined = self.before.cluster.totals.quarantined.map(|before| before + 1);
        assert_eq!(list.cluster.totals.quarantined, quarantined, "it, and nobody else");
        let row = &list.workers[record.slot];
        let deaths = row.restarts - self.row_before(record.slot).restarts;
        assert_eq!(deaths, 2, "tried once more, and not again: {row:#?}");
    }

    /// Waits until the datagram of that number is in quarantine.
    #[track_caller]
    pub(crate) fn expect_record(&self, seq: u64) -> Record {
        wait_until(format_args!("datagram {seq} is counted as quarantined"), || {
            let number = self.cluster.try_list().and_then(|list| list.cluster.totals.quarantined);
            number.is_some_and(|number| number >= self.poison().len() as u64)
        });
        let record = self.cluster.quarantine().into_iter().find(|record| record.seq() == seq);
        record.unwrap_or_else(|| panic!("datagram {seq} is not in quarantine"))
    }
}
