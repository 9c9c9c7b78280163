//! A worker's life between taking its seat and leaving it: signals, the parent, the watchdog.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use signal_hook::consts::SIGTERM;
use signal_hook_mio::v1_0::Signals;

use crate::{Contract, Failure, Notify, PARENT};

/// Token of the signals, in the caller's poll.
const SIGNALS: Token = Token(usize::MAX - 1);
/// Token of the parent pipe, in the caller's poll.
const PARENT_PIPE: Token = Token(usize::MAX - 2);
/// Token of the timer, in the caller's poll.
const TIMER: Token = Token(usize::MAX - 3);

/// How soon a sign of life that found no room is given again: lines about 64 processors at once fill the supervisor's
/// queue, and one sign that is lost is one watchdog's time without any.
const AGAIN: Duration = Duration::from_millis(50);

/// Knows when to leave, and says often enough that we are alive.
pub struct Life {
    signals: Signals,
    parent: OwnedFd,
    notify: Notify,
    /// Half of the watchdog's time, as sd_watchdog_enabled(3) advises.
    interval: Option<Duration>,
    next_ping: Duration,
    timer: Option<TimerFd>,
    leaving: bool,
}

impl Life {
    /// Begins once the seat is taken: installs the handler of SIGTERM, watches the parent, gives the first sign of
    /// life. `registry` is of the caller's poll; tokens above `usize::MAX - 16` are reserved for this.
    ///
    /// # Errors
    /// When the parent pipe was not given, or a handler or the poll refuses.
    pub fn begin(mut contract: Contract, registry: &Registry, now: Duration) -> Result<Life, Failure> {
        let parent = contract.take(PARENT)?;
        Life::of(parent, contract.notify, contract.watchdog, registry, now)
    }

    /// As [`Life::begin`], from its parts: the pipe that hangs up with the parent, the line to the supervisor, and the
    /// watchdog's time.
    ///
    /// # Errors
    /// When a handler or the poll refuses.
    pub fn of(
        parent: OwnedFd,
        notify: Notify,
        watchdog: Option<Duration>,
        registry: &Registry,
        now: Duration,
    ) -> Result<Life, Failure> {
        let begin = || {
            let mut signals = Signals::new([SIGTERM])?;
            registry.register(&mut signals, SIGNALS, Interest::READABLE)?;
            registry.register(&mut SourceFd(&parent.as_raw_fd()), PARENT_PIPE, Interest::READABLE)?;
            io::Result::Ok(signals)
        };
        let signals = begin().map_err(|e| Failure::of("cannot watch for signals", &e))?;
        let interval = watchdog.map(|watchdog| watchdog / 2);
        // What a start needed is most of the program, and never needed again.
        let _ = sys::image::give_back();
        let first = if notify.alive() { interval.unwrap_or_default() } else { AGAIN };
        let next_ping = now + first;
        Ok(Life { signals, parent, notify, interval, next_ping, timer: None, leaving: false })
    }

    /// Looks at one event of the poll; answers whether it was ours.
    pub fn handle(&mut self, token: Token) -> bool {
        match token {
            SIGNALS => self.leaving |= self.signals.pending().count() > 0,
            PARENT_PIPE => self.leaving |= sys::process::hung_up(self.parent.as_fd()),
            TIMER => self.ping(),
            _ => return false,
        }
        true
    }

    /// From now on a timer in the caller's poll gives the signs of life, so that waiting needs no time limit and
    /// [`Life::poll_wait`] need not be called. A limit costs the kernel a timer at each wait: for one that wakes up for
    /// every datagram, 430 ns of 5 800.
    ///
    /// # Errors
    /// When there is no timer to be had.
    pub fn ping_by_timer(&mut self, registry: &Registry) -> Result<(), Failure> {
        let Some(interval) = self.interval else { return Ok(()) };
        let start = || {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?;
            timer.set(Expiration::Interval(interval.into()), TimerSetTimeFlags::empty())?;
            registry.register(&mut SourceFd(&timer.as_fd().as_raw_fd()), TIMER, Interest::READABLE)?;
            io::Result::Ok(timer)
        };
        self.timer = Some(start().map_err(|e| Failure::of("cannot start a timer", &e))?);
        Ok(())
    }

    /// The timer says that a sign of life is due.
    fn ping(&self) {
        if let Some(timer) = &self.timer {
            let _ = timer.wait(); // read, or it stays readable
            if let (false, Some(interval)) = (self.notify.alive(), self.interval) {
                let again = Expiration::IntervalDelayed(AGAIN.min(interval).into(), interval.into());
                let _ = timer.set(again, TimerSetTimeFlags::empty());
            }
        }
    }

    /// Whether to finish what is under way and go.
    #[must_use]
    pub fn leaving(&self) -> bool {
        self.leaving
    }

    /// Gives a sign of life if one is due; answers how long until the next.
    pub fn poll_wait(&mut self, now: Duration) -> Option<Duration> {
        let interval = self.interval?;
        if now >= self.next_ping {
            self.next_ping = now + if self.notify.alive() { interval } else { AGAIN.min(interval) };
        }
        Some(self.next_ping.saturating_sub(now))
    }

    /// The line to the supervisor.
    #[must_use]
    pub fn notify(&self) -> &Notify {
        &self.notify
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Poll;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn a_sign_of_life_that_found_no_room_is_given_again_soon() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let filler = ours.try_clone().unwrap();
        let (parent, _other_end) = io::pipe().unwrap();
        let poll = Poll::new().unwrap();
        let (ten, five) = (Duration::from_secs(10), Duration::from_secs(5));
        let notify = Notify::over(ours);
        let mut life = Life::of(parent.into(), notify, Some(ten), poll.registry(), Duration::ZERO).unwrap();
        assert_eq!(life.poll_wait(Duration::ZERO), Some(five));
        filler.set_nonblocking(true).unwrap();
        while filler.send(b"STATUS=much to tell").is_ok() {}
        assert_eq!(life.poll_wait(five), Some(AGAIN));
        assert_eq!(life.poll_wait(five + AGAIN), Some(AGAIN));
        let mut buffer = [0; 64];
        theirs.set_nonblocking(true).unwrap();
        while theirs.recv(&mut buffer).is_ok() {}
        assert_eq!(life.poll_wait(five + AGAIN * 2), Some(five));
        let count = theirs.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"WATCHDOG=1");
    }

    #[test]
    fn so_is_one_that_the_timer_gives() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let filler = ours.try_clone().unwrap();
        let (parent, _other_end) = io::pipe().unwrap();
        let mut poll = Poll::new().unwrap();
        let watchdog = Some(Duration::from_millis(20));
        let notify = Notify::over(ours);
        let mut life = Life::of(parent.into(), notify, watchdog, poll.registry(), Duration::ZERO).unwrap();
        life.ping_by_timer(poll.registry()).unwrap();
        let mut buffer = [0; 64];
        assert_eq!(theirs.recv(&mut buffer).unwrap(), b"WATCHDOG=1".len());
        filler.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let mut events = mio::Events::with_capacity(4);
        let mut turn = |life: &mut Life| {
            poll.poll(&mut events, None).unwrap();
            assert!(events.iter().all(|event| life.handle(event.token())));
        };
        while filler.send(b"STATUS=much to tell").is_ok() {}
        (0..3).for_each(|_| turn(&mut life));
        while theirs.recv(&mut buffer).is_ok() {}
        turn(&mut life);
        let count = theirs.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"WATCHDOG=1");
    }
}
