//! A health command: a program is online only once it says so, and who is not well is nobody's successor.

use std::fs;
use std::thread;

use harness::{Builder, Cluster, Place, cluster, process, python, wait_for, wait_until};
use nix::sys::signal::Signal;

/// Says for whom it is asked, and is content with the file `well`.
const LOOKS: &str = "echo $NODE_APP_INSTANCE $MAINPID $LISTEN_PORT $$ >> asked; test -e well || { echo not well >&2; exit 3; }";
/// The same, but it waits for the file.
const WAITS: &str =
    "echo $NODE_APP_INSTANCE $MAINPID $LISTEN_PORT $$ >> asked; until test -e well; do sleep 0.05; done";

/// One time that it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    slot: usize,
    pid: i32,
    port: u16,
    by: i32,
}

/// Workers that do nothing, in the place's folder; what is asked about them, and more keys.
fn config(place: &Place, command: &[&str], more: &str) -> String {
    let folder = place.folder().display();
    format!(
        "[worker]\nprogram = [\"sleep\", \"1000\"]\nwait_ready = false\ncwd = \"{folder}\"\n\
         health_command = {command:?}\nhealth_interval = \"20ms\"\n{more}"
    )
}

fn builder(place: &Place, command: &[&str], more: &str) -> Builder {
    cluster!().place(place).config(config(place, command, more))
}

fn get_well(place: &Place) {
    fs::write(place.folder().join("well"), "").expect("a file");
}

fn fall_ill(place: &Place) {
    fs::remove_file(place.folder().join("well")).expect("the file");
}

fn asked(place: &Place) -> Vec<Asked> {
    let text = fs::read_to_string(place.folder().join("asked")).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let numbers = |line: &str| -> Option<Asked> {
        let words: Vec<&str> = line.split(' ').collect();
        let [slot, pid, port, by] = words.as_slice() else { return None };
        Some(Asked {
            slot: slot.parse().ok()?,
            pid: pid.parse().ok()?,
            port: port.parse().ok()?,
            by: by.parse().ok()?,
        })
    };
    whole.lines().map(|line| numbers(line).unwrap_or_else(|| panic!("{line:?} is not as told"))).collect()
}

/// Waits until somebody asks about one who was not asked about before the first so many times.
#[track_caller]
fn expect_asked_after(place: &Place, before: usize) -> Asked {
    wait_for("somebody is asked about", || asked(place).get(before).copied())
}

/// One worker that is well, is killed, and whose replacement waits to be well.
fn cluster_that_waits_to_be_well(place: &Place) -> (Cluster, Asked) {
    get_well(place);
    let cluster =
        builder(place, &["sh", "-c", WAITS], "listen_timeout = \"60s\"\nhealth_timeout = \"60s\"\n");
    let cluster = cluster.workers(1).start();
    fall_ill(place);
    let before = asked(place).len();
    let _ = cluster.kill_worker(0);
    let try_under_way = expect_asked_after(place, before);
    (cluster, try_under_way)
}

#[test]
fn a_program_is_online_once_its_health_command_says_so_and_not_before() {
    let place = Place::new();
    let cluster = builder(&place, &["sh", "-c", LOOKS], "listen_timeout = \"60s\"\n").spawn();
    wait_until("it was asked often", || asked(&place).len() > 3);
    let list = wait_for("it can be asked", || cluster.try_list());
    assert_eq!(list.cluster.state, "launching", "as long as it is not well");
    get_well(&place);
    let list = cluster.expect_state("online");
    for slot in 0..2 {
        let last = asked(&place).into_iter().rfind(|asked| asked.slot == slot).expect("it was asked about");
        assert_eq!((Some(last.pid), last.port), (list.workers[slot].pid, cluster.port()));
    }
    let times = asked(&place).len();
    cluster.command(["restart"]).expect_code(0);
    let again = asked(&place);
    assert_eq!(again.len(), times + 2, "each of two once, since they are well; and nobody else: {again:?}");
}

#[test]
fn who_has_to_say_ready_is_asked_about_after_that() {
    let place = Place::new();
    let early = "test -e when && exit 0; touch early; exit 1";
    let file = format!("{}/tests/programs/late.py", env!("CARGO_MANIFEST_DIR"));
    let config = config(&place, &["sh", "-c", early], "listen_timeout = \"60s\"\n");
    let config = config.replace("wait_ready = false\n", "").replace("program = [\"sleep\", \"1000\"]\n", "");
    let start = cluster!().place(&place).workers(1).config(config).env("LATE", "0");
    let cluster = start.env("WHEN", place.folder().join("when")).program([python(), &file]).spawn();
    cluster.expect("the program runs", |list| list.workers.iter().any(|worker| worker.pid.is_some()));
    fs::write(place.folder().join("when"), "").expect("a file");
    cluster.expect_state("online");
    assert!(!place.folder().join("early").exists(), "it was asked about before it said READY");
}

#[test]
fn a_first_start_that_is_never_well_fails_and_says_what_was_found() {
    let place = Place::new();
    let output = builder(&place, &["sh", "-c", LOOKS], "listen_timeout = \"3s\"\nhealth_timeout = \"30s\"\n")
        .run()
        .expect_code(1);
    let why = "worker 0 was not ready within worker.listen_timeout: worker.health_command sh exited with code 3: not well";
    output.expect_said(&[why, "hint: fix what worker.health_command finds"]);
    assert!(asked(&place).len() > 1, "it was tried again");
}

#[test]
fn a_worker_that_is_not_well_any_more_after_a_crash_is_an_unstable_one() {
    let place = Place::new();
    get_well(&place);
    let keys = "listen_timeout = \"3s\"\nhealth_timeout = \"30s\"\nmax_restarts = 2\nmin_uptime = \"0s\"\n";
    let cluster = builder(&place, &["sh", "-c", LOOKS], keys).workers(1).start();
    fall_ill(&place);
    let _ = cluster.kill_worker(0);
    cluster.expect("it is given up", |list| list.workers[0].state == "errored");
    cluster.expect_log(
        "was not ready within worker.listen_timeout: worker.health_command sh exited with code 3: not well",
    );
    get_well(&place);
    cluster.command(["restart", "0"]).expect_code(0);
    cluster.expect_state("online");
}

#[test]
fn a_reload_whose_successors_are_not_well_touches_nobody() {
    let place = Place::new();
    get_well(&place);
    let cluster = builder(&place, &["sh", "-c", LOOKS], "").start();
    let before = cluster.list();
    for (command, timeout, why) in [
        (&["false"][..], "30s", "worker.health_command false exited with code 1"),
        (&["sleep", "1000"], "1s", "worker.health_command sleep took longer than worker.health_timeout"),
    ] {
        let keys = format!("listen_timeout = \"4s\"\nhealth_timeout = \"{timeout}\"\n");
        place.write_config(&config(&place, command, &keys));
        let output = cluster.command(["reload"]).expect_code(1);
        output.expect_said(&[why, "hint: fix what worker.health_command finds"]);
        let after = cluster.expect_state("online");
        assert_eq!((after.pids(), after.restarts(), after.cluster.generation), (before.pids(), 0, 1));
    }
    place.write_config(&config(&place, &["true"], ""));
    cluster.command(["reload"]).expect_code(0);
    assert_ne!(cluster.list().pids(), before.pids());
}

#[test]
fn a_command_that_cannot_be_run_at_all_fails_a_start_and_a_reload_at_once() {
    let place = Place::new();
    fs::write(place.folder().join("plain"), "").expect("a file");
    // In that time nobody would wait for it.
    let patient = "listen_timeout = \"1h\"\n";
    let hint = "hint: install it, make it executable, give its whole path, or set PATH in worker.env";
    let said = |command: &str, why: &str| {
        format!(
            "worker 0 cannot be asked for its health (worker.health_command): cannot run {command}: {why}"
        )
    };
    let (missing, plain) = (said("no-such-command", "No such file"), said("./plain", "Permission denied"));
    let start = builder(&place, &["no-such-command"], patient).workers(1).run().expect_code(1);
    start.expect_said(&["the cluster did not come up: ", &missing, hint]);
    let cluster = builder(&place, &["true"], patient).workers(1).start();
    let before = cluster.list();
    for (command, why) in [("no-such-command", &missing), ("./plain", &plain)] {
        place.write_config(&config(&place, &[command], patient));
        cluster.command(["reload"]).expect_code(1).expect_said(&[why, hint]);
        let after = cluster.expect_state("online");
        assert_eq!((after.pids(), after.restarts(), after.cluster.generation), (before.pids(), 0, 1));
    }
}

#[test]
fn a_worker_that_is_asked_about_again_is_missed_until_it_is_well() {
    let place = Place::new();
    let (cluster, _) = cluster_that_waits_to_be_well(&place);
    let list = cluster.list();
    assert_eq!((list.cluster.state.as_str(), list.workers[0].state.as_str()), ("launching", "launching"));
    let early = cluster.command(["wait", "--for", "online", "--timeout", "1ms"]).expect_code(1);
    early.expect_said(&["is not online after 1ms: it is launching"]);
    get_well(&place);
    cluster.command(["wait", "--for", "online", "--timeout", "1m"]).expect_code(0);
    assert_eq!(cluster.worker(0).state, "online");
}

#[test]
fn a_command_that_hangs_is_killed_with_all_that_it_started_and_asked_again() {
    let place = Place::new();
    let hangs =
        "sleep 1000 & echo $NODE_APP_INSTANCE $MAINPID $LISTEN_PORT $! >> asked; test -e well || wait";
    let keys = "listen_timeout = \"60s\"\nhealth_timeout = \"1s\"\n";
    let cluster = builder(&place, &["sh", "-c", hangs], keys).workers(1).spawn();
    wait_until("it was asked often", || asked(&place).len() > 2);
    get_well(&place);
    cluster.expect_state("online");
    for one in asked(&place) {
        wait_until(format_args!("what {one:?} started is gone"), || !process::lives(one.by));
    }
}

#[test]
fn a_command_that_prints_without_end_is_read() {
    let place = Place::new();
    let prints = "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2";
    let keys = "listen_timeout = \"60s\"\nhealth_timeout = \"60s\"\n";
    let cluster = builder(&place, &["sh", "-c", prints], keys).start();
    assert_eq!(cluster.list().restarts(), 0);
}

#[test]
fn an_upgrade_amid_a_try_ends_it_and_begins_another() {
    let place = Place::new();
    let (cluster, first) = cluster_that_waits_to_be_well(&place);
    thread::scope(|scope| {
        let upgrade = scope.spawn(|| cluster.command(["upgrade"]).expect_code(0));
        cluster.expect_log("upgraded from version");
        wait_until("the same worker is asked about once more", || {
            asked(&place).iter().any(|asked| asked.pid == first.pid && asked.by != first.by)
        });
        wait_until("the first try is gone", || !process::lives(first.by));
        get_well(&place);
        upgrade.join().expect("it ends");
    });
    let list = cluster.expect_state("online");
    assert_eq!((list.cluster.upgrades, list.cluster.generation), (1, 2));
}

#[test]
fn a_try_does_not_outlive_the_supervisor() {
    let place = Place::new();
    let (cluster, first) = cluster_that_waits_to_be_well(&place);
    assert!(process::lives(first.by), "it is under way");
    cluster.signal(Signal::SIGKILL);
    cluster.expect_no_process();
}

#[test]
fn a_stop_amid_a_try_leaves_nothing() {
    let place = Place::new();
    let (cluster, first) = cluster_that_waits_to_be_well(&place);
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
    assert!(!process::lives(first.by));
}

#[test]
fn check_looks_for_the_command_and_the_built_in_worker_has_none() {
    let place = Place::new();
    let check = |text: &str| {
        place.write_config(&format!("listen = [\"127.0.0.1:0\"]\n{text}"));
        let mut command = std::process::Command::new(cluster!().binary_path());
        command.args(["check", "--config"]).arg(place.config_file());
        command.arg("--runtime-dir").arg(place.runtime_dir());
        harness::run(command)
    };
    let found = check(&config(&place, &["true"], "")).stdout;
    assert!(found.lines().any(|line| line.starts_with("OK") && line.contains("health command")), "{found}");
    let missing = check(&config(&place, &["no-such-command"], ""));
    let line =
        missing.stdout.lines().find(|line| line.starts_with("FAIL") && line.contains("health command"));
    assert!(line.is_some_and(|line| line.contains("cannot run no-such-command")), "{missing:#?}");
    missing.expect_code(1);
    let refused = cluster!().config("[worker]\nhealth_command = [\"true\"]\n").run().expect_code(2);
    refused
        .expect_said(&["`worker.health_command` is for a program, and there is none", "hint: leave it out"]);
}
