//! The connection in simulated time.

mod cases;
mod commands;
mod hostile;
mod processor;
mod random;
mod survey;
mod world;
