//! The part of the configuration that this role reads.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use contract::Failure;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// How long we finish what was accepted when we are told to leave: what a processor answers, it answers in milliseconds; …
const LEAVE: Duration = Duration::from_secs(1);
/// … of the time after which we would be killed no more than this part.
const PART: f64 = 0.625;

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
    #[serde(default)]
    kill_timeout: Option<String>,
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

    /// How long we may take to leave.
    pub(crate) fn leave(&self) -> Duration {
        let killed =
            self.worker.kill_timeout.as_deref().and_then(|text| humantime::parse_duration(text).ok());
        killed.map_or(LEAVE, |after| after.mul_f64(PART).min(LEAVE))
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

    #[test]
    fn who_would_be_killed_soon_leaves_sooner() {
        let leave = |timeout: &str| {
            let json = format!(r#"{{"worker":{{"kill_timeout":"{timeout}"}}}}"#);
            Settings::parse(&json).unwrap().leave()
        };
        assert_eq!(
            ["20s", "1s 600ms", "800ms", "0s"].map(leave),
            [1000, 1000, 500, 0].map(Duration::from_millis)
        );
        assert_eq!(Settings::default().leave(), LEAVE);
    }
}
