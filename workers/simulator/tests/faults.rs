//! Every fault over real sockets, and the limits.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use common::{ALIVE, Bench, Client, KEEP_ALIVE};
use simulator::fault::Kind;
use simulator::ledger::Stats;

const SUB: &str = "{\"method\":\"sub\",\"params\":{\"param\":\"ZoneMeter_0\",\"fmt\":\"val\"}}\n";

fn is_meter(text: &str) -> bool {
    text.contains("ZoneMeter_0")
}

/// A client that is subscribed to a meter and has heard from it.
fn subscriber(bench: &Bench) -> Client {
    let mut client = bench.client();
    client.send(SUB);
    bench.datagram_that(is_meter);
    client
}

#[test]
fn a_lockup_accepts_and_never_answers_while_meters_flow() {
    let bench = Bench::new();
    let mut client = subscriber(&bench);
    bench.simulator.fault(Kind::Lockup, None);
    client.send(KEEP_ALIVE);
    let mut late = bench.client();
    late.send(KEEP_ALIVE);
    bench.until("heard", |stats| stats.commands.get("get") == Some(&2) && stats.connections.now == 2);
    bench.drain();
    for _ in 0..3 {
        bench.datagram_that(is_meter);
    }
    assert!(client.is_silent() && late.is_silent());
    bench.simulator.heal();
    bench.until("healed", |stats| stats.faults.is_empty());
    client.send(KEEP_ALIVE);
    client.expect(ALIVE);
}

#[test]
fn a_planned_fault_comes_by_itself() {
    let bench = Bench::with(|plan| plan.faults = vec!["lockup@50ms".parse().expect("a fault")]);
    bench.until("locked up", |stats| stats.faults == ["lockup"]);
}

#[test]
fn slow_answers_come_late_and_whole() {
    let bench = Bench::new();
    let mut client = bench.client();
    bench.simulator.fault(Kind::Slow, None);
    let began = std::time::Instant::now();
    client.send(KEEP_ALIVE);
    client.expect(ALIVE);
    assert!(began.elapsed() >= Duration::from_secs(2), "a lower bound is no race");
}

#[test]
fn a_half_open_connection_is_dead_without_an_end() {
    let bench = Bench::new();
    let mut client = subscriber(&bench);
    bench.simulator.fault(Kind::HalfOpen, Kind::HalfOpen.usual());
    let stats = bench.until("frozen", |stats| stats.connections.frozen == 1);
    assert_eq!((stats.connections.now, stats.subscriptions.len()), (0, 0));
    client.send(KEEP_ALIVE);
    let mut other = subscriber(&bench);
    other.send(KEEP_ALIVE);
    other.expect(ALIVE);
    assert!(client.is_silent(), "neither an answer nor an end");
}

#[test]
fn garbage_comes_between_answers() {
    let bench = Bench::new();
    let mut client = bench.client();
    bench.simulator.fault(Kind::Garbage, Some(Duration::from_secs(60)));
    let until = |client: &mut Client, text: &[u8]| {
        let mut heard = Vec::new();
        while !heard.windows(text.len()).any(|window| window == text) {
            heard.extend(client.segment());
        }
    };
    until(&mut client, b"\xff\xfe\x00\x01\n");
    client.send(KEEP_ALIVE);
    until(&mut client, ALIVE.as_bytes());
    bench.datagram_that(|text| text == "garbage");
}

#[test]
fn a_reboot_ends_connections_closes_the_port_and_opens_it_again() {
    let bench = Bench::new();
    let mut client = subscriber(&bench);
    bench.simulator.fault(Kind::Reboot, None);
    assert!(client.rest().is_empty());
    let stats = bench.until("rebooting", |stats| stats.faults == ["reboot"]);
    assert_eq!((stats.connections.now, stats.subscriptions.len()), (0, 0));
    assert!(Client::connect(bench.simulator.tcp_address()).is_err(), "the port is closed");
    bench.simulator.heal();
    bench.until("back", |stats| stats.faults.is_empty());
    let mut client = bench.client();
    client.send(KEEP_ALIVE);
    client.expect(ALIVE);
    assert!(bench.simulator.stats().subscriptions.is_empty());
}

#[test]
fn control_that_is_switched_off_refuses_and_closes() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.send(KEEP_ALIVE);
    client.expect(ALIVE);
    bench.simulator.fault(Kind::ControlOff, None);
    assert!(client.rest().is_empty());
    bench.until("off", |stats| stats.faults == ["control-off"]);
    assert!(Client::connect(bench.simulator.tcp_address()).is_err());
}

#[test]
fn a_renamed_zone_is_told_to_who_subscribed() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.send("{\"method\":\"sub\",\"params\":{\"param\":\"ZoneName_0\",\"fmt\":\"str\"}}\n");
    for name in ["Patio", "Renamed 1", "Renamed 2"] {
        client.expect(&format!(
            r#"{{"jsonrpc":"2.0","method":"update","params":[{{"param":"ZoneName_0","str":"{name}"}}]}}"#
        ));
        bench.simulator.fault(Kind::Rename, Kind::Rename.usual());
    }
}

#[test]
fn split_glued_and_crlf_lines_are_the_same_lines() {
    let bench = Bench::new();
    let mut client = bench.client();
    let get = "{\"method\":\"get\",\"params\":[{\"param\":\"ZoneName_3\"},{\"param\":\"SourceName_6\"}]}\n";
    let answer = r#"{"jsonrpc":"2.0","method":"getResp","params":[{"param":"ZoneName_3","str":"Terrasse d'été"},{"param":"SourceName_6","str":"Stage \"left\""}]}"#;
    for kind in [Kind::Split, Kind::Glued] {
        bench.simulator.fault(kind, None);
        let mut heard = Vec::new();
        client.send(get.repeat(3));
        let whole = format!("{answer}\n").repeat(3);
        // How the kernel joins segments is its business: what is written when is tested at the outlet.
        while heard.len() < whole.len() {
            heard.extend(client.segment());
        }
        assert_eq!(String::from_utf8_lossy(&heard), whole, "{kind:?}");
        bench.simulator.heal();
        bench.until("healed", |stats| stats.faults.is_empty());
    }
    bench.simulator.fault(Kind::Crlf, None);
    client.send(get);
    assert_eq!(client.line(), format!("{answer}\r\n"));
}

#[test]
fn too_many_connections_are_refused_and_counted() {
    let bench = Bench::with(|plan| plan.connections = 2);
    let mut served = [bench.client(), bench.client()];
    for client in &mut served {
        client.send(KEEP_ALIVE);
        client.expect(ALIVE);
    }
    assert!(bench.client().rest().is_empty());
    let stats = bench.until("refused", |stats| stats.connections.refused == 1);
    assert_eq!((stats.connections.now, stats.connections.peak), (2, 2));
}

#[test]
fn who_asks_before_he_reads_is_held_back() {
    let bench = Bench::new();
    let mut client = bench.client();
    // 30 MB of answers: more than the kernel holds for a connection, and more than the processor does.
    let entry = |i| format!(r#"{{"param":"ZoneName_{}"}}"#, i % 8);
    let get = format!(
        "{{\"method\":\"get\",\"params\":[{}]}}\n",
        (0..300).map(entry).collect::<Vec<_>>().join(",")
    );
    let all = 2500;
    let mut writer = client.stream().try_clone().expect("a second descriptor");
    let sender = std::thread::spawn(move || (0..all).try_for_each(|_| writer.write_all(get.as_bytes())));
    // Each look is a turn in which the processor could have read on; it does not any more.
    let (mut heard, mut turns) = (0, 0);
    while turns < 1000 {
        let stats = bench.simulator.stats();
        assert_eq!(stats.connections.overflowed, 0, "it read on and had to cut him off: {stats:?}");
        turns = if stats.commands_total() == heard { turns + 1 } else { 0 };
        heard = stats.commands_total();
    }
    for _ in 0..all {
        assert_eq!(client.line().matches("ZoneName_7").count(), 37);
    }
    sender.join().expect("no panic").expect("everything was taken");
    assert_eq!(bench.simulator.stats().connections.overflowed, 0);
}

#[test]
fn who_is_told_and_never_reads_is_cut_off() {
    let bench = Bench::new();
    let mut deaf = bench.client();
    deaf.send("{\"method\":\"sub\",\"params\":{\"param\":\"ZoneName_0\"}}\n");
    bench.until("subscribed", |stats| stats.subscriptions.len() == 1);
    let cut_off = (0..1_000_000).any(|name| {
        assert!(bench.simulator.rename("ZoneName_0", &format!("{name:0200}")));
        name % 64 == 0 && bench.simulator.stats().connections.overflowed == 1
    });
    let stats = bench.simulator.stats();
    assert!(cut_off && stats.subscriptions.is_empty() && stats.connections.now == 0, "{stats:?}");
}

#[test]
fn a_line_that_is_too_long_costs_itself() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.send(vec![b'x'; 200_000]);
    client.send("\n");
    client.expect_nothing_more();
    assert_eq!(bench.simulator.stats().violations["too_long"], 1);
}

#[test]
fn idle_connections_are_closed() {
    let bench = Bench::with(|plan| plan.inactivity = Duration::from_millis(50));
    assert!(bench.client().rest().is_empty());
}

#[test]
fn many_processors_live_side_by_side() {
    let benches: Vec<Bench> = (2..8)
        .map(|octet| Bench::with(|plan| plan.address = Ipv4Addr::new(127, 0, 0, octet).into()))
        .collect();
    for (octet, bench) in (2..8).zip(&benches) {
        let _client = subscriber(bench);
        assert_eq!(bench.datagram_from().1, Ipv4Addr::new(127, 0, 0, octet));
    }
}

#[test]
fn the_control_socket_counts_and_injects() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control");
    let bench = Bench::with(|plan| plan.control = Some(path.clone()));
    let mut client = subscriber(&bench);
    let mut control = BufReader::new(UnixStream::connect(&path).expect("the control socket"));
    control.get_ref().set_read_timeout(Some(common::DEADLINE)).expect("a time-out");
    let mut ask = |line: &str| {
        control.get_mut().write_all(format!("{line}\n").as_bytes()).expect("it takes orders");
        let mut answer = String::new();
        control.read_line(&mut answer).expect("an answer");
        answer.trim_end().to_owned()
    };
    let stats: Stats = serde_json::from_str(&ask("stats")).expect("counts");
    assert_eq!((stats.connections.now, stats.subscribers("ZoneMeter_0", "val")), (1, 1));
    assert_eq!(ask("rename ZoneName_0 Deck at night"), r#"{"done":true}"#);
    assert_eq!(ask("rename ZoneName_9 Deck"), r#"{"error":"ZoneName_9 takes no such text"}"#);
    assert_eq!(ask("fault lockup 50ms"), r#"{"done":true}"#);
    assert!(ask("stats").contains(r#""faults":["lockup"]"#));
    bench.until("over", |stats| stats.faults.is_empty());
    assert_eq!(ask("fault split"), r#"{"done":true}"#);
    assert_eq!(ask("heal"), r#"{"done":true}"#);
    assert!(
        ask("fault explode").starts_with(r#"{"error":"`explode` is not a kind of fault; allowed: lockup"#)
    );
    assert!(ask("fault lockup soon").contains("for example `fault lockup 5s`"));
    assert!(ask("sing").contains("allowed: stats"));
    client.send("{\"method\":\"get\",\"params\":{\"param\":\"ZoneName_0\"},\"id\":1}\n");
    client.expect(r#"{"jsonrpc":"2.0","result":[{"param":"ZoneName_0","str":"Deck at night"}],"id":1}"#);
    drop(bench);
    assert!(!path.exists());
}

#[test]
fn a_recording_is_replayed() {
    use atlas::capture::{From, Record, write};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recording");
    let mut file = Vec::new();
    let update = br#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneMeter_0","val":-2.35e1}]}"#;
    for (from, bytes) in [(From::Udp, &update[..]), (From::Udp, b"\xff"), (From::Tcp, b"a line")] {
        let record = Record { at: Duration::from_millis(5), from, bytes: bytes.to_vec() };
        write(&mut file, &record).expect("a buffer takes it");
    }
    std::fs::write(&path, file).expect("a recording");
    let bench = Bench::with(|plan| plan.replay = Some(path.clone()));
    let mut client = bench.client();
    assert_eq!(bench.datagram(), update);
    assert_eq!(bench.datagram(), b"\xff");
    client.expect("a line");
    client.send(KEEP_ALIVE);
    client.expect(ALIVE);
}
