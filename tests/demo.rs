//! `--demo`: a processor that the cluster's link connects to, at an address that no other demo has.

use harness::{Cluster, Place, Processor, cluster, free_port, process, wait_for, wait_until};
use nix::sys::signal::Signal;

/// Waits until the demo's meters are alive in every respect; the port that its processor listens at.
#[track_caller]
fn expect_music(cluster: &Cluster, address: &str) {
    wait_until("the demo is connected, with names, mutes and levels", || {
        let meters = cluster.meters();
        meters.processor(address).is_some_and(|demo| {
            let alive = |meter: &harness::Meter| meter.fresh && meter.name.is_some() && meter.muted.is_some();
            (demo.name.as_str(), demo.connection.as_str()) == ("demo", "connected")
                && demo.meters.iter().filter(|meter| alive(meter)).count() == 38
        })
    });
}

/// The ports that the log says the demo was connected at.
fn ports(cluster: &Cluster) -> Vec<String> {
    let log = cluster.log();
    let lines = log.lines().filter(|line| line.ends_with(" connected"));
    let port = |line: &str| Some(line.split_once("demo (")?.1.split_once(')')?.0.to_owned());
    lines.filter_map(port).collect()
}

#[test]
fn two_demos_do_not_meet() {
    let clusters = [(); 2].map(|()| cluster!().arg("--demo").start());
    for cluster in &clusters {
        expect_music(cluster, "127.0.0.2");
        cluster.command(["set", "demo", "ZoneGain_0", "-12"]).expect_code(0);
        assert_eq!(cluster.command(["get", "demo", "ZoneGain_0"]).expect_code(0).stdout, "-12\n");
    }
    assert_ne!(ports(&clusters[0]), ports(&clusters[1]));
}

#[test]
fn its_processor_is_found_again_at_the_same_port_whatever_is_replaced() {
    let cluster = cluster!().arg("--demo").start();
    expect_music(&cluster, "127.0.0.2");
    for name in ["simulator", "link", "simulator"] {
        cluster.kill_role(name);
        expect_music(&cluster, "127.0.0.2");
    }
    for order in ["reload", "upgrade"] {
        cluster.command([order]).expect_code(0);
        expect_music(&cluster, "127.0.0.2");
    }
    let mut ports = ports(&cluster);
    ports.dedup();
    assert_eq!(ports.len(), 1, "{ports:?}");
    let lost = || cluster.log().matches(" disconnected: ").count();
    let before = lost();
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_for_end(), 0);
    assert_eq!(cluster.files_left(), Vec::<String>::new());
    assert_eq!(lost(), before, "a stop is no loss");
}

#[test]
fn the_next_supervisor_s_demo_is_found_too() {
    let place = Place::new();
    for _ in 0..2 {
        let cluster = cluster!().place(&place).arg("--demo").start();
        expect_music(&cluster, "127.0.0.2");
        cluster.signal(Signal::SIGKILL);
        wait_until("it is gone", || cluster.try_exit().is_some());
    }
}

#[test]
fn its_port_outlives_the_supervisor_where_a_store_is_above() {
    let nested = cluster!().arg("--demo").start_nested();
    expect_music(&nested.inner, "127.0.0.2");
    for round in 1..=5 {
        let before = nested.inner.list().cluster.pid;
        process::signal(before, Signal::SIGKILL);
        wait_until("the next supervisor is online", || {
            let list = nested.inner.try_list();
            list.is_some_and(|list| list.cluster.pid != before && list.cluster.state == "online")
        });
        expect_music(&nested.inner, "127.0.0.2");
        let ports = wait_for("the log tells of the connection", || {
            Some(ports(&nested.outer)).filter(|ports| ports.len() > round)
        });
        assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }
}

#[test]
fn ipv6_alone_is_enough() {
    let cluster = cluster!().listen("[::1]:0").arg("--demo").start();
    expect_music(&cluster, "::1");
}

#[test]
fn beside_configured_processors_it_is_one_more() {
    let port = free_port();
    let processor = Processor::start("127.0.0.2", port);
    let listen = format!("127.0.0.1:{port}");
    let cluster = cluster!().listen(listen).config(processor.config("bar")).arg("--demo").start();
    expect_music(&cluster, "127.0.0.3");
    wait_until("the other one is connected", || {
        let meters = cluster.meters();
        meters.processor("127.0.0.2").is_some_and(|bar| bar.name == "bar" && bar.connection == "connected")
    });
}

#[test]
fn where_nobody_is_configured_strangers_are_welcome_beside_it() {
    let cluster = cluster!().arg("--demo").start();
    let stranger = std::net::UdpSocket::bind("127.0.3.1:0").expect("a port");
    let update = br#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneMeter_0","val":-7}]}"#;
    stranger.send_to(update, cluster.targets()[0]).expect("sent");
    wait_until("the stranger is shown", || {
        cluster.meters().processor("127.0.3.1").is_some_and(|one| one.connection == "not configured")
    });
    expect_music(&cluster, "127.0.0.2");
}
