//! What a processor is told, and what it says is to be done.

use std::net::IpAddr;
use std::time::Duration;

use crate::fault::{Kind, Planned};
use crate::model::Product;
use atlas::capture::Record;

/// A connection, by a number that is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn(pub u64);

/// How a processor is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it is.
    pub product: Product,
    /// Decides what it hears.
    pub seed: u64,
    /// Between two readings of one meter.
    pub interval: Duration,
    /// The most meters in one datagram, from 1.
    pub batch: usize,
    /// A connection over which nothing came for this long is closed.
    pub inactivity: Duration,
    /// What goes wrong, and when.
    pub faults: Vec<Planned>,
    /// A recording to send in place of the model's meters.
    pub replay: Vec<Record>,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A client connected.
    Connected {
        /// Its connection from now on.
        conn: Conn,
        /// Where meters for it go to.
        peer: IpAddr,
    },
    /// A client sent something.
    Received {
        /// Over which connection.
        conn: Conn,
        /// What.
        bytes: &'a [u8],
    },
    /// A connection is over: its client closed it, or it failed, or its client did not read.
    Ended {
        /// Which.
        conn: Conn,
        /// Whether its client did not read what waited for it.
        overflowed: bool,
    },
    /// A client was turned away, since too many are connected.
    Refused,
    /// Somebody wants a fault now.
    Fault {
        /// Which.
        kind: Kind,
        /// For how long; None: until it is healed.
        lasts: Option<Duration>,
    },
    /// Somebody wants all faults to end.
    Heal,
    /// Nothing but time went by.
    Clock,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write a line to a connection, in the manner of the moment.
    Line {
        /// Which.
        conn: Conn,
        /// Without its end.
        line: String,
    },
    /// Write bytes to a connection.
    Raw {
        /// Which.
        conn: Conn,
        /// With the end of the line, if there is one.
        bytes: Vec<u8>,
    },
    /// Send a datagram to the port for meters.
    Datagram {
        /// Of this address.
        to: IpAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// Close a connection; what waits for it is lost.
    Close(Conn),
    /// Neither read nor write a connection any more, and do not close it.
    Freeze(Conn),
    /// Open or close the port.
    Listen(bool),
    /// Tell whoever watches.
    Tell(String),
}
