//! Balance: a sender's datagrams stay with one worker, or are spread over all of them.

use harness::{Cluster, Faults, Ledger, Load, cluster, heavy, process, sender, wait_until};

const FLOW: &str = "balance = \"flow\"\n";
const SPREAD: &str = "balance = \"spread\"\n";

/// What was read by each slot since `before`.
fn read_since(before: &[u64], ledger: &Ledger) -> Vec<u64> {
    let read = ledger.verdict().by_slot.into_iter().enumerate();
    read.map(|(slot, read)| read - before.get(slot).copied().unwrap_or(0)).collect()
}

/// How much each slot reads of `count` datagrams of one sender.
#[track_caller]
fn sent_by_one(cluster: &Cluster, ledger: &Ledger, count: usize) -> Vec<u64> {
    let (to, before) = (cluster.targets()[0], ledger.verdict().by_slot);
    let socket = sender(to, 1);
    for _ in 0..count {
        ledger.send(&socket, to, "");
    }
    wait_until("all of it is read", || ledger.verdict().lost.is_empty());
    read_since(&before, ledger)
}

#[track_caller]
fn expect_fair(read: &[u64], slots: usize) {
    let fair = read.iter().sum::<u64>() / slots as u64;
    let fairly = read.iter().filter(|read| (fair / 2..=fair * 2).contains(*read));
    assert_eq!(fairly.count(), slots, "a fair part is {fair}: {read:?}");
}

#[track_caller]
fn expect_one_reader(read: &[u64]) {
    assert_eq!(read.iter().filter(|&&read| read > 0).count(), 1, "one sender, one worker: {read:?}");
}

#[test]
fn one_loud_sender_is_read_by_every_worker_and_deaths_and_reloads_lose_nothing() {
    let _heavy = heavy();
    let ledger = Ledger::new(4_000_000);
    let cluster = cluster!().workers(4).ledger(&ledger).config(FLOW).start();
    let load = Load::start(&cluster.targets(), 1, 20_000, &ledger);
    ledger.wait_for_more(2_000);
    expect_one_reader(&ledger.verdict().by_slot);
    for (balance, told) in [(SPREAD, "balance: spread"), (FLOW, "balance: flow"), (SPREAD, "balance: spread")]
    {
        cluster.place().write_config(balance);
        cluster.command(["reload"]).expect_code(0);
        cluster.expect_log(told);
        if balance == SPREAD {
            let before = ledger.verdict().by_slot;
            ledger.wait_for_more(8_000);
            expect_fair(&read_since(&before, &ledger), 4);
        }
        for slot in 0..4 {
            ledger.wait_for_more(1_000);
            cluster.kill_worker(slot).expect_replaced_after("SIGKILL");
        }
    }
    load.stop();
    ledger.settle(&cluster);
    let list = cluster.list();
    assert_eq!((list.cluster.generation, list.restarts()), (4, 12));
    assert_eq!(cluster.log().matches("balance: ").count(), 3);
    cluster.expect_no_address_in_use();
}

#[test]
fn spread_reaches_every_worker_on_every_address() {
    let ledger = Ledger::new(10_000);
    let start = cluster!().workers(3).ledger(&ledger).arg("--balance").arg("spread");
    let cluster = start.listen("127.0.0.1:0").listen("[::1]:0").start();
    for to in cluster.targets() {
        let (socket, before) = (sender(to, 1), ledger.verdict().by_slot);
        (0..600).for_each(|_| _ = ledger.send(&socket, to, ""));
        wait_until("all of it is read", || ledger.verdict().lost.is_empty());
        expect_fair(&read_since(&before, &ledger), 3);
    }
    ledger.settle(&cluster);
}

#[test]
fn the_balance_changes_with_the_commit_of_a_reload_and_a_failed_one_changes_nothing() {
    let (ledger, faults) = (Ledger::new(10_000), Faults::new());
    let cluster = cluster!().workers(3).ledger(&ledger).faults(&faults).config(FLOW).start();
    expect_one_reader(&sent_by_one(&cluster, &ledger, 200));
    cluster.place().write_config(SPREAD);
    faults.order(1, "before-ready", "exit");
    cluster.command(["reload"]).expect_code(1).expect_said(&["exited with code 7"]);
    expect_one_reader(&sent_by_one(&cluster, &ledger, 200));
    cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    expect_one_reader(&sent_by_one(&cluster, &ledger, 200));
    faults.clear();
    cluster.command(["reload"]).expect_code(0);
    expect_fair(&sent_by_one(&cluster, &ledger, 600), 3);
    cluster.command(["restart"]).expect_code(0);
    cluster.expect_state("online");
    expect_fair(&sent_by_one(&cluster, &ledger, 600), 3);
    ledger.settle(&cluster);
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let ledger = Ledger::new(10_000);
    let start = || cluster!().workers(2).ledger(&ledger).config(FLOW).env("ATLAS_CLUSTER_BALANCE", "spread");
    let cluster = start().start();
    expect_fair(&sent_by_one(&cluster, &ledger, 400), 2);
    drop(cluster);
    let cluster = start().arg("--balance").arg("flow").start();
    expect_one_reader(&sent_by_one(&cluster, &ledger, 200));
}

#[test]
fn a_worker_in_trouble_gets_nothing_of_what_is_spread() {
    let ledger = Ledger::new(10_000);
    let backoff =
        "[worker]\nexp_backoff_restart_delay = \"1h\"\nexp_backoff_max_delay = \"1h\"\nmin_uptime = \"1h\"\n";
    let cluster = cluster!().workers(4).ledger(&ledger).config(format!("{SPREAD}{backoff}")).start();
    expect_fair(&sent_by_one(&cluster, &ledger, 800), 4);
    let killed = cluster.kill_worker(2);
    cluster.expect("worker 2 waits", |list| list.workers[2].state == "waiting restart");
    assert!(!process::lives(killed.pid));
    let read = sent_by_one(&cluster, &ledger, 900);
    assert_eq!(read[2], 0, "nobody is there: {read:?}");
    expect_fair(&read, 3);
    cluster.command(["restart", "2"]).expect_code(0);
    cluster.expect_state("online");
    expect_fair(&sent_by_one(&cluster, &ledger, 800), 4);
    ledger.settle(&cluster);
}

/// Levels of one sender are read by several workers at a time: the last one sent is the one that is shown.
#[test]
fn readers_see_the_newest_level_whoever_read_it() {
    let ledger = Ledger::new(100_000);
    let cluster = cluster!().workers(4).ledger(&ledger).config(SPREAD).start();
    let to = cluster.targets()[0];
    let socket = sender(to, 1);
    for round in 0..20u64 {
        for step in 0..50u64 {
            let level = -(((round * 50 + step) * 7919) % 8000).cast_signed() as f64 / 100.0;
            let seq = ledger.claim();
            let params = format!(r#"{{"param":"ZoneMeter_63","val":{level}}}"#);
            let text = format!(r#"{{"jsonrpc":"2.0","method":"update","params":[{params}],"seq":{seq}}}"#);
            socket.send_to(text.as_bytes(), to).expect("sent");
            if step == 48 {
                ledger.wait_for_reader_of(seq); // kernel stamps become time since boot with an error of some µs
            }
            if step == 49 {
                wait_until("all of it is read", || ledger.verdict().lost.is_empty());
                assert_eq!(cluster.meters().level("127.0.0.3", "ZoneMeter_63"), Some(level), "round {round}");
            }
        }
    }
    ledger.settle(&cluster);
}
