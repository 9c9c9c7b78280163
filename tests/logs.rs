//! The logger: no line is lost or doubled, whoever is killed; no flood, no full disk harms anybody.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::{
    Builder, Cluster, Place, Printed, cluster, install, log_files, log_text, need_root, process, run,
    wait_for, wait_until,
};
use nix::mount::MsFlags;
use nix::sys::signal::Signal;

/// Programs that never say READY=1; whoever dies is replaced at once.
const WORKER: &str = "[worker]\nwait_ready = false\nlisten_timeout = \"30s\"\nkill_timeout = \"20s\"\nmin_uptime = \"50ms\"\n\
                      exp_backoff_restart_delay = \"0s\"\n";

fn folder(place: &Place) -> PathBuf {
    place.folder().join("logs")
}

/// Workers that print, and what `[log]` says beside its folder.
fn printing(place: &Place, pause: &str, log: &str) -> Builder {
    let config = format!("{WORKER}[log]\ndir = \"{}\"\n{log}", folder(place).display());
    cluster!().config(config).printing(place, pause)
}

const ALL: &str = "rate_limit = 0\nmax_size = \"64K\"\nkeep = 1000\n";

/// Stops it, and holds what was printed against the files.
#[track_caller]
fn expect_all_once(cluster: &Cluster, place: &Place) -> u64 {
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
    Printed::of(place).expect_all_once(&log_text(&folder(place)))
}

#[test]
fn fifty_kills_of_the_logger_lose_no_line_and_double_none() {
    let place = Place::new();
    let cluster = printing(&place, "0.0002", ALL).start();
    let printed = Printed::of(&place);
    let mut last = 0;
    for _ in 0..50 {
        let logger = wait_for("the logger is online", || cluster.logger().filter(|pid| *pid != last));
        printed.wait_for_more(100);
        process::signal(logger, Signal::SIGKILL);
        last = logger;
    }
    let list = cluster.expect("it is back", |list| {
        list.roles.iter().any(|role| role.name == "logger" && role.state == "online" && role.restarts >= 50)
    });
    assert_eq!(list.roles[0].last_exit.clone().and_then(|exit| exit.signal).as_deref(), Some("SIGKILL"));
    let lines = expect_all_once(&cluster, &place);
    assert!(log_files(&folder(&place)).len() > 3, "files were filled meanwhile");
    harness::say(&format!("50 kills of the logger: {lines} lines, each once"));
}

#[test]
fn reloads_an_upgrade_and_restarts_lose_no_line() {
    let place = Place::new();
    let cluster = printing(&place, "0.0005", &format!("{ALL}gzip = true\n")).start();
    let printed = Printed::of(&place);
    let logger = wait_for("the logger is online", || cluster.logger());
    for order in ["reload", "upgrade", "restart", "reload"] {
        printed.wait_for_more(200);
        cluster.command([order]).expect_code(0);
    }
    cluster.command(["restart", "logger"]).expect_code(0);
    cluster.command(["scale", "+2"]).expect_code(0);
    printed.wait_for_more(200);
    assert!(cluster.logger().is_some_and(|now| now != logger), "another one took over");
    assert_eq!(cluster.list().cluster.upgrades, 1);
    expect_all_once(&cluster, &place);
    let compressed = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "gz");
    assert!(log_files(&folder(&place)).iter().any(compressed), "{:?}", log_files(&folder(&place)));
}

#[test]
fn the_death_of_the_supervisor_loses_no_line() {
    let place = Place::new();
    for _ in 0..3 {
        let cluster = printing(&place, "0.0005", ALL).start();
        Printed::of(&place).wait_for_more(500);
        cluster.signal(Signal::SIGKILL);
        cluster.wait_for_end();
        Printed::of(&place).expect_all_once(&log_text(&folder(&place)));
    }
}

#[test]
fn a_flood_is_cut_and_told_and_the_quiet_ones_are_heard() {
    let place = Place::new();
    let script = "i=0; if [ $NODE_APP_INSTANCE = 0 ]; then exec yes flood; fi; \
                  while :; do echo \"quiet $i\"; i=$((i+1)); sleep 0.01; done";
    let config = format!(
        "{WORKER}[log]\ndir = \"{}\"\nrate_limit = 100\nmax_size = \"64K\"\nkeep = 100\n",
        folder(&place).display()
    );
    let cluster = cluster!().place(&place).config(config).program(["sh", "-c", script]).start();
    let text = wait_for("the flood is told of three times", || {
        let text = log_text(&folder(&place));
        (text.matches("lines were left out here").count() >= 3 && text.contains("quiet 300\n"))
            .then_some(text)
    });
    let quiet: Vec<u64> =
        text.lines().filter_map(|line| line.split_once("[1] quiet ")?.1.parse().ok()).collect();
    assert!(quiet.iter().copied().eq(0..quiet.len() as u64), "all of them: {quiet:?}");
    assert!(text.matches("[0] flood\n").count() >= 1000);
    assert!(log_files(&folder(&place)).iter().all(|path| path.metadata().unwrap().len() <= 64 << 10));
    drop(cluster);
}

#[test]
fn files_are_bounded_in_number_and_size() {
    let place = Place::new();
    let cluster = printing(&place, "0", "rate_limit = 0\nmax_size = \"16K\"\nkeep = 2\n").start();
    let numbered = |at_least: u64| {
        log_files(&folder(&place)).iter().any(|path| {
            let number = path.extension().and_then(|number| number.to_str()?.parse().ok());
            number.is_some_and(|number: u64| number >= at_least)
        })
    };
    wait_until("twenty files were filled", || numbered(20));
    cluster.command(["stop"]).expect_code(0);
    cluster.wait_for_end();
    let files = log_files(&folder(&place));
    assert_eq!(files.len(), 3, "{files:?}");
    let sizes: Vec<u64> = files.iter().map(|path| path.metadata().unwrap().len()).collect();
    assert!(sizes.iter().all(|&size| size <= 16 << 10), "{sizes:?}");
}

#[test]
fn a_file_that_was_moved_is_let_go_of_at_usr1() {
    let place = Place::new();
    let cluster = printing(&place, "0.005", "rate_limit = 0\n").start();
    let (current, moved) = (folder(&place).join("atlas-cluster.log"), folder(&place).join("moved"));
    let printed = Printed::of(&place);
    printed.wait_for_more(50);
    wait_for("the logger is online", || cluster.logger());
    fs::rename(&current, &moved).unwrap();
    printed.wait_for_more(50);
    cluster.signal(Signal::SIGUSR1);
    wait_until("it is opened anew", || current.exists());
    printed.wait_for_more(50);
    cluster.command(["stop"]).expect_code(0);
    cluster.wait_for_end();
    let after = fs::read_to_string(&current).unwrap();
    assert!(after.contains("] line "), "lines go there");
    printed.expect_all_once(&[fs::read_to_string(&moved).unwrap(), after].concat());
}

#[test]
fn flush_empties_the_current_file_and_removes_the_full_ones() {
    let place = Place::new();
    let cluster = printing(&place, "0.005", "rate_limit = 0\nmax_size = \"16K\"\nkeep = 100\n").start();
    wait_until("two files are full", || log_files(&folder(&place)).len() > 2);
    // As of a compression that was killed.
    fs::write(folder(&place).join("atlas-cluster.log.1.gz"), "half").unwrap();
    fs::write(folder(&place).join("atlas-cluster.log.900.gz.part"), "half").unwrap();
    let before = log_text_of_plain(&place);
    let said = cluster.command(["flush"]).expect_code(0).stdout;
    assert!(said.starts_with("flush done: atlas-cluster.log is empty, "), "{said}");
    for number in ["1", "1.gz", "900.gz.part"] {
        assert!(!folder(&place).join(format!("atlas-cluster.log.{number}")).exists(), "{number} is gone");
    }
    wait_until("it goes on at the start", || log_text(&folder(&place)).starts_with("20"));
    let after = log_text(&folder(&place));
    let first = before.lines().find(|line| line.contains("] line ")).expect("a line of before");
    assert!(!after.contains(first), "{first}");
    wait_until("the next one is full", || log_files(&folder(&place)).len() > 1);
    assert!(!folder(&place).join("atlas-cluster.log.1").exists(), "no number is given twice");
    cluster.command(["stop"]).expect_code(0);
    cluster.wait_for_end();
}

/// What was written first.
fn log_text_of_plain(place: &Place) -> String {
    fs::read_to_string(folder(place).join("atlas-cluster.log.1")).expect("the first file")
}

#[test]
fn another_cluster_may_not_write_to_the_same_files() {
    let place = Place::new();
    let cluster = printing(&place, "0.005", "rate_limit = 0\n").start();
    let config = format!("[log]\ndir = \"{}\"\n", folder(&place).display());
    let refused = cluster!().config(config).run().expect_code(3);
    refused.expect_said(&["another cluster writes its log files to", "hint: give each cluster a folder"]);
    expect_all_once(&cluster, &place);
}

/// A file system of its own on a folder; gone when dropped.
struct Disk(PathBuf);

impl Disk {
    fn on(folder: PathBuf) -> Disk {
        fs::create_dir(&folder).expect("made");
        nix::mount::mount(Some("disk"), &folder, Some("tmpfs"), MsFlags::empty(), Some("size=1m"))
            .expect("mounted");
        Disk(folder)
    }

    fn set(&self, flags: MsFlags) {
        let none = None::<&str>;
        nix::mount::mount(none, &self.0, none, MsFlags::MS_REMOUNT | flags, none).expect("mounted anew");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_disk_that_is_read_only_at_the_start_costs_lines_and_nothing_else() {
    need_root();
    let place = Place::new();
    let disk = Disk::on(folder(&place));
    disk.set(MsFlags::MS_RDONLY);
    let cluster = printing(&place, "0.005", "rate_limit = 0\n").start();
    let warned = "log lines are lost, and counted, until ";
    cluster.expect_log(warned).expect_log("Read-only file system");
    Printed::of(&place).wait_for_more(100);
    assert!(log_files(&folder(&place)).is_empty());
    disk.set(MsFlags::empty());
    let text = wait_for("it is told", || {
        let text = log_text(&folder(&place));
        text.contains("lines, from all sources together, could not be written: Read-only file system")
            .then_some(text)
    });
    let told = text.lines().find_map(|line| line.split_once("[logger] ")?.1.split(' ').next()?.parse().ok());
    assert!(told.is_some_and(|lines: u64| lines >= 100), "{text}");
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
}

#[test]
fn files_that_another_user_may_not_read_are_there_all_the_same() {
    need_root();
    let place = Place::new();
    let cluster = printing(&place, "0.005", "").start();
    // Where the other one can run it.
    let binary = place.folder().join("atlas-cluster");
    install(&binary, &fs::read(cluster.binary()).expect("it is read"));
    for verb in ["logs", "flush"] {
        let mut command = Command::new(&binary);
        command.args([verb, "--runtime-dir"]).arg(cluster.runtime_dir()).uid(65534).gid(65534);
        let said = run(command).expect_code(1);
        said.expect_said(&[
            "cannot read the log files in",
            "Permission denied",
            "hint: run this as the cluster's",
        ]);
    }
}

/// A write beyond RLIMIT_FSIZE fails as one to a full disk does: with an errno, some of it written.
#[test]
fn a_disk_that_is_full_costs_lines_that_are_counted_and_nobody_waits() {
    let place = Place::new();
    let cluster = printing(&place, "0.001", "rate_limit = 0\n").start();
    let printed = Printed::of(&place);
    let logger = wait_for("the logger is online", || cluster.logger());
    let limit = |bytes: &str| {
        let status = Command::new("prlimit").args(["--pid", &logger.to_string(), bytes]).status();
        assert!(status.expect("prlimit (Debian: util-linux) runs").success());
    };
    let size = || log_files(&folder(&place)).iter().map(|path| path.metadata().unwrap().len()).sum::<u64>();
    limit(&format!("--fsize={}:", size() + 5_000));
    printed.wait_for_more(3_000);
    let list = cluster.list();
    assert_eq!((list.cluster.state.as_str(), list.restarts()), ("online", 0));
    assert_eq!(cluster.logger(), Some(logger), "it lives on");
    limit("--fsize=unlimited:");
    wait_until("it is told", || {
        log_text(&folder(&place))
            .contains("lines, from all sources together, could not be written: File too large")
    });
    cluster.command(["stop"]).expect_code(0);
    cluster.wait_for_end();
    let text = log_text(&folder(&place));
    assert!(text.lines().all(|line| line.starts_with("20") && line.contains("] ")), "no half line:\n{text}");
    let (written, told) = (
        text.lines().filter(|line| line.contains("] line ")).count() as u64,
        text.lines()
            .filter_map(|line| line.split_once("[logger] ")?.1.split_once(' ')?.0.parse::<u64>().ok())
            .sum::<u64>(),
    );
    let total = printed.total();
    assert!(told > 1000, "{told}");
    // Lines of the supervisor may be among those that are lost; each of two printers may have printed one more.
    assert!((total..=total + 20).contains(&(written + told)), "{written} + {told} of {total}");
}

#[test]
fn lines_are_json_where_that_is_wanted() {
    let place = Place::new();
    let cluster = printing(&place, "0.005", "format = \"json\"\n").start();
    wait_until("both are heard", || {
        let text = log_text(&folder(&place));
        text.contains("\"message\":\"line ") && text.contains("cluster online")
    });
    let told = cluster.command(["logs", "--worker", "supervisor", "--grep", "cluster online"]).expect_code(0);
    let line = told.json();
    assert_eq!((line["source"].as_str(), line["level"].as_str()), (Some("supervisor"), Some("info")));
    assert!(line["message"].as_str().unwrap().starts_with("cluster online: 2 workers"), "{line}");
    cluster.command(["stop"]).expect_code(0);
    cluster.wait_for_end();
    let foreground = cluster!().config("[log]\nformat = \"json\"\n").start();
    foreground.expect_log("\"level\":\"info\",\"message\":\"cluster online: 2 workers");
    for line in foreground.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(line["source"], "supervisor");
    }
}

/// Somebody who would go on for ever; ended when dropped.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn whoever_follows_misses_nothing_over_full_files() {
    let place = Place::new();
    let cluster =
        printing(&place, "0.002", "rate_limit = 0\nmax_size = \"16K\"\nkeep = 100\ngzip = true\n").start();
    let mut follow = Command::new(cluster.binary());
    follow.args(["logs", "-f", "--worker", "0", "--runtime-dir"]).arg(cluster.runtime_dir());
    let mut follow = Guard(follow.stdout(Stdio::piped()).spawn().expect("it runs"));
    let mut output = follow.0.stdout.take().expect("its standard output");
    let files = || log_files(&folder(&place)).len();
    let before = files();
    wait_until("five files were filled", || files() >= before + 5);
    let last =
        Printed::of(&place).counts().into_iter().find(|((slot, _), _)| *slot == 0).expect("it prints").1;
    let mut text = String::new();
    let wanted = format!(" {last}\n");
    let mut buffer = [0; 4096];
    while !text.contains(&wanted) {
        let bytes = output.read(&mut buffer).expect("it goes on");
        assert_ne!(bytes, 0, "it ended: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..bytes]));
    }
    drop(follow);
    let numbers: Vec<u64> = text.lines().filter_map(|line| line.rsplit_once(' ')?.1.parse().ok()).collect();
    let follows = numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
    assert!(follows && numbers.len() > 100, "{numbers:?}");
}

#[test]
fn a_line_that_nobody_ended_is_written_all_the_same() {
    let place = Place::new();
    let config = format!("{WORKER}[log]\ndir = \"{}\"\n", folder(&place).display());
    let script = "printf 'no end'; exec sleep 1000";
    let cluster = cluster!().place(&place).config(config).program(["sh", "-c", script]).start();
    wait_until("it is written", || log_text(&folder(&place)).contains("[0] no end\n"));
    drop(cluster);
}

#[test]
fn without_files_logs_says_where_to_look() {
    let cluster = cluster!().start();
    for verb in ["logs", "flush"] {
        let said = cluster.command([verb]).expect_code(1);
        said.expect_said(&["there are no log files in", "hint: ", "journalctl"]);
    }
    let missing = Path::new("/proc/self/nothing");
    let refused = cluster!().config(format!("[log]\ndir = \"{}\"\n", missing.display())).run().expect_code(1);
    refused.expect_said(&["cannot write logs to /proc/self/nothing", "hint: choose a folder"]);
    let refused = cluster!().config("[log]\ndir = \"/proc/self\"\n").run().expect_code(1);
    refused.expect_said(&["cannot write logs to /proc/self", "hint: choose a folder"]);
}
