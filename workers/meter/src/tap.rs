//! Hands raw datagrams to whoever records their sender: bounded, counted, and never waited for.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use contract::tap::{self, Datagram, Head, Message};
use sys::fds::{Wait, send};

/// How long a recorder that cannot be reached is left alone.
const RETRY: Duration = Duration::from_millis(100);

/// The lines to the recorders: one at most for each place of the meter table.
pub(crate) struct Tap {
    /// Where recorders listen; without it nothing is handed over.
    folder: Option<PathBuf>,
    slot: u8,
    lines: Vec<Line>,
}

/// The line to one recorder.
struct Line {
    place: usize,
    number: u64,
    socket: Option<OwnedFd>,
    /// No attempt to connect before this.
    retry_at: Duration,
    message: Message,
    left_out: u64,
}

impl Tap {
    pub(crate) fn new(folder: Option<PathBuf>, slot: u8) -> Tap {
        Tap { folder, slot, lines: Vec::new() }
    }

    /// Whether anything can be handed over.
    pub(crate) fn is_open(&self) -> bool {
        self.folder.is_some()
    }

    /// Whether nobody was handed anything since it was last closed.
    pub(crate) fn is_idle(&self) -> bool {
        self.lines.is_empty()
    }

    /// Nobody records any more.
    pub(crate) fn close(&mut self) {
        self.lines.clear();
    }

    /// A datagram for the recorder of that number, of whoever has that place; None: one that cannot be handed over.
    pub(crate) fn take(
        &mut self,
        now: Duration,
        batch: u64,
        (place, number): (usize, u64),
        datagram: Option<&Datagram<'_>>,
    ) {
        let (Some(folder), slot) = (&self.folder, self.slot) else { return };
        let at = self.lines.iter().position(|line| line.place == place).unwrap_or(self.lines.len());
        if self.lines.get(at).is_none_or(|line| line.number != number) {
            let (message, retry_at) = (Message::default(), Duration::ZERO);
            let line = Line { place, number, socket: None, retry_at, message, left_out: 0 };
            match self.lines.get_mut(at) {
                Some(other) => *other = line,
                None => self.lines.push(line),
            }
        }
        let line = &mut self.lines[at];
        let path = || tap::path(folder, number);
        match datagram {
            None => line.left_out += 1,
            Some(datagram) if line.message.push(datagram) => {}
            Some(datagram) => {
                line.flush(now, slot, batch, path);
                line.left_out += u64::from(!line.message.push(datagram));
            }
        }
    }

    /// Hands over what the batch brought.
    pub(crate) fn flush(&mut self, now: Duration, batch: u64) {
        let (Some(folder), slot) = (&self.folder, self.slot) else { return };
        for line in &mut self.lines {
            let number = line.number;
            line.flush(now, slot, batch, || tap::path(folder, number));
        }
    }
}

impl Line {
    fn flush(&mut self, now: Duration, slot: u8, batch: u64, path: impl FnOnce() -> PathBuf) {
        let count = self.message.count();
        if count == 0 {
            return;
        }
        if self.socket.is_none() && now >= self.retry_at {
            self.socket = tap::connect(&path()).ok();
            self.retry_at = now + RETRY;
        }
        let message = self.message.finish(Head { slot, batch, left_out: self.left_out });
        let sent = self.socket.as_ref().map(|socket| send(socket.as_fd(), message, &[], Wait::Never));
        match sent {
            Some(Ok(_)) => self.left_out = 0,
            Some(Err(e)) if e.kind() == std::io::ErrorKind::WouldBlock => self.left_out += count,
            Some(Err(_)) | None => {
                self.socket = None;
                self.left_out += count;
            }
        }
        self.message.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::fds::receive;

    const LATER: Duration = Duration::from_secs(1);

    fn hand_over(tap: &mut Tap, now: Duration, batch: u64, texts: &[&[u8]]) {
        for (index, bytes) in (0..).zip(texts) {
            let datagram = Datagram { index, micros: 9, bytes };
            tap.take(now, batch, (3, 77), Some(&datagram).filter(|datagram| datagram.bytes != b"cut"));
        }
        tap.flush(now, batch);
    }

    #[test]
    fn a_recorder_gets_each_datagram_and_hears_what_it_missed() {
        let folder = tempfile::tempdir().unwrap();
        let mut tap = Tap::new(Some(folder.path().to_owned()), 2);
        hand_over(&mut tap, Duration::ZERO, 1, &[b"nobody", b"listens"]);
        let listener = tap::listen(&tap::path(folder.path(), 77)).unwrap();
        hand_over(&mut tap, Duration::ZERO, 2, &[b"too soon"]);
        hand_over(&mut tap, LATER, 3, &[b"one", b"cut", b"", b"four"]);
        let worker = tap::accept(&listener).unwrap();
        let mut buffer = vec![0; tap::MAX_MESSAGE];
        let got = receive(worker.as_fd(), &mut buffer).unwrap().bytes;
        let (head, datagrams) = tap::read(&buffer[..got]).unwrap();
        assert_eq!(head, Head { slot: 2, batch: 3, left_out: 4 });
        let seen: Vec<_> = datagrams.iter().map(|datagram| (datagram.index, datagram.bytes)).collect();
        assert_eq!(seen, [(0, &b"one"[..]), (2, b""), (3, b"four")]);

        // More than the socket takes, and more than a message takes.
        let long = vec![b'x'; 4096];
        let mut handed = 0;
        for batch in 4..54 {
            handed += 64;
            hand_over(&mut tap, LATER, batch, &[&long[..]; 64]);
        }
        let mut arrived = 0;
        while let Ok(got) = receive(worker.as_fd(), &mut buffer) {
            arrived += tap::read(&buffer[..got.bytes]).unwrap().1.len();
        }
        hand_over(&mut tap, LATER, 99, &[b"last"]);
        let got = receive(worker.as_fd(), &mut buffer).unwrap().bytes;
        let (head, _) = tap::read(&buffer[..got]).unwrap();
        assert!(arrived > 0 && head.left_out > 0);
        assert_eq!(arrived as u64 + head.left_out, handed, "each arrived or was counted");
        tap.close();
        assert!(tap.is_idle() && receive(worker.as_fd(), &mut buffer).unwrap().bytes == 0);
    }

    #[test]
    fn another_recorder_of_the_same_processor_is_another_line() {
        let folder = tempfile::tempdir().unwrap();
        let listeners = [77, 78].map(|number| tap::listen(&tap::path(folder.path(), number)).unwrap());
        let mut tap = Tap::new(Some(folder.path().to_owned()), 0);
        for number in [77, 78] {
            tap.take(LATER, 1, (3, number), Some(&Datagram { index: 0, micros: 9, bytes: b"x" }));
            tap.flush(LATER, 1);
        }
        assert_eq!(tap.lines.len(), 1);
        assert!(listeners.iter().all(|listener| tap::accept(listener).is_ok()));
    }
}
