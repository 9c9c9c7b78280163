//! Upgrade: the supervisor becomes the binary on disk; same pid, same sockets, same counters, nothing lost.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use harness::{
    Builder, Cluster, Faults, Ledger, Load, Place, cluster, heavy, install, next_binary, process, wait_until,
};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

const AT_ONCE: &str = "[worker]\nmin_uptime = \"0s\"\nexp_backoff_restart_delay = \"0s\"\n";

/// A place with a binary of its own, which can be replaced.
struct Installed {
    place: Place,
    binary: PathBuf,
    old: Vec<u8>,
}

impl Installed {
    fn new() -> Installed {
        Installed::at(Place::new())
    }

    fn at(place: Place) -> Installed {
        let binary = place.folder().join("atlas-cluster");
        let old = fs::read(cluster!().binary_path()).expect("the binary");
        install(&binary, &old);
        Installed { place, binary, old }
    }

    fn cluster(&self) -> Builder {
        cluster!().place(&self.place).binary(&self.binary)
    }

    /// From now on the second build lies there.
    fn install_next(&self) {
        install(&self.binary, &fs::read(next_binary()).expect("the second build"));
    }

    fn install_old(&self) {
        install(&self.binary, &self.old);
    }

    /// What goes wrong in the second build.
    fn order_fault(&self, fault: &str) {
        fs::write(self.binary.with_extension("fault"), fault).expect("a fault's file");
    }
}

/// The command line of the tests' own build, whatever lies in the cluster's place.
fn asked_by_us(cluster: Cluster) -> Cluster {
    cluster.asked_by(cluster!().binary_path())
}

/// Inodes of the sockets and segments that the supervisor keeps.
fn kept(pid: i32) -> Vec<String> {
    let folder = PathBuf::from(format!("/proc/{pid}/fd"));
    let links = fs::read_dir(&folder).expect("its descriptors").flatten();
    let mut kept: Vec<String> = links
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .map(|target| target.display().to_string())
        .filter(|target| target.contains("memfd:seat") || target.contains("memfd:table"))
        .collect();
    kept.sort();
    kept
}

#[test]
fn fifty_upgrades_under_load_with_hangups_and_kills_among_them_lose_nothing() {
    let _heavy = heavy();
    let ledger = Ledger::new(16_000_000);
    let cluster = cluster!().workers(3).ledger(&ledger).config(AT_ONCE).start();
    let load = Load::start(&cluster.targets(), 64, 20_000, &ledger);
    let (over, kills) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut done, mut failed) = (0, 0);
    thread::scope(|scope| {
        let killer = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // A worker, never the check: that one is allowed to be slow, not to be murdered.
                let workers = process::children(cluster.pid());
                let killed = kills.load(Ordering::Relaxed);
                let victim = workers.iter().filter(|one| one.title.contains("meter")).nth(killed % 3);
                if let Some(victim) = victim {
                    process::signal(victim.pid, Signal::SIGKILL);
                    kills.fetch_add(1, Ordering::Relaxed);
                }
                if killed % 2 == 0 {
                    cluster.signal(Signal::SIGHUP);
                }
                ledger.wait_for_more(300);
            }
        });
        while (done < 50 || kills.load(Ordering::Relaxed) < 50) && failed < 500 {
            match cluster.command(["upgrade"]).code {
                Some(0) => done += 1,
                Some(1) => failed += 1, // a successor was killed before the commit
                other => panic!("an upgrade ended with {other:?}"),
            }
        }
        over.store(true, Ordering::Relaxed);
        killer.join().expect("the killer ends");
    });
    let kills = kills.into_inner();
    load.stop();
    let list = cluster.expect_state("online");
    eprintln!(
        "{done} upgrades done, {failed} with a successor killed, {kills} kills, {} times replaced",
        list.cluster.upgrades
    );
    assert!(done >= 50 && kills >= 50, "{done} upgrades, {kills} kills");
    assert!(list.cluster.upgrades >= 50 && list.cluster.pid == cluster.pid());
    assert!(list.restarts() > 0, "kills were seen as such");
    ledger.settle(&cluster);
    cluster.expect_no_address_in_use();
    wait_until("nobody is left over", || process::children(cluster.pid()).len() == 3);
}

#[test]
fn what_is_kept_and_counted_outlives_a_hundred_upgrades_and_nothing_leaks() {
    let ledger = Ledger::new(1000);
    let cluster = cluster!().workers(2).ledger(&ledger).listen("127.0.0.1:0").listen("[::1]:0").start();
    for _ in 0..100 {
        ledger.send_to(&cluster, "");
    }
    ledger.settle(&cluster);
    cluster.kill_worker(1).expect_replaced_after("SIGKILL");
    cluster.command(["upgrade"]).expect_code(0);
    let (before, inherited) = (cluster.list(), kept(cluster.pid()));
    wait_until("the old generation is gone", || process::children(cluster.pid()).len() == 2);
    let open = process::descriptors_at_rest(cluster.pid());
    for _ in 0..99 {
        cluster.command(["upgrade"]).expect_code(0);
    }
    let after = cluster.list();
    assert_eq!((after.cluster.upgrades, after.cluster.generation), (100, 101));
    assert_eq!(after.cluster.totals, before.cluster.totals);
    assert_eq!(after.cluster.started_at, before.cluster.started_at);
    assert_eq!(after.cluster.listen, before.cluster.listen);
    assert_eq!(after.restarts(), 1, "an upgrade is no restart, and forgets none");
    assert_eq!(kept(cluster.pid()), inherited);
    wait_until("the old generation is gone", || process::children(cluster.pid()).len() == 2);
    wait_until("no descriptor leaks", || process::descriptors(cluster.pid()).len() <= open);
    ledger.send_to(&cluster, "");
    ledger.settle(&cluster);
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
    assert_eq!(cluster.files_left(), Vec::<String>::new());
}

#[test]
fn to_another_version_and_back_and_forth_again() {
    let here = Installed::new();
    let ledger = Ledger::new(16_000_000);
    let cluster = asked_by_us(here.cluster().workers(3).ledger(&ledger).start());
    let ours = cluster.list().cluster.version;
    let load = Load::start(&cluster.targets(), 32, 5_000, &ledger);
    // Else the one before might end after the one that is killed, and be the last to have ended.
    let old_ones_gone =
        || wait_until("the old generation is gone", || process::children(cluster.pid()).len() == 3);
    for round in 1..=3 {
        here.install_next();
        let answer = cluster.command(["upgrade", "--json"]).expect_code(0).json();
        assert_eq!((answer["result"].as_str(), answer["error"].as_str()), (Some("done"), None));
        let list = cluster.list();
        assert_eq!((list.cluster.version.as_str(), list.cluster.upgrades), ("0.2.0", 2 * round - 1));
        assert_eq!(answer["generation"].as_u64(), Some(list.cluster.generation.into()));
        old_ones_gone();
        cluster.kill_worker(1).expect_replaced_after("SIGKILL");
        here.install_old();
        cluster.command(["upgrade"]).expect_code(0);
        assert_eq!(cluster.list().cluster.version, ours);
        old_ones_gone();
        cluster.kill_worker(2).expect_replaced_after("SIGKILL");
    }
    load.stop();
    ledger.settle(&cluster);
    assert_eq!(cluster.list().restarts(), 6);
    cluster.expect_log("upgraded from version 0.2.0 to version");
}

#[test]
fn a_binary_that_cannot_take_over_changes_nothing_and_the_reason_is_told() {
    let here = Installed::new();
    let ledger = Ledger::new(1_000_000);
    let cluster = asked_by_us(here.cluster().workers(2).ledger(&ledger).start());
    let load = Load::start(&cluster.targets(), 16, 2_000, &ledger);
    let before = cluster.list();
    let refused = |what: &str, reason: &str| {
        let output = cluster.command(["upgrade", "--json"]).expect_code(1);
        let answer = output.json();
        assert_eq!(answer["result"].as_str(), Some("failed"), "{what}");
        let error = answer["error"].as_str().expect("an error").to_owned();
        assert!(error.contains(reason) && !error.contains('\n'), "{what}: {error}");
        output.expect_said(&[reason, "hint: "]);
        let after = cluster.expect_state("online");
        assert_eq!(after.pids(), before.pids(), "{what}: nobody was replaced");
        assert_eq!((after.cluster.upgrades, after.cluster.generation), (0, before.cluster.generation));
    };
    let program = |path: &str| fs::read(Path::new(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    install(&here.binary, &program("/bin/true"));
    refused("a program that knows nothing of it", "is it an atlas-cluster?");
    install(&here.binary, &program("/bin/false"));
    refused("a program that fails", "exited with code 1");
    install(&here.binary, &program("/bin/ls"));
    refused("a program that says what it thinks of the option", "is it an atlas-cluster? (it printed: Try '");
    let log = cluster.log();
    assert!(!log.lines().any(|line| line.starts_with("Try ")), "it does not print where we do: {log}");
    install(&here.binary, b"no program at all\n");
    refused("a text", "could not be executed");
    install(&here.binary, &here.old[..1 << 16]);
    refused("the beginning of a program", "is it an atlas-cluster?");
    install(&here.binary, b"");
    refused("an empty file", "could not be executed");
    install(&here.binary, b"#!/bin/sh\nexit 0\n");
    refused("a script", "a script cannot be upgraded to");
    fs::remove_file(&here.binary).expect("it is removed");
    mkfifo(&here.binary, Mode::S_IRWXU).expect("a FIFO");
    refused("a FIFO, which opens when somebody writes", "it is a FIFO");
    fs::remove_file(&here.binary).expect("it is removed");
    fs::create_dir(&here.binary).expect("a folder");
    refused("a directory", "it is a directory");
    fs::remove_dir(&here.binary).expect("it is removed");
    here.install_next();
    fs::set_permissions(&here.binary, Permissions::from_mode(0o644)).expect("a mode");
    refused("one that may not be run", "permission denied (not executable)");
    here.install_next();
    here.order_fault("die");
    refused("one that crashes", "SIGABRT");
    here.order_fault("hang");
    refused("one that hangs", "did not say within 10 s");
    fs::remove_file(&here.binary).expect("it is removed");
    refused("a missing one", "No such file or directory");
    cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    fs::remove_file(here.binary.with_extension("fault")).expect("no fault any more");
    here.install_next();
    cluster.command(["upgrade"]).expect_code(0);
    load.stop();
    ledger.settle(&cluster);
    wait_until("no check is left", || process::children(cluster.pid()).len() == 2);
}

#[test]
fn whoever_asks_for_a_newer_binary_does_not_get_the_answer_of_the_older_one() {
    let here = Installed::new();
    let cluster = asked_by_us(here.cluster().start());
    here.install_next();
    here.order_fault("hang");
    thread::scope(|scope| {
        let first = scope.spawn(|| cluster.command(["upgrade"]));
        let hung = harness::wait_for("it is being checked", || {
            process::children(cluster.pid()).into_iter().find(|one| one.title.contains("--takeover-check"))
        });
        here.install_old();
        let second = scope.spawn(|| cluster.command(["upgrade"]));
        cluster.expect_log("upgrade ordered while one is under way");
        process::signal(hung.pid, Signal::SIGKILL);
        first.join().expect("the command ends").expect_code(1).expect_said(&["killed by SIGKILL"]);
        second.join().expect("the command ends").expect_code(0);
    });
    assert_eq!(cluster.expect_state("online").cluster.upgrades, 1);
}

#[test]
fn a_state_that_the_binary_does_not_understand_is_refused_by_it() {
    let here = Installed::new();
    let cluster = asked_by_us(here.cluster().arg("--demo").start());
    // What the second build would not start with, it does not take over either.
    here.install_next();
    here.order_fault("forget-roles");
    let output = cluster.command(["upgrade"]).expect_code(1);
    output.expect_said(&["cannot: it runs a `simulator`, which this version does not know", "hint: "]);
    assert_eq!(cluster.list().cluster.upgrades, 0);
}

#[test]
fn orders_that_are_open_meanwhile_are_answered_by_the_next_supervisor() {
    let faults = Faults::new();
    let config = "[worker]\nlisten_timeout = \"20s\"\n";
    let cluster = cluster!().workers(2).faults(&faults).config(config).start();
    faults.order(1, "before-ready", "hang");
    thread::scope(|scope| {
        let restart = scope.spawn(|| cluster.command(["restart", "1"]));
        let hung = harness::wait_for("worker 1 hangs", || {
            cluster.list().workers.into_iter().find(|one| one.id == 1 && one.state == "launching")?.pid
        });
        faults.clear();
        // Replaced with an order open; the reload waits behind no restart, and its heir for 1 stands beside the one
        // that hangs.
        let upgrade = scope.spawn(|| cluster.command(["upgrade"]));
        cluster.expect("the supervisor was replaced", |list| list.cluster.upgrades == 1);
        upgrade.join().expect("the command ends").expect_code(0);
        process::signal(hung, Signal::SIGKILL);
        restart.join().expect("the command ends").expect_code(0);
    });
    cluster.expect_state("online");
}

#[test]
fn a_crash_after_an_upgrade_whose_reload_failed_restarts_what_was_started() {
    let here = Installed::new();
    let faults = Faults::new();
    let cluster = asked_by_us(here.cluster().workers(2).faults(&faults).start());
    here.install_next();
    faults.order(1, "before-ready", "exit");
    cluster.command(["upgrade"]).expect_code(1).expect_said(&["worker 1", "exited with code 7"]);
    faults.clear();
    let list = cluster.expect_state("online");
    assert_eq!((list.cluster.upgrades, list.cluster.generation), (1, 1), "the supervisor alone is new");
    let row = cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    let image = fs::read(format!("/proc/{}/exe", row.pid.expect("a process"))).expect("its image");
    assert!(image == here.old, "generation 1 has the image that it was started with");
    cluster.command(["reload"]).expect_code(0);
    let pid = cluster.worker(0).pid.expect("a process");
    assert!(
        fs::read(format!("/proc/{pid}/exe")).expect("its image") != here.old,
        "a new one has the new image"
    );
}

#[test]
fn paths_and_arguments_that_are_no_text_survive_upgrades() {
    let here = Installed::at(Place::without_text_for_a_name());
    let cluster = here.cluster().workers(1).start();
    for upgrades in 1..=2 {
        cluster.command(["upgrade"]).expect_code(0);
        assert_eq!(cluster.list().cluster.upgrades, upgrades);
    }
    cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
    assert_eq!(cluster.files_left(), Vec::<String>::new());
}

#[test]
fn many_who_ask_at_once_are_all_answered() {
    let cluster = cluster!().workers(2).start();
    thread::scope(|scope| {
        let asked: Vec<_> = (0..10)
            .map(|number| {
                let cluster = &cluster;
                scope.spawn(move || {
                    let verb = if number % 2 == 0 { "upgrade" } else { "reload" };
                    cluster.command([verb])
                })
            })
            .collect();
        cluster.signal(Signal::SIGUSR2).signal(Signal::SIGHUP).signal(Signal::SIGUSR2);
        for one in asked {
            one.join().expect("the command ends").expect_code(0);
        }
    });
    let list = cluster.expect_state("online");
    assert!((1..=12).contains(&list.cluster.upgrades), "{list:#?}");
}

#[test]
fn a_stop_overtakes_an_upgrade() {
    let here = Installed::new();
    let cluster = asked_by_us(here.cluster().start());
    here.install_next();
    here.order_fault("hang");
    thread::scope(|scope| {
        let upgrade = scope.spawn(|| cluster.command(["upgrade"]));
        wait_until("it is being checked", || process::children(cluster.pid()).len() == 3);
        cluster.command(["stop"]).expect_code(0);
        upgrade
            .join()
            .expect("the command ends")
            .expect_code(1)
            .expect_said(&["stopping", "hint: start it again"]);
    });
    assert_eq!(cluster.wait_for_end(), 0);
}

#[test]
fn the_check_by_hand_says_whom_it_is_for() {
    let cluster = cluster!().start();
    cluster
        .command(["--takeover-check"])
        .expect_code(2)
        .expect_said(&["hint: a supervisor uses --takeover-check"]);
}
