//! The words between a connection and its shell: events, actions, and what is told to people.

use std::fmt;
use std::time::Duration;

use atlas::MeterId;
use atlas::control::Value;
use atlas::order::Order;
use table::ConnectionState as State;

/// Time since boot, told by the shell.
pub(crate) type Time = Duration;

/// Who asked: every command is answered exactly once, under the number it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Event<'a> {
    /// `deadline()` has come.
    Clock,
    /// The TCP connection that was ordered is there.
    Opened,
    /// It could not be opened, or has ended: why.
    Closed(&'a str),
    /// A line came over it.
    Line(&'a [u8]),
    /// When each meter of the processor was heard last, as the table says.
    LevelsHeard(&'a [(MeterId, Time)]),
    /// A user wants something.
    Command(Ticket, &'a Order),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Open a TCP connection; there is none.
    Open,
    /// Close it, or give its opening up.
    Close,
    /// Send this line.
    Send(String),
    /// The state for the table.
    State(State),
    /// What was learned of what a meter measures.
    Learn(MeterId, Fact),
    /// What became of a command.
    Answer(Ticket, Outcome),
    /// A line for the log.
    Tell(Remark),
}

/// One thing that a processor told of a source, mix, zone or group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    /// Its name; None: it has none.
    Name(Option<String>),
    /// Whether it is muted.
    Muted(bool),
    /// Its gain in dB.
    Gain(f64),
    /// The number of what it plays; -1 is nothing.
    Source(f64),
    /// Whether the zone is in a group, or the group is combined.
    Grouped(bool),
    /// It is not there: nothing of it is known any more.
    Absent,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Done.
    Done,
    /// Its value.
    Value(Value),
    /// The processor refused: in its words.
    Refused(String),
    /// It was sent, and no answer came in time.
    TimedOut,
    /// It could not even be sent in time: others were before it, or there was no connection yet.
    NotSent,
    /// It was sent, and the connection ended before an answer came.
    Lost,
    /// The processor answers no commands at the time.
    Unresponsive,
    /// There is no connection to the processor.
    Disconnected,
    /// Too many wait already.
    Busy,
}

/// A line for the log, without the processor's name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Remark {
    /// It answers.
    Connected,
    /// TCP is up, and nothing is answered.
    Unresponsive,
    /// It answers again after so long.
    Recovered(Duration),
    /// There is no connection any more, or yet.
    Disconnected(String),
    /// Neither answers nor levels: the connection is made anew.
    GivenUp,
    /// So many meters are subscribed, and none is heard.
    NoLevels(usize),
    /// These are subscribed, others are heard, and they are not.
    Silent(Vec<MeterId>),
    /// Levels arrive again.
    Levels,
}

/// Meters that a line names; the others are counted.
const NAMED: usize = 4;

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remark::Connected => f.write_str("connected"),
            Remark::Unresponsive => f.write_str(
                "unresponsive: the connection is up and commands get no answer; \
                 one is tried each minute; if it stays so, power-cycle the processor",
            ),
            Remark::Recovered(after) => write!(f, "answers commands again after {} s", after.as_secs()),
            Remark::Disconnected(why) => write!(f, "disconnected: {why}; tried again until it is there"),
            Remark::GivenUp => f.write_str("neither answers nor sends levels any more: connected anew"),
            Remark::NoLevels(meters) => write!(
                f,
                "{meters} meters are subscribed and none is heard: \
                 the processor sends them to UDP port 3131 of this host; is that port open, and ours?"
            ),
            Remark::Silent(meters) => {
                let named: Vec<String> = meters.iter().take(NAMED).map(ToString::to_string).collect();
                let more = meters.len().saturating_sub(NAMED);
                let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
                write!(f, "subscribed twice and not heard: {}{rest}", named.join(", "))
            }
            Remark::Levels => f.write_str("levels arrive again"),
        }
    }
}
