//! The supervisor itself: stopped, killed, its binary broken, as PID 1.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use harness::{
    Builder, Cluster, Faults, Ledger, Load, Place, cluster, install, process, wait_for, wait_until,
};
use nix::sys::signal::Signal;

#[test]
fn a_supervisor_that_was_stopped_for_longer_than_the_watchdog_kills_nobody() {
    let ledger = Ledger::new(1_000_000);
    let cluster = cluster!().workers(3).ledger(&ledger).config("[worker]\nwatchdog = \"400ms\"\n").start();
    let load = Load::start(&cluster.targets(), 32, 2_000, &ledger);
    let before = cluster.list();
    for _ in 0..2 {
        cluster.signal(Signal::SIGSTOP);
        // 2 seconds at this pace: the workers' lines to the supervisor fill up meanwhile.
        ledger.wait_for_more(4_000);
        let sent = ledger.sent();
        wait_until("the workers go on reading", || ledger.verdict().seen > sent);
        cluster.signal(Signal::SIGCONT);
        ledger.wait_for_more(2_000);
        let after = cluster.expect_state("online");
        assert_eq!(before.pids(), after.pids(), "no healthy worker dies");
        assert_eq!(after.restarts(), 0);
    }
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn a_worker_that_dies_while_the_supervisor_is_stopped_is_replaced_afterwards() {
    let ledger = Ledger::new(1_000_000);
    let cluster = cluster!().workers(3).ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 32, 2_000, &ledger);
    let row = cluster.worker(1);
    let pid = row.pid.expect("a pid");
    cluster.signal(Signal::SIGSTOP);
    process::signal(pid, Signal::SIGKILL);
    wait_until("it is dead", || !process::lives(pid));
    ledger.wait_for_more(1_000);
    cluster.signal(Signal::SIGCONT);
    let after =
        cluster.expect("it is replaced", |list| list.restarts() == 1 && list.cluster.state == "online");
    assert_ne!(after.workers[1].pid, Some(pid));
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn workers_do_not_outlive_their_supervisor_and_a_new_one_starts_in_its_place() {
    let (place, port) = (Place::new(), harness::free_port());
    let ledger = Ledger::new(1_000_000);
    let start = || {
        let listen = format!("127.0.0.1:{port}");
        cluster!().workers(4).listen(listen).place(&place).ledger(&ledger).start()
    };
    for _ in 0..3 {
        let cluster = start();
        let load = Load::start(&cluster.targets(), 32, 5_000, &ledger);
        ledger.wait_for_more(500);
        cluster.signal(Signal::SIGKILL);
        assert_eq!(cluster.wait_for_end(), -1);
        load.stop();
        assert!(!cluster.files_left().is_empty(), "it had no time to clean up");
    }
    let cluster = start();
    let before = ledger.sent();
    let seq = ledger.send_to(&cluster, "");
    ledger.wait_for_reader_of(seq);
    assert_eq!(seq, before);
}

#[test]
fn stopped_workers_do_not_outlive_their_supervisor_either() {
    let cluster = cluster!().workers(2).config("[worker]\nwatchdog = \"0s\"\n").start();
    let _ = cluster.signal_worker(0, Signal::SIGSTOP);
    cluster.signal(Signal::SIGKILL);
    assert_eq!(cluster.wait_for_end(), -1);
}

#[test]
fn successors_in_every_state_do_not_outlive_their_supervisor() {
    let faults = Faults::new();
    let config = "[worker]\nlisten_timeout = \"1h\"\n";
    let cluster = cluster!().workers(3).faults(&faults).config(config).start();
    faults.order(2, "before-ready", "hang");
    cluster.signal(Signal::SIGHUP);
    cluster.expect("two heirs wait for their locks, one hangs", |list| {
        let state = |slot: usize| list.workers[slot].heir.as_ref().map(|heir| heir.state.as_str());
        [state(0), state(1), state(2)] == [Some("online"), Some("online"), Some("launching")]
    });
    cluster.signal(Signal::SIGKILL);
    assert_eq!(cluster.wait_for_end(), -1);
}

/// One that holds signals back and has no handlers yet. That moment may pass unseen: so many are tried.
fn in_its_first_moment(builder: &Builder) -> Cluster {
    let has = |status: &str, mask: &str| {
        let bits = status.lines().find_map(|line| line.strip_prefix(mask)).expect("a line about signals");
        u64::from_str_radix(bits.trim(), 16).expect("a mask") & 1 << (Signal::SIGHUP as u32 - 1) != 0
    };
    for _ in 0..100 {
        let cluster = builder.clone().spawn();
        let status = || fs::read_to_string(format!("/proc/{}/status", cluster.pid())).unwrap_or_default();
        // Without a pause: the moment is shorter than that.
        loop {
            let status = status();
            match (has(&status, "SigBlk:"), has(&status, "SigCgt:")) {
                (true, false) => return cluster,
                (_, true) => break,
                (false, false) => {}
            }
        }
    }
    panic!("no supervisor held signals back before its handlers were there");
}

#[test]
fn signals_in_the_first_moment_are_heard() {
    let place = Place::new();
    let builder = cluster!().place(&place).workers(1);
    let cluster = in_its_first_moment(&builder);
    for signal in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGTTIN] {
        cluster.signal(signal);
    }
    cluster.expect("it was upgraded, reloaded and scaled", |list| {
        let done = list.cluster.last_reload.as_ref().is_some_and(|last| last.result == "done");
        (list.cluster.upgrades, list.workers.len(), done) == (1, 2, true)
    });
    drop(cluster);
    let cluster = in_its_first_moment(&builder);
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_for_end(), 0);
}

#[test]
fn a_log_file_at_its_limit_costs_lines_alone() {
    let place = Place::new();
    let file = place.folder().join("log");
    let script = format!("exec \"$@\" 2>>{}", file.display());
    let cluster = cluster!().place(&place).wrapped_in(&["sh", "-c", &script, "sh"]).start();
    let limit = |bytes: &str| {
        let mut prlimit = Command::new("prlimit");
        prlimit.arg(format!("--pid={}", cluster.pid())).arg(format!("--fsize={bytes}:"));
        assert!(prlimit.status().expect("prlimit (Debian: util-linux) runs").success());
    };
    limit("0");
    for slot in [0, 1] {
        cluster.kill_worker(slot).expect_replaced_after("SIGKILL");
    }
    limit("unlimited");
    cluster.signal(Signal::SIGUSR1);
    wait_until("what was left out is told", || {
        fs::read_to_string(&file).expect("the log").contains(" left out: standard error")
    });
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
}

#[test]
fn standard_error_that_nobody_reads_holds_up_nothing() {
    let place = Place::new();
    let pipe = place.folder().join("stderr");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let nonblocking = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let mut full =
        fs::File::options().read(true).write(true).custom_flags(nonblocking).open(&pipe).expect("open");
    while full.write(&[b'\n'; 4096]).is_ok() {}
    while full.write(b"\n").is_ok() {}
    let script = format!("exec \"$@\" 2>{}", pipe.display());
    let cluster = cluster!().place(&place).wrapped_in(&["sh", "-c", &script, "sh"]).start();
    for slot in [0, 1] {
        cluster.kill_worker(slot).expect_replaced_after("SIGKILL");
    }
    for _ in 0..20 {
        cluster.command(["reload"]).expect_code(0);
    }
    cluster.command(["upgrade"]).expect_code(0);
    let mut log = Vec::new();
    wait_until("the next supervisor says what the one before could not", || {
        let _ = full.read_to_end(&mut log); // ends where the pipe is empty
        String::from_utf8_lossy(&log).contains(" left out: standard error")
    });
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
}

#[test]
fn a_binary_that_is_replaced_by_a_broken_one_breaks_no_restart() {
    let place = Place::new();
    let original = cluster!().binary_path().to_owned();
    let copy = place.folder().join("atlas-cluster");
    let whole = fs::read(&original).expect("the binary");
    install(&copy, &whole);
    let ledger = Ledger::new(1_000_000);
    let start = cluster!().workers(3).place(&place).binary(&copy).ledger(&ledger).start();
    let cluster: Cluster = start.asked_by(&original);
    let load = Load::start(&cluster.targets(), 32, 2_000, &ledger);
    let half = &whole[..whole.len() / 2];
    for (slot, broken) in [&b"#!/bin/false\n"[..], half, b""].into_iter().enumerate() {
        install(&copy, broken);
        cluster.kill_worker(slot).expect_replaced_after("SIGKILL");
    }
    fs::remove_file(&copy).expect("the binary is removed");
    cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    cluster.command(["reload"]).expect_code(0);
    load.stop();
    ledger.settle(&cluster);
    assert!(!cluster.log().contains("could not be executed"));
}

#[test]
fn as_pid_1_it_reaps_more_orphans_than_one_turn_takes() {
    harness::need_root();
    let script = "for one in $(seq 300); do (sleep 1001 &); done; exec \"$@\"";
    let wrapper = ["unshare", "-pf", "--mount-proc", "--kill-child", "sh", "-c", script, "sh"];
    let cluster = cluster!().workers(1).wrapped_in(&wrapper).start();
    let orphans = wait_for("the orphans are there", || {
        let all = cluster.processes();
        let orphans: Vec<i32> =
            all.into_iter().filter(|one| one.title == "sleep 1001").map(|one| one.pid).collect();
        (orphans.len() == 300).then_some(orphans)
    });
    let supervisor = cluster.pid_inside();
    process::signal(supervisor, Signal::SIGSTOP);
    orphans.iter().for_each(|&pid| process::signal(pid, Signal::SIGKILL));
    wait_until("all of them are dead", || !orphans.iter().any(|&pid| process::lives(pid)));
    process::signal(supervisor, Signal::SIGCONT);
    wait_until("all of them are reaped", || orphans.iter().all(|&pid| process::find(pid).is_none()));
    process::signal(supervisor, Signal::SIGTERM);
    assert_eq!(cluster.wait_for_end(), 0);
}

#[test]
fn as_pid_1_it_starts_reaps_orphans_restarts_and_stops() {
    harness::need_root();
    let unshare = Command::new("unshare").arg("--version").output();
    assert!(unshare.is_ok(), "this test needs unshare: apt-get install util-linux");
    // The shell leaves an orphan behind and becomes the supervisor.
    let script = "(sleep 1000 &); exec \"$@\"";
    let wrapper = ["unshare", "-pf", "--mount-proc", "--kill-child", "sh", "-c", script, "sh"];
    let cluster = cluster!().workers(2).wrapped_in(&wrapper).start();
    assert_eq!(cluster.list().cluster.pid, 1);
    let orphan = wait_for("the orphan is found", || {
        cluster.processes().into_iter().find(|one| one.title == "sleep 1000")
    });
    let supervisor = cluster.pid_inside();
    assert_eq!(orphan.parent, supervisor, "PID 1 is its parent now");
    process::signal(orphan.pid, Signal::SIGKILL);
    wait_until("the orphan is reaped", || process::find(orphan.pid).is_none());
    let victim = wait_for("worker 1 is found", || {
        cluster.processes().into_iter().find(|one| one.title.starts_with("atlas-cluster: meter 1"))
    });
    process::signal(victim.pid, Signal::SIGKILL);
    let list =
        cluster.expect("it is restarted", |list| list.restarts() == 1 && list.cluster.state == "online");
    assert_eq!(list.workers[1].restarts, 1);
    process::signal(supervisor, Signal::SIGTERM);
    assert_eq!(cluster.wait_for_end(), 0);
    assert_eq!(cluster.files_left(), Vec::<String>::new());
}
