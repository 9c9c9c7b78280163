//! Long waits on a terminal: what is waited for is told in a line that is gone afterwards. Elsewhere nothing is told.

use std::fs;
use std::thread;

use harness::{Builder, Cluster, Place, cluster, python};
use nix::sys::signal::Signal;

/// A cluster of two whose worker 1 is late in the generations that say so, until [`let_go`].
fn cluster_that_may_be_late(place: &Place, late: bool) -> Builder {
    let file = format!("{}/tests/programs/late.py", env!("CARGO_MANIFEST_DIR"));
    let when = place.folder().join("when");
    cluster!().place(place).config(config(late)).env("WHEN", when).program([python(), &file])
}

fn config(late: bool) -> String {
    let late = if late { "LATE = \"1\"" } else { "" };
    format!("[worker]\nlisten_timeout = \"60s\"\nkill_timeout = \"60s\"\nenv = {{ {late} }}\n")
}

fn let_go(place: &Place) {
    fs::write(place.folder().join("when"), "").expect("a file");
}

/// Its successors in slot 1 are late.
fn with_late_successors(place: &Place) -> Cluster {
    let cluster = cluster_that_may_be_late(place, false).start();
    place.write_config(&config(true));
    cluster
}

#[test]
fn a_reload_names_the_successor_that_it_waits_for_and_leaves_a_clean_line() {
    let place = Place::new();
    let cluster = with_late_successors(&place);
    let reload = cluster.on_terminal(60, ["reload"]);
    reload.expect("\rreload: generation 2: 1 of 2 successors ready; ").expect("… (");
    let_go(&place);
    let written = reload.written();
    let longest = written.split(['\r', '\n', '\x1b']).map(|line| line.chars().count()).max();
    assert!(longest < Some(60), "it fits the terminal: {written:?}");
    let output = reload.end().expect_code(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("reload done: generation 2\n", ""));
}

#[test]
fn without_a_terminal_and_as_json_not_a_byte_is_added() {
    let place = Place::new();
    let cluster = with_late_successors(&place);
    let (piped, json) = thread::scope(|scope| {
        let piped = scope.spawn(|| cluster.command(["reload"]));
        cluster.expect("the first reload waits", |list| list.workers[1].heir.is_some());
        let json = cluster.on_terminal(80, ["reload", "--json"]);
        // One that began after both, and is told of: they have waited as long.
        let told = cluster.on_terminal(80, ["reload"]);
        told.expect("1 of 2 successors ready; worker 1 launching (");
        told.signal(Signal::SIGINT);
        told.end();
        assert_eq!(json.written(), "");
        let_go(&place);
        (piped.join().expect("it ends"), json.end())
    });
    assert_eq!(
        (piped.expect_code(0).stdout.as_str(), json.stderr.as_str()),
        ("reload done: generation 2\n", "")
    );
    assert_eq!(json.expect_code(0).json()["result"], "done");
}

#[test]
fn an_interrupted_wait_leaves_a_clean_line_and_ends_as_it_always_did() {
    let place = Place::new();
    let cluster = with_late_successors(&place);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT] {
        let reload = cluster.on_terminal(80, ["reload"]);
        reload.expect("worker 1 launching (").signal(signal);
        let output = reload.end();
        assert_eq!((output.code, output.stderr.as_str()), (None, ""), "killed by the signal: {output:#?}");
    }
    let_go(&place);
    cluster.expect("the reloads went on", |list| list.cluster.generation == 3);
}

#[test]
fn a_wait_that_is_stopped_leaves_a_clean_line_and_draws_it_again_when_it_goes_on() {
    let place = Place::new();
    let cluster = with_late_successors(&place);
    let reload = cluster.on_terminal(80, ["reload"]);
    for _ in 0..2 {
        let drawn = |left: &str| left.contains("worker 1 launching (");
        reload.expect_left("a line", drawn).signal(Signal::SIGTSTP);
        reload.expect_stopped().expect_left("nothing", str::is_empty);
        reload.signal(Signal::SIGCONT);
    }
    let_go(&place);
    let output = reload.end().expect_code(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("reload done: generation 2\n", ""));
}

#[test]
fn a_supervisor_that_does_not_answer_is_told_as_such_and_named_in_the_end() {
    let place = Place::new();
    let cluster = cluster!().place(&place).workers(2).start();
    let pid = cluster.pid();
    cluster.signal(Signal::SIGSTOP);
    let orders: [&[&str]; 4] = [&["reload"], &["restart", "1"], &["stop"], &["wait", "--timeout", "3s"]];
    thread::scope(|scope| {
        for order in orders {
            let cluster = &cluster;
            scope.spawn(move || {
                let waiting = cluster.on_terminal(100, order.iter().copied());
                waiting.expect(&format!(
                    "\r{}: the supervisor (pid {pid}) is stopped: no answer for ",
                    order[0]
                ));
                assert!(!waiting.written().contains("no cluster"), "{:?}", waiting.written());
                let way_out = format!("hint: it is stopped (SIGSTOP, or a debugger): `kill -CONT {pid}`");
                let said = if order[0] == "wait" {
                    format!("is not online after 3s: its supervisor (pid {pid}) has not answered for 3s\n")
                } else {
                    format!("(pid {pid}) did not answer `{}` within 5s\n", order[0])
                };
                waiting.end().expect_code(1).expect_said(&[&said, &way_out]);
            });
        }
        let said = format!("(pid {pid}) did not answer `signal` within 5s");
        cluster.command(["signal", "USR1", "0"]).expect_code(1).expect_said(&[&said]);
    });
    cluster.signal(Signal::SIGCONT);
    assert_eq!(cluster.list().cluster.generation, 1, "none of it is done later");
}

#[test]
fn one_that_is_stopped_while_an_order_is_under_way_is_told_and_the_wait_goes_on_with_it() {
    let place = Place::new();
    let cluster = with_late_successors(&place);
    let reload = cluster.on_terminal(100, ["reload"]);
    let launching = |left: &str| left.contains("worker 1 launching (");
    reload.expect_left("a step", launching);
    cluster.signal(Signal::SIGSTOP);
    reload.expect_left("silence", |left| left.contains(" is stopped: no answer for "));
    cluster.signal(Signal::SIGCONT);
    reload.expect_left("the step again", launching);
    let_go(&place);
    assert_eq!(reload.end().expect_code(0).stdout, "reload done: generation 2\n");
}

#[test]
fn restart_stop_and_wait_tell_who_holds_them_up() {
    let place = Place::new();
    let cluster = with_late_successors(&place);
    cluster.on_terminal(80, ["wait"]).end().expect_code(0);
    let_go(&place);
    cluster.command(["reload"]).expect_code(0);
    fs::remove_file(place.folder().join("when")).expect("the file");

    let restart = cluster.on_terminal(80, ["restart", "1"]);
    restart.expect("restart: 0 of 1 restarted; worker 1 ");
    let stop = cluster.on_terminal(80, ["stop"]);
    stop.expect("left; worker 1 pid ");
    let_go(&place);
    assert_eq!(restart.end().expect_code(1).stderr.lines().count(), 2, "an error and its hint, nothing else");
    let output = stop.end().expect_code(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("stopped\n", ""));
}

#[test]
fn a_restart_counts_who_is_back_already() {
    let place = Place::new();
    let cluster = with_late_successors(&place);
    let_go(&place);
    cluster.command(["reload"]).expect_code(0);
    fs::remove_file(place.folder().join("when")).expect("the file");
    let restart = cluster.on_terminal(80, ["restart"]);
    restart.expect("restart: 1 of 2 restarted; worker 1 ");
    let_go(&place);
    assert_eq!(restart.end().expect_code(0).stdout, "restart done: every worker\n");
}

#[test]
fn an_upgrade_tells_of_its_own_reload() {
    let place = Place::new();
    let cluster = with_late_successors(&place);
    let upgrade = cluster.on_terminal(80, ["upgrade"]);
    upgrade.expect("upgrade: generation 2: 1 of 2 successors ready; worker 1 launching (");
    let written = upgrade.written();
    assert!(!written.contains("it waits until the cluster is not reloading"), "{written:?}");
    let_go(&place);
    assert_eq!(upgrade.end().expect_code(0).stdout, "upgrade done: generation 2\n");
}

#[test]
fn a_start_in_the_background_tells_who_holds_it_up() {
    let place = Place::new();
    let start = cluster_that_may_be_late(&place, true).daemon_on_terminal(80);
    start.expect("start: 1 of 2 workers online; worker 1 launching (");
    let_go(&place);
    let daemon = start.online();
    assert!(daemon.said.stdout.starts_with("cluster online: pid "), "{:?}", daemon.said);
    assert_eq!(daemon.said.stderr, "");
}
