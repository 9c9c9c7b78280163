//! Reload: two phases, lossless, all or nothing.

use std::thread;

use harness::shape::List;
use harness::{Faults, Ledger, Load, cluster, heavy};
use nix::sys::signal::Signal;

fn result(list: &List) -> &str {
    list.cluster.last_reload.as_ref().map_or("", |reload| &reload.result)
}

#[test]
fn twenty_hangups_under_load_lose_nothing() {
    let _heavy = heavy();
    let ledger = Ledger::new(16_000_000);
    let cluster = cluster!().workers(4).ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 64, 50_000, &ledger);
    let mut before = cluster.list();
    for generation in 2..=21 {
        cluster.signal(Signal::SIGHUP);
        let after = cluster.expect("the new generation is online", |list| {
            list.cluster.generation == generation && list.cluster.state == "online"
        });
        assert_eq!(result(&after), "done");
        for (old, new) in before.workers.iter().zip(&after.workers) {
            assert!(new.pid.is_some() && new.pid != old.pid, "every worker is new: {old:?} {new:?}");
            assert_eq!((new.generation, new.restarts), (generation, 0));
        }
        before = after;
    }
    load.stop();
    ledger.settle(&cluster);
    cluster.expect_no_address_in_use();
    harness::wait_until("the old generations are gone", || cluster.processes().len() == 5);
}

#[test]
fn a_reload_answers_when_it_is_over_in_the_promised_shape() {
    let cluster = cluster!().start();
    let answer = cluster.command(["reload", "--json"]).expect_code(0).json();
    let expected = serde_json::json!({"schema": 1, "result": "done", "generation": 2, "error": null});
    assert_eq!(answer, expected);
    let list = cluster.list();
    assert_eq!((list.cluster.generation, result(&list)), (2, "done"));
    let text = cluster.command(["reload"]).expect_code(0).stdout;
    assert!(text.contains("done") && text.contains('3'), "{text}");
}

#[test]
fn a_reload_to_fewer_workers_answers_when_they_are_gone() {
    let config = |workers| format!("workers = {workers}\n[worker]\nkill_timeout = \"500ms\"\n");
    let cluster = cluster!().workers_as_configured().config(config(8)).start();
    let stopped = [0, 5].map(|slot| cluster.signal_worker(slot, Signal::SIGSTOP));
    cluster.place().write_config(&config(1));
    thread::scope(|scope| {
        let reload = scope.spawn(|| cluster.command(["reload"]));
        let taken_over = |list: &List| list.cluster.generation == 2 && list.workers.len() > 1;
        let list = cluster.expect("one has taken over, and others leave", taken_over);
        assert_eq!((list.cluster.state.as_str(), result(&list)), ("reloading", "running"));
        reload.join().expect("the command ends").expect_code(0);
    });
    let list = cluster.list();
    assert_eq!((list.workers.len(), list.cluster.state.as_str(), result(&list)), (1, "online", "done"));
    assert_eq!(cluster.processes().len(), 2, "{:#?}", cluster.processes());
    stopped.into_iter().for_each(|stopped| stopped.expect_gone());
}

/// Nothing of the old generation was touched by a reload that did not come about.
#[track_caller]
fn assert_untouched(before: &List, after: &List) {
    assert_eq!(before.pids(), after.pids(), "nobody was replaced");
    assert_eq!(after.restarts(), 0);
    assert_eq!(after.cluster.generation, before.cluster.generation);
    assert!(after.workers.iter().all(|worker| worker.heir.is_none()), "{after:#?}");
}

#[test]
fn a_successor_that_fails_changes_nothing_and_tells_why() {
    let (ledger, faults) = (Ledger::new(1_000_000), Faults::new());
    let cluster = cluster!().workers(3).ledger(&ledger).faults(&faults).start();
    let load = Load::start(&cluster.targets(), 32, 5_000, &ledger);
    let before = cluster.list();
    faults.order(1, "before-ready", "exit");
    let failed = cluster.command(["reload", "--json"]).expect_code(1);
    let answer = failed.json();
    assert_eq!((answer["result"].as_str(), answer["generation"].as_u64()), (Some("failed"), Some(2)));
    let error = answer["error"].as_str().expect("an error");
    assert!(error.contains("worker 1") && error.contains("exited with code 7"), "{error}");
    failed.expect_said(&["worker 1", "exited with code 7", "hint: "]);
    let after = cluster.expect_state("online");
    assert_untouched(&before, &after);
    let reload = after.cluster.last_reload.expect("a last reload");
    assert_eq!(
        (reload.result.as_str(), reload.generation, reload.error.as_deref()),
        ("failed", 2, Some(error))
    );
    harness::wait_until("the heirs are gone", || cluster.processes().len() == 4);
    faults.clear();
    cluster.command(["reload"]).expect_code(0);
    let after = cluster.list();
    assert_eq!(after.cluster.generation, 3, "the failed one used its number up");
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn a_successor_whose_folder_has_vanished_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!("[worker]\ncwd = \"{}\"\n", folder.path().display());
    let cluster = cluster!().config(config).start();
    let before = cluster.list();
    drop(folder);
    cluster.command(["reload"]).expect_code(1).expect_said(&["worker.cwd", "No such file", "hint: "]);
    assert_untouched(&before, &cluster.list());
}

#[test]
fn a_successor_that_hangs_is_given_up_after_listen_timeout() {
    let faults = Faults::new();
    let config = "[worker]\nlisten_timeout = \"500ms\"\nkill_timeout = \"100ms\"\n";
    let cluster = cluster!().faults(&faults).config(config).start();
    let before = cluster.list();
    faults.order(0, "before-ready", "hang");
    cluster.command(["reload"]).expect_code(1).expect_said(&["worker 0", "worker.listen_timeout"]);
    let after = cluster.expect_state("online");
    assert_untouched(&before, &after);
    harness::wait_until("the heirs are gone", || cluster.processes().len() == 3);
}

#[test]
fn a_successor_that_dies_between_ready_and_commit_changes_nothing() {
    let faults = Faults::new();
    let cluster = cluster!().faults(&faults).config("[worker]\nlisten_timeout = \"1h\"\n").start();
    let before = cluster.list();
    faults.order(0, "after-ready", "exit");
    faults.order(1, "before-ready", "hang");
    let failed = cluster.command(["reload"]).expect_code(1);
    failed.expect_said(&["worker 0", "exited with code 7"]);
    assert_untouched(&before, &cluster.expect_state("online"));
}

#[test]
fn successors_that_die_around_the_commit_cost_nothing_whichever_came_first() {
    let (ledger, faults) = (Ledger::new(1_000_000), Faults::new());
    let cluster = cluster!().workers(3).ledger(&ledger).faults(&faults).start();
    let load = Load::start(&cluster.targets(), 32, 5_000, &ledger);
    for slot in 0..3 {
        faults.order(slot, "after-ready", "exit");
        let code = cluster.command(["reload"]).code;
        faults.clear();
        assert!(matches!(code, Some(0 | 1)), "{code:?}");
        cluster.expect_state("online");
    }
    assert!(cluster.log().contains("exited with code 7"), "the successors did die");
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn a_successor_that_hangs_after_the_commit_is_killed_by_the_watchdog_and_nothing_is_lost() {
    let (ledger, faults) = (Ledger::new(1_000_000), Faults::new());
    let config = "[worker]\nwatchdog = \"500ms\"\nkill_timeout = \"300ms\"\n";
    let cluster = cluster!().ledger(&ledger).faults(&faults).config(config).start();
    let load = Load::start(&cluster.targets(), 32, 2_000, &ledger);
    faults.order(1, "after-ready", "hang");
    cluster.command(["reload"]).expect_code(0);
    faults.clear();
    let list = cluster.expect("another took its place", |list| {
        list.workers[1].restarts == 1 && list.cluster.state == "online"
    });
    let exit = list.workers[1].last_exit.as_ref().and_then(|exit| exit.signal.as_deref());
    assert_eq!((exit, list.workers[1].generation), (Some("SIGKILL"), 2));
    cluster.expect_log("gave no sign of life within worker.watchdog");
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn a_holder_that_stands_still_is_killed_after_kill_timeout_and_its_successor_reads_on() {
    let ledger = Ledger::new(1_000_000);
    let cluster = cluster!().ledger(&ledger).config("[worker]\nkill_timeout = \"300ms\"\n").start();
    let load = Load::start(&cluster.targets(), 32, 2_000, &ledger);
    let stopped = cluster.signal_worker(0, Signal::SIGSTOP);
    cluster.command(["reload"]).expect_code(0);
    cluster.expect_log(&format!("worker 0 pid {} did not leave within worker.kill_timeout", stopped.pid));
    stopped.expect_gone();
    load.stop();
    ledger.settle(&cluster);
    assert_eq!(cluster.list().restarts(), 0);
}

#[test]
fn sixty_four_workers_reload_under_load_and_lose_nothing() {
    let _heavy = heavy();
    let ledger = Ledger::new(8_000_000);
    let cluster = cluster!().workers(64).ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 256, 10_000, &ledger);
    for _ in 0..2 {
        cluster.command(["reload"]).expect_code(0);
    }
    load.stop();
    let list = cluster.expect_state("online");
    assert_eq!((list.cluster.generation, list.restarts(), list.workers.len()), (3, 0, 64));
    ledger.settle(&cluster);
}

#[test]
fn a_bad_configuration_is_refused_and_changes_nothing() {
    let ledger = Ledger::new(1_000_000);
    let cluster = cluster!().ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 32, 2_000, &ledger);
    let before = cluster.list();
    cluster.place().write_config("\n[worker]\nkill_timeuot = \"1s\"\n");
    let refused = cluster.command(["reload", "--json"]).expect_code(2);
    assert_eq!(refused.json()["result"], "refused");
    refused.expect_said(&["cluster.toml:3:1", "kill_timeuot", "^", "did you mean `kill_timeout`"]);
    cluster.signal(Signal::SIGHUP).expect_log("reload refused, nothing was changed");
    let after = cluster.list();
    assert_untouched(&before, &after);
    assert_eq!(result(&after), "refused");
    assert_eq!(after.cluster.state, "online");
    for (text, said) in
        [("workers = 0", "workers"), ("receive_buffer = 4", "receive_buffer"), ("x = [", "TOML")]
    {
        cluster.place().write_config(text);
        cluster.command(["reload"]).expect_code(2).expect_said(&["cluster.toml:1:", said, "hint: "]);
    }
    std::fs::remove_file(cluster.place().config_file()).expect("the configuration file");
    cluster.command(["reload"]).expect_code(2).expect_said(&["cluster.toml", "No such file"]);
    assert_untouched(&before, &cluster.list());
    load.stop();
    ledger.settle(&cluster);
}

#[test]
fn a_reload_that_would_change_the_address_is_refused_and_names_the_key() {
    let cluster = cluster!().listen_as_configured().config("listen = [\"127.0.0.1:0\"]\n").start();
    let before = cluster.list();
    cluster.place().write_config("listen = [\"127.0.0.1:0\", \"127.0.0.2:0\"]\n");
    cluster.command(["reload"]).expect_code(2).expect_said(&["`listen`", "hint: "]);
    assert_untouched(&before, &cluster.list());
    cluster.place().write_config("listen = [\"127.0.0.1:0\"]\nstale_after = \"7s\"\n");
    cluster.command(["reload"]).expect_code(0);
}

#[test]
fn hangups_in_a_burst_are_folded_and_lose_nothing() {
    let _heavy = heavy();
    let ledger = Ledger::new(4_000_000);
    let cluster = cluster!().workers(2).ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 32, 20_000, &ledger);
    for _ in 0..50 {
        cluster.signal(Signal::SIGHUP);
    }
    cluster.expect("a reload is done", |list| list.cluster.generation > 1);
    cluster.command(["reload"]).expect_code(0);
    let list = cluster.expect_state("online");
    assert!(list.cluster.generation < 30, "fifty hang-ups at once are few reloads: {list:#?}");
    assert_eq!(list.restarts(), 0);
    load.stop();
    ledger.settle(&cluster);
    harness::wait_until("nobody is left over", || cluster.processes().len() == 3);
}

#[test]
fn reloads_at_the_same_time_are_all_answered() {
    let cluster = cluster!().start();
    let answers: Vec<_> = thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| cluster.command(["reload", "--json"]))).collect();
        all.into_iter().map(|one| one.join().expect("the command ends")).collect()
    });
    for answer in answers {
        let answer = answer.expect_code(0).json();
        assert_eq!(answer["result"], "done");
        assert!((2..=9).contains(&answer["generation"].as_u64().expect("a generation")), "{answer}");
    }
    let list = cluster.expect_state("online");
    assert!((3..=9).contains(&list.cluster.generation), "{list:#?}");
}

#[test]
fn a_worker_that_dies_during_a_reload_is_replaced_by_one_of_the_old_generation() {
    let (ledger, faults) = (Ledger::new(1_000_000), Faults::new());
    let config = "[worker]\nlisten_timeout = \"1h\"\nmin_uptime = \"0s\"\n";
    let cluster = cluster!().workers(3).ledger(&ledger).faults(&faults).config(config).start();
    let load = Load::start(&cluster.targets(), 32, 5_000, &ledger);
    faults.order(1, "before-ready", "hang");
    thread::scope(|scope| {
        let reload = scope.spawn(|| cluster.command(["reload"]));
        let preparing = cluster.expect("the heirs prepare", |list| {
            let state = |slot: usize| list.workers[slot].heir.as_ref().map(|heir| heir.state.as_str());
            list.cluster.state == "reloading" && state(0) == Some("online") && state(1) == Some("launching")
        });
        assert_eq!(preparing.workers[1].heir.as_ref().map(|heir| heir.generation), Some(2));
        let row = cluster.kill_worker(2).expect_replaced_after("SIGKILL");
        assert_eq!(row.generation, 1, "{row:#?}");
        let heir = cluster.worker(1).heir.and_then(|heir| heir.pid).expect("the heir that hangs");
        harness::process::signal(heir, Signal::SIGKILL);
        let output = reload.join().expect("the command ends");
        output.expect_code(1).expect_said(&["worker 1", "SIGKILL"]);
    });
    load.stop();
    let list = cluster.expect_state("online");
    assert_eq!((list.cluster.generation, list.restarts()), (1, 1));
    ledger.settle(&cluster);
}

#[test]
fn a_stop_during_a_reload_ends_both_generations() {
    let faults = Faults::new();
    let cluster = cluster!().faults(&faults).config("[worker]\nlisten_timeout = \"1h\"\n").start();
    faults.order(1, "before-ready", "hang");
    cluster.signal(Signal::SIGHUP);
    cluster.expect_state("reloading");
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_for_end(), 0);
}
