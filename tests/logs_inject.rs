//! Kills of the logger placed at its system calls: on the way into each, and in the return from those that take and
//! write; while files are turned over and compressed; while lines are left out of a flood. No line is lost, none doubled,
//! none counted twice.

use contract::logs::FILE;
use harness::{Cluster, Place, Printed, Strace, cluster, log_files, log_text, process, wait_for, wait_until};
use nix::sys::signal::Signal;

const CONFIG: &str = "[worker]\nwait_ready = false\nlisten_timeout = \"30s\"\nkill_timeout = \"20s\"\n\
                      min_uptime = \"50ms\"\nexp_backoff_restart_delay = \"0s\"\n";
/// The calls of its loop: look, take, write, clear; and those around a full file.
const CALLS: [&str; 6] = ["tee", "splice", "read", "write", "rename", "openat"];

#[track_caller]
fn expect_said(strace: &Strace, text: &str) {
    wait_until(format_args!("strace (as root, or with kernel.yama.ptrace_scope=0) says {text}"), || {
        strace.said().contains(text)
    });
}

fn start(place: &Place) -> Cluster {
    start_with(place, "0.0005", "rate_limit = 0\nmax_size = \"16K\"\n")
}

/// Workers that print with such a pause, and what `[log]` says.
fn start_with(place: &Place, pause: &str, log: &str) -> Cluster {
    let folder = place.folder().join("logs");
    let config = format!("{CONFIG}[log]\ndir = \"{}\"\nkeep = 1000\n{log}", folder.display());
    cluster!().config(config).printing(place, pause).start()
}

/// Kills it on its way into the call, or in the return from it: the kernel has done it, and the logger does not know yet.
#[track_caller]
fn kill_at(place: &Place, logger: i32, words: &[String], call: &str, nth: u32, after: bool) {
    let fault = if after { "delay_exit=60000000" } else { "signal=KILL" };
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{fault}:when={nth}"));
    let mut all: Vec<&str> = words.iter().map(String::as_str).collect();
    all.extend(["-e", &trace, "-e", &inject]);
    let strace = Strace::begin(place, logger, &all);
    if after {
        expect_said(&strace, "(DELAYED)");
        process::signal(logger, Signal::SIGKILL);
        // Who is traced is its tracer's to bury first.
        drop(strace);
    } else {
        expect_said(&strace, "+++ killed by SIGKILL +++");
    }
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
            kill_at(&place, logger, &[], call, nth, false);
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
            kill_at(&place, logger, &[], call, nth, true);
            (last, deaths) = (logger, deaths + 1);
        }
    }
    next_logger(&cluster, last);
    expect_all_once(&cluster, &place, deaths);
}

/// The calls around a full file, and what its name has behind the number that they are about; None: it has no number yet.
/// It gets its number, is read, is written compressed under a name of its own, and to the disk, gets its last name, and the
/// plain one goes.
const OF_A_FULL_FILE: [(&str, Option<&str>); 9] = [
    ("rename", None),
    ("openat", Some("")),
    ("unlink", Some(".gz.part")),
    ("openat", Some(".gz.part")),
    ("read", Some("")),
    ("write", Some(".gz.part")),
    ("fdatasync", Some(".gz.part")),
    ("rename", Some(".gz.part")),
    ("unlink", Some("")),
];
/// Full files from now on of which one is met for certain.
const AHEAD: u64 = 300;

/// strace's words for calls about the next full files, in whatever thread.
fn about_the_next_files(place: &Place, extension: Option<&str>) -> Vec<String> {
    let folder = place.folder().join("logs").canonicalize().expect("the folder");
    let Some(extension) = extension else {
        return ["-P", &format!("{}/{FILE}", folder.display())].map(str::to_owned).to_vec();
    };
    let number = |path: &std::path::PathBuf| {
        let name = path.file_name()?.to_str()?.strip_prefix(FILE)?.strip_prefix('.')?;
        name.trim_end_matches(".gz").parse::<u64>().ok()
    };
    let newest = log_files(&folder).iter().filter_map(number).max().unwrap_or(0);
    let path = |number| format!("{}/{FILE}.{number}{extension}", folder.display());
    let paths = (newest + 1..newest + AHEAD).flat_map(|number| ["-P".to_owned(), path(number)]);
    ["-f".to_owned()].into_iter().chain(paths).collect()
}

#[test]
fn at_any_call_about_a_full_file_that_is_compressed() {
    let place = Place::new();
    let cluster = start_with(&place, "0.002", "rate_limit = 0\nmax_size = \"16K\"\ngzip = true\n");
    let (mut last, mut deaths) = (0, 0);
    for (call, extension) in OF_A_FULL_FILE {
        for after in [false, true] {
            let logger = next_logger(&cluster, last);
            kill_at(&place, logger, &about_the_next_files(&place, extension), call, 1, after);
            (last, deaths) = (logger, deaths + 1);
        }
    }
    next_logger(&cluster, last);
    let files = || log_files(&place.folder().join("logs"));
    let compressed = || files().iter().filter(|path| path.extension().is_some_and(|end| end == "gz")).count();
    wait_until("what was left is compressed", || compressed() > 10);
    expect_all_once(&cluster, &place, deaths);
}

#[test]
fn while_lines_are_left_out() {
    let place = Place::new();
    let cluster = start_with(&place, "0.001", "rate_limit = 20\nmax_size = \"16K\"\n");
    let folder = place.folder().join("logs");
    let (mut last, mut deaths) = (0, 0);
    for call in ["tee", "splice", "read", "write"] {
        for (nth, after) in [(1, false), (1, true), (2, false), (3, true)] {
            let logger = next_logger(&cluster, last);
            let told = || log_text(&folder).matches("lines were left out here").count();
            let before = told();
            wait_until("lines are left out", || told() > before);
            kill_at(&place, logger, &[], call, nth, after);
            (last, deaths) = (logger, deaths + 1);
        }
    }
    next_logger(&cluster, last);
    let list = cluster.list();
    assert!(list.roles.iter().any(|role| role.restarts >= deaths), "{deaths} deaths: {list:#?}");
    cluster.command(["stop"]).expect_code(0);
    cluster.wait_for_end();
    let (written, left_out) = Printed::of(&place).expect_all_told(&log_text(&folder));
    assert!(left_out > written, "{left_out} left out, {written} written");
    harness::say(&format!(
        "{deaths} kills in a flood: {written} lines written, {left_out} counted, each once"
    ));
}
