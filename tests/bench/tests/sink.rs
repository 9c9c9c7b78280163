//! The null sink: what it counts is what was sent.

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sys::map::Mapping;
use udp_load::{Amount, Plan, Speed, Way};

/// Words of its page, as `subjects/null.rs` has them.
const RECEIVED: usize = 0;
const READY: usize = 8;
const MARK: usize = 16;

/// Ends with the test.
struct Sink(Child);

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn wait_for(page: &Mapping, word: usize, value: u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let seen = || page.words()[word].load(Ordering::Acquire);
    while seen() != value {
        assert!(Instant::now() < deadline, "word {word} is {}, not {value}", seen());
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn two_sinks_count_every_datagram_once_and_show_marks() {
    let folder = tempfile::tempdir().unwrap();
    // Held while the sinks bind beside it, so that the port stays ours; it gets its share, too.
    let beside = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    beside.set_reuse_port(true).unwrap();
    beside.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    let beside: UdpSocket = beside.into();
    let address = beside.local_addr().unwrap();
    let mut sinks = Vec::new();
    let mut pages = Vec::new();
    for name in ["0", "1"] {
        let path = folder.path().join(name);
        let file = File::options().create_new(true).read(true).write(true).open(&path).unwrap();
        file.set_len(4096).unwrap();
        pages.push(Mapping::of_file(file.as_fd(), 4096).unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        sinks.push(Sink(command.arg("null-sink").arg(address.to_string()).arg(&path).spawn().unwrap()));
    }
    pages.iter().for_each(|page| wait_for(page, READY, 1));
    drop(beside);
    let (speed, amount) = (Speed::paced(50_000.0), Amount::Count(5_000));
    let plan = Plan { speed, amount, row: 8, way: Way::Segments, ..Plan::new(address) };
    assert_eq!(udp_load::run(&plan, &AtomicBool::new(false)).unwrap().sent, 5_000);
    let received = || pages.iter().map(|page| page.words()[RECEIVED].load(Ordering::Acquire)).sum::<u64>();
    let deadline = Instant::now() + Duration::from_secs(30);
    while received() < 5_000 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(received(), 5_000);
    assert!(
        pages.iter().all(|page| page.words()[RECEIVED].load(Ordering::Acquire) > 0),
        "64 senders, two sinks"
    );
    let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
    probe.send_to(&77u64.to_ne_bytes(), address).unwrap();
    let marked = || pages.iter().any(|page| page.words()[MARK].load(Ordering::Acquire) == 77);
    while !marked() {
        assert!(Instant::now() < deadline + Duration::from_secs(30), "no mark");
        thread::sleep(Duration::from_millis(1));
    }
}
