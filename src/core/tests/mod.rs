//! Tests of the core: a table of transitions, simulated time, orders by name, random worlds.

mod invariants;
mod plans;
mod random;
mod reloads;
mod restarts;
mod scaling;
mod stopping;
mod story;
mod table;
mod time;
mod world;
