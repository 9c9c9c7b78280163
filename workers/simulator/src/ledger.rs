//! What happened, counted for tests and people.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Format, Param};
use crate::session::Method;

/// What a client did that the protocol does not allow. Asking for a parameter that does not exist is none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// A line that is not JSON.
    Json,
    /// JSON that is no request.
    Shape,
    /// A method that does not exist.
    Method,
    /// A value that its parameter cannot take; a subscription to what has none.
    BadValue,
    /// A change of what cannot be changed.
    ReadOnly,
    /// A line over the limit.
    TooLong,
}

impl Violation {
    const fn name(self) -> &'static str {
        match self {
            Violation::Json => "json",
            Violation::Shape => "shape",
            Violation::Method => "method",
            Violation::BadValue => "bad_value",
            Violation::ReadOnly => "read_only",
            Violation::TooLong => "too_long",
        }
    }
}

/// The counts of a simulated processor since its start. As JSON: the answer of its control socket to `stats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// 1.
    pub schema: u32,
    /// `azm8`.
    pub model: String,
    /// TCP connections.
    pub connections: Connections,
    /// How many connections are subscribed now: to which parameter, in which format. Nothing where nobody is.
    pub subscriptions: BTreeMap<String, BTreeMap<String, u32>>,
    /// The most that ever were subscribed to one parameter in one format at the same time.
    pub subscriptions_peak: u32,
    /// Commands, by method; answered or not.
    pub commands: BTreeMap<String, u64>,
    /// The most commands in one second, counted from the start in whole seconds.
    pub commands_per_second_peak: u64,
    /// Parameters that were asked for and do not exist.
    pub not_found: u64,
    /// What the protocol does not allow, by its kind.
    pub violations: BTreeMap<String, u64>,
    /// Datagrams sent.
    pub datagrams: u64,
    /// Faults that go on, by name.
    pub faults: Vec<String>,
}

/// TCP connections of a simulated processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// Those served now.
    pub now: u32,
    /// The most at the same time.
    pub peak: u32,
    /// All that were ever served.
    pub accepted: u64,
    /// Those that were closed at once, over the limit.
    pub refused: u64,
    /// Those that were closed because their client did not read.
    pub overflowed: u64,
    /// Those that a half-open fault took out of service.
    pub frozen: u64,
}

impl Stats {
    /// Protocol violations of all kinds.
    #[must_use]
    pub fn violations_total(&self) -> u64 {
        self.violations.values().sum()
    }

    /// Commands of all methods.
    #[must_use]
    pub fn commands_total(&self) -> u64 {
        self.commands.values().sum()
    }

    /// How many connections are subscribed to a parameter in a format.
    #[must_use]
    pub fn subscribers(&self, param: &str, format: &str) -> u32 {
        self.subscriptions.get(param).and_then(|formats| formats.get(format)).copied().unwrap_or(0)
    }
}

/// Keeps the counts.
#[derive(Debug, Default)]
pub struct Ledger {
    now: Duration,
    /// The second under way, and the commands in it.
    second: (u64, u64),
    commands_peak: u64,
    commands: BTreeMap<Method, u64>,
    violations: BTreeMap<Violation, u64>,
    subscriptions: BTreeMap<(Param, Format), u32>,
    subscriptions_peak: u32,
    not_found: u64,
    /// TCP connections.
    pub connections: Connections,
    /// Datagrams sent.
    pub datagrams: u64,
}

impl Ledger {
    /// What follows happens at `now`.
    pub fn at(&mut self, now: Duration) {
        self.now = now;
    }

    /// A command came.
    pub fn count(&mut self, method: Method) {
        *self.commands.entry(method).or_default() += 1;
        let second = self.now.as_secs();
        if self.second.0 != second {
            self.second = (second, 0);
        }
        self.second.1 += 1;
        self.commands_peak = self.commands_peak.max(self.second.1);
    }

    /// Something came that the protocol does not allow.
    pub fn violation(&mut self, violation: Violation) {
        *self.violations.entry(violation).or_default() += 1;
    }

    /// A parameter was asked for that does not exist.
    pub fn not_found(&mut self) {
        self.not_found += 1;
    }

    /// A connection came into service.
    pub fn connected(&mut self) {
        let connections = &mut self.connections;
        connections.accepted += 1;
        connections.now += 1;
        connections.peak = connections.peak.max(connections.now);
    }

    /// A connection is served no more.
    pub fn disconnected(&mut self) {
        self.connections.now -= 1;
    }

    /// A connection is subscribed that was not.
    pub fn subscribed(&mut self, param: Param, format: Format) {
        let count = self.subscriptions.entry((param, format)).or_default();
        *count += 1;
        self.subscriptions_peak = self.subscriptions_peak.max(*count);
    }

    /// A connection is not subscribed any more.
    pub fn unsubscribed(&mut self, param: Param, format: Format) {
        if let Some(count) = self.subscriptions.get_mut(&(param, format)) {
            *count -= 1;
            if *count == 0 {
                self.subscriptions.remove(&(param, format));
            }
        }
    }

    /// All of it, as told to others.
    #[must_use]
    pub fn stats(&self, model: &str, faults: Vec<String>) -> Stats {
        let mut subscriptions: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
        for ((param, format), count) in &self.subscriptions {
            subscriptions.entry(param.to_string()).or_default().insert(format.key().to_owned(), *count);
        }
        Stats {
            schema: 1,
            model: model.to_owned(),
            connections: self.connections,
            subscriptions,
            subscriptions_peak: self.subscriptions_peak,
            commands: self.commands.iter().map(|(method, n)| (method.name().to_owned(), *n)).collect(),
            commands_per_second_peak: self.commands_peak,
            not_found: self.not_found,
            violations: self.violations.iter().map(|(kind, n)| (kind.name().to_owned(), *n)).collect(),
            datagrams: self.datagrams,
            faults,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_and_commands_are_counted_with_their_peaks() {
        let mut ledger = Ledger::default();
        let (param, format) = (Param::ZoneSource(0), Format::Val);
        ledger.subscribed(param, format);
        ledger.subscribed(param, format);
        ledger.unsubscribed(param, format);
        for (ms, commands) in [(100, 3), (900, 2), (1000, 4)] {
            ledger.at(Duration::from_millis(ms));
            (0..commands).for_each(|_| ledger.count(Method::Get));
        }
        let stats = ledger.stats("azm8", Vec::new());
        assert_eq!(stats.subscribers("ZoneSource_0", "val"), 1);
        assert_eq!((stats.subscriptions_peak, stats.commands_total()), (2, 9));
        assert_eq!(stats.commands_per_second_peak, 5);
        ledger.unsubscribed(param, format);
        assert!(ledger.stats("azm8", Vec::new()).subscriptions.is_empty());
    }
}
