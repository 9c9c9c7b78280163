//! Receiving: every datagram is read once, by whichever worker, and is in exactly one class.

use std::net::{SocketAddr, UdpSocket};

use harness::{Cluster, Ledger, Load, cluster, heavy, wait_until};
use nix::sys::signal::Signal;

fn from(address: &str) -> UdpSocket {
    UdpSocket::bind((address, 0)).expect("a sender")
}

fn update(param: &str, value: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"update","params":[{{"param":"{param}",{value}}}]}}"#)
}

/// Sends, and waits until so many have been counted in all.
#[track_caller]
fn send(cluster: &Cluster, socket: &UdpSocket, payload: &[u8]) {
    let before = cluster.list().cluster.totals.datagrams;
    socket.send_to(payload, cluster.targets()[0]).expect("sent");
    let goal = before.map(|count| count + 1);
    wait_until("the datagram is counted", || cluster.list().cluster.totals.datagrams == goal);
}

#[test]
fn every_datagram_of_64_senders_is_read_at_50_000_a_second() {
    let _heavy = heavy();
    let ledger = Ledger::new(4_000_000);
    let cluster = cluster!().workers(4).ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 64, 50_000, &ledger);
    ledger.wait_for_more(75_000);
    load.stop();
    let verdict = ledger.settle(&cluster);
    assert!(verdict.by_slot.len() == 4 && verdict.by_slot.iter().all(|&read| read > 0), "{verdict}");
    let list = cluster.list();
    let of_workers: u64 = list.workers.iter().filter_map(|worker| worker.counts.datagrams).sum();
    assert_eq!(Some(of_workers), list.cluster.totals.datagrams);
    for (worker, read) in list.workers.iter().zip(&verdict.by_slot) {
        assert_eq!(worker.counts.datagrams, Some(*read), "the row tells what the ledger does: {worker:?}");
    }
}

#[test]
fn one_sender_stays_with_one_worker_and_the_last_level_is_shown() {
    let ledger = Ledger::new(5_000);
    let cluster = cluster!().workers(4).ledger(&ledger).start();
    let (to, socket) = (cluster.targets()[0], from("127.0.0.2"));
    let last = (0..5_000).map(|_| ledger.send(&socket, to, "")).max().expect("some");
    let verdict = ledger.settle(&cluster);
    assert_eq!(verdict.by_slot.iter().filter(|&&read| read > 0).count(), 1, "{verdict}");
    for seq in last - 7..=last {
        let level = cluster.meters().level("127.0.0.2", &format!("ZoneMeter_{}", seq % 8));
        assert_eq!(level, Some((seq % 8000) as f64 / -100.0), "zone {}", seq % 8);
    }
}

#[test]
fn every_form_of_datagram_is_counted_in_its_class_and_by_its_reason() {
    let long = |bytes: usize| {
        let mut text = update("ZoneMeter_9", "\"val\":-9");
        text.extend(std::iter::repeat_n(' ', bytes - text.len()));
        text
    };
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let forms: Vec<(String, &str)> = vec![
        (update("ZoneMeter_0", "\"val\":-23.5"), "meter"),
        (update("MixMeter_14", "\"pct\":50") + "\r\n", "meter"),
        (long(4096), "meter"),
        (
            r#"{"jsonrpc":"2.0","method":"getResp","params":[{"param":"KeepAlive","str":"OK"}]}"#.into(),
            "keepalive",
        ),
        (r#"{"jsonrpc":"2.0","result":"OK","id":7}"#.into(), "other"),
        (update("ZoneGain_0", "\"val\":-20"), "other"),
        (update("ZoneMeter_64", "\"val\":-20"), "other"),
        ("{}".into(), "other"),
        (String::new(), "empty"),
        ("  \n".into(), "empty"),
        (long(4097), "too_long"),
        (long(60_000), "too_long"),
        ("{".into(), "json"),
        ("no json at all".into(), "json"),
        (update("ZoneMeter_0", "\"val\":-1") + "{\"", "json"),
        (deep, "depth"),
        (update("ZoneMeter_0", "\"val\":1e999"), "number"),
        (update("ZoneMeter_0", "\"str\":\"x\""), "no_level"),
        (update("ZoneMeter_0", "\"val\":\"loud\""), "bad_level"),
    ];
    let cluster = cluster!().workers(3).start();
    let to = cluster.targets()[0];
    for (number, (payload, _)) in forms.iter().enumerate() {
        harness::sender(to, number).send_to(payload.as_bytes(), to).expect("sent");
    }
    let all = Some(forms.len() as u64);
    let list = cluster.expect("all are counted", |list| list.cluster.totals.datagrams == all);
    let expected = |class: &str| Some(forms.iter().filter(|(_, found)| *found == class).count() as u64);
    let totals = &list.cluster.totals;
    for (found, class) in [(totals.meter, "meter"), (totals.keepalive, "keepalive"), (totals.other, "other")]
    {
        assert_eq!(found, expected(class), "{class}: {totals:?}");
    }
    assert_eq!((totals.malformed, totals.unknown_sender, totals.dropped), (Some(11), Some(0), Some(0)));
    assert_eq!((totals.readings, totals.classes()), (Some(3), forms.len() as u64));
    for reason in ["empty", "too_long", "json", "depth", "number", "no_level", "bad_level"] {
        let found: u64 = list.workers.iter().map(|worker| worker.malformed_as(reason)).sum();
        assert_eq!(Some(found), expected(reason), "{reason}");
    }
    let bytes: usize = forms.iter().map(|(payload, _)| payload.len()).sum();
    eprintln!(
        "sent {bytes} bytes, counted {:?}: a datagram that is too long counts as what fitted",
        totals.bytes
    );
    cluster.expect_log("malformed datagrams; the last from 127.0.0.");
}

#[test]
fn what_an_unknown_sender_says_is_counted_and_not_stored() {
    let config = "[[processor]]\nname = \"bar\"\naddress = \"127.0.0.2\"\n";
    let cluster = cluster!().config(config).start();
    let meter = update("ZoneMeter_3", "\"val\":-12");
    send(&cluster, &from("127.0.0.2"), meter.as_bytes());
    send(&cluster, &from("127.0.0.3"), meter.as_bytes());
    send(&cluster, &from("127.0.0.3"), b"garbage");
    let totals = cluster.list().cluster.totals;
    assert_eq!((totals.meter, totals.unknown_sender, totals.malformed), (Some(1), Some(2), Some(0)));
    let meters = cluster.meters();
    assert_eq!(meters.processors.len(), 1, "{meters:#?}");
    let bar = meters.processor("127.0.0.2").expect("the configured one");
    assert_eq!((bar.name.as_str(), bar.meters.len()), ("bar", 1));
    assert_ne!(bar.connection, "not configured");
}

#[test]
fn accept_unknown_shows_strangers_beside_the_configured() {
    let config = "accept_unknown = true\n[[processor]]\nname = \"bar\"\naddress = \"127.0.0.2\"\n";
    let cluster = cluster!().config(config).start();
    send(&cluster, &from("127.0.0.3"), update("ZoneMeter_3", "\"val\":-12").as_bytes());
    let meters = cluster.meters();
    assert_eq!(meters.level("127.0.0.3", "ZoneMeter_3"), Some(-12.0));
    let stranger = meters.processor("127.0.0.3").expect("the stranger");
    assert_eq!((stranger.name.as_str(), stranger.connection.as_str()), ("127.0.0.3", "not configured"));
    assert_eq!(meters.processor("127.0.0.2").map(|bar| bar.meters.len()), Some(0));
    assert_eq!(cluster.list().cluster.totals.unknown_sender, Some(0));
}

#[test]
fn levels_are_shown_as_the_interface_promises() {
    let cluster = cluster!().workers(3).start();
    let socket = from("127.0.0.2");
    let texts = [
        update("ZoneMeter_0", "\"val\":-23.456"),
        update("ZoneMeter_1", "\"pct\":50"),
        update("ZoneMeter_2", "\"val\":-1,\"val\":-2"),
        update("ZoneMeter_3", "\"val\":-7") + &update("SourceMeter_4", "\"val\":-8"),
        update("ZoneMeter_64", "\"val\":-5"),
        update("GroupMeter_63", "\"val\":0"),
        update("MixMeter_14", "\"pct\":70.625"),
    ];
    texts.iter().for_each(|text| send(&cluster, &socket, text.as_bytes()));
    let meters = cluster.meters();
    let levels = [
        ("ZoneMeter_0", -23.46),
        ("ZoneMeter_1", -40.0),
        ("ZoneMeter_2", -2.0),
        ("ZoneMeter_3", -7.0),
        ("SourceMeter_4", -8.0),
        ("GroupMeter_63", 0.0),
        ("MixMeter_14", -23.5),
    ];
    for (param, level) in levels {
        assert_eq!(meters.level("127.0.0.2", param), Some(level), "{param}");
    }
    let processor = meters.processor("127.0.0.2").expect("the sender");
    assert_eq!(processor.meters.len(), levels.len(), "nothing else: {processor:#?}");
    let zone = meters.meter("127.0.0.2", "ZoneMeter_3").expect("zone 3");
    assert_eq!((zone.kind.as_str(), zone.index, &zone.name, zone.muted), ("zone", 3, &None, None));
    assert!(
        zone.fresh && zone.age_ms < 30_000 && processor.last_heard_ms.is_some_and(|age| age <= zone.age_ms)
    );
    cluster.expect_log("index is over 63");
}

#[test]
fn every_reader_sees_every_meter_whichever_worker_received_it() {
    let ledger = Ledger::new(40);
    let cluster = cluster!().workers(4).ledger(&ledger).start();
    let to = cluster.targets()[0];
    for number in 0..40 {
        ledger.send(&harness::sender(to, number), to, "");
    }
    let verdict = ledger.settle(&cluster);
    assert!(verdict.by_slot.iter().filter(|&&read| read > 0).count() > 1, "several received: {verdict}");
    let meters = cluster.meters();
    for seq in 0..40_u64 {
        let address = format!("127.0.0.{}", 2 + seq);
        let level = meters.level(&address, &format!("ZoneMeter_{}", seq % 8));
        assert_eq!(level, Some(seq as f64 / -100.0), "{address}");
    }
}

#[test]
fn a_reading_turns_stale_and_a_new_one_is_fresh_again() {
    let ledger = Ledger::new(10);
    let cluster = cluster!().ledger(&ledger).config("stale_after = \"1s\"\n").start();
    let fresh =
        || cluster.meters().processors.first().is_some_and(|one| one.meters.iter().any(|meter| meter.fresh));
    for _ in 0..2 {
        ledger.send_to(&cluster, "");
        wait_until("it is fresh", fresh);
        wait_until("it is stale", || !fresh());
    }
}

#[test]
fn the_65th_processor_is_counted_as_other_and_said_once() {
    let cluster = cluster!().workers(2).start();
    let meter = update("ZoneMeter_0", "\"val\":-1");
    let to = cluster.targets()[0];
    for last in 1..=64 {
        from(&format!("127.0.7.{last}")).send_to(meter.as_bytes(), to).expect("sent");
    }
    cluster.expect("64 are stored", |list| list.cluster.totals.meter == Some(64));
    send(&cluster, &from("127.0.7.65"), meter.as_bytes());
    send(&cluster, &from("127.0.7.1"), meter.as_bytes());
    let totals = cluster.list().cluster.totals;
    assert_eq!((totals.meter, totals.other, totals.readings), (Some(65), Some(1), Some(65)));
    assert_eq!(cluster.meters().processors.len(), 64);
    cluster.expect_log("more than 64 processors send");
}

#[test]
fn what_the_kernel_drops_is_told_exactly() {
    let config = "[worker]\nwatchdog = \"0s\"\n";
    let start = cluster!().workers(1).config(config).env("ATLAS_CLUSTER_RECEIVE_BUFFER", "64K");
    let cluster = start.start();
    let (to, socket): (SocketAddr, _) = (cluster.targets()[0], from("127.0.0.2"));
    harness::process::signal(cluster.worker(0).pid.expect("a pid"), Signal::SIGSTOP);
    let meter = update("ZoneMeter_0", "\"val\":-1");
    for _ in 0..3000 {
        socket.send_to(meter.as_bytes(), to).expect("sent");
    }
    let row = cluster.worker(0);
    let dropped = row.counts.dropped.expect("told by the kernel");
    assert!(
        dropped > 0 && row.queue_bytes.is_some_and(|bytes| bytes > 0),
        "of a worker that stands still: {row:?}"
    );
    harness::process::signal(cluster.worker(0).pid.expect("a pid"), Signal::SIGCONT);
    let all = |list: &harness::shape::List| list.workers[0].counts.datagrams == Some(3000 - dropped);
    let list = cluster.expect("the rest is read", all);
    assert_eq!((list.workers[0].counts.dropped, list.workers[0].queue_bytes), (Some(dropped), Some(0)));
}
