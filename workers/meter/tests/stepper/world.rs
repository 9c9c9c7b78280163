//! A slot with its segments, its socket, its files, and the workers that come and go.

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;

use nix::sys::personality::{self, Persona};
use nix::sys::signal::Signal;
use sys::map::Mapping;
use table::counters::{Counter, page};

use super::survey::Point;
use super::traced::Traced;
use super::{Scene, Trial};

/// Room for sequence numbers.
const MARKS: usize = 64;
/// Set in a mark that two batches met.
const DOUBLED: u64 = 1 << 63;
/// The ring's control words, but for the counters: what decides what a successor does. The last one holds the length of
/// the first datagram (mmsghdr, recvmmsg(2)).
const CONTROL: [usize; 8] = [
    page::BATCH,
    page::ARMED,
    page::HINT,
    page::OWNER,
    page::JUDGED,
    page::SUSPECTS,
    page::ASIDE,
    (page::PAGE_BYTES + 56) / 8,
];

/// Their values.
pub(crate) type Control = [u64; CONTROL.len()];

/// A slot with its segments, its socket, its files; and who is to be blamed for the last death.
pub(crate) struct World {
    traced: &'static str,
    dies_of: Signal,
    segment: Mapping,
    segment_fd: OwnedFd,
    table: OwnedFd,
    socket: UdpSocket,
    folder: tempfile::TempDir,
    sent: (u64, u64),
    run: u64,
    blame: String,
    poison_deaths: u64,
}

impl World {
    pub(crate) fn new(scene: &Scene) -> World {
        let role = meter::ROLE.seat.expect("a worker has a segment");
        let segment_fd = sys::map::segment("ring", &(role.head)(), role.bytes, false).expect("a segment");
        let lent = meter::TABLE;
        let table = sys::map::segment("table", &(lent.head)(), lent.bytes, false).expect("a table");
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let marks = File::create(folder.path().join("ledger")).expect("the ledger");
        marks.set_len(MARKS as u64 * 8).expect("room for marks");
        File::create(folder.path().join("quarantine")).expect("the quarantine");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        sys::group::stamp_arrivals(socket.as_fd()).expect("stamps");
        socket.set_nonblocking(true).expect("as the launcher makes it");
        let sender = UdpSocket::bind("127.0.0.2:0").expect("a sender");
        let datagrams = (scene.datagrams)();
        for datagram in &datagrams {
            sender.send_to(datagram, socket.local_addr().expect("bound")).expect("sent");
        }
        let bytes = datagrams.iter().map(Vec::len).sum::<usize>();
        let mut world = World {
            traced: scene.traced,
            dies_of: scene.dies_of,
            segment: Mapping::new(segment_fd.as_fd(), role.bytes).expect("mapped"),
            segment_fd,
            table,
            socket,
            folder,
            sent: (datagrams.len() as u64, bytes as u64),
            run: 0,
            blame: String::new(),
            poison_deaths: 0,
        };
        for _ in 0..scene.deaths_before {
            assert!(!world.live("nothing"), "it dies of the poison");
        }
        world
    }

    /// Starts the next worker.
    fn start(&mut self, traced: &str) -> Child {
        self.run += 1;
        let path = |fd: &OwnedFd| format!("/proc/{}/fd/{}", std::process::id(), fd.as_raw_fd());
        let socket = self.socket.try_clone().expect("a duplicate");
        // Addresses are the same in every life: so are the turns that a copy takes for their alignment.
        personality::set(Persona::ADDR_NO_RANDOMIZE).expect("a personality");
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepped-worker"));
        command.args([traced, &path(&self.segment_fd), &path(&self.table)]);
        command.arg(self.folder.path().join("quarantine")).args([&self.run.to_string(), &self.blame]);
        command.env("ATLAS_CLUSTER_LEDGER", self.folder.path().join("ledger"));
        command.stdin(Stdio::from(OwnedFd::from(socket))).stderr(Stdio::inherit());
        command.spawn().expect("a worker")
    }

    /// A worker that nobody traces lives its life; whether it came to its end.
    fn live(&mut self, traced: &str) -> bool {
        let status = self.start(traced).wait().expect("our child");
        match status.signal() {
            None => {
                assert!(status.success(), "{status:?}");
                true
            }
            Some(signal) => {
                assert_eq!(Signal::try_from(signal), Ok(Signal::SIGABRT));
                self.note_poison_death();
                false
            }
        }
    }

    /// What the supervisor does when one died of a fault; a SIGKILL blames nobody.
    fn note_poison_death(&mut self) {
        self.poison_deaths += 1;
        self.blame = format!("{} SIGABRT", self.run);
    }

    pub(crate) fn start_traced(&mut self) -> Traced {
        let child = self.start(self.traced);
        Traced::new(child)
    }

    /// What decides what a successor does.
    pub(crate) fn control_words(&self) -> Control {
        CONTROL.map(|word| self.segment.words()[word].load(Ordering::Acquire))
    }

    /// Who becomes the owner has forgotten the hint of the one before: else it would be taken for his.
    pub(crate) fn expect_order(&self, before: &Control, now: &Control) {
        let [owner, hint] = [page::OWNER, page::HINT]
            .map(|word| CONTROL.iter().position(|&it| it == word).expect("a control word"));
        assert!(before[owner] == now[owner] || now[hint] & 0xffff == 0, "an owner with another's hint");
    }

    /// The traced one is killed at `point`; others finish.
    pub(crate) fn kill_at(mut self, point: &Point) -> Trial {
        let mut traced = self.start_traced();
        traced.pass_calls(point.calls);
        let (mut before, mut changes) = (self.control_words(), 0);
        while changes < point.changes && traced.step() {
            let now = self.control_words();
            changes += usize::from(now != before);
            before = now;
        }
        for _ in 0..point.steps {
            traced.step();
        }
        if self.dies_of == Signal::SIGKILL {
            traced.kill();
        } else {
            traced.die_of(self.dies_of);
            self.blame = format!("{} {}", self.run, self.dies_of);
        }
        let mut lives = 0;
        while !self.live("nothing") {
            lives += 1;
            assert!(lives < 10, "it does not come to an end");
        }
        self.judge()
    }

    /// Everything that must hold whatever was sent.
    fn judge(&self) -> Trial {
        let (_, counters) = table::counters::read(self.segment.words()).expect("nobody writes");
        let get = |counter| counters.get(counter);
        assert_eq!((get(Counter::Datagrams), get(Counter::Bytes)), self.sent, "{counters:?}");
        assert_eq!(counters.classes(), self.sent.0, "{counters:?}");
        assert_eq!(get(Counter::Readings), get(Counter::Meter), "one level in each");
        let replayed = self.sent.0 - get(Counter::Quarantined);
        assert!([0, replayed].contains(&get(Counter::Replayed)), "all or none: {counters:?}");
        let reasons: u64 = (0..table::counters::REASONS).map(|reason| counters.reason(reason)).sum();
        assert_eq!(reasons, get(Counter::Malformed));
        let marks = std::fs::read(self.folder.path().join("ledger")).expect("the ledger");
        let marks = marks.as_chunks::<8>().0.iter().map(|mark| u64::from_ne_bytes(*mark));
        let marks: Vec<u64> = marks.filter(|&mark| mark != 0).collect();
        assert!(marks.iter().all(|mark| mark & DOUBLED == 0), "something was finished twice");
        let records = std::fs::read_to_string(self.folder.path().join("quarantine")).expect("the quarantine");
        assert!(records.is_empty() || records.ends_with('\n'), "half a record");
        Trial {
            marked: marks.len() as u64,
            poison_deaths: self.poison_deaths,
            meter: get(Counter::Meter),
            malformed: get(Counter::Malformed),
            quarantined: get(Counter::Quarantined),
            records: records.lines().count(),
        }
    }
}
