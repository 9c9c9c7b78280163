//! As what a worker runs: its user, its limits, its CPUs; and how it is asked to leave, or leaves for good.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::shape::List;
use harness::{Builder, Place, Schema, cluster, install, need_root, process, python, sender, wait_until};
use nix::sys::signal::Signal;

/// `tests/programs/tells.py` as the workers.
fn tells(place: &Place, config: &str) -> Builder {
    let file = format!("{}/tests/programs/tells.py", env!("CARGO_MANIFEST_DIR"));
    let start = cluster!().place(place).output(place.folder().join("output"));
    let start = start.env("PYTHONUNBUFFERED", ""); // it would write a line in two pieces
    start.config(format!("[worker]\nlisten_timeout = \"30s\"\n{config}")).program([python(), &file])
}

fn output(place: &Place) -> String {
    fs::read_to_string(place.folder().join("output")).unwrap_or_default()
}

/// A line of a file that /proc has of a process.
#[track_caller]
fn line_of(pid: i32, file: &str, begin: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).expect("a process");
    text.lines().find(|line| line.starts_with(begin)).expect("a line of that name").to_owned()
}

/// What a process runs as: its niceness (proc_pid_stat(5), the 17th behind its name), its CPUs, its hard limits.
#[track_caller]
fn runs_as(pid: i32) -> (String, String, Vec<String>) {
    let stat = line_of(pid, "stat", "");
    let nice = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(16)).expect("a niceness");
    let hard = |name: &str| {
        let words = line_of(pid, "limits", name)[26..].split_whitespace().nth(1).map(str::to_owned);
        words.expect("a hard limit")
    };
    let hard = ["Max open files", "Max core file size"].map(hard).to_vec();
    (nice.to_owned(), line_of(pid, "status", "Cpus_allowed:"), hard)
}

/// What each worker told of itself, by its number.
fn told(place: &Place) -> Vec<serde_json::Value> {
    let mut told: Vec<serde_json::Value> =
        output(place).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    told.sort_by_key(|told| told["instance"].as_u64());
    told
}

#[test]
fn niceness_cpus_limits_and_a_counted_variable_are_the_workers_own() {
    let place = Place::new();
    let config = "nice = 7\ncpu_affinity = \"auto\"\nlimit_nofile = 77\nlimit_core = \"4K\"\n\
                  increment_var = \"PORT\"\nenv = { PORT = \"3000\" }\n";
    let cluster = tells(&place, config).workers(3).start();
    let told = told(&place);
    assert_eq!(told.len(), 3, "{told:#?}");
    let usable = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).expect("our CPUs");
    let usable: Vec<usize> =
        (0..nix::sched::CpuSet::count()).filter(|&cpu| usable.is_set(cpu).expect("a CPU")).collect();
    for (number, told) in told.iter().enumerate() {
        let expected = serde_json::json!({
            "instance": number, "port": (3000 + number).to_string(), "nice": 7,
            "cpus": [usable[number % usable.len()]], "nofile": 77, "core": 4096,
        });
        assert_eq!(*told, expected);
    }
    let ours = runs_as(i32::try_from(std::process::id()).expect("a pid"));
    assert_eq!(runs_as(cluster.pid()), ours, "the supervisor is as whoever started it");
}

#[test]
fn a_program_of_another_user_is_that_user_and_nobody_else() {
    need_root();
    let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let nobody = passwd.lines().find(|line| line.starts_with("nobody:")).expect("a user nobody");
    let nobody: Vec<&str> = nobody.split(':').collect();
    let (uid, gid): (u32, u32) = (nobody[2].parse().expect("a uid"), nobody[3].parse().expect("a gid"));
    for (config, uid, gid, called) in [
        (
            "user = \"nobody\"\nenv = { LOGNAME = \"as configured\" }\n",
            uid,
            gid,
            ["nobody", "as configured", nobody[5], nobody[6]],
        ),
        ("user = 64999\ngroup = 1\n", 64999, 1, ["64999", "64999", "/", "/bin/sh"]),
    ] {
        let place = Place::new();
        let start = cluster!().place(&place).output(place.folder().join("output")).workers(1);
        let start = start.config(format!("[worker]\nwait_ready = false\n{config}"));
        // Every user can run a shell.
        let script = "grep -E '^(Uid|Gid|Groups):' /proc/self/status\n\
                      printf '%s\\n' \"$USER\" \"$LOGNAME\" \"$HOME\" \"$SHELL\" end\nexec sleep 1000";
        let _cluster = start.program(["sh", "-c", script]).start();
        wait_until("it has told", || output(&place).ends_with("end\n"));
        let told = output(&place);
        let told: Vec<&str> = told.lines().map(str::trim_end).collect();
        let four = |name: &str, id: u32| format!("{name}:\t{id}\t{id}\t{id}\t{id}");
        assert_eq!(told[..3], [four("Uid", uid), four("Gid", gid), format!("Groups:\t{gid}")], "{config}");
        assert_eq!(told[3..7], called, "{config}");
    }
}

#[test]
fn a_launcher_that_fails_says_nothing_about_the_program_being_done() {
    let place = Place::new();
    let (program, aside) = (place.folder().join("server"), place.folder().join("aside"));
    let script = format!("{}/tests/programs/tells.py", env!("CARGO_MANIFEST_DIR"));
    install(&program, format!("#!/bin/sh\nexec {} {script}\n", python()).as_bytes());
    let config =
        "[worker]\nlisten_timeout = \"30s\"\nmin_uptime = \"0s\"\nstop_exit_codes = [0, 1, 2, 126, 127]\n";
    let start = cluster!().place(&place).config(config).workers(1);
    let cluster = start.program([program.to_str().expect("a path")]).start();
    fs::rename(&program, &aside).expect("it is being replaced");
    process::signal(cluster.worker(0).pid.expect("a worker"), Signal::SIGKILL);
    cluster.expect_log("cannot run ");
    cluster.expect("it is tried again and again", |list| list.workers[0].restarts > 3);
    fs::rename(&aside, &program).expect("it is there again");
    cluster.expect("it runs again", |list| list.workers[0].state == "online");
}

#[test]
fn who_exits_with_a_code_that_says_so_is_not_replaced_until_a_restart_or_a_reload() {
    let place = Place::new();
    let cluster = tells(&place, "stop_exit_codes = [0, 42]\nmin_uptime = \"0s\"\n").workers(1).start();
    let to = cluster.targets()[0];
    let socket = sender(to, 0);
    socket.send_to(b"42", to).expect("sent");
    cluster.expect("it is stopped", |list| list.workers[0].state == "stopped");
    Schema::named("describe").expect_valid(&cluster.command(["describe", "--json"]).expect_code(0).json());
    cluster.expect_log("exited with code 42");
    cluster.expect_log("not restarted, as worker.stop_exit_codes says");
    assert_eq!(cluster.list().cluster.state, "online", "nothing is wrong");
    socket.send_to(b"43", to).expect("sent: it waits in the slot's socket");
    cluster.command(["restart", "0"]);
    let list = cluster.expect("43 is no such code", |list| {
        list.workers[0].restarts == 1 && list.workers[0].state == "online"
    });
    assert_eq!(list.workers[0].last_exit.as_ref().and_then(|exit| exit.code), Some(43));
    socket.send_to(b"0", to).expect("sent");
    cluster.expect("it is stopped again", |list| list.workers[0].state == "stopped");
    cluster.command(["reload"]).expect_code(0);
    assert_eq!(cluster.expect_state("online").workers[0].state, "online");
}

#[test]
fn a_program_is_asked_to_leave_by_the_signal_that_it_wants() {
    let place = Place::new();
    let cluster = tells(&place, "kill_signal = \"SIGINT\"\nkill_timeout = \"30s\"\n").workers(2).start();
    // Whoever is asked twice may say so twice: each step begins when the one before is over.
    let settled = || process::children(cluster.pid()).len() == 2;
    cluster.command(["upgrade"]).expect_code(0);
    wait_until("the old ones are gone", settled);
    cluster.command(["restart", "1"]).expect_code(0);
    wait_until("the old one is gone", settled);
    cluster.command(["stop"]).expect_code(0);
    wait_until("all five were interrupted", || output(&place).matches("interrupted\n").count() == 5);
    assert!(!output(&place).contains("terminated"), "{}", output(&place));
}

#[test]
fn the_built_in_worker_runs_as_another_user_and_loses_nothing_over_deaths_and_reloads() {
    need_root();
    let place = Place::new();
    let enter = fs::Permissions::from_mode(0o711);
    fs::set_permissions(place.folder(), enter).expect("the runtime directory can be reached");
    let config = "[worker]\nuser = \"nobody\"\nmin_uptime = \"0s\"\nexp_backoff_restart_delay = \"0s\"\n";
    let cluster = cluster!().place(&place).workers(2).config(config).start();
    let owners = |pids: Vec<Option<i32>>| -> Vec<String> {
        let status = |pid: i32| fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        let uids = |pid| status(pid).lines().find(|line| line.starts_with("Uid:")).map(str::to_owned);
        pids.into_iter().flatten().filter_map(uids).collect()
    };
    let nobody = "Uid:\t65534\t65534\t65534\t65534";
    assert_eq!(owners(cluster.list().pids()), [nobody; 2]);
    let to = cluster.targets()[0];
    for round in 0..20 {
        for number in 0..20 {
            sender(to, number).send_to(b"{}", to).expect("sent");
        }
        let slot = round % 2;
        process::signal(cluster.worker(slot).pid.unwrap_or(i32::MAX), Signal::SIGKILL);
        if round % 5 == 0 {
            cluster.command(["reload"]);
        }
    }
    let list = cluster.expect("everything is read", |list| list.cluster.totals.datagrams >= Some(400));
    assert_eq!((list.cluster.totals.other, list.cluster.totals.dropped), (Some(400), Some(0)));
    assert!(list.restarts() > 5, "the kills were real");
    // One that is being started is not what it will be yet.
    let all_online = |list: &List| list.workers.iter().all(|worker| worker.state == "online");
    assert_eq!(owners(cluster.expect("all are online", all_online).pids()), [nobody; 2]);
}

#[test]
fn what_cannot_be_done_is_told_before_anything_runs() {
    let refused = |config: &str| cluster!().config(format!("[worker]\n{config}")).run().expect_code(2);
    refused("kill_signal = \"SIGINT\"").expect_said(&["is for a program, and there is none", "hint: "]);
    refused("increment_var = \"PORT\"")
        .expect_said(&["which is not a whole number in `worker.env`", "hint: "]);
    refused("user = \"nobody at all\"").expect_said(&["is not a user in /etc/passwd", "hint: "]);
    let output = cluster!().config("[worker]\ncpu_affinity = \"1023\"\n").run().expect_code(1);
    output.expect_said(&["cannot set worker.cpu_affinity: Invalid argument"]);
}
