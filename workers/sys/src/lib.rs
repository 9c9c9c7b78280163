//! The one floor with unsafe: safe doors to what the kernel offers and no crate does.
//!
//! Nothing here knows what it is used for. Every block answers its callee's contract in a `// SAFETY:` line.
//! What is handed out is safe to use in any order; two doors rest on the outside world: [`fds::inherited`] on nothing
//! in this process opening a descriptor without CLOEXEC, [`map`] on segments being sealed.

pub mod batch;
pub mod discard;
pub mod fds;
pub mod group;
pub mod image;
pub mod map;
pub mod process;
pub mod signal;
pub mod wait;
