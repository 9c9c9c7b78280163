//! The end of the logger: what it knows and has not said yet, it says.

use std::process::Command;

use harness::{Place, Printed, cluster, log_text, process, wait_for, wait_until};
use nix::sys::signal::Signal;

const WORKER: &str =
    "[worker]\nwait_ready = false\nlisten_timeout = \"30s\"\nkill_timeout = \"20s\"\nmin_uptime = \"50ms\"\n";

#[test]
fn what_was_left_out_last_is_told_at_the_stop() {
    let place = Place::new();
    let folder = place.folder().join("logs");
    let config = format!("{WORKER}[log]\ndir = \"{}\"\nrate_limit = 10\n", folder.display());
    let cluster = cluster!().config(config).printing(&place, "0.002").start();
    wait_until("lines are left out", || log_text(&folder).contains("lines were left out here"));
    // Twice amid the flood: who takes over says what is left out from then on.
    cluster.command(["restart", "logger"]).expect_code(0);
    Printed::of(&place).wait_for_more(100);
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
    let (_, left_out) = Printed::of(&place).expect_all_told(&log_text(&folder));
    assert!(left_out > 100, "{left_out}");
}

/// A write beyond RLIMIT_FSIZE fails as one to a full disk does.
#[test]
fn what_a_full_disk_keeps_from_being_told_is_counted_all_the_same() {
    let place = Place::new();
    let folder = place.folder().join("logs");
    let config = format!("{WORKER}[log]\ndir = \"{}\"\nrate_limit = 10\n", folder.display());
    let cluster = cluster!().config(config).printing(&place, "0.001").start();
    let logger = cluster.role("logger");
    let limit = |bytes: u64| {
        let limit = format!("--fsize={bytes}:");
        let status = Command::new("prlimit").args(["--pid", &logger.to_string(), &limit]).status();
        assert!(status.expect("prlimit (Debian: util-linux) runs").success());
    };
    let told = || log_text(&folder).matches("lines were left out here").count();
    wait_until("lines are left out", || told() > 0);
    limit(log_text(&folder).len() as u64);
    Printed::of(&place).wait_for_more(3_000);
    limit(u64::MAX / 2);
    wait_until("it is told", || {
        log_text(&folder).contains("lines, from all sources together, could not be written")
    });
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
    let text = log_text(&folder);
    let number = |line: &str, what: &str| {
        let (_, said) = line.split_once("] ")?;
        said.split_once(what).and_then(|(number, _)| number.strip_suffix(' ')?.parse::<u64>().ok())
    };
    let sum = |what: [&str; 2]| {
        let counted = |line| what.iter().find_map(|what| number(line, what));
        text.lines().filter_map(counted).sum::<u64>()
    };
    let written = text.lines().filter(|line| line.contains("] line ")).count() as u64;
    let left_out = sum(["lines were left out here", "line was left out here"]);
    let lost = sum(["lines, from all sources", "line, from all sources"]);
    let (total, all) = (Printed::of(&place).total(), written + left_out + lost);
    // Lines of the supervisor may be among those that are lost; each of two printers may have printed one more.
    assert!((total..=total + 20).contains(&all), "{written} + {left_out} + {lost} of {total}");
    assert!(lost > 1000, "what was left out meanwhile is among them: {lost}");
}

#[test]
fn the_last_word_of_who_dies_at_the_stop_is_written_without_an_end() {
    let place = Place::new();
    let folder = place.folder().join("logs");
    let config = format!("{WORKER}[log]\ndir = \"{}\"\n", folder.display());
    let script = "trap 'printf bye; exit 0' TERM; echo up; while :; do sleep 0.01; done";
    for round in 1..=3 {
        let cluster = cluster!().place(&place).config(config.clone()).program(["sh", "-c", script]).start();
        wait_until("both print", || log_text(&folder).matches("] up\n").count() == 2 * round);
        cluster.command(["stop"]).expect_code(0);
        assert_eq!(cluster.wait_for_end(), 0);
    }
    let text = log_text(&folder);
    assert_eq!(["[0] bye\n", "[1] bye\n"].map(|bye| text.matches(bye).count()), [3, 3], "{text}");
}

/// Until then it would be the last of those whom it hears, and hear itself for as long as it is willing to wait.
#[test]
fn a_logger_without_a_supervisor_hears_itself_no_more() {
    let place = Place::new();
    let (folder, left) = (place.folder().join("logs"), place.folder().join("left"));
    let config = format!("{WORKER}[log]\ndir = \"{}\"\n", folder.display());
    // What a program leaves behind holds its output open, and so keeps the logger there to be looked at.
    let script =
        format!("setsid sleep 1011 & echo $! > {0}.new; mv {0}.new {0}; exec sleep 1012", left.display());
    let cluster = cluster!().place(&place).workers(1).config(config).program(["sh", "-c", &script]).start();
    let left = wait_for("it has left one", || std::fs::read_to_string(&left).ok());
    let left: i32 = left.trim().parse().expect("a pid");
    let output = format!("/proc/{}/fd/1", cluster.role("logger"));
    let is_nobody =
        || std::fs::read_link(&output).is_ok_and(|path| path == std::path::Path::new("/dev/null"));
    assert!(!is_nobody());
    process::signal(cluster.pid(), Signal::SIGKILL);
    wait_until("it prints to nobody", is_nobody);
    process::signal(left, Signal::SIGKILL);
}
