//! The UDP worker: batches out of the kernel into the meter table.
//!
//! ```text
//! socket ──recvmmsg──▶ ring (batch) ──▶ intake: sender? parse, class ──▶ sink (table)
//!                        │                        │
//!                        └──── commit ◀── counters, other face
//! ```
//! `ring` owns the slot's segment and the order of its stores; `intake` decides what a datagram is; `sink` is
//! where levels go; `quarantine` keeps what killed workers; `tap` hands raw datagrams to recorders; `worker` is the loop
//! around them.

#[cfg(feature = "cost")]
pub mod cost;
mod intake;
#[cfg(feature = "ledger")]
mod ledger;
mod quarantine;
mod ring;
mod senders;
mod settings;
mod sink;
#[cfg(feature = "ledger")]
pub mod steps;
mod tap;
mod worker;

use contract::{Lent, Role};

/// The meter table, as the cluster lends it.
pub const TABLE: Lent = Lent { name: "table", bytes: table::BYTES, head: table::fresh_head };

/// What the cluster knows of this worker.
pub const ROLE: Role = Role {
    name: "meter",
    sockets: true,
    quarantine: true,
    seat: Some(Lent { name: contract::SEAT, bytes: ring::BYTES, head: ring::head }),
    shared: &[TABLE],
    main: worker::main,
};

#[cfg(test)]
mod tests {
    #[test]
    fn reasons_are_counted_under_the_names_they_have() {
        let names = atlas::Malformed::ALL.map(|reason| reason.name());
        assert_eq!(names, table::counters::REASON_NAMES);
        for (kind, name) in atlas::Kind::ALL.into_iter().zip(table::KIND_PARAMS) {
            assert_eq!(kind.meter_name(), name);
        }
    }
}
