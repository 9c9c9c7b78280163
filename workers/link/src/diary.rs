//! Lines for the log, kept until the supervisor has room for them: it is never waited for.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use contract::{Notify, counted, were};

/// Lines that wait; of more the oldest are dropped, and counted.
const MAX_LINES: usize = 256;
/// How soon a full line to the supervisor is tried again.
pub(crate) const RETRY: Duration = Duration::from_millis(50);

/// What is still to be told.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    lines: VecDeque<(bool, String)>,
    dropped: u64,
}

impl Diary {
    pub(crate) fn note(&mut self, warning: bool, line: String) {
        if self.lines.len() == MAX_LINES {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back((warning, line));
    }

    /// Tells what there is room for; whether something is left.
    pub(crate) fn flush(&mut self, notify: &Notify) -> bool {
        self.flush_to(|warning, line| notify.try_tell(warning, line))
    }

    fn flush_to(&mut self, mut tell: impl FnMut(bool, &str) -> io::Result<()>) -> bool {
        let dropped = || format!("{} {} dropped", counted(self.dropped, "older line"), were(self.dropped));
        if self.dropped > 0 && tell(true, &dropped()).is_ok() {
            self.dropped = 0;
        }
        while let Some((warning, line)) = self.lines.front() {
            match tell(*warning, line) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                // A supervisor that is gone needs no log.
                Ok(()) | Err(_) => drop(self.lines.pop_front()),
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_finds_no_room_is_told_later_and_the_oldest_give_way() {
        let (mut diary, mut told) = (Diary::default(), Vec::new());
        for number in 0..300 {
            diary.note(number % 2 == 0, number.to_string());
        }
        assert!(diary.flush_to(|_, _| Err(io::ErrorKind::WouldBlock.into())));
        assert!(!diary.flush_to(|_, line| {
            told.push(line.to_owned());
            Ok(())
        }));
        assert_eq!(
            (told.len(), told[0].as_str(), told[1].as_str()),
            (257, "44 older lines were dropped", "44")
        );
        assert!(!diary.flush_to(|_, line| panic!("{line} was told before")));
    }
}
