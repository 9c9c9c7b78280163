//! The part of the configuration that this role reads.

use std::net::{IpAddr, SocketAddr};

use contract::Failure;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Unknown fields are other people's.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Settings {
    #[serde(default)]
    processor: Vec<Processor>,
    #[serde(default)]
    worker: Worker,
}

#[derive(Debug, Default, Deserialize)]
struct Worker {
    #[serde(default)]
    program: Option<IgnoredAny>,
}

/// A processor to be connected to.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Processor {
    pub(crate) name: String,
    address: IpAddr,
    tcp_port: u16,
}

impl Processor {
    /// Where it takes commands; port 0: the demo's, which tells its port itself.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.address.to_canonical(), self.tcp_port)
    }
}

impl Settings {
    pub(crate) fn parse(json: &str) -> Result<Settings, Failure> {
        serde_json::from_str(json)
            .map_err(|e| Failure { what: format!("the configuration segment makes no sense: {e}"), errno: 0 })
    }

    pub(crate) fn processors(&self) -> &[Processor] {
        &self.processor
    }

    /// Whether our own workers read the datagrams: else the table does not tell who is heard.
    pub(crate) fn reads_levels(&self) -> bool {
        self.worker.program.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_is_read_and_the_rest_is_left() {
        let json = r#"{"workers":4,"worker":{"program":null,"nice":0},
            "processor":[{"name":"bar","address":"::ffff:10.0.0.1","tcp_port":5321,"new":1}]}"#;
        let settings = Settings::parse(json).unwrap();
        assert_eq!(settings.processors()[0].address().to_string(), "10.0.0.1:5321");
        assert!(settings.reads_levels());
        let foreign = r#"{"worker":{"program":{"name":"node","arguments":[]}}}"#;
        assert!(!Settings::parse(foreign).unwrap().reads_levels());
        assert!(Settings::parse("{}").unwrap().processors().is_empty());
        assert!(Settings::parse("7").is_err());
    }
}
