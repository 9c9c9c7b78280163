//! Refusing: a port that somebody is on, a directory that is taken, a configuration that is wrong.

use std::net::{SocketAddr, UdpSocket};

use harness::{Cluster, Ledger, Load, Options, Output, Place, cluster, free_port};

fn address(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an IP address"), port)
}

/// What `ps` calls this test.
fn own_name() -> String {
    std::fs::read_to_string(format!("/proc/{}/comm", std::process::id()))
        .expect("our own name")
        .trim()
        .to_owned()
}

/// A start on `ours`, while this process is on `theirs` in every way there is.
fn is_refused(ours: &str, theirs: &str) {
    for options in Options::ALL {
        let port = free_port();
        let squatter = options.bind(address(theirs, port)).expect("the squatter has the port");
        let listen = address(ours, port).to_string();
        let output = cluster!().workers(3).listen(&listen).run();
        eprintln!("{options:?} on {theirs}, ours {ours}");
        expect_refusal(output, &listen, &own_name(), std::process::id());
        is_heard(&squatter, address(theirs, port));
    }
}

#[track_caller]
fn expect_refusal(output: Output, listen: &str, name: &str, pid: u32) {
    let output = output.expect_code(3).expect_said(&[
        &format!("cannot bind UDP {listen}: Address already in use"),
        name,
        &format!("pid {pid}"),
        "\nhint: ",
    ]);
    assert!(!output.stderr.contains("online"), "nothing was started: {output:#?}");
}

/// The one who was there first still gets what is sent.
#[track_caller]
fn is_heard(socket: &UdpSocket, at: SocketAddr) {
    let loopback = if at.is_ipv4() { "127.0.0.1" } else { "::1" };
    let sender = UdpSocket::bind((loopback, 0)).expect("a sender");
    sender.send_to(b"still there?", address(loopback, at.port())).expect("sent");
    socket.set_read_timeout(Some(harness::PATIENCE)).expect("a timeout");
    let mut buffer = [0; 64];
    assert_eq!(socket.recv(&mut buffer).expect("heard"), 12);
}

#[test]
fn whoever_is_on_the_same_address_is_respected_and_named() {
    is_refused("127.0.0.1", "127.0.0.1");
}

#[test]
fn whoever_is_on_the_wildcard_is_respected_and_named() {
    is_refused("127.0.0.1", "0.0.0.0");
}

#[test]
fn whoever_is_on_one_address_is_respected_by_the_wildcard() {
    is_refused("0.0.0.0", "127.0.0.1");
}

#[test]
fn whoever_is_on_ipv6_is_respected_and_named() {
    is_refused("::1", "::1");
    is_refused("::1", "::");
    is_refused("::", "::1");
}

#[test]
fn a_dual_stack_start_respects_whoever_is_on_ipv4() {
    is_refused("::", "0.0.0.0");
    is_refused("::", "127.0.0.1");
}

#[test]
fn one_taken_address_of_several_is_enough_to_refuse() {
    let port = free_port();
    let squatter = UdpSocket::bind(("127.0.0.1", port)).expect("the squatter");
    let output = cluster!().listen("127.0.0.2:0").listen(format!("127.0.0.1:{port}")).run();
    expect_refusal(output, &format!("127.0.0.1:{port}"), &own_name(), std::process::id());
    drop(squatter);
}

#[test]
fn another_cluster_on_the_port_is_respected_and_loses_nothing() {
    let ledger = Ledger::new(1_000_000);
    let first = cluster!().workers(3).ledger(&ledger).start();
    let load = Load::start(&first.targets(), 32, 5_000, &ledger);
    let listen = first.addresses()[0].to_string();
    for _ in 0..3 {
        let output = cluster!().workers(3).listen(&listen).run();
        let supervisor = u32::try_from(first.pid()).expect("a pid");
        expect_refusal(output, &listen, "atlas-cluster", supervisor);
    }
    load.stop();
    ledger.settle(&first);
    assert_eq!(first.list().restarts(), 0);
}

#[test]
fn a_second_cluster_in_the_same_directory_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    let first = cluster!().place(&place).start();
    let mut second = std::process::Command::new(first.binary());
    second.args(["start", "--listen", "127.0.0.1:0", "--runtime-dir"]).arg(place.runtime_dir());
    let output = harness::run(second).expect_code(3);
    output.expect_said(&["already runs", &format!("pid {}", first.pid()), "\nhint: "]);
    let list = first.list();
    assert_eq!((list.cluster.state.as_str(), list.restarts()), ("online", 0));
}

#[test]
fn what_a_killed_predecessor_left_is_no_obstacle() {
    let place = Place::new();
    let folder = place.runtime_dir();
    std::fs::create_dir(&folder).expect("the runtime directory");
    for pid in ["4194304\n", "1\n", &format!("{}\n", std::process::id()), "no number", ""] {
        std::fs::write(folder.join("pid"), pid).expect("a stale pid file");
        drop(std::os::unix::net::UnixListener::bind(folder.join("control")).expect("a stale control socket"));
        std::fs::create_dir(folder.join("notify")).expect("a stale folder");
        std::fs::write(folder.join("notify/0.1"), "").expect("a stale line");
        let cluster = cluster!().place(&place).start();
        assert_eq!(cluster.list().cluster.pid, cluster.pid());
        cluster.command(["stop"]).expect_code(0);
        cluster.wait_for_end();
        assert_eq!(cluster.files_left(), Vec::<String>::new());
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_what_was_meant() {
    let text = "# a cluster\nworkers = 2\n\n[worker]\n  max_restart = 4\n";
    let output = cluster!().config(text).run().expect_code(2);
    let output =
        output.expect_said(&["cluster.toml:5:3: ", "max_restart", "did you mean `max_restarts`", "\nhint: "]);
    let lines: Vec<&str> = output.stderr.lines().collect();
    let quoted = lines.iter().position(|line| line.contains("max_restart = 4")).expect("the line is quoted");
    let caret = lines[quoted + 1].find('^').expect("a caret below it");
    assert_eq!(Some(caret), lines[quoted].find("max_restart"), "{}", output.stderr);
    assert!(!output.stderr.contains("online"));
}

#[test]
fn wrong_values_and_wrong_usage_are_refused_with_exit_code_2() {
    for (text, said) in [
        ("workers = 65\n", "workers"),
        ("workers = \"some\"\n", "workers"),
        ("[worker]\nwatchdog = \"1ms\"\n", "worker.watchdog"),
        ("listen = [\"0.0.0.0:1\"]\nlisten = []\n", "duplicate"),
        ("[[processor]]\nname = \"bar\"\n", "address"),
    ] {
        let start = cluster!().listen_as_configured().config(text);
        start.run().expect_code(2).expect_said(&["cluster.toml:", said, "\nhint: "]);
    }
    cluster!().arg("--wrokers").run().expect_code(2);
    let overlapping = cluster!().listen("0.0.0.0:4000").listen("127.0.0.1:4000");
    overlapping.run().expect_code(2).expect_said(&["overlaps", "\nhint: "]);
}

#[test]
fn a_stranger_of_our_own_user_who_joins_the_group_is_named() {
    let cluster: Cluster = cluster!().workers(2).start();
    assert!(cluster.list().cluster.strangers.is_empty());
    let both = Options { reuse_address: true, reuse_port: true };
    let stranger = both.bind(cluster.addresses()[0]).expect("our own user may join");
    let list = cluster.list();
    assert_eq!(list.cluster.strangers.len(), 1, "{list:#?}");
    assert_eq!(list.cluster.strangers[0].pid, i32::try_from(std::process::id()).ok());
    drop(stranger);
    assert!(cluster.list().cluster.strangers.is_empty());
}

/// Whoever stands in the group before one of ours would shift its place, and the steering program would miss it.
#[test]
fn a_cluster_does_not_grow_behind_somebody_in_its_group_and_loses_nothing_to_him() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let ledger = Ledger::new(200_000);
        let cluster = cluster!().workers(2).listen(listen).ledger(&ledger).start();
        let load = Load::start(&cluster.targets(), 64, 5_000, &ledger);
        let shares = Options { reuse_address: false, reuse_port: true };
        let stranger = shares.bind(cluster.addresses()[0]).expect("our own user may join");
        for _ in 0..2 {
            let output = cluster.command(["scale", "4"]).expect_code(1);
            output.expect_said(&["another reader", &format!("pid {}", std::process::id())]).expect_said(&[
                "\nhint: end that process",
                "--share",
                "a user of its own",
            ]);
        }
        stranger.set_nonblocking(true).expect("a socket");
        assert!(stranger.recv(&mut [0; 512]).is_err(), "he gets nothing");
        drop(stranger);
        cluster.command(["scale", "5"]).expect_code(0);
        let late = shares.bind(cluster.addresses()[0]).expect("behind everybody");
        ledger.wait_for_more(1_000);
        cluster.command(["scale", "3"]).expect_code(0);
        ledger.wait_for_more(1_000);
        drop(late);
        ledger.wait_for_more(1_000);
        load.stop();
        ledger.settle(&cluster);
    }
}
