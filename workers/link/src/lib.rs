//! The only owner of the TCP connections to the processors.
//!
//! ```text
//! link.sock ──▶ door ──▶ command ─┐                       ┌─▶ names, mutes, states into the table
//! TCP ──▶ peer (lines) ──▶ event ─┼─▶ connection (pure) ──┼─▶ lines to the processor
//! table ──▶ when heard ───────────┘                       └─▶ answers, log lines
//! ```
//! Meters flow as long as somebody holds a connection and has subscribed them. That is this process, one connection to
//! each processor: it connects only once it holds its seat, so no processor ever sees two of us.

mod connection;
mod diary;
mod dice;
mod door;
mod peer;
mod places;
mod recorders;
mod reply;
mod settings;
mod shell;
mod tcp;
mod worker;

use contract::{DEMO, Lent, Role, SEAT};

/// The meter table, as the cluster lends it.
const TABLE: Lent = Lent { name: "table", bytes: table::BYTES, head: table::fresh_head };

/// What the cluster knows of this role.
pub const ROLE: Role = Role {
    name: "link",
    sockets: false,
    quarantine: false,
    seat: Some(Lent { name: SEAT, bytes: 4096, head: Vec::new }),
    shared: &[TABLE, DEMO],
    main: worker::main,
};
