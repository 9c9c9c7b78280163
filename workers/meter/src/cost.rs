//! The worker's loop turned by hand, for `tests/cost`: what one turn of it costs.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use contract::{Failure, Life, Notify, clock};
use sys::map::{Mapping, segment};
use table::Writer;
use table::counters::Counters;

use crate::intake::Intake;
use crate::ring::{self, Ring};
use crate::senders::Senders;
use crate::settings::Settings;
use crate::worker::{Reader, Sockets};

/// A pattern for the name of the function in which a turn is measured.
pub const MEASURED: &str = "*one_measured_turn*";
/// The watchdog of a worker in service: part of a turn is to see whether a sign of life is due.
const WATCHDOG: Duration = Duration::from_secs(10);

/// A worker that makes a turn when it is told to.
pub struct Worker<'w>(Reader<'w, Writer<'w>>);

impl Worker<'_> {
    /// One turn: waits until something can be read, and reads it.
    ///
    /// # Errors
    /// What a worker in service would end with.
    pub fn turn(&mut self) -> Result<(), Failure> {
        self.0.turn()
    }

    /// As [`Worker::turn`], in a function of its own, which [`MEASURED`] names.
    ///
    /// # Errors
    /// As there.
    #[inline(never)]
    pub fn one_measured_turn(&mut self) -> Result<(), Failure> {
        self.0.turn()
    }

    /// What it has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.ring.counters()
    }
}

/// Lets `use_it` have a worker that reads `socket`, with fresh memory and the configuration `settings` (JSON).
///
/// # Errors
/// What `use_it` says, or why there is no such worker.
pub fn with<T>(
    socket: OwnedFd,
    settings: &str,
    use_it: impl FnOnce(Worker<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let failed = |e: std::io::Error| Failure::of("cannot make a worker", &e);
    let foreign = |e: table::Foreign| Failure { what: e.to_string(), errno: 0 };
    let make = |name, head: &[u8], bytes| {
        let fd = segment(name, head, bytes, false)?;
        Mapping::new(fd.as_fd(), bytes).map(|mapping| (fd, mapping))
    };
    let (_, mut seat) = make("seat", &ring::head(), ring::BYTES).map_err(failed)?;
    let (table, memory) = make("table", &table::head([1, 2]), table::BYTES).map_err(failed)?;
    let writer = Writer::new(memory.words()).map_err(foreign)?;
    let senders = Senders::new(&Settings::parse(settings)?, &writer, table.as_fd());
    let (intake, ring) = (Intake::new(senders, writer), Ring::new(&mut seat).map_err(foreign)?);
    let sockets = Sockets::register(vec![socket])?;
    let (parent, _alive) = std::io::pipe().map_err(failed)?;
    let mut life =
        Life::of(parent.into(), Notify::nobody(), Some(WATCHDOG), sockets.poll.registry(), clock::boot())?;
    life.ping_by_timer(sockets.poll.registry())?;
    use_it(Worker(Reader { sockets, ring, intake, life }))
}
