//! What link knows of the processors: names, mutes, gains, sources, groups, the connection; one process writes it.
//!
//! A place's words change under its sequence number: odd, then the words, then even. A writer that was killed in between
//! leaves an odd number: the next one forgets what stands there, since half a name is no name. The words also say whose
//! they are, because a place can pass from one processor to another ([`Writer::place_by_right`](crate::Writer)).

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::layout::{METERS, NAME_WORDS, Place, Values, check, meter};
use crate::{BYTES, ConnectionState, Foreign, Words};

/// Bytes of a name; a longer one is cut between two characters.
pub const NAME_BYTES: usize = NAME_WORDS * 8;

/// The table, to write to what link knows. One process may: it holds the seat of link.
#[derive(Clone, Copy)]
pub struct LinkWriter<'a> {
    words: &'a [AtomicU64],
}

impl<'a> LinkWriter<'a> {
    /// Takes a segment that is mapped whole.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(words: &'a [AtomicU64]) -> Result<LinkWriter<'a>, Foreign> {
        check(words)?;
        let have = words.len() * 8;
        if have < BYTES { Err(Foreign::Short { have, need: BYTES }) } else { Ok(LinkWriter { words }) }
    }

    /// Begins to write about the processor that has this place: what another one left there, or one who died in the
    /// middle of a change, is forgotten. What stands there whole and is this processor's stays.
    pub fn adopt(&self, place: Place) {
        let whole = self.load(place.sequence()) & 1 == 0;
        let ours = self.load(place.link_claim()) == self.claim(place);
        if !ours {
            self.set_recorder(place, 0);
        }
        if !whole || !ours {
            self.forget(place);
        }
    }

    /// Places of processors that are none of ours are nobody's to record, and what was known of them is forgotten: a
    /// reload took them away, and nobody will say it anew. What the next ones write there is their own.
    pub fn disown(&self, is_ours: impl Fn(Place) -> bool) {
        for place in Place::all().filter(|place| !is_ours(*place)) {
            if self.recorder(place) != 0 {
                self.set_recorder(place, 0);
            }
            if self.load(place.sequence()) != 0 {
                self.forget(place);
            }
        }
    }

    pub(crate) fn word(&self, word: usize) -> &AtomicU64 {
        &self.words[word]
    }

    /// Forgets everything about the processor that has this place.
    pub fn forget(&self, place: Place) {
        self.change(place, || {
            self.store(place.link_claim(), self.claim(place));
            self.store(place.connection(), 0);
            self.clear_values(place);
            for word in place.name(0)..place.name(METERS - 1) + NAME_WORDS {
                self.store(word, 0);
            }
        });
    }

    /// State of the connection.
    pub fn set_connection(&self, place: Place, connection: ConnectionState) {
        let number = match connection {
            ConnectionState::Connected => 1,
            ConnectionState::Connecting => 2,
            ConnectionState::Unresponsive => 3,
            ConnectionState::Disconnected => 4,
        };
        self.change(place, || self.store(place.connection(), number));
    }

    /// The name of what a meter measures, None for none; nothing happens if there is no such meter.
    pub fn set_name(&self, place: Place, kind: u8, index: u8, name: Option<&str>) {
        let Some(meter) = meter(kind, index) else { return };
        let words = packed(name.unwrap_or_default());
        self.change(place, || {
            for (word, value) in (place.name(meter)..).zip(words) {
                self.store(word, value);
            }
        });
    }

    /// Whether what a meter measures is muted, None if that is not known; nothing happens if there is no such meter.
    pub fn set_muted(&self, place: Place, kind: u8, index: u8, muted: Option<bool>) {
        let Some(meter) = meter(kind, index) else { return };
        self.change(place, || {
            self.set_bit(place.mute_known(meter), muted.is_some());
            self.set_bit(place.muted(meter), muted == Some(true));
        });
    }

    /// The gain of what a meter measures, in centi-dB, None if that is not known; nothing happens if there is no such
    /// meter.
    pub fn set_gain(&self, place: Place, kind: u8, index: u8, gain: Option<i16>) {
        self.set_values(place, kind, index, |values| Values { gain, ..values });
    }

    /// What a zone or group plays: the number of a source or mix, -1 for none; None if that is not known. Nothing happens
    /// if there is no such meter.
    pub fn set_source(&self, place: Place, kind: u8, index: u8, source: Option<i16>) {
        self.set_values(place, kind, index, |values| Values { source, ..values });
    }

    /// Whether a zone is in a group, a group combined, None if that is not known; nothing happens if there is no such
    /// meter.
    pub fn set_grouped(&self, place: Place, kind: u8, index: u8, grouped: Option<bool>) {
        self.set_values(place, kind, index, |values| Values { grouped, ..values });
    }

    /// Nothing but names and the connection is known any more.
    pub fn forget_values(&self, place: Place) {
        self.change(place, || self.clear_values(place));
    }

    fn set_values(&self, place: Place, kind: u8, index: u8, new: impl FnOnce(Values) -> Values) {
        let Some(meter) = meter(kind, index) else { return };
        let word = place.values(meter);
        let values = new(Values::unpack(self.load(word)));
        self.change(place, || self.store(word, values.pack()));
    }

    /// Within a change.
    fn clear_values(&self, place: Place) {
        for first in (0..METERS).step_by(64) {
            self.store(place.mute_known(first).0, 0);
            self.store(place.muted(first).0, 0);
        }
        (0..METERS).for_each(|meter| self.store(place.values(meter), 0));
    }

    /// The release fence goes with the readers' acquire loads: who sees a word of the change sees the odd number too.
    fn change(&self, place: Place, write: impl FnOnce()) {
        let odd = self.load(place.sequence()) | 1;
        self.store(place.sequence(), odd);
        fence(Ordering::Release);
        write();
        // Never 0, which means "never written".
        let even = odd.wrapping_add(1).max(2);
        self.words[place.sequence()].store(even, Ordering::Release);
    }

    fn claim(&self, place: Place) -> u64 {
        self.load(place.fingerprint())
    }

    fn set_bit(&self, (word, bit): (usize, u32), on: bool) {
        let others = self.load(word) & !(1 << bit);
        self.store(word, others | u64::from(on) << bit);
    }

    fn load(&self, word: usize) -> u64 {
        Words::load(self.words, word)
    }

    fn store(&self, word: usize, value: u64) {
        self.words[word].store(value, Ordering::Relaxed);
    }
}

/// A name as words, zeros behind it; it ends before the first NUL, and before a character that does not fit whole.
fn packed(name: &str) -> [u64; NAME_WORDS] {
    let name = name.split('\0').next().unwrap_or_default();
    let end = name.floor_char_boundary(NAME_BYTES);
    let mut bytes = [0; NAME_BYTES];
    bytes[..end].copy_from_slice(&name.as_bytes()[..end]);
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|word| u64::from_ne_bytes(words[word]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::fresh;
    use crate::{Reader, Writer};
    use std::net::Ipv4Addr;

    fn place(words: &[AtomicU64], last: u32) -> Place {
        let writer = Writer::new(words).unwrap();
        writer.place(Ipv4Addr::from_bits(0x0a00_0000 + last).into()).unwrap()
    }

    fn known(words: &[AtomicU64], place: Place) -> (Option<String>, Option<bool>, Option<ConnectionState>) {
        let reader = Reader::new(words).unwrap();
        (reader.name(place, 2, 1), reader.muted(place, 2, 1), reader.connection(place))
    }

    #[test]
    fn what_is_written_is_read_and_can_be_taken_back() {
        let words = fresh();
        let (place, link) = (place(&words, 1), LinkWriter::new(&words).unwrap());
        link.adopt(place);
        assert_eq!(known(&words, place), (None, None, None));
        link.set_name(place, 2, 1, Some("Patio"));
        link.set_muted(place, 2, 1, Some(true));
        for state in [
            ConnectionState::Connecting,
            ConnectionState::Connected,
            ConnectionState::Unresponsive,
            ConnectionState::Disconnected,
        ] {
            link.set_connection(place, state);
            assert_eq!(known(&words, place), (Some("Patio".into()), Some(true), Some(state)));
        }
        link.set_muted(place, 2, 1, Some(false));
        link.set_name(place, 2, 1, Some("Patio Band"));
        assert_eq!(known(&words, place).0.as_deref(), Some("Patio Band"));
        assert_eq!(known(&words, place).1, Some(false));
        link.set_gain(place, 2, 1, Some(-2350));
        link.set_source(place, 2, 1, Some(-1));
        link.set_grouped(place, 2, 1, Some(true));
        let reader = Reader::new(&words[..]).unwrap();
        let values = || (reader.gain(place, 2, 1), reader.source(place, 2, 1), reader.grouped(place, 2, 1));
        assert_eq!(values(), (Some(-2350), Some(-1), Some(true)));
        link.set_source(place, 2, 1, None);
        assert_eq!(values(), (Some(-2350), None, Some(true)), "the others stay");
        assert_eq!(reader.gain(place, 2, 0), None, "its neighbour");
        link.forget_values(place);
        assert_eq!(values(), (None, None, None));
        link.set_name(place, 2, 1, None);
        assert_eq!(known(&words, place), (None, None, Some(ConnectionState::Disconnected)));
        link.set_name(place, 4, 0, Some("nobody"));
        link.set_muted(place, 0, 64, Some(true));
        link.set_gain(place, 4, 0, Some(0));
    }

    #[test]
    fn a_name_is_cut_between_two_characters_and_before_a_nul() {
        let words = fresh();
        let (place, link) = (place(&words, 1), LinkWriter::new(&words).unwrap());
        link.adopt(place);
        let shown = |name: &str| {
            link.set_name(place, 2, 1, Some(name));
            known(&words, place).0
        };
        assert_eq!(shown(&"ü".repeat(40)), Some("ü".repeat(32)));
        assert_eq!(shown(&format!("{}ü", "x".repeat(63))), Some("x".repeat(63)));
        assert_eq!(shown("a\0b").as_deref(), Some("a"));
        assert_eq!(shown(""), None);
    }

    #[test]
    fn who_died_in_the_middle_of_a_change_leaves_nothing_half() {
        let words = fresh();
        let (place, link) = (place(&words, 1), LinkWriter::new(&words).unwrap());
        link.adopt(place);
        link.set_name(place, 2, 1, Some("Patio"));
        link.set_connection(place, ConnectionState::Connected);
        LinkWriter::new(&words).unwrap().adopt(place);
        assert_eq!(known(&words, place).0.as_deref(), Some("Patio"), "an orderly successor keeps it");
        // killed after half a name
        words[place.sequence()].fetch_or(1, Ordering::Relaxed);
        words[place.name(2 * 64 + 1)].store(u64::from_ne_bytes(*b"Terrace "), Ordering::Relaxed);
        assert_eq!(known(&words, place), (None, None, None), "nobody sees it meanwhile");
        let successor = LinkWriter::new(&words).unwrap();
        successor.adopt(place);
        assert_eq!(known(&words, place), (None, None, None));
        successor.set_connection(place, ConnectionState::Connecting);
        assert_eq!(known(&words, place), (None, None, Some(ConnectionState::Connecting)));
    }

    #[test]
    fn nobody_inherits_the_names_of_the_one_who_had_his_place() {
        let words = fresh();
        let writer = Writer::new(&words).unwrap();
        let places: Vec<_> = (1..=64).map(|last| place(&words, last)).collect();
        let link = LinkWriter::new(&words).unwrap();
        for place in places {
            link.adopt(place);
            link.set_name(place, 2, 1, Some("Patio"));
        }
        let newcomer = writer.place_by_right("10.0.1.1".parse().unwrap(), |_| false).unwrap();
        assert_eq!(known(&words, newcomer), (None, None, None), "not even before link has looked");
        link.adopt(newcomer);
        link.set_muted(newcomer, 2, 1, Some(true));
        assert_eq!(known(&words, newcomer), (None, Some(true), None));
    }

    #[test]
    fn of_who_is_no_more_configured_nothing_is_known_and_nobody_records_him() {
        let words = fresh();
        let [gone, stays, stranger] = [1, 2, 3].map(|last| place(&words, last));
        let link = LinkWriter::new(&words).unwrap();
        for place in [gone, stays] {
            link.adopt(place);
            link.set_name(place, 2, 1, Some("Patio"));
            link.set_muted(place, 2, 1, Some(true));
            link.set_connection(place, ConnectionState::Connected);
            link.set_recorder(place, 7);
        }
        link.disown(|place| place == stays);
        assert_eq!(known(&words, gone), (None, None, None));
        let kept = (Some("Patio".into()), Some(true), Some(ConnectionState::Connected));
        assert_eq!(known(&words, stays), kept);
        let writer = Writer::new(&words).unwrap();
        assert_eq!((writer.recorder(gone), writer.recorded()), (0, 1 << stays.index()));
        assert_eq!(
            words[stranger.sequence()].load(Ordering::Relaxed),
            0,
            "nothing is written about strangers"
        );
    }

    #[test]
    fn a_table_that_is_mapped_in_part_is_refused() {
        let words = fresh();
        let storing = &words[..crate::STORE_BYTES / 8];
        assert!(matches!(LinkWriter::new(storing), Err(Foreign::Short { .. })));
    }
}
