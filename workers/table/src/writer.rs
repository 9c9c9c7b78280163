//! Storing readings: from any number of processes at once, without a lock.

use std::hash::Hasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip::SipHasher24;

use crate::layout::{CLEARING, KEY, PROCESSORS, Place, WHOLE, check, pack};
use crate::{Foreign, STORE_BYTES, Words};

/// The table, to store into.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    words: &'a [AtomicU64; STORE_BYTES / 8],
    key: [u64; 2],
}

impl<'a> Writer<'a> {
    /// Takes a segment, of which at least the first [`STORE_BYTES`] are mapped.
    ///
    /// # Errors
    /// What is wrong with the segment.
    pub fn new(words: &'a [AtomicU64]) -> Result<Writer<'a>, Foreign> {
        check(words)?;
        let short = Foreign::Short { have: words.len() * 8, need: STORE_BYTES };
        let key = [words.load(KEY), words.load(KEY + 1)];
        Ok(Writer { words: words.first_chunk().ok_or(short)?, key })
    }

    /// The place of a processor, claimed if it has none yet; None if all places are taken by others.
    /// An IPv4-mapped IPv6 address is the IPv4 address.
    ///
    /// A claim is one compare-and-swap on the fingerprint; then the address is written, the same bytes whoever
    /// writes them. So a claimer that dies in between leaves nothing that the next one does not finish.
    #[must_use]
    pub fn place(&self, address: IpAddr) -> Option<Place> {
        let bits = canonical(address);
        let fingerprint = fingerprint(self.key, bits);
        let home = fingerprint as usize;
        for step in 0..PROCESSORS {
            let place = Place((home.wrapping_add(step) % PROCESSORS) as u8);
            let cell = &self.words[place.fingerprint()];
            let mut found = cell.load(Ordering::Relaxed);
            if found == 0 {
                found = claim(cell, fingerprint);
            }
            if found == fingerprint {
                self.write_address(place, bits);
                return Some(place);
            }
        }
        None
    }

    /// The place of a processor that must have one: in a full table it gets that of the processor that was heard longest
    /// ago, of those that `is_kept` does not hold. None if all are kept.
    ///
    /// One at a time may do this: the caller holds a lock. Whoever remembers a place compares [`Writer::claim_on`] before
    /// he uses it: it may be another's by then.
    #[must_use]
    pub fn place_by_right(&self, address: IpAddr, is_kept: impl Fn(IpAddr) -> bool) -> Option<Place> {
        let bits = canonical(address);
        let claim = fingerprint(self.key, bits);
        for _ in 0..PROCESSORS {
            let place = self.place(address);
            if place.is_some() {
                return place;
            }
            let (place, theirs) = Place::all()
                .map(|place| (place, self.claim_on(place)))
                .filter(|&(place, _)| !is_kept(self.address(place)))
                .min_by_key(|&(place, _)| self.words[place.heard()].load(Ordering::Relaxed))?;
            // First said, then done: who dies in between leaves a place that is nobody's on show.
            self.words[place.whole()].store(CLEARING, Ordering::Release);
            let cell = &self.words[place.fingerprint()];
            if cell.compare_exchange(theirs, claim, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                self.write_address(place, bits);
                return Some(place);
            }
        }
        None
    }

    /// Whose place it is, as a number; another one once it is another's.
    #[must_use]
    pub fn claim_on(&self, place: Place) -> u64 {
        self.words[place.fingerprint()].load(Ordering::Relaxed)
    }

    pub(crate) fn word(&self, word: usize) -> &AtomicU64 {
        &self.words[word]
    }

    fn address(&self, place: Place) -> IpAddr {
        let [upper, lower] = place.address().map(|word| u128::from(self.words[word].load(Ordering::Relaxed)));
        IpAddr::V6(Ipv6Addr::from_bits(upper << 64 | lower)).to_canonical()
    }

    /// Writes the address of a claimed place, unless it stands there. What an evicted one has left is cleared first; a
    /// clearing that its author did not live to finish is finished by the next one with this claim.
    fn write_address(&self, place: Place, bits: u128) {
        let whole = &self.words[place.whole()];
        match whole.load(Ordering::Acquire) {
            WHOLE => return,
            CLEARING => {
                self.words[place.heard()].store(0, Ordering::Relaxed);
                for word in place.levels() {
                    self.words[word].store(0, Ordering::Relaxed);
                }
            }
            _ => {}
        }
        let [upper, lower] = place.address();
        self.words[upper].store((bits >> 64) as u64, Ordering::Relaxed);
        self.words[lower].store(bits as u64, Ordering::Relaxed);
        whole.store(WHOLE, Ordering::Release);
    }

    /// Stores a reading taken at `micros` (µs of CLOCK_BOOTTIME), unless a newer one is there. False, and nothing
    /// stored, if there is no such meter. Storing the same reading again changes nothing.
    pub fn store(&self, place: Place, kind: u8, index: u8, micros: u64, centi_db: i16) -> bool {
        let Some(word) = place.level(kind, index) else { return false };
        // Relaxed: the word says everything; what makes it part of a batch is the release of the commit.
        self.words[word].fetch_max(pack(micros, centi_db), Ordering::Relaxed);
        true
    }

    /// Notes that the processor was heard at `micros`, unless it was heard later.
    pub fn heard(&self, place: Place, micros: u64) {
        self.words[place.heard()].fetch_max(micros, Ordering::Relaxed);
    }
}

/// Writes the fingerprint to a free place; gives the one that stands there now. Who loses the race gets what won it:
/// it may be the same address.
fn claim(cell: &AtomicU64, fingerprint: u64) -> u64 {
    match cell.compare_exchange(0, fingerprint, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => fingerprint,
        Err(theirs) => theirs,
    }
}

/// The address as 128 bits, IPv4 in its mapped form.
fn canonical(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// SipHash 2-4 of the address; never 0, which means a free place.
fn fingerprint(key: [u64; 2], bits: u128) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(key[0], key[1]);
    hasher.write(&bits.to_be_bytes());
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::fresh;
    use std::net::Ipv4Addr;

    #[test]
    fn who_loses_the_race_for_a_place_gets_what_won_it() {
        let cell = AtomicU64::new(0);
        assert_eq!((claim(&cell, 7), claim(&cell, 8), claim(&cell, 7)), (7, 7, 7));
        assert_eq!(cell.into_inner(), 7);
    }

    fn address(last: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + last).into()
    }

    #[test]
    fn a_full_table_makes_room_for_one_that_has_a_right_to_it() {
        let words = fresh();
        let writer = Writer::new(&words).unwrap();
        let reader = crate::Reader::new(&words[..]).unwrap();
        for last in 1..=64 {
            let place = writer.place(address(last)).unwrap();
            writer.store(place, 3, 7, u64::from(last) + 100, -100);
            writer.heard(place, u64::from(last) + 100);
        }
        assert_eq!(writer.place(address(65)), None, "nobody makes room for just anybody");
        let kept = |one: IpAddr| one == address(1) || one == address(65);
        let old = (writer.place(address(2)).unwrap(), writer.claim_on(writer.place(address(2)).unwrap()));
        let new = writer.place_by_right(address(65), kept).unwrap();
        assert_eq!(
            (new, writer.place(address(65))),
            (old.0, Some(new)),
            "of the others, 2 was heard longest ago"
        );
        assert_ne!(writer.claim_on(new), old.1, "who remembers the place finds out");
        let shown: Vec<_> = reader.processors().map(|processor| processor.address).collect();
        assert!(shown.contains(&address(65)) && shown.contains(&address(1)) && !shown.contains(&address(2)));
        assert_eq!((reader.meters(new).count(), shown.len()), (0, 64), "it inherits no level");
        assert_eq!(writer.place_by_right(address(65), kept), Some(new));
        assert_eq!(writer.place_by_right(address(66), |_| true), None, "everybody is kept");
    }

    #[test]
    fn a_place_whose_evictor_died_halfway_is_finished_by_the_next_one() {
        let words = fresh();
        let writer = Writer::new(&words).unwrap();
        for last in 1..=64 {
            writer.store(writer.place(address(last)).unwrap(), 0, 0, 5, -100);
        }
        let place = writer.place(address(1)).unwrap();
        let claim = fingerprint(writer.key, canonical(address(65)));
        words[place.fingerprint()].store(claim, Ordering::Relaxed);
        words[place.whole()].store(CLEARING, Ordering::Relaxed);
        assert_eq!(writer.place(address(65)), Some(place));
        let reader = crate::Reader::new(&words[..]).unwrap();
        assert!(reader.processors().any(|shown| (shown.place, shown.address) == (place, address(65))));
        assert_eq!(reader.meters(place).count(), 0, "it inherits no level");
    }

    #[test]
    fn a_fingerprint_depends_on_the_key_and_on_the_whole_address() {
        let base = fingerprint([1, 2], 5);
        let others = [fingerprint([1, 3], 5), fingerprint([2, 2], 5), fingerprint([1, 2], 6)];
        assert!(others.into_iter().chain([fingerprint([1, 2], 5 | 1 << 127)]).all(|other| other != base));
        assert_eq!(canonical("::ffff:1.2.3.4".parse().unwrap()), canonical("1.2.3.4".parse().unwrap()));
    }
}
