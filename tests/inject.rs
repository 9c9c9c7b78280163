//! Kills placed at system calls: whichever one a worker is about to make, or is coming back from, nothing is lost and
//! nothing is counted twice. And a signal placed in the moment of an upgrade.
//!
//! strace(1) places them: it sends SIGKILL when a process enters its N-th call of a kind (`inject=…:signal=KILL`), or
//! holds it in the return from one (`delay_exit`) until the test has killed it.

use harness::{Cluster, Ledger, Load, PATIENCE, Strace, cluster, process, sender, try_for, wait_until};
use nix::sys::signal::Signal;

/// No waiting between restarts, however unstable; a sign of life every 100 ms.
const CONFIG: &str =
    "[worker]\nmin_uptime = \"0s\"\nexp_backoff_restart_delay = \"0s\"\nwatchdog = \"10s\"\n";
/// Deaths that are waited for at each place.
const DEATHS: usize = 8;

/// Attaches to `pid`, and to what it starts from now on.
#[track_caller]
fn attach(cluster: &Cluster, pid: i32, words: &[&str]) -> Strace {
    let strace = Strace::begin(cluster.place(), pid, &[&["-f"], words].concat());
    let tracer = format!("TracerPid:\t{}\n", strace.pid());
    wait_until("strace is attached (as root, or with kernel.yama.ptrace_scope=0)", || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains(&tracer) || killed(&strace) > 0
    });
    strace
}

/// How many it saw killed.
fn killed(strace: &Strace) -> usize {
    strace.said().matches("+++ killed by SIGKILL +++").count()
}

/// Waits until it has killed so many.
#[track_caller]
fn expect_killed(strace: &Strace, number: usize) {
    let done = try_for(PATIENCE, || (killed(strace) >= number).then_some(()));
    assert!(done.is_some(), "strace killed {} of {number}: {}", killed(strace), strace.said());
}

/// Under load every new worker is killed at `place`, over and over; then nobody is, and everything is exact.
#[track_caller]
fn kill_newcomers_at(cluster: &Cluster, ledger: &Ledger, place: &[&str]) {
    let before = cluster.list();
    let strace = attach(cluster, cluster.pid(), place);
    // The ones that are there are not watched: their successors are.
    before.pids().into_iter().flatten().for_each(|pid| process::signal(pid, Signal::SIGKILL));
    expect_killed(&strace, DEATHS);
    drop(strace);
    let list = cluster.expect_state("online");
    let more = (list.restarts() - before.restarts()) as usize;
    assert!(more >= DEATHS, "{place:?}: {more} restarts: {list:#?}");
    for row in &list.workers {
        let signal = row.last_exit.as_ref().and_then(|exit| exit.signal.as_deref());
        assert_eq!(signal, Some("SIGKILL"), "{place:?}: {row:#?}");
    }
    ledger.wait_for_more(500);
}

fn start(ledger: &Ledger) -> (Cluster, Load) {
    let cluster = cluster!().workers(2).ledger(ledger).config(CONFIG).start();
    let load = Load::start(&cluster.targets(), 32, 5_000, ledger);
    (cluster, load)
}

#[test]
fn a_signal_that_comes_while_the_supervisor_freezes_is_heard_by_the_next_one() {
    let cluster = cluster!().workers(2).start();
    // The first one is the state that the check is offered, the second the one that is handed over.
    let hold = ["-e", "trace=memfd_create", "-e", "inject=memfd_create:delay_exit=2000000:when=2"];
    let strace = attach(&cluster, cluster.pid(), &hold);
    cluster.signal(Signal::SIGUSR2);
    wait_until("it is held", || strace.said().contains("(DELAYED)"));
    cluster.signal(Signal::SIGTERM);
    cluster.expect_log("cluster stopped after");
    cluster.expect_log("upgraded from version");
    drop(strace);
    assert_eq!(cluster.wait_for_end(), 0);
}

#[test]
fn killed_on_the_way_into_the_nth_receive_call() {
    let ledger = Ledger::new(4_000_000);
    let (cluster, load) = start(&ledger);
    for nth in 1..=6 {
        let inject = format!("inject=recvmmsg:signal=KILL:when={nth}");
        kill_newcomers_at(&cluster, &ledger, &["-e", "trace=recvmmsg", "-e", &inject]);
    }
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn killed_on_the_way_out_of_a_receive_call() {
    let ledger = Ledger::new(4_000_000);
    let (cluster, load) = start(&ledger);
    for _ in 0..10 {
        let pid = cluster.worker(0).pid.expect("a pid");
        let hold = ["-e", "trace=recvmmsg", "-e", "inject=recvmmsg:delay_exit=60000000:when=2"];
        let strace = attach(&cluster, pid, &hold);
        // It has taken datagrams out of the kernel, and does not know it yet.
        wait_until("it is held", || strace.said().contains("(DELAYED)"));
        let killed = cluster.kill_worker(0);
        assert_eq!(killed.pid, pid);
        // Who is traced is its tracer's to bury first.
        drop(strace);
        killed.expect_replaced_after("SIGKILL");
    }
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn killed_at_the_calls_of_a_worker_at_work() {
    let ledger = Ledger::new(4_000_000);
    let cluster = cluster!().workers(2).ledger(&ledger).config(CONFIG.replace("10s", "200ms")).start();
    let load = Load::start(&cluster.targets(), 32, 5_000, &ledger);
    for call in ["epoll_wait", "sendto,sendmsg"] {
        for nth in [1, 2, 3, 10] {
            let row = cluster.expect_state("online").workers[1].clone();
            let pid = row.pid.expect("a pid");
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
            let strace = attach(&cluster, pid, &["-e", &trace, "-e", &inject]);
            expect_killed(&strace, 1);
            drop(strace);
            let list = cluster.expect("it was restarted", |list| list.workers[1].restarts > row.restarts);
            let exit = list.workers[1].last_exit.clone().and_then(|exit| exit.signal);
            assert_eq!(exit.as_deref(), Some("SIGKILL"), "{call} {nth}");
        }
    }
    load.stop();
    cluster.expect_state("online");
    ledger.settle(&cluster);
}

#[test]
fn killed_at_the_calls_of_a_worker_that_prepares() {
    let ledger = Ledger::new(4_000_000);
    let (cluster, load) = start(&ledger);
    // Calls that the supervisor does not make: it is traced too.
    for (call, nth) in [("execveat", 1), ("prctl", 1), ("prctl", 2), ("mlock", 1)] {
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
        kill_newcomers_at(&cluster, &ledger, &["-e", &trace, "-e", &inject]);
    }
    // Nor does it map a segment.
    let ring = ["-P", "/memfd:seat", "-e", "trace=mmap", "-e", "inject=mmap:signal=KILL:when=1"];
    kill_newcomers_at(&cluster, &ledger, &ring);
    load.stop();
    ledger.settle(&cluster);
}

/// The supervisor's first six calls size the receive buffers of six sockets; then come the programs.
#[test]
fn a_balance_that_the_kernel_refuses_is_tried_until_every_address_has_it() {
    let ledger = Ledger::new(1_000_000);
    let start = cluster!().workers(3).ledger(&ledger).config("balance = \"flow\"\n");
    let cluster = start.listen("127.0.0.1:0").listen("[::1]:0").start();
    cluster.place().write_config("balance = \"spread\"\n");
    let words = ["--trace=setsockopt", "--inject=setsockopt:error=ENOMEM:when=7+"];
    let strace = attach(&cluster, cluster.pid(), &words);
    cluster.command(["reload"]).expect_code(0);
    cluster.expect_log("cannot steer 3 workers");
    drop(strace);
    for to in cluster.targets() {
        let socket = sender(to, 1);
        wait_until(format_args!("what one sender sends to {to} is spread"), || {
            let before = ledger.verdict().by_slot;
            (0..60).for_each(|_| _ = ledger.send(&socket, to, ""));
            wait_until("all of it is read", || ledger.verdict().lost.is_empty());
            let read = ledger.verdict().by_slot.into_iter().enumerate();
            read.filter(|&(slot, read)| read > before.get(slot).copied().unwrap_or(0)).count() == 3
        });
    }
    ledger.settle(&cluster);
}
