//! `--daemon`: it comes back when all is well, or says why not.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use harness::{Builder, Daemon, Place, cluster, log_text, process, python, run, wait_for, wait_until};
use nix::sys::signal::Signal;

/// Runs a command that has a terminal open, whatever the test has.
const ON_A_TERMINAL: &str = "import os, pty, sys\nos.dup2(pty.openpty()[1], 9)\nassert os.isatty(9)\n\
                             os.execvp(sys.argv[1], sys.argv[1:])";

fn expect_silence(pid: i32) {
    let open = process::descriptors(pid);
    let terminal = open.iter().filter(|target| target.contains("tty") || target.contains("/dev/pts"));
    assert_eq!(terminal.count(), 0, "{open:?}");
    assert_eq!(open.first().map(String::as_str), Some("/dev/null"), "standard input: {open:?}");
}

#[test]
fn it_comes_back_when_every_worker_is_online_and_nothing_of_the_shell_stays() {
    let place = Place::new();
    // `run` waits for the end of both pipes: whoever kept one of them open would hold it up.
    let terminal = [python(), "-c", ON_A_TERMINAL];
    let daemon = cluster!().place(&place).workers(3).wrapped_in(&terminal).start_daemon();
    let list = daemon.list();
    assert_eq!((list.cluster.state.as_str(), list.workers.len()), ("online", 3));
    assert_eq!(list.roles.iter().map(|role| role.name.as_str()).collect::<Vec<_>>(), ["logger"]);
    assert!(daemon.said.stdout.starts_with(&format!("cluster online: pid {}, logs in ", daemon.pid())));
    expect_silence(daemon.pid());
    for pid in list.pids().into_iter().flatten() {
        expect_silence(pid);
    }
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
    let session: i32 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap().parse().unwrap();
    assert_eq!(session, daemon.pid(), "a session of its own");
    let logs = daemon.runtime_dir().join("logs");
    wait_until("the log tells of it", || log_text(&logs).contains("cluster online: 3 workers"));
    daemon.command(["upgrade"]).expect_code(0);
    daemon.command(["reload"]).expect_code(0);
    expect_silence(daemon.pid());
    let second = cluster!().place(&place).run_beside(&place, &[]);
    second.expect_code(3).expect_said(&["a cluster already runs in", "hint: "]);
    daemon.command(["stop"]).expect_code(0);
    daemon.expect_no_process();
    assert_eq!(daemon.files_left(), ["logs"]);
    assert!(log_text(&logs).trim_end().lines().last().unwrap().contains("cluster stopped after"));
    let told = daemon.command(["logs", "--lines", "1"]).expect_code(0);
    assert!(told.stdout.contains("cluster stopped after"), "{told:?}");
}

/// In the background; others may run in that place, or what it started be on its way out.
trait RunBeside {
    fn run_beside(self, place: &Place, more: &[&str]) -> harness::Output;
}

impl RunBeside for Builder {
    fn run_beside(self, place: &Place, more: &[&str]) -> harness::Output {
        run(beside(&self, place, more))
    }
}

fn beside(builder: &Builder, place: &Place, more: &[&str]) -> Command {
    let mut command = Command::new(builder.binary_path());
    command.args(["start", "--daemon", "--listen", "127.0.0.1:0", "--config"]).arg(place.config_file());
    let own = std::env::vars_os().map(|(name, _)| name);
    own.filter(|name| name.to_string_lossy().starts_with("ATLAS_CLUSTER_"))
        .for_each(|name| _ = command.env_remove(name));
    command.env("ATLAS_CLUSTER_RUNTIME_DIR", place.runtime_dir()).args(more);
    command
}

fn ask(place: &Place, verb: &str) -> harness::Output {
    let mut command = Command::new(cluster!().binary_path());
    command.args([verb, "--runtime-dir"]).arg(place.runtime_dir());
    run(command)
}

/// Whatever runs in a place; ended when dropped.
struct Inhabitants(OsString);

impl Inhabitants {
    fn of(place: &Place) -> Inhabitants {
        let mut mark = OsString::from("ATLAS_CLUSTER_RUNTIME_DIR=");
        mark.push(place.runtime_dir());
        Inhabitants(mark)
    }

    fn is_empty(&self) -> bool {
        process::with_variable(&self.0).is_empty()
    }
}

impl Drop for Inhabitants {
    fn drop(&mut self) {
        process::with_variable(&self.0).iter().for_each(|left| process::signal(left.pid, Signal::SIGKILL));
    }
}

#[test]
fn it_is_no_failure_if_nobody_hears_that_it_is_online() {
    let place = Place::new();
    place.write_config("");
    let there = Inhabitants::of(&place);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = beside(&cluster!(), &place, &["--workers", "1"]);
    let mut child = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
    assert!(!there.is_empty(), "it runs");
    ask(&place, "stop").expect_code(0);
    wait_until("nobody is left", || there.is_empty());
}

#[test]
fn who_cannot_be_told_that_it_is_online_is_told_that_it_may_be() {
    let place = Place::new();
    place.write_config("");
    let there = Inhabitants::of(&place);
    let mut command = beside(&cluster!(), &place, &["--workers", "1"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("cannot write to standard output: "), "{said}");
    assert!(said.contains("hint: it may still be carried out"), "{said}");
    ask(&place, "ping").expect_code(0);
    ask(&place, "stop").expect_code(0);
    wait_until("nobody is left", || there.is_empty());
}

#[test]
fn a_signal_ends_whoever_waits_for_a_start_and_not_the_start() {
    let late = format!("{}/tests/programs/late.py", env!("CARGO_MANIFEST_DIR"));
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let place = Place::new();
        place.write_config("[worker]\nlisten_timeout = \"60s\"\nenv = { LATE = \"1\" }\n");
        let (there, when) = (Inhabitants::of(&place), place.folder().join("when"));
        let start = beside(&cluster!(), &place, &["--workers", "2", "--", python(), &late]);
        // A shell lets what it starts in the background ignore SIGINT, and these tests may be that.
        let mut command = Command::new("env");
        command.arg("--default-signal").arg(start.get_program()).args(start.get_args());
        command.envs(start.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("WHEN", &when).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let is_there = || ask(&place, "ping").code == Some(0);
        wait_until("it starts", is_there);
        process::signal(i32::try_from(child.id()).unwrap(), signal);
        let ended = wait_for(format_args!("{signal} ends it"), || child.try_wait().unwrap());
        assert_eq!(ended.signal(), Some(signal as i32));
        std::fs::write(&when, "").unwrap();
        ask(&place, "wait").expect_code(0);
        ask(&place, "stop").expect_code(0);
        wait_until("nobody is left", || there.is_empty());
    }
}

#[test]
fn log_dir_may_be_set_once_there_are_files_and_may_name_the_folder_itself() {
    let place = Place::new();
    let stop = |daemon: Daemon| {
        daemon.command(["stop"]).expect_code(0);
        daemon.expect_no_process();
    };
    stop(cluster!().place(&place).start_daemon());
    let (own, elsewhere) = (place.runtime_dir().join("logs"), place.folder().join("elsewhere"));
    assert!(log_text(&own).contains("cluster online"));
    let dir = |dir: &std::path::Path| format!("[log]\ndir = \"{}\"\n", dir.display());
    let daemon = cluster!().place(&place).config(dir(&elsewhere)).start_daemon();
    wait_until("the log says where those of before are", || {
        log_text(&elsewhere).contains(&format!("those of before are in {}.1", own.display()))
    });
    assert!(log_text(&place.runtime_dir().join("logs.1")).contains("cluster online"));
    stop(daemon);
    let daemon = cluster!().place(&place).config(dir(&own)).start_daemon();
    assert!(own.symlink_metadata().unwrap().is_dir());
    stop(daemon);
    assert!(log_text(&own).contains("cluster online"));
}

#[test]
fn what_fails_is_told_with_the_last_lines() {
    let config = "[worker]\nwait_ready = false\nmin_uptime = \"5s\"\n";
    let script = "echo 'Traceback: no such database' >&2; exit 7";
    let failed = cluster!().config(config).arg("--daemon").program(["sh", "-c", script]).run().expect_code(1);
    failed.expect_said(&[
        "the cluster did not come up: worker ",
        "exited with code 7",
        "hint: ",
        "] Traceback: no such database\n",
    ]);
    let bad = cluster!().config("workers = \"some\"\n").workers_as_configured().arg("--daemon").run();
    bad.expect_code(2).expect_said(&["workers", "hint: "]);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let holder = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let refused = cluster!().listen(address).arg("--daemon").run().expect_code(3);
    refused.expect_said(&["cannot bind UDP 127.0.0.1:", "it is held by", "hint: stop that process"]);
}

#[test]
fn one_that_is_killed_while_it_starts_is_told() {
    let place = Place::new();
    let config = "[worker]\nlisten_timeout = \"60s\"\n";
    place.write_config(config);
    let inhabitants = Inhabitants::of(&place);
    let there = place.clone();
    let waiting =
        std::thread::spawn(move || cluster!().run_beside(&there, &["--workers", "2", "--", "sleep", "1000"]));
    let pid_file = place.runtime_dir().join("pid");
    wait_until("it is there", || {
        let pid = std::fs::read_to_string(&pid_file).ok().and_then(|pid| pid.trim().parse().ok());
        pid.map(|pid| process::signal(pid, Signal::SIGKILL)).is_some()
    });
    let said = waiting.join().unwrap().expect_code(1);
    said.expect_said(&["the supervisor was killed by SIGKILL", "hint: "]);
    wait_until("nobody is left", || inhabitants.is_empty());
}
