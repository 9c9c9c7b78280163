//! Who may send, and which place in the table is his.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use contract::Seat;
use table::{Place, Writer};

use crate::settings::Settings;

/// Lines of the memory of places. More senders than this still get theirs, only slower.
const LINES: usize = 256;

/// What a sender is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sender {
    /// Has, or gets at his first level, a place in the table.
    Welcome,
    /// No processor of the configuration, and others are not wanted.
    Unknown,
}

/// A sender whose place was looked up, and the claim that stood on it.
#[derive(Clone, Copy)]
struct Remembered {
    address: IpAddr,
    place: Place,
    claim: u64,
}

/// The door, with a memory of who came through it.
pub(crate) struct Senders {
    /// Configured addresses, sorted; consulted unless anybody may come.
    configured: Vec<IpAddr>,
    anybody: bool,
    /// Places by a hash of the address, one sender on each line: the last one remembered.
    places: Box<[Option<Remembered>; LINES]>,
}

impl Senders {
    /// Claims a place for each configured processor, so that strangers can't crowd one out.
    pub(crate) fn new(settings: &Settings, table: &Writer<'_>, segment: BorrowedFd<'_>) -> Senders {
        let mut configured: Vec<IpAddr> = settings.processors().collect();
        configured.sort_unstable();
        for &address in &configured {
            if table.place(address).is_none() {
                // In a full table room is made, by one worker at a time. Without the lock (a table that cannot be opened
                // anew) it is left as it is: its levels are then counted as `other`.
                let turn = Seat::wait(segment);
                let keep = |other| configured.binary_search(&other).is_ok();
                let _ = turn.map(|_turn| table.place_by_right(address, keep));
            }
        }
        let places = Box::new([None; LINES]);
        Senders { configured, anybody: settings.anybody(), places }
    }

    /// What `address` is.
    pub(crate) fn judge(&self, address: IpAddr) -> Sender {
        if self.anybody || self.configured.binary_search(&address).is_ok() {
            Sender::Welcome
        } else {
            Sender::Unknown
        }
    }

    /// The place of `address`, claimed if need be; None if the table is full.
    pub(crate) fn place(&mut self, address: IpAddr, table: &Writer<'_>) -> Option<Place> {
        if let Some(place) = self.known_place(address, table) {
            return Some(place);
        }
        let place = table.place(address)?;
        self.places[line(address)] = Some(Remembered { address, place, claim: table.claim_on(place) });
        Some(place)
    }

    /// The place of `address` if this worker has given him one before.
    pub(crate) fn known_place(&self, address: IpAddr, table: &Writer<'_>) -> Option<Place> {
        let Remembered { address: known, place, claim } = self.places[line(address)]?;
        // After a reload a place may have passed to a processor of the new configuration.
        (known == address && table.claim_on(place) == claim).then_some(place)
    }
}

fn line(address: IpAddr) -> usize {
    let bits = match address {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() as u64) ^ ((v6.to_bits() >> 64) as u64),
    };
    (bits.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize % LINES
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsFd, OwnedFd};
    use sys::map::Mapping;

    fn table() -> (OwnedFd, Mapping) {
        let segment = sys::map::segment("table", &table::head([1, 2]), table::BYTES, false).unwrap();
        let mapping = Mapping::new(segment.as_fd(), table::BYTES).unwrap();
        (segment, mapping)
    }

    fn settings(json: &str) -> Settings {
        Settings::parse(json).unwrap()
    }

    #[test]
    fn who_is_welcome() {
        let (a, b): (IpAddr, IpAddr) = ("192.168.5.101".parse().unwrap(), "192.168.5.102".parse().unwrap());
        let one = r#""processor": [{"name": "bar", "address": "192.168.5.101", "tcp_port": 5321}]"#;
        for (json, expected) in [
            ("{}".to_owned(), [Sender::Welcome, Sender::Welcome]),
            (format!("{{{one}}}"), [Sender::Welcome, Sender::Unknown]),
            (format!("{{{one}, \"accept_unknown\": true}}"), [Sender::Welcome, Sender::Welcome]),
        ] {
            let (segment, table) = table();
            let senders =
                Senders::new(&settings(&json), &Writer::new(table.words()).unwrap(), segment.as_fd());
            assert_eq!([a, b].map(|address| senders.judge(address)), expected, "{json}");
        }
    }

    #[test]
    fn places_are_the_tables_also_when_two_senders_share_a_line_of_the_memory() {
        let (segment, table) = table();
        let writer = Writer::new(table.words()).unwrap();
        let mut senders = Senders::new(&settings("{}"), &writer, segment.as_fd());
        let addresses: [IpAddr; 64] = std::array::from_fn(|i| IpAddr::V4((0x0a00_0001 + i as u32).into()));
        for round in 0..2 {
            for address in addresses {
                assert_eq!(senders.place(address, &writer), writer.place(address), "round {round}");
            }
        }
        assert_eq!(senders.place("10.9.9.9".parse().unwrap(), &writer), None, "the 65th");
        assert_eq!(senders.known_place("10.9.9.9".parse().unwrap(), &writer), None);
        let configured = settings(r#"{"processor":[{"address":"10.9.9.9"},{"address":"10.0.0.1"}]}"#);
        let old = addresses.map(|address| (address, senders.known_place(address, &writer)));
        let mut successor = Senders::new(&configured, &writer, segment.as_fd());
        let place = successor.place("10.9.9.9".parse().unwrap(), &writer).unwrap();
        let evicted = old.into_iter().find(|&(_, known)| known == Some(place)).unwrap().0;
        assert_eq!(senders.known_place(evicted, &writer), None, "and the one before finds out");
    }
}
