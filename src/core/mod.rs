//! The core: what should run, against what runs. Pure: told the time, never asks; no input, no output.
//!
//! ```text
//!                    ┌───────────────────────── Fleet ──────────────────────────┐
//!   Event ──handle──▶│ children  bound, ready, alive, exited     ┐              │
//!   (what happened)  │ clock     whatever is overdue             ├─▶ reconcile ─┼──▶ Action
//!                    │ orders    scale, reload, restart, stop    ┘   (fleet)    │   (what to do,
//!   deadline() ◀─────│ slot: holder, heir, leavers    steering: who is read     │    in that order)
//!                    └──────────────────────────────────────────────────────────┘
//! ```
//!
//! An event changes what is known or wanted; `reconcile` then takes every step that follows from it, until
//! nothing is left to do. An operation is one of starting, steady, reloading, stopping, over:
//!
//! ```text
//!   Starting ──all online──▶ Steady ◀──commit, failure── Reloading      (after a commit, orders wait until what it
//!                                                                        replaced is gone)
//!      │ a holder fails        │  ────────order────────▶    │
//!      └──────────┬── stop ────┴─────────── stop ───────────┘
//!                 ▼
//!             Stopping ──nobody left──▶ Over
//! ```
//!
//! The shell owes the core four things: every spawned run is reported `Exited` exactly once; what a run said
//! comes before its `Exited`; a socket whose maker is reaped before its slot was `Bound` is closed; every
//! `Close` is answered, by `Closed` or by `StillQueued`. What breaks that is the shell's mistake, and ends in a
//! panic; what a child says, twice, late or never, is no mistake.

mod backoff;
mod children;
mod clock;
mod errand;
mod event;
mod fleet;
mod frozen;
mod orders;
mod reload;
mod restart;
mod scale;
mod slot;
mod start;
mod steering;
mod steps;
mod stop;
mod succession;
mod view;

#[cfg(test)]
mod tests;

pub use self::event::Scale;
pub(crate) use self::event::{
    Action, Event, Failure, Generation, MAX_WORKERS, News, Order, Outcome, Plan, Policy, Refusal, RoleSet,
    Run, Sig, Slot, Tick, Ticket, Verdict,
};
pub(crate) use self::fleet::Fleet;
pub(crate) use self::slot::MAX_PROCESSES;
#[cfg(test)]
pub(crate) use self::view::Place;
pub(crate) use self::view::{ClusterState, HeirView, SlotView, Status};
