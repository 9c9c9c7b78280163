//! Where what stands in the meter table.
//!
//! ```text
//!  from word      what                                                  written by
//!  ------------   ---------------------------------------------------   ---------------------------
//!        0        magic, layout version << 32, bytes                    supervisor, into the fresh
//!        4        key of the fingerprints (2 words)                     segment; never again
//!       64        fingerprints, one word a place; 0 = free              claimer, one compare-and-swap
//!      128        entries, 8 words a place:                             whoever stores
//!                   0  1 once the address below is whole
//!                   1  address, upper half (IPv4 as ::ffff:a.b.c.d)
//!                   2  address, lower half
//!                   3  last heard, µs of CLOCK_BOOTTIME; 0 = never
//!      640        places that are recorded, one bit each                link
//!      704        the number of who records, one word a place; 0 = none
//!     1024        levels, 256 words a place: kind * 64 + index          whoever stores
//!                   µs of CLOCK_BOOTTIME << 16 | (centi-dB + 32768); 0 = none
//!  ------------   end of STORE_BYTES: all that a storing worker maps
//!    17408        link's, 2560 words a place:                           link, under the sequence
//!                   0  sequence; 0 = never written, odd = being written
//!                   1  connection: 1 connected, 2 connecting, 3 unresponsive, 4 disconnected
//!                   2  the fingerprint of whom all this is about
//!                   8  mute known, one bit a meter (4 words)
//!                  12  muted, one bit a meter (4 words)
//!                 256  values, one word a meter: 1 gain known | 2 source known | 4 grouping known | 8 grouped |
//!                      gain in centi-dB (i16) << 16 | source (i16) << 32
//!                 512  names, 8 words (64 bytes of UTF-8, zeros behind) a meter
//!   181248        end (BYTES)
//! ```
//!
//! A place is found by open addressing: it is the first one, counted from `fingerprint mod 64`, that bears the
//! address's fingerprint. Places are never freed, so whoever looks finds what another claimed; one may pass to another
//! processor (`place_by_right`).

use crate::{Foreign, Head, Words, image};

/// Processors that have room.
pub const PROCESSORS: usize = 64;
/// Kinds of meters of a processor.
pub const KINDS: usize = 4;
/// Meters of one kind.
pub const INDICES: usize = 64;
/// What the kinds measure, by their numbers.
pub const KIND_NAMES: [&str; KINDS] = ["source", "mix", "zone", "group"];
/// The parameters of the kinds, by their numbers, without an index.
pub const KIND_PARAMS: [&str; KINDS] = ["SourceMeter", "MixMeter", "ZoneMeter", "GroupMeter"];
/// Meters of a processor.
pub(crate) const METERS: usize = KINDS * INDICES;

pub(crate) const KEY: usize = 4;
pub(crate) const FINGERPRINTS: usize = 64;
const ENTRIES: usize = FINGERPRINTS + PROCESSORS;
const ENTRY_WORDS: usize = 8;
pub(crate) const PLACES_RECORDED: usize = ENTRIES + PROCESSORS * ENTRY_WORDS;
const RECORDERS: usize = 704;
const LEVELS: usize = 1024;
const LINK: usize = LEVELS + PROCESSORS * METERS;
const LINK_WORDS: usize = 512 + METERS * NAME_WORDS;
/// Words of a name.
pub(crate) const NAME_WORDS: usize = 8;

/// What a worker maps that stores readings: everything but what link writes.
pub const STORE_BYTES: usize = LINK * 8;
/// Size of the whole segment.
pub const BYTES: usize = (LINK + PROCESSORS * LINK_WORDS) * 8;

const _: () = {
    assert!(PLACES_RECORDED < RECORDERS && RECORDERS + PROCESSORS <= LEVELS);
    assert!(STORE_BYTES.is_multiple_of(4096) && BYTES.is_multiple_of(4096));
    assert!(LINK == 17_408 && BYTES / 8 == 181_248);
};

const HEAD: Head = Head { magic: u64::from_ne_bytes(*b"ATLASMTR"), version: 2, bytes: BYTES as u64 };

/// The start of a fresh segment; what follows is zero. `key` should be random: it keeps a sender who may choose his
/// address from choosing his place.
#[must_use]
pub fn head(key: [u64; 2]) -> Vec<u8> {
    let [magic, layout, bytes] = HEAD.words();
    image(&[magic, layout, bytes, 0, key[0], key[1]])
}

/// Whether `words` is a meter table, mapped at least as far as [`STORE_BYTES`].
///
/// # Errors
/// What is wrong with it.
pub fn check(words: &(impl Words + ?Sized)) -> Result<(), Foreign> {
    HEAD.check(words, STORE_BYTES)
}

/// State of a place whose address is there; 0 where it was never written.
pub(crate) const WHOLE: u64 = 1;
/// State of a place that passes from one processor to another.
pub(crate) const CLEARING: u64 = 2;

/// A processor's place in the table: 0 … 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub(crate) u8);

impl Place {
    /// All places, claimed or not.
    pub(crate) fn all() -> impl Iterator<Item = Place> {
        (0..PROCESSORS as u8).map(Place)
    }

    /// The number, for an array of one's own by place.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(crate) fn fingerprint(self) -> usize {
        FINGERPRINTS + self.index()
    }

    fn entry(self) -> usize {
        ENTRIES + self.index() * ENTRY_WORDS
    }

    pub(crate) fn whole(self) -> usize {
        self.entry()
    }

    pub(crate) fn address(self) -> [usize; 2] {
        [self.entry() + 1, self.entry() + 2]
    }

    pub(crate) fn heard(self) -> usize {
        self.entry() + 3
    }

    /// The word of who records it.
    pub(crate) fn recorder(self) -> usize {
        RECORDERS + self.index()
    }

    /// The word of a level, if there is such a meter.
    pub(crate) fn level(self, kind: u8, index: u8) -> Option<usize> {
        Some(LEVELS + self.index() * METERS + meter(kind, index)?)
    }

    /// The words of all its levels.
    pub(crate) fn levels(self) -> std::ops::Range<usize> {
        let first = LEVELS + self.index() * METERS;
        first..first + METERS
    }

    fn link(self) -> usize {
        LINK + self.index() * LINK_WORDS
    }

    pub(crate) fn sequence(self) -> usize {
        self.link()
    }

    pub(crate) fn connection(self) -> usize {
        self.link() + 1
    }

    /// The fingerprint of the processor that link's words are about.
    pub(crate) fn link_claim(self) -> usize {
        self.link() + 2
    }

    /// The word and the bit that tell whether the meter's mute is known.
    pub(crate) fn mute_known(self, meter: usize) -> (usize, u32) {
        (self.link() + 8 + meter / 64, (meter % 64) as u32)
    }

    /// The word and the bit that tell whether the meter is muted.
    pub(crate) fn muted(self, meter: usize) -> (usize, u32) {
        (self.link() + 12 + meter / 64, (meter % 64) as u32)
    }

    /// The word of the meter's gain, source and grouping: a [`Values`].
    pub(crate) fn values(self, meter: usize) -> usize {
        self.link() + 256 + meter
    }

    /// First word of the meter's name.
    pub(crate) fn name(self, meter: usize) -> usize {
        self.link() + 512 + meter * NAME_WORDS
    }
}

/// The number of a meter within its processor, if there is such a meter.
pub(crate) fn meter(kind: u8, index: u8) -> Option<usize> {
    let (kind, index) = (usize::from(kind), usize::from(index));
    (kind < KINDS && index < INDICES).then_some(kind * INDICES + index)
}

/// What is known of a source, mix, zone or group besides its name and mute; as one word, 0 for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) gain: Option<i16>,
    pub(crate) source: Option<i16>,
    pub(crate) grouped: Option<bool>,
}

impl Values {
    pub(crate) fn pack(self) -> u64 {
        let flag = |on: bool, bit: u32| u64::from(on) << bit;
        let number = |number: Option<i16>| u64::from(number.unwrap_or_default().cast_unsigned());
        flag(self.gain.is_some(), 0)
            | flag(self.source.is_some(), 1)
            | flag(self.grouped.is_some(), 2)
            | flag(self.grouped == Some(true), 3)
            | number(self.gain) << 16
            | number(self.source) << 32
    }

    pub(crate) fn unpack(word: u64) -> Values {
        let flag = |bit: u32| word >> bit & 1 == 1;
        let number = |shift: u32| ((word >> shift) as u16).cast_signed();
        Values {
            gain: flag(0).then(|| number(16)),
            source: flag(1).then(|| number(32)),
            grouped: flag(2).then(|| flag(3)),
        }
    }
}

/// A reading as one word; never 0. A later one is greater, whatever its level; of two of one instant the louder is.
pub(crate) fn pack(micros: u64, centi_db: i16) -> u64 {
    micros.clamp(1, u64::MAX >> 16) << 16 | u64::from(centi_db.cast_unsigned() ^ 0x8000)
}

/// Time and level of a word of the table; None for "never".
pub(crate) fn unpack(word: u64) -> Option<(u64, i16)> {
    (word != 0).then_some((word >> 16, (word as u16 ^ 0x8000).cast_signed()))
}

/// A table in which nothing is, for tests.
#[cfg(test)]
pub(crate) fn fresh() -> Vec<std::sync::atomic::AtomicU64> {
    let mut bytes = head([1, 2]);
    bytes.resize(BYTES, 0);
    let word = |word: &[u8]| u64::from_ne_bytes(word.try_into().unwrap()).into();
    bytes.chunks(8).map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn every_level_of_the_range_comes_back() {
        for level in i16::MIN..=i16::MAX {
            for micros in [1, 1 << 40, u64::MAX >> 16] {
                assert_eq!(unpack(pack(micros, level)), Some((micros, level)));
            }
        }
        assert_eq!(unpack(0), None);
        assert_eq!(unpack(pack(0, i16::MIN)), Some((1, i16::MIN)), "even the least reading is not `never`");
        assert_eq!(
            unpack(pack(u64::MAX, 5)),
            Some((u64::MAX >> 16, 5)),
            "a time out of range is the last one"
        );
    }

    #[test]
    fn words_are_ordered_by_time_and_then_by_level() {
        let ordered = [(1, i16::MIN), (1, -1), (1, 0), (1, i16::MAX), (2, i16::MIN), (1 << 30, -8000)];
        assert!(ordered.windows(2).all(|two| pack(two[0].0, two[0].1) < pack(two[1].0, two[1].1)));
    }

    #[test]
    fn no_two_things_share_a_word() {
        let mut words: Vec<usize> = (0..6).chain([PLACES_RECORDED]).collect();
        for place in Place::all() {
            words.extend([
                place.fingerprint(),
                place.whole(),
                place.heard(),
                place.recorder(),
                place.sequence(),
                place.connection(),
                place.link_claim(),
            ]);
            words.extend(place.address());
            for (kind, index) in (0..4).flat_map(|kind| (0..64).map(move |index| (kind, index))) {
                words.push(place.level(kind, index).unwrap());
                let name = place.name(meter(kind, index).unwrap());
                words.extend(name..name + NAME_WORDS);
                words.push(place.values(meter(kind, index).unwrap()));
            }
            words.extend((0..METERS).step_by(64).flat_map(|m| [place.mute_known(m).0, place.muted(m).0]));
        }
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
        assert!(words.last().is_some_and(|last| *last < BYTES / 8));
        assert!(Place(63).level(3, 63).unwrap() < STORE_BYTES / 8 && Place(0).sequence() == STORE_BYTES / 8);
    }

    #[test]
    fn values_come_back_and_nothing_known_is_zero() {
        for gain in [None, Some(i16::MIN), Some(-8000), Some(-1), Some(0), Some(i16::MAX)] {
            for source in [None, Some(-1), Some(0), Some(21), Some(i16::MAX)] {
                for grouped in [None, Some(false), Some(true)] {
                    let values = Values { gain, source, grouped };
                    assert_eq!(Values::unpack(values.pack()), values);
                }
            }
        }
        assert_eq!(Values::default().pack(), 0);
    }

    #[test]
    fn there_are_no_meters_outside_the_ranges() {
        assert_eq!((meter(3, 63), meter(4, 0), meter(0, 64), meter(255, 255)), (Some(255), None, None, None));
    }

    #[test]
    fn another_layout_is_refused_with_its_reason() {
        let words = |bytes: Vec<u8>| -> Vec<AtomicU64> {
            let mut words: Vec<AtomicU64> = bytes
                .chunks(8)
                .map(|word| AtomicU64::new(u64::from_ne_bytes(word.try_into().unwrap())))
                .collect();
            words.resize_with(STORE_BYTES / 8, AtomicU64::default);
            words
        };
        let good = words(head([1, 2]));
        assert_eq!(check(&good[..]), Ok(()));
        assert_eq!(check(&good[1..]), Err(Foreign::Short { have: STORE_BYTES - 8, need: STORE_BYTES }));
        assert_eq!(check(&words(vec![0; 8])[..]), Err(Foreign::Magic { found: 0 }));
        let mut newer = words(head([1, 2]));
        *newer[1].get_mut() = 3 << 32;
        assert_eq!(
            check(&newer[..]).unwrap_err().to_string(),
            "its layout is version 3, this program knows 2"
        );
        let mut longer = words(head([1, 2]));
        *longer[2].get_mut() += 1;
        assert!(matches!(check(&longer[..]), Err(Foreign::Size { .. })));
    }
}
