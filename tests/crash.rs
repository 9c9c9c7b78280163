//! Crashes: whatever kills a worker, nothing is lost, nothing is counted twice, and somebody takes its place.

use harness::{Ledger, Load, cluster, heavy, process, wait_until};
use nix::sys::signal::Signal;

/// No waiting between restarts, however unstable.
const AT_ONCE: &str = "[worker]\nmin_uptime = \"0s\"\nexp_backoff_restart_delay = \"0s\"\n";

#[test]
fn every_worker_killed_under_load_is_replaced_and_nothing_is_lost() {
    let _heavy = heavy();
    let ledger = Ledger::new(4_000_000);
    let cluster = cluster!().workers(4).ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 64, 50_000, &ledger);
    for slot in 0..4 {
        ledger.wait_for_more(5_000);
        cluster.kill_worker(slot).expect_replaced_after("SIGKILL");
    }
    ledger.wait_for_more(5_000);
    load.stop();
    let verdict = ledger.settle(&cluster);
    assert!(verdict.by_slot.iter().all(|&read| read > 0), "all four read: {verdict}");
    cluster.expect_no_address_in_use();
    assert_eq!(cluster.list().restarts(), 4);
    assert!(cluster.log().contains("killed by SIGKILL after"), "a line for each death");
}

#[test]
fn all_workers_killed_at_once_lose_nothing() {
    let _heavy = heavy();
    let ledger = Ledger::new(4_000_000);
    let cluster = cluster!().workers(4).ledger(&ledger).config(AT_ONCE).start();
    let load = Load::start(&cluster.targets(), 64, 30_000, &ledger);
    ledger.wait_for_more(5_000);
    let before = cluster.list();
    before.pids().into_iter().flatten().for_each(|pid| process::signal(pid, Signal::SIGKILL));
    cluster.expect("four new workers are online", |list| {
        list.cluster.state == "online" && list.pids().iter().zip(before.pids()).all(|(new, old)| *new != old)
    });
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn a_hundred_restarts_under_load_lose_nothing_and_never_find_the_port_taken() {
    let _heavy = heavy();
    let ledger = Ledger::new(8_000_000);
    let cluster = cluster!().workers(4).ledger(&ledger).config(AT_ONCE).start();
    let load = Load::start(&cluster.targets(), 64, 20_000, &ledger);
    for round in 0..25 {
        let list = cluster.expect("all are online", |list| list.cluster.state == "online");
        assert!(list.restarts() >= 4 * round, "{list:#?}");
        list.pids().into_iter().flatten().for_each(|pid| process::signal(pid, Signal::SIGKILL));
        let goal = list.restarts() + 4;
        cluster.expect("all four were restarted", |list| list.restarts() >= goal);
    }
    load.stop();
    let list = cluster.expect_state("online");
    assert!(list.restarts() >= 100, "{list:#?}");
    ledger.settle(&cluster);
    cluster.expect_no_address_in_use();
}

#[test]
fn while_a_slot_waits_for_its_restart_others_read_its_flows() {
    let ledger = Ledger::new(1_000_000);
    let config =
        "[worker]\nexp_backoff_restart_delay = \"1h\"\nexp_backoff_max_delay = \"1h\"\nmin_uptime = \"1h\"\n";
    let cluster = cluster!().workers(3).ledger(&ledger).config(config).start();
    let to = cluster.targets()[0];
    // A sender whose home is slot 1.
    let home = (0..200)
        .map(|number| harness::sender(to, number))
        .find(|socket| ledger.wait_for_reader_of(ledger.send(socket, to, "")) == 1)
        .expect("one of 200 flows is at home in slot 1");
    let killed = cluster.kill_worker(1);
    cluster.expect("worker 1 waits", |list| list.workers[1].state == "waiting restart");
    let row = cluster.worker(1);
    assert_eq!((row.pid, row.uptime_s), (None, None));
    assert_eq!(cluster.list().cluster.state, "degraded");
    assert!(!process::lives(killed.pid));
    for _ in 0..50 {
        let reader = ledger.wait_for_reader_of(ledger.send(&home, to, ""));
        assert_ne!(reader, 1, "nobody is there");
    }
    cluster.command(["restart", "1"]).expect_code(0);
    cluster.expect("worker 1 is back", |list| list.workers[1].state == "online");
    assert_eq!(ledger.wait_for_reader_of(ledger.send(&home, to, "")), 1, "its flows have come home");
    ledger.settle(&cluster);
}

#[test]
fn a_slot_that_is_killed_over_and_over_under_the_usual_backoff_loses_nothing() {
    let _heavy = heavy();
    let ledger = Ledger::new(8_000_000);
    let cluster = cluster!().workers(3).ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 64, 20_000, &ledger);
    for _ in 0..5 {
        let row = cluster.kill_worker(2).expect_replaced_after("SIGKILL");
        assert!(row.state == "online");
    }
    load.stop();
    assert!(cluster.log().contains("unstable runs in a row"), "backoff was at work");
    ledger.settle(&cluster);
}

#[test]
fn a_worker_that_aborts_on_a_datagram_is_replaced_and_that_datagram_is_finished() {
    let ledger = Ledger::new(1000);
    let cluster = cluster!().ledger(&ledger).start();
    let before = cluster.list();
    let seq = ledger.send_to(&cluster, r#","fault":"abort""#);
    let slot = ledger.wait_for_reader_of(seq);
    let list = cluster.expect("it is back", |list| list.restarts() == 1 && list.cluster.state == "online");
    let row = &list.workers[slot];
    assert_ne!(row.pid, before.workers[slot].pid);
    assert_eq!(row.last_exit.as_ref().and_then(|exit| exit.signal.as_deref()), Some("SIGABRT"), "{row:#?}");
    ledger.settle(&cluster);
}

#[test]
fn a_worker_that_exits_tells_its_code() {
    let ledger = Ledger::new(1000);
    let cluster = cluster!().ledger(&ledger).start();
    let seq = ledger.send_to(&cluster, r#","fault":"exit""#);
    let slot = ledger.wait_for_reader_of(seq);
    let list = cluster.expect("it is back", |list| list.restarts() == 1 && list.cluster.state == "online");
    let exit = list.workers[slot].last_exit.clone().expect("a last exit");
    assert_eq!((exit.code, exit.signal), (Some(7), None));
    cluster.expect_log("exited with code 7");
    ledger.settle(&cluster);
}

#[test]
fn every_deadly_signal_is_survived_and_named() {
    let ledger = Ledger::new(1_000_000);
    let cluster = cluster!().workers(2).ledger(&ledger).config(AT_ONCE).start();
    let load = Load::start(&cluster.targets(), 32, 2_000, &ledger);
    for (signal, name) in [
        (Signal::SIGSEGV, "SIGSEGV"),
        (Signal::SIGBUS, "SIGBUS"),
        (Signal::SIGILL, "SIGILL"),
        (Signal::SIGFPE, "SIGFPE"),
        (Signal::SIGQUIT, "SIGQUIT"),
    ] {
        let sent = cluster.signal_worker(0, signal);
        sent.expect_replaced_after(name);
    }
    for (signal, name) in [(34, "SIGRTMIN"), (64, "SIGRTMAX")] {
        cluster.signal_worker_by_number(0, signal).expect_replaced_after(name);
    }
    cluster.expect_log("killed by SIGRTMIN after");
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn a_worker_that_was_told_to_leave_by_a_stranger_is_replaced() {
    let ledger = Ledger::new(1_000_000);
    let cluster = cluster!().ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 32, 5_000, &ledger);
    ledger.wait_for_more(500);
    let row = cluster.signal_worker(1, Signal::SIGTERM).expect_replaced();
    assert_eq!(row.last_exit.and_then(|exit| exit.code), Some(0), "it left in peace");
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn a_worker_that_hangs_on_a_datagram_is_killed_by_the_watchdog_and_nothing_is_lost() {
    let ledger = Ledger::new(1_000_000);
    let cluster = cluster!().ledger(&ledger).config("[worker]\nwatchdog = \"1s\"\n").start();
    let load = Load::start(&cluster.targets(), 32, 2_000, &ledger);
    let slot = ledger.wait_for_reader_of(ledger.send_to(&cluster, r#","fault":"hang""#));
    let list =
        cluster.expect("it is replaced", |list| list.restarts() == 1 && list.cluster.state == "online");
    let exit = list.workers[slot].last_exit.clone().expect("a last exit");
    assert_eq!(exit.signal.as_deref(), Some("SIGKILL"));
    cluster.expect_log("gave no sign of life within worker.watchdog");
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn a_stopped_worker_is_killed_by_the_watchdog_and_nothing_is_lost() {
    let ledger = Ledger::new(1_000_000);
    let cluster = cluster!().ledger(&ledger).config("[worker]\nwatchdog = \"500ms\"\n").start();
    let load = Load::start(&cluster.targets(), 32, 2_000, &ledger);
    cluster.signal_worker(0, Signal::SIGSTOP).expect_replaced_after("SIGKILL");
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn a_worker_that_outgrows_its_memory_gets_a_successor_first() {
    let ledger = Ledger::new(1_000_000);
    let cluster = cluster!().ledger(&ledger).config("[worker]\nmax_memory_restart = \"40M\"\n").start();
    let before = cluster.list();
    let load = Load::start(&cluster.targets(), 32, 2_000, &ledger);
    let slot = ledger.wait_for_reader_of(ledger.send_to(&cluster, r#","fault":"fat""#));
    let list = cluster.expect("another has the slot", |list| {
        list.workers[slot].pid.is_some_and(|pid| Some(pid) != before.workers[slot].pid)
            && list.cluster.state == "online"
    });
    cluster.expect_log("uses more memory than max_memory_restart; a successor is started");
    wait_until("the fat one is gone", || {
        before.workers[slot].pid.is_none_or(|pid| process::find(pid).is_none())
    });
    let exit = cluster.worker(slot).last_exit.expect("a last exit");
    assert_eq!(exit.code, Some(0), "it was told to leave, not killed");
    assert_eq!(list.workers[1 - slot].pid, before.workers[1 - slot].pid, "the other was left alone");
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn too_many_unstable_runs_are_given_up_and_restart_tries_again() {
    let ledger = Ledger::new(100_000);
    let config = "[worker]\nmax_restarts = 3\nmin_uptime = \"1h\"\nexp_backoff_restart_delay = \"1ms\"\n";
    let cluster = cluster!().workers(2).ledger(&ledger).config(config).start();
    cluster.kill_worker(1).expect_replaced_after("SIGKILL");
    cluster.kill_worker(1).expect_replaced_after("SIGKILL");
    let last = cluster.kill_worker(1);
    cluster.expect("it is given up", |list| list.workers[1].state == "errored");
    assert!(!process::lives(last.pid));
    assert_eq!(cluster.worker(1).pid, None);
    cluster.expect_log("worker 1 errored after 3 unstable runs in a row");
    assert_eq!(cluster.list().cluster.state, "degraded");
    let to = cluster.targets()[0];
    for number in 0..100 {
        ledger.send(&harness::sender(to, number), to, "");
    }
    let read = ledger.settle(&cluster).by_slot;
    assert_eq!(read, [100], "the errored slot's flows are read by the other");
    cluster.command(["restart", "1"]).expect_code(0);
    cluster.expect_state("online");
    for number in 0..100 {
        ledger.send(&harness::sender(to, number), to, "");
    }
    let read = ledger.settle(&cluster).by_slot;
    assert!(read.len() == 2 && read[1] > 0, "its flows have come home: {read:?}");
}

#[test]
fn restart_by_order_replaces_every_worker_and_loses_nothing() {
    let _heavy = heavy();
    let ledger = Ledger::new(4_000_000);
    let cluster = cluster!().workers(4).ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 64, 30_000, &ledger);
    ledger.wait_for_more(3_000);
    let before = cluster.list();
    cluster.command(["restart"]).expect_code(0);
    let after = cluster.expect_state("online");
    assert!(before.pids().iter().zip(after.pids()).all(|(old, new)| *old != new), "{after:#?}");
    assert_eq!(after.restarts(), 0, "an order is no unplanned exit");
    load.stop();
    ledger.settle(&cluster);
    cluster.command(["restart", "7"]).expect_code(2).expect_said(&["`7`", "hint: "]);
}
