//! Tests of the core: a table of transitions, simulated time, orders by name, random worlds.

mod invariants;
mod random;
mod table;
mod world;
