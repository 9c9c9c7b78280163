//! Faults on request: their kinds, how they are written, and when which goes on. Pure; told the time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The most faults that may be planned.
pub const MAX_PLANNED: usize = 256;
/// The latest a fault may begin, the longest it may last.
pub const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// What can go wrong with a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The control port locks up: connections are accepted, commands are read and never answered, meters go on. So seen
    /// at real processors, until they were power-cycled.
    Lockup,
    /// Everything over TCP comes two seconds late.
    Slow,
    /// The peer vanishes without a FIN: the connections of that moment are neither read nor written any more, nor closed.
    HalfOpen,
    /// Bytes that are no messages go out over TCP and UDP, between those that are.
    Garbage,
    /// All connections are closed, the port for a while too; subscriptions are gone.
    Reboot,
    /// `ZoneName_0` and `SourceName_0` become other names.
    Rename,
    /// Third-party control is switched off: connections are closed, new ones refused. Nobody knows what a real processor
    /// does then.
    ControlOff,
    /// What goes over TCP goes in small pieces.
    Split,
    /// What goes over TCP is held back, then goes at once, not cut at the ends of lines.
    Glued,
    /// Lines end with `\r\n`.
    Crlf,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 10] = [
        Kind::Lockup,
        Kind::Slow,
        Kind::HalfOpen,
        Kind::Garbage,
        Kind::Reboot,
        Kind::Rename,
        Kind::ControlOff,
        Kind::Split,
        Kind::Glued,
        Kind::Crlf,
    ];

    /// Its name on the command line: `lockup`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Lockup => "lockup",
            Kind::Slow => "slow",
            Kind::HalfOpen => "half-open",
            Kind::Garbage => "garbage",
            Kind::Reboot => "reboot",
            Kind::Rename => "rename",
            Kind::ControlOff => "control-off",
            Kind::Split => "split",
            Kind::Glued => "glued",
            Kind::Crlf => "crlf",
        }
    }

    /// How long it lasts where nobody says; None: until it is healed.
    #[must_use]
    pub const fn usual(self) -> Option<Duration> {
        match self {
            Kind::Lockup | Kind::Slow | Kind::ControlOff | Kind::Split | Kind::Glued | Kind::Crlf => None,
            Kind::HalfOpen | Kind::Rename => Some(Duration::ZERO),
            Kind::Garbage => Some(Duration::from_secs(1)),
            Kind::Reboot => Some(Duration::from_secs(5)),
        }
    }

    /// The names of all, as a sentence lists them.
    #[must_use]
    pub fn names() -> String {
        Kind::ALL.map(Kind::name).join(", ")
    }
}

impl FromStr for Kind {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Kind, BadFault> {
        // `lock-up` and `halfopen` are as clear.
        let plain = |name: &str| name.replace('-', "");
        Kind::ALL.into_iter().find(|kind| plain(kind.name()) == plain(text)).ok_or(BadFault::Kind)
    }
}

/// A fault that is to come: `lockup@30s`, `reboot@10s+3s`, `slow` (at once).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What.
    pub kind: Kind,
    /// When, since the start.
    pub at: Duration,
    /// How long; None: until it is healed.
    pub lasts: Option<Duration>,
}

/// Why a fault cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFault {
    /// Its kind.
    #[error("is not a kind of fault")]
    Kind,
    /// Its time or its duration.
    #[error("has an invalid time or duration")]
    Time,
    /// It lasts as long as it lasts.
    #[error("takes no duration")]
    Lasting,
}

impl FromStr for Planned {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Planned, BadFault> {
        let (rest, lasts) = match text.split_once('+') {
            Some((rest, lasts)) => (rest, Some(duration(lasts)?)),
            None => (text, None),
        };
        let (kind, at) = match rest.split_once('@') {
            Some((kind, at)) => (kind, duration(at)?),
            None => (rest, Duration::ZERO),
        };
        let kind: Kind = kind.parse()?;
        if kind == Kind::Rename && lasts.is_some() {
            return Err(BadFault::Lasting);
        }
        Ok(Planned { kind, at, lasts: lasts.or(kind.usual()) })
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.kind.name(), humantime::format_duration(self.at))?;
        match self.lasts {
            Some(lasts) if self.kind.usual() != self.lasts => {
                write!(f, "+{}", humantime::format_duration(lasts))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A duration as people write it: `5s`, `1m 30s`.
///
/// # Errors
/// When it is none, or longer than [`LONGEST`].
pub fn duration(text: &str) -> Result<Duration, BadFault> {
    humantime::parse_duration(text).ok().filter(|time| *time <= LONGEST).ok_or(BadFault::Time)
}

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It began, or began anew.
    Began(Kind),
    /// It is over.
    Ended(Kind),
}

/// Which faults are to come and which go on.
#[derive(Debug, Default)]
pub struct Course {
    planned: Vec<Planned>,
    /// Those that go on, and until when; one of each kind.
    on: Vec<(Kind, Option<Duration>)>,
}

impl Course {
    /// With these to come, of which the first [`MAX_PLANNED`] count.
    #[must_use]
    pub fn new(planned: &[Planned]) -> Course {
        let mut planned = planned[..planned.len().min(MAX_PLANNED)].to_vec();
        planned.sort_by_key(|planned| planned.at);
        Course { planned, on: Vec::new() }
    }

    /// Whether a fault of this kind goes on.
    #[must_use]
    pub fn is_on(&self, kind: Kind) -> bool {
        self.on.iter().any(|(on, _)| *on == kind)
    }

    /// Those that go on.
    pub fn all_on(&self) -> impl Iterator<Item = Kind> {
        self.on.iter().map(|(kind, _)| *kind)
    }

    /// Begins a fault now; one of its kind that goes on already ends with this one.
    pub fn begin(&mut self, now: Duration, kind: Kind, lasts: Option<Duration>) {
        self.planned.insert(0, Planned { kind, at: now, lasts });
    }

    /// Ends all that go on, at the next [`poll`](Course::poll).
    pub fn heal(&mut self, now: Duration) {
        for (_, until) in &mut self.on {
            *until = Some(now);
        }
    }

    /// What begins or ends by `now`, one at a time.
    pub fn poll(&mut self, now: Duration) -> Option<Turn> {
        if let Some(place) = self.on.iter().position(|(_, until)| until.is_some_and(|until| until <= now)) {
            return Some(Turn::Ended(self.on.remove(place).0));
        }
        if self.planned.first()?.at > now {
            return None;
        }
        let Planned { kind, lasts, .. } = self.planned.remove(0);
        self.on.retain(|(on, _)| *on != kind);
        self.on.push((kind, lasts.map(|lasts| now + lasts)));
        Some(Turn::Began(kind))
    }

    /// When the next one begins or ends.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let ends = self.on.iter().filter_map(|(_, until)| *until);
        ends.chain(self.planned.first().map(|planned| planned.at)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn faults_are_read_as_they_are_written() {
        let planned = |kind, at, lasts| Ok(Planned { kind, at: secs(at), lasts });
        for (text, expected) in [
            ("lockup@30s", planned(Kind::Lockup, 30, None)),
            ("lockup@30s+5s", planned(Kind::Lockup, 30, Some(secs(5)))),
            ("lockup", planned(Kind::Lockup, 0, None)),
            ("lock-up@30s", planned(Kind::Lockup, 30, None)),
            ("halfopen", planned(Kind::HalfOpen, 0, Some(secs(0)))),
            ("slow+2s", planned(Kind::Slow, 0, Some(secs(2)))),
            ("reboot@1m", planned(Kind::Reboot, 60, Some(secs(5)))),
            ("half-open@2s", planned(Kind::HalfOpen, 2, Some(secs(0)))),
            ("explode@2s", Err(BadFault::Kind)),
            ("", Err(BadFault::Kind)),
            ("lockup@soon", Err(BadFault::Time)),
            ("lockup@1s+", Err(BadFault::Time)),
            ("lockup@9000000000s", Err(BadFault::Time)),
            ("rename@1s+1s", Err(BadFault::Lasting)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        for text in ["lockup@30s", "lockup@30s+5s", "reboot@1m", "rename@2s", "slow@0s+2s"] {
            assert_eq!(text.parse::<Planned>().expect(text).to_string(), text);
        }
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
    }

    #[test]
    fn they_begin_and_end_in_their_order() {
        let planned = ["slow@3s+2s", "lockup@1s", "rename@3s"].map(|text| text.parse().expect(text));
        let mut course = Course::new(&planned);
        assert_eq!((course.poll(secs(0)), course.deadline()), (None, Some(secs(1))));
        assert_eq!(course.poll(secs(1)), Some(Turn::Began(Kind::Lockup)));
        assert_eq!((course.poll(secs(2)), course.deadline()), (None, Some(secs(3))));
        assert_eq!(course.poll(secs(3)), Some(Turn::Began(Kind::Slow)));
        assert_eq!(course.poll(secs(3)), Some(Turn::Began(Kind::Rename)));
        assert_eq!(course.poll(secs(3)), Some(Turn::Ended(Kind::Rename)));
        assert_eq!((course.poll(secs(3)), course.deadline()), (None, Some(secs(5))));
        assert!(course.is_on(Kind::Slow) && course.is_on(Kind::Lockup) && !course.is_on(Kind::Rename));
        assert_eq!(course.poll(secs(5)), Some(Turn::Ended(Kind::Slow)));
        assert_eq!((course.poll(secs(99)), course.deadline()), (None, None));
    }

    #[test]
    fn one_that_is_begun_again_ends_with_the_second_and_healing_ends_all() {
        let mut course = Course::default();
        course.begin(secs(1), Kind::Slow, Some(secs(1)));
        assert_eq!(course.poll(secs(1)), Some(Turn::Began(Kind::Slow)));
        course.begin(secs(1), Kind::Slow, Some(secs(9)));
        assert_eq!(course.poll(secs(1)), Some(Turn::Began(Kind::Slow)));
        assert_eq!(course.poll(secs(3)), None);
        course.begin(secs(3), Kind::Lockup, None);
        assert_eq!(course.poll(secs(3)), Some(Turn::Began(Kind::Lockup)));
        course.heal(secs(4));
        assert_eq!(course.poll(secs(4)), Some(Turn::Ended(Kind::Slow)));
        assert_eq!(course.poll(secs(4)), Some(Turn::Ended(Kind::Lockup)));
        assert_eq!((course.poll(secs(4)), course.deadline()), (None, None));
    }
}
