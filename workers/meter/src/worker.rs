//! The worker: prepare, wait for the seat, finish what the predecessor left, read until told to leave.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use contract::{Blame, Contract, Failure, Life, QUARANTINE, RUNTIME_DIR, SEAT, Seat, clock, counted};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use sys::map::Mapping;
use table::Writer;

use crate::intake::Intake;
use crate::quarantine::Quarantine;
use crate::ring::{self, Ring};
use crate::senders::Senders;
use crate::settings::Settings;
use crate::sink::Sink;
use crate::tap::Tap;

/// Under load, signals and the watchdog get a look after so many batches.
const BATCHES_PER_LOOK: usize = 16;
/// A socket whose receive call fails this often in a row, with nothing received between, is beyond help.
const MAX_ERRORS: usize = 1000;
/// How long a leaving worker goes on emptying its queue; well below any sensible kill timeout, and what is left then
/// is left to the successor.
const DRAIN: Duration = Duration::from_millis(500);

/// The life of the worker.
pub(crate) fn main(mut contract: Contract) -> Result<(), Failure> {
    let settings = Settings::parse(&contract.config()?)?;
    let (seat, table_fd) = (contract.take(SEAT)?, contract.take(crate::TABLE.name)?);
    let mut segment = map(&seat, ring::BYTES)?;
    let table = map(&table_fd, table::STORE_BYTES)?;
    let writer = Writer::new(table.words()).map_err(|e| strange("the meter table", e))?;
    #[cfg(feature = "ledger")]
    let sink = crate::ledger::Ledger::open(writer, contract.instance)?;
    #[cfg(not(feature = "ledger"))]
    let sink = writer;
    let sockets = Sockets::register(contract.take_sockets())?;
    // Where the limit does not allow it, the supervisor has said so.
    let _ = segment.lock_pages();
    #[cfg(feature = "ledger")]
    let after = {
        crate::ledger::perform(&crate::ledger::ordered(contract.instance, "before-ready"));
        // Looked up before READY: whoever ordered it may take the order back once that is heard.
        crate::ledger::ordered(contract.instance, "after-ready")
    };
    contract.notify.ready();
    #[cfg(feature = "ledger")]
    crate::ledger::perform(&after);

    let _seat = Seat::wait(seat.as_fd()).map_err(|e| Failure::of("cannot wait for the slot's lock", &e))?;
    // Only now: what an heir claims in the table before a commit would outlive a reload that fails.
    // Where no link runs, nobody takes back what the last one said of recorders.
    let folder = std::env::var_os(RUNTIME_DIR).filter(|_| settings.processors().next().is_some());
    let tap = Tap::new(folder.map(PathBuf::from), contract.instance);
    let mut intake = Intake::new(Senders::new(&settings, &writer, table_fd.as_fd()), sink).with(tap);
    let mut ring = Ring::new(&mut segment).map_err(|e| strange("the receive ring", e))?;
    let file = contract.take(QUARANTINE).ok();
    if let Some(line) = judge(&mut ring, contract.run, contract.blame.take(), file, contract.instance) {
        contract.notify.status(&line);
    }
    let mut life = Life::begin(contract, sockets.poll.registry(), clock::boot())?;
    life.ping_by_timer(sockets.poll.registry())?;
    let replayed = ring.replay(&mut intake);
    if replayed > 0 {
        life.notify().status(&format!(
            "finished {} that the predecessor had taken",
            counted(replayed as u64, "datagram")
        ));
    }
    let mut reader = Reader { sockets, ring, intake, life };
    while !reader.life.leaving() {
        reader.turn()?;
    }
    reader.life.notify().stopping();
    reader.drain()
}

/// A worker that holds the seat.
pub(crate) struct Reader<'m, S> {
    pub(crate) sockets: Sockets,
    pub(crate) ring: Ring<'m>,
    pub(crate) intake: Intake<S>,
    pub(crate) life: Life,
}

impl<S: Sink> Reader<'_, S> {
    /// Waits until there is something to read, reads it, and says what is to be said of it.
    pub(crate) fn turn(&mut self) -> Result<(), Failure> {
        self.sockets.wait(&mut self.life)?;
        self.sockets.read_some(&mut self.ring, &mut self.intake, BATCHES_PER_LOOK)?;
        if let Some(remark) = self.intake.poll_remark() {
            self.life.notify().status(&remark);
        }
        Ok(())
    }

    /// Empties the queue, within [`DRAIN`].
    fn drain(&mut self) -> Result<(), Failure> {
        let end = clock::boot() + DRAIN;
        while self.sockets.read_some(&mut self.ring, &mut self.intake, BATCHES_PER_LOOK)?
            && self.intake.now() < end
        {}
        Ok(())
    }
}

/// Done first, with the seat in hand: decides whether the predecessor died of the datagram it was at; at the second such
/// death puts it into quarantine. Answers what to tell of it.
pub(crate) fn judge(
    ring: &mut Ring<'_>,
    run: u64,
    blame: Option<Blame>,
    file: Option<OwnedFd>,
    slot: u8,
) -> Option<String> {
    let (dead, how) = blame.map(|blame| (blame.run, blame.how)).unzip();
    let mut quarantine = Quarantine::new(file, slot);
    ring.take_over(run, dead, |batch, index, entry| {
        quarantine.keep(batch, index, entry, how.as_deref().unwrap_or_default())
    })
}

fn map(fd: &OwnedFd, bytes: usize) -> Result<Mapping, Failure> {
    Mapping::new(fd.as_fd(), bytes).map_err(|e| Failure::of("cannot map a lent segment", &e))
}

fn strange(what: &str, why: table::Foreign) -> Failure {
    Failure { what: format!("{what} is not what this version knows: {why}"), errno: 0 }
}

/// The slot's sockets, with what epoll's edges said of them.
pub(crate) struct Sockets {
    pub(crate) poll: Poll,
    events: Events,
    sockets: Vec<Socket>,
}

struct Socket {
    fd: OwnedFd,
    /// Something may wait: until a receive call comes back less than full, since edges come once.
    readable: bool,
    errors: usize,
}

impl Sockets {
    pub(crate) fn register(fds: Vec<OwnedFd>) -> Result<Sockets, Failure> {
        let prepare = || {
            let poll = Poll::new()?;
            for (i, fd) in fds.iter().enumerate() {
                sys::group::stamp_arrivals(fd.as_fd())?;
                poll.registry().register(&mut SourceFd(&fd.as_raw_fd()), Token(i), Interest::READABLE)?;
            }
            std::io::Result::Ok(poll)
        };
        let poll = prepare().map_err(|e| Failure::of("cannot watch the slot's sockets", &e))?;
        // What was queued before we came has no edge of its own that we can count on.
        let sockets = fds.into_iter().map(|fd| Socket { fd, readable: true, errors: 0 }).collect();
        Ok(Sockets { poll, events: Events::with_capacity(64), sockets })
    }

    /// Reads up to `batches` from each socket that may have something; answers whether any still may.
    fn read_some<S: Sink>(
        &mut self,
        ring: &mut Ring<'_>,
        intake: &mut Intake<S>,
        batches: usize,
    ) -> Result<bool, Failure> {
        for socket in &mut self.sockets {
            for _ in 0..batches {
                if !socket.readable {
                    break;
                }
                match ring.receive(socket.fd.as_fd(), intake) {
                    Ok(received) => {
                        // Fewer than asked for: the kernel had no more, and the next arrival is an edge.
                        socket.readable = received == sys::batch::LEN;
                        socket.errors = 0;
                    }
                    Err(_) if socket.errors < MAX_ERRORS => socket.errors += 1,
                    Err(e) => return Err(Failure::of("cannot receive", &e)),
                }
            }
        }
        Ok(self.sockets.iter().any(|socket| socket.readable))
    }

    /// Waits for an event, not at all while something may be there to read.
    fn wait(&mut self, life: &mut Life) -> Result<(), Failure> {
        let wait = self.sockets.iter().any(|socket| socket.readable).then_some(Duration::ZERO);
        match self.poll.poll(&mut self.events, wait) {
            Err(e) if e.kind() != std::io::ErrorKind::Interrupted => {
                return Err(Failure::of("cannot wait", &e));
            }
            Ok(()) | Err(_) => {}
        }
        for event in &self.events {
            if !life.handle(event.token())
                && let Some(socket) = self.sockets.get_mut(event.token().0)
            {
                socket.readable = true;
            }
        }
        Ok(())
    }
}
