//! A worker that can be stopped at each instruction: the real ring, intake and quarantine, without the rest.
//!
//! For `tests/steps.rs`, which traces it. It stops itself (SIGSTOP) where stepping begins and where it ends.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};

use contract::{Blame, Failure};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use sys::map::Mapping;
use table::Writer;

use crate::intake::Intake;
use crate::ledger::Ledger;
use crate::ring::{self, Ring};
use crate::senders::Senders;
use crate::settings::Settings;
use crate::worker::judge;

/// What a stepped worker is told.
pub struct Steps {
    /// Which part is traced.
    pub traced: Traced,
    /// The slot's segment, the table, and the file for what killed workers: paths to open them by.
    pub segment: String,
    /// See `segment`.
    pub table: String,
    /// See `segment`.
    pub quarantine: String,
    /// Its number.
    pub run: u64,
    /// The last death that blames.
    pub blame: Option<Blame>,
}

/// Between which two stops something is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traced {
    /// Nothing: it does everything, until nothing waits.
    Nothing,
    /// Taking the slot over, replaying what is left, receiving.
    All,
    /// Receiving.
    Receive,
}

/// The life of that worker: it takes the slot over, replays, receives until nothing waits.
///
/// # Errors
/// When something lent cannot be used.
pub fn run(steps: Steps, socket: &OwnedFd) -> Result<(), Failure> {
    let failed = |what: &'static str| move |e: std::io::Error| Failure::of(what, &e);
    let open = |path: &str| File::options().read(true).write(true).open(path);
    let segment = open(&steps.segment).map_err(failed("cannot open the segment"))?;
    let table = open(&steps.table).map_err(failed("cannot open the table"))?;
    let quarantine = OpenOptions::new().append(true).read(true).open(&steps.quarantine);
    let quarantine = quarantine.map_err(failed("cannot open the quarantine"))?;
    let mut mapping = Mapping::new(segment.as_fd(), ring::BYTES).map_err(failed("cannot map the segment"))?;
    let memory = Mapping::new(table.as_fd(), table::STORE_BYTES).map_err(failed("cannot map the table"))?;
    let foreign = |e: table::Foreign| Failure { what: e.to_string(), errno: 0 };
    let writer = Writer::new(memory.words()).map_err(foreign)?;
    let senders = Senders::new(&Settings::default(), &writer, table.as_fd());
    let mut intake = Intake::new(senders, Ledger::open(writer, 0)?);
    let mut ring = Ring::new(&mut mapping).map_err(foreign)?;

    if steps.traced != Traced::Nothing {
        ptrace::traceme().map_err(|e| Failure::of("cannot be traced", &e.into()))?;
    }
    stop_if(steps.traced == Traced::All)?;
    judge(&mut ring, steps.run, steps.blame, Some(quarantine.into()), 0);
    ring.replay(&mut intake);
    stop_if(steps.traced == Traced::Receive)?;
    while ring.receive(socket.as_fd(), &mut intake).map_err(failed("cannot receive"))? > 0 {}
    stop_if(steps.traced != Traced::Nothing)
}

fn stop_if(yes: bool) -> Result<(), Failure> {
    if yes {
        raise(Signal::SIGSTOP).map_err(|e| Failure::of("cannot stop", &e.into()))?;
    }
    Ok(())
}
