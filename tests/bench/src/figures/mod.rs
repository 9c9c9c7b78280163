//! What is measured: one file for each group of figures that one start of a subject serves.

mod calls;
mod growth;
mod idle;
mod latency;
mod lifecycle;
mod rate;
mod steady;

use clap::ValueEnum;

use crate::stage::Stage;
use crate::trouble::Trouble;

/// Groups of figures; a run does all of them in each round, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// CPU and system calls of a datagram at 50 000/s and 200 000/s, memory
    Steady,
    /// The highest rate without loss, and the loss at twice that
    Rate,
    /// From send to visible in the meter table
    Latency,
    /// Start, reload, SIGKILL
    Lifecycle,
    /// Wake-ups while nothing happens
    Idle,
    /// CPU of a datagram as workers, senders, processors and meters grow
    Growth,
}

impl Group {
    /// One round of it.
    pub(crate) fn measure(self, stage: &mut Stage<'_>) -> Result<(), Trouble> {
        match self {
            Group::Steady => steady::measure(stage),
            Group::Rate => rate::measure(stage),
            Group::Latency => latency::measure(stage),
            Group::Lifecycle => lifecycle::measure(stage),
            Group::Idle => idle::measure(stage),
            Group::Growth => growth::measure(stage),
        }
    }
}
