//! Kills of the logger placed at its system calls: on the way into each, and in the return from those that take and
//! write. No line is lost, none doubled.

use harness::{Cluster, Place, Printed, Strace, cluster, log_text, process, wait_for, wait_until};
use nix::sys::signal::Signal;

const CONFIG: &str = "[worker]\nwait_ready = false\nlisten_timeout = \"30s\"\nkill_timeout = \"20s\"\n\
                      min_uptime = \"50ms\"\nexp_backoff_restart_delay = \"0s\"\n";
/// The calls of its loop: look, take, write, clear; and those around a full file.
const CALLS: [&str; 6] = ["tee", "splice", "read", "write", "rename", "openat"];

#[track_caller]
fn attach(place: &Place, pid: i32, call: &str, inject: &str) -> Strace {
    let words = ["-e", &format!("trace={call}"), "-e", &format!("inject={call}:{inject}")];
    Strace::begin(place, pid, &words)
}

#[track_caller]
fn expect_said(strace: &Strace, text: &str) {
    wait_until(format_args!("strace (as root, or with kernel.yama.ptrace_scope=0) says {text}"), || {
        strace.said().contains(text)
    });
}

fn start(place: &Place) -> Cluster {
    let folder = place.folder().join("logs");
    let config = format!(
        "{CONFIG}[log]\ndir = \"{}\"\nrate_limit = 0\nmax_size = \"16K\"\nkeep = 1000\n",
        folder.display()
    );
    cluster!().config(config).printing(place, "0.0005").start()
}

#[track_caller]
fn next_logger(cluster: &Cluster, last: i32) -> i32 {
    wait_for("the logger is online", || cluster.logger().filter(|pid| *pid != last))
}

#[track_caller]
fn expect_all_once(cluster: &Cluster, place: &Place, deaths: u32) {
    let list = cluster.list();
    assert!(list.roles.iter().any(|role| role.restarts >= deaths), "{deaths} deaths: {list:#?}");
    cluster.command(["stop"]).expect_code(0);
    cluster.wait_for_end();
    let lines = Printed::of(place).expect_all_once(&log_text(&place.folder().join("logs")));
    harness::say(&format!("{deaths} kills at system calls of the logger: {lines} lines, each once"));
}

#[test]
fn on_the_way_into_any_call() {
    let place = Place::new();
    let cluster = start(&place);
    let (mut last, mut deaths) = (0, 0);
    for call in CALLS {
        for nth in [1, 2, 3, 7] {
            let logger = next_logger(&cluster, last);
            let strace = attach(&place, logger, call, &format!("signal=KILL:when={nth}"));
            expect_said(&strace, "+++ killed by SIGKILL +++");
            (last, deaths) = (logger, deaths + 1);
        }
    }
    next_logger(&cluster, last);
    expect_all_once(&cluster, &place, deaths);
}

#[test]
fn on_the_way_out_of_any_call() {
    let place = Place::new();
    let cluster = start(&place);
    let (mut last, mut deaths) = (0, 0);
    for call in CALLS {
        for nth in [1, 2, 5] {
            let logger = next_logger(&cluster, last);
            let hold = format!("delay_exit=60000000:when={nth}");
            let strace = attach(&place, logger, call, &hold);
            // The kernel has done it, and the logger does not know it yet.
            expect_said(&strace, "(DELAYED)");
            process::signal(logger, Signal::SIGKILL);
            // Who is traced is its tracer's to bury first.
            drop(strace);
            (last, deaths) = (logger, deaths + 1);
        }
    }
    next_logger(&cluster, last);
    expect_all_once(&cluster, &place, deaths);
}
