//! Who may send, and which place in the table is his.

use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::BorrowedFd;

use contract::Seat;
use table::{Place, Writer};

use crate::settings::Settings;

/// Lines of the memory of places. More senders than this still get theirs, only slower.
const LINES: usize = 256;

/// One who sends, and what is known of him.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    /// His address, an IPv4 one in its mapped form.
    bits: u128,
    /// Has, or gets at his first level, a place in the table; else he is no processor of the configuration, and others
    /// are not wanted.
    welcome: bool,
    /// His place, once he has one, and the claim that stood on it.
    place: Option<(Place, u64)>,
}

impl Sender {
    /// On a line that nobody had yet: a datagram never comes from `::`.
    const NOBODY: Sender = Sender { bits: 0, welcome: false, place: None };

    /// Whether what he says is wanted.
    pub(crate) fn is_welcome(&self) -> bool {
        self.welcome
    }

    /// His place, claimed if need be; None if the table is full.
    pub(crate) fn place(&mut self, table: &Writer<'_>) -> Option<Place> {
        let known = self.known_place(table);
        if known.is_some() {
            return known;
        }
        let place = table.place(Ipv6Addr::from_bits(self.bits).into())?;
        self.place = Some((place, table.claim_on(place)));
        Some(place)
    }

    /// His place if this worker has given him one before.
    pub(crate) fn known_place(&self, table: &Writer<'_>) -> Option<Place> {
        let (place, claim) = self.place?;
        // After a reload a place may have passed to a processor of the new configuration.
        (table.claim_on(place) == claim).then_some(place)
    }
}

/// The door, with a memory of who came through it.
pub(crate) struct Senders {
    /// Configured addresses, sorted; consulted unless anybody may come.
    configured: Vec<IpAddr>,
    anybody: bool,
    /// Senders by a hash of their address, one on each line: the last one that came.
    lines: Box<[Sender; LINES]>,
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
        let lines = Box::new([Sender::NOBODY; LINES]);
        Senders { configured, anybody: settings.anybody(), lines }
    }

    /// The one with this address.
    pub(crate) fn get(&mut self, address: IpAddr) -> &mut Sender {
        let bits = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let sender = &mut self.lines[line(bits)];
        if sender.bits != bits {
            let welcome = self.anybody || self.configured.binary_search(&address.to_canonical()).is_ok();
            *sender = Sender { bits, welcome, place: None };
        }
        sender
    }
}

fn line(bits: u128) -> usize {
    let bits = bits as u64 ^ (bits >> 64) as u64;
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
            ("{}".to_owned(), [true, true]),
            (format!("{{{one}}}"), [true, false]),
            (format!("{{{one}, \"accept_unknown\": true}}"), [true, true]),
        ] {
            let (segment, table) = table();
            let mut senders =
                Senders::new(&settings(&json), &Writer::new(table.words()).unwrap(), segment.as_fd());
            for _ in 0..2 {
                assert_eq!([a, b].map(|address| senders.get(address).is_welcome()), expected, "{json}");
            }
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
                assert_eq!(senders.get(address).place(&writer), writer.place(address), "round {round}");
            }
        }
        assert_eq!(senders.get("10.9.9.9".parse().unwrap()).place(&writer), None, "the 65th");
        assert_eq!(senders.get("10.9.9.9".parse().unwrap()).known_place(&writer), None);
        let configured = settings(r#"{"processor":[{"address":"10.9.9.9"},{"address":"10.0.0.1"}]}"#);
        let old = addresses.map(|address| (address, senders.get(address).known_place(&writer)));
        let mut successor = Senders::new(&configured, &writer, segment.as_fd());
        let place = successor.get("10.9.9.9".parse().unwrap()).place(&writer).unwrap();
        let evicted = old.into_iter().find(|&(_, known)| known == Some(place)).unwrap().0;
        assert_eq!(senders.get(evicted).known_place(&writer), None, "and the one before finds out");
    }
}
