//! What a processor has and what of it is subscribed: which parameters to ask for next.
//!
//! ```text
//!  unasked ──▶ waiting ──▶ asked ──▶ accepted ──▶ confirmed      accepted: no word against it
//!     ▲                      │           └──────────▶            confirmed: a value of it was seen, or its level heard
//!     └──── next sweep ──── absent
//! ```
//! Meters first, so that levels flow before names are known; then names, mutes, and the rest. Indices are asked, not
//! counted: the likely ones at once, all others in a slow sweep.

use std::collections::VecDeque;

use atlas::params::{Aspect, ParamId};
use atlas::{INDICES, Kind, MeterId};

use super::limits::{BATCH, LIKELY};

/// What is known of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Unasked,
    Waiting,
    Asked,
    Accepted,
    Confirmed,
    Absent,
}

/// The parameters of one processor, during one connection.
#[derive(Debug)]
pub(super) struct Survey {
    /// By [`ParamId::ordinal`].
    standing: Vec<Standing>,
    /// Meters, names, mutes, the rest: an earlier one goes first. Each parameter is in one of them at most.
    queues: [VecDeque<ParamId>; 4],
    /// What is left of arrays that were refused, to be asked in just these groups.
    again: VecDeque<Vec<ParamId>>,
    /// Meters that nobody expects.
    sweep: VecDeque<ParamId>,
}

impl Survey {
    /// Of a processor of which these meters were heard before.
    pub(super) fn new(heard: impl Iterator<Item = MeterId>) -> Survey {
        let mut survey = Survey {
            standing: vec![Standing::Unasked; ParamId::COUNT],
            queues: Default::default(),
            again: VecDeque::new(),
            sweep: VecDeque::new(),
        };
        let likely = LIKELY.into_iter().flat_map(|(kind, indices)| indices.map(move |index| (kind, index)));
        let likely = likely.map(|(kind, index)| MeterId { kind, index });
        heard.chain(likely).for_each(|meter| survey.want(ParamId { of: meter, aspect: Aspect::Meter }));
        survey.begin_sweep();
        survey
    }

    /// Looks again for meters that were not there, or of which nothing was ever seen.
    pub(super) fn begin_sweep(&mut self) {
        let all = all_meters().map(|of| ParamId { of, aspect: Aspect::Meter });
        let open = |param: &ParamId| {
            let standing = self.standing[param.ordinal()];
            matches!(standing, Standing::Unasked | Standing::Accepted | Standing::Absent)
        };
        self.sweep = all.filter(open).collect();
    }

    /// Whether anything but the sweep is to be asked.
    pub(super) fn has_next(&self) -> bool {
        !self.again.is_empty() || self.queues.iter().any(|queue| !queue.is_empty())
    }

    /// What to ask next, the most urgent first.
    pub(super) fn next(&mut self) -> Option<Vec<ParamId>> {
        while let Some(mut group) = self.again.pop_front() {
            group.retain(|param| self.standing[param.ordinal()] != Standing::Absent);
            if !group.is_empty() {
                return Some(group);
            }
        }
        let queue = self.queues.iter_mut().find(|queue| !queue.is_empty())?;
        let group: Vec<ParamId> = queue.drain(..queue.len().min(BATCH)).collect();
        self.ask(&group);
        Some(group)
    }

    /// What the sweep asks next; None at its end.
    pub(super) fn next_of_sweep(&mut self) -> Option<Vec<ParamId>> {
        let group: Vec<ParamId> = self.sweep.drain(..self.sweep.len().min(BATCH)).collect();
        self.ask(&group);
        (!group.is_empty()).then_some(group)
    }

    fn ask(&mut self, group: &[ParamId]) {
        for param in group {
            let standing = &mut self.standing[param.ordinal()];
            match standing {
                Standing::Unasked | Standing::Waiting | Standing::Absent => *standing = Standing::Asked,
                // Subscribed anew.
                Standing::Asked | Standing::Accepted | Standing::Confirmed => {}
            }
        }
    }

    /// A value of it was seen, or its level heard: it exists.
    pub(super) fn confirm(&mut self, param: ParamId) {
        let before = std::mem::replace(&mut self.standing[param.ordinal()], Standing::Confirmed);
        if param.aspect != Aspect::Meter {
            return;
        }
        match before {
            // A user asked for it, not we.
            Standing::Unasked | Standing::Absent => self.queues[0].push_back(param),
            Standing::Waiting | Standing::Asked | Standing::Accepted | Standing::Confirmed => {}
        }
        self.want_details(param.of);
    }

    /// The level of a meter was heard, on this connection or before: who did not ask for it yet does.
    pub(super) fn note_heard(&mut self, meter: MeterId, lately: bool) {
        let param = ParamId { of: meter, aspect: Aspect::Meter };
        match self.standing[param.ordinal()] {
            Standing::Unasked => self.want(param),
            Standing::Accepted if lately => self.confirm(param),
            Standing::Accepted
            | Standing::Waiting
            | Standing::Asked
            | Standing::Confirmed
            | Standing::Absent => {}
        }
    }

    /// It does not exist.
    pub(super) fn absent(&mut self, param: ParamId) {
        self.standing[param.ordinal()] = Standing::Absent;
    }

    /// No word was said against these. What only a sweep asked for is not asked about further.
    pub(super) fn accept(&mut self, group: &[ParamId], sweep: bool) {
        for &param in group {
            if self.standing[param.ordinal()] == Standing::Asked {
                self.standing[param.ordinal()] = Standing::Accepted;
            }
            if param.aspect == Aspect::Meter && !sweep {
                self.want_details(param.of);
            }
        }
    }

    /// An array was refused, and these of it are still open. Where an error named one of them, the others are asked again
    /// together; where none did, in halves. A parameter that was refused alone does not exist.
    pub(super) fn refused(&mut self, mut open: Vec<ParamId>, named: bool) {
        open.retain(|param| self.standing[param.ordinal()] != Standing::Absent);
        match (open.len(), named) {
            (0, _) => {}
            (1, false) => self.absent(open[0]),
            (_, true) => self.again.push_back(open),
            (count, false) => {
                let rest = open.split_off(count / 2);
                self.again.extend([open, rest]);
            }
        }
    }

    /// These got no answer at all: once more.
    pub(super) fn retry(&mut self, open: Vec<ParamId>) {
        self.again.push_back(open);
    }

    /// Subscribes these meters anew, before everything else.
    pub(super) fn renew(&mut self, meters: &[MeterId]) {
        for &of in meters {
            let param = ParamId { of, aspect: Aspect::Meter };
            if !self.queues[0].contains(&param) {
                self.queues[0].push_back(param);
            }
        }
    }

    /// Changes may have been missed: all that is known but levels, of which the next one is news, is subscribed anew, so
    /// that its value is told.
    pub(super) fn ask_details_again(&mut self) {
        for (of, aspect) in all_meters().flat_map(|of| Aspect::ALL.map(|aspect| (of, aspect))) {
            let param = ParamId { of, aspect };
            let known = matches!(self.standing[param.ordinal()], Standing::Accepted | Standing::Confirmed);
            if aspect != Aspect::Meter && known && !self.queues.iter().any(|queue| queue.contains(&param)) {
                self.queue(param);
            }
        }
    }

    /// Whether a value of it was seen, or its level heard.
    pub(super) fn is_confirmed(&self, meter: MeterId) -> bool {
        let param = ParamId { of: meter, aspect: Aspect::Meter };
        self.standing[param.ordinal()] == Standing::Confirmed
    }

    /// Whether it was asked for and not denied.
    pub(super) fn is_subscribed(&self, meter: MeterId) -> bool {
        let param = ParamId { of: meter, aspect: Aspect::Meter };
        matches!(self.standing[param.ordinal()], Standing::Accepted | Standing::Confirmed)
    }

    fn want_details(&mut self, of: MeterId) {
        let details =
            Aspect::ALL.into_iter().filter(|aspect| *aspect != Aspect::Meter && aspect.is_of(of.kind));
        details.for_each(|aspect| self.want(ParamId { of, aspect }));
    }

    fn want(&mut self, param: ParamId) {
        let standing = &mut self.standing[param.ordinal()];
        if *standing == Standing::Unasked {
            *standing = Standing::Waiting;
            self.queue(param);
        }
    }

    fn queue(&mut self, param: ParamId) {
        let queue = match param.aspect {
            Aspect::Meter => 0,
            Aspect::Name => 1,
            Aspect::Mute => 2,
            Aspect::Gain | Aspect::Source | Aspect::Grouped | Aspect::Active | Aspect::Combine => 3,
        };
        self.queues[queue].push_back(param);
    }
}

fn all_meters() -> impl Iterator<Item = MeterId> {
    Kind::ALL.into_iter().flat_map(|kind| (0..INDICES as u8).map(move |index| MeterId { kind, index }))
}
