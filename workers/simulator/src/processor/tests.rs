//! Tests of the whole processor in simulated time.

use super::*;
use crate::model::Product;
use crate::outlet::Outlet;
use crate::session::MAX_LINE;
use atlas::capture::Record;
use proptest::prelude::*;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn settings() -> Settings {
    Settings {
        product: Product::Azm8,
        seed: 1,
        interval: ms(100),
        batch: 1,
        inactivity: Duration::from_secs(300),
        faults: Vec::new(),
        replay: Vec::new(),
    }
}

struct World {
    processor: Processor,
    now: Duration,
}

impl World {
    fn new(settings: Settings) -> World {
        World { processor: Processor::new(settings), now: Duration::ZERO }
    }

    fn handle(&mut self, event: Event<'_>) -> Vec<Action> {
        let mut actions = Vec::new();
        self.processor.handle(self.now, event, &mut actions);
        let deadline = self.processor.deadline();
        assert!(deadline.is_none_or(|deadline| deadline > self.now), "what is due was done");
        actions
    }

    fn connect(&mut self, conn: u64) -> Vec<Action> {
        self.handle(Event::Connected { conn: Conn(conn), peer: PEER })
    }

    fn send(&mut self, conn: u64, text: &str) -> Vec<Action> {
        self.handle(Event::Received { conn: Conn(conn), bytes: text.as_bytes() })
    }

    /// Jumps from deadline to deadline; what is done on the way.
    fn run_to(&mut self, until: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(deadline) = self.processor.deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            actions.extend(self.handle(Event::Clock));
        }
        self.now = until;
        actions
    }
}

fn datagrams(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Datagram { .. })).count()
}

fn lines(actions: &[Action]) -> Vec<(u64, &str)> {
    let line = |action| match action {
        &Action::Line { conn, ref line } => Some((conn.0, line.as_str())),
        _ => None,
    };
    actions.iter().filter_map(line).collect()
}

const SUB_METERS: &str = "{\"method\":\"sub\",\"params\":[{\"param\":\"ZoneMeter_0\",\"fmt\":\"val\"},{\"param\":\"ZoneMeter_0\",\"fmt\":\"pct\"},{\"param\":\"ZoneMeter_1\",\"fmt\":\"val\"}]}\n";

#[test]
fn meters_flow_at_their_rate_to_who_subscribed() {
    let mut world = World::new(settings());
    world.connect(1);
    assert_eq!(datagrams(&world.run_to(ms(5000))), 0, "nobody subscribed");
    assert_eq!(datagrams(&world.send(1, SUB_METERS)), 3, "at once");
    assert_eq!(datagrams(&world.run_to(ms(15_000))), 300, "3 meters, 10 s, 10 a second");
    world.handle(Event::Ended { conn: Conn(1), overflowed: false });
    assert_eq!(datagrams(&world.run_to(ms(20_000))), 0, "a connection takes its subscriptions along");
    assert!(world.processor.stats().subscriptions.is_empty());
    world.connect(2);
    assert_eq!(datagrams(&world.run_to(ms(25_000))), 0);
}

#[test]
fn a_batch_holds_many_meters() {
    let mut world = World::new(Settings { batch: 2, ..settings() });
    world.connect(1);
    world.send(1, SUB_METERS);
    let actions = world.run_to(ms(100));
    assert_eq!(datagrams(&actions), 2);
    let Some(Action::Datagram { bytes, to: PEER }) = actions.first() else { panic!("{actions:?}") };
    assert_eq!(
        String::from_utf8_lossy(bytes),
        r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneMeter_0","val":-80},{"param":"ZoneMeter_0","pct":0}]}"#
    );
}

#[test]
fn subscribers_hear_of_changes_whoever_makes_them() {
    let mut world = World::new(settings());
    world.connect(1);
    world.connect(2);
    world.send(1, "{\"method\":\"sub\",\"params\":[{\"param\":\"ZoneGain_0\",\"fmt\":\"val\"},{\"param\":\"ZoneGain_0\",\"fmt\":\"pct\"}]}\n");
    let update = |value| {
        format!(r#"{{"jsonrpc":"2.0","method":"update","params":[{{"param":"ZoneGain_0",{value}}}]}}"#)
    };
    let set = "{\"method\":\"set\",\"params\":{\"param\":\"ZoneGain_0\",\"pct\":50},\"id\":7}\n";
    let actions = world.send(2, set);
    let (val, pct) = (update(r#""val":-40"#), update(r#""pct":50"#));
    assert_eq!(
        lines(&actions),
        [(2, r#"{"jsonrpc":"2.0","result":"OK","id":7}"#), (1, val.as_str()), (1, pct.as_str())]
    );
    assert_eq!(lines(&world.send(2, set)).len(), 1, "the same value is no news");
    world.send(1, "{\"method\":\"sub\",\"params\":{\"param\":\"PlayMessage_0\"}}\n");
    let play = "{\"method\":\"set\",\"params\":{\"param\":\"PlayMessage_0\",\"val\":1}}\n";
    let played = r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"PlayMessage_0","val":1}]}"#;
    assert_eq!(lines(&world.send(2, play)), [(1, played)]);
    assert_eq!(lines(&world.send(1, play)), [(1, played)], "played again is news again");
    world.send(1, "{\"method\":\"sub\",\"params\":{\"param\":\"ZoneName_0\"}}\n");
    assert!(world.processor.rename("ZoneName_0", "Deck") && !world.processor.rename("ZoneName_99", "x"));
    let renamed = r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneName_0","str":"Deck"}]}"#;
    assert_eq!(lines(&world.handle(Event::Clock)), [(1, renamed)]);
}

#[test]
fn who_is_silent_for_too_long_is_dropped() {
    let mut world = World::new(settings());
    world.connect(1);
    world.connect(2);
    world.send(2, SUB_METERS);
    world.run_to(ms(299_000));
    world.send(1, "\n");
    let actions = world.run_to(ms(598_999));
    assert!(actions.contains(&Action::Close(Conn(2))) && !actions.contains(&Action::Close(Conn(1))));
    assert!(world.processor.stats().subscriptions.is_empty());
    assert!(world.run_to(ms(599_000)).contains(&Action::Close(Conn(1))), "a blank line was a sign of life");
    assert_eq!(world.processor.deadline(), None);
}

#[test]
fn a_locked_up_control_port_reads_and_sends_meters_and_says_nothing() {
    let mut world = World::new(settings());
    world.connect(1);
    world.send(1, SUB_METERS);
    world.handle(Event::Fault { kind: Kind::Lockup, lasts: Some(Duration::from_secs(5)) });
    let set = "{\"method\":\"set\",\"params\":{\"param\":\"ZoneGain_0\",\"val\":-7},\"id\":7}\n";
    assert!(lines(&world.send(1, set)).is_empty());
    world.connect(2);
    assert!(lines(&world.send(2, "{\"method\":\"get\",\"params\":{\"param\":\"KeepAlive\"}}\n")).is_empty());
    assert_eq!(datagrams(&world.run_to(ms(2000))), 60, "meters go on");
    let stats = world.processor.stats();
    assert_eq!((stats.connections.now, stats.commands["set"], stats.commands["get"]), (2, 1, 1));
    assert_eq!(stats.faults, ["lockup"]);
    world.run_to(ms(5000));
    let get = "{\"method\":\"get\",\"params\":{\"param\":\"ZoneGain_0\"}}\n";
    let answer = r#"{"jsonrpc":"2.0","method":"getResp","params":[{"param":"ZoneGain_0","val":-3}]}"#;
    assert_eq!(lines(&world.send(1, get)), [(1, answer)], "what was said meanwhile was not heard");
}

#[test]
fn a_reboot_closes_everything_and_forgets_subscriptions() {
    let faults = vec!["reboot@1s+3s".parse().expect("a fault"), "control-off@2s+5s".parse().expect("one")];
    let mut world = World::new(Settings { faults, ..settings() });
    world.connect(1);
    world.send(1, SUB_METERS);
    let actions = world.run_to(ms(1000));
    let closed = [Action::Close(Conn(1)), Action::Listen(false)];
    assert!(actions.windows(2).any(|pair| pair == closed), "{actions:?}");
    assert_eq!(world.processor.stats().connections.now, 0);
    let mut opened = Vec::new();
    for action in world.run_to(ms(7000)) {
        if let Action::Listen(open) = action {
            opened.push(open);
        }
    }
    assert_eq!(opened, [false, false, true], "it stays closed while either goes on");
}

#[test]
fn half_open_connections_are_frozen_and_new_ones_are_served() {
    let mut world = World::new(settings());
    world.connect(1);
    world.send(1, SUB_METERS);
    let actions = world.handle(Event::Fault { kind: Kind::HalfOpen, lasts: Some(Duration::ZERO) });
    assert!(actions.contains(&Action::Freeze(Conn(1))));
    assert_eq!(datagrams(&world.run_to(ms(1000))), 0);
    assert!(lines(&world.send(1, "{\"method\":\"get\",\"params\":{\"param\":\"KeepAlive\"}}\n")).is_empty());
    assert!(world.connect(2).is_empty());
    let connections = world.processor.stats().connections;
    assert_eq!((connections.now, connections.frozen), (1, 1));
    world.handle(Event::Fault { kind: Kind::HalfOpen, lasts: Some(ms(500)) });
    assert!(world.connect(3).contains(&Action::Freeze(Conn(3))), "while the cable is out");
    world.run_to(ms(1500));
    assert!(world.connect(4).is_empty());
}

#[test]
fn garbage_goes_out_over_both_and_is_no_message_but_the_empty_one() {
    let mut world = World::new(settings());
    world.connect(1);
    world.handle(Event::Fault { kind: Kind::Garbage, lasts: Kind::Garbage.usual() });
    let actions = world.run_to(ms(3000));
    let raw = actions.iter().filter(|action| matches!(action, Action::Raw { .. })).count();
    // The first came at the fault itself.
    assert_eq!((raw, datagrams(&actions)), (9, 9));
    let mut parser = atlas::Parser::new();
    for piece in garbage::PIECES {
        let harmless = parser.parse(piece).is_ok_and(|parsed| parsed.class == atlas::Class::Other);
        assert!(parser.parse(piece).is_err() || harmless, "{}", String::from_utf8_lossy(piece));
    }
}

#[test]
fn a_late_clock_makes_no_burst() {
    let mut world = World::new(settings());
    world.connect(1);
    world.send(1, SUB_METERS);
    world.now = ms(10_050);
    assert_eq!(datagrams(&world.handle(Event::Clock)), 3);
    assert_eq!(datagrams(&world.run_to(ms(10_149))), 0);
    assert_eq!(datagrams(&world.run_to(ms(10_150))), 3);
}

#[test]
fn a_recording_replaces_the_meters_and_not_the_answers() {
    let record = |at, from, text: &str| Record { at: ms(at), from, bytes: text.into() };
    let replay = vec![record(10, From::Udp, "datagram"), record(20, From::Tcp, "line")];
    let mut world = World::new(Settings { replay, ..settings() });
    world.run_to(ms(500));
    world.connect(1);
    assert_eq!(world.send(1, SUB_METERS), [], "not even at once");
    let actions = world.run_to(ms(600));
    assert_eq!(
        actions,
        [
            Action::Datagram { to: PEER, bytes: b"datagram".to_vec() },
            Action::Raw { conn: Conn(1), bytes: b"line\n".to_vec() }
        ]
    );
    let alive = world.send(1, "{\"method\":\"get\",\"params\":{\"param\":\"KeepAlive\"}}\n");
    assert_eq!((lines(&alive).len(), datagrams(&alive)), (1, 1));
}

#[test]
fn of_a_recording_answers_are_left_out_and_a_locked_up_port_sends_no_line() {
    let record = |at, from, text: &str| Record { at: ms(at), from, bytes: text.into() };
    let update = r#"{"method":"update","params":[{"param":"ZoneGain_0","val":-7}],"id":null}"#;
    let replay = vec![
        record(10, From::Tcp, r#"{"jsonrpc":"2.0","result":"OK","id":1}"#),
        record(20, From::Tcp, update),
        record(30, From::Udp, r#"{"id":1}"#),
        record(40, From::Tcp, r#"{ "error" : {"code":-32604} , "id" : "x" }"#),
        record(50, From::Tcp, r#"half {"id":1}"#),
    ];
    let mut world = World::new(Settings { replay, ..settings() });
    world.connect(1);
    let raw = |text: &str| Action::Raw { conn: Conn(1), bytes: format!("{text}\n").into_bytes() };
    let datagram = Action::Datagram { to: PEER, bytes: br#"{"id":1}"#.to_vec() };
    let (update, half) = (raw(update), raw(r#"half {"id":1}"#));
    assert_eq!(world.run_to(ms(60)), [update.clone(), datagram.clone(), half.clone()]);
    world.handle(Event::Fault { kind: Kind::Lockup, lasts: Some(ms(1500)) });
    assert_eq!(world.run_to(ms(1200)), [datagram], "the next round");
    let actions = world.run_to(ms(2200));
    assert!(actions.contains(&update) && actions.contains(&half), "the one after it: {actions:?}");
}

#[test]
fn a_recording_of_answers_alone_is_still_no_reason_to_make_up_meters() {
    let bytes = br#"{"jsonrpc":"2.0","result":"OK","id":1}"#.to_vec();
    let replay = vec![Record { at: ms(10), from: From::Tcp, bytes }];
    let mut world = World::new(Settings { replay, ..settings() });
    world.connect(1);
    world.send(1, SUB_METERS);
    assert_eq!(world.run_to(ms(5000)), []);
}

/// The most that one line can bring about: as many parameters as fit, each changing all that a change can change, told to
/// who subscribed to everything in every format.
#[test]
fn the_hungriest_line_brings_about_little() {
    let mut world = World::new(settings());
    world.connect(1);
    for format in ["val", "pct", "str"] {
        for params in Param::all(Product::Azm8.shape()).chunks(300) {
            let asks = params.iter().map(|param| format!(r#"{{"param":"{param}","fmt":"{format}"}}"#));
            let asks = asks.collect::<Vec<_>>().join(",");
            world.send(1, &format!("{{\"method\":\"sub\",\"params\":[{asks}]}}\n"));
        }
    }
    for name in ["GroupCombine_0", "RecallGpoPreset_3", "Nothing"] {
        let ask = format!(r#"{{"param":"{name}","val":1}}"#);
        let asks = vec![ask; crate::session::MAX_PARAMS].join(",");
        let line = format!("{{\"method\":\"set\",\"params\":[{asks}],\"id\":\"{}\"}}\n", "x".repeat(250));
        assert!(line.len() <= MAX_LINE);
        let actions = world.send(1, &line);
        let size: usize = lines(&actions).iter().map(|(_, line)| line.len()).sum();
        assert!(size < 512 * 1024, "{name}: {size} bytes in {} actions", actions.len());
    }
}

/// Lines that are nearly right, so that chance gets further than the parser.
fn nearly_lines() -> impl Strategy<Value = Vec<u8>> {
    let param = prop::sample::select(vec![
        "ZoneGain_0",
        "ZoneMeter_0",
        "GroupCombine_1",
        "PlayMessage_0",
        "KeepAlive",
        "Nothing_9",
    ]);
    let method = prop::sample::select(vec!["set", "bmp", "sub", "unsub", "get", "frob"]);
    let value = prop_oneof![
        any::<f64>()
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(|n| n.to_string()),
        Just("\"str\"".to_owned()),
        Just("null".to_owned()),
        Just("1e999".to_owned()),
    ];
    let entry = (param, prop::sample::select(vec!["val", "pct", "str", "fmt"]), value)
        .prop_map(|(param, key, value)| format!(r#"{{"param":"{param}","{key}":{value}}}"#));
    let line = (method, prop::collection::vec(entry, 0..20), prop::option::of(any::<i64>()));
    line.prop_map(|(method, entries, id)| {
        let id = id.map(|id| format!(r#","id":{id}"#)).unwrap_or_default();
        format!("{{\"method\":\"{method}\",\"params\":[{}]{id}}}\n", entries.join(",")).into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_panic_or_grow_without_bound(
        chunks in prop::collection::vec(
            prop_oneof![prop::collection::vec(any::<u8>(), 0..2000), nearly_lines(), Just(vec![b'['; 40_000])],
            0..40,
        ),
        faults in prop::collection::vec((prop::sample::select(Kind::ALL.to_vec()), 0..40_usize), 0..4),
    ) {
        let mut world = World::new(settings());
        world.connect(1);
        world.connect(2);
        let every = Param::all(Product::Azm8.shape()).len() * 3;
        let mut outlet = Outlet::default();
        for (place, chunk) in chunks.iter().enumerate() {
            for (kind, _) in faults.iter().filter(|(_, when)| *when == place) {
                world.handle(Event::Fault { kind: *kind, lasts: kind.usual() });
            }
            world.now += ms(7);
            let actions = world.handle(Event::Received { conn: Conn(1), bytes: chunk });
            for action in actions {
                if let Action::Line { line, .. } = action {
                    let _ = outlet.push_line(world.now, &line, world.processor.manner());
                }
            }
            let (held, subscriptions) = world.processor.held(Conn(1));
            prop_assert!(held <= 2 * MAX_LINE && subscriptions <= every);
            prop_assert!(outlet.waiting() <= crate::outlet::MAX_WAITING);
        }
    }
}
