//! Poison: a datagram that kills whoever reads it is put aside at the second death; nobody else is, and nothing else is
//! lost.

use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;

use harness::{
    Cluster, Ledger, Load, Place, Record, cluster, heavy, need_root, process, say, sender, wait_until,
};
use nix::sys::signal::Signal;

/// No waiting between restarts, however unstable.
const AT_ONCE: &str = "[worker]\nmin_uptime = \"0s\"\nexp_backoff_restart_delay = \"0s\"\n";
const POISON: &str = r#","fault":"poison""#;
const POISON_HANG: &str = r#","fault":"poison-hang""#;

/// Numbers of the records, in their order.
fn numbers(records: &[Record]) -> Vec<u64> {
    let mut numbers: Vec<u64> = records.iter().map(Record::seq).collect();
    numbers.sort_unstable();
    numbers
}

/// Waits until so many datagrams are in quarantine.
#[track_caller]
fn expect_quarantined(cluster: &Cluster, number: u64) {
    cluster.expect(&format!("{number} are in quarantine"), |list| {
        list.cluster.totals.quarantined == Some(number)
    });
}

/// Sends `before` datagrams, one for each of `faults`, and some after, while every worker stands still: what one sender
/// sends lies in one batch. Answers the numbers of those with a fault.
fn in_one_batch(cluster: &Cluster, ledger: &Ledger, socket: &UdpSocket, faults: &[&str]) -> Vec<u64> {
    let to = cluster.targets()[0];
    let pids = cluster.list().pids();
    pids.iter().flatten().for_each(|&pid| process::signal(pid, Signal::SIGSTOP));
    wait_until("all stand still", || {
        pids.iter().flatten().all(|&pid| process::find(pid).is_some_and(|it| it.state == 'T'))
    });
    let mut numbers = Vec::new();
    for fault in faults {
        ledger.send(socket, to, "");
        numbers.push(ledger.send(socket, to, fault));
    }
    ledger.send(socket, to, "");
    pids.iter().flatten().for_each(|&pid| process::signal(pid, Signal::SIGCONT));
    numbers
}

#[test]
fn a_datagram_that_kills_two_workers_is_put_aside_and_the_next_ones_flow() {
    let ledger = Ledger::new(1000);
    let cluster = cluster!().workers(2).ledger(&ledger).config(AT_ONCE).start();
    let (to, socket) = (cluster.targets()[0], sender(cluster.targets()[0], 5));
    let poison = in_one_batch(&cluster, &ledger, &socket, &[POISON]);
    expect_quarantined(&cluster, 1);
    ledger.send(&socket, to, "");
    ledger.settle_but(&cluster, &poison);
    let list = cluster.expect_state("online");
    assert_eq!(list.restarts(), 2, "tried once more, and not again: {list:#?}");

    let records = cluster.quarantine();
    let [record] = &records[..] else { panic!("one record: {records:#?}") };
    assert_eq!(record.seq(), poison[0]);
    assert_eq!((record.sender, &record.died[..]), (socket.local_addr().ok(), "SIGABRT"));
    assert_eq!((record.bytes, record.entry), (record.text().len(), 1));
    let received: jiff::Timestamp = record.received.as_ref().and_then(|at| at.parse().ok()).expect("a time");
    let age = jiff::Timestamp::now().duration_since(received);
    assert!(age.is_positive() && age.as_secs() < 120, "received {age:?} ago");
    let row = list.workers.iter().find(|row| row.counts.quarantined == Some(1)).expect("its row");
    assert_eq!((row.id, row.restarts), (record.slot, 2));

    let folder = cluster.runtime_dir().join("quarantine");
    let mode = |path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(folder.clone()), mode(folder.join("0.jsonl"))), (0o700, 0o600));
    let text = cluster.command(["list"]).expect_code(0).stdout;
    assert!(text.contains(&format!("1 datagram in quarantine: {}\n", folder.display())), "{text}");
    cluster.expect_log(&format!(
        "worker {}: a datagram of {} bytes from {} killed two workers, the last by SIGABRT; it lies in quarantine/",
        record.slot,
        record.bytes,
        socket.local_addr().expect("an address")
    ));
}

#[test]
fn several_in_one_batch_cost_two_deaths_each_and_their_neighbours_are_seen_once() {
    let ledger = Ledger::new(1000);
    let cluster = cluster!().workers(1).ledger(&ledger).config(AT_ONCE).start();
    let socket = sender(cluster.targets()[0], 1);
    let poison = in_one_batch(&cluster, &ledger, &socket, &[POISON, POISON, "", POISON, POISON]);
    let poison = [poison[0], poison[1], poison[3], poison[4]];
    expect_quarantined(&cluster, 4);
    ledger.settle_but(&cluster, &poison);
    assert_eq!(cluster.list().restarts(), 8);
    let records = cluster.quarantine();
    assert_eq!(numbers(&records), poison);
    let batches: Vec<u64> = records.iter().map(|record| record.batch).collect();
    assert!(batches.iter().all(|&batch| batch == batches[0]), "all in one batch: {batches:?}");
    assert_eq!(records.iter().map(|record| record.entry).collect::<Vec<_>>(), [1, 3, 7, 9]);
}

#[test]
fn one_that_hangs_is_put_aside_when_the_watchdog_has_killed_two() {
    let ledger = Ledger::new(1_000_000);
    let config = format!("{AT_ONCE}watchdog = \"300ms\"\nkill_timeout = \"300ms\"\n");
    let cluster = cluster!().workers(2).ledger(&ledger).config(config).start();
    let load = Load::start(&cluster.targets(), 32, 2_000, &ledger);
    let hang = ledger.send_to(&cluster, POISON_HANG);
    expect_quarantined(&cluster, 1);
    ledger.wait_for_more(1_000);
    load.stop();
    ledger.settle_but(&cluster, &[hang]);
    let records = cluster.quarantine();
    assert_eq!((numbers(&records), &records[0].died[..]), (vec![hang], "hang"));
    let row = cluster.worker(records[0].slot);
    assert_eq!(row.last_exit.and_then(|exit| exit.signal).as_deref(), Some("SIGKILL"));
    assert_eq!(cluster.log().matches("gave no sign of life within worker.watchdog").count(), 2);
}

#[test]
fn who_is_killed_at_a_datagram_that_hangs_blames_it_only_if_the_watchdog_did_it() {
    let ledger = Ledger::new(1000);
    let cluster =
        cluster!().workers(1).ledger(&ledger).config(format!("{AT_ONCE}watchdog = \"0s\"\n")).start();
    let socket = sender(cluster.targets()[0], 1);
    let hang = in_one_batch(&cluster, &ledger, &socket, &[POISON_HANG]);
    for _ in 0..20 {
        cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    }
    assert_eq!(cluster.list().cluster.totals.quarantined, Some(0), "an operator blames nobody");
    // Whoever hangs does not leave when he is told to, and is killed for that: no word about the datagram either.
    cluster.command(["restart"]).expect_code(0);
    cluster.expect_log("did not leave within worker.kill_timeout; killed");
    assert_eq!(cluster.list().cluster.totals.quarantined, Some(0), "nor does a restart");
    cluster.place().write_config(&format!("{AT_ONCE}watchdog = \"300ms\"\nkill_timeout = \"300ms\"\n"));
    cluster.command(["reload"]).expect_code(0);
    expect_quarantined(&cluster, 1);
    ledger.settle_but(&cluster, &hang);
    assert_eq!(cluster.quarantine()[0].died, "hang");
}

#[test]
fn exits_blame_nobody() {
    let ledger = Ledger::new(1000);
    let cluster = cluster!().workers(1).ledger(&ledger).config(AT_ONCE).start();
    ledger.send_to(&cluster, r#","fault":"poison-exit""#);
    cluster.expect("it has ended ten workers", |list| list.restarts() >= 10);
    let row = cluster.worker(0);
    assert_eq!((row.last_exit.and_then(|exit| exit.code), row.counts.quarantined), (Some(7), Some(0)));
    cluster.command(["stop", "--now"]).expect_code(0);
    assert_eq!((cluster.wait_for_end(), cluster.files_left()), (0, Vec::new()));
}

#[test]
fn an_operators_kills_blame_nobody_however_many_they_are() {
    let _heavy = heavy();
    let ledger = Ledger::new(4_000_000);
    let cluster = cluster!().workers(2).ledger(&ledger).config(AT_ONCE).start();
    let load = Load::start(&cluster.targets(), 64, 20_000, &ledger);
    let mut poison = Vec::new();
    for round in 0..20 {
        poison.push(ledger.send_to(&cluster, POISON));
        for _ in 0..6 {
            let pids: Vec<i32> = cluster.list().pids().into_iter().flatten().collect();
            pids.iter().for_each(|&pid| process::signal(pid, Signal::SIGKILL));
        }
        expect_quarantined(&cluster, round + 1);
    }
    load.stop();
    let list = cluster.expect_state("online");
    assert!(list.restarts() > 2 * 20 + 20, "many were killed beside those that died of poison: {list:#?}");
    assert!(cluster.log().contains("killed by SIGKILL after"), "by an operator");
    ledger.settle_but(&cluster, &poison);
    assert_eq!(numbers(&cluster.quarantine()), poison);
}

#[test]
fn faults_that_somebody_sends_from_outside_cost_no_datagram() {
    let _heavy = heavy();
    let ledger = Ledger::new(4_000_000);
    let cluster = cluster!().workers(1).ledger(&ledger).config(AT_ONCE).start();
    let load = Load::start(&cluster.targets(), 64, 20_000, &ledger);
    for _ in 0..40 {
        cluster.signal_worker(0, Signal::SIGSEGV).expect_replaced_after("SIGSEGV");
    }
    load.stop();
    ledger.settle(&cluster);
    assert!(cluster.quarantine().is_empty(), "each may have hit a datagram, none hit the same one twice");
}

#[test]
fn poison_in_the_midst_of_reloads_is_put_aside_and_the_reloads_are_all_or_nothing() {
    let _heavy = heavy();
    let ledger = Ledger::new(4_000_000);
    let cluster = cluster!().workers(2).ledger(&ledger).config(AT_ONCE).start();
    let load = Load::start(&cluster.targets(), 64, 10_000, &ledger);
    let mut poison = Vec::new();
    for round in 0..10 {
        let sent = std::thread::scope(|scope| {
            let reload = scope.spawn(|| cluster.command(["reload", "--json"]));
            let sent: Vec<u64> = (0..3).map(|_| ledger.send_to(&cluster, POISON)).collect();
            let output = reload.join().expect("the command ends");
            assert!(matches!(output.code, Some(0 | 1)), "done, or failed and nothing touched: {output:#?}");
            sent
        });
        poison.extend(sent);
        expect_quarantined(&cluster, 3 * (round + 1));
    }
    load.stop();
    cluster.expect_state("online");
    ledger.settle_but(&cluster, &poison);
    assert_eq!(numbers(&cluster.quarantine()), poison);
    cluster.command(["reload"]).expect_code(0);
    cluster.expect_no_address_in_use();
}

#[test]
fn hundreds_of_deaths_of_poison_amid_a_healthy_load_take_the_poison_alone() {
    let _heavy = heavy();
    let ledger = Ledger::new(8_000_000);
    let cluster = cluster!().workers(4).ledger(&ledger).config(AT_ONCE).start();
    let to = cluster.targets()[0];
    let load = Load::start(&cluster.targets(), 64, 20_000, &ledger);
    let mut poison = Vec::new();
    for number in 0..150 {
        poison.push(ledger.send(&sender(to, number), to, POISON));
        ledger.wait_for_more(200);
    }
    expect_quarantined(&cluster, 150);
    load.stop();
    let list = cluster.expect_state("online");
    let verdict = ledger.settle_but(&cluster, &poison);
    say(&format!("{} deaths, {} in quarantine, {verdict}", list.restarts(), poison.len()));
    assert!(list.restarts() >= 300, "two deaths for each: {list:#?}");
    assert_eq!(numbers(&cluster.quarantine()), poison, "each of them once, and nobody else");
}

#[test]
fn evidence_outlives_the_cluster_and_the_next_one_adds_to_it() {
    let (place, ledger) = (Place::new(), Ledger::new(1000));
    let mut poison = Vec::new();
    for round in 0..2 {
        let cluster = cluster!().workers(1).place(&place).ledger(&ledger).config(AT_ONCE).start();
        let quarantined = cluster.list().cluster.totals.quarantined;
        assert_eq!(quarantined, Some(0), "counters are of this cluster");
        poison.push(ledger.send_to(&cluster, POISON));
        expect_quarantined(&cluster, 1);
        assert_eq!(numbers(&cluster.quarantine()), poison);
        cluster.command(["stop"]).expect_code(0);
        cluster.wait_for_end();
        assert_eq!(cluster.files_left(), ["quarantine"], "round {round}");
    }
    let left: Vec<_> = std::fs::read_dir(place.runtime_dir().join("quarantine")).expect("it stays").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn without_a_place_for_the_file_datagrams_are_put_aside_all_the_same() {
    let (place, ledger) = (Place::new(), Ledger::new(1000));
    std::fs::create_dir(place.runtime_dir()).expect("made");
    std::fs::write(place.runtime_dir().join("quarantine"), "in the way").expect("written");
    let cluster = cluster!().workers(2).place(&place).ledger(&ledger).config(AT_ONCE).start();
    let poison = ledger.send_to(&cluster, POISON);
    expect_quarantined(&cluster, 1);
    ledger.settle_but(&cluster, &[poison]);
    cluster.expect_log("it could not be kept in quarantine/");
    assert_eq!(cluster.log().matches("datagrams that kill workers cannot be kept in").count(), 1);
    assert_eq!(std::fs::read_to_string(place.runtime_dir().join("quarantine")).expect("there"), "in the way");
}

/// A small file system on a folder; gone when dropped.
struct Tiny<'a>(&'a std::path::Path);

impl Drop for Tiny<'_> {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_disk_costs_the_record_and_nothing_else() {
    need_root();
    let (place, ledger) = (Place::new(), Ledger::new(1000));
    let folder = place.runtime_dir();
    std::fs::create_dir(&folder).expect("made");
    let flags = nix::mount::MsFlags::empty();
    // One page, which the pid file takes.
    let options = Some("size=4k,mode=0711");
    nix::mount::mount(Some("tiny"), &folder, Some("tmpfs"), flags, options).expect("mounted");
    let _tiny = Tiny(&folder);
    let cluster = cluster!().workers(2).place(&place).ledger(&ledger).config(AT_ONCE).start();
    let poison: Vec<u64> = (0..2).map(|_| ledger.send_to(&cluster, POISON)).collect();
    expect_quarantined(&cluster, 2);
    ledger.settle_but(&cluster, &poison);
    cluster.expect_log("it could not be kept in quarantine/");
    assert!(cluster.log().contains("No space left on device"));
    assert!(cluster.quarantine().is_empty(), "no half records");
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
}
