//! Memory that is short: rings that cannot be locked, and workers that the kernel kills for want of it.

use harness::shape::List;
use harness::{Cluster, Ledger, Load, cluster};
use nix::unistd::geteuid;

/// Bytes of a worker that cannot be swapped out (proc_pid_status(5)), in KiB.
fn locked(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmLck:")).expect("a line about locked memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn all_locked(list: &List) -> Vec<u64> {
    list.pids().into_iter().flatten().map(locked).collect()
}

/// Bytes of its own code that a process has mapped, and that there are (proc_pid_smaps(5)).
fn code(pid: i32) -> (u64, u64) {
    let smaps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).expect("it lives");
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).expect("it lives");
    let exe = exe.to_str().expect("a path in UTF-8");
    let mut lines = smaps.lines().skip_while(|line| !(line.contains(" r-xp ") && line.ends_with(exe)));
    let mut field = |name: &str| {
        let line = lines.find_map(|line| line.strip_prefix(name)).expect("sizes of the mapping");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let size = field("Size:");
    (field("Rss:"), size)
}

#[test]
fn processes_keep_what_their_work_needs_of_the_program() {
    let ledger = Ledger::new(100_000);
    let cluster = cluster!().workers(2).ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 8, 2_000, &ledger);
    ledger.wait_for_more(4_000);
    load.stop();
    ledger.settle(&cluster);
    for pid in cluster.expect_state("online").pids().into_iter().flatten().chain([cluster.pid()]) {
        harness::wait_until(format_args!("{pid} to keep a part of its code alone"), || {
            let (mapped, size) = code(pid);
            mapped > 0 && mapped < size / 2
        });
    }
}

/// A cluster whose processes may lock so many bytes, whoever runs it: root's privilege to lock more is dropped.
fn limited(bytes: usize, ledger: &Ledger) -> Cluster {
    let limit = format!("--memlock={bytes}:{bytes}");
    let mut wrapper = vec!["prlimit", &limit];
    if geteuid().is_root() {
        wrapper.extend(["setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock"]);
    }
    cluster!().workers(3).ledger(ledger).wrapped_in(&wrapper).start()
}

/// Kills, reloads, and expects nothing lost.
#[track_caller]
fn expect_no_loss(cluster: &Cluster, ledger: &Ledger) {
    let load = Load::start(&cluster.targets(), 32, 5_000, ledger);
    for slot in 0..3 {
        cluster.kill_worker(slot).expect_replaced_after("SIGKILL");
    }
    cluster.command(["reload"]).expect_code(0);
    load.stop();
    ledger.settle(cluster);
}

const WARNING: &str = "workers cannot lock their receive rings in memory";

#[test]
fn under_a_limit_that_is_too_low_rings_are_not_locked_one_line_says_so_and_nothing_is_lost() {
    let ledger = Ledger::new(1_000_000);
    let cluster = limited(64 << 10, &ledger);
    expect_no_loss(&cluster, &ledger);
    assert_eq!(all_locked(&cluster.expect_state("online")), [0; 3]);
    let log = cluster.log();
    assert_eq!(log.matches(WARNING).count(), 1, "{log}");
    assert!(log.contains("LimitMEMLOCK is 65536"), "{log}");
}

#[test]
fn under_a_limit_that_one_ring_fits_every_ring_is_locked_a_successors_too() {
    let ledger = Ledger::new(1_000_000);
    let cluster = limited(300 << 10, &ledger);
    expect_no_loss(&cluster, &ledger);
    assert_eq!(all_locked(&cluster.expect_state("online")), [272; 3], "KiB");
    assert!(!cluster.log().contains(WARNING), "{}", cluster.log());
}
