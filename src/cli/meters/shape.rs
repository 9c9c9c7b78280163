//! The shape of `meters --json`, and how it comes from the table.

use std::net::IpAddr;

use serde::Serialize;
use table::{ConnectionState, KIND_NAMES, KIND_PARAMS, Processor, Reader, Words};

use crate::wire::Configured;

/// `meters --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::cli) struct Meters {
    /// Version of this shape: 1.
    pub(in crate::cli) schema: u32,
    /// Those of the configuration in its order, then the others by address.
    pub(in crate::cli) processors: Vec<ProcessorRow>,
}

/// A processor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::cli) struct ProcessorRow {
    /// Its name in the configuration, else its address.
    pub(in crate::cli) name: String,
    /// Its address.
    pub(in crate::cli) address: IpAddr,
    /// `connected`, `connecting`, `unresponsive`, `disconnected` or `not configured`.
    pub(in crate::cli) connection: &'static str,
    /// Age of its last datagram; null if there was none.
    pub(in crate::cli) last_heard_ms: Option<u64>,
    /// Its meters that have a reading.
    pub(in crate::cli) meters: Vec<MeterRow>,
}

/// A meter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::cli) struct MeterRow {
    /// `ZoneMeter_0`.
    pub(in crate::cli) param: String,
    /// `source`, `mix`, `zone` or `group`.
    pub(in crate::cli) kind: &'static str,
    /// Its index among its kind.
    pub(in crate::cli) index: u8,
    /// What people call it; null until it is known.
    pub(in crate::cli) name: Option<String>,
    /// Its level.
    pub(in crate::cli) level_db: f64,
    /// Null until it is known.
    pub(in crate::cli) muted: Option<bool>,
    /// Its gain; null until it is known.
    pub(in crate::cli) gain_db: Option<f64>,
    /// The number of what a zone or group plays, -1 for nothing; null until it is known, and for sources and mixes.
    pub(in crate::cli) source: Option<i16>,
    /// Whether a zone is in a group, a group combined; null until it is known, and for sources and mixes.
    pub(in crate::cli) grouped: Option<bool>,
    /// Age of the reading.
    pub(in crate::cli) age_ms: u64,
    /// Whether the reading is younger than `stale_after`.
    pub(in crate::cli) fresh: bool,
}

/// What the supervisor says beside the table.
pub(super) struct Said<'a> {
    /// The processors of the configuration.
    pub(super) configured: &'a [Configured],
    /// Whether datagrams of others are taken: else what stands in the table of others is of old.
    pub(super) accepts_unknown: bool,
    /// Without a link nobody holds a connection, whatever the last one has written, and values may be others by now.
    pub(super) link_runs: bool,
    /// Age from which a reading is stale.
    pub(super) stale_after_ms: u64,
}

impl Meters {
    /// What the table says at `now` (µs of CLOCK_BOOTTIME).
    pub(super) fn read(said: &Said<'_>, table: &Reader<impl Words>, now: u64) -> Meters {
        let mut heard: Vec<Processor> = table.processors().collect();
        heard.sort_by_key(|processor| processor.address);
        let row = |name: String, address: IpAddr, known: bool, processor: Option<&Processor>| {
            let link = processor.filter(|_| said.link_runs).and_then(|p| table.connection(p.place));
            let values = match link {
                Some(
                    ConnectionState::Connected | ConnectionState::Connecting | ConnectionState::Unresponsive,
                ) => known,
                Some(ConnectionState::Disconnected) | None => false,
            };
            let words = Trust { names: known, values };
            let meters = |processor| meters(table, processor, words, said.stale_after_ms, now);
            ProcessorRow {
                name,
                address,
                connection: if known { connection(link) } else { "not configured" },
                last_heard_ms: processor
                    .and_then(|processor| processor.heard)
                    .map(|heard| age_ms(now, heard)),
                meters: processor.map(meters).unwrap_or_default(),
            }
        };
        let mut processors = Vec::new();
        for known in said.configured {
            let address = known.address.to_canonical();
            let at = heard.iter().position(|processor| processor.address == address);
            let processor = at.map(|at| heard.remove(at));
            processors.push(row(known.name.clone(), address, true, processor.as_ref()));
        }
        let strangers = heard.iter().filter(|_| said.accepts_unknown);
        processors.extend(strangers.map(|p| row(p.address.to_string(), p.address, false, Some(p))));
        Meters { schema: 1, processors }
    }
}

/// Which of link's words are shown of a processor.
#[derive(Clone, Copy)]
struct Trust {
    names: bool,
    /// Mutes, gains, sources, groups.
    values: bool,
}

/// While link has said nothing there is no connection.
fn connection(link: Option<ConnectionState>) -> &'static str {
    match link {
        Some(ConnectionState::Connected) => "connected",
        Some(ConnectionState::Connecting) => "connecting",
        Some(ConnectionState::Unresponsive) => "unresponsive",
        Some(ConnectionState::Disconnected) | None => "disconnected",
    }
}

fn meters(
    table: &Reader<impl Words>,
    processor: &Processor,
    trust: Trust,
    stale_after_ms: u64,
    now: u64,
) -> Vec<MeterRow> {
    let named = Some(processor.place).filter(|_| trust.names);
    let valued = Some(processor.place).filter(|_| trust.values);
    let row = |table::Meter { kind: number, index, micros, centi_db }| {
        let kind = usize::from(number);
        let age_ms = age_ms(now, micros);
        Some(MeterRow {
            param: format!("{}_{index}", KIND_PARAMS.get(kind)?),
            kind: KIND_NAMES.get(kind)?,
            index,
            name: named.and_then(|place| table.name(place, number, index)),
            level_db: db(centi_db),
            muted: valued.and_then(|place| table.muted(place, number, index)),
            gain_db: valued.and_then(|place| table.gain(place, number, index)).map(db),
            source: valued.and_then(|place| table.source(place, number, index)),
            grouped: valued.and_then(|place| table.grouped(place, number, index)),
            age_ms,
            fresh: age_ms <= stale_after_ms,
        })
    };
    table.meters(processor.place).filter_map(row).collect()
}

fn db(centi: i16) -> f64 {
    f64::from(centi) / 100.0
}

fn age_ms(now: u64, then: u64) -> u64 {
    now.saturating_sub(then) / 1000
}
