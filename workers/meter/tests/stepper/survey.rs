//! Where a traced life can be cut short: relative to what can be found again in another life of it.
//!
//! Two lives of the same worker differ by some instructions (the C library reads a clock again when the kernel is just
//! setting it), so places are counted from the last system call or change of a control word, whose order is the same.

use std::collections::BTreeSet;

use super::{Scene, World};

/// Instructions on either side of a landmark that the gate takes.
const AROUND: usize = 8;
/// How many more than in the survey there may be between two landmarks.
const SLACK: usize = 64;

/// A landmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A system call is over.
    Call,
    /// A control word has changed, by an ordinary instruction.
    Change,
}

/// A place to die at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    /// System calls before it.
    pub(crate) calls: usize,
    /// Changes between the last of them and it.
    pub(crate) changes: usize,
    /// Instructions after the last landmark.
    pub(crate) steps: usize,
}

/// One undisturbed life.
pub(crate) struct Survey {
    /// Instructions in all.
    pub(crate) end: usize,
    /// After which of them there was which landmark.
    marks: Vec<(usize, Mark)>,
}

impl Survey {
    pub(crate) fn of(scene: &Scene) -> Survey {
        let mut world = World::new(scene);
        let mut traced = world.start_traced();
        let (mut before, mut marks, mut end) = (world.control_words(), Vec::new(), 0);
        loop {
            let call = traced.is_at_call();
            if !traced.step() {
                break;
            }
            end += 1;
            let now = world.control_words();
            world.expect_order(&before, &now);
            if call {
                marks.push((end, Mark::Call));
            } else if now != before {
                marks.push((end, Mark::Change));
            }
            before = now;
        }
        traced.kill();
        let survey = Survey { end, marks };
        assert!(survey.number_of(Mark::Change) > 3, "{}: the ring was at work", scene.name);
        survey
    }

    pub(crate) fn number_of(&self, kind: Mark) -> usize {
        self.marks.iter().filter(|(_, mark)| *mark == kind).count()
    }

    /// Each landmark, the beginning first, and how many instructions there are until the next.
    fn stretches(&self) -> Vec<(Point, usize)> {
        let mut from = (0, Point { calls: 0, changes: 0, steps: 0 });
        let mut stretches = Vec::new();
        for &(at, mark) in &self.marks {
            let (begin, point) = from;
            let next = match mark {
                Mark::Call => Point { calls: point.calls + 1, changes: 0, steps: 0 },
                Mark::Change => Point { changes: point.changes + 1, ..point.clone() },
            };
            stretches.push((point, at - begin));
            from = (at, next);
        }
        let (begin, point) = from;
        stretches.push((point, self.end - begin));
        stretches
    }

    /// After every instruction.
    pub(crate) fn every_point(&self) -> Vec<Point> {
        let all = self.stretches().into_iter().flat_map(|(from, length)| {
            let slack = if length > SLACK { SLACK } else { 0 };
            (0..=length + slack).map(move |steps| Point { steps, ..from.clone() })
        });
        all.collect()
    }

    /// After every instruction around a landmark, and after so many others, the same ones each time.
    pub(crate) fn sample(&self, others: usize) -> Vec<Point> {
        let stretches = self.stretches();
        let around = stretches.iter().flat_map(|(from, length)| {
            let (after, before) = (0..=AROUND.min(*length), length.saturating_sub(AROUND)..=*length);
            after.chain(before).map(|steps| Point { steps, ..from.clone() })
        });
        let mut dice = 1_u64;
        let any = std::iter::repeat_with(|| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let mut step = usize::try_from(dice % (self.end as u64 + 1)).unwrap_or(0);
            let found = stretches.iter().find(|(_, length)| {
                let here = step <= *length;
                step -= if here { 0 } else { *length };
                here
            });
            found.map(|(from, _)| Point { steps: step, ..from.clone() })
        });
        let due: BTreeSet<Point> = around.chain(any.take(others).flatten()).collect();
        due.into_iter().collect()
    }
}
