//! What operators do to the log files while they are written.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use contract::logs::FILE;
use harness::{Cluster, Place, Printed, cluster, log_text, run, wait_until};

const WORKER: &str = "[worker]\nwait_ready = false\nlisten_timeout = \"30s\"\nkill_timeout = \"20s\"\n";

fn start(place: &Place, log: &str) -> Cluster {
    let folder = place.folder().join("logs");
    let config = format!("{WORKER}[log]\ndir = \"{}\"\nrate_limit = 0\n{log}", folder.display());
    cluster!().config(config).printing(place, "0.002").start()
}

/// What workers printed, as `logs` shows it.
fn shown(cluster: &Cluster) -> BTreeSet<String> {
    let text = cluster.command(["logs", "--lines", "1000000"]).expect_code(0).stdout;
    text.lines().filter(|line| line.contains("] line ")).map(str::to_owned).collect()
}

#[test]
fn flush_leaves_nothing_of_before_though_files_are_filled_meanwhile() {
    let place = Place::new();
    let cluster = start(&place, "max_size = \"16K\"\nkeep = 1000\ngzip = true\n");
    Printed::of(&place).wait_for_more(1000);
    let before = shown(&cluster);
    assert!(before.len() > 500);
    // It comes late to the current file: that is full by then, and has a number.
    let current = cluster.runtime_dir().join("logs").join(FILE);
    let mut flush = Command::new("strace");
    flush.args(["-o", "/dev/null", "-e", "inject=openat:delay_enter=2000000", "-P"]).arg(&current);
    flush.arg(cluster.binary()).args(["flush", "--runtime-dir"]).arg(cluster.runtime_dir());
    let inode = || fs::metadata(&current).map(|found| found.ino()).ok();
    let filled = inode();
    let _ = run(flush).expect_code(0);
    wait_until("another file is the current one", || inode().is_some_and(|now| Some(now) != filled));
    let after = shown(&cluster);
    assert_eq!(before.intersection(&after).next(), None);
    wait_until("it goes on", || !shown(&cluster).is_empty());
}

/// Puts something in the place of the current file, in one step.
fn put(folder: &Path, make: impl Fn(&Path)) {
    let aside = folder.join("aside");
    make(&aside);
    fs::rename(aside, folder.join(FILE)).expect("put in its place");
}

#[test]
fn what_is_no_file_in_the_place_of_one_costs_lines_that_are_counted() {
    let place = Place::new();
    let cluster = start(&place, "");
    let (folder, printed) = (place.folder().join("logs"), Printed::of(&place));
    let logger = cluster.role("logger");
    let others = place.folder().join("others");
    fs::write(&others, "somebody else's\n").expect("written");
    let fifo = |path: &Path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("made");
    let link = |path: &Path| std::os::unix::fs::symlink(&others, path).expect("made");
    for (round, make) in [&fifo as &dyn Fn(&Path), &link].into_iter().enumerate() {
        put(&folder, make);
        printed.wait_for_more(300);
        for verb in ["logs", "flush"] {
            let refused = cluster.command([verb]).expect_code(1);
            let _ = refused.expect_said(&["log files in", "hint: atlas-cluster.log is not a file"]);
        }
        fs::remove_file(folder.join(FILE)).expect("it lies there still");
        let told = "lines, from all sources together, could not be written";
        wait_until(format_args!("round {round} is told"), || {
            folder.join(FILE).is_file() && log_text(&folder).contains(told)
        });
    }
    assert_eq!(fs::read_to_string(&others).expect("it is there"), "somebody else's\n");
    assert_eq!(cluster.role("logger"), logger, "it lives on");
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
}
