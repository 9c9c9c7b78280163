//! What a logger leaves to its successor: up to where everything is written, in the slot's segment.
//!
//! ```text
//! magic  layout  size  serial │ intent: batch, source │ face 0 │ face 1       all of it 64-bit words
//! ```
//! Face `serial & 1` is valid. A commit fills the other one and then adds one to the serial: one store, so a death at
//! any instruction leaves the state before or the one after. The intent says whose the bytes on the stage are; it is
//! stored before they are moved there, and while the stage is empty.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use contract::logs::MAX_SOURCES;

use crate::limit::Limit;

/// Size of the segment in bytes.
pub(crate) const BYTES: usize = 8192;

const MAGIC: u64 = u64::from_le_bytes(*b"ATLASLOG");
const LAYOUT: u64 = 1;

const SERIAL: usize = 3;
const INTENT: usize = 4;
const SOURCE: usize = 5;
const FACES: usize = 8;
/// Words of a face before those of the sources.
const FIXED: usize = 6;
/// Words of one source.
const EACH: usize = 3;
const FACE: usize = FIXED + EACH * MAX_SOURCES;
/// In the word with what a source has left: it is muted.
const MUTED: u64 = 1 << 63;

const _: () = assert!((FACES + 2 * FACE) * 8 <= BYTES);

/// How a fresh segment begins.
pub(crate) fn fresh_head() -> Vec<u8> {
    [MAGIC, LAYOUT, BYTES as u64].iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// What is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// The last batch that is written.
    pub(crate) done: u64,
    /// The file that is written to: device and inode; zeros before the first.
    pub(crate) file: (u64, u64),
    /// Its length.
    pub(crate) len: u64,
    /// Lines that could not be written and are not told of.
    pub(crate) lost: u64,
    /// The errno of the first of them.
    pub(crate) why: i32,
    /// By number of the source.
    pub(crate) limits: Vec<Limit>,
}

/// The segment.
#[derive(Clone, Copy)]
pub(crate) struct Journal<'a>(&'a [AtomicU64]);

impl<'a> Journal<'a> {
    /// None if it is laid out in another way.
    pub(crate) fn new(words: &'a [AtomicU64]) -> Option<Journal<'a>> {
        let head = [MAGIC, LAYOUT, BYTES as u64];
        let known = words.len() * 8 >= BYTES
            && words.iter().zip(head).all(|(word, wanted)| word.load(Ordering::Relaxed) == wanted);
        known.then_some(Journal(words))
    }

    /// What was committed last.
    pub(crate) fn state(&self) -> State {
        let face = self.face(self.0[SERIAL].load(Ordering::Acquire));
        let word = |at: usize| face[at].load(Ordering::Relaxed);
        let limit = |source: usize| {
            let at = FIXED + EACH * source;
            let left = word(at);
            Limit { left: left & !MUTED, muted: left & MUTED != 0, at: word(at + 1), left_out: word(at + 2) }
        };
        State {
            done: word(0),
            file: (word(1), word(2)),
            len: word(3),
            lost: word(4),
            why: i32::try_from(word(5)).unwrap_or(0),
            limits: (0..MAX_SOURCES).map(limit).collect(),
        }
    }

    /// From now on this holds.
    pub(crate) fn commit(&self, state: &State) {
        let serial = self.0[SERIAL].load(Ordering::Relaxed) + 1;
        let face = self.face(serial);
        let set = |at: usize, value: u64| face[at].store(value, Ordering::Relaxed);
        let why = u64::try_from(state.why).unwrap_or(0);
        let fixed = [state.done, state.file.0, state.file.1, state.len, state.lost, why];
        fixed.into_iter().enumerate().for_each(|(at, value)| set(at, value));
        for (limit, at) in state.limits.iter().zip((FIXED..).step_by(EACH)) {
            set(at, limit.left & !MUTED | if limit.muted { MUTED } else { 0 });
            set(at + 1, limit.at);
            set(at + 2, limit.left_out);
        }
        self.0[SERIAL].store(serial, Ordering::Release);
    }

    /// What is about to be moved to the stage.
    pub(crate) fn intend(&self, batch: u64, source: usize) {
        self.0[INTENT].store(batch, Ordering::Relaxed);
        self.0[SOURCE].store(source as u64, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// What was last to be moved to the stage: batch and source.
    pub(crate) fn intent(&self) -> (u64, usize) {
        let source = self.0[SOURCE].load(Ordering::Relaxed);
        (self.0[INTENT].load(Ordering::Relaxed), usize::try_from(source).unwrap_or(0) % MAX_SOURCES)
    }

    fn face(&self, serial: u64) -> &'a [AtomicU64] {
        let at = FACES + FACE * usize::from(serial & 1 == 1);
        &self.0[at..at + FACE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use sys::map::Mapping;

    fn mapping() -> Mapping {
        let segment = sys::map::segment("seat", &fresh_head(), BYTES, false).unwrap();
        Mapping::new(segment.as_fd(), BYTES).unwrap()
    }

    #[test]
    fn what_is_committed_is_read_and_what_is_not_is_not() {
        let mapping = mapping();
        let journal = Journal::new(mapping.words()).unwrap();
        let mut state = journal.state();
        assert_eq!((state.done, state.file, state.len, state.lost), (0, (0, 0), 0, 0));
        for round in 1..5 {
            state.done = round;
            state.file = (7, round + 1);
            state.len = 100 * round;
            (state.lost, state.why) = (round, 28);
            state.limits[127] = Limit { left: round, at: 9, left_out: 3, muted: round % 2 == 0 };
            let before = journal.state();
            assert_ne!(before, state);
            journal.commit(&state);
            assert_eq!(journal.state(), state);
        }
        journal.intend(5, 127);
        assert_eq!(journal.intent(), (5, 127));
        assert_eq!(journal.state(), state);
    }

    #[test]
    fn another_layout_is_refused() {
        let segment = sys::map::segment("seat", b"ATLASLOG\x02", BYTES, false).unwrap();
        let mapping = Mapping::new(segment.as_fd(), BYTES).unwrap();
        assert!(Journal::new(mapping.words()).is_none());
    }
}
