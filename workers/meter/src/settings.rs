//! The part of the configuration that this worker reads.

use std::net::IpAddr;

use contract::Failure;
use serde::Deserialize;

/// Unknown fields are other people's.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Settings {
    /// Take datagrams of addresses that no processor has.
    #[serde(default)]
    accept_unknown: bool,
    #[serde(default)]
    processor: Vec<Processor>,
}

#[derive(Debug, Deserialize)]
struct Processor {
    address: IpAddr,
}

impl Settings {
    pub(crate) fn parse(json: &str) -> Result<Settings, Failure> {
        serde_json::from_str(json)
            .map_err(|e| Failure { what: format!("the configuration segment makes no sense: {e}"), errno: 0 })
    }

    /// Addresses of the configured processors.
    pub(crate) fn processors(&self) -> impl Iterator<Item = IpAddr> {
        self.processor.iter().map(|processor| processor.address.to_canonical())
    }

    /// Whether anybody may send: nobody is configured, or it says so.
    pub(crate) fn anybody(&self) -> bool {
        self.accept_unknown || self.processor.is_empty()
    }
}
