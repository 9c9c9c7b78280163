//! Durations that an option takes: with their unit, and within bounds.

use std::time::Duration;

use super::UsageError;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A duration that an option takes.
pub(super) struct Span {
    /// As it is written.
    option: &'static str,
    /// Whether it may be none at all.
    zero: bool,
    longest: Duration,
    /// What is allowed, and an example.
    hint: &'static str,
}

/// `wait --timeout`.
pub(super) const WAIT: Span = Span {
    option: "--timeout",
    zero: true,
    longest: DAY,
    hint: "allowed: a duration up to 24h, with its unit; for example `--timeout 30s`",
};
/// `capture --for`.
pub(super) const CAPTURE: Span = Span {
    option: "--for",
    zero: false,
    longest: DAY.saturating_mul(365),
    hint: "allowed: a duration of more than 0s up to 365 days, with its unit; for example `--for 60s`",
};
/// `simulate --inactivity`.
pub(super) const INACTIVITY: Span = Span {
    option: "--inactivity",
    zero: false,
    // `1y` is a quarter of a day more than 365 days.
    longest: DAY.saturating_mul(366),
    hint: "allowed: a duration of more than 0s up to a year, with its unit; for example `--inactivity 5m`",
};

impl Span {
    /// What was written, if it is allowed.
    pub(super) fn parse(&self, text: &str) -> Result<Duration, UsageError> {
        let wrong = |why| Err(UsageError::value(self.option, text, why, self.hint.to_owned()));
        match humantime::parse_duration(text) {
            Ok(time) if time <= self.longest && (self.zero || !time.is_zero()) => Ok(time),
            Ok(_) => wrong("is out of range"),
            Err(_) => wrong("is not a duration"),
        }
    }
}
