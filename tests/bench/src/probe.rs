//! A datagram whose arrival can be seen in shared memory.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use crate::subject::Subject;
use crate::subjects::{Cluster, Null, Table};
use crate::trouble::{Trouble, cannot};
use crate::wait::wait_for;

/// Probes come from addresses that no load uses.
const FIRST: u32 = u32::from_be_bytes([127, 0, 255, 1]);
/// The number of zone meters among the kinds of the table.
const ZONE: u8 = 2;
/// Levels of probes, in hundredths of dB below zero: each one differs from the one before.
const LEVELS: u64 = 7000;
const LOUDEST: u64 = 1000;

/// Sends, and sees what it sent.
pub(crate) trait Probe {
    /// Sends the next one; answers what to look for.
    fn send(&mut self) -> io::Result<u64>;
    /// Whether it has arrived.
    fn is_visible(&self, sent: u64) -> bool;
}

/// A level in a cluster's meter table.
pub(crate) struct TableProbe {
    socket: UdpSocket,
    reader: table::Reader<Table>,
    place: table::Place,
    number: u64,
}

impl TableProbe {
    /// Number `number` of many: each has an address and a port of its own. Waits until the table has a place for it.
    pub(crate) fn new(cluster: &Cluster, number: u32) -> Result<TableProbe, Trouble> {
        let from = IpAddr::from(Ipv4Addr::from(FIRST + number));
        let (socket, reader) = (connected(from, cluster)?, cluster.table()?);
        let place = wait_for("the table has a place for the probe", || {
            socket.send(&update(0)).map_err(cannot("send a probe"))?;
            Ok(reader.processors().find(|processor| processor.address == from).map(|found| found.place))
        })?;
        let mut probe = TableProbe { socket, reader, place, number: 0 };
        // What was sent so far has arrived once something later has.
        let sent = probe.send().map_err(cannot("send a probe"))?;
        wait_for("the probe is visible", || Ok(probe.is_visible(sent).then_some(())))?;
        Ok(probe)
    }
}

impl Probe for TableProbe {
    fn send(&mut self) -> io::Result<u64> {
        self.number += 1;
        self.socket.send(&update(self.number))?;
        Ok(self.number)
    }

    fn is_visible(&self, sent: u64) -> bool {
        self.reader.level(self.place, ZONE, 0).is_some_and(|(_, level)| level == -(hundredths(sent) as i16))
    }
}

fn hundredths(number: u64) -> u64 {
    LOUDEST + number % LEVELS
}

fn update(number: u64) -> Vec<u8> {
    let level = hundredths(number);
    format!(
        r#"{{"jsonrpc":"2.0","method":"update","params":[{{"param":"ZoneMeter_0","val":-{}.{:02}}}]}}"#,
        level / 100,
        level % 100
    )
    .into_bytes()
}

/// The mark in a null sink's page.
pub(crate) struct MarkProbe<'a> {
    socket: UdpSocket,
    null: &'a Null,
    number: u64,
}

impl<'a> MarkProbe<'a> {
    pub(crate) fn new(null: &'a Null) -> Result<MarkProbe<'a>, Trouble> {
        Ok(MarkProbe { socket: connected(Ipv4Addr::from(FIRST).into(), null)?, null, number: 0 })
    }
}

impl Probe for MarkProbe<'_> {
    fn send(&mut self) -> io::Result<u64> {
        self.number += 1;
        self.socket.send(&self.number.to_ne_bytes())?;
        Ok(self.number)
    }

    fn is_visible(&self, sent: u64) -> bool {
        self.null.has_marked(sent)
    }
}

fn connected(from: IpAddr, subject: &dyn Subject) -> Result<UdpSocket, Trouble> {
    let to = subject.address();
    let socket = UdpSocket::bind((from, 0)).and_then(|socket| socket.connect(to).map(|()| socket));
    socket.map_err(cannot(format_args!("send from {from} to {to}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_probes_in_a_row_differ_and_all_are_levels() {
        for number in [0, 1, 6999, 7000, u64::MAX - 1] {
            assert_ne!(hundredths(number), hundredths(number + 1));
            assert!((1000..8000).contains(&hundredths(number)));
        }
        let text = r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneMeter_0","val":-10.05}]}"#;
        assert_eq!(String::from_utf8(update(5)).unwrap(), text);
    }
}
