//! A recording between a link and workers that are played here: when it begins, and what is in it when it ends.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use atlas::capture::{From, read_whole};
use contract::tap::{self, Datagram, Head, Message};
use sys::fds::{Wait, send};

use super::output::Counts;
use super::*;

const ACCEPTED: &str = "{\"processor\":\"bar\",\"address\":\"10.0.0.1\",\"datagrams\":true}\n";

/// The runtime directory with link's socket in it.
struct Stage {
    folder: tempfile::TempDir,
    link: UnixListener,
    client: Client,
    wanted: Capture,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let link = UnixListener::bind(folder.path().join(contract::LINK_SOCKET)).unwrap();
        let file = folder.path().join("bar.jsonl");
        let wanted = Capture { processor: "bar".into(), file, duration: None, max_size: 1 << 20 };
        Stage { client: Client::new(folder.path()), folder, link, wanted }
    }

    /// A recording that has asked link, and link's end of the line.
    fn ask(&self) -> (Recording, UnixStream) {
        let output = Output::create(&self.wanted.file, self.wanted.max_size).unwrap();
        let mut recording = Recording::begin(&self.client, &self.wanted, output, None).unwrap();
        assert!(recording.turn(&self.client, &self.wanted).is_none());
        let (line, _) = self.link.accept().unwrap();
        (recording, line)
    }

    /// Goes on until it ends, or `enough`.
    fn turn_until(&self, recording: &mut Recording, enough: impl Fn(&Recording) -> bool) -> Option<End> {
        let (mut events, began) = (Events::with_capacity(16), Instant::now());
        while !enough(recording) {
            assert!(began.elapsed() < PATIENCE * 6, "it does not come to that");
            recording.wait(&mut events, Some(Duration::from_millis(10))).unwrap();
            for event in &events {
                match event.token() {
                    Token(line::LINE) => recording.line.note(),
                    token => recording.taps.note(token),
                }
            }
            let end = recording.turn(&self.client, &self.wanted);
            if end.is_some() {
                return end;
            }
        }
        None
    }

    fn worker(&self) -> OwnedFd {
        let names = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_tap = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("tap.");
        tap::connect(&names.into_iter().find(is_tap).unwrap()).unwrap()
    }

    fn records(&self) -> Vec<Record> {
        read_whole(&std::fs::read(&self.wanted.file).unwrap()[..]).unwrap()
    }
}

/// One datagram in a message, as it came now.
fn hand_over(worker: &OwnedFd, batch: u64) {
    let mut message = Message::default();
    let micros = clock::boot().as_micros() as u64;
    assert!(message.push(&Datagram { index: 0, micros, bytes: b"level" }));
    let bytes = message.finish(Head { slot: 0, batch, left_out: 0 });
    send(worker.as_fd(), bytes, &[], Wait::Never).unwrap();
}

#[test]
fn what_is_handed_over_before_link_has_answered_is_at_the_very_beginning() {
    let stage = Stage::new();
    let (mut recording, mut line) = stage.ask();
    hand_over(&stage.worker(), 1);
    for _ in 0..3 {
        assert!(recording.turn(&stage.client, &stage.wanted).is_none());
    }
    assert!(!recording.has_more(), "nobody spins meanwhile");
    assert_eq!((recording.began, recording.output.counts()), (None, Counts::default()));
    line.write_all(ACCEPTED.as_bytes()).unwrap();
    let end = stage.turn_until(&mut recording, |recording| recording.output.counts().datagrams == 1);
    assert!(end.is_none());
    assert_eq!(stage.records(), [Record { at: Duration::ZERO, from: From::Udp, bytes: b"level".to_vec() }]);
}

#[test]
fn lines_that_came_before_a_refusal_are_kept() {
    let stage = Stage::new();
    let (mut recording, mut line) = stage.ask();
    let record = "{\"t\":1,\"from\":\"tcp\",\"line\":\"hello\"}\n";
    let refusal = "{\"error\":{\"message\":\"it was taken away\",\"hint\":\"bring it back\",\"exit\":2}}\n";
    line.write_all([ACCEPTED, record, refusal].concat().as_bytes()).unwrap();
    let end = stage.turn_until(&mut recording, |_| false);
    let Some(End::Trouble(Error::Refused(trouble))) = end else { panic!("it was refused") };
    assert_eq!((trouble.message.as_str(), trouble.exit), ("it was taken away", FAILED));
    assert_eq!(recording.output.counts(), Counts { lines: 1, datagrams: 0 });
    assert_eq!(stage.records().len(), 1);
}

#[test]
fn what_waits_when_it_ends_is_part_of_it() {
    let stage = Stage::new();
    let (mut recording, mut line) = stage.ask();
    line.write_all(ACCEPTED.as_bytes()).unwrap();
    let worker = stage.worker();
    hand_over(&worker, 1);
    assert!(stage.turn_until(&mut recording, |recording| recording.output.counts().datagrams == 1).is_none());
    for batch in 2..=100 {
        hand_over(&worker, batch);
    }
    line.write_all(b"{\"t\":1,\"from\":\"tcp\",\"line\":\"the last\"}\n").unwrap();
    assert!(recording.last_turns(&stage.client, &stage.wanted).is_none());
    assert_eq!(recording.output.counts(), Counts { lines: 1, datagrams: 100 });
    assert_eq!(stage.records().len(), 101);
}
