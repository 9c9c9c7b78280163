//! The birth of the role: prepare, wait for the seat, take up what was kept; then the loop, until it is over.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use contract::{Contract, DEMO, DemoPort, Failure, LINK_LOCK, LISTEN, Life, RUNTIME_DIR, SEAT, Seat, clock};
use mio::{Events, Poll, Token};
use nix::fcntl::{Flock, FlockArg};
use sys::map::Mapping;
use table::{LinkWriter, Place, Reader, Writer};

use crate::connection::Connection;
use crate::diary::Diary;
use crate::door::{self, Door};
use crate::peer::{Peer, Tools};
use crate::recorders::Recorders;
use crate::settings::Settings;
use crate::shell::Shell;
use crate::{TABLE, places};

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
    let registry = poll.registry().try_clone().map_err(|e| Failure::of("cannot share the poll", &e))?;
    let tools = Tools { registry, table: link, diary, answers: Vec::new() };
    let mut shell = Shell {
        poll,
        life,
        tools,
        reader,
        peers,
        door,
        requests: Vec::new(),
        recorders,
        reads_levels: settings.reads_levels(),
        next_look: Duration::ZERO,
        leave: settings.leave(),
        leave_by: None,
    };
    let mut events = Events::with_capacity(256);
    while shell.turn(&mut events)? {}
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
