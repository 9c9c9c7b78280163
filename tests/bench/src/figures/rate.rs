//! The highest rate that is sustained, and what is lost at twice that rate.
//!
//! A rate is sustained when nothing is lost and, at the end of the load, at most 10 ms' worth of it waits: a receiver
//! that is too slow does not pass because its buffers are large. Where the sender cannot reach what is asked for, what
//! it reached counts.

use std::time::Duration;

use udp_load::{Plan, Speed};

use super::steady::turned;
use crate::samples::Figure;
use crate::search::{Search, Verdict};
use crate::stage::{Shot, Stage};
use crate::subject::{ROSTER, Subject};
use crate::trouble::Trouble;

const LOWEST: f64 = 4_000.0;
const HIGHEST: f64 = 1_500_000.0;
/// 1 500 000 ÷ 4 000 to the power of 1 ÷ 2⁸ is 1.02: the last step.
const TRIES: u32 = 8;
const TIME: Duration = Duration::from_millis(350);
const TICK: Duration = Duration::from_millis(1);
/// What may wait at the end of the load, in seconds of it.
const MAY_WAIT: f64 = 0.010;

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    for entry in turned(&ROSTER, stage.round) {
        let mut subject = stage.start(entry)?;
        stage.warm_up(&mut *subject)?;
        let best = highest(stage, &mut *subject)?;
        stage.note(Figure::HighestRate, &entry.name(), 0, best);
        let twice = (2.0 * best).max(LOWEST);
        let plan = pushed(stage.plan(&*subject, twice, stage.time(3 * TIME)), twice);
        let shot = stage.fire(&mut *subject, &plan)?;
        stage.note(Figure::LostAtTwice, &entry.name(), 0, shot.lost());
        stage.note(Figure::TwiceRate, &entry.name(), 0, shot.sent.rate());
    }
    Ok(())
}

fn highest(stage: &Stage<'_>, subject: &mut dyn Subject) -> Result<f64, Trouble> {
    let mut search = Search::new(LOWEST, HIGHEST, TRIES);
    while let Some(rate) = search.next() {
        let mut verdict = attempt(stage, subject, rate)?;
        // Once more: a hiccup of the machine is not the receiver's limit.
        if verdict == Verdict::Failed {
            verdict = attempt(stage, subject, rate)?;
        }
        search.tell(verdict);
    }
    Ok(search.best())
}

fn attempt(stage: &Stage<'_>, subject: &mut dyn Subject, rate: f64) -> Result<Verdict, Trouble> {
    let plan = pushed(stage.plan(subject, rate, stage.time(TIME)), rate);
    Ok(judge(&stage.fire(subject, &plan)?))
}

/// A sender that the receivers have kept from the CPU catches up with more than usual.
fn pushed(plan: Plan, rate: f64) -> Plan {
    let burst = (rate * MAY_WAIT).ceil() as u64;
    Plan { speed: Speed::Paced { rate, burst, tick: TICK }, ..plan }
}

fn judge(shot: &Shot) -> Verdict {
    let reached = shot.sent.rate();
    if shot.received < shot.sent.sent || shot.waiting as f64 > reached * MAY_WAIT {
        Verdict::Failed
    } else {
        Verdict::Sustained(reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Usage;
    use udp_load::Outcome;

    #[test]
    fn what_waits_or_is_lost_is_not_sustained() {
        let shot = |sent, received, waiting| Shot {
            sent: Outcome { sent, seconds: 1.0, ..Outcome::default() },
            received,
            used: Usage::default(),
            waiting,
        };
        assert_eq!(judge(&shot(1000, 1000, 10)), Verdict::Sustained(1000.0));
        assert_eq!(judge(&shot(1000, 999, 0)), Verdict::Failed);
        assert_eq!(judge(&shot(1000, 1000, 11)), Verdict::Failed);
    }
}
