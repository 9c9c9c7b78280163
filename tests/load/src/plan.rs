//! What is to be sent.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::senders::source;
use crate::{Payload, Trouble};

/// Most datagrams that one call sends: the kernel's limit on segments in one send (UDP_MAX_SEGMENTS, linux/udp.h).
pub(crate) const MAX_ROW: usize = 64;
/// Longest payload of a UDP datagram over IPv4, and of a segmented send.
const MAX_BYTES: usize = 65_507;

/// How datagrams of one sender go to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One call of sendmmsg(2) for all in a row; send(2) for one alone.
    Many,
    /// One send with UDP_SEGMENT for all in a row: the kernel's stack is passed once, and a receiver that did not ask
    /// for more gets single datagrams (udp(7)).
    Segments,
}

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many datagrams a second, all senders together.
    Paced {
        /// Datagrams a second.
        rate: f64,
        /// Most at once, when the sender has fallen behind.
        burst: u64,
        /// How often what is due is sent: the time between two bursts.
        tick: Duration,
    },
    /// As fast as it goes.
    FlatOut,
}

impl Speed {
    /// A pace with the usual tick (1 ms), and bursts of at most three ticks' worth.
    #[must_use]
    pub fn paced(rate: f64) -> Speed {
        let tick = Duration::from_millis(1);
        Speed::Paced { rate, burst: (3.0 * rate * tick.as_secs_f64()).ceil() as u64, tick }
    }
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// For so long.
    For(Duration),
    /// So many datagrams.
    Count(u64),
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to; senders take them in turn.
    pub targets: Vec<SocketAddr>,
    /// How many senders: each has a socket, and a port, of its own.
    pub senders: usize,
    /// How many source addresses they share.
    pub processors: usize,
    /// The source addresses; empty: 127.0.0.2 and up to a loopback IPv4 address, else the kernel's choice.
    pub from: Vec<IpAddr>,
    /// What they say.
    pub payload: Payload,
    /// How fast.
    pub speed: Speed,
    /// How much.
    pub amount: Amount,
    /// Datagrams that one sender sends in a row, 1 … 64.
    pub row: usize,
    /// How those go to the kernel.
    pub way: Way,
    /// Threads that send.
    pub threads: usize,
    /// The CPU they all run on.
    pub cpu: Option<usize>,
}

impl Plan {
    /// 64 senders with addresses of their own, one meter in each datagram, 50 000 a second for a second.
    #[must_use]
    pub fn new(target: SocketAddr) -> Plan {
        Plan {
            targets: vec![target],
            senders: 64,
            processors: 64,
            from: Vec::new(),
            payload: Payload::Meters { meters: 1, numbered: false },
            speed: Speed::paced(50_000.0),
            amount: Amount::For(Duration::from_secs(1)),
            row: 1,
            way: Way::Many,
            threads: 1,
            cpu: None,
        }
    }

    /// The source address of sender `number`, and the number of its first meter.
    pub(crate) fn role(&self, number: usize, to: SocketAddr) -> (IpAddr, usize) {
        let processor = number % self.processors;
        let own = self.from.get(processor % self.from.len().max(1)).copied();
        (own.unwrap_or_else(|| source(to, processor)), number / self.processors)
    }

    /// Whether it can be done at all.
    ///
    /// # Errors
    /// What cannot, and the way out.
    pub(crate) fn check(&self) -> Result<(), Trouble> {
        let refuse = |why: String, hint: &str| Err(Trouble::Plan { why, hint: hint.into() });
        if self.targets.is_empty() || self.senders == 0 || self.processors == 0 || self.threads == 0 {
            return refuse(
                "without a target, a sender, a processor and a thread nothing is sent".into(),
                "one of each",
            );
        }
        if self.row == 0 || self.row > MAX_ROW {
            return refuse(format!("{} datagrams in a row", self.row), "1 to 64 in a row");
        }
        let mixed = self.from.iter().any(|from| self.targets.iter().any(|to| from.is_ipv4() != to.is_ipv4()));
        if mixed {
            return refuse(
                "a source address and a target of two families".into(),
                "IPv4 to IPv4, IPv6 to IPv6",
            );
        }
        let bytes = self.payload.template(MAX_ROW).bytes(); // indices of two digits: the longest
        let at_once = if self.way == Way::Segments { bytes * self.row } else { bytes };
        if at_once > MAX_BYTES {
            return refuse(
                format!("{at_once} bytes in one send, where {MAX_BYTES} are allowed"),
                "less in each, or fewer in a row",
            );
        }
        if bytes == 0 && self.way == Way::Segments {
            return refuse("an empty datagram cannot be a segment".into(), "leave --segments out");
        }
        match self.speed {
            Speed::Paced { rate, .. } if !(rate > 0.0 && rate.is_finite()) => {
                refuse(format!("a pace of {rate} datagrams a second"), "more than none")
            }
            Speed::Paced { .. } | Speed::FlatOut => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan::new("127.0.0.1:9".parse().unwrap())
    }

    #[test]
    fn senders_beyond_the_processors_share_addresses_and_differ_in_their_meters() {
        let plan = Plan { processors: 3, ..plan() };
        let roles: Vec<_> = [0, 2, 3, 7].map(|n| plan.role(n, plan.targets[0])).to_vec();
        let local = |last| IpAddr::from([127, 0, 0, last]);
        assert_eq!(roles, [(local(2), 0), (local(4), 0), (local(2), 1), (local(3), 2)]);
        let own = Plan { from: vec![local(9), local(8)], ..plan };
        assert_eq!([0, 1, 2].map(|n| own.role(n, own.targets[0]).0), [local(9), local(8), local(9)]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_way_out() {
        let text = |len| Payload::Text("x".repeat(len));
        for (bad, what) in [
            (Plan { senders: 0, ..plan() }, "without"),
            (Plan { row: 65, ..plan() }, "in a row"),
            (Plan { from: vec!["::1".parse().unwrap()], ..plan() }, "families"),
            (Plan { payload: text(65_508), ..plan() }, "bytes"),
            (Plan { payload: text(2000), row: 64, way: Way::Segments, ..plan() }, "bytes"),
            (Plan { payload: text(0), way: Way::Segments, ..plan() }, "empty"),
            (Plan { speed: Speed::paced(0.0), ..plan() }, "pace"),
        ] {
            let trouble = bad.check().unwrap_err();
            assert!(trouble.to_string().contains(what) && !trouble.hint().is_empty(), "{trouble}");
        }
        assert!(Plan { payload: text(2000), row: 64, ..plan() }.check().is_ok());
    }
}
