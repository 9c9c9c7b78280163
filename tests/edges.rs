//! What a session, a shell or a limit may do to a cluster: standard error that takes nothing, signals that mean nothing,
//! too few descriptors or processes.

use std::process::Command;

use harness::{
    Builder, OnTerminal, Options, Output, Place, cluster, free_port, install, need_root, process, run,
    wait_until,
};
use nix::sys::signal::Signal;

/// Standard error closed, one that is always full, and a pipe whose reader is gone.
const DEAF: [&str; 3] = [
    "exec \"$@\" 2>&-",
    "exec \"$@\" 2>/dev/full",
    "exec bash -c 'exec 3> >(:); wait $!; exec \"$@\" 2>&3 3>&-' bash \"$@\"",
];

fn start(script: &str, place: &Place) -> Builder {
    cluster!().place(place).wrapped_in(&["sh", "-c", script, "sh"])
}

fn command(script: &str, place: &Place, arguments: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(cluster!().binary_path()).args(arguments);
    command.arg("--runtime-dir").arg(place.runtime_dir());
    run(command)
}

#[test]
fn exit_codes_are_right_though_nothing_can_be_said() {
    for script in DEAF {
        let place = Place::new();
        start(script, &place).arg("--no-such-option").run().expect_code(2);
        start(script, &place).config("workers = 0\n").run().expect_code(2);
        command(script, &place, &["no-such-command"]).expect_code(2);
        command(script, &place, &["ping"]).expect_code(4);
        let port = free_port();
        let squatter = Options { reuse_address: false, reuse_port: false };
        let _squatter = squatter.bind(([127, 0, 0, 1], port).into()).expect("the port");
        start(script, &place).config("").listen(format!("127.0.0.1:{port}")).run().expect_code(3);
        start(script, &place)
            .config("[worker]\nwait_ready = false\n")
            .program(["false"])
            .run()
            .expect_code(1);
    }
}

#[test]
fn a_cluster_whose_standard_error_takes_nothing_runs_on() {
    for script in DEAF {
        let place = Place::new();
        let cluster = start(script, &place).config("").start();
        cluster.kill_worker(0).expect_replaced_after("SIGKILL");
        place.write_config("workers = 0\n");
        command(script, &place, &["reload"]).expect_code(2);
        place.write_config("");
        command(script, &place, &["reload"]).expect_code(0);
        command(script, &place, &["upgrade"]).expect_code(0);
        cluster.expect_state("online");
        command(script, &place, &["stop"]).expect_code(0);
        assert_eq!(cluster.wait_for_end(), 0);
    }
}

#[test]
fn who_logs_to_files_needs_no_standard_error() {
    for script in DEAF {
        let place = Place::new();
        let folder = place.folder().join("elsewhere");
        let cluster = start(script, &place).config(format!("[log]\ndir = {folder:?}\n")).start();
        let text = || std::fs::read_to_string(folder.join("atlas-cluster.log")).unwrap_or_default();
        wait_until("its lines are in the file", || text().contains("cluster online"));
        command(script, &place, &["stop"]).expect_code(0);
        assert_eq!(cluster.wait_for_end(), 0);
    }
}

#[test]
fn log_lines_are_coloured_where_answers_are() {
    for (terminal, no_colour, coloured) in [("xterm", "", true), ("dumb", "", false), ("xterm", "1", false)] {
        let place = Place::new();
        let mut command = Command::new("env");
        command.args([format!("TERM={terminal}"), format!("NO_COLOR={no_colour}")]);
        command.arg(cluster!().binary_path()).args(["--workers", "1", "--listen", "127.0.0.1:0"]);
        command.arg("--runtime-dir").arg(place.runtime_dir());
        let cluster = OnTerminal::start(command, 80);
        cluster.expect("cluster online: ");
        assert_eq!(cluster.written().contains("\x1b[32mINFO"), coloured, "{terminal}: {}", cluster.written());
        self::command(DEAF[0], &place, &["stop"]).expect_code(0);
    }
}

#[test]
fn signals_that_mean_nothing_end_nobody() {
    let harmless = [
        Signal::SIGWINCH,
        Signal::SIGCONT,
        Signal::SIGURG,
        Signal::SIGPIPE,
        Signal::SIGALRM,
        Signal::SIGVTALRM,
        Signal::SIGPROF,
        Signal::SIGIO,
        Signal::SIGPWR,
        Signal::SIGSTKFLT,
        Signal::SIGXFSZ,
        Signal::SIGCHLD,
    ];
    let cluster = cluster!().start();
    let before = cluster.list();
    for upgrades in 0..2 {
        for signal in harmless {
            cluster.signal(signal);
        }
        for signal in [34, 50, 64] {
            process::signal_by_number(cluster.pid(), signal);
        }
        // Whoever answers after that has taken them all.
        let after = cluster.list();
        assert_eq!((after.cluster.pid, after.cluster.upgrades), (before.cluster.pid, upgrades));
        assert_eq!((after.cluster.state.as_str(), after.restarts()), ("online", 0));
        if upgrades == 0 {
            assert_eq!(after.pids(), before.pids());
            cluster.command(["upgrade"]).expect_code(0);
        }
    }
}

#[test]
fn a_limit_that_is_too_low_is_told_with_the_way_to_raise_it() {
    let under = |limits: &[&str]| {
        let words: Vec<&str> = ["prlimit"].iter().chain(limits).copied().collect();
        cluster!().workers(1).wrapped_in(&words).run().expect_code(1)
    };
    under(&["--nofile=100:100"])
        .expect_said(&["descriptors, and the limit is 100", "\nhint: raise it (ulimit -n"]);
    // Root has as many processes as it likes; and nobody has any but this.
    need_root();
    let place = Place::new();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=54321", "--regid=54321", "--clear-groups", "prlimit", "--nproc=1:1"]);
    let binary = place.folder().join("atlas-cluster");
    install(&binary, &std::fs::read(cluster!().binary_path()).expect("the binary"));
    command.arg(&binary).args(["--workers", "1", "--listen", "127.0.0.1:0"]);
    let folder = place.folder().join("theirs");
    std::fs::create_dir(&folder).expect("a folder");
    std::os::unix::fs::chown(&folder, Some(54321), Some(54321)).expect("it is theirs");
    open_to_all(place.folder());
    command.arg("--runtime-dir").arg(folder.join("run"));
    let output = run(command);
    output.expect_code(1).expect_said(&[
        "cannot start",
        "\nhint: raise the limit of processes and threads of this user (ulimit -u)",
    ]);
}

#[test]
fn the_supervisor_opens_no_more_than_its_budget_counts() {
    let cluster = cluster!().workers(2).start();
    let folder = format!("/proc/{}/fdinfo", cluster.pid());
    // What whoever runs this test has left open is not closed in an exec; what the supervisor opens is.
    let opened = || {
        let files = std::fs::read_dir(&folder).expect("fdinfo").flatten();
        let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
        let flags = texts.filter_map(|text| {
            text.lines().find_map(|line| line.strip_prefix("flags:\t0").map(str::to_owned))
        });
        flags.filter(|flags| u32::from_str_radix(flags, 8).is_ok_and(|flags| flags & 0o200_0000 != 0)).count()
    };
    let (standard, own, of_a_worker) = (3, 20, 5);
    let most = own - standard + 2 * of_a_worker;
    let opened = process::at_rest(opened);
    assert!(
        opened <= most,
        "{opened}, not {most}: FOR_ITSELF and FOR_EACH_WORKER (src/supervisor/limits.rs) are to follow"
    );
}

/// So that another user reaches what is below it.
fn open_to_all(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[test]
fn an_order_may_be_done_though_its_answer_cannot_be_written_and_ends_as_it_ends() {
    let place = Place::new();
    let full = "exec \"$@\" > /dev/full";
    let gone = "exec bash -c 'exec 3> >(:); wait $!; exec \"$@\" >&3' bash \"$@\"";
    let cluster = cluster!().place(&place).config("").start();
    let ordered = command(full, &place, &["restart", "0"]).expect_code(1);
    ordered.expect_said(&["cannot write to standard output: ", "\nhint: it may still be carried out"]);
    let asked = command(full, &place, &["list"]).expect_code(1);
    assert!(!asked.stderr.contains("hint: "), "nothing was done: {}", asked.stderr);
    place.write_config("workers = 0\n");
    command(gone, &place, &["reload", "--json"]).expect_code(2).expect_said(&["workers"]);
    command(gone, &place, &["list"]).expect_code(0);
    command(full, &place, &["stop"]).expect_code(1);
    assert_eq!(cluster.wait_for_end(), 0);
}
