//! Which meters are heard, and what to do about those that are not: subscribe them anew, at a
//! gentle pace for as long as it lasts, and say so once.

use atlas::MeterId;

use super::limits::{ALL_SILENT, RENEW_ALL_EVERY, RENEW_EVERY, REPORT, SILENT};
use super::words::{Remark, Time};

/// What is to be done about silence.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// Meters to be subscribed anew.
    pub(super) renew: Vec<MeterId>,
    /// They are all that were heard.
    pub(super) all: bool,
    /// What to tell.
    pub(super) remark: Option<Remark>,
}

/// One meter.
#[derive(Clone, Copy, Debug, Default)]
struct Ear {
    /// When its level was heard last.
    heard: Option<Time>,
    /// When it was subscribed first on this connection.
    subscribed: Option<Time>,
    /// When it was subscribed anew.
    renewed: Option<Time>,
    /// Its silence was told.
    reported: bool,
    /// Since when it is heard again after that.
    back: Option<Time>,
}

/// All meters of one processor.
#[derive(Debug)]
pub(super) struct Levels {
    /// By [`MeterId::ordinal`].
    ears: Vec<Ear>,
    /// When all were subscribed anew.
    all_renewed: Option<Time>,
    /// The silence of all was told.
    all_reported: bool,
    /// Since when there is something to tell, and no room for it.
    untold_since: Option<Time>,
}

impl Levels {
    pub(super) fn new() -> Levels {
        Levels {
            ears: vec![Ear::default(); MeterId::COUNT],
            all_renewed: None,
            all_reported: false,
            untold_since: None,
        }
    }

    /// A new connection has no subscriptions.
    pub(super) fn begin_connection(&mut self) {
        self.ears.iter_mut().for_each(|ear| ear.subscribed = None);
        self.all_renewed = None;
    }

    /// The table says when these were heard last.
    pub(super) fn note_heard(&mut self, meter: MeterId, at: Time) {
        let ear = &mut self.ears[meter.ordinal()];
        ear.heard = ear.heard.max(Some(at));
    }

    /// A meter is subscribed.
    pub(super) fn note_subscribed(&mut self, meter: MeterId, now: Time) {
        self.ears[meter.ordinal()].subscribed.get_or_insert(now);
    }

    /// Meters that were ever heard, the one that was heard last first.
    pub(super) fn known(&self) -> impl Iterator<Item = MeterId> {
        let mut known: Vec<_> =
            MeterId::all().filter_map(|m| Some((self.ears[m.ordinal()].heard?, m))).collect();
        known.sort_by_key(|&(heard, meter)| (std::cmp::Reverse(heard), meter));
        known.into_iter().map(|(_, meter)| meter)
    }

    /// When any meter was heard last.
    pub(super) fn newest(&self) -> Option<Time> {
        self.ears.iter().filter_map(|ear| ear.heard).max()
    }

    /// Since when there is something to tell, and no room for it.
    pub(super) fn untold_since(&self) -> Option<Time> {
        self.untold_since
    }

    /// Judges the silence of the subscribed meters; `exists` tells which of them are known to be there. What may not be
    /// told now is told when it may, if it is still so.
    pub(super) fn judge(&mut self, now: Time, may_tell: bool, exists: impl Fn(MeterId) -> bool) -> Verdict {
        let mut verdict = self.judge_silence(now, exists);
        self.untold_since = match &verdict.remark {
            Some(_) if !may_tell => Some(self.untold_since.unwrap_or(now)),
            Some(_) | None => None,
        };
        verdict.remark.take_if(|_| !may_tell);
        if let Some(remark) = &verdict.remark {
            self.note_told(remark);
        }
        verdict
    }

    fn note_told(&mut self, remark: &Remark) {
        let mut report = |meters: &[MeterId], reported| {
            for meter in meters {
                let ear = &mut self.ears[meter.ordinal()];
                (ear.reported, ear.back) = (reported, None);
            }
        };
        match remark {
            Remark::NoLevels(_) => self.all_reported = true,
            Remark::Levels => self.all_reported = false,
            Remark::Silent(meters) => report(meters, true),
            Remark::Heard(meters) => report(meters, false),
            Remark::Connected
            | Remark::Unresponsive
            | Remark::Recovered(_)
            | Remark::Disconnected(_)
            | Remark::GivenUp => {}
        }
    }

    fn judge_silence(&mut self, now: Time, exists: impl Fn(MeterId) -> bool) -> Verdict {
        let subscribed: Vec<MeterId> =
            MeterId::all().filter(|meter| self.ears[meter.ordinal()].subscribed.is_some()).collect();
        let first = subscribed.iter().filter_map(|meter| self.ears[meter.ordinal()].subscribed).min();
        let Some(first) = first else { return Verdict::default() };
        let is_expected = |ears: &[Ear], meter| exists(meter) || ears[meter.ordinal()].heard.is_some();
        let last = self.newest().unwrap_or_default().max(first);
        if now.saturating_sub(last) > ALL_SILENT {
            let expected: Vec<MeterId> =
                subscribed.iter().copied().filter(|meter| is_expected(&self.ears, *meter)).collect();
            let told = if expected.is_empty() { subscribed.len() } else { expected.len() };
            return self.judge_all(now, last, expected, told);
        }
        let mut verdict = self.judge_each(now, &subscribed, is_expected);
        if self.all_reported {
            verdict.remark = Some(Remark::Levels);
        }
        verdict
    }

    fn judge_all(&mut self, now: Time, last: Time, expected: Vec<MeterId>, told: usize) -> Verdict {
        let due = self.all_renewed.is_none_or(|renewed| now.saturating_sub(renewed) > RENEW_ALL_EVERY);
        if due && !expected.is_empty() {
            self.all_renewed = Some(now);
            return Verdict { renew: expected, all: true, remark: None };
        }
        let since = self.all_renewed.unwrap_or_default().max(last);
        if now.saturating_sub(since) > REPORT && !self.all_reported {
            return Verdict { remark: Some(Remark::NoLevels(told)), ..Verdict::default() };
        }
        Verdict::default()
    }

    /// Those that may not exist are subscribed anew as well, once unless they are heard, and are no news.
    fn judge_each(
        &mut self,
        now: Time,
        subscribed: &[MeterId],
        is_expected: impl Fn(&[Ear], MeterId) -> bool,
    ) -> Verdict {
        let (mut renew, mut silent, mut back) = (Vec::new(), Vec::new(), Vec::new());
        for &meter in subscribed {
            let expected = is_expected(&self.ears, meter);
            let ear = &mut self.ears[meter.ordinal()];
            if ear.is_back(now) {
                back.push(meter);
            }
            let last = ear.heard.unwrap_or_default().max(ear.subscribed.unwrap_or_default());
            if now.saturating_sub(last) <= SILENT {
                continue;
            }
            if ear
                .renewed
                .is_none_or(|then| (expected || last > then) && now.saturating_sub(then) > RENEW_EVERY)
            {
                ear.renewed = Some(now);
                renew.push(meter);
            } else if expected
                && now.saturating_sub(ear.renewed.unwrap_or_default().max(last)) > REPORT
                && !ear.reported
            {
                silent.push(meter);
            }
        }
        let back = (!back.is_empty()).then_some(Remark::Heard(back));
        let remark = if silent.is_empty() { back } else { Some(Remark::Silent(silent)) };
        Verdict { renew, remark, all: false }
    }
}

impl Ear {
    /// Whether its silence was told, and it is heard all the time again: as long as its silence took to be told.
    fn is_back(&mut self, now: Time) -> bool {
        let is_heard = self.heard.is_some_and(|heard| now.saturating_sub(heard) <= SILENT);
        self.back = (self.reported && is_heard).then(|| self.back.unwrap_or(now));
        self.back.is_some_and(|since| now.saturating_sub(since) >= REPORT)
    }
}
