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

use atlas::MeterId;
use atlas::params::{Aspect, ParamId};

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
    /// Meters that nobody expects, once the sweep has begun.
    sweep: Option<VecDeque<ParamId>>,
}

impl Survey {
    /// Of a processor of which these meters were heard before.
    pub(super) fn new(heard: impl Iterator<Item = MeterId>) -> Survey {
        let mut survey = Survey {
            standing: vec![Standing::Unasked; ParamId::COUNT],
            queues: Default::default(),
            again: VecDeque::new(),
            sweep: None,
        };
        let likely = LIKELY.into_iter().flat_map(|(kind, indices)| indices.map(move |index| (kind, index)));
        let likely = likely.map(|(kind, index)| MeterId { kind, index });
        heard.chain(likely).for_each(|meter| survey.want(ParamId { of: meter, aspect: Aspect::Meter }));
        survey
    }

    /// All meters that are not there, or of which nothing was ever seen.
    fn unseen(&self) -> VecDeque<ParamId> {
        let all = MeterId::all().map(|of| ParamId { of, aspect: Aspect::Meter });
        let open = |param: &ParamId| {
            let standing = self.standing[param.ordinal()];
            matches!(standing, Standing::Unasked | Standing::Accepted | Standing::Absent)
        };
        all.filter(open).collect()
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

    /// What the sweep asks next; None at its end, and then the next one begins.
    pub(super) fn next_of_sweep(&mut self) -> Option<Vec<ParamId>> {
        let mut sweep = self.sweep.take().unwrap_or_else(|| self.unseen());
        if sweep.is_empty() {
            return None;
        }
        let group: Vec<ParamId> = sweep.drain(..sweep.len().min(BATCH)).collect();
        self.sweep = Some(sweep);
        self.ask(&group);
        Some(group)
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
        match before {
            // A user asked for it, not we.
            Standing::Unasked | Standing::Absent if !self.is_queued(param) => self.queue(param),
            Standing::Unasked
            | Standing::Absent
            | Standing::Waiting
            | Standing::Asked
            | Standing::Accepted
            | Standing::Confirmed => {}
        }
        if param.aspect == Aspect::Meter {
            self.want_details(param.of);
        }
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

    /// It does not exist. What a meter that is not there measures is asked for once more if it ever is.
    pub(super) fn absent(&mut self, param: ParamId) {
        self.standing[param.ordinal()] = Standing::Absent;
        if param.aspect != Aspect::Meter {
            return;
        }
        for detail in details(param.of) {
            let standing = &mut self.standing[detail.ordinal()];
            match standing {
                Standing::Accepted | Standing::Confirmed | Standing::Absent => *standing = Standing::Unasked,
                Standing::Unasked | Standing::Waiting | Standing::Asked => {}
            }
        }
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
    /// together; where none did, in halves. A parameter that was refused alone does not exist: it is returned.
    pub(super) fn refused(&mut self, mut open: Vec<ParamId>, named: bool) -> Option<ParamId> {
        open.retain(|param| self.standing[param.ordinal()] != Standing::Absent);
        match (open.len(), named) {
            (0, _) => {}
            (1, false) => return open.pop(),
            (_, true) => self.again.push_back(open),
            (count, false) => {
                let rest = open.split_off(count / 2);
                self.again.extend([open, rest]);
            }
        }
        None
    }

    /// These got no answer at all: once more.
    pub(super) fn retry(&mut self, open: Vec<ParamId>) {
        self.again.push_back(open);
    }

    /// Subscribes these meters anew, before everything else.
    pub(super) fn renew(&mut self, meters: &[MeterId]) {
        for &of in meters {
            let param = ParamId { of, aspect: Aspect::Meter };
            if !self.is_queued(param) {
                self.queue(param);
            }
        }
    }

    /// Changes may have been missed: all that is known but levels, of which the next one is news, is subscribed anew, so
    /// that its value is told.
    pub(super) fn ask_details_again(&mut self) {
        for (of, aspect) in MeterId::all().flat_map(|of| Aspect::ALL.map(|aspect| (of, aspect))) {
            let param = ParamId { of, aspect };
            let known = matches!(self.standing[param.ordinal()], Standing::Accepted | Standing::Confirmed);
            if aspect != Aspect::Meter && known && !self.is_queued(param) {
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
        details(of).for_each(|detail| self.want(detail));
    }

    fn want(&mut self, param: ParamId) {
        let standing = &mut self.standing[param.ordinal()];
        if *standing == Standing::Unasked {
            *standing = Standing::Waiting;
            self.queue(param);
        }
    }

    fn queue(&mut self, param: ParamId) {
        self.queues[queue_of(param)].push_back(param);
    }

    fn is_queued(&self, param: ParamId) -> bool {
        self.queues[queue_of(param)].contains(&param)
    }
}

fn queue_of(param: ParamId) -> usize {
    match param.aspect {
        Aspect::Meter => 0,
        Aspect::Name => 1,
        Aspect::Mute => 2,
        Aspect::Gain | Aspect::Source | Aspect::Grouped | Aspect::Active | Aspect::Combine => 3,
    }
}

/// All that may be asked about what a meter measures, but its level.
fn details(of: MeterId) -> impl Iterator<Item = ParamId> {
    let aspects =
        Aspect::ALL.into_iter().filter(move |aspect| *aspect != Aspect::Meter && aspect.is_of(of.kind));
    aspects.map(move |aspect| ParamId { of, aspect })
}
