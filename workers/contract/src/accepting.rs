//! When a listening socket is asked for whoever waits there.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// How long after a failure it is asked again.
const RETRY: Duration = Duration::from_millis(100);

/// Epoll's edge tells of who comes, and not again of who waits: when one could not be taken, for want of descriptors, say,
/// the socket is asked again after a while.
#[derive(Debug)]
pub struct Accepting {
    /// Somebody may wait.
    ready: bool,
    retry_at: Option<Instant>,
}

impl Accepting {
    /// Somebody may wait there already.
    #[must_use]
    pub fn new() -> Accepting {
        Accepting { ready: true, retry_at: None }
    }

    /// Somebody has come.
    pub fn note(&mut self) {
        self.ready = true;
    }

    /// Nobody is taken any more.
    pub fn end(&mut self) {
        (self.ready, self.retry_at) = (false, None);
    }

    /// It can be asked without a new event.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// When it can be, if not now.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Whether it is to be asked now.
    pub fn is_due(&mut self, now: Instant) -> bool {
        self.ready |= self.retry_at.take_if(|at| *at <= now).is_some();
        self.ready
    }

    /// It gave nobody; whether that was a failure.
    pub fn failed(&mut self, why: &io::Error, now: Instant) -> bool {
        match why.kind() {
            ErrorKind::Interrupted => false,
            ErrorKind::WouldBlock => {
                self.ready = false;
                false
            }
            _ => {
                (self.ready, self.retry_at) = (false, Some(now + RETRY));
                true
            }
        }
    }
}

impl Default for Accepting {
    fn default() -> Accepting {
        Accepting::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc::EMFILE;

    #[test]
    fn who_could_not_be_taken_is_asked_for_again_without_an_event() {
        let (mut accepting, now) = (Accepting::new(), Instant::now());
        assert!(accepting.is_due(now), "who came before us");
        assert!(!accepting.failed(&ErrorKind::Interrupted.into(), now) && accepting.is_ready());
        assert!(!accepting.failed(&ErrorKind::WouldBlock.into(), now));
        assert_eq!((accepting.is_due(now), accepting.deadline()), (false, None), "nobody waits");
        accepting.note();
        assert!(accepting.is_due(now) && accepting.failed(&io::Error::from_raw_os_error(EMFILE), now));
        assert!(!accepting.is_ready() && !accepting.is_due(now), "not at once");
        let again = accepting.deadline().unwrap();
        assert!(accepting.is_due(again) && accepting.deadline().is_none());
        accepting.failed(&io::Error::from_raw_os_error(EMFILE), now);
        accepting.end();
        assert_eq!((accepting.is_due(again), accepting.deadline()), (false, None), "never again");
    }
}
