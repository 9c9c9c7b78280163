//! The supervisor dies: what it kept lies with whoever started it, and the next one takes it up, counters and all.
//!
//! An outer cluster plays systemd's part: the inner supervisor is its only worker.

use harness::{Ledger, Load, Nested, cluster, heavy, process, wait_for, wait_until};
use nix::sys::signal::Signal;

const AT_ONCE: &str = "[worker]\nmin_uptime = \"0s\"\nexp_backoff_restart_delay = \"0s\"\n";

/// Waits until another supervisor than `before` says that the inner cluster is online.
#[track_caller]
fn expect_taken_up(nested: &Nested, before: i32) -> i32 {
    wait_for("the next supervisor is online", || {
        let list = nested.inner.try_list()?.cluster;
        (list.pid != before && list.state == "online").then_some(list.pid)
    })
}

#[test]
fn a_hundred_deaths_of_the_supervisor_under_load_lose_nothing() {
    let _heavy = heavy();
    let ledger = Ledger::new(16_000_000);
    let both = cluster!().workers(3).listen("127.0.0.1:0").listen("[::1]:0").ledger(&ledger).config(AT_ONCE);
    let nested = both.start_nested();
    let before = nested.inner.list();
    let load = Load::start(&nested.inner.targets(), 64, 20_000, &ledger);
    let mut supervisor = before.cluster.pid;
    let mut with_a_worker = 0;
    for round in 0..100 {
        // In the same moment as one of its workers, before or after it, or as all of them.
        let workers = process::children(supervisor);
        let victims: Vec<i32> = match round % 5 {
            0 => vec![supervisor],
            1 => vec![supervisor, workers[round % workers.len()].pid],
            2 => vec![workers[round % workers.len()].pid, supervisor],
            3 => workers.iter().map(|one| one.pid).chain([supervisor]).collect(),
            _ => std::iter::once(supervisor).chain(workers.iter().map(|one| one.pid)).collect(),
        };
        victims.iter().for_each(|&pid| process::signal(pid, Signal::SIGKILL));
        with_a_worker += usize::from(victims.len() > 1);
        supervisor = expect_taken_up(&nested, supervisor);
        ledger.wait_for_more(100);
    }
    load.stop();
    let outer = nested.outer.worker(0);
    assert_eq!(outer.last_exit.and_then(|exit| exit.signal).as_deref(), Some("SIGKILL"));
    assert!(outer.restarts >= 100 && with_a_worker >= 50, "{} deaths", outer.restarts);
    ledger.settle(&nested.inner);
    nested.outer.expect_no_address_in_use();
    let after = nested.inner.list();
    assert_eq!(after.cluster.listen, before.cluster.listen, "the ports stay");
    assert!(after.cluster.generation >= 101, "no generation's number comes twice: {after:#?}");
    nested.outer.expect_log("its sockets and counters are taken up, 3 slots");
}

#[test]
fn nothing_piles_up_in_the_store_above() {
    let ledger = Ledger::new(1000);
    let nested = cluster!().workers(2).ledger(&ledger).config(AT_ONCE).start_nested();
    let mut supervisor = nested.inner.list().cluster.pid;
    let mut first = None;
    for _ in 0..10 {
        ledger.send_to(&nested.inner, "");
        ledger.settle(&nested.inner);
        process::signal(supervisor, Signal::SIGKILL);
        supervisor = expect_taken_up(&nested, supervisor);
        nested.inner.command(["reload"]).expect_code(0);
        nested.inner.command(["upgrade"]).expect_code(0);
        let before = *first.get_or_insert_with(|| process::descriptors_at_rest(nested.outer.pid()));
        // A memo may be on its way, and the one before it not forgotten yet; ten rounds of a leak would be more.
        wait_until("the store is as it was", || process::descriptors(nested.outer.pid()).len() <= before + 2);
    }
}

#[test]
fn a_start_with_fewer_workers_empties_and_closes_the_surplus() {
    let ledger = Ledger::new(16_000_000);
    let four = format!("workers = 4\n{AT_ONCE}");
    let nested = cluster!().workers_as_configured().ledger(&ledger).config(four).start_nested();
    let load = Load::start(&nested.inner.targets(), 32, 5_000, &ledger);
    for workers in [2, 3, 1, 4] {
        nested.inner.place().write_config(&format!("workers = {workers}\n{AT_ONCE}"));
        ledger.wait_for_more(1000);
        let supervisor = nested.inner.list().cluster.pid;
        process::signal(supervisor, Signal::SIGKILL);
        expect_taken_up(&nested, supervisor);
        nested.inner.expect("the surplus is closed", |list| list.workers.len() == workers);
    }
    load.stop();
    ledger.settle(&nested.inner);
}

#[test]
fn what_was_scaled_upgraded_and_reloaded_is_known_to_the_next_supervisor() {
    let two = format!("workers = 2\n{AT_ONCE}");
    let nested = cluster!().workers_as_configured().config(two).start_nested();
    nested.inner.command(["upgrade"]).expect_code(0);
    let known = |workers: usize| {
        let list = nested.inner.expect(&format!("{workers} are online"), |list| {
            list.cluster.state == "online" && list.workers.len() == workers
        });
        (list.cluster.upgrades, list.cluster.last_reload.map(|last| (last.result, last.generation)))
    };
    let mut supervisor = nested.inner.list().cluster.pid;
    for workers in [5, 1, 3] {
        nested.inner.command(["scale", &workers.to_string()]).expect_code(0);
        for _ in 0..2 {
            process::signal(supervisor, Signal::SIGKILL);
            supervisor = expect_taken_up(&nested, supervisor);
            assert_eq!(known(workers), (1, Some(("done".into(), 2))));
        }
    }
    nested.inner.place().write_config(&format!("workers = 4\n{AT_ONCE}"));
    process::signal(supervisor, Signal::SIGKILL);
    expect_taken_up(&nested, supervisor);
    known(4);
}

#[test]
fn what_was_scaled_ends_with_a_stop_by_order() {
    let two = format!("workers = 2\n{AT_ONCE}");
    let nested = cluster!().workers_as_configured().config(two).start_nested();
    let supervisor = nested.inner.list().cluster.pid;
    nested.inner.command(["scale", "4"]).expect_code(0);
    // It is a worker of the outer one, which starts it again.
    nested.inner.command(["stop"]).expect_code(0);
    expect_taken_up(&nested, supervisor);
    assert_eq!(nested.inner.list().workers.len(), 2, "as the file says");
}

#[test]
fn a_stop_of_the_outer_one_leaves_nobody_behind() {
    let nested = cluster!().workers(2).start_nested();
    nested.outer.command(["stop"]).expect_code(0);
    assert_eq!(nested.outer.wait_for_end(), 0);
    nested.inner.expect_no_process();
    assert_eq!(nested.inner.files_left(), Vec::<String>::new());
    assert_eq!(nested.outer.files_left(), Vec::<String>::new());
}
