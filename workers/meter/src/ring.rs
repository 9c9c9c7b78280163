//! The receive ring: what a worker took out of the kernel and has not finished lies in the slot's segment, and its
//! replacement finishes it.
//!
//! ```text
//! page 0   counters, two faces (table::counters)      page 1 …   one batch (sys::batch)
//! ```
//! One batch: reset every header → `armed = batch` → receive → process each entry → counters to the other face →
//! `batch += 1`. That last store is the only commit. A replacement replays exactly when `armed == batch`: every entry
//! that the kernel handed over has its length, storing a level twice is harmless, and the valid face was not touched.
//!
//! An entry that owners die at, twice, is put aside: left out of the replay and counted as quarantined (`table::blame`).

use std::io;
use std::os::fd::BorrowedFd;

use sys::batch::{self, Batch, Entry};
use sys::map::Mapping;
use table::Foreign;
use table::counters::{Counter, Counters, Faces, page};

/// Size of the segment.
pub(crate) const BYTES: usize = page::PAGE_BYTES + batch::BYTES;

/// The start of a fresh segment.
pub(crate) fn head() -> Vec<u8> {
    table::counters::page_head(BYTES)
}

/// Who is told of each datagram.
pub(crate) trait Taker {
    /// A batch begins: whatever it needs only once (a look at the clock) is done here.
    fn begin(&mut self, batch: u64);
    /// One datagram, to be classed and stored. The same one again after a death must do no harm.
    fn take(&mut self, entry: &Entry<'_>, counters: &mut Counters);
    /// Whether somebody records what comes; asked once in each batch.
    fn is_recorded(&self) -> bool {
        false
    }
    /// One datagram as it came, with its number in the batch, before the commit: after a death it may come again.
    fn record(&mut self, _index: u32, _entry: &Entry<'_>) {}
    /// That was the batch.
    fn hand_over(&mut self) {}
}

/// The ring, in the hands of the process that holds the slot's seat.
pub(crate) struct Ring<'m> {
    faces: Faces<'m>,
    batch: Batch<'m>,
    counters: Counters,
}

impl<'m> Ring<'m> {
    /// Takes the ring over as its last owner left it.
    ///
    /// # Errors
    /// What is wrong with the segment.
    pub(crate) fn new(mapping: &'m mut Mapping) -> Result<Ring<'m>, Foreign> {
        let (words, batch) = Batch::split(mapping, page::PAGE_BYTES);
        let faces = Faces::new(words, BYTES)?;
        Ok(Ring { faces, batch, counters: faces.counters() })
    }

    /// Judges the death of the last owner, if it was the run `dead`, which died of a fault, and names `run` the owner.
    /// An entry that is to be put aside is handed to `keep` first, with the number of its batch and its own; answers what
    /// that said. It may be handed over again, by whoever comes after a death in here.
    pub(crate) fn take_over<T>(
        &mut self,
        run: u64,
        dead: Option<u64>,
        keep: impl FnOnce(u64, u16, &Entry<'_>) -> T,
    ) -> Option<T> {
        let mut kept = None;
        if let Some(index) = self.faces.judge(dead)
            && let Some(entry) = self.batch.entry(usize::from(index))
        {
            kept = Some(keep(self.faces.batch(), index, &entry));
            self.faces.put_aside(index);
        }
        self.faces.take_over(run);
        kept
    }

    /// What is counted so far.
    #[cfg(feature = "cost")]
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Finishes what the predecessor left unfinished; answers how many datagrams that were.
    pub(crate) fn replay(&mut self, taker: &mut impl Taker) -> u64 {
        if !self.faces.must_replay() {
            return 0;
        }
        let replayed = self.process(taker, self.faces.aside());
        self.counters.add(Counter::Replayed, replayed);
        self.faces.commit(&self.counters);
        replayed
    }

    /// Takes one batch out of `socket` and finishes it; answers how many datagrams it was, 0 when none waited.
    ///
    /// # Errors
    /// What the receive call said; it is counted, and the batch is finished all the same. To be tried again: the error
    /// may be one that an earlier reader's call left in the socket.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>, taker: &mut impl Taker) -> io::Result<usize> {
        self.batch.reset();
        self.faces.arm();
        let result = match self.batch.receive(socket) {
            Ok(received) => {
                self.process(taker, 0);
                Ok(received)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(e) => {
                self.counters.add(Counter::ReceiveErrors, 1);
                Err(e)
            }
        };
        self.faces.commit(&self.counters);
        result
    }

    /// Hands on each entry but those in `aside`; answers how many.
    fn process(&mut self, taker: &mut impl Taker, aside: u64) -> u64 {
        taker.begin(self.faces.batch());
        let mut taken = 0;
        for i in 0..batch::LEN {
            // The kernel fills entries in their order, so the first empty one ends the batch.
            let Some(entry) = self.batch.entry(i) else { break };
            self.counters.add(Counter::Datagrams, 1);
            self.counters.add(Counter::Bytes, entry.bytes as u64);
            if aside >> i & 1 == 1 {
                self.counters.add(Counter::Quarantined, 1);
                continue;
            }
            self.faces.set_hint(i as u16);
            taker.take(&entry, &mut self.counters);
            taken += 1;
        }
        self.faces.clear_hint();
        if taker.is_recorded() {
            self.record(taker);
        }
        taken
    }

    /// Every entry once more, for who records: whoever is not recorded pays nothing for it.
    #[cold]
    fn record(&self, taker: &mut impl Taker) {
        for (index, entry) in (0..).zip((0..batch::LEN).map_while(|i| self.batch.entry(i))) {
            taker.record(index, &entry);
        }
        taker.hand_over();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::{AsFd, OwnedFd};

    /// Notes payloads, and panics at one that says so, as a worker dies in the middle of a batch.
    #[derive(Default)]
    struct Notebook(Vec<(u64, Vec<u8>)>, u64);

    impl Taker for Notebook {
        fn begin(&mut self, batch: u64) {
            self.1 = batch;
        }
        fn take(&mut self, entry: &Entry<'_>, counters: &mut Counters) {
            assert_ne!(entry.payload, b"die", "told to die here");
            self.0.push((self.1, entry.payload.to_vec()));
            counters.add(Counter::Other, 1);
        }
    }

    /// A slot's segment; each mapping of it is as another process's.
    struct Segment(OwnedFd);

    impl Segment {
        fn new() -> Segment {
            Segment(sys::map::segment("ring", &head(), BYTES, false).unwrap())
        }

        fn map(&self) -> Mapping {
            Mapping::new(self.0.as_fd(), BYTES).unwrap()
        }

        fn counted(&self, counter: Counter) -> u64 {
            table::counters::read(self.map().words()).unwrap().1.get(counter)
        }
    }

    fn sockets() -> (UdpSocket, UdpSocket) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        (receiver, sender)
    }

    #[test]
    fn a_batch_whose_owner_died_in_the_middle_is_finished_by_the_next_one_and_counted_once() {
        let (receiver, sender) = sockets();
        let segment = Segment::new();
        for payload in [&b"one"[..], b"", b"die", b"four"] {
            sender.send(payload).unwrap();
        }
        let mut mapping = segment.map();
        let mut first = Ring::new(&mut mapping).unwrap();
        let dies = std::panic::AssertUnwindSafe(|| first.receive(receiver.as_fd(), &mut Notebook::default()));
        assert!(std::panic::catch_unwind(dies).is_err());
        assert_eq!(segment.counted(Counter::Datagrams), 0, "nothing was committed");

        struct Braver(Notebook);
        impl Taker for Braver {
            fn begin(&mut self, batch: u64) {
                self.0.begin(batch);
            }
            fn take(&mut self, entry: &Entry<'_>, counters: &mut Counters) {
                self.0.0.push((self.0.1, entry.payload.to_vec()));
                counters.add(Counter::Other, 1);
            }
        }
        let mut mapping = segment.map();
        let mut second = Ring::new(&mut mapping).unwrap();
        let mut taker = Braver(Notebook::default());
        assert_eq!(second.replay(&mut taker), 4);
        let payloads: Vec<_> = taker.0.0.iter().map(|(_, payload)| &payload[..]).collect();
        assert_eq!(payloads, [&b"one"[..], b"", b"die", b"four"]);
        assert_eq!(second.replay(&mut taker), 0, "only once");
        for (counter, n) in
            [(Counter::Datagrams, 4), (Counter::Other, 4), (Counter::Replayed, 4), (Counter::Bytes, 10)]
        {
            assert_eq!(segment.counted(counter), n, "{counter:?}");
        }
    }

    #[test]
    fn what_owners_die_at_is_put_aside_at_the_second_death_and_the_rest_is_finished_once() {
        let (receiver, sender) = sockets();
        let segment = Segment::new();
        for payload in [&b"one"[..], b"die", b"", b"die", b"five"] {
            sender.send(payload).unwrap();
        }
        let mut kept = Vec::new();
        for run in 1..=5 {
            let mut mapping = segment.map();
            let mut ring = Ring::new(&mut mapping).unwrap();
            let keep = |batch, index, entry: &Entry<'_>| kept.push((batch, index, entry.payload.to_vec()));
            ring.take_over(run, Some(run - 1), keep);
            let mut taker = Notebook::default();
            let lives = std::panic::AssertUnwindSafe(|| {
                ring.replay(&mut taker);
                ring.receive(receiver.as_fd(), &mut taker).unwrap();
            });
            let died = std::panic::catch_unwind(lives).is_err();
            assert_eq!(died, run < 5, "each costs two deaths");
            if !died {
                let payloads: Vec<_> = taker.0.into_iter().map(|(_, payload)| payload).collect();
                assert_eq!(payloads, [&b"one"[..], b"", b"five"]);
            }
        }
        assert_eq!(kept, [(1, 1, b"die".to_vec()), (1, 3, b"die".to_vec())]);
        for (counter, n) in [
            (Counter::Datagrams, 5),
            (Counter::Other, 3),
            (Counter::Quarantined, 2),
            (Counter::Replayed, 3),
            (Counter::Bytes, 13),
        ] {
            assert_eq!(segment.counted(counter), n, "{counter:?}");
        }
    }

    #[test]
    fn a_death_that_is_nobodys_fault_blames_nobody() {
        let (receiver, sender) = sockets();
        let segment = Segment::new();
        sender.send(b"die").unwrap();
        for (run, dead) in (1..10).zip([None, Some(7), None, Some(0)].into_iter().cycle()) {
            let mut mapping = segment.map();
            let mut ring = Ring::new(&mut mapping).unwrap();
            assert_eq!(ring.take_over(run, dead, |_, index, _| index), None);
            let mut taker = Notebook::default();
            let dies = std::panic::AssertUnwindSafe(|| {
                ring.replay(&mut taker);
                ring.receive(receiver.as_fd(), &mut taker)
            });
            assert!(std::panic::catch_unwind(dies).is_err());
        }
    }

    #[test]
    fn an_owner_that_died_between_batches_left_nothing_to_replay() {
        let (receiver, sender) = sockets();
        let segment = Segment::new();
        let mut taker = Notebook::default();
        {
            let mut mapping = segment.map();
            let mut first = Ring::new(&mut mapping).unwrap();
            assert_eq!(first.replay(&mut taker), 0, "a fresh ring");
            sender.send(b"one").unwrap();
            assert_eq!(first.receive(receiver.as_fd(), &mut taker).unwrap(), 1);
        }
        assert_eq!(Ring::new(&mut segment.map()).unwrap().replay(&mut taker), 0, "died after the commit");
        {
            let mut mapping = segment.map();
            let mut second = Ring::new(&mut mapping).unwrap();
            assert_eq!(second.receive(receiver.as_fd(), &mut taker).unwrap(), 0);
        }
        assert_eq!(
            Ring::new(&mut segment.map()).unwrap().replay(&mut taker),
            0,
            "died waiting: armed, nothing received"
        );
        assert_eq!((taker.0.len(), segment.counted(Counter::Datagrams)), (1, 1));
    }

    #[test]
    fn more_than_a_batch_is_taken_in_several_with_numbers_of_their_own() {
        let (receiver, sender) = sockets();
        let segment = Segment::new();
        for i in 0..100u8 {
            sender.send(&[i]).unwrap();
        }
        let mut mapping = segment.map();
        let (mut ring, mut taker) = (Ring::new(&mut mapping).unwrap(), Notebook::default());
        assert_eq!(ring.receive(receiver.as_fd(), &mut taker).unwrap(), 64);
        assert_eq!(ring.receive(receiver.as_fd(), &mut taker).unwrap(), 36);
        let expected: Vec<_> = (0..100u8).map(|i| (1 + u64::from(i / 64), vec![i])).collect();
        assert_eq!(taker.0, expected);
    }

    #[test]
    fn a_receive_error_is_counted_and_survived() {
        let segment = Segment::new();
        let mut mapping = segment.map();
        let mut ring = Ring::new(&mut mapping).unwrap();
        let (pipe, _writer) = io::pipe().unwrap();
        assert!(ring.receive(pipe.as_fd(), &mut Notebook::default()).is_err(), "not a socket");
        assert_eq!(segment.counted(Counter::ReceiveErrors), 1);
    }
}
