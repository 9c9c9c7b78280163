//! Tests of the core: a table of transitions, simulated time, orders by name, random worlds, every world of a bounded
//! kind.

mod aftermath;
mod calm;
mod fingerprint;
mod health;
mod invariants;
mod lives;
mod moves;
mod mute;
mod plans;
mod random;
mod reloads;
mod restarts;
mod scaling;
mod search;
mod seeds;
mod stopping;
mod story;
mod table;
mod time;
mod who;
mod whole;
mod world;
