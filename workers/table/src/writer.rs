//! Storing readings: from any number of processes at once, without a lock.

use std::hash::Hasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip::SipHasher24;

use crate::layout::{KEY, PROCESSORS, Place, check, pack};
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

    fn write_address(&self, place: Place, bits: u128) {
        if self.words[place.whole()].load(Ordering::Acquire) == 1 {
            return;
        }
        let [upper, lower] = place.address();
        self.words[upper].store((bits >> 64) as u64, Ordering::Relaxed);
        self.words[lower].store(bits as u64, Ordering::Relaxed);
        self.words[place.whole()].store(1, Ordering::Release);
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

    #[test]
    fn who_loses_the_race_for_a_place_gets_what_won_it() {
        let cell = AtomicU64::new(0);
        assert_eq!((claim(&cell, 7), claim(&cell, 8), claim(&cell, 7)), (7, 7, 7));
        assert_eq!(cell.into_inner(), 7);
    }

    #[test]
    fn a_fingerprint_depends_on_the_key_and_on_the_whole_address() {
        let base = fingerprint([1, 2], 5);
        let others = [fingerprint([1, 3], 5), fingerprint([2, 2], 5), fingerprint([1, 2], 6)];
        assert!(others.into_iter().chain([fingerprint([1, 2], 5 | 1 << 127)]).all(|other| other != base));
        assert_eq!(canonical("::ffff:1.2.3.4".parse().unwrap()), canonical("1.2.3.4".parse().unwrap()));
    }
}
