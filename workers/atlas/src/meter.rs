//! Which meter: its kind and its index.

use std::fmt;

use crate::CentiDb;

/// How many indices each kind has: 0 … 63.
pub const INDICES: usize = 64;

/// What a meter measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// An input of the processor.
    Source = 0,
    /// A mix of sources; numbered from 14 on an AZM8, from 8 on an AZM4.
    Mix = 1,
    /// An output: a room.
    Zone = 2,
    /// Several zones that are played as one.
    Group = 3,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Kind; 4] = [Kind::Source, Kind::Mix, Kind::Zone, Kind::Group];

    /// Its name for people and for JSON: `source`.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Source => "source",
            Kind::Mix => "mix",
            Kind::Zone => "zone",
            Kind::Group => "group",
        }
    }

    /// Its parameter's name, without an index: `SourceMeter`.
    pub const fn meter_name(self) -> &'static str {
        match self {
            Kind::Source => "SourceMeter",
            Kind::Mix => "MixMeter",
            Kind::Zone => "ZoneMeter",
            Kind::Group => "GroupMeter",
        }
    }

    /// The kind whose [`meter_name`](Kind::meter_name) this is.
    pub fn from_meter_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.meter_name() == name)
    }
}

/// One meter of a processor. Displays as its parameter: `ZoneMeter_0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeterId {
    /// What it measures.
    pub kind: Kind,
    /// Its index, always below [`INDICES`].
    pub index: u8,
}

impl MeterId {
    /// How many meters there can be.
    pub const COUNT: usize = Kind::ALL.len() * INDICES;

    /// All of them, in the order of their ordinals.
    pub fn all() -> impl Iterator<Item = MeterId> {
        Kind::ALL.into_iter().flat_map(|kind| (0..INDICES as u8).map(move |index| MeterId { kind, index }))
    }

    /// Its place among all meters, below [`COUNT`](MeterId::COUNT): kinds in their order, then indices.
    pub const fn ordinal(self) -> usize {
        self.kind as usize * INDICES + self.index as usize % INDICES
    }
}

impl fmt::Display for MeterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.kind.meter_name(), self.index)
    }
}

/// What a datagram said of one meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reading {
    /// The meter.
    pub meter: MeterId,
    /// Its level.
    pub level: CentiDb,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_their_meter_names() {
        for (number, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
            assert_eq!(Kind::from_meter_name(kind.meter_name()), Some(kind));
            assert_eq!(Kind::from_meter_name(kind.name()), None);
        }
        assert_eq!(Kind::from_meter_name("ZoneMeter_0"), None);
    }

    #[test]
    fn ordinals_number_every_meter_once() {
        let mut seen = [false; MeterId::COUNT];
        for kind in Kind::ALL {
            for index in 0..INDICES as u8 {
                let place = MeterId { kind, index }.ordinal();
                assert!(!std::mem::replace(&mut seen[place], true));
            }
        }
        assert!(seen.iter().all(|seen| *seen));
    }

    #[test]
    fn meters_display_as_parameters() {
        assert_eq!(MeterId { kind: Kind::Zone, index: 0 }.to_string(), "ZoneMeter_0");
        assert_eq!(MeterId { kind: Kind::Source, index: 63 }.to_string(), "SourceMeter_63");
    }
}
