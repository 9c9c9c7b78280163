//! The logger: reads what every process of the cluster prints, line by line, and writes and rotates the log files.
//!
//! ```text
//! pipe of each process ──tee──▶ window ──▶ editor (pure) ──▶ text ──▶ book (file, rotation)
//!        └──splice──▶ stage ─────────────────────────────────────▶ emptied, once the journal says that it is written
//! ```
//! The supervisor keeps the pipes, both ends: whoever prints never finds nobody there, and what was printed outlives
//! the logger. The stage is one more pipe that it keeps. What is moved there at once ([`splice(2)`]) is taken; the
//! journal, in the slot's segment, says up to where it is written. So a logger that is killed at any instruction leaves
//! a successor who knows what to write once more and what not, and no line is lost or doubled.
//!
//! [`splice(2)`]: https://man7.org/linux/man-pages/man2/splice.2.html

mod book;
mod editor;
mod folder;
mod gzip;
mod journal;
mod limit;
mod lines;
mod pipes;
mod record;
mod settings;
mod text;
mod worker;

use contract::{Lent, Role, SEAT};

/// What the cluster knows of this role.
pub const ROLE: Role = Role {
    name: "logger",
    sockets: false,
    quarantine: false,
    seat: Some(Lent { name: SEAT, bytes: journal::BYTES, head: journal::fresh_head }),
    shared: &[],
    main: worker::main,
};
