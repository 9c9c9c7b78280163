//! What integration tests and the soak share: real clusters, real loads, and a ledger of what became of them.
//!
//! ```text
//!   Load ──datagrams──▶ Cluster (processes) ──marks──▶ Ledger ──▶ Verdict: lost, doubled
//!                        │ list, meters, commands, signals
//!                        ▼
//!                   wait_for: the one place that sleeps
//! ```
//! The binary must be built with the feature `ledger`. A cluster that is dropped leaves no process behind, whatever
//! became of the test.

mod builder;
mod cluster;
mod command;
mod daemon;
mod faults;
mod flood;
mod heavy;
mod kill;
mod ledger;
mod load;
mod log;
mod meters;
mod nested;
mod next;
mod on_terminal;
mod place;
mod port;
mod printed;
pub mod process;
mod processor;
mod program;
mod quarantine;
mod schema;
pub mod shape;
mod strace;
mod terminal;
mod tool;
mod user;
mod wait;

pub use builder::Builder;
pub use cluster::Cluster;
pub use command::{Output, run};
pub use daemon::{Daemon, Starting};
pub use faults::Faults;
pub use flood::{Flood, Sent};
pub use heavy::{Heavy, heavy};
pub use kill::Killed;
pub use ledger::{Ledger, Verdict};
pub use load::{BATCHED_SENDERS, Load, datagram, sender};
pub use meters::{Meter, Meters};
pub use nested::Nested;
pub use next::next_binary;
pub use on_terminal::OnTerminal;
pub use place::{Place, install};
pub use port::{Options, free_port};
pub use printed::{Printed, log_files, log_text};
pub use processor::Processor;
pub use program::Program;
pub use quarantine::Record;
pub use schema::Schema;
pub use strace::Strace;
pub use terminal::Terminal;
pub use tool::{node, python};
pub use user::{as_user, need_root};
pub use wait::{PATIENCE, try_for, wait_for, wait_until};

/// Writes a line that is seen when the test passes too: what was measured, or could not be done here.
pub fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A builder for clusters of the binary that cargo built for this test.
///
/// `ATLAS_CLUSTER_TEST_BINARY` puts another one in its place: to see that the tests notice what is broken.
#[macro_export]
macro_rules! cluster {
    () => {
        $crate::Builder::new(env!("CARGO_BIN_EXE_atlas-cluster"))
    };
}
