//! Meters, from words to text.

use std::sync::atomic::AtomicU64;

use table::{ConnectionState, LinkWriter, Reader, Writer};

use super::draw::{frame, listing};
use super::shape::{Meters, Said};
use crate::cli::terminal::Look;
use crate::cli::text::width;
use crate::wire::Configured;

const PIPE: Look = Look { terminal: false, colour: false, columns: 80, rows: 24 };
const TERMINAL: Look = Look { terminal: true, colour: false, columns: 80, rows: 24 };
const NOW: u64 = 100_000_000;

fn words() -> Vec<AtomicU64> {
    let head = table::head([3, 4]);
    let mut words: Vec<AtomicU64> = head
        .chunks_exact(8)
        .map(|word| AtomicU64::new(u64::from_ne_bytes(word.try_into().unwrap())))
        .collect();
    words.resize_with(table::BYTES / 8, AtomicU64::default);
    words
}

/// A processor of the configuration that is heard, one that is not, and a stranger.
fn made_up() -> Meters {
    with_link(true)
}

fn with_link(link_runs: bool) -> Meters {
    with(link_runs, true)
}

fn with(link_runs: bool, accepts_unknown: bool) -> Meters {
    while_it_is(ConnectionState::Connecting, link_runs, accepts_unknown)
}

fn while_it_is(connection: ConnectionState, link_runs: bool, accepts_unknown: bool) -> Meters {
    let words = words();
    let writer = Writer::new(&words).unwrap();
    let bar = writer.place("::ffff:192.168.5.101".parse().unwrap()).unwrap();
    writer.heard(bar, NOW - 31_000);
    writer.store(bar, 2, 0, NOW - 31_000, -2350);
    writer.store(bar, 2, 1, NOW - 4_000_000, -100);
    writer.store(bar, 0, 10, NOW - 3_000_000, -8000);
    let stranger = writer.place("10.0.0.9".parse().unwrap()).unwrap();
    writer.store(stranger, 1, 14, NOW + 5, 0);
    let link = LinkWriter::new(&words).unwrap();
    link.adopt(bar);
    link.set_name(bar, 2, 0, Some("Patio"));
    link.set_muted(bar, 2, 0, Some(false));
    link.set_gain(bar, 2, 0, Some(-1250));
    link.set_source(bar, 2, 0, Some(14));
    link.set_grouped(bar, 2, 0, Some(false));
    link.set_connection(bar, connection);
    let configured = [("bar", "192.168.5.101"), ("attic", "192.168.5.102")]
        .map(|(name, address)| Configured { name: name.into(), address: address.parse().unwrap() });
    // What a link wrote of the stranger when he was configured.
    link.adopt(stranger);
    link.set_name(stranger, 1, 14, Some("Band"));
    link.set_muted(stranger, 1, 14, Some(true));
    let said = Said { configured: &configured, accepts_unknown, link_runs, stale_after_ms: 3000 };
    Meters::read(&said, &Reader::new(&words[..]).unwrap(), NOW)
}

#[test]
fn the_json_is_as_promised() {
    let json = serde_json::to_value(made_up()).unwrap();
    let expected = serde_json::json!({
        "schema": 1,
        "processors": [
            {"name": "bar", "address": "192.168.5.101", "connection": "connecting", "last_heard_ms": 31, "meters": [
                {"param": "SourceMeter_10", "kind": "source", "index": 10, "name": null, "level_db": -80.0,
                 "muted": null, "gain_db": null, "source": null, "grouped": null, "age_ms": 3000, "fresh": true},
                {"param": "ZoneMeter_0", "kind": "zone", "index": 0, "name": "Patio", "level_db": -23.5,
                 "muted": false, "gain_db": -12.5, "source": 14, "grouped": false, "age_ms": 31, "fresh": true},
                {"param": "ZoneMeter_1", "kind": "zone", "index": 1, "name": null, "level_db": -1.0,
                 "muted": null, "gain_db": null, "source": null, "grouped": null, "age_ms": 4000, "fresh": false},
            ]},
            {"name": "attic", "address": "192.168.5.102", "connection": "disconnected", "last_heard_ms": null,
             "meters": []},
            {"name": "10.0.0.9", "address": "10.0.0.9", "connection": "not configured", "last_heard_ms": null,
             "meters": [
                {"param": "MixMeter_14", "kind": "mix", "index": 14, "name": null, "level_db": 0.0, "muted": null,
                 "gain_db": null, "source": null, "grouped": null, "age_ms": 0, "fresh": true},
            ]},
        ]
    });
    assert_eq!(json, expected);
}

#[test]
fn the_listing_reads_well() {
    let expected = "\
bar  192.168.5.101  connecting  heard 31ms ago
  SourceMeter_10         -80.0 dB      3s
  ZoneMeter_0     Patio  -23.5 dB    31ms
  ZoneMeter_1             -1.0 dB      4s  stale

attic  192.168.5.102  disconnected  never heard

10.0.0.9  not configured  never heard
  MixMeter_14              0.0 dB     0ms
";
    assert_eq!(listing(&made_up(), &PIPE), expected);
}

#[test]
fn a_frame_shows_bars_that_stand_in_line_and_no_stale_one_looks_alive() {
    let expected = "\
atlas-cluster meters  3 processors  4 meters  1 stale  bars -80 … 0 dB  Ctrl-C ends

bar  192.168.5.101  connecting  heard 31ms ago
SourceMeter_10        ··········································· -80.0 dB
ZoneMeter_0     Patio ██████████████████████████████▌············ -23.5 dB
ZoneMeter_1           ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  -1.0 dB stale

attic  192.168.5.102  disconnected  never heard

10.0.0.9  not configured  never heard
MixMeter_14           ███████████████████████████████████████████   0.0 dB
";
    assert_eq!(frame(&made_up(), &TERMINAL), expected);
}

#[test]
fn a_frame_fits_the_terminal_s_width_and_uses_more_columns_where_it_is_low() {
    let words = words();
    let writer = Writer::new(&words).unwrap();
    let place = writer.place("10.0.0.1".parse().unwrap()).unwrap();
    (0..40).for_each(|index| assert!(writer.store(place, 0, index, NOW, -4000)));
    let said = Said { configured: &[], accepts_unknown: true, link_runs: false, stale_after_ms: 3000 };
    let meters = Meters::read(&said, &Reader::new(&words[..]).unwrap(), NOW);
    let drawn = |columns, rows| frame(&meters, &Look { columns, rows, ..TERMINAL });
    for (columns, rows, lines) in [(80, 60, 43), (80, 24, 23), (120, 24, 23), (200, 12, 11), (40, 10, 43)] {
        let text = drawn(columns, rows);
        assert_eq!(text.lines().count(), lines, "{columns} x {rows}\n{text}");
        assert!(text.lines().skip(1).all(|line| width(line) <= columns), "{columns} x {rows}\n{text}");
    }
    for size in [(0, 0), (1, 1), (10, 3), (65_535, 65_535)] {
        assert!(drawn(size.0, size.1).lines().count() > 3, "however odd the size");
    }
}

#[test]
fn where_there_is_little_room_a_meter_is_called_by_its_name() {
    let mut meters = made_up();
    meters.processors[0].meters[1].name = Some("Patio, in the back".into());
    let drawn = |columns| frame(&meters, &Look { columns, ..TERMINAL });
    assert!(drawn(120).contains("ZoneMeter_0     Patio, in the back █"), "{}", drawn(120));
    assert!(drawn(80).contains("Z0 Patio, in the back █"), "{}", drawn(80));
    assert!(
        drawn(50).contains("Z0 Patio, in th… █") && drawn(50).contains("ZoneMeter_1      ░"),
        "{}",
        drawn(50)
    );
}

#[test]
fn colours_change_no_width() {
    let plain = |text: &str| {
        let mut plain = String::new();
        for (at, part) in text.split('\u{1b}').enumerate() {
            plain.push_str(if at == 0 { part } else { part.split_once('m').unwrap().1 });
        }
        plain
    };
    let meters = made_up();
    let coloured = frame(&meters, &Look { colour: true, ..TERMINAL });
    assert!(coloured.contains("\u{1b}[32m█"), "{coloured}");
    assert_eq!(plain(&coloured).replace("  \n", "\n"), frame(&meters, &TERMINAL).replace("  \n", "\n"));
}

#[test]
fn an_empty_table_says_so() {
    let meters = Meters { schema: 1, processors: Vec::new() };
    assert_eq!(listing(&meters, &PIPE), "no processor is configured, and none has been heard yet\n");
    assert!(
        frame(&meters, &TERMINAL).ends_with("\nno processor is configured, and none has been heard yet\n")
    );
}

#[test]
fn what_a_link_wrote_that_runs_no_more_is_no_connection() {
    let bar = |meters: &Meters| meters.processors[0].clone();
    assert_eq!(bar(&with_link(true)).connection, "connecting");
    let without = bar(&with_link(false));
    let patio = &without.meters[1];
    assert_eq!((without.connection, patio.name.as_deref()), ("disconnected", Some("Patio")));
    assert_eq!((patio.muted, patio.gain_db, patio.source, patio.grouped), (None, None, None, None));
}

#[test]
fn of_who_is_disconnected_no_value_is_shown_whatever_is_left_in_the_table() {
    let shown = while_it_is(ConnectionState::Disconnected, true, true).processors[0].clone();
    let patio = &shown.meters[1];
    assert_eq!((shown.connection, patio.name.as_deref()), ("disconnected", Some("Patio")));
    assert_eq!((patio.muted, patio.gain_db, patio.source, patio.grouped), (None, None, None, None));
}

#[test]
fn who_is_not_configured_and_not_taken_is_not_shown() {
    let names = |meters: Meters| meters.processors.into_iter().map(|one| one.name).collect::<Vec<_>>();
    assert_eq!(names(with(true, true)), ["bar", "attic", "10.0.0.9"]);
    assert_eq!(names(with(true, false)), ["bar", "attic"]);
}
