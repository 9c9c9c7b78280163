//! Stopping: drained if there is time, at once if not, and nothing stays behind.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use harness::{Cluster, Faults, Ledger, Load, Place, cluster, process, sender, wait_for, wait_until};
use nix::sys::signal::Signal;

/// Leavers are never killed for being late.
const PATIENT: &str = "[worker]\nkill_timeout = \"1h\"\nwatchdog = \"0s\"\n";

#[track_caller]
fn expect_clean_end(cluster: &Cluster) {
    assert_eq!(cluster.wait_for_end(), 0);
    assert_eq!(cluster.files_left(), Vec::<String>::new(), "nothing stays in the runtime directory");
}

fn stop_worker(cluster: &Cluster, slot: usize) -> i32 {
    let pid = cluster.worker(slot).pid.expect("a pid");
    process::signal(pid, Signal::SIGSTOP);
    wait_until("it stands still", || process::find(pid).is_some_and(|process| process.state == 'T'));
    pid
}

#[test]
fn term_drains_what_is_queued() {
    let ledger = Ledger::new(10_000);
    let cluster = cluster!().workers(2).ledger(&ledger).config(PATIENT).start();
    let workers = [stop_worker(&cluster, 0), stop_worker(&cluster, 1)];
    let to = cluster.targets()[0];
    for number in 0..4_000 {
        ledger.send(&sender(to, number), to, "");
    }
    cluster.signal(Signal::SIGTERM);
    cluster.expect_state("stopping");
    assert_eq!(ledger.verdict().seen, 0, "all of it is queued");
    workers.iter().for_each(|&pid| process::signal(pid, Signal::SIGCONT));
    expect_clean_end(&cluster);
    let verdict = ledger.verdict();
    assert_eq!((verdict.seen, verdict.doubled.len()), (4_000, 0), "{verdict}");
}

#[test]
fn term_and_int_stop_a_cluster_under_load_and_nothing_stays_behind() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let ledger = Ledger::new(1_000_000);
        let cluster = cluster!().workers(4).ledger(&ledger).start();
        let load = Load::start(&cluster.targets(), 32, 10_000, &ledger);
        ledger.wait_for_more(1_000);
        cluster.signal(signal);
        expect_clean_end(&cluster);
        drop(load);
        assert!(cluster.log().contains(&format!("{signal}: stopping")), "the log tells who asked");
        cluster.expect_log("cluster stopped after");
        cluster.command(["list"]).expect_code(4);
    }
}

#[test]
fn a_second_term_stops_at_once() {
    let cluster = cluster!().config(PATIENT).start();
    stop_worker(&cluster, 0);
    cluster.signal(Signal::SIGTERM);
    cluster.expect("the other has left", |list| {
        list.cluster.state == "stopping" && list.workers[1].pid.is_none()
    });
    assert_eq!(cluster.try_exit(), None, "one stands still and is waited for");
    cluster.signal(Signal::SIGTERM);
    expect_clean_end(&cluster);
}

#[test]
fn quit_stops_at_once() {
    let cluster = cluster!().config(PATIENT).start();
    stop_worker(&cluster, 1);
    cluster.signal(Signal::SIGQUIT);
    expect_clean_end(&cluster);
}

#[test]
fn a_worker_that_does_not_leave_is_killed_after_kill_timeout() {
    let cluster = cluster!().config("[worker]\nkill_timeout = \"300ms\"\nwatchdog = \"0s\"\n").start();
    let pid = stop_worker(&cluster, 0);
    cluster.signal(Signal::SIGTERM);
    expect_clean_end(&cluster);
    let line = format!("worker 0 pid {pid} did not leave within worker.kill_timeout; killed");
    assert!(cluster.log().contains(&line), "{line}");
}

#[test]
fn the_command_stop_returns_when_every_process_is_gone() {
    let cluster = cluster!().workers(4).start();
    let pids = cluster.list().pids();
    cluster.command(["stop"]).expect_code(0);
    assert!(pids.into_iter().flatten().all(|pid| process::find(pid).is_none()), "no worker is left");
    expect_clean_end(&cluster);
}

#[test]
fn two_commands_that_stop_wait_for_the_same_end_and_cut_nothing_short() {
    let cluster = cluster!().config(PATIENT).start();
    let stopped = stop_worker(&cluster, 0);
    std::thread::scope(|scope| {
        let stops = [(); 2].map(|()| scope.spawn(|| cluster.command(["stop"])));
        cluster.expect_log("stop ordered: stopping");
        wait_until("both were ordered", || cluster.log().matches("stop ordered").count() == 2);
        assert!(process::lives(stopped), "nobody was in a hurry");
        process::signal(stopped, Signal::SIGCONT);
        for stop in stops {
            stop.join().expect("the command ends").expect_code(0);
        }
    });
    expect_clean_end(&cluster);
}

#[test]
fn signals_that_were_blocked_by_whoever_started_it_are_heard() {
    let cluster = cluster!().wrapped_in(&["env", "--block-signal"]).start();
    cluster.signal(Signal::SIGHUP);
    cluster.expect("a reload", |list| list.cluster.generation == 2);
    cluster.signal(Signal::SIGTERM);
    expect_clean_end(&cluster);
}

#[test]
fn the_command_stop_now_waits_for_nobody() {
    let cluster = cluster!().config(PATIENT).start();
    stop_worker(&cluster, 0);
    cluster.command(["stop", "--now"]).expect_code(0);
    expect_clean_end(&cluster);
}

#[test]
fn the_command_wait_sees_the_end() {
    let cluster = cluster!().start();
    cluster.command(["wait", "--for", "stopped", "--timeout", "50ms"]).expect_code(1);
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| cluster.command(["wait", "--for", "stopped", "--timeout", "60s"]));
        cluster.signal(Signal::SIGTERM);
        waiting.join().expect("the command ends")
    });
    waiting.expect_code(0);
    expect_clean_end(&cluster);
}

/// A process in the process group of a worker, as a worker's own child would be.
fn in_group_of(pid: i32) -> Child {
    Command::new("sleep").arg("1000").process_group(pid).spawn().expect("a process in the worker's group")
}

#[test]
fn what_a_worker_started_is_gone_with_it() {
    let cluster = cluster!().workers(2).start();
    let mut of_killed = in_group_of(cluster.worker(0).pid.expect("a pid"));
    let mut of_stopped = in_group_of(cluster.worker(1).pid.expect("a pid"));
    cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    let is_killed = |child: &mut Child| {
        let ended = wait_for("the grandchild ends", || child.try_wait().expect("our child"));
        std::os::unix::process::ExitStatusExt::signal(&ended)
    };
    assert_eq!(is_killed(&mut of_killed), Some(9));
    assert!(of_stopped.try_wait().expect("our child").is_none(), "that of another worker lives");
    cluster.signal(Signal::SIGTERM);
    assert_eq!(is_killed(&mut of_stopped), Some(9));
    expect_clean_end(&cluster);
}

#[test]
fn a_slot_that_waits_for_its_restart_does_not_hold_up_a_stop() {
    let config =
        "[worker]\nmin_uptime = \"1h\"\nexp_backoff_restart_delay = \"1h\"\nexp_backoff_max_delay = \"1h\"\n";
    let cluster = cluster!().config(config).start();
    let _ = cluster.kill_worker(0);
    cluster.expect("it waits", |list| list.workers[0].state == "waiting restart");
    cluster.signal(Signal::SIGTERM);
    expect_clean_end(&cluster);
}

#[test]
fn a_stop_during_the_start_leaves_nothing() {
    let faults = Faults::new();
    faults.order(1, "before-ready", "hang");
    let config = "[worker]\nlisten_timeout = \"1h\"\nkill_timeout = \"1h\"\n";
    let cluster = cluster!().workers(3).faults(&faults).config(config).spawn();
    cluster.expect_state("launching");
    cluster.signal(Signal::SIGTERM);
    let code = cluster.wait_for_end();
    assert!(code == 0 || code == 1, "exit code {code}");
    assert_eq!(cluster.files_left(), Vec::<String>::new());
}

#[test]
fn a_cluster_can_be_started_again_where_one_was_stopped() {
    let place = Place::new();
    let port = harness::free_port();
    for _ in 0..3 {
        let cluster = cluster!().workers(4).listen(format!("127.0.0.1:{port}")).place(&place).start();
        cluster.command(["stop"]).expect_code(0);
        expect_clean_end(&cluster);
    }
}
