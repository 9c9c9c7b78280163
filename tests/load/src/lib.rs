//! Sends UDP datagrams: many senders, one pace or as fast as it goes, and says what was sent.
//!
//! ```text
//!   Plan ──▶ run ──▶ threads: Pace says how many are due ──▶ a few from each sender in turn ──▶ Outcome
//!                             Payload renders them            send, sendmmsg or UDP_SEGMENT
//! ```
//! On loopback the kernel does the receiver's protocol work within the sender's call: it is billed to the sender.

mod outcome;
mod pace;
mod payload;
mod plan;
mod run;
mod senders;
mod shoot;
mod trouble;

pub use outcome::Outcome;
pub use pace::Pace;
pub use payload::{MAX_METERS, NUMBER_BASE, Payload, Template};
pub use plan::{Amount, Plan, Speed, Way};
pub use run::run;
pub use senders::source;
pub use trouble::Trouble;
