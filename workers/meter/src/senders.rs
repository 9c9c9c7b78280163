//! Who may send, and which place in the table is his.

use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::BorrowedFd;

use contract::Seat;
use table::{PROCESSORS, Place, Writer};

use crate::settings::Settings;

/// Lines of the index of those who have a place. Two on one line, of 64 about one pair in every second cluster, are
/// served all the same, only slower.
const LINES: usize = 4096;

/// One who sends, and what is known of him.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    /// His address, an IPv4 one in its mapped form.
    bits: u128,
    /// Has, or gets at his first level, a place in the table; else he is no processor of the configuration, and others
    /// are not wanted.
    pub(crate) is_welcome: bool,
    /// The place that this worker has given him, and the claim that stood on it then.
    given: Option<(Place, u64)>,
}

impl Sender {
    /// For a place that was given to nobody: a datagram never comes from `::`.
    const NOBODY: Sender = Sender { bits: 0, is_welcome: false, given: None };

    /// His place, if this worker has given him one before.
    pub(crate) fn known_place(&self, table: &Writer<'_>) -> Option<Place> {
        let (place, claim) = self.given?;
        // After a reload a place may have passed to a processor of the new configuration.
        (table.claim_on(place) == claim).then_some(place)
    }
}

/// The door, with a memory of who has a place.
pub(crate) struct Senders {
    /// Configured addresses, sorted; consulted unless anybody may come.
    configured: Vec<IpAddr>,
    anybody: bool,
    /// By a hash of an address, the number of the place that was given last to an address with that hash.
    lines: Box<[u8; LINES]>,
    /// By the number of a place, to whom this worker has given it last.
    holders: Box<[Sender; PROCESSORS]>,
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
        let (lines, holders) = (Box::new([0; LINES]), Box::new([Sender::NOBODY; PROCESSORS]));
        let mut senders = Senders { configured, anybody: settings.anybody(), lines, holders };
        for address in settings.processors() {
            let _ = senders.place(senders.get(address), table);
        }
        senders
    }

    /// The one with this address.
    pub(crate) fn get(&self, address: IpAddr) -> Sender {
        let bits = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let holder = &self.holders[usize::from(self.lines[line(bits)]) % PROCESSORS];
        if holder.bits == bits {
            return *holder;
        }
        let is_welcome = self.anybody || self.configured.binary_search(&address.to_canonical()).is_ok();
        Sender { bits, is_welcome, given: None }
    }

    /// The place of a welcome sender, claimed if need be; None if the table is full.
    pub(crate) fn place(&mut self, sender: Sender, table: &Writer<'_>) -> Option<Place> {
        let known = sender.known_place(table);
        if known.is_some() {
            return known;
        }
        let place = table.place(Ipv6Addr::from_bits(sender.bits).into())?;
        let claim = table.claim_on(place);
        self.lines[line(sender.bits)] = place.index() as u8;
        self.holders[place.index()] = Sender { given: Some((place, claim)), ..sender };
        Some(place)
    }
}

fn line(bits: u128) -> usize {
    let bits = bits as u64 ^ (bits >> 64) as u64;
    (bits.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52) as usize % LINES
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
            let writer = Writer::new(table.words()).unwrap();
            let mut senders = Senders::new(&settings(&json), &writer, segment.as_fd());
            for _ in 0..2 {
                let found = [a, b].map(|address| senders.get(address));
                assert_eq!(found.map(|sender| sender.is_welcome), expected, "{json}");
                senders.place(found[0], &writer).unwrap();
            }
        }
    }

    #[test]
    fn places_are_the_tables_whoever_shares_a_line_of_the_memory() {
        let (segment, table) = table();
        let writer = Writer::new(table.words()).unwrap();
        let mut senders = Senders::new(&settings("{}"), &writer, segment.as_fd());
        // Of 64, one shares the line of the first.
        let ipv4 = |last: u32| IpAddr::V4((0x0a00_0001 + last).into());
        let on_line = |address: &IpAddr| line(senders.get(*address).bits) == line(senders.get(ipv4(0)).bits);
        let rival = (64..).map(ipv4).find(on_line).unwrap();
        let addresses: [IpAddr; 64] = std::array::from_fn(|i| if i == 1 { rival } else { ipv4(i as u32) });
        let stranger: IpAddr = "10.9.9.9".parse().unwrap();
        for round in 0..3 {
            for address in addresses {
                let sender = senders.get(address);
                let known = sender.known_place(&writer);
                assert!(
                    round == 0 || known.is_some() || [0, 1].map(|i| addresses[i]).contains(&address),
                    "{address}"
                );
                assert_eq!(senders.place(sender, &writer), writer.place(address), "round {round}");
            }
            assert_eq!(senders.place(senders.get(stranger), &writer), None, "the 65th");
        }
        let configured = settings(r#"{"processor":[{"address":"10.9.9.9"},{"address":"10.0.0.1"}]}"#);
        let old = addresses.map(|address| (address, senders.get(address).known_place(&writer)));
        let mut successor = Senders::new(&configured, &writer, segment.as_fd());
        let place = successor.place(successor.get(stranger), &writer).unwrap();
        let evicted = old.into_iter().find(|&(_, known)| known == Some(place)).unwrap().0;
        assert_eq!(senders.get(evicted).known_place(&writer), None, "and the one before finds out");
    }
}
