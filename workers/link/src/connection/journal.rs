//! What the log says of a processor: each change of its state while there is room for it; what had to be left out is
//! counted, and the state that lasts is told in the end.

use table::ConnectionState as State;

use super::budget::Budget;
use super::limits::{LASTS, RESERVE};
use super::words::{Aside, Remark, Time};

/// The lines of one processor.
#[derive(Debug)]
pub(super) struct Journal {
    budget: Budget,
    /// The state that was last to be told, whether or not there was room.
    state: Option<State>,
    /// Changes that were left out since the last line about a state.
    left_out: u64,
    /// The last of them, and since when it is so.
    untold: Option<(Time, Remark)>,
}

impl Journal {
    pub(super) fn new(now: Time) -> Journal {
        Journal { budget: Budget::new(now), state: None, left_out: 0, untold: None }
    }

    /// What is to be written now that this is so, if anything.
    pub(super) fn note(&mut self, now: Time, remark: Remark) -> Option<(Remark, Aside)> {
        if remark.is_about_levels() {
            // Whether there is room was asked before it was made.
            return self.budget.take(now, 0).then_some((remark, Aside::default()));
        }
        if let Some(state) = remark.state()
            && self.state.replace(state) == Some(state)
        {
            return None;
        }
        if self.budget.take(now, RESERVE) {
            return Some(self.tell(remark, None));
        }
        self.left_out += 1;
        if remark.state().is_some() {
            self.untold = Some((now, remark));
        }
        None
    }

    /// Whether something that is to be told since then, and lasts, may be told now.
    pub(super) fn has_room(&self, now: Time, since: Option<Time>) -> bool {
        let lasts = since.is_some_and(|since| since + LASTS <= now);
        self.budget.room_at(if lasts { 0 } else { RESERVE }) <= now
    }

    /// When `poll_line` has something to say.
    pub(super) fn deadline(&self) -> Option<Time> {
        let (since, _) = self.untold.as_ref()?;
        Some((*since + LASTS).max(self.budget.room_at(0)))
    }

    /// A state that was left out and lasts.
    pub(super) fn poll_line(&mut self, now: Time) -> Option<(Remark, Aside)> {
        if self.deadline()? > now || !self.budget.take(now, 0) {
            return None;
        }
        let (since, remark) = self.untold.take()?;
        self.left_out -= 1; // this one is told
        Some(self.tell(remark, Some(now - since)))
    }

    fn tell(&mut self, remark: Remark, lasts: Option<Time>) -> (Remark, Aside) {
        if remark.state().is_none() {
            return (remark, Aside::default());
        }
        self.untold = None;
        (remark, Aside { lasts, left_out: std::mem::take(&mut self.left_out) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::{LINE_EVERY, LINES};
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_secs(seconds)
    }

    fn gone() -> Remark {
        Remark::Disconnected("why".into())
    }

    /// A journal in which as much was told as may be told at once.
    fn full() -> Journal {
        let mut journal = Journal::new(at(0));
        while journal.note(at(0), Remark::GivenUp).is_some() {}
        journal.left_out = 0;
        journal
    }

    #[test]
    fn a_state_that_was_left_out_is_told_once_it_lasts_and_no_sooner() {
        let mut journal = full();
        assert_eq!(journal.note(at(1), Remark::Connected), None);
        assert_eq!(journal.note(at(2), gone()), None);
        assert_eq!(journal.note(at(3), gone()), None, "no change");
        assert_eq!(journal.poll_line(at(61)), None);
        assert_eq!(journal.deadline(), Some(at(62)));
        let aside = Aside { lasts: Some(LASTS), left_out: 1 };
        assert_eq!(journal.poll_line(at(62)), Some((gone(), aside)));
        assert_eq!((journal.deadline(), journal.poll_line(at(9999))), (None, None));
    }

    #[test]
    fn what_was_left_out_is_counted_beside_the_next_state_that_is_told() {
        let mut journal = full();
        for second in 1..=10 {
            let remark = if second % 2 == 0 { gone() } else { Remark::Connected };
            assert_eq!(journal.note(at(second), remark), None);
        }
        let later = LINE_EVERY * (LINES + 1);
        assert_eq!(journal.note(later, Remark::GivenUp), Some((Remark::GivenUp, Aside::default())));
        let aside = Aside { lasts: None, left_out: 10 };
        assert_eq!(journal.note(later, Remark::Connected), Some((Remark::Connected, aside)));
        assert_eq!(journal.deadline(), None);
    }

    #[test]
    fn when_even_the_reserve_is_used_up_the_state_waits_for_the_next_line() {
        let mut journal = full();
        while journal.budget.take(at(0), 0) {}
        assert_eq!(journal.note(at(0), gone()), None);
        let due = journal.deadline().unwrap();
        assert!(due > at(60) && due <= LINE_EVERY, "{due:?}");
        assert!(journal.poll_line(due).is_some());
    }

    #[test]
    fn what_is_to_be_read_beside_a_line_reads_well() {
        let said = |lasts: Option<u64>, left_out| Aside { lasts: lasts.map(at), left_out }.to_string();
        assert_eq!(said(None, 0), "");
        assert_eq!(said(Some(60), 0), " (for 60 s)");
        assert_eq!(said(None, 1), " (1 change was left out here)");
        assert_eq!(said(Some(75), 37), " (for 75 s; 37 changes were left out here)");
    }
}
