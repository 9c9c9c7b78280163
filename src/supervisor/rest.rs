//! Rest: once nobody has wanted anything for a while, what only a start or an order needs is given back.

use std::time::Duration;

use crate::core::{Event, Tick};

/// So long nothing has happened: nobody is at it who would need the same again in a moment.
const QUIET: Duration = Duration::from_secs(1);

/// When to give back the pages of our program.
#[derive(Default)]
pub(super) struct Rest {
    due: Option<Tick>,
}

impl Rest {
    /// Something was done that is not done all the time.
    pub(super) fn disturbed(&mut self, now: Tick) {
        self.due = Some(now.after(QUIET));
    }

    /// The same, if this event is of that kind. Signs of life come as long as workers do.
    pub(super) fn disturbed_by(&mut self, event: &Event, now: Tick) {
        if !matches!(event, Event::Alive(_) | Event::Clock) {
            self.disturbed(now);
        }
    }

    /// When it is time, if it will be.
    pub(super) fn deadline(&self) -> Option<Tick> {
        self.due
    }

    /// Gives back, if it is time: once after each disturbance.
    pub(super) fn begin_if_due(&mut self, now: Tick) {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            let _ = sys::image::give_back(); // what stays mapped is only memory
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Run;

    #[test]
    fn it_begins_once_after_the_last_disturbance_and_signs_of_life_are_none() {
        let mut rest = Rest::default();
        assert_eq!(rest.deadline(), None);
        rest.disturbed_by(&Event::Ready(Run(1)), Tick(5));
        rest.disturbed(Tick(7));
        rest.disturbed_by(&Event::Alive(Run(1)), Tick(9));
        rest.disturbed_by(&Event::Clock, Tick(9));
        let due = Tick(7).after(QUIET);
        assert_eq!(rest.deadline(), Some(due));
        rest.begin_if_due(Tick(8));
        assert_eq!(rest.deadline(), Some(due), "not yet");
        rest.begin_if_due(due);
        assert_eq!(rest.deadline(), None);
    }
}
