//! The store above the supervisor is slow, or does not read at all: that holds up nobody.
//!
//! The test plays systemd's part: a datagram socket in NOTIFY_SOCKET, read when it likes.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use harness::{Builder, PATIENCE, Place, cluster, process, wait_until};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

/// Whoever started the cluster.
struct Starter {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Starter {
    fn at(place: &Place) -> Starter {
        let path = place.folder().join("above");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Starter { socket, path }
    }

    /// A cluster that tells it how it is.
    fn of(&self, place: &Place) -> Builder {
        let config =
            "[worker]\nmin_uptime = \"0s\"\nexp_backoff_restart_delay = \"0s\"\nlisten_timeout = \"3s\"\n";
        cluster!().place(place).config(config).env("NOTIFY_SOCKET", &self.path)
    }

    /// A socket that sends to it.
    fn sender(&self) -> UnixDatagram {
        let sender = UnixDatagram::unbound().expect("a socket");
        sender.connect(&self.path).expect("it is there");
        sender.set_nonblocking(true).expect("not to wait");
        sender
    }

    /// Takes all the room that there is for messages.
    fn fill(&self) {
        let sender = self.sender();
        while sender.send(b"STATUS=full").is_ok() {}
        assert!(self.is_full());
    }

    /// There is no room for another message.
    fn is_full(&self) -> bool {
        let sender = self.sender();
        let mut looked = [PollFd::new(sender.as_fd(), PollFlags::POLLOUT)];
        poll(&mut looked, PollTimeout::ZERO).expect("a look") == 0
    }

    /// The next message; what came with it is closed.
    #[track_caller]
    fn take(&self) -> String {
        let mut buffer = [0; 4096];
        // A time-out lets no call begin anew that was interrupted (signal(7)).
        let length = loop {
            match self.socket.recv(&mut buffer) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                received => break received.expect("a message in time"),
            }
        };
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// All messages up to one that begins like this.
    #[track_caller]
    fn take_until(&self, last: &str, mut between: impl FnMut()) -> Vec<String> {
        let mut taken = vec![self.take()];
        while !taken.last().is_some_and(|message| message.starts_with(last)) {
            between();
            taken.push(self.take());
        }
        taken
    }
}

/// The name of what is handed up.
fn stored(message: &str) -> Option<&str> {
    message.starts_with("FDSTORE=1").then_some(())?;
    message.lines().find_map(|line| line.strip_prefix("FDNAME="))
}

#[test]
fn who_reads_nothing_any_more_holds_up_neither_restarts_nor_reloads() {
    let place = Place::new();
    let above = Starter::at(&place);
    let cluster = above.of(&place).spawn();
    above.take_until("READY=1", || ());
    for _ in 0..12 {
        cluster.command(["reload"]).expect_code(0);
    }
    for slot in [1, 0] {
        cluster.kill_worker(slot).expect_replaced_after("SIGKILL");
    }
    assert!(!cluster.log().contains("was not ready"), "{}", cluster.log());
}

#[test]
fn who_reads_slowly_hears_every_word() {
    let place = Place::new();
    let above = Starter::at(&place);
    above.fill();
    let cluster = above.of(&place).workers(6).spawn();
    wait_until("a worker is there", || !process::children(cluster.pid()).is_empty());
    assert!(above.is_full(), "nobody has read a word yet");
    let mut was_full = 0;
    let heard = above.take_until("READY=1", || {
        thread::sleep(Duration::from_millis(20));
        was_full += usize::from(above.is_full());
    });
    assert!(was_full > 0, "what was waiting took the room that was made");
    let stored: BTreeSet<&str> = heard.iter().filter_map(|message| stored(message)).collect();
    for worker in 0..6 {
        assert!(stored.contains(format!("worker{worker}.udp0").as_str()), "{stored:?}");
    }
    cluster.expect_state("online");
    cluster.signal(Signal::SIGTERM);
    above.take_until("STOPPING=1", || ());
    assert_eq!(cluster.wait_for_end(), 0);
}

#[test]
fn a_first_start_takes_nothing_back() {
    let place = Place::new();
    let above = Starter::at(&place);
    let cluster = above.of(&place).listen("127.0.0.1:0").listen("[::1]:0").spawn();
    let heard = above.take_until("READY=1", || ());
    assert!(!heard.iter().any(|message| message.starts_with("FDSTOREREMOVE=1")), "{heard:#?}");
    cluster.expect_state("online");
}

#[test]
fn one_line_tells_that_nobody_can_be_told() {
    let cluster = cluster!().env("NOTIFY_SOCKET", "/nowhere/at/all").start();
    assert_eq!(cluster.log().matches("cannot tell whoever started us how we are").count(), 1);
}
