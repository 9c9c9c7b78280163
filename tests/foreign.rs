//! Any program as the workers: what it gets, what becomes of its datagrams, and what is said when it does not come up.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use harness::shape::{Counts, List};
use harness::{
    Builder, Cluster, Ledger, Load, Options, Place, cluster, install, node, process, python, wait_for,
    wait_until,
};
use nix::sys::signal::Signal;

/// For a program that never says READY=1, on a machine that may be slow.
const NEVER_READY: &str = "[worker]\nwait_ready = false\nlisten_timeout = \"30s\"\nkill_timeout = \"30s\"\n";
const SLOW: &str = "[worker]\nlisten_timeout = \"30s\"\nkill_timeout = \"30s\"\n";

/// An example below workers/foreign, as its own first lines say it is run.
struct Example {
    program: fn() -> &'static str,
    file: &'static str,
    config: &'static str,
}

const NODE: Example = Example { program: node, file: "node/server.js", config: NEVER_READY };
const PYTHON: Example = Example { program: python, file: "python/server.py", config: SLOW };

impl Example {
    fn cluster(&self, place: &Place) -> Builder {
        let file = format!("{}/workers/foreign/{}", env!("CARGO_MANIFEST_DIR"), self.file);
        let words = [(self.program)(), &file];
        let start = cluster!().place(place).config(self.config).output(effects(place)).program(words);
        start.env("PYTHONUNBUFFERED", "") // it would write a line in two pieces
    }
}

/// Where the programs' standard output goes.
fn effects(place: &Place) -> PathBuf {
    place.folder().join("output")
}

/// How often each sequence number stands in the output: the effect of having read it.
fn told(place: &Place) -> BTreeMap<u64, u32> {
    let text = fs::read_to_string(effects(place)).expect("the programs' output");
    let (text, _half) = text.rsplit_once('\n').unwrap_or_default(); // a line may be under way
    let mut numbers = BTreeMap::new();
    for line in text.lines() {
        let (_, rest) =
            line.split_once("\"seq\":").unwrap_or_else(|| panic!("a line without number: {line}"));
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        *numbers.entry(digits.parse().expect("a number")).or_default() += 1;
    }
    numbers
}

/// Waits until everything sent was told of; nothing may be told of twice.
#[track_caller]
fn expect_all_told_once(cluster: &Cluster, ledger: &Ledger) {
    wait_until("every datagram is told of", || told(cluster.place()).len() as u64 >= ledger.sent());
    let told = told(cluster.place());
    let twice: Vec<_> = told.iter().filter(|&(_, &times)| times > 1).collect();
    assert!(twice.is_empty(), "told of twice: {twice:?}");
    assert!(told.keys().copied().eq(0..ledger.sent()), "exactly what was sent");
    assert_eq!(cluster.list().cluster.totals.dropped, Some(0), "the kernel dropped none");
}

fn is_online(list: &List) -> bool {
    list.cluster.state == "online"
}

/// What waits in the queues of stopped programs that are then killed is read by those that follow.
fn a_kill_loses_nothing_that_was_queued(example: &Example) {
    let (place, ledger) = (Place::new(), Ledger::new(100_000));
    let cluster = example.cluster(&place).workers(3).start();
    let to = cluster.targets()[0];
    for round in 0..3 {
        let before = cluster.expect("all are online", is_online);
        let pids: Vec<i32> = before.pids().into_iter().flatten().collect();
        pids.iter().for_each(|&pid| process::signal(pid, Signal::SIGSTOP));
        let is_stopped = |&pid: &i32| process::find(pid).is_some_and(|process| process.state == 'T');
        wait_until("all are stopped", || pids.iter().all(is_stopped));
        for number in 0..64 {
            let sender = harness::sender(to, number);
            for _ in 0..5 {
                ledger.send(&sender, to, "");
            }
        }
        let queued = cluster.list();
        assert!(queued.workers.iter().all(|worker| worker.queue_bytes > Some(0)), "{queued:#?}");
        pids.iter().for_each(|&pid| process::signal(pid, Signal::SIGKILL));
        expect_all_told_once(&cluster, &ledger);
        let after =
            cluster.expect("all are replaced", |list| is_online(list) && list.restarts() == 3 * (round + 1));
        let died_of = |slot: usize| after.workers[slot].last_exit.clone().and_then(|exit| exit.signal);
        assert!((0..3).all(|slot| died_of(slot).as_deref() == Some("SIGKILL")), "{after:#?}");
    }
    cluster.expect_no_address_in_use();
}

/// While old and new programs read the same queues, each datagram goes to one of them.
fn reloads_under_load_lose_nothing(example: &Example) {
    let (place, ledger) = (Place::new(), Ledger::new(1_000_000));
    let cluster = example.cluster(&place).workers(3).start();
    let load = Load::start(&cluster.targets(), 64, 1_500, &ledger);
    for generation in 2..=4 {
        let before = cluster.list();
        ledger.wait_for_more(500);
        cluster.command(["reload"]).expect_code(0);
        let after = cluster.expect("the new ones are online", is_online);
        assert_eq!(after.cluster.generation, generation);
        assert!(before.pids().iter().zip(after.pids()).all(|(old, new)| *old != new), "{after:#?}");
        assert_eq!(after.restarts(), 0, "nobody died");
    }
    ledger.wait_for_more(500);
    load.stop();
    expect_all_told_once(&cluster, &ledger);
    cluster.expect_no_address_in_use();
    assert!(!cluster.log().contains("killed"), "everybody left when told to: {}", cluster.log());
}

#[test]
fn node_killed_loses_nothing_that_was_queued() {
    a_kill_loses_nothing_that_was_queued(&NODE);
}

#[test]
fn python_killed_loses_nothing_that_was_queued() {
    a_kill_loses_nothing_that_was_queued(&PYTHON);
}

#[test]
fn node_reloaded_under_load_loses_nothing() {
    reloads_under_load_lose_nothing(&NODE);
}

#[test]
fn python_reloaded_under_load_loses_nothing() {
    reloads_under_load_lose_nothing(&PYTHON);
}

#[test]
fn examples_survive_what_is_no_json() {
    for example in [NODE, PYTHON] {
        let place = Place::new();
        let cluster = example.cluster(&place).workers(1).start();
        let to = cluster.targets()[0];
        for bytes in [&b"{"[..], b"", b"\xff\xfe", b"{\"seq\":7}"] {
            harness::sender(to, 1).send_to(bytes, to).expect("sent");
        }
        wait_until("the good one is told of", || {
            fs::read_to_string(effects(&place)).is_ok_and(|text| text.contains("\"seq\""))
        });
        assert_eq!(cluster.list().restarts(), 0, "{}", cluster.log());
    }
}

/// Signals 32 and 33 are the C library's own: its posix_spawn(3) leaves them ignored in everything that is started so.
const C_LIBRARY: u64 = 0b11 << 31;

/// The environment of a process, as it was given to it.
fn environment(pid: i32) -> BTreeMap<String, String> {
    let text = fs::read(format!("/proc/{pid}/environ")).expect("its environment");
    let text = String::from_utf8_lossy(&text).into_owned();
    text.split('\0')
        .filter_map(|one| one.split_once('='))
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect()
}

#[test]
fn a_program_gets_its_sockets_and_the_contract_and_nothing_else() {
    let place = Place::new();
    let config =
        format!("{NEVER_READY}cwd = \"{}\"\nenv = {{ COLOUR = \"blue\" }}\n", place.folder().display());
    let start =
        cluster!().place(&place).workers(3).config(config).listen("127.0.0.1:0").listen("127.0.0.2:0");
    let cluster = start.arg("--demo").program(["sleep", "1000"]).start();
    let list = cluster.list();
    for worker in &list.workers {
        let pid = worker.pid.expect("a process");
        // It counts as READY when it has lived for a while; exec may take longer, and then its libraries are loaded.
        wait_until("it is the program, with 5 descriptors", || {
            let is_it = process::find(pid).is_some_and(|found| found.title == "sleep 1000");
            is_it && process::descriptors(pid).len() == 5
        });
        let variables = environment(pid);
        for (name, value) in [
            ("LISTEN_FDS", "2"),
            ("LISTEN_FDNAMES", "udp0:udp1"),
            ("LISTEN_PID", &pid.to_string()),
            ("NODE_APP_INSTANCE", &worker.id.to_string()),
            ("COLOUR", "blue"),
        ] {
            assert_eq!(variables.get(name).map(String::as_str), Some(value), "{name}: {variables:#?}");
        }
        assert!(Path::new(&variables["NOTIFY_SOCKET"]).exists());
        assert!(!variables.contains_key("WATCHDOG_USEC"), "nobody asked for a watchdog");
        assert!(variables.keys().all(|name| !name.starts_with("X_ATLAS")), "{variables:#?}");
        let open =
            |number| fs::read_link(format!("/proc/{pid}/fd/{number}")).map(|to| to.display().to_string());
        assert_eq!(open(0).expect("standard input"), "/dev/null");
        assert!((3..5).all(|number| open(number).is_ok_and(|to| to.starts_with("socket:["))));
        let cwd = fs::read_link(format!("/proc/{pid}/cwd")).expect("a working directory");
        assert_eq!(cwd, place.folder().canonicalize().expect("a folder"));
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its state");
        for name in ["SigBlk", "SigIgn", "SigCgt"] {
            let mask = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
            let mask = mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).expect("a mask");
            assert_eq!(mask & !C_LIBRARY, 0, "{name}: {status}");
        }
    }
    assert!(list.roles.iter().any(|role| role.name == "simulator" && role.state == "online"), "{list:#?}");
}

#[test]
fn what_a_program_cannot_tell_is_null_and_the_kernel_tells_the_rest() {
    let cluster = cluster!().config(NEVER_READY).program(["/bin/sleep", "1000"]).start();
    let to = cluster.targets()[0];
    harness::sender(to, 1).send_to(b"nobody reads this", to).expect("sent");
    let list =
        cluster.expect("it waits", |list| list.workers.iter().any(|worker| worker.queue_bytes > Some(0)));
    let unknown = Counts { dropped: Some(0), ..Counts::default() };
    assert_eq!(list.cluster.totals, unknown);
    for worker in &list.workers {
        assert_eq!((&worker.counts, worker.role.as_str()), (&unknown, "sleep"));
        assert!(worker.memory_bytes.is_some() && worker.cpu_percent.is_some() && worker.uptime_s.is_some());
    }
    let text = cluster.command(["list"]).expect_code(0).stdout;
    assert!(text.contains("datagrams not known; 0 dropped by the kernel"), "{text}");
    assert!(text.lines().any(|line| line.contains("sleep") && line.contains("  -  ")), "{text}");
    assert!(cluster.meters().processors.is_empty());
    cluster.command(["meters"]).expect_code(0);
    assert!(cluster.list().cluster.strangers.is_empty());
}

#[test]
fn a_watchdog_that_was_asked_for_is_told_and_kept() {
    let config = "[worker]\nwait_ready = false\nwatchdog = \"300ms\"\nkill_timeout = \"100ms\"\n";
    let cluster = cluster!().workers(1).config(config).program(["sleep", "1000"]).start();
    let pid = cluster.worker(0).pid.expect("a process");
    assert_eq!(environment(pid).get("WATCHDOG_USEC").map(String::as_str), Some("300000"));
    cluster.expect_log("gave no sign of life within worker.watchdog; killed");
    wait_until("its pid is gone", || !process::lives(pid));
}

#[test]
fn a_program_that_grows_too_fat_is_replaced() {
    let place = Place::new();
    let grow = "import os, time\ntry: os.mkdir('grown'); fat = b'x' * 200_000_000\nexcept FileExistsError: pass\ntime.sleep(1000)";
    let config =
        format!("{NEVER_READY}max_memory_restart = \"100M\"\ncwd = \"{}\"\n", place.folder().display());
    let cluster = cluster!().workers(1).config(config).program([python(), "-c", grow]).start();
    let pid = cluster.worker(0).pid;
    cluster.expect_log("uses more memory than max_memory_restart");
    cluster.expect("it is replaced", |list| is_online(list) && list.workers[0].pid != pid);
}

#[test]
fn what_a_program_started_ends_with_it() {
    let place = Place::new();
    let script = "sleep 1000 & echo $! >> children; sleep 1000";
    let config = format!("{NEVER_READY}cwd = \"{}\"\n", place.folder().display());
    let cluster = cluster!().workers(1).config(config).program(["sh", "-c", script]).start();
    let child = wait_for("it has a child", || {
        fs::read_to_string(place.folder().join("children")).ok()?.trim().parse::<i32>().ok()
    });
    assert!(process::lives(child), "it runs");
    cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    wait_until("the child is gone too", || !process::lives(child));
    cluster.command(["stop"]).expect_code(0);
    cluster.expect_no_process();
}

#[test]
fn programs_do_not_outlive_their_supervisor_and_a_new_one_starts_in_its_place() {
    let (place, port) = (Place::new(), harness::free_port());
    let start = || {
        let start = cluster!().place(&place).listen(format!("127.0.0.1:{port}")).config(NEVER_READY);
        start.workers(4).program(["sleep", "1000"]).start()
    };
    for _ in 0..3 {
        let first = start();
        let programs = first.list().pids();
        first.signal(Signal::SIGKILL);
        wait_until("the supervisor is gone", || first.try_exit().is_some());
        let _second = start(); // at once: the programs of the first may be about to go
        assert!(programs.into_iter().flatten().all(|pid| !process::lives(pid)));
    }
}

#[test]
fn a_port_that_is_taken_is_refused_before_the_program_runs() {
    let (place, port) = (Place::new(), harness::free_port());
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let _squatter = Options::ALL[0].bind(address).expect("the squatter has the port");
    let script = format!("echo ran > {}/ran; sleep 1000", place.folder().display());
    let start = cluster!().listen(address.to_string()).config(NEVER_READY).program(["sh", "-c", &script]);
    let output = start.run().expect_code(3);
    output.expect_said(&["Address already in use", &format!("pid {}", std::process::id()), "\nhint: "]);
    assert!(!place.folder().join("ran").exists(), "the program never ran");
}

#[test]
fn a_program_that_cannot_be_run_is_told_with_the_way_out() {
    let place = Place::new();
    let (plain, script) = (place.folder().join("plain"), place.folder().join("script"));
    fs::write(&plain, "").expect("a file");
    install(&script, b"#!/no/such/interpreter\n");
    for (program, said) in [
        ("no-such-program", "cannot run no-such-program: No such file or directory (os error 2); PATH is /"),
        (
            "./no-such-program",
            "cannot run ./no-such-program: No such file or directory (os error 2); the working",
        ),
        (plain.to_str().expect("a path"), "/plain: Permission denied (os error 13)"),
        (script.to_str().expect("a path"), "; its first line names /no/such/interpreter as"),
    ] {
        let output = cluster!().config(SLOW).program([program, "x"]).run().expect_code(1);
        let output =
            output.expect_said(&["the cluster did not come up: worker ", said, "\nhint: install it"]);
        assert_eq!(output.stderr.matches("cannot run").count(), 1, "said once: {output:#?}");
    }
}

#[test]
fn a_program_that_ends_at_once_is_told_that_its_output_says_why() {
    let output = cluster!().config(SLOW).program(["sh", "-c", "echo out of luck >&2; exit 7"]).run();
    output.expect_code(1).expect_said(&[
        "out of luck",
        "exited with code 7",
        "hint: its own output says why",
        "LISTEN_FDS",
    ]);
}

#[test]
fn a_program_that_never_says_ready_is_told_of_wait_ready() {
    let config = "[worker]\nlisten_timeout = \"300ms\"\n";
    let output = cluster!().config(config).program(["sleep", "1000"]).run().expect_code(1);
    output.expect_said(&["was not ready within worker.listen_timeout", "worker.wait_ready=false"]);
}

/// A configuration that names a program.
fn runs(words: &str) -> String {
    format!("{NEVER_READY}program = {words}\n")
}

#[test]
fn a_reload_brings_another_program_and_one_that_cannot_be_run_changes_nothing() {
    let cluster = cluster!().config(runs(r#"["sleep", "1000"]"#)).start();
    let before = cluster.list();
    cluster.place().write_config(&runs(r#"["no-such-program"]"#));
    let output = cluster.command(["reload"]).expect_code(1);
    output.expect_said(&["cannot run no-such-program: No such file", "hint: install it"]);
    assert_eq!(before.pids(), cluster.expect("it is as before", is_online).pids());

    cluster.place().write_config(&runs(r#"["/bin/sh", "-c", "exec sleep 1000"]"#));
    cluster.command(["reload"]).expect_code(0);
    let after = cluster.expect("the other program is online", is_online);
    assert!(after.workers.iter().all(|worker| worker.role == "sh"), "{after:#?}");

    cluster.place().write_config("");
    let output = cluster.command(["reload"]).expect_code(2);
    output.expect_said(&["a reload cannot change `worker.program`", "hint: stop the cluster"]);
    assert_eq!(after.pids(), cluster.expect("it is as before", is_online).pids());
}

#[test]
fn a_program_is_looked_up_at_each_start() {
    let place = Place::new();
    let program = place.folder().join("server");
    install(&program, b"#!/bin/sh\nexec sleep 1001\n");
    let path = format!("{}:{}", place.folder().display(), std::env::var("PATH").expect("a PATH"));
    let config = format!("{NEVER_READY}env = {{ PATH = \"{path}\" }}\n");
    let cluster = cluster!().place(&place).workers(2).config(config).program(["server"]).start();
    let title = |slot| cluster.worker(slot).pid.and_then(process::find).map(|found| found.title);
    let expect_title = |slot, text: &str| {
        wait_until(format_args!("worker {slot} is {text}"), || title(slot).as_deref() == Some(text));
    };
    expect_title(0, "sleep 1001");
    install(&program, b"#!/bin/sh\nexec sleep 1002\n");
    cluster.command(["reload"]).expect_code(0);
    expect_title(0, "sleep 1002");

    fs::remove_file(&program).expect("removed");
    let killed = cluster.kill_worker(1);
    cluster.expect_log("cannot run server: No such file or directory");
    expect_title(0, "sleep 1002");
    install(&program, b"#!/bin/sh\nexec sleep 1003\n");
    killed.expect_replaced();
    expect_title(1, "sleep 1003");
}
