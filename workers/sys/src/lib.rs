//! The one floor with unsafe: safe doors to what the kernel offers and no crate does.
//!
//! Nothing here knows what it is used for. Every block answers its callee's contract in a `// SAFETY:` line;
//! what is handed out is safe to use in any order by any caller.

pub mod batch;
pub mod fds;
pub mod group;
pub mod map;
pub mod process;
