//! `meters --json` as the tests read it.

use serde::Deserialize;

/// One meter.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Meter {
    /// `ZoneMeter_0`.
    pub param: String,
    /// `zone`.
    pub kind: String,
    /// `0`.
    pub index: u32,
    /// Null until known.
    pub name: Option<String>,
    /// Its level.
    pub level_db: f64,
    /// Null until known.
    pub muted: Option<bool>,
    /// Null until known.
    pub gain_db: Option<f64>,
    /// Null until known, and for sources and mixes.
    pub source: Option<i32>,
    /// Null until known, and for sources and mixes.
    pub grouped: Option<bool>,
    /// Age of the reading.
    pub age_ms: u64,
    /// Whether it is young.
    pub fresh: bool,
}

/// One processor.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Processor {
    /// Its name, or its address.
    pub name: String,
    /// Its address.
    pub address: String,
    /// `not configured`, …
    pub connection: String,
    /// Null if never.
    pub last_heard_ms: Option<u64>,
    /// Those with a reading.
    pub meters: Vec<Meter>,
}

/// The meter table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Meters {
    /// 1.
    pub schema: u32,
    /// Each of them.
    pub processors: Vec<Processor>,
}

impl Meters {
    /// The processor of that address.
    #[must_use]
    pub fn processor(&self, address: &str) -> Option<&Processor> {
        self.processors.iter().find(|processor| processor.address == address)
    }

    /// A meter of the processor of that address.
    #[must_use]
    pub fn meter(&self, address: &str, param: &str) -> Option<&Meter> {
        self.processor(address)?.meters.iter().find(|meter| meter.param == param)
    }

    /// Its level.
    #[must_use]
    pub fn level(&self, address: &str, param: &str) -> Option<f64> {
        self.meter(address, param).map(|meter| meter.level_db)
    }
}
