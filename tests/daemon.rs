//! `--daemon`: it comes back when all is well, or says why not.

use harness::{Builder, Place, cluster, log_text, process, run, wait_until};
use nix::sys::signal::Signal;

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
    let daemon = cluster!().place(&place).workers(3).start_daemon();
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
        let mut command = std::process::Command::new(self.binary_path());
        command.args(["start", "--daemon", "--listen", "127.0.0.1:0", "--config"]).arg(place.config_file());
        command.env("ATLAS_CLUSTER_RUNTIME_DIR", place.runtime_dir()).args(more);
        run(command)
    }
}

#[test]
fn what_fails_is_told_with_the_last_lines() {
    let config = "[worker]\nwait_ready = false\nmin_uptime = \"5s\"\n";
    let script = "echo 'Traceback: no such database' >&2; exit 7";
    let failed = cluster!().config(config).arg("--daemon").program(["sh", "-c", script]).run().expect_code(1);
    failed.expect_said(&[
        "the cluster did not come up: worker 0 gen 1",
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
    refused.expect_said(&["cannot bind UDP 127.0.0.1:", "it is held by", "hint: stop who holds the port"]);
}

#[test]
fn one_that_is_killed_while_it_starts_is_told() {
    let place = Place::new();
    let config = "[worker]\nlisten_timeout = \"60s\"\n";
    place.write_config(config);
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
    let mut mark = std::ffi::OsString::from("ATLAS_CLUSTER_RUNTIME_DIR=");
    mark.push(place.runtime_dir());
    wait_until("nobody is left", || process::with_variable(&mark).is_empty());
}
