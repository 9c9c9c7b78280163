//! The connection in simulated time.

mod cases;
mod commands;
mod processor;
mod random;
mod world;
