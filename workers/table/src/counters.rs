//! The counters of a slot: a page with two faces, of which one is always whole.
//!
//! ```text
//! word    0  magic      1  layout version << 32      2  bytes of the whole segment
//!         3  batch      the number of the batch that is next to be committed; `batch & 1` is the valid face
//!         4  armed      the batch that was last armed; a replacement replays exactly when armed == batch
//!         5  hint       batch << 16 | entry + 1, stored before an entry is processed
//!    8 … 39  face 0     counters, by `Counter`
//!   40 … 71  face 1
//!        72  owner      the run that took the slot over last
//!        73  judged     the batch that the next two words are about
//!        74  suspects   bit k: entry k was being processed when an owner died of a fault
//!        75  aside      bit k: it was so again; it is not processed any more (`blame`)
//! ```
//!
//! The owner of the slot is the only writer. It writes the new counters to the face that is not valid and then adds
//! one to `batch`: that single store is the only commit. Dead at any instruction before it, it leaves the valid face
//! untouched; so a replacement that replays the batch counts each datagram once.

use std::iter::Sum;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::{Foreign, Head, Words, image};

/// Where what stands in the page, in words.
pub mod page {
    /// Magic number.
    pub const MAGIC: usize = 0;
    /// Layout version, in the upper half.
    pub const LAYOUT: usize = 1;
    /// Size of the whole segment in bytes, the ring behind this page included.
    pub const BYTES: usize = 2;
    /// The batch that is next to be committed.
    pub const BATCH: usize = 3;
    /// The batch that was last armed.
    pub const ARMED: usize = 4;
    /// The entry that is being processed.
    pub const HINT: usize = 5;
    /// The counters while `batch` is even.
    pub const FACE0: usize = 8;
    /// The counters while `batch` is odd.
    pub const FACE1: usize = FACE0 + super::COUNTERS;
    /// The run that took the slot over last.
    pub const OWNER: usize = FACE1 + super::COUNTERS;
    /// The batch that suspects and those put aside are of.
    pub const JUDGED: usize = OWNER + 1;
    /// Entries that are suspected, one bit each.
    pub const SUSPECTS: usize = OWNER + 2;
    /// Entries that are not processed any more, one bit each.
    pub const ASIDE: usize = OWNER + 3;
    /// Size of the page.
    pub const PAGE_BYTES: usize = 4096;
}

/// Words of a face.
pub const COUNTERS: usize = 32;
/// How many reasons for `Malformed` are counted apart.
pub const REASONS: usize = 8;
/// The reasons' names, by their numbers.
pub const REASON_NAMES: [&str; 7] = ["empty", "too_long", "json", "depth", "number", "no_level", "bad_level"];
/// Place of the first reason in a face.
const FIRST_REASON: usize = COUNTERS - REASONS;
/// A reader gives up after so many batches were committed under its eyes.
const READ_TRIES: usize = 1000;

/// What is counted. The numbers are the layout: add behind, change none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Datagrams taken and finished; the sum of the six classes.
    Datagrams = 0,
    /// Their bytes.
    Bytes = 1,
    /// Class: at least one meter update, nothing malformed.
    Meter = 2,
    /// Class: the answer to a keep-alive.
    KeepAlive = 3,
    /// Class: valid, but neither.
    Other = 4,
    /// Class: not a message of the protocol; see [`Counters::reason`].
    Malformed = 5,
    /// Class: from an address that is no processor of the configuration.
    UnknownSender = 6,
    /// Class: put aside because it killed workers.
    Quarantined = 7,
    /// Levels stored.
    Readings = 8,
    /// Receive calls that failed and were tried again.
    ReceiveErrors = 9,
    /// Datagrams that a replacement processed for its predecessor.
    Replayed = 10,
}

/// The counters of a slot, as a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters([u64; COUNTERS]);

impl Counters {
    /// One counter.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// Adds to one counter.
    pub fn add(&mut self, counter: Counter, amount: u64) {
        let cell = &mut self.0[counter as usize];
        *cell = cell.wrapping_add(amount);
    }

    /// How many datagrams were malformed for `reason`; 0 for a reason over [`REASONS`].
    #[must_use]
    pub fn reason(&self, reason: usize) -> u64 {
        if reason < REASONS { self.0[FIRST_REASON + reason] } else { 0 }
    }

    /// Counts a malformed datagram for `reason`; one over [`REASONS`] counts as the last. The class itself is
    /// [`Counter::Malformed`], counted by its own call.
    pub fn add_reason(&mut self, reason: usize) {
        let cell = &mut self.0[FIRST_REASON + reason.min(REASONS - 1)];
        *cell = cell.wrapping_add(1);
    }

    /// Sum over the six classes: equal to [`Counter::Datagrams`], whatever was killed meanwhile.
    #[must_use]
    pub fn classes(&self) -> u64 {
        use Counter::{KeepAlive, Malformed, Meter, Other, Quarantined, UnknownSender};
        let classes = [Meter, KeepAlive, Other, Malformed, UnknownSender, Quarantined];
        classes.iter().fold(0, |sum: u64, class| sum.wrapping_add(self.get(*class)))
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Counters) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.wrapping_add(theirs);
        }
    }
}

impl Sum for Counters {
    fn sum<I: Iterator<Item = Counters>>(all: I) -> Counters {
        all.fold(Counters::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

fn segment_head(bytes: usize) -> Head {
    Head { magic: u64::from_ne_bytes(*b"ATLASCTR"), version: 1, bytes: bytes as u64 }
}

/// The first page of a fresh segment of `bytes` bytes: both faces zero, nothing to replay.
#[must_use]
pub fn page_head(bytes: usize) -> Vec<u8> {
    let mut words = [0; page::PAGE_BYTES / 8];
    words[..3].copy_from_slice(&segment_head(bytes).words());
    words[page::BATCH] = 1;
    image(&words)
}

/// Whether `words` is the segment of a slot, of `bytes` bytes in all; its first page must be mapped.
///
/// # Errors
/// What is wrong with it.
pub fn check(words: &(impl Words + ?Sized), bytes: usize) -> Result<(), Foreign> {
    segment_head(bytes).check(words, page::PAGE_BYTES)
}

/// The counters as of one instant, and the batch that instant lies before; None if the writer commits faster than
/// this reads, a thousand times in a row.
///
/// Why no half face is ever returned: the face read belongs to batch `b`, and the writer touches it again only for
/// batch `b + 2`, after its commit of `b + 1` and a release fence. Every load here acquires, so a load that meets a
/// word of that later face makes the second load of `batch` see `b + 1` at least, and the try is thrown away.
pub fn read(words: &(impl Words + ?Sized)) -> Option<(u64, Counters)> {
    for _ in 0..READ_TRIES {
        let batch = words.load(page::BATCH);
        let face = face(batch);
        let counters = Counters(std::array::from_fn(|counter| words.load(face + counter)));
        if words.load(page::BATCH) == batch {
            return Some((batch, counters));
        }
        std::hint::spin_loop();
    }
    None
}

/// First word of the face that is valid before `batch` is committed.
fn face(batch: u64) -> usize {
    if batch & 1 == 0 { page::FACE0 } else { page::FACE1 }
}

/// The page as its one writer has it: the process that holds the slot's lock.
#[derive(Clone, Copy)]
pub struct Faces<'a>(pub(crate) &'a [AtomicU64; page::PAGE_BYTES / 8]);

impl<'a> Faces<'a> {
    /// Takes the page at the start of `words`, a segment of `bytes` bytes in all.
    ///
    /// # Errors
    /// What is wrong with the segment.
    pub fn new(words: &'a [AtomicU64], bytes: usize) -> Result<Faces<'a>, Foreign> {
        check(words, bytes)?;
        let short = Foreign::Short { have: words.len() * 8, need: page::PAGE_BYTES };
        words.first_chunk().map(Faces).ok_or(short)
    }

    /// The batch that is next to be committed.
    #[must_use]
    pub fn batch(&self) -> u64 {
        self.0[page::BATCH].load(Ordering::Acquire)
    }

    /// The batch that was last armed.
    #[must_use]
    pub fn armed(&self) -> u64 {
        self.0[page::ARMED].load(Ordering::Acquire)
    }

    /// Whether the predecessor died between arming and committing: what lies in the ring is to be replayed.
    #[must_use]
    pub fn must_replay(&self) -> bool {
        self.armed() == self.batch()
    }

    /// Says that a receive call follows. The release keeps the resetting of the headers before it; the call after
    /// it is opaque to the compiler, so nothing of it moves up.
    pub fn arm(&self) {
        self.0[page::ARMED].store(self.batch(), Ordering::Release);
    }

    /// Says that entry `entry` of this batch is processed next: whom to blame for a death.
    pub fn set_hint(&self, entry: u16) {
        self.0[page::HINT].store(self.batch() << 16 | (u64::from(entry) + 1), Ordering::Release);
    }

    /// Says that no entry of this batch is being processed.
    pub fn clear_hint(&self) {
        self.0[page::HINT].store(self.batch() << 16, Ordering::Release);
    }

    /// The entry that was being processed when the predecessor died; None if it was at none of this batch.
    #[must_use]
    pub fn hint(&self) -> Option<u16> {
        let word = self.0[page::HINT].load(Ordering::Acquire);
        if word >> 16 != self.batch() << 16 >> 16 {
            return None;
        }
        u16::try_from((word & 0xffff).checked_sub(1)?).ok()
    }

    /// The counters as of the last commit.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let face = face(self.batch());
        Counters(std::array::from_fn(|counter| self.0[face + counter].load(Ordering::Relaxed)))
    }

    /// Makes `counters` the valid ones and finishes the batch: one store.
    ///
    /// The fence keeps the last commit's store before the first word of this face, for [`read`]; the release of
    /// the store keeps everything (levels, face) before the commit.
    pub fn commit(&self, counters: &Counters) {
        let next = self.0[page::BATCH].load(Ordering::Relaxed).wrapping_add(1);
        let face = face(next);
        fence(Ordering::Release);
        if let Some(cells) = self.0[face..].first_chunk::<COUNTERS>() {
            for (cell, value) in cells.iter().zip(&counters.0) {
                cell.store(*value, Ordering::Relaxed);
            }
        }
        self.0[page::BATCH].store(next, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 8192;

    fn fresh() -> Vec<AtomicU64> {
        page_head(BYTES)
            .chunks(8)
            .map(|b| AtomicU64::new(u64::from_ne_bytes(b.try_into().unwrap())))
            .collect()
    }

    fn counted(datagrams: u64) -> Counters {
        let mut counters = Counters::default();
        counters.add(Counter::Datagrams, datagrams);
        counters.add(Counter::Malformed, datagrams);
        (0..datagrams).for_each(|_| counters.add_reason(3));
        counters
    }

    #[test]
    fn a_fresh_page_has_counted_nothing_and_has_nothing_to_replay() {
        let words = fresh();
        let faces = Faces::new(&words, BYTES).unwrap();
        assert_eq!((faces.must_replay(), faces.batch(), faces.hint()), (false, 1, None));
        assert_eq!(read(&words[..]), Some((1, Counters::default())));
        assert_eq!(faces.counters(), Counters::default());
    }

    #[test]
    fn what_is_committed_is_read_and_what_is_armed_is_to_be_replayed() {
        let words = fresh();
        let faces = Faces::new(&words, BYTES).unwrap();
        for batch in 1..=5 {
            faces.arm();
            assert!(faces.must_replay());
            faces.set_hint(7);
            assert_eq!(faces.hint(), Some(7));
            faces.commit(&counted(batch));
            assert!(!faces.must_replay());
            assert_eq!((faces.hint(), faces.counters()), (None, counted(batch)));
            assert_eq!(read(&words[..]), Some((batch + 1, counted(batch))));
        }
    }

    #[test]
    fn a_writer_killed_at_any_word_of_a_commit_leaves_the_last_one_whole() {
        let words = fresh();
        let faces = Faces::new(&words, BYTES).unwrap();
        faces.commit(&counted(4));
        let half = face(faces.batch() + 1);
        for word in 0..COUNTERS {
            words[half + word].store(u64::MAX, Ordering::Relaxed);
            assert_eq!(read(&words[..]), Some((2, counted(4))));
            assert_eq!(faces.counters(), counted(4), "what the replacement goes on from");
        }
        faces.commit(&counted(6));
        assert_eq!(read(&words[..]), Some((3, counted(6))), "nothing of the half face is left");
    }

    #[test]
    fn the_hint_of_another_batch_blames_nobody() {
        let words = fresh();
        let faces = Faces::new(&words, BYTES).unwrap();
        faces.set_hint(0);
        assert_eq!(faces.hint(), Some(0));
        faces.commit(&counted(1));
        assert_eq!(faces.hint(), None);
        words[page::HINT].store(2 << 16, Ordering::Relaxed);
        assert_eq!(faces.hint(), None, "an entry number that no hint has");
    }

    #[test]
    fn classes_add_up_and_slots_can_be_summed() {
        let mut one = counted(3);
        one.add(Counter::Datagrams, 2);
        one.add(Counter::KeepAlive, 1);
        one.add(Counter::Quarantined, 1);
        one.add(Counter::Readings, 100);
        assert_eq!((one.classes(), one.reason(3), one.reason(99)), (5, 3, 0));
        let sum: Counters = [one, counted(1)].into_iter().sum();
        assert_eq!((sum.get(Counter::Datagrams), sum.classes(), sum.reason(3)), (6, 6, 4));
        one.add_reason(99);
        assert_eq!(one.reason(REASONS - 1), 1, "an unknown reason counts as the last");
    }

    #[test]
    fn another_segment_is_refused() {
        let words = fresh();
        assert_eq!(check(&words[..], BYTES), Ok(()));
        assert_eq!(check(&words[..], 4096), Err(Foreign::Size { found: 8192, expected: 4096 }));
        assert_eq!(check(&words[1..], BYTES), Err(Foreign::Short { have: 4088, need: 4096 }));
        words[page::MAGIC].store(1, Ordering::Relaxed);
        assert!(Faces::new(&words, BYTES).is_err());
    }
}
