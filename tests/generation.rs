//! Generations: what a reload brings is in force, and what the disk says meanwhile is not.

use std::net::{Ipv4Addr, UdpSocket};

use harness::{Cluster, Ledger, cluster, wait_until};
use nix::sys::signal::Signal;

fn variable(cluster: &Cluster, slot: usize, name: &str) -> Option<String> {
    let pid = cluster.worker(slot).pid.expect("a process");
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("its environment");
    let text = String::from_utf8(environment).expect("text");
    text.split('\0').find_map(|entry| entry.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
}

/// A reload is answered at its commit; what predecessors find in their queues they still read as they were configured.
fn reload_and_wait_for_predecessors(cluster: &Cluster) {
    cluster.command(["reload"]).expect_code(0);
    let old = |process: &harness::process::Process| process.title.ends_with("gen 1");
    wait_until("the old generation is gone", || !cluster.processes().iter().any(old));
}

#[test]
fn a_new_environment_is_in_force_after_a_reload() {
    let cluster = cluster!().config("[worker.env]\nCOLOUR = \"blue\"\n").start();
    assert_eq!(variable(&cluster, 0, "COLOUR").as_deref(), Some("blue"));
    cluster.place().write_config("[worker.env]\nCOLOUR = \"red\"\n");
    cluster.command(["reload"]).expect_code(0);
    for slot in 0..2 {
        assert_eq!(variable(&cluster, slot, "COLOUR").as_deref(), Some("red"));
    }
}

#[test]
fn a_new_stale_after_is_in_force_after_a_reload() {
    let ledger = Ledger::new(10);
    let cluster = cluster!().ledger(&ledger).config("stale_after = \"1h\"\n").start();
    ledger.send_to(&cluster, "");
    ledger.settle(&cluster);
    let fresh = || cluster.meters().processors[0].meters[0].fresh;
    assert!(fresh());
    cluster.place().write_config("stale_after = \"100ms\"\n");
    cluster.command(["reload"]).expect_code(0);
    wait_until("the reading is stale", || !fresh());
}

#[test]
fn new_processors_are_in_force_after_a_reload() {
    let ledger = Ledger::new(10);
    let cluster = cluster!().ledger(&ledger).config("").start();
    let unknown = || cluster.list().cluster.totals.unknown_sender;
    ledger.send_to(&cluster, "");
    ledger.settle(&cluster);
    assert_eq!(unknown(), Some(0));
    cluster.place().write_config("[[processor]]\nname = \"bar\"\naddress = \"127.9.9.9\"\n");
    reload_and_wait_for_predecessors(&cluster);
    ledger.send_to(&cluster, "");
    ledger.settle(&cluster);
    assert_eq!(unknown(), Some(1));
    assert_eq!(cluster.meters().processor("127.9.9.9").expect("the new one").name, "bar");
}

#[test]
fn a_processor_of_a_new_configuration_gets_a_place_in_a_full_table() {
    let cluster = cluster!().config("").start();
    let to = cluster.targets()[0];
    let level = |last: u8| {
        let from = UdpSocket::bind((Ipv4Addr::new(127, 0, 9, last), 0));
        let text = r#"{"method":"update","params":[{"param":"ZoneMeter_0","val":-7}]}"#;
        from.expect("an address of the loopback").send_to(text.as_bytes(), to).expect("sent");
    };
    (1..=64).for_each(level);
    wait_until("the table is full", || cluster.meters().processors.len() == 64);
    cluster.place().write_config("[[processor]]\nname = \"bar\"\naddress = \"127.0.9.99\"\n");
    reload_and_wait_for_predecessors(&cluster);
    level(99);
    wait_until("its level is shown", || cluster.meters().level("127.0.9.99", "ZoneMeter_0") == Some(-7.0));
}

#[test]
fn a_crash_after_the_file_was_changed_restarts_what_was_started() {
    let cluster = cluster!().config("[worker.env]\nCOLOUR = \"blue\"\n").start();
    cluster.place().write_config("[worker.env]\nCOLOUR = \"red\"\n");
    cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    assert_eq!(variable(&cluster, 0, "COLOUR").as_deref(), Some("blue"));
    cluster.place().write_config("this is no configuration [[[");
    cluster.kill_worker(1).expect_replaced_after("SIGKILL");
    assert_eq!((variable(&cluster, 1, "COLOUR").as_deref(), cluster.worker(1).generation), (Some("blue"), 1));
    std::fs::remove_file(cluster.place().config_file()).expect("the file");
    cluster.kill_worker(1).expect_replaced_after("SIGKILL");
    assert_eq!(variable(&cluster, 1, "COLOUR").as_deref(), Some("blue"));
}

#[test]
fn counters_go_on_over_crashes_and_reloads() {
    let ledger = Ledger::new(1000);
    let cluster = cluster!().workers(1).ledger(&ledger).start();
    for round in 1..=4_u64 {
        for _ in 0..50 {
            ledger.send_to(&cluster, "");
        }
        ledger.settle(&cluster);
        let row = cluster.worker(0);
        assert_eq!((row.counts.datagrams, row.counts.readings), (Some(50 * round), Some(50 * round)));
        if round % 2 == 0 {
            cluster.command(["reload"]).expect_code(0);
        } else {
            cluster.signal_worker(0, Signal::SIGKILL).expect_replaced_after("SIGKILL");
        }
    }
}
