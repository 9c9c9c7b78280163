//! Reading the table: levels at any instant, and what link knows of them.

use std::net::{IpAddr, Ipv6Addr};

use crate::layout::{INDICES, KINDS, METERS, NAME_WORDS, Place, Values, WHOLE, check, meter, unpack};
use crate::{Foreign, Words};

/// A reader gives up on link's words after so many changes under its eyes, and shows what it would without link.
const LINK_TRIES: usize = 100;

/// The table, to read from.
pub struct Reader<W> {
    words: W,
}

/// A processor that has a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processor {
    /// Its place.
    pub place: Place,
    /// Its address; IPv4 as IPv4.
    pub address: IpAddr,
    /// When it was last heard, in µs of CLOCK_BOOTTIME; None if it was not yet.
    pub heard: Option<u64>,
}

/// A meter that has a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    /// Its kind, 0 … 3.
    pub kind: u8,
    /// Its index, 0 … 63.
    pub index: u8,
    /// When the reading was taken, in µs of CLOCK_BOOTTIME.
    pub micros: u64,
    /// The level.
    pub centi_db: i16,
}

/// State of the TCP connection to a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Up, commands are answered.
    Connected,
    /// On its way.
    Connecting,
    /// Up, commands are not answered.
    Unresponsive,
    /// Down.
    Disconnected,
}

impl<W: Words> Reader<W> {
    /// Takes a segment. Where less than [`crate::BYTES`] is mapped, what link knows is unknown.
    ///
    /// # Errors
    /// What is wrong with the segment.
    pub fn new(words: W) -> Result<Reader<W>, Foreign> {
        check(&words)?;
        Ok(Reader { words })
    }

    /// The processors that have a place, in no order that means anything. One whose address is not written yet is
    /// left out.
    pub fn processors(&self) -> impl Iterator<Item = Processor> {
        Place::all().filter_map(|place| self.processor(place))
    }

    fn processor(&self, place: Place) -> Option<Processor> {
        if self.words.load(place.whole()) != WHOLE {
            return None;
        }
        let [upper, lower] = place.address().map(|word| u128::from(self.words.load(word)));
        let address = IpAddr::V6(Ipv6Addr::from_bits(upper << 64 | lower)).to_canonical();
        let heard = Some(self.words.load(place.heard())).filter(|micros| *micros != 0);
        Some(Processor { place, address, heard })
    }

    /// A meter's newest reading: its time in µs of CLOCK_BOOTTIME, and its level.
    pub fn level(&self, place: Place, kind: u8, index: u8) -> Option<(u64, i16)> {
        unpack(self.words.load(place.level(kind, index)?))
    }

    /// The meters of a processor that have a reading, by kind and index.
    pub fn meters(&self, place: Place) -> impl Iterator<Item = Meter> {
        let all = (0..KINDS as u8).flat_map(|kind| (0..INDICES as u8).map(move |index| (kind, index)));
        all.filter_map(move |(kind, index)| {
            let (micros, centi_db) = self.level(place, kind, index)?;
            Some(Meter { kind, index, micros, centi_db })
        })
    }

    /// The name people gave what this meter measures; None while it is unknown.
    pub fn name(&self, place: Place, kind: u8, index: u8) -> Option<String> {
        let first = place.name(meter(kind, index)?);
        let words: [u64; NAME_WORDS] =
            self.under_sequence(place, |words| std::array::from_fn(|word| words.load(first + word)))?;
        let bytes: Vec<u8> =
            words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
        if bytes.is_empty() { None } else { Some(String::from_utf8_lossy(&bytes).into_owned()) }
    }

    /// Whether what this meter measures is muted; None while that is unknown.
    pub fn muted(&self, place: Place, kind: u8, index: u8) -> Option<bool> {
        let meter = meter(kind, index)?;
        let ((known, known_bit), (muted, muted_bit)) = (place.mute_known(meter), place.muted(meter));
        let (known, muted) = self.under_sequence(place, |words| (words.load(known), words.load(muted)))?;
        (known >> known_bit & 1 == 1).then_some(muted >> muted_bit & 1 == 1)
    }

    /// The gain of what this meter measures, in centi-dB; None while that is unknown.
    pub fn gain(&self, place: Place, kind: u8, index: u8) -> Option<i16> {
        self.values(place, kind, index)?.gain
    }

    /// The number of what this zone or group plays, -1 for nothing; None while that is unknown.
    pub fn source(&self, place: Place, kind: u8, index: u8) -> Option<i16> {
        self.values(place, kind, index)?.source
    }

    /// Whether this zone is in a group, this group combined; None while that is unknown.
    pub fn grouped(&self, place: Place, kind: u8, index: u8) -> Option<bool> {
        self.values(place, kind, index)?.grouped
    }

    fn values(&self, place: Place, kind: u8, index: u8) -> Option<Values> {
        let word = place.values(meter(kind, index)?);
        self.under_sequence(place, |words| words.load(word)).map(Values::unpack)
    }

    /// State of the connection to the processor; None while link has said nothing.
    pub fn connection(&self, place: Place) -> Option<ConnectionState> {
        match self.under_sequence(place, |words| words.load(place.connection()))? {
            1 => Some(ConnectionState::Connected),
            2 => Some(ConnectionState::Connecting),
            3 => Some(ConnectionState::Unresponsive),
            4 => Some(ConnectionState::Disconnected),
            _ => None,
        }
    }

    /// What `look` sees while link's sequence stands still on an even number that is not 0, and its words are about the
    /// processor that has the place.
    ///
    /// All loads acquire. One that meets a word of a later change makes the second load of the sequence see that
    /// change's odd number, if link puts a release fence between that number and its first word.
    fn under_sequence<T>(&self, place: Place, look: impl Fn(&W) -> T) -> Option<T> {
        let end = place.name(METERS - 1) + NAME_WORDS;
        if self.words.len() < end {
            return None;
        }
        for _ in 0..LINK_TRIES {
            let before = self.words.load(place.sequence());
            if before == 0 || before & 1 == 1 {
                return None;
            }
            let claimed = self.words.load(place.link_claim());
            let seen = look(&self.words);
            if claimed != self.words.load(place.fingerprint()) {
                return None;
            }
            if self.words.load(place.sequence()) == before {
                return Some(seen);
            }
        }
        None
    }
}
