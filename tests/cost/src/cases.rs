//! What is measured: each case a kind of datagram, and how many of them come at once.

use std::net::Ipv4Addr;

use atlas::{CentiDb, Kind, MeterId, message};
use sys::batch;
use table::counters::Counter;

/// Datagrams of one kind, from some senders, to a worker with some configuration.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The datagrams, sent in turn.
    pub(crate) datagrams: Vec<Vec<u8>>,
    /// Addresses that send, in turn.
    pub(crate) senders: Vec<Ipv4Addr>,
    /// How many wait when a turn begins.
    pub(crate) at_once: usize,
    /// What each of them must be counted as: else something else was measured.
    pub(crate) class: Counter,
    /// The worker's configuration.
    pub(crate) settings: &'static str,
}

/// Only these may send.
const CONFIGURED: &str = r#"{"processor":[{"address":"127.0.0.2"}]}"#;

/// The case on which others are variations: one meter in the manual's form, one sender, full batches.
fn meter() -> Case {
    Case {
        name: "one meter",
        datagrams: levels().map(|db| message::update(&[(id(0), db)]).into_bytes()).collect(),
        senders: senders(1),
        at_once: batch::LEN,
        class: Counter::Meter,
        settings: CONFIGURED,
    }
}

fn id(index: u8) -> MeterId {
    MeterId { kind: Kind::Zone, index }
}

/// The lengths that levels are written in.
fn levels() -> impl Iterator<Item = CentiDb> + Clone {
    [-2350, -8000, -75, 0, -1234].into_iter().map(CentiDb)
}

fn senders(count: u8) -> Vec<Ipv4Addr> {
    (0..count).map(|number| Ipv4Addr::new(127, 0, 0, 2 + number)).collect()
}

/// Every case, in the order of the report.
pub(crate) fn all() -> Vec<Case> {
    let many: Vec<_> = (0..32).zip(levels().cycle()).map(|(index, db)| (id(index), db)).collect();
    let spaced = br#"{ "jsonrpc": "2.0", "method": "update", "params": [ { "param": "ZoneMeter_0", "val": -23.5 } ] }"#;
    let object = br#"{"jsonrpc":"2.0","method":"update","params":{"param":"ZoneMeter_0","val":-23.5}}"#;
    let cut = br#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneMeter_0","val":-23.5}]"#;
    vec![
        meter(),
        Case { name: "one meter, alone", at_once: 1, ..meter() },
        Case { name: "one meter, 64 senders", senders: senders(64), settings: "{}", ..meter() },
        Case { name: "32 meters", datagrams: vec![message::update(&many).into_bytes()], ..meter() },
        Case { name: "one meter, no array", datagrams: vec![object.to_vec()], ..meter() },
        Case { name: "one meter, spaced", datagrams: vec![spaced.to_vec()], ..meter() },
        Case {
            name: "keep-alive",
            datagrams: vec![message::KEEP_ALIVE.into()],
            class: Counter::KeepAlive,
            ..meter()
        },
        Case { name: "malformed", datagrams: vec![cut.to_vec()], class: Counter::Malformed, ..meter() },
        Case {
            name: "unknown sender",
            senders: vec![Ipv4Addr::new(127, 0, 0, 3)],
            class: Counter::UnknownSender,
            ..meter()
        },
    ]
}
