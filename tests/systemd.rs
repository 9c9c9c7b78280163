//! systemd's part, played by the test: what the supervisor says upward, and the sockets that it is started with.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use harness::{
    Builder, Cluster, Ledger, Load, PATIENCE, Place, Strace, as_user, cluster, need_root, python, wait_until,
};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use socket2::{Domain, Socket, Type};

/// What it passes must be open over a fork, and nobody else's cluster is to have it: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts the descriptors of its first argument (`7,9`) at 3 and 4, and becomes the rest.
const PASS: &str = "\
import fcntl, os, sys
passed = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 500) for fd in sys.argv[1].split(',')]
for number, fd in enumerate(passed): os.dup2(fd, 3 + number); os.close(fd)
os.closerange(3 + len(passed), 500)
os.environ['LISTEN_FDS'] = str(len(passed))
os.environ['LISTEN_PID'] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
";

/// The service manager: a socket to be told things, and a store.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    stored: Vec<(String, OwnedFd)>,
    /// Signs of life that it heard.
    alive: usize,
}

impl Manager {
    fn at(place: &Place) -> Manager {
        let path = place.folder().join("manager");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Manager { socket, path, stored: Vec::new(), alive: 0 }
    }

    /// The next message but signs of life; what is to be kept is kept.
    #[track_caller]
    fn hear(&mut self) -> String {
        loop {
            let mut buffer = [0; 4096];
            let message = match sys::fds::receive(self.socket.as_fd(), &mut buffer) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                received => received.expect("a message in time"),
            };
            let text = String::from_utf8_lossy(&buffer[..message.bytes]).into_owned();
            let value =
                |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            let name = value("FDNAME=").to_owned();
            if value("FDSTORE=") == "1" {
                assert_eq!(value("FDPOLL="), "0", "{text}");
                self.stored.extend(message.fds.into_iter().map(|fd| (name.clone(), fd)));
            }
            if value("FDSTOREREMOVE=") == "1" {
                self.stored.retain(|(stored, _)| *stored != name);
            }
            if text != "WATCHDOG=1" {
                return text;
            }
            self.alive += 1;
        }
    }

    /// Signs of life, and nothing else, until there were so many.
    #[track_caller]
    fn hear_life_until(&mut self, signs: usize) {
        while self.alive < signs {
            let mut buffer = [0; 64];
            match self.socket.recv(&mut buffer) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                received => {
                    let length = received.expect("a sign of life in time");
                    assert_eq!(String::from_utf8_lossy(&buffer[..length]), "WATCHDOG=1");
                    self.alive += 1;
                }
            }
        }
    }

    /// Everything up to a message that begins like this, and that one.
    #[track_caller]
    fn hear_until(&mut self, beginning: &str) -> String {
        loop {
            let text = self.hear();
            if text.starts_with(beginning) {
                return text;
            }
        }
    }
}

fn monotonic_micros() -> u128 {
    std::time::Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock")).as_micros()
}

/// A socket as a `.socket` unit makes it.
fn socket(address: SocketAddr, reuse_port: bool) -> OwnedFd {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    socket.set_reuse_port(reuse_port).expect("SO_REUSEPORT");
    socket.bind(&address.into()).expect("bound");
    socket.into()
}

fn address_of(socket: &OwnedFd) -> SocketAddr {
    socket2::SockRef::from(socket).local_addr().expect("its address").as_socket().expect("an IP address")
}

/// A cluster on the address of the first one, started with all of them.
fn passing<'a>(builder: Builder, fds: impl IntoIterator<Item = &'a OwnedFd>) -> Builder {
    let fds: Vec<&OwnedFd> = fds.into_iter().collect();
    for fd in &fds {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).expect("open over a fork");
    }
    let numbers: Vec<String> = fds.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
    builder.wrapped_in(&[python(), "-c", PASS, &numbers.join(",")]).listen(address_of(fds[0]).to_string())
}

/// From now on nobody who is forked gets them.
fn passed<'a>(fds: impl IntoIterator<Item = &'a OwnedFd>) {
    for fd in fds {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("closed over an exec");
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[test]
fn the_manager_hears_of_the_start_of_reloads_of_life_and_of_the_end() {
    let _alone = alone();
    let place = Place::new();
    let mut manager = Manager::at(&place);
    let builder = cluster!().place(&place).env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "200000");
    let cluster = builder.spawn();
    let ready = manager.hear_until("READY=1");
    assert!(
        ready.contains("\nSTATUS=2 workers on UDP 127.0.0.1:") && ready.contains(", generation 1"),
        "{ready}"
    );
    let names: Vec<&str> = manager.stored.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["table", "worker0.seat", "worker0.udp0", "worker1.udp0"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let reloaded = |manager: &mut Manager, since: u128| {
        let reloading = manager.hear_until("RELOADING=1");
        let at =
            reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|at| at.parse::<u128>().ok());
        assert!(at.is_some_and(|at| at >= since && at <= monotonic_micros()), "{reloading} after {since}");
        manager.hear_until("READY=1")
    };
    let since = monotonic_micros();
    cluster.signal(Signal::SIGHUP);
    assert!(reloaded(&mut manager, since).contains(", generation 2"));
    place.write_config("workers = 0");
    let since = monotonic_micros();
    cluster.signal(Signal::SIGHUP);
    let refused = reloaded(&mut manager, since);
    assert!(
        refused.contains("generation 2; last reload refused: ") && refused.contains("workers: `0`"),
        "{refused}"
    );
    place.write_config("");
    let since = monotonic_micros();
    cluster.command(["upgrade"]).expect_code(0);
    assert!(
        reloaded(&mut manager, since).contains(", generation 3"),
        "by a supervisor that was ready before"
    );
    let before = manager.alive;
    manager.hear_life_until(before + 3);
    assert_eq!(cluster.command(["describe", "--json"]).json()["cluster"]["above"]["watchdog_ms"], 200);
    cluster.signal(Signal::SIGTERM);
    manager.hear_until("STOPPING=1");
    assert_eq!(cluster.wait_for_end(), 0);
}

#[test]
fn an_upgrade_waits_for_a_manager_who_does_not_read_without_turning_in_vain() {
    let _alone = alone();
    let place = Place::new();
    let mut manager = Manager::at(&place);
    let cluster = cluster!().place(&place).env("NOTIFY_SOCKET", &manager.path).spawn();
    manager.hear_until("READY=1");
    let full = UnixDatagram::unbound().expect("a socket");
    full.set_nonblocking(true).expect("a mode");
    while full.send_to(b"STATUS=", &manager.path).is_ok() {}
    cluster.command(["reload"]).expect_code(0);
    let strace = Strace::begin(&place, cluster.pid(), &["-e", "trace=epoll_wait,epoll_pwait"]);
    let turns = || strace.said().lines().filter(|line| line.starts_with("epoll_")).count();
    wait_until("strace is attached (as root, or with kernel.yama.ptrace_scope=0)", || turns() > 0);
    std::thread::scope(|scope| {
        let upgrade = scope.spawn(|| cluster.command(["upgrade"]));
        wait_until("the new binary has said that it can", || strace.said().contains("--- SIGCHLD"));
        let before = turns();
        wait_until("some turns are over", || turns() > before + 50);
        let said = strace.said();
        let later = said.lines().filter(|line| line.starts_with("epoll_")).skip(before + 10).take(40);
        // `epoll_wait(3, [], 256, 1) = 0`: nothing happened within a millisecond.
        let ends =
            ["0", "1"].map(|wait| [format!(" [], 256, {wait})"), format!(" [], 256, {wait}, ")]).concat();
        let at_once = |line: &&str| ends.iter().any(|end| line.contains(end));
        let in_vain = later.filter(at_once).count();
        assert!(in_vain < 20, "{in_vain} of 40 turns waited for nothing:\n{said}");
        assert!(!upgrade.is_finished());
        while !manager.hear_until("READY=1").contains(", generation 3") {}
        upgrade.join().expect("its thread").expect_code(0);
    });
    assert_eq!(cluster.list().cluster.upgrades, 1);
    cluster.signal(Signal::SIGTERM);
    manager.hear_until("STOPPING=1");
    assert_eq!(cluster.wait_for_end(), 0);
}

#[test]
fn sockets_that_were_bound_for_the_cluster_are_its_first_slots() {
    let _alone = alone();
    let first = socket(any_port(), true);
    let both = [socket(address_of(&first), true), socket(any_port(), true)];
    let ledger = Ledger::new(1_000_000);
    let config = "[worker]\nmin_uptime = \"0s\"\nexp_backoff_restart_delay = \"0s\"\n";
    let cluster =
        passing(cluster!().workers(4).config(config).ledger(&ledger), [&first, &both[0], &both[1]]).start();
    passed([&first, &both[0], &both[1]]);
    cluster.expect_log("has bound 2 sockets for us");
    assert_eq!(cluster.addresses(), [address_of(&first)]);
    let load = Load::start(&cluster.targets(), 64, 5_000, &ledger);
    ledger.wait_for_more(1000);
    for slot in 0..4 {
        cluster.kill_worker(slot).expect_replaced_after("SIGKILL");
    }
    cluster.command(["reload"]).expect_code(0);
    ledger.wait_for_more(1000);
    load.stop();
    ledger.settle(&cluster);
    assert!(
        cluster.list().workers.iter().all(|worker| worker.counts.datagrams > Some(0)),
        "{:#?}",
        cluster.list()
    );
    let thief = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    thief.set_reuse_address(true).expect("SO_REUSEADDR");
    thief.bind(&address_of(&first).into()).expect_err("the port is sealed");
}

#[test]
fn a_next_supervisor_finds_the_socket_in_the_store_and_from_the_unit_and_takes_it_once() {
    let _alone = alone();
    let place = Place::new();
    let mut manager = Manager::at(&place);
    let own = socket(any_port(), true);
    let ledger = Ledger::new(1_000_000);
    let builder = || {
        cluster!()
            .place(&place)
            .workers(3)
            .ledger(&ledger)
            .env("NOTIFY_SOCKET", place.folder().join("manager"))
    };
    let start = |manager: &mut Manager| -> Cluster {
        let names: Vec<String> = manager.stored.iter().map(|(name, _)| name.clone()).collect();
        let names = std::iter::once("atlas.socket".to_owned()).chain(names).collect::<Vec<_>>().join(":");
        let fds: Vec<&OwnedFd> =
            std::iter::once(&own).chain(manager.stored.iter().map(|(_, fd)| fd)).collect();
        let cluster = passing(builder().env("LISTEN_FDNAMES", names), fds.iter().copied()).spawn();
        cluster.expect_state("online");
        passed(fds);
        cluster
    };
    let before = start(&mut manager);
    manager.hear_until("READY=1");
    ledger.send_to(&before, "one");
    ledger.settle(&before);
    before.signal(Signal::SIGKILL);
    drop(before);
    let after = start(&mut manager);
    after.expect_log("its sockets and counters are taken up, 3 slots");
    ledger.send_to(&after, "two");
    ledger.settle(&after);
    assert_eq!(after.list().cluster.totals.datagrams, Some(2), "counters go on");
}

#[test]
fn a_socket_that_nobody_can_join_is_refused_with_the_way_out() {
    let _alone = alone();
    let lonely = socket(any_port(), false);
    let refused = passing(cluster!(), [&lonely]).run().expect_code(3);
    passed([&lonely]);
    refused.expect_said(&["is bound without SO_REUSEPORT", "hint: ReusePort=yes in the .socket unit"]);
}

#[test]
fn a_socket_of_another_user_is_enough_for_as_many_workers_as_there_are_of_it() {
    need_root();
    let _alone = alone();
    let theirs = as_user(65534, || socket(any_port(), true));
    let refused = passing(cluster!().workers(2), [&theirs]).run().expect_code(3);
    refused.expect_said(&[
        "was made by uid 65534, and we are uid 0: only 1 of 2 workers",
        "hint: one ListenDatagram=",
    ]);
    let ledger = Ledger::new(1000);
    let cluster = passing(cluster!().workers(1).ledger(&ledger), [&theirs]).start();
    passed([&theirs]);
    ledger.send_to(&cluster, "");
    ledger.settle(&cluster);
}
