//! Where levels go.

use atlas::Reading;
use table::Writer;

use crate::senders::{Sender, Senders};

/// Takes what a datagram said. Everything here may happen twice for one datagram (replay) and must not mind.
pub(crate) trait Sink {
    /// Levels of one datagram, received `micros` after boot; false if there is no room for this sender.
    fn store(&mut self, senders: &mut Senders, sender: Sender, micros: u64, readings: &[Reading]) -> bool;
    /// A sign of life without a level.
    fn heard(&mut self, sender: Sender, micros: u64);
    /// Every datagram, whatever it was, before its batch is committed.
    fn mark(&mut self, batch: u64, payload: &[u8]);
    /// Whether anybody is recorded.
    fn is_recorded(&self) -> bool;
    /// The number of this sender's place, and of who records him.
    fn recorder(&self, sender: Sender) -> Option<(usize, u64)>;
}

impl Sink for Writer<'_> {
    fn store(&mut self, senders: &mut Senders, sender: Sender, micros: u64, readings: &[Reading]) -> bool {
        let Some(place) = senders.place(sender, self) else { return false };
        for Reading { meter, level } in readings {
            Writer::store(self, place, meter.kind as u8, meter.index, micros, level.0);
        }
        Writer::heard(self, place, micros);
        true
    }

    fn heard(&mut self, sender: Sender, micros: u64) {
        if let Some(place) = sender.known_place(self) {
            Writer::heard(self, place, micros);
        }
    }

    fn mark(&mut self, _batch: u64, _payload: &[u8]) {}

    fn is_recorded(&self) -> bool {
        self.recorded() != 0
    }

    fn recorder(&self, sender: Sender) -> Option<(usize, u64)> {
        let place = sender.known_place(self)?;
        Some((place.index(), Writer::recorder(self, place))).filter(|(_, number)| *number != 0)
    }
}
