//! Scaling, as a user uses it: by command, by signal, by the configuration; nothing is lost with a slot that retires.

use std::net::UdpSocket;
use std::thread;

use harness::shape::List;
use harness::{Cluster, Faults, Ledger, Load, Output, cluster, heavy, process, wait_until};
use nix::sys::signal::Signal;

#[track_caller]
fn scale(cluster: &Cluster, amount: &str) -> Output {
    cluster.command(["scale", amount])
}

#[track_caller]
fn scaled(cluster: &Cluster, amount: &str) -> String {
    scale(cluster, amount).expect_code(0).stdout
}

/// So many workers, all online, in slots without a gap.
fn has_workers(list: &List, workers: usize) -> bool {
    let ids = list.workers.iter().map(|worker| worker.id);
    list.cluster.workers_wanted == workers
        && ids.eq(0..workers)
        && list.workers.iter().all(|worker| worker.state == "online")
}

#[track_caller]
fn expect_workers(cluster: &Cluster, workers: usize) -> List {
    cluster.expect(&format!("there are {workers} workers"), |list| has_workers(list, workers))
}

/// A sender whose flow is at home in `slot`.
#[track_caller]
fn sender_at_home_in(slot: usize, cluster: &Cluster, ledger: &Ledger) -> UdpSocket {
    let to = cluster.targets()[0];
    (0..200)
        .map(|number| harness::sender(to, number))
        .find(|socket| ledger.wait_for_reader_of(ledger.send(socket, to, "")) == slot)
        .unwrap_or_else(|| panic!("one of 200 flows is at home in slot {slot}"))
}

fn drainers(cluster: &Cluster) -> usize {
    cluster.log().matches("reads what is left in the retired slot").count()
}

#[test]
fn scale_sets_adds_and_takes_away_and_tells_how_many_there_are() {
    let _heavy = heavy();
    let ledger = Ledger::new(8_000_000);
    let cluster = cluster!().ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 64, 20_000, &ledger);
    let first = cluster.list();
    for (amount, said, workers) in [
        ("5", "scale done: 5 workers\n", 5),
        ("5", "scale done: 5 workers\n", 5),
        ("+2", "scale done: 7 workers\n", 7),
        ("-3", "scale done: 4 workers\n", 4),
        ("+64", "scale done: 64 workers (64 is the most)\n", 64),
        ("+1", "scale done: 64 workers (64 is the most)\n", 64),
        ("-64", "scale done: 1 worker (1 is the least)\n", 1),
        ("-1", "scale done: 1 worker (1 is the least)\n", 1),
        ("2", "scale done: 2 workers\n", 2),
    ] {
        assert_eq!(scaled(&cluster, amount), said);
        let list = cluster.list();
        assert!(has_workers(&list, workers), "after `scale {amount}`: {list:#?}");
        assert_eq!(list.workers[0].pid, first.workers[0].pid, "who stays is left alone");
        ledger.wait_for_more(2_000);
    }
    load.stop();
    let verdict = ledger.settle(&cluster);
    assert!(verdict.by_slot.len() > 40, "64 flows, 64 slots: {verdict}");
    cluster.expect_no_address_in_use();
    assert_eq!(cluster.list().restarts(), 0);
    wait_until("nobody is left over", || cluster.processes().len() == 3);
}

#[test]
fn signals_add_one_and_take_one_away() {
    let cluster = cluster!().workers(1).start();
    cluster.signal(Signal::SIGTTIN);
    expect_workers(&cluster, 2);
    cluster.signal(Signal::SIGTTIN);
    expect_workers(&cluster, 3);
    for workers in [2, 1] {
        cluster.signal(Signal::SIGTTOU);
        expect_workers(&cluster, workers);
    }
    cluster.signal(Signal::SIGTTOU).expect_log("SIGTTOU: scaling by -1");
    wait_until("the last worker stays", || cluster.log().matches("scale done: 1 worker").count() == 2);
    expect_workers(&cluster, 1);
}

#[test]
fn bad_amounts_are_refused_with_the_way_out() {
    let cluster = cluster!().start();
    let before = cluster.list();
    for amount in ["0", "65", "-0", "+65", "abc", "1.5", "", "99999999999999999999"] {
        scale(&cluster, amount)
            .expect_code(2)
            .expect_said(&["scale: `", "hint: allowed: a number from 1 to 64"]);
    }
    cluster.command(["scale"]).expect_code(2).expect_said(&["'scale' needs <N|+N|-N>", "hint: "]);
    scale(&cluster, "--5").expect_code(2).expect_said(&["hint: "]);
    cluster.command(["scale", "1", "2"]).expect_code(2).expect_said(&["hint: "]);
    assert_eq!(cluster.list().pids(), before.pids());
}

#[test]
fn a_number_changed_in_the_configuration_counts_at_the_next_reload() {
    let ledger = Ledger::new(4_000_000);
    let cluster = cluster!().workers_as_configured().config("workers = 2\n").ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 32, 5_000, &ledger);
    for workers in [5, 1, 3] {
        ledger.wait_for_more(500);
        cluster.place().write_config(&format!("workers = {workers}\n"));
        cluster.command(["reload"]).expect_code(0);
        let list = expect_workers(&cluster, workers);
        assert!(list.workers.iter().all(|worker| worker.generation == list.cluster.generation), "{list:#?}");
    }
    load.stop();
    ledger.settle(&cluster);
    cluster.expect_no_address_in_use();
    wait_until("nobody is left over", || cluster.processes().len() == 4);
}

#[test]
fn what_scale_set_lasts_over_reloads_until_the_file_says_another_number() {
    let cluster = cluster!().workers_as_configured().config("workers = 2\n").start();
    scaled(&cluster, "4");
    cluster.place().write_config("workers = 2\nstale_after = \"7s\"\n");
    for _ in 0..2 {
        cluster.command(["reload"]).expect_code(0);
        expect_workers(&cluster, 4);
    }
    cluster.place().write_config("workers = 3\n");
    cluster.command(["reload"]).expect_code(0);
    expect_workers(&cluster, 3);
    scaled(&cluster, "+1");
    cluster.command(["reload"]).expect_code(0);
    expect_workers(&cluster, 4);
}

#[test]
fn a_reload_to_more_workers_of_which_one_fails_changes_nothing() {
    let (ledger, faults) = (Ledger::new(1_000_000), Faults::new());
    let cluster =
        cluster!().workers_as_configured().config("workers = 2\n").ledger(&ledger).faults(&faults).start();
    let load = Load::start(&cluster.targets(), 32, 5_000, &ledger);
    let before = cluster.list();
    faults.order(3, "before-ready", "exit");
    cluster.place().write_config("workers = 4\n");
    cluster.command(["reload"]).expect_code(1).expect_said(&["worker 3", "exited with code 7", "hint: "]);
    let after = expect_workers(&cluster, 2);
    assert_eq!((after.pids(), after.restarts()), (before.pids(), 0), "nobody was touched");
    wait_until("the heirs are gone", || cluster.processes().len() == 3);
    faults.clear();
    cluster.command(["reload"]).expect_code(0);
    expect_workers(&cluster, 4);
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn a_scaling_waits_for_a_reload_and_a_later_one_overtakes_an_earlier_one() {
    let faults = Faults::new();
    let cluster = cluster!().faults(&faults).config("[worker]\nlisten_timeout = \"1h\"\n").start();
    thread::scope(|scope| {
        faults.order(1, "before-ready", "hang");
        let reload = scope.spawn(|| cluster.command(["reload"]));
        let preparing = |list: &List| list.workers[1].heir.is_some();
        let heir = cluster.expect("a reload is under way", preparing).workers[1].heir.clone();
        let waiting = scope.spawn(|| scale(&cluster, "4"));
        cluster.expect_log("scale ordered: 4");
        for _ in 0..20 {
            let list = cluster.list();
            assert_eq!((list.cluster.workers_wanted, list.cluster.state.as_str()), (2, "reloading"));
        }
        assert!(!waiting.is_finished());
        faults.clear();
        faults.order(3, "before-ready", "hang");
        process::signal(heir.and_then(|heir| heir.pid).expect("the heir that hangs"), Signal::SIGKILL);
        reload.join().expect("the command ends").expect_code(1);
        cluster.expect("its turn has come", |list| {
            list.workers.len() == 4
                && list.workers[2].state == "online"
                && list.workers[3].state == "launching"
        });
        assert!(!waiting.is_finished(), "worker 3 is not there yet");
        assert_eq!(scaled(&cluster, "1"), "scale done: 1 worker\n");
        waiting.join().expect("the command ends").expect_code(1).expect_said(&["overtook", "hint: "]);
    });
    expect_workers(&cluster, 1);
}

#[test]
fn a_new_worker_that_fails_is_told_and_tried_again_and_the_others_are_left_alone() {
    let (ledger, faults) = (Ledger::new(1_000_000), Faults::new());
    let cluster = cluster!().ledger(&ledger).faults(&faults).start();
    let load = Load::start(&cluster.targets(), 32, 5_000, &ledger);
    let before = cluster.list();
    faults.order(3, "before-ready", "exit");
    let said = ["scaling to 4 workers: worker 3", "exited with code 7", "hint: "];
    scale(&cluster, "4").expect_code(1).expect_said(&said);
    let list = cluster.expect_state("degraded");
    assert_eq!(list.pids()[..2], before.pids()[..], "nobody else was touched");
    assert_eq!((list.cluster.workers_wanted, list.restarts()), (4, list.workers[3].restarts));
    faults.clear();
    let after = expect_workers(&cluster, 4);
    assert!(after.workers[3].restarts > 0, "it was tried again: {after:#?}");
    faults.order(4, "before-ready", "exit");
    scale(&cluster, "5").expect_code(1);
    assert_eq!(scaled(&cluster, "2"), "scale done: 2 workers\n", "and so is the way back");
    expect_workers(&cluster, 2);
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn more_workers_than_descriptors_are_refused_and_nothing_is_changed() {
    // 128 for the supervisor, its roles and its clients, 19 for each worker on one address.
    let limited = ["sh", "-c", "ulimit -n 223; exec \"$@\"", "sh"];
    let cluster = cluster!().workers_as_configured().config("workers = 2\n").wrapped_in(&limited).start();
    let before = cluster.list();
    let said = ["6 workers on 1 address need 242 descriptors, and the limit is 223", "hint: raise it"];
    scale(&cluster, "6").expect_code(1).expect_said(&said);
    scale(&cluster, "+4").expect_code(1).expect_said(&said);
    cluster.place().write_config("workers = 6\n");
    let refused = cluster.command(["reload", "--json"]).expect_code(2).expect_said(&said);
    assert_eq!(refused.json()["result"], "refused");
    let after = cluster.list();
    assert_eq!((after.pids(), after.cluster.generation, after.cluster.workers_wanted), (before.pids(), 1, 2));
    scaled(&cluster, "5");
    cluster.signal(Signal::SIGTTIN).expect_log("scale not done: 6 workers on 1 address");
    cluster.place().write_config("workers = 2\nstale_after = \"7s\"\n");
    cluster.command(["reload"]).expect_code(0);
    expect_workers(&cluster, 5);
}

#[test]
fn a_retired_slot_leaves_its_counts_in_the_sums_and_goes_on_counting_when_it_comes_back() {
    let ledger = Ledger::new(1_000_000);
    let config = "receive_buffer = \"16K\"\n[worker]\nwatchdog = \"0s\"\n";
    let cluster = cluster!().ledger(&ledger).config(config).env("ATLAS_CLUSTER_RECEIVE_BUFFER", "").start();
    let to = cluster.targets()[0];
    let home = sender_at_home_in(1, &cluster, &ledger);
    let stopped = cluster.signal_worker(1, Signal::SIGSTOP);
    cluster.expect("its buffer overflows", |list| {
        (0..50).for_each(|_| _ = ledger.send(&home, to, ""));
        list.workers[1].counts.dropped > Some(0)
    });
    process::signal(stopped.pid, Signal::SIGCONT);
    let accounted = |list: &List| {
        let totals = &list.cluster.totals;
        totals.datagrams.zip(totals.dropped).is_some_and(|(read, dropped)| read + dropped == ledger.sent())
    };
    let before = cluster.expect("each datagram is read or dropped", accounted);
    scaled(&cluster, "1");
    let without = cluster.list();
    assert_eq!(without.workers.len(), 1);
    assert_eq!(without.cluster.totals, before.cluster.totals);
    scaled(&cluster, "2");
    let again = cluster.list();
    assert_eq!(again.workers[1].counts, before.workers[1].counts, "the slot goes on where it was");
    assert_eq!((again.workers[1].restarts, &again.workers[1].last_exit), (0, &None), "its life begins anew");
    let one_more = sender_at_home_in(1, &cluster, &ledger);
    ledger.wait_for_reader_of(ledger.send(&one_more, to, ""));
    let last = cluster.expect("it counts", accounted);
    assert!(last.workers[1].counts.datagrams > again.workers[1].counts.datagrams);
    assert_eq!(last.cluster.totals.dropped, before.cluster.totals.dropped);
}

/// TERM is answered by KILL soon, so that leavers that stand still are over soon.
const SOON: &str = "[worker]\nwatchdog = \"0s\"\nkill_timeout = \"800ms\"\n";

#[test]
fn what_a_killed_leaver_has_not_read_is_read_by_one_drainer() {
    let ledger = Ledger::new(10_000);
    let cluster = cluster!().ledger(&ledger).config(SOON).start();
    let (to, home) = (cluster.targets()[0], sender_at_home_in(1, &cluster, &ledger));
    let stopped = cluster.signal_worker(1, Signal::SIGSTOP);
    (0..200).for_each(|_| _ = ledger.send(&home, to, ""));
    assert_eq!(scaled(&cluster, "1"), "scale done: 1 worker\n");
    stopped.expect_gone();
    cluster.expect_log(&format!("worker 1 pid {} did not leave within worker.kill_timeout", stopped.pid));
    assert_eq!(drainers(&cluster), 1, "{}", cluster.log());
    expect_workers(&cluster, 1);
    ledger.settle(&cluster);
}

/// The datagram makes the worker hang amid a batch: what is behind it was taken out of the kernel, so the queue is empty,
/// and lies unfinished in the slot's ring.
#[test]
fn the_batch_of_a_killed_leaver_is_finished_though_the_queue_is_empty() {
    let ledger = Ledger::new(10_000);
    let cluster = cluster!().ledger(&ledger).config(SOON).start();
    let (to, home) = (cluster.targets()[0], sender_at_home_in(1, &cluster, &ledger));
    let hung = cluster.signal_worker(1, Signal::SIGSTOP);
    let fault = ledger.send(&home, to, r#","fault":"hang""#);
    (0..29).for_each(|_| _ = ledger.send(&home, to, ""));
    let last = ledger.send(&home, to, "");
    process::signal(hung.pid, Signal::SIGCONT);
    assert_eq!(ledger.wait_for_reader_of(fault), 1);
    cluster.expect("the kernel's queue is empty", |list| list.workers[1].queue_bytes == Some(0));
    assert_eq!(ledger.reader_of(last), None, "it is in the batch of the worker that hangs");
    scaled(&cluster, "1");
    hung.expect_gone();
    assert_eq!(ledger.reader_of(last), Some(1), "finished before the scaling was done");
    wait_until("that is told", || drainers(&cluster) > 0);
    assert_eq!(drainers(&cluster), 1, "{}", cluster.log());
    ledger.settle(&cluster);
}

#[test]
fn a_drainer_that_dies_is_followed_by_another_and_nothing_is_lost() {
    let (ledger, faults) = (Ledger::new(10_000), Faults::new());
    let cluster = cluster!().ledger(&ledger).faults(&faults).config(SOON).start();
    let (to, home) = (cluster.targets()[0], sender_at_home_in(1, &cluster, &ledger));
    let stopped = cluster.signal_worker(1, Signal::SIGSTOP);
    (0..200).for_each(|_| _ = ledger.send(&home, to, ""));
    faults.order(1, "before-ready", "exit");
    scale(&cluster, "1").expect_code(1).expect_said(&["worker 1", "exited with code 7", "hint: "]);
    stopped.expect_gone();
    let list = cluster.list();
    assert_eq!((list.cluster.workers_wanted, list.workers.len()), (1, 2), "what waits is not given up");
    // The next ones come that far, and do not read.
    faults.order(1, "after-ready", "hang");
    std::fs::remove_file(faults.folder().join("1.before-ready")).expect("the fault's file");
    wait_until("two that do not read were sent away", || drainers(&cluster) >= 2);
    faults.clear();
    expect_workers(&cluster, 1);
    ledger.settle(&cluster);
}

#[test]
fn a_slot_whose_drainer_failed_is_taken_back_with_what_waits_there() {
    let (ledger, faults) = (Ledger::new(10_000), Faults::new());
    let cluster = cluster!().ledger(&ledger).faults(&faults).config(SOON).start();
    let (to, home) = (cluster.targets()[0], sender_at_home_in(1, &cluster, &ledger));
    let stopped = cluster.signal_worker(1, Signal::SIGSTOP);
    (0..200).for_each(|_| _ = ledger.send(&home, to, ""));
    faults.order(1, "before-ready", "exit");
    scale(&cluster, "1").expect_code(1);
    stopped.expect_gone();
    faults.clear();
    assert_eq!(scaled(&cluster, "3"), "scale done: 3 workers\n");
    expect_workers(&cluster, 3);
    ledger.settle(&cluster);
}

#[test]
fn a_stop_amid_a_scaling_ends_and_answers() {
    let cluster = cluster!().workers(16).config("[worker]\nkill_timeout = \"1h\"\n").start();
    let stopped = cluster.signal_worker(7, Signal::SIGSTOP);
    thread::scope(|scope| {
        let scaling = scope.spawn(|| scale(&cluster, "1"));
        cluster.expect("those above it are retired", |list| list.workers.len() == 8);
        cluster.command(["stop", "--now"]).expect_code(0);
        scaling.join().expect("the command ends").expect_code(1).expect_said(&["overtook"]);
    });
    assert_eq!(cluster.wait_for_end(), 0);
    stopped.expect_gone();
}

#[test]
fn a_stop_at_any_moment_of_a_scaling_ends_it() {
    for round in 0..12 {
        let (ledger, cluster) = (Ledger::new(100_000), cluster!().workers(6).start());
        let _load = Load::start(&cluster.targets(), 8, 2_000, &ledger);
        thread::scope(|scope| {
            scope.spawn(|| scale(&cluster, "1"));
            ledger.wait_for_more(10 * round);
            cluster.signal(Signal::SIGTERM);
            assert_eq!(cluster.wait_for_end(), 0);
        });
    }
}
