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
    /// We leave, by then at the latest: users' commands are all that is still sent, and what else is so a successor tells.
    Leave(Time),
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
    /// A line for the log, and what is to be read beside it.
    Tell(Remark, Aside),
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
    /// It could not be sent before we leave: whoever follows us can be asked.
    Left,
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
    /// They were silent, and are heard again.
    Heard(Vec<MeterId>),
    /// Levels arrive again.
    Levels,
}

impl Remark {
    /// The state that it tells.
    pub(super) fn state(&self) -> Option<State> {
        match self {
            Remark::Connected | Remark::Recovered(_) => Some(State::Connected),
            Remark::Unresponsive => Some(State::Unresponsive),
            Remark::Disconnected(_) => Some(State::Disconnected),
            Remark::GivenUp | Remark::NoLevels(_) | Remark::Silent(_) | Remark::Heard(_) | Remark::Levels => {
                None
            }
        }
    }

    /// Whether it tells who is heard.
    pub(super) fn is_about_levels(&self) -> bool {
        match self {
            Remark::NoLevels(_) | Remark::Silent(_) | Remark::Heard(_) | Remark::Levels => true,
            Remark::Connected
            | Remark::Unresponsive
            | Remark::Recovered(_)
            | Remark::Disconnected(_)
            | Remark::GivenUp => false,
        }
    }
}

/// What is to be read beside a line that was not written at once, or for which others were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Aside {
    /// How long it has been so.
    pub(crate) lasts: Option<Duration>,
    /// Changes before it that were left out.
    pub(crate) left_out: u64,
}

impl fmt::Display for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasts = self.lasts.map(|lasts| format!("for {} s", lasts.as_secs()));
        let left_out = match self.left_out {
            0 => None,
            1 => Some("1 change was left out here".to_owned()),
            count => Some(format!("{count} changes were left out here")),
        };
        match (lasts, left_out) {
            (None, None) => Ok(()),
            (Some(one), None) | (None, Some(one)) => write!(f, " ({one})"),
            (Some(lasts), Some(left_out)) => write!(f, " ({lasts}; {left_out})"),
        }
    }
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
            Remark::GivenUp => f.write_str("neither answers nor sends levels any more: reconnecting"),
            Remark::NoLevels(meters) => write!(
                f,
                "{meters} meter{} subscribed, none heard: \
                 the processor sends them to UDP port 3131 of this host; is that port open, and ours?",
                if *meters == 1 { "" } else { "s" }
            ),
            Remark::Silent(meters) => write!(f, "subscribed twice and not heard: {}", names(meters)),
            Remark::Heard(meters) => write!(f, "heard again: {}", names(meters)),
            Remark::Levels => f.write_str("levels arrive again"),
        }
    }
}

fn names(meters: &[MeterId]) -> String {
    let named: Vec<String> = meters.iter().take(NAMED).map(ToString::to_string).collect();
    let more = meters.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    named.join(", ") + &rest
}
