//! `monit` on a real terminal, against a real cluster.

use harness::{Cluster, Place, Terminal, cluster, process, wait_until};
use nix::sys::signal::Signal;

const USUAL: (u16, u16) = (80, 24);

/// On a terminal of the usual size, drawn once.
#[track_caller]
fn monit(cluster: &Cluster) -> Terminal {
    let screen = cluster.on_a_terminal(&["monit"], USUAL, |_| ());
    screen.expect_text(&["atlas-cluster", "online", "restarts", "q quit"]);
    screen
}

/// The words of a worker's row, without the mark before it.
fn row(screen: &str, slot: usize) -> Vec<String> {
    let words = |line: &str| line.trim_start_matches('▸').split_whitespace().map(str::to_owned).collect();
    let rows =
        screen.lines().map(words).filter(|words: &Vec<String>| words.get(2).is_some_and(|it| it == "meter"));
    rows.into_iter().find(|words| words[0] == slot.to_string()).unwrap_or_default()
}

#[test]
fn it_shows_workers_meters_and_where_log_lines_go() {
    let cluster = cluster!().workers(4).arg("--demo").start();
    let screen = monit(&cluster);
    let text = screen.expect("meters are alive", |screen| {
        screen.contains("demo  127.0.0.2  connected") && screen.contains("S0 Juke") && screen.contains("█")
    });
    let list = cluster.list();
    assert!(text.contains(&format!("pid {}", list.cluster.pid)) && text.contains("gen 1 "), "{text}");
    for worker in &list.workers {
        let pid = worker.pid.expect("it runs").to_string();
        let row = row(&text, worker.id);
        assert_eq!((&row[1], row[3].as_str(), row[4].as_str()), (&pid, "online", "0"), "{text}");
    }
    for part in ["link", "simulator", "mem", "no log files:", "--daemon"] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    screen.expect("a rate is shown, and that it was so lately", |screen| {
        screen.contains("▁") || screen.contains("▂") || screen.matches('█').count() > 3
    });
    cluster.kill_worker(1).expect_replaced();
    screen.expect("a restart", |screen| row(screen, 1).get(4).is_some_and(|restarts| restarts == "1"));
}

#[test]
fn orders_are_asked_before_and_carried_out() {
    let cluster = cluster!().workers(4).start();
    let screen = monit(&cluster);
    screen.press("R").expect_text(&["reload: ", "?", "any other key: no"]);
    screen.press("n").expect_text(&["not done: reload"]);
    screen.press("R").expect_text(&["any other key: no"]);
    screen.press("y").expect_text(&["reload done: generation 2", "gen 2  up"]);
    assert_eq!(cluster.list().cluster.generation, 2);
    screen.press("+").expect_text(&["1 more worker?"]);
    screen.press("y").expect_text(&["scale done: 5 workers"]);
    screen.expect("a fifth row", |screen| row(screen, 4).get(3).is_some_and(|state| state == "online"));
    screen.press("-").expect_text(&["1 worker fewer?"]);
    screen.press("y").expect_text(&["scale done: 4 workers"]);
    screen.expect("no fifth row", |screen| row(screen, 4).is_empty());
    let before = cluster.worker(2).pid;
    screen.press("jj").press("r").expect_text(&["restart worker 2: "]);
    screen.press("y").expect_text(&["restart done: worker 2"]);
    assert_ne!(cluster.worker(2).pid, before, "another process");
    cluster.place().write_config("worker = 7\n");
    screen.press("R").expect_text(&["any other key: no"]);
    screen.press("y").expect("what is wrong with the configuration", |screen| {
        screen.contains("worker") && screen.contains("hint: ")
    });
}

#[test]
fn a_key_that_comes_in_pieces_is_that_key_and_esc_alone_only_closes() {
    let cluster = cluster!().workers(4).start();
    let screen = monit(&cluster);
    for slot in 1..4 {
        screen.press("\u{1b}").press("[").press("B").expect_text(&[&format!("▸ {slot} ")]);
    }
    screen.press("?").expect_text(&["keys and signs"]);
    screen.press("\u{1b}").expect_text(&["restarts", "q quit"]);
    screen.press("R").expect_text(&["any other key: no"]);
    screen.press("\u{1b}").expect_text(&["not done: reload"]);
}

#[test]
fn it_fits_whatever_size_the_terminal_gets() {
    let cluster = cluster!().workers(4).start();
    let screen = monit(&cluster);
    for (columns, rows) in [(120, 40), (40, 10), (100, 30)] {
        screen.resize(columns, rows);
        let shows = |text: &str| {
            let lines: Vec<&str> = text.lines().collect();
            lines.len() == usize::from(rows)
                && lines[0].starts_with("atlas-cluster")
                && lines[usize::from(rows) - 1].starts_with("q quit")
                && lines.iter().filter(|line| line.contains("online") && !line.contains("atlas")).count() >= 3
        };
        screen.expect(&format!("a screen of {columns}×{rows}"), shows);
    }
    screen.resize(20, 5).expect_text(&["too small: 20×5"]);
    screen.resize(80, 24).expect_text(&["restarts", "q quit"]);
}

#[test]
fn a_cluster_that_is_killed_is_said_to_be_gone_and_the_next_one_is_shown() {
    let place = Place::new();
    let cluster = cluster!().place(&place).workers(2).start();
    let screen = monit(&cluster);
    let old = cluster.pid();
    screen.press("R").expect_text(&["any other key: no"]);
    cluster.signal(Signal::SIGKILL);
    screen.expect_text(&["not done: reload: the cluster is not reached any more"]);
    screen.press("y");
    let text = screen.expect_text(&["not reached", "last seen at ", "ago", "hint: "]);
    assert!(
        !text.contains(&format!("pid {old}")) && row(&text, 0).is_empty(),
        "old figures look alive:\n{text}"
    );
    screen.press("R").expect_text(&["nothing can be ordered"]);
    drop(cluster);
    let next = cluster!().place(&place).workers(3).start();
    screen.expect_text(&[&format!("pid {}", next.pid())]);
    screen.expect("its workers", |screen| row(screen, 2).get(3).is_some_and(|state| state == "online"));
    assert_eq!(next.list().cluster.generation, 1, "what was asked about the other one is not done to it");
}

#[test]
fn a_supervisor_that_does_not_answer_is_shown_as_such() {
    let cluster = cluster!().workers(2).start();
    let screen = monit(&cluster);
    cluster.signal(Signal::SIGSTOP);
    let text = screen.expect_text(&["not reached", "last seen at "]);
    assert!(row(&text, 0).is_empty(), "old figures look alive:\n{text}");
    cluster.signal(Signal::SIGCONT);
    screen.expect("it is back", |screen| !row(screen, 0).is_empty());
}

#[test]
fn whatever_ends_it_gives_the_terminal_back() {
    let cluster = cluster!().workers(2).start();
    for key in ["q", "\u{3}"] {
        let mut screen = monit(&cluster);
        assert!(screen.is_taken() && screen.has_other_modes(), "the terminal is taken over");
        screen.press(key);
        assert_eq!(screen.wait_for_end(), Some(0), "{key:?}");
        screen.expect_given_back();
    }
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        let mut screen = monit(&cluster);
        // A second one changes nothing.
        screen.signal(signal).signal(signal);
        assert_eq!(screen.wait_for_end(), Some(0), "{signal}");
        screen.expect_given_back();
    }
    assert_eq!(cluster.list().cluster.state, "online", "the cluster goes on");
}

#[test]
fn it_stops_and_goes_on_as_a_shell_wants() {
    let cluster = cluster!().workers(2).start();
    let screen = monit(&cluster);
    for by_key in [true, false] {
        if by_key {
            screen.press("\u{1a}");
        } else {
            screen.signal(Signal::SIGTSTP);
        }
        screen.expect_stopped().expect_given_back();
        screen.signal(Signal::SIGCONT);
        screen.expect("it is back", |_| screen.is_taken() && screen.has_other_modes());
        screen.expect_text(&["atlas-cluster", "restarts", "q quit"]);
    }
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let cluster = cluster!().workers(2).start();
    let mut screen = monit(&cluster);
    screen.hang_up();
    assert_eq!(screen.wait_for_end(), Some(0));
}

#[cfg(feature = "ledger")]
#[test]
fn a_panic_gives_the_terminal_back_too() {
    let cluster = cluster!().workers(2).start();
    let mut screen = cluster.on_a_terminal(&["monit"], USUAL, |command| {
        command.env("ATLAS_CLUSTER_MONIT_PANIC", "1").env("RUST_BACKTRACE", "0");
    });
    screen.expect_text(&["restarts", "q quit"]);
    screen.press("!");
    assert_eq!(screen.wait_for_end(), None, "it aborts");
    screen.expect_given_back().expect_text(&["panicked at", "a fault on request"]);
}

#[test]
fn the_last_log_lines_are_shown_where_they_go_to_files() {
    let daemon = cluster!().workers(2).start_daemon();
    let screen = monit(&daemon);
    screen.expect_text(&["log lines", "[supervisor]", "cluster online: 2 workers"]);
    let pid = daemon.worker(1).pid.expect("it runs");
    process::signal(pid, Signal::SIGKILL);
    screen.expect_text(&["killed by SIGKILL"]);
    daemon.command(["stop"]).expect_code(0);
    screen.expect_text(&["not reached", "cluster stopped after"]);
}

#[test]
fn without_a_terminal_or_a_cluster_nothing_is_drawn() {
    let cluster = cluster!().workers(2).start();
    let refused =
        cluster.command(["monit"]).expect_code(1).expect_said(&["monit needs a terminal", "hint: "]);
    assert_eq!((refused.stdout.as_str(), refused.stderr.lines().count()), ("", 2), "{refused:?}");
    let mut dumb = cluster.on_a_terminal(&["monit"], USUAL, |command| {
        command.env("TERM", "dumb");
    });
    assert_eq!(dumb.wait_for_end(), Some(1));
    dumb.expect_given_back().expect_text(&["monit needs a terminal", "TERM=dumb", "hint: "]);
    cluster.command(["stop"]).expect_code(0);
    wait_until("it is gone", || cluster.try_exit().is_some());
    let mut nobody = cluster.on_a_terminal(&["monit"], USUAL, |_| ());
    assert_eq!(nobody.wait_for_end(), Some(4));
    nobody.expect_given_back().expect_text(&["no cluster is running in", "hint: "]);
}

#[test]
fn without_colours_nothing_is_coloured() {
    let cluster = cluster!().workers(2).start();
    let plain = cluster.on_a_terminal(&["monit"], USUAL, |command| {
        command.env("NO_COLOR", "1");
    });
    plain.expect_text(&["▸ 0", "online", "q quit"]);
    assert!(!plain.has_styles(), "{}", plain.text());
    assert!(monit(&cluster).has_styles(), "and with them it is");
}
