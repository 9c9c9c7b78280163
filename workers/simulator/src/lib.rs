//! A processor to test against: an AZM4, AZM8 or AZMP8 that behaves as the manual says and users saw.
//!
//! ```text
//! lines ─▶ session ─▶ model ─▶ answers, updates          pure: processor, session, model, fault, outlet
//! time  ─▶ music ──▶ meters ─▶ datagrams                 sockets: server; alone, role and handle run one
//! ```
//!
//! What of its behaviour the manual says, what was seen and what is a guess stands in `docs/protocol.md`.

pub mod alone;
pub mod fault;
mod handle;
pub mod ledger;
pub mod model;
pub mod music;
pub mod outlet;
pub mod plan;
pub mod processor;
pub mod replay;
mod role;
pub mod server;
pub mod session;

pub use handle::Simulator;
pub use plan::Plan;
pub use role::ROLE;
