//! Starting: any number of workers on one port, on any kind of address; or a reason, and nothing left.

use std::collections::BTreeSet;

use harness::{Cluster, Ledger, Load, cluster, free_port, process, sender, wait_for, wait_until};

fn starts(workers: usize) {
    let cluster = cluster!().workers(workers).start();
    let list = cluster.list();
    assert_eq!(list.schema, 1);
    assert_eq!((list.cluster.pid, list.cluster.workers_wanted), (cluster.pid(), workers));
    assert_eq!(
        list.workers.iter().map(|worker| worker.id).collect::<Vec<_>>(),
        (0..workers).collect::<Vec<_>>()
    );
    assert!(list.workers.iter().all(|worker| worker.state == "online" && worker.restarts == 0), "{list:#?}");
    let pids: BTreeSet<_> = list.pids().into_iter().flatten().collect();
    assert_eq!(pids.len(), workers, "each has a process of its own: {pids:?}");
    for worker in &list.workers {
        let process = worker.pid.and_then(process::find).expect("a worker's process");
        assert_eq!(process.title, format!("atlas-cluster: meter {} gen 1", worker.id));
        assert_eq!(process.parent, cluster.pid());
        let line = format!("worker {} gen 1 pid {} online", worker.id, process.pid);
        assert_eq!(cluster.log().matches(&line).count(), 1, "one line for each worker: {line}");
    }
    cluster.expect_no_address_in_use();
}

#[test]
fn one_worker_has_the_port() {
    starts(1);
}

#[test]
fn four_workers_share_a_port() {
    starts(4);
}

#[test]
fn sixteen_workers_share_a_port() {
    starts(16);
}

#[test]
fn sixty_four_workers_share_a_port_and_every_one_of_them_reads() {
    let ledger = Ledger::new(200_000);
    let cluster = cluster!().workers(64).ledger(&ledger).start();
    cluster.expect_no_address_in_use();
    let load = Load::start(&cluster.targets(), 640, 20_000, &ledger);
    ledger.wait_for_more(10_000);
    load.stop();
    let verdict = ledger.settle(&cluster);
    assert_eq!(verdict.by_slot.len(), 64);
    assert!(verdict.by_slot.iter().all(|&read| read > 0), "{verdict}");
}

#[test]
fn port_0_is_told_and_every_worker_is_on_it() {
    let cluster = cluster!().workers(3).start();
    let listen = cluster.list().cluster.listen;
    assert_eq!(listen.len(), 1);
    assert!(listen[0].starts_with("127.0.0.1:") && !listen[0].ends_with(":0"), "{listen:?}");
    let port = format!("{:04X}", cluster.port());
    let table = std::fs::read_to_string("/proc/net/udp").expect("the table of sockets");
    let bound = table.lines().filter(|line| line.contains(&format!("0100007F:{port} "))).count();
    assert_eq!(bound, 3, "one socket for each worker");
}

#[test]
fn ipv6_is_heard_and_shown() {
    let ledger = Ledger::new(1000);
    let cluster = cluster!().listen("[::1]:0").ledger(&ledger).start();
    let to = cluster.targets()[0];
    assert!(to.is_ipv6());
    for number in 0..20 {
        ledger.send(&sender(to, number), to, "");
    }
    ledger.settle(&cluster);
    assert!(cluster.meters().meter("::1", "ZoneMeter_0").is_some(), "{:#?}", cluster.meters());
}

#[test]
fn a_dual_stack_address_hears_both_and_shows_ipv4_as_ipv4() {
    let ledger = Ledger::new(100_000);
    let cluster = cluster!().workers(3).listen("[::]:0").ledger(&ledger).start();
    assert_eq!(cluster.targets().len(), 2, "{:?}", cluster.targets());
    let load = Load::start(&cluster.targets(), 64, 10_000, &ledger);
    ledger.wait_for_more(2_000);
    load.stop();
    let verdict = ledger.settle(&cluster);
    assert!(verdict.by_slot.iter().all(|&read| read > 0), "both kinds are spread: {verdict}");
    let meters = cluster.meters();
    assert!(meters.processor("::1").is_some(), "{meters:#?}");
    assert!(meters.processor("127.0.0.2").is_some(), "{meters:#?}");
    assert!(meters.processors.iter().all(|one| !one.address.contains("ffff")), "{meters:#?}");
}

#[test]
fn several_addresses_are_heard_by_the_same_workers() {
    let ledger = Ledger::new(100_000);
    let cluster = cluster!()
        .workers(2)
        .listen("127.0.0.1:0")
        .listen("127.0.0.2:0")
        .listen("[::1]:0")
        .ledger(&ledger)
        .start();
    let targets = cluster.targets();
    assert_eq!(targets.len(), 3);
    assert!(targets.iter().all(|target| target.port() != 0), "{targets:?}");
    let load = Load::start(&targets, 60, 5_000, &ledger);
    ledger.wait_for_more(2_000);
    load.stop();
    ledger.settle(&cluster);
    assert!(cluster.meters().processor("::1").is_some());
}

#[test]
fn a_start_whose_worker_fails_says_why_and_leaves_nothing() {
    let start = cluster!().workers(4).config("[worker]\ncwd = \"/nowhere/at/all\"\n");
    let place = harness::Place::new();
    let output = start.place(&place).run();
    output.expect_code(1).expect_said(&["worker", "worker.cwd /nowhere/at/all", "No such file", "hint: "]);
    assert!(!place.runtime_dir().join("pid").exists() && !place.runtime_dir().join("control").exists());
}

#[test]
fn a_start_whose_worker_never_gets_ready_gives_up_after_listen_timeout() {
    let faults = harness::Faults::new();
    faults.order(1, "before-ready", "hang");
    let start = cluster!().workers(3).faults(&faults).config("[worker]\nlisten_timeout = \"300ms\"\n");
    start.run().expect_code(1).expect_said(&["worker 1", "worker.listen_timeout", "hint: "]);
}

#[test]
fn the_commands_tell_what_runs() {
    let cluster = cluster!().start();
    cluster.command(["wait", "--for", "online", "--timeout", "30s"]).expect_code(0);
    let pong = cluster.command(["ping"]).expect_code(0).stdout;
    assert!(pong.contains(&cluster.pid().to_string()), "{pong}");
    let table = cluster.command(["list"]).expect_code(0).stdout;
    let rows = cluster.list();
    assert!(rows.pids().into_iter().flatten().all(|pid| table.contains(&pid.to_string())), "{table}");
    let pid = std::fs::read_to_string(cluster.runtime_dir().join("pid")).expect("the pid file");
    assert_eq!(pid.trim(), cluster.pid().to_string());
}

#[test]
fn the_demo_brings_its_own_processor() {
    shows_music(&cluster!().listen(format!("127.0.0.1:{}", free_port())).arg("--demo").start());
}

#[test]
fn the_demo_finds_a_port_that_the_kernel_chose() {
    shows_music(&cluster!().arg("--demo").start());
}

fn shows_music(cluster: &Cluster) {
    let list = cluster.list();
    assert!(list.roles.iter().any(|role| role.name == "simulator" && role.state == "online"), "{list:#?}");
    let processor = wait_for("the simulated processor's meters are fresh", || {
        let meters = cluster.meters();
        let heard = meters.processors.into_iter().find(|one| one.meters.iter().any(|meter| meter.fresh));
        heard.filter(|one| one.meters.len() > 8)
    });
    let before = processor.meters[0].level_db;
    wait_until("the music plays", || {
        let now = cluster.meters();
        now.level(&processor.address, &processor.meters[0].param)
            .is_some_and(|level| (level - before).abs() > 0.001)
    });
}

#[test]
fn without_a_cluster_every_command_says_so_with_exit_code_4() {
    let place = harness::Place::new();
    let binary = cluster!().binary_path().to_owned();
    for command in [&["list", "--json"][..], &["ping"], &["reload"], &["stop"], &["restart"], &["meters"]] {
        let mut run = std::process::Command::new(&binary);
        run.args(command).arg("--runtime-dir").arg(place.runtime_dir());
        harness::run(run).expect_code(4).expect_said(&["no cluster is running", "hint: "]);
    }
}

#[test]
fn descriptors_that_are_promised_and_not_passed_are_told() {
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    let output = cluster!().wrapped_in(&["sh", "-c", script, "sh"]).run();
    output.expect_code(1).expect_said(&["the descriptors that LISTEN_FDS promises: Bad file", "hint: "]);
}
