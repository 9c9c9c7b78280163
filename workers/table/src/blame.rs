//! Whose fault a death was: which entry of a batch its owners died of, and which is left out for it.
//!
//! One death may be anybody's fault, so an entry that an owner died at is suspected and tried once more; at the second
//! such death it is put aside. Whoever takes the slot over calls, in this order, with the run that he was told died of
//! a fault:
//!
//! ```text
//!   judge(dead) ──▶ None                    nobody is blamed, or the entry is now suspected
//!              └──▶ Some(entry) ─▶ (its record is written) ─▶ put_aside(entry)
//!   take_over(run)
//! ```
//! He may himself die between any two stores, of any cause:
//!
//! - A death is counted once: `judge` forgets the hint *before* it notes the suspicion. Dead between the two, the
//!   suspicion is lost, which costs one more death; the other way round, one death would count as two.
//! - Second time: the hint stays until the entry is aside, so the next owner comes to the same judgement; an entry that is
//!   aside already is not judged again.
//! - `take_over` forgets the hint before it names the owner: a hint is never taken for one of an owner who set none.
//! - Suspicions are tagged with their batch: a commit outdates them. The tag comes last, after both masks are zero.
//!
//! Only `owner` makes a death and a hint belong together: between the one that died of a fault and the one that was told
//! so, an heir may have held the slot and been killed by somebody.

use std::sync::atomic::Ordering;

use crate::counters::{Faces, page};

/// Entries beyond this one have no bit. A batch has no more.
const BITS: u16 = 64;

impl Faces<'_> {
    fn get(&self, word: usize) -> u64 {
        self.0[word].load(Ordering::Acquire)
    }

    /// In the order of the program: each of these stores is a release, so none passes another.
    fn set(&self, word: usize, value: u64) {
        self.0[word].store(value, Ordering::Release);
    }

    /// Judges the last owner's death, if `dead` is that owner and it died amid an entry; answers the entry that is to be
    /// put aside.
    #[must_use]
    pub fn judge(&self, dead: Option<u64>) -> Option<u16> {
        let owner = self.get(page::OWNER);
        if owner == 0 || dead != Some(owner) || !self.must_replay() {
            return None;
        }
        let entry = self.hint().filter(|&entry| entry < BITS)?;
        if self.get(page::JUDGED) != self.batch() {
            self.set(page::SUSPECTS, 0);
            self.set(page::ASIDE, 0);
            self.set(page::JUDGED, self.batch());
        }
        let (bit, suspects) = (1 << entry, self.get(page::SUSPECTS));
        if suspects & bit == 0 {
            self.clear_hint();
            self.set(page::SUSPECTS, suspects | bit);
            return None;
        }
        (self.get(page::ASIDE) & bit == 0).then_some(entry)
    }

    /// Entry `entry`, which [`judge`](Faces::judge) named, is not processed any more.
    pub fn put_aside(&self, entry: u16) {
        self.set(page::ASIDE, self.get(page::ASIDE) | 1 << entry);
    }

    /// Entries of this batch that are not to be processed: bit k is entry k.
    #[must_use]
    pub fn aside(&self) -> u64 {
        if self.get(page::JUDGED) == self.batch() { self.get(page::ASIDE) } else { 0 }
    }

    /// Whatever the last owner died of is judged: from now on hints are those of `run`.
    pub fn take_over(&self, run: u64) {
        self.clear_hint();
        self.set(page::OWNER, run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::{Counters, page_head};
    use std::sync::atomic::AtomicU64;

    const BYTES: usize = 8192;

    fn fresh() -> Vec<AtomicU64> {
        let head = page_head(BYTES);
        head.as_chunks::<8>().0.iter().map(|word| AtomicU64::new(u64::from_ne_bytes(*word))).collect()
    }

    /// A run takes the slot over, knowing of `dead`; answers whom it put aside.
    fn take_over(faces: &Faces<'_>, run: u64, dead: Option<u64>) -> Option<u16> {
        let entry = faces.judge(dead);
        if let Some(entry) = entry {
            faces.put_aside(entry);
        }
        faces.take_over(run);
        entry
    }

    #[test]
    fn an_entry_is_put_aside_at_the_second_death_and_several_of_one_batch_can_be() {
        let words = fresh();
        let faces = Faces::new(&words, BYTES).unwrap();
        faces.take_over(1);
        faces.arm();
        let mut run = 1;
        for (entry, aside) in [(3, 1 << 3), (0, 1 << 3 | 1), (63, 1 << 3 | 1 | 1 << 63)] {
            faces.set_hint(entry);
            assert_eq!(take_over(&faces, run + 1, Some(run)), None, "it is tried once more");
            faces.set_hint(entry);
            assert_eq!(take_over(&faces, run + 2, Some(run + 1)), Some(entry));
            assert_eq!(faces.aside(), aside);
            run += 2;
        }
        faces.commit(&Counters::default());
        assert_eq!(faces.aside(), 0, "the next batch has nothing to do with it");
        faces.arm();
        faces.set_hint(3);
        assert_eq!(take_over(&faces, run + 1, Some(run)), None, "nor have its suspects");
        assert_eq!(faces.aside(), 0);
    }

    #[test]
    fn two_that_kill_by_turns_are_both_put_aside() {
        let words = fresh();
        let faces = Faces::new(&words, BYTES).unwrap();
        faces.take_over(1);
        faces.arm();
        let mut put = Vec::new();
        for (run, entry) in (1..).zip([5, 9, 5, 9]) {
            faces.set_hint(entry);
            put.extend(take_over(&faces, run + 1, Some(run)));
        }
        assert_eq!(put, [5, 9]);
    }

    #[test]
    fn a_death_blames_only_who_was_amid_an_entry_and_owned_the_slot() {
        let words = fresh();
        let faces = Faces::new(&words, BYTES).unwrap();
        faces.arm();
        faces.set_hint(4);
        assert_eq!(take_over(&faces, 1, Some(0)), None, "nobody ever owned it");
        for (dead, why) in [(None, "killed by somebody"), (Some(7), "another run died so")] {
            for _ in 0..3 {
                faces.set_hint(4);
                assert_eq!((take_over(&faces, 1, dead), faces.aside()), (None, 0), "{why}");
            }
        }
        for _ in 0..3 {
            assert_eq!(take_over(&faces, 1, Some(1)), None, "it had begun nothing");
        }
        faces.set_hint(4);
        faces.commit(&Counters::default());
        assert_eq!(faces.judge(Some(1)), None, "what it was at is committed");
        assert_eq!(words[page::SUSPECTS].load(Ordering::Relaxed), 0, "no suspicion was noted at all");
    }

    #[test]
    fn one_death_is_never_counted_twice() {
        let words = fresh();
        let faces = Faces::new(&words, BYTES).unwrap();
        faces.take_over(1);
        faces.arm();
        faces.set_hint(4);
        // Each of these dies of something else before it has taken over; the last word about the slot is run 1.
        for _ in 0..3 {
            assert_eq!(faces.judge(Some(1)), None);
        }
        faces.take_over(2);
        faces.set_hint(4);
        // And now each dies before, or after, it has put the entry aside.
        assert_eq!([faces.judge(Some(2)), faces.judge(Some(2))], [Some(4); 2]);
        faces.put_aside(4);
        assert_eq!((faces.judge(Some(2)), faces.aside()), (None, 1 << 4));
    }
}
