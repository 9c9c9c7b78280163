//! What came of a load.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What was sent, and what it cost the sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Datagrams that the kernel took.
    pub sent: u64,
    /// Their payload, in bytes.
    pub bytes: u64,
    /// From the first thread's start to the last one's end.
    pub seconds: f64,
    /// CPU time of the sending threads (user and system), in nanoseconds. On loopback the receiver's protocol work is
    /// in it.
    pub cpu_ns: u64,
    /// Datagrams that were due and never sent, because the sender fell behind by more than its burst.
    pub late: u64,
    /// Sends that met the news that nobody listened (ECONNREFUSED); each was tried again.
    pub refused: u64,
}

impl Outcome {
    /// Datagrams a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.sent as f64 / self.seconds } else { 0.0 }
    }

    /// CPU time of one datagram, in nanoseconds.
    #[must_use]
    pub fn cpu_ns_per_datagram(&self) -> f64 {
        if self.sent > 0 { self.cpu_ns as f64 / self.sent as f64 } else { 0.0 }
    }

    /// Adds what another thread sent. The time is that of the whole, set at the end.
    pub(crate) fn add(&mut self, other: &Outcome) {
        self.sent += other.sent;
        self.bytes += other.bytes;
        self.cpu_ns += other.cpu_ns;
        self.late += other.late;
        self.refused += other.refused;
    }

    /// As `--json` shows it: the fields, `schema`, `rate` and `cpu_ns_per_datagram`.
    #[must_use]
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        struct Shape<'a> {
            schema: u32,
            #[serde(flatten)]
            outcome: &'a Outcome,
            rate: f64,
            cpu_ns_per_datagram: f64,
        }
        let shape = Shape {
            schema: 1,
            outcome: self,
            rate: self.rate(),
            cpu_ns_per_datagram: self.cpu_ns_per_datagram(),
        };
        serde_json::to_string(&shape).unwrap_or_default() // numbers alone: nothing can fail
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Duration::from_secs_f64(self.seconds.max(0.0));
        write!(f, "{} datagrams in {time:.2?}: {:.0} a second, ", self.sent, self.rate())?;
        write!(
            f,
            "{:.0} ns of CPU each; {} too late, {} refused",
            self.cpu_ns_per_datagram(),
            self.late,
            self.refused
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_sent_is_no_rate() {
        assert_eq!((Outcome::default().rate(), Outcome::default().cpu_ns_per_datagram()), (0.0, 0.0));
    }

    #[test]
    fn json_tells_the_rate_too_and_comes_back() {
        let outcome = Outcome { sent: 100, bytes: 8300, seconds: 0.5, cpu_ns: 100_000, late: 3, refused: 0 };
        let json: serde_json::Value = serde_json::from_str(&outcome.json()).unwrap();
        assert_eq!(
            (json["rate"].as_f64(), json["cpu_ns_per_datagram"].as_f64()),
            (Some(200.0), Some(1000.0))
        );
        assert_eq!((json["schema"].as_u64(), json["late"].as_u64()), (Some(1), Some(3)));
        assert_eq!(serde_json::from_value::<Outcome>(json).unwrap(), outcome);
    }
}
