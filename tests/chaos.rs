//! Everything at once: kills, reloads and restarts under load; nothing is lost, nothing leaks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use harness::{Cluster, Ledger, Load, cluster, heavy, process, sender, wait_until};
use nix::sys::signal::Signal;

const AT_ONCE: &str = "[worker]\nmin_uptime = \"0s\"\nexp_backoff_restart_delay = \"0s\"\n";

/// Kills one process of the cluster after the other, the supervisor left out, until it is told to end; answers how
/// many. The order comes from `seed`.
fn kill_and_kill(cluster: &Cluster, ledger: &Ledger, over: &AtomicBool, mut seed: u64) -> u32 {
    let mut killed = 0;
    while !over.load(Ordering::Relaxed) {
        let children = process::children(cluster.pid());
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if let Some(victim) = children.get((seed >> 33) as usize % children.len().max(1)) {
            process::signal(victim.pid, Signal::SIGKILL);
            killed += 1;
        }
        ledger.wait_for_more(200);
    }
    killed
}

#[test]
fn kills_of_workers_and_heirs_during_reloads_lose_nothing() {
    let _heavy = heavy();
    let ledger = Ledger::new(16_000_000);
    let cluster = cluster!().workers(4).ledger(&ledger).config(AT_ONCE).start();
    let load = Load::start(&cluster.targets(), 64, 20_000, &ledger);
    let over = AtomicBool::new(false);
    let (mut done, mut failed) = (0, 0);
    let killed = thread::scope(|scope| {
        let killer = scope.spawn(|| kill_and_kill(&cluster, &ledger, &over, 42));
        for _ in 0..40 {
            match cluster.command(["reload"]).code {
                Some(0) => done += 1,
                Some(1) => failed += 1,
                other => eprintln!("a reload ended with {other:?}"),
            }
        }
        over.store(true, Ordering::Relaxed);
        killer.join().expect("the killer ends")
    });
    eprintln!("{killed} kills, {done} reloads done, {failed} failed");
    assert!(killed >= 20, "{killed} kills");
    assert_eq!(done + failed, 40, "every reload was answered");
    assert!(done > 0, "some got through");
    cluster.command(["restart"]).expect_code(0);
    cluster.expect_state("online");
    load.stop();
    ledger.settle(&cluster);
    cluster.expect_no_address_in_use();
    wait_until("nobody is left over and no zombie", || process::children(cluster.pid()).len() == 4);
}

#[test]
fn every_counter_is_exact_over_kills_of_workers_that_read_every_kind_of_datagram() {
    let _heavy = heavy();
    let cluster = cluster!().workers(3).config(AT_ONCE).start();
    let to = cluster.targets()[0];
    let meter = br#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneMeter_0","val":-1},{"param":"ZoneMeter_1","val":-2}]}"#;
    let keepalive = br#"{"jsonrpc":"2.0","method":"getResp","params":[{"param":"KeepAlive","str":"OK"}]}"#;
    let kinds: [&[u8]; 5] = [meter, b"", keepalive, b"{}", b"not json"];
    let senders: Vec<_> = (0..48).map(|number| sender(to, number)).collect();
    let (rounds, each) = (100_u64, 250_u64);
    for round in 0..rounds {
        for number in 0..each {
            let socket = &senders[((round + number) % 48) as usize];
            socket.send_to(kinds[(number % 5) as usize], to).expect("sent");
        }
        let children = process::children(cluster.pid());
        if let Some(victim) = children.get(round as usize % children.len().max(1)) {
            process::signal(victim.pid, Signal::SIGKILL);
        }
    }
    let sent = rounds * each;
    let list = cluster.expect("all is read", |list| list.cluster.totals.datagrams >= Some(sent));
    let totals = list.cluster.totals;
    let fifth = Some(sent / 5);
    assert_eq!(totals.datagrams, Some(sent), "{totals:?}");
    assert_eq!([totals.meter, totals.keepalive, totals.other], [fifth; 3], "{totals:?}");
    assert_eq!((totals.malformed, totals.readings), (Some(sent / 5 * 2), Some(sent / 5 * 2)), "{totals:?}");
    assert_eq!(totals.bytes, Some(sent / 5 * kinds.iter().map(|kind| kind.len() as u64).sum::<u64>()));
    assert_eq!((totals.dropped, totals.classes()), (Some(0), sent));
    assert!(list.workers.iter().map(|worker| worker.restarts).sum::<u32>() > 20, "the kills were real");
}

#[test]
fn reloads_and_crashes_leak_neither_descriptors_nor_addresses() {
    let cluster = cluster!().workers(3).config(AT_ONCE).start();
    let lines = || std::fs::read_dir(cluster.runtime_dir().join("notify")).expect("the lines").count();
    cluster.command(["reload"]).expect_code(0);
    wait_until("one line for each worker", || lines() == 3);
    let before = process::descriptors_at_rest(cluster.pid());
    let of_worker = |slot: usize| process::descriptors(cluster.worker(slot).pid.expect("a pid")).len();
    let before_in_worker = of_worker(0);
    for _ in 0..10 {
        for slot in 0..3 {
            cluster.kill_worker(slot).expect_replaced_after("SIGKILL");
        }
        cluster.command(["reload"]).expect_code(0);
    }
    wait_until("one line for each worker", || lines() == 3);
    wait_until("no more descriptors than before", || process::descriptors(cluster.pid()).len() <= before);
    wait_until("no more in a worker either", || of_worker(0) <= before_in_worker);
}
