//! Where workers hand datagrams over: a socket in the runtime directory, for as long as the recording lasts.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atlas::capture::{From, Record};
use contract::tap;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

/// The token of the listening socket; those of the workers follow.
pub(super) const LISTENER: usize = 16;
/// Workers at a time: two for each slot, while one follows another.
const MAX_WORKERS: usize = 256;
/// Messages of one worker before the others have their turn.
const MAX_MESSAGES: usize = 32;

/// A worker that is connected.
struct Worker {
    socket: OwnedFd,
    readable: bool,
}

/// The socket, and who hands over.
pub(super) struct Taps {
    path: PathBuf,
    listener: OwnedFd,
    workers: BTreeMap<usize, Worker>,
    next: usize,
    /// Of each slot, the last datagram: its batch, its number in it.
    last: BTreeMap<u8, (u64, u32)>,
    /// What workers could not hand over.
    pub(super) left_out: u64,
    buffer: Vec<u8>,
}

impl Taps {
    /// Listens as the recorder of that number.
    pub(super) fn listen(folder: &Path, number: u64, registry: &Registry) -> io::Result<Taps> {
        let path = tap::path(folder, number);
        let listener = tap::listen(&path)?;
        let taps = Taps {
            path,
            listener,
            workers: BTreeMap::new(),
            next: LISTENER + 1,
            last: BTreeMap::new(),
            left_out: 0,
            buffer: vec![0; tap::MAX_MESSAGE],
        };
        registry.register(&mut SourceFd(&taps.listener.as_raw_fd()), Token(LISTENER), Interest::READABLE)?;
        Ok(taps)
    }

    /// Workers that run as that user may connect, whoever we are; None: they run as the cluster's.
    pub(super) fn welcome(&self, user: Option<u32>) -> io::Result<()> {
        let cluster =
            || self.path.parent().map_or(Ok(0), |folder| folder.metadata().map(|found| found.uid()));
        let user = user.map_or_else(cluster, Ok)?;
        if self.path.metadata()?.uid() == user {
            return Ok(());
        }
        std::os::unix::fs::chown(&self.path, Some(user), None)
    }

    /// Looks at all of them once more.
    pub(super) fn note_all(&mut self) {
        self.workers.values_mut().for_each(|worker| worker.readable = true);
    }

    /// Notes an event of the poll.
    pub(super) fn note(&mut self, Token(token): Token) {
        if let Some(worker) = self.workers.get_mut(&token) {
            worker.readable = true;
        }
    }

    /// Whether something can be read without a new event.
    pub(super) fn has_more(&self) -> bool {
        self.workers.values().any(|worker| worker.readable)
    }

    /// Takes who waits at the door, and a bounded part of what was handed over.
    pub(super) fn read(&mut self, registry: &Registry, mut take: impl FnMut(Record)) {
        while let Ok(socket) = tap::accept(&self.listener) {
            let token = Token(self.next);
            let watched = registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE);
            if watched.is_ok() && self.workers.len() < MAX_WORKERS {
                self.workers.insert(self.next, Worker { socket, readable: true });
                self.next += 1;
            }
        }
        let mut gone = Vec::new();
        for (&token, worker) in self.workers.iter_mut().filter(|(_, worker)| worker.readable) {
            for _ in 0..MAX_MESSAGES {
                match sys::fds::receive(worker.socket.as_fd(), &mut self.buffer) {
                    Ok(got) if got.bytes == 0 => {
                        gone.push(token);
                        break;
                    }
                    Ok(got) => {
                        let message = tap::read(&self.buffer[..got.bytes]).filter(|_| !got.truncated);
                        match message {
                            Some((head, datagrams)) => {
                                self.left_out += head.left_out;
                                let last = self.last.entry(head.slot).or_default();
                                datagrams
                                    .iter()
                                    .filter_map(|datagram| fresh(last, head.batch, datagram))
                                    .for_each(&mut take);
                            }
                            // No worker of ours says that.
                            None => gone.push(token),
                        }
                    }
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => {
                        worker.readable = false;
                        if e.kind() != ErrorKind::WouldBlock {
                            gone.push(token);
                        }
                        break;
                    }
                }
            }
        }
        for token in gone {
            self.workers.remove(&token);
        }
    }
}

/// A datagram that a dead worker handed over before its batch was finished is handed over again by the next one.
fn fresh(last: &mut (u64, u32), batch: u64, datagram: &tap::Datagram<'_>) -> Option<Record> {
    let again = batch == last.0 && datagram.index <= last.1;
    if again {
        return None;
    }
    *last = (batch, datagram.index);
    let at = Duration::from_micros(datagram.micros);
    Some(Record { at, from: From::Udp, bytes: datagram.bytes.to_vec() })
}

impl Drop for Taps {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::tap::{Datagram, Head, Message};
    use sys::fds::{Wait, send};

    #[test]
    fn what_two_workers_of_a_slot_hand_over_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let poll = mio::Poll::new().unwrap();
        let mut taps = Taps::listen(folder.path(), 9, poll.registry()).unwrap();
        let path = tap::path(folder.path(), 9);
        let hand_over = |slot, batch, left_out, range: std::ops::Range<u32>| {
            let worker = tap::connect(&path).unwrap();
            let mut message = Message::default();
            for index in range {
                let text = format!("{slot} {batch} {index}");
                assert!(message.push(&Datagram { index, micros: 1500, bytes: text.as_bytes() }));
            }
            send(worker.as_fd(), message.finish(Head { slot, batch, left_out }), &[], Wait::Never).unwrap();
        };
        hand_over(0, 7, 0, 0..2);
        hand_over(1, 7, 3, 0..1);
        hand_over(0, 7, 0, 0..3);
        hand_over(0, 8, 0, 0..1);
        hand_over(0, 1, 2, 0..1);
        let mut taken = Vec::new();
        while taken.len() < 6 || taps.has_more() {
            taps.read(poll.registry(), |record| {
                assert_eq!((record.at, record.from), (Duration::from_micros(1500), From::Udp));
                taken.push(String::from_utf8(record.bytes).unwrap());
            });
        }
        assert_eq!(taken, ["0 7 0", "0 7 1", "1 7 0", "0 7 2", "0 8 0", "0 1 0"]);
        assert_eq!((taps.left_out, taps.workers.len()), (5, 0));
        drop(taps);
        assert!(!path.exists());
    }
}
