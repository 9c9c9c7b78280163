//! The role: prepare, wait for the seat, connect, and go on until told to leave.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use atlas::capture::{self, From, Record};
use atlas::order::{Refusal, Reply, Request};
use atlas::recording::{Accepted, Asked, Subscription};
use atlas::{Kind, MeterId};
use contract::{Contract, DEMO, DemoPort, Failure, LINK_LOCK, LISTEN, Life, RUNTIME_DIR, SEAT, Seat, clock};
use mio::{Events, Poll, Token};
use nix::fcntl::{Flock, FlockArg};
use sys::map::Mapping;
use table::{LinkWriter, Place, Reader, Writer};

use crate::connection::{Connection, Outcome, Ticket};
use crate::diary::{self, Diary};
use crate::door::{self, Door};
use crate::peer::{Peer, Tools};
use crate::recorders::Recorders;
use crate::settings::Settings;
use crate::{TABLE, places, reply};

/// How often a demo that has told no port yet is looked for.
const PORT: Duration = Duration::from_millis(20);
/// How often the table is looked at for meters that are silent.
const LOOK: Duration = Duration::from_millis(500);

/// The life of the role.
pub(crate) fn main(mut contract: Contract) -> Result<(), Failure> {
    let settings = Settings::parse(&contract.config()?)?;
    let (seat, table_fd) = (contract.take(SEAT)?, contract.take(TABLE.name)?);
    let table = Mapping::new(table_fd.as_fd(), table::BYTES)
        .map_err(|e| Failure::of("cannot map the meter table", &e))?;
    let demo = DemoPort::of(contract.take(DEMO.name)?.as_fd())
        .map_err(|e| Failure::of("cannot map the page of the demo's port", &e))?;
    let kept = contract.take_stored().into_iter().find(|(name, _)| name == door::KEPT).map(|(_, fd)| fd);
    let poll = Poll::new().map_err(|e| Failure::of("cannot make a poll", &e))?;
    contract.notify.ready();
    // Declared before every socket: it is let go after the last of them is closed.
    let _seat = Seat::wait(seat.as_fd()).map_err(|e| Failure::of("cannot wait for the slot's lock", &e))?;

    let mut diary = Diary::default();
    let folder = std::env::var_os(RUNTIME_DIR).map(PathBuf::from);
    let _folder = folder.as_deref().map(|folder| lock(folder, &mut diary));
    let door = folder.as_deref().and_then(|folder| open_door(kept, folder, &contract, &poll, &mut diary));
    let words = table.words();
    let peers = peers(&settings, words, &table_fd, &Rc::new(demo), &mut diary)?;
    let link = LinkWriter::new(words).map_err(strange)?;
    let reader = Reader::new(words).map_err(strange)?;
    let places = peers.iter().enumerate().filter_map(|(peer, one)| Some((peer, one.place?)));
    let recorders = Recorders::adopt(clock::boot(), places, link, folder);
    let life = Life::begin(contract, poll.registry(), clock::boot())?;
    let mut shell = Shell {
        poll,
        life,
        link,
        reader,
        peers,
        door,
        diary,
        requests: Vec::new(),
        recorders,
        reads_levels: settings.reads_levels(),
        next_look: Duration::ZERO,
    };
    let mut events = Events::with_capacity(256);
    while !shell.life.leaving() {
        shell.turn(&mut events)?;
    }
    shell.life.notify().stopping();
    Ok(())
}

fn strange(why: table::Foreign) -> Failure {
    Failure { what: format!("the meter table is not what this version knows: {why}"), errno: 0 }
}

/// A link whose supervisor was killed lives on for milliseconds, and its seat is not that of the next cluster: but their
/// folder is the same one. The lock (flock(2)) is let go with the descriptor. A file of link's own: the folder itself may
/// be locked by the logger.
fn lock(folder: &Path, diary: &mut Diary) -> Option<Flock<File>> {
    let path = folder.join(LINK_LOCK);
    let opened = File::options().create(true).append(true).mode(0o600).open(&path);
    let locked = opened.and_then(|file| {
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, e)| std::io::Error::from(e))
    });
    locked.inspect_err(|e| diary.note(true, format!("cannot lock {}: {e}", path.display()))).ok()
}

/// Without it meters flow all the same.
fn open_door(
    kept: Option<OwnedFd>,
    folder: &Path,
    contract: &Contract,
    poll: &Poll,
    diary: &mut Diary,
) -> Option<Door> {
    match Door::open(kept, folder, &contract.notify, poll.registry()) {
        Ok(door) => Some(door),
        Err(e) => {
            diary.note(true, format!("cannot take commands in {}: {e}", folder.display()));
            None
        }
    }
}

/// One for each processor of the configuration.
fn peers(
    settings: &Settings,
    words: &[std::sync::atomic::AtomicU64],
    segment: &OwnedFd,
    demo: &Rc<DemoPort>,
    diary: &mut Diary,
) -> Result<Vec<Peer>, Failure> {
    let writer = Writer::new(words).map_err(strange)?;
    let link = LinkWriter::new(words).map_err(strange)?;
    let addresses: Vec<IpAddr> = settings.processors().iter().map(|one| one.address().ip()).collect();
    let places = places::claim(&addresses, &writer, &link, segment.as_fd());
    let listen: Rc<str> = std::env::var(LISTEN).unwrap_or_default().into();
    let now = clock::boot();
    let make = |(index, (processor, place)): (usize, (&crate::settings::Processor, Option<Place>))| {
        if place.is_none() {
            diary.note(true, format!("{} has no place in the meter table: it is full", processor.name));
        }
        let address = processor.address();
        let connection = Connection::new(now, random(), settings.reads_levels());
        let peer =
            Peer::new(processor.name.clone(), address, place, Rc::clone(&listen), Token(index), connection);
        peer.with_demo((address.port() == 0).then(|| Rc::clone(demo)))
    };
    Ok(settings.processors().iter().zip(places).enumerate().map(make).collect())
}

/// A number that differs from process to process.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A command that is under way: who asked, what it is about.
struct Command {
    ticket: Ticket,
    peer: usize,
    param: String,
}

/// Everything that a turn works with.
struct Shell<'a> {
    // Dropped in this order: sockets first.
    peers: Vec<Peer>,
    door: Option<Door>,
    poll: Poll,
    life: Life,
    link: LinkWriter<'a>,
    reader: Reader<&'a [std::sync::atomic::AtomicU64]>,
    diary: Diary,
    requests: Vec<Command>,
    recorders: Recorders,
    /// Whether the workers that read the datagrams are ours.
    reads_levels: bool,
    next_look: Duration,
}

impl Shell<'_> {
    /// Waits, takes what came, and only then judges what did not come.
    fn turn(&mut self, events: &mut Events) -> Result<(), Failure> {
        let full = self.diary.flush(self.life.notify());
        self.wait(events, full)?;
        for event in events.iter() {
            let Token(index) = event.token();
            let ours = self.life.handle(event.token())
                || self.door.as_mut().is_some_and(|door| door.note(event.token()));
            if !ours && let Some(peer) = self.peers.get_mut(index) {
                peer.note(event);
            }
        }
        if self.life.leaving() {
            return Ok(()); // a demo that leaves with us is no loss to be told
        }
        let mut answers = Vec::new();
        self.with_peers(&mut answers, |peer, now, tools| peer.work(now, tools));
        self.take_requests(&mut answers);
        self.record();
        self.look(&mut answers);
        self.with_peers(&mut answers, |peer, now, tools| {
            if peer.deadline() <= now {
                peer.tick(now, tools);
            }
        });
        answers.into_iter().for_each(|(ticket, outcome)| self.answer(ticket, outcome));
        Ok(())
    }

    fn wait(&mut self, events: &mut Events, full: bool) -> Result<(), Failure> {
        let now = clock::boot();
        let more = self.door.as_ref().is_some_and(Door::has_more);
        let due = self.peers.iter().map(Peer::deadline).fold(self.next_look, Duration::min);
        let due = self.peers.iter().filter_map(Peer::more_at).fold(due, Duration::min);
        let mut wait = if more { Duration::ZERO } else { due.saturating_sub(now) };
        if self.peers.iter().any(Peer::waits_for_port) {
            wait = wait.min(PORT);
        }
        wait = self.life.poll_wait(now).map_or(wait, |ping| ping.min(wait));
        if full {
            wait = wait.min(diary::RETRY);
        }
        // Up to the next millisecond: epoll knows none between.
        let wait = Duration::from_millis(u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
        match self.poll.poll(events, Some(wait)) {
            Err(e) if e.kind() != std::io::ErrorKind::Interrupted => Err(Failure::of("cannot wait", &e)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn with_peers(
        &mut self,
        answers: &mut Vec<(Ticket, Outcome)>,
        mut work: impl FnMut(&mut Peer, Duration, &mut Tools<'_>),
    ) {
        let now = clock::boot();
        let mut tools =
            Tools { registry: self.poll.registry(), table: self.link, diary: &mut self.diary, answers };
        self.peers.iter_mut().for_each(|peer| work(peer, now, &mut tools));
    }

    /// Tells each connection when its meters were heard.
    fn look(&mut self, answers: &mut Vec<(Ticket, Outcome)>) {
        let now = clock::boot();
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK;
        let mut tools =
            Tools { registry: self.poll.registry(), table: self.link, diary: &mut self.diary, answers };
        for peer in &mut self.peers {
            let Some(place) = peer.place else { continue };
            let heard: Vec<(MeterId, Duration)> = self
                .reader
                .meters(place)
                .filter_map(|meter| {
                    let kind = *Kind::ALL.get(usize::from(meter.kind))?;
                    Some((MeterId { kind, index: meter.index }, Duration::from_micros(meter.micros)))
                })
                .collect();
            peer.heard(now, &heard, &mut tools);
        }
    }

    fn take_requests(&mut self, answers: &mut Vec<(Ticket, Outcome)>) {
        let Some(door) = &mut self.door else { return };
        for (ticket, asked) in door.poll_requests(self.poll.registry()) {
            match asked {
                Asked::Param(request) => self.take_request(ticket, request, answers),
                Asked::Recording(wanted) => self.begin_recording(ticket, &wanted),
            }
        }
    }

    /// The number of the processor of that name or address.
    fn peer(&self, name: &str) -> Result<usize, Refusal> {
        let address = name.parse().ok();
        let wanted = |peer: &Peer| peer.name == name || Some(peer.address.ip()) == address;
        self.peers.iter().position(wanted).ok_or_else(|| {
            let known: Vec<&str> = self.peers.iter().map(|peer| peer.name.as_str()).collect();
            reply::unknown_processor(name, &known)
        })
    }

    fn begin_recording(&mut self, ticket: Ticket, wanted: &Subscription) {
        let begun = self.peer(&wanted.processor).and_then(|at| {
            let is_followed = self.door.as_ref().is_some_and(|door| door.is_followed(at));
            let peer = &mut self.peers[at];
            self.recorders.begin(at, peer.place, wanted.recorder, is_followed, self.link).map_err(|why| {
                Refusal { message: format!("cannot record {}: {}", peer.name, why.message), ..why }
            })?;
            peer.is_recorded = true;
            let (processor, address) = (peer.name.clone(), peer.address.ip());
            Ok((at, Accepted { processor, address, datagrams: self.reads_levels }))
        });
        let Some(door) = &mut self.door else { return };
        match begun {
            Ok((at, accepted)) => {
                door.follow(ticket, at);
                door.answer(ticket, &accepted);
            }
            Err(error) => door.answer(ticket, &Reply { error: Some(error), ..Reply::default() }),
        }
    }

    /// Tells recorders what was heard in this turn, and notices those who hung up.
    fn record(&mut self) {
        let Some(door) = self.door.as_mut().filter(|_| !self.recorders.is_empty()) else { return };
        let now = clock::boot();
        for (at, peer) in self.peers.iter_mut().enumerate().filter(|(_, peer)| peer.is_recorded) {
            for bytes in peer.take_heard() {
                let mut text = Vec::new();
                // Nothing fails that writes to memory.
                let _ = capture::write(&mut text, &Record { at: now, from: From::Tcp, bytes });
                door.tell(at, &text);
            }
        }
        for at in self.recorders.prune(now, |peer| door.is_followed(peer), self.link) {
            self.peers[at].is_recorded = false;
        }
    }

    fn take_request(&mut self, ticket: Ticket, request: Request, answers: &mut Vec<(Ticket, Outcome)>) {
        let peer = self.peer(&request.processor);
        match peer.and_then(|peer| Ok((peer, request.check()?))) {
            Ok((peer, order)) => {
                self.requests.push(Command { ticket, peer, param: order.param.clone() });
                let mut tools = Tools {
                    registry: self.poll.registry(),
                    table: self.link,
                    diary: &mut self.diary,
                    answers,
                };
                self.peers[peer].command(clock::boot(), ticket, &order, &mut tools);
            }
            Err(error) => {
                let reply = Reply { error: Some(error), ..Reply::default() };
                self.door.iter_mut().for_each(|door| door.answer(ticket, &reply));
            }
        }
    }

    fn answer(&mut self, ticket: Ticket, outcome: Outcome) {
        let Some(at) = self.requests.iter().position(|asked| asked.ticket == ticket) else { return };
        let asked = self.requests.swap_remove(at);
        let reply = reply::of(outcome, &self.peers[asked.peer].name, &asked.param);
        self.door.iter_mut().for_each(|door| door.answer(ticket, &reply));
    }
}
