//! A supervisor for tests: it listens, and says what it was told to say.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use table::counters::{Counter, Counters, Faces, page_head};

use crate::wire::{
    Answer, CONTROL_SOCKET, Cluster, Configured, Counts, Heir, LastExit, LastReload, List, Request, RoleRow,
    Segment, Trouble, View, Worker,
};

/// What it says to one request.
pub(super) enum Say {
    /// Nothing; the connection stays.
    Nothing,
    /// Nothing; the connection ends.
    Close,
    /// These bytes, and then the connection ends.
    Bytes(Vec<u8>),
    /// This answer.
    Answer(Box<Answer>, Vec<OwnedFd>),
}

impl Say {
    /// An answer without descriptors.
    pub(super) fn answer(answer: Answer) -> Say {
        Say::Answer(Box::new(Answer { version: env!("CARGO_PKG_VERSION").into(), ..answer }), Vec::new())
    }

    /// A refusal.
    pub(super) fn trouble(message: &str, hint: Option<&str>, exit: u8) -> Say {
        let trouble = Trouble { message: message.into(), hint: hint.map(Into::into), exit };
        Say::answer(Answer { error: Some(trouble), ..Answer::default() })
    }

    /// A view, with what is lent.
    pub(super) fn view(view: View, fds: Vec<OwnedFd>) -> Say {
        let answer = Answer {
            version: env!("CARGO_PKG_VERSION").into(),
            view: Some(Box::new(view)),
            ..Answer::default()
        };
        Say::Answer(Box::new(answer), fds)
    }
}

/// The supervisor; gone when dropped, its socket too.
pub(super) struct Fake {
    dir: tempfile::TempDir,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// Answers each request by `script`.
    pub(super) fn new(script: impl Fn(&Request) -> Say + Send + 'static) -> Fake {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(CONTROL_SOCKET)).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                silent.extend(serve(stream, &script));
            }
        });
        Fake { dir, over, thread: Some(thread) }
    }

    /// Its runtime directory.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = UnixStream::connect(self.dir.path().join(CONTROL_SOCKET));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// One request, one answer; gives the connection back if it is to stay open.
fn serve(mut stream: UnixStream, script: &impl Fn(&Request) -> Say) -> Option<UnixStream> {
    let mut line = String::new();
    BufReader::new(stream.try_clone().ok()?).read_line(&mut line).ok()?;
    let request: Request = serde_json::from_str(&line).expect("a request is one line of JSON");
    assert_eq!(request.version, env!("CARGO_PKG_VERSION"));
    match script(&request) {
        Say::Nothing => return Some(stream),
        Say::Close => {}
        Say::Bytes(bytes) => stream.write_all(&bytes).ok()?,
        Say::Answer(answer, fds) => {
            let mut line = serde_json::to_vec(&answer).unwrap();
            line.push(b'\n');
            let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
            let sent = sys::fds::send(stream.as_fd(), &line, &fds, sys::fds::Wait::ForRoom).ok()?;
            stream.write_all(&line[sent..]).ok()?;
        }
    }
    None
}

/// Size of the rings it lends.
pub(super) const RING_BYTES: usize = 8192;

/// A ring's segment that counted `datagrams`, of them `malformed` malformed ones and the rest meters.
pub(super) fn ring(datagrams: u64, malformed: u64) -> OwnedFd {
    let fd = sys::map::segment("ring", &page_head(RING_BYTES), RING_BYTES, false).unwrap();
    let mapping = sys::map::Mapping::new(fd.as_fd(), RING_BYTES).unwrap();
    let mut counters = Counters::default();
    for (counter, amount) in [
        (Counter::Datagrams, datagrams),
        (Counter::Bytes, datagrams * 80),
        (Counter::Meter, datagrams - malformed),
        (Counter::Malformed, malformed),
        (Counter::Readings, datagrams - malformed),
    ] {
        counters.add(counter, amount);
    }
    (0..malformed).for_each(|_| counters.add_reason(2));
    Faces::new(mapping.words(), RING_BYTES).unwrap().commit(&counters);
    fd
}

/// A fresh table's segment.
pub(super) fn table() -> OwnedFd {
    sys::map::segment("table", &table::head([1, 2]), table::BYTES, false).unwrap()
}

/// A table and rings of the slots `0 … rings - 1`, as a view names them.
pub(super) fn segments(rings: u8) -> Vec<Segment> {
    let table = Segment { name: "table".into(), slot: None, bytes: table::BYTES as u64 };
    let ring = |slot| Segment { name: "ring".into(), slot: Some(slot), bytes: RING_BYTES as u64 };
    std::iter::once(table).chain((0..rings).map(ring)).collect()
}

/// A role that is well.
fn simulator() -> RoleRow {
    RoleRow {
        name: "simulator".into(),
        pid: Some(4_000_020),
        state: "online".into(),
        restarts: 0,
        uptime_s: Some(4_000.0),
        last_exit: None,
        heir: None,
        leaving: Vec::new(),
        memory_bytes: None,
        cpu_percent: None,
    }
}

/// A view of a cluster of four that has seen trouble; nothing of it exists.
pub(super) fn view() -> View {
    let worker = |id: u8, pid: Option<u32>, state: &str| Worker {
        id,
        pid,
        role: "meter".into(),
        state: state.into(),
        health_asked: false,
        generation: 1,
        restarts: 0,
        uptime_s: pid.map(|_| 4_000.4),
        last_exit: None,
        heir: None,
        leaving: Vec::new(),
        memory_bytes: None,
        cpu_percent: None,
        counts: Counts { dropped: Some(0), ..Counts::default() },
        queue_bytes: Some(0),
        malformed_by_reason: Some(Default::default()),
    };
    let killed = LastExit { code: None, signal: Some("SIGSEGV".into()), at: "2026-01-31T18:30:00Z".into() };
    let exited = LastExit { code: Some(1), ..LastExit { signal: None, ..killed.clone() } };
    let heir = Heir { pid: Some(4_000_011), state: "launching".into(), health_asked: false, generation: 2 };
    let mut workers = vec![
        worker(0, Some(4_000_001), "online"),
        Worker {
            restarts: 3,
            last_exit: Some(killed),
            uptime_s: Some(12.5),
            ..worker(1, Some(4_000_002), "online")
        },
        Worker { restarts: 17, last_exit: Some(exited), ..worker(2, None, "waiting restart") },
        Worker { heir: Some(heir), queue_bytes: Some(70_000), ..worker(3, Some(4_000_004), "online") },
    ];
    workers[2].counts.dropped = Some(1234);
    let reload = LastReload {
        result: "failed".into(),
        generation: 2,
        error: Some("worker 1 exited with code 1".into()),
    };
    let cluster = Cluster {
        pid: 4_000_000,
        version: "0.1.0".into(),
        state: "degraded".into(),
        generation: 1,
        upgrades: 0,
        uptime_s: 4_001.0,
        started_at: "2026-01-31T17:23:00Z".into(),
        listen: vec!["0.0.0.0:3131".into()],
        http: None,
        workers_wanted: 4,
        last_reload: Some(reload),
        totals: Counts { dropped: Some(1234), ..Counts::default() },
        retired_queue_bytes: 0,
        strangers: Vec::new(),
    };
    View {
        list: List { schema: 1, cluster, workers, roles: vec![simulator()] },
        processors: vec![Configured { name: "bar".into(), address: "192.168.5.101".parse().unwrap() }],
        accepts_unknown: true,
        worker_uid: None,
        stale_after_ms: 3000,
        segments: segments(4),
    }
}
