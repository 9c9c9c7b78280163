//! Who records which processor: link says so, workers look once in each batch.

use std::sync::atomic::Ordering;

use crate::layout::{PLACES_RECORDED, Place};
use crate::{LinkWriter, Writer};

impl Writer<'_> {
    /// The places that are recorded, one bit each.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.word(PLACES_RECORDED).load(Ordering::Acquire)
    }

    /// The number of the recorder of a place; 0 if it has none.
    #[must_use]
    pub fn recorder(&self, place: Place) -> u64 {
        self.word(place.recorder()).load(Ordering::Relaxed)
    }
}

impl LinkWriter<'_> {
    /// The number of the recorder of a place; 0 if it has none.
    #[must_use]
    pub fn recorder(&self, place: Place) -> u64 {
        self.word(place.recorder()).load(Ordering::Relaxed)
    }

    /// The place is recorded from now on by the recorder of that number; 0: by nobody.
    pub fn set_recorder(&self, place: Place, number: u64) {
        let bit = 1 << place.index();
        self.word(place.recorder()).store(number, Ordering::Relaxed);
        // Released after the number: who sees the bit sees the number.
        match number {
            0 => self.word(PLACES_RECORDED).fetch_and(!bit, Ordering::Release),
            _ => self.word(PLACES_RECORDED).fetch_or(bit, Ordering::Release),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::fresh;

    #[test]
    fn what_link_says_is_what_workers_see_and_it_goes_with_the_processor() {
        let words = fresh();
        let (writer, link) = (Writer::new(&words).unwrap(), LinkWriter::new(&words).unwrap());
        let places = ["10.0.0.1", "10.0.0.2"].map(|one| writer.place(one.parse().unwrap()).unwrap());
        link.set_recorder(places[0], 9);
        places.iter().for_each(|place| link.adopt(*place));
        assert_eq!(writer.recorded(), 0, "it was another processor's");
        link.set_recorder(places[0], 7);
        link.set_recorder(places[1], u64::MAX);
        assert_eq!(writer.recorded(), 1 << places[0].index() | 1 << places[1].index());
        assert_eq!(places.map(|place| writer.recorder(place)), [7, u64::MAX]);
        link.set_recorder(places[0], 0);
        assert_eq!((writer.recorded(), writer.recorder(places[0])), (1 << places[1].index(), 0));
        link.adopt(places[1]);
        assert_eq!(link.recorder(places[1]), u64::MAX, "a link that takes over goes on");
    }
}
