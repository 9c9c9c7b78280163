//! Sharing: a port that others are on is joined where that was asked for, and both sides hear.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use harness::{Cluster, Ledger, Load, Options, Place, cluster, datagram, free_port, sender, wait_until};
use nix::sys::signal::Signal;

const SHARES: Options = Options { reuse_address: false, reuse_port: true };
const REUSES_ADDRESS: Options = Options { reuse_address: true, reuse_port: false };

fn address(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an IP address"), port)
}

/// Somebody else on the port, who reads what he gets.
struct Stranger {
    socket: UdpSocket,
    /// One flag for each sequence number.
    got: Vec<AtomicBool>,
    count: AtomicU64,
    ended: AtomicBool,
}

impl Stranger {
    fn on(at: SocketAddr, options: Options, room: usize) -> Stranger {
        let socket = options.bind(at).expect("the stranger is first");
        socket2::SockRef::from(&socket).set_recv_buffer_size(64 << 20).expect("room");
        socket.set_read_timeout(Some(std::time::Duration::from_millis(10))).expect("a timeout");
        let got = (0..room).map(|_| AtomicBool::new(false)).collect();
        Stranger { socket, got, count: AtomicU64::new(0), ended: AtomicBool::new(false) }
    }

    fn read_until_ended(&self) {
        let mut buffer = [0; 512];
        loop {
            let Ok(bytes) = self.socket.recv(&mut buffer) else {
                if self.ended.load(Ordering::Relaxed) {
                    return;
                }
                continue;
            };
            let text = std::str::from_utf8(&buffer[..bytes]).expect("a datagram of the load");
            let (_, seq) = text.split_once("\"seq\":").expect("its number");
            let seq: usize = seq.trim_end_matches('}').parse().expect("a number");
            assert!(!self.got[seq].swap(true, Ordering::Relaxed), "{seq} came twice");
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn heard(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Whatever becomes of the test, the stranger ends.
struct End<'s>(&'s Stranger);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

/// A stranger on `listen`, and `test` with a cluster that shares it; answers what the two sides got together: each
/// datagram once, by one of them.
fn beside_a_stranger(listen: SocketAddr, options: Options, test: impl FnOnce(&Cluster, &Ledger, &Stranger)) {
    let ledger = Ledger::new(2_000_000);
    let stranger = Stranger::on(listen, options, 2_000_000);
    let start = cluster!().workers(3).listen(listen.to_string()).ledger(&ledger).arg("--share");
    thread::scope(|scope| {
        let reader = scope.spawn(|| stranger.read_until_ended());
        let end = End(&stranger);
        let cluster = start.start();
        test(&cluster, &ledger, &stranger);
        wait_until("both sides together got everything", || {
            let verdict = ledger.verdict();
            verdict.seen + stranger.heard() >= verdict.sent
        });
        drop(end);
        reader.join().expect("the stranger reads in peace");
        let verdict = ledger.verdict();
        assert!(verdict.doubled.is_empty(), "{verdict}");
        let theirs = |seq: &u64| stranger.got[usize::try_from(*seq).expect("small")].load(Ordering::Relaxed);
        let lost: Vec<_> = verdict.lost.iter().filter(|seq| !theirs(seq)).collect();
        assert!(lost.is_empty(), "neither side got {lost:?}; the stranger got {}", stranger.heard());
        assert_eq!(verdict.seen + stranger.heard(), verdict.sent, "nobody got what the other got as well");
        assert_eq!(cluster.list().cluster.totals.datagrams, Some(verdict.seen));
        cluster.expect_no_address_in_use();
    });
}

#[track_caller]
fn names_this_test(cluster: &Cluster) {
    let strangers = cluster.list().cluster.strangers;
    let pid = i32::try_from(std::process::id()).ok();
    assert!(strangers.iter().any(|stranger| stranger.pid == pid), "{strangers:?}");
    assert_eq!(strangers.len(), 1, "{strangers:?}");
}

#[test]
fn a_listener_that_sets_so_reuseport_is_joined_and_both_hear_whatever_happens() {
    for ip in ["127.0.0.1", "::1"] {
        beside_a_stranger(address(ip, free_port()), SHARES, |cluster, ledger, stranger| {
            cluster.expect_log("is shared with ").expect_log(&format!("pid {}", std::process::id()));
            cluster.expect_log("as the kernel's hash has it");
            names_this_test(cluster);
            let load = Load::start(&cluster.targets(), 64, 5_000, ledger);
            ledger.wait_for_more(1_000);
            for slot in 0..3 {
                cluster.kill_worker(slot).expect_replaced_after("SIGKILL");
            }
            cluster.command(["reload"]).expect_code(0);
            cluster.command(["restart"]).expect_code(0);
            cluster.signal_worker(1, Signal::SIGSEGV).expect_replaced_after("SIGSEGV");
            ledger.wait_for_more(1_000);
            load.stop();
            wait_until("the stranger heard its part", || stranger.heard() > 0);
            wait_until("every worker heard its part", || {
                let read = ledger.verdict().by_slot;
                read.len() == 3 && read.iter().all(|&read| read > 0)
            });
            names_this_test(cluster);
        });
    }
}

#[test]
fn a_listener_that_sets_so_reuseaddr_alone_is_joined_and_the_log_says_who_gets_what() {
    for (ip, is_ours) in [("127.0.0.1", true), ("::1", false)] {
        beside_a_stranger(address(ip, free_port()), REUSES_ADDRESS, |cluster, ledger, stranger| {
            cluster.expect_log("one side gets every unicast datagram: on IPv4 the one that bound last");
            names_this_test(cluster);
            let to = cluster.targets()[0];
            for number in 0..100 {
                ledger.send(&sender(to, number), to, "");
            }
            let all = || if is_ours { ledger.verdict().seen } else { stranger.heard() };
            wait_until("one side gets all of it", || all() == 100);
        });
    }
}

#[test]
fn one_with_a_more_specific_address_keeps_what_is_sent_there() {
    let port = free_port();
    let both = Options { reuse_address: true, reuse_port: true };
    let stranger = both.bind(address("127.0.0.9", port)).expect("the stranger is first");
    let ledger = Ledger::new(1_000);
    let start = cluster!().listen(format!("0.0.0.0:{port}")).ledger(&ledger).arg("--share");
    let cluster = start.start();
    cluster.expect_log(&format!("on 127.0.0.9:{port}: what is sent to the more specific address"));
    names_this_test(&cluster);
    for number in 0..20 {
        ledger.send_to(&cluster, "");
        sender(address("127.0.0.9", port), number)
            .send_to(&datagram(999, ""), address("127.0.0.9", port))
            .expect("sent");
    }
    ledger.settle(&cluster);
    stranger.set_nonblocking(true).expect("a socket");
    let theirs = std::iter::from_fn(|| stranger.recv(&mut [0; 512]).ok()).count();
    assert_eq!(theirs, 20);
}

#[test]
fn a_listener_with_neither_option_is_refused_and_the_hint_says_what_he_must_set() {
    let port = free_port();
    let _stranger = UdpSocket::bind(("127.0.0.1", port)).expect("the stranger");
    let start = cluster!().listen(format!("127.0.0.1:{port}")).arg("--share");
    let said = ["Address already in use", &format!("pid {}", std::process::id()), "\nhint: ", "SO_REUSEPORT"];
    start.run().expect_code(3).expect_said(&said);
}

#[test]
fn without_share_whoever_could_be_joined_is_refused_and_the_hint_names_the_option() {
    let port = free_port();
    let _stranger = SHARES.bind(address("127.0.0.1", port)).expect("the stranger");
    let start = cluster!().listen(format!("127.0.0.1:{port}"));
    start.run().expect_code(3).expect_said(&["it is held by ", "\nhint: ", "--share"]);
}

#[test]
fn two_clusters_share_a_port_if_both_want_to_and_one_that_steers_is_left_alone() {
    let listen = format!("127.0.0.1:{}", free_port());
    let ledger = Ledger::new(10_000);
    let shared = |place: &Place| {
        cluster!().place(place).workers(2).listen(&listen).ledger(&ledger).env("ATLAS_CLUSTER_SHARE", "true")
    };
    let first = shared(&Place::new()).start();
    assert!(!first.log().contains("is shared with"), "nobody was there: {}", first.log());
    let second = shared(&Place::new()).start();
    second.expect_log(&format!("is shared with atlas-cluster (pid {}", first.pid()));
    assert_eq!(first.list().cluster.strangers[0].pid, Some(second.pid()));
    assert_eq!(second.list().cluster.strangers[0].pid, Some(first.pid()));
    let to = first.targets()[0];
    for number in 0..400 {
        ledger.send(&sender(to, number), to, "");
    }
    wait_until("everything is read", || ledger.verdict().seen == 400);
    let heard = |cluster: &Cluster| cluster.list().cluster.totals.datagrams.unwrap_or(0);
    wait_until("and counted", || heard(&first) + heard(&second) == 400);
    assert!(heard(&first) > 0 && heard(&second) > 0);
    drop((first, second));

    let steered = cluster!().listen(&listen).start();
    let refused = shared(&Place::new()).run().expect_code(3);
    refused.expect_said(&["held by atlas-cluster", &format!("pid {}", steered.pid()), "--share"]);
    assert!(steered.list().cluster.strangers.is_empty());
}

#[test]
fn nobody_there_is_no_obstacle_and_whoever_comes_later_gets_in() {
    let ledger = Ledger::new(1_000);
    let cluster = cluster!().config("share = true\n").ledger(&ledger).start();
    for _ in 0..20 {
        ledger.send_to(&cluster, "");
    }
    ledger.settle(&cluster);
    for options in [SHARES, REUSES_ADDRESS] {
        let stranger = options.bind(cluster.addresses()[0]).expect("the port is open");
        names_this_test(&cluster);
        drop(stranger);
    }
}

#[test]
fn share_cannot_be_changed_by_a_reload_nor_go_with_spread() {
    let cluster = cluster!().config("").start();
    cluster.place().write_config("share = true\n");
    cluster.command(["reload"]).expect_code(2).expect_said(&["cannot change `share`", "hint: "]);
    cluster.place().write_config("share = true\nbalance = \"spread\"\n");
    cluster.command(["reload"]).expect_code(2).expect_said(&["does not go with `share`", "hint: "]);
    assert_eq!(cluster.list().cluster.generation, 1);
    let both = cluster!().arg("--share").arg("--balance").arg("spread");
    both.run().expect_code(2).expect_said(&["--balance: ", "does not go with `share`", "hint: "]);
}

#[test]
fn what_a_killed_cluster_leaves_behind_steers_no_shared_port() {
    let listen = format!("127.0.0.1:{}", free_port());
    let steered = cluster!().workers(2).listen(&listen).start();
    steered.signal(Signal::SIGKILL);
    let ledger = Ledger::new(1_000);
    let shared = cluster!().workers(4).listen(&listen).ledger(&ledger).arg("--share").start();
    let to = shared.targets()[0];
    for number in 0..400 {
        ledger.send(&sender(to, number), to, "");
    }
    let verdict = ledger.settle(&shared);
    assert!(verdict.by_slot.len() == 4 && verdict.by_slot.iter().all(|&read| read > 0), "{verdict}");
    assert!(!shared.log().contains("is shared with"), "nobody is there any more: {}", shared.log());
}
