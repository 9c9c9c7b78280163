//! From views to lines.

use std::time::{Duration, Instant};

use super::step::{Course, Sight, Silence, Wait};
use crate::cli::fake;
use crate::cli::text::width;
use crate::wire::{Heir, LastReload, List, Worker};

const WIDE: usize = 200;
const WAITED: Duration = Duration::from_millis(1_440);

/// A cluster of four that is well, with a `simulator` beside.
fn online() -> List {
    let mut list = fake::view().list;
    list.cluster.state = "online".into();
    for worker in &mut list.workers {
        let pid = 100 + u32::from(worker.id);
        (worker.pid, worker.state, worker.heir) = (Some(pid), "online".into(), None);
    }
    list
}

/// The same while generation 2 is prepared: its successors are in these states.
fn reloading(heirs: &[&str]) -> List {
    let mut list = online();
    list.cluster.state = "reloading".into();
    list.cluster.last_reload = Some(LastReload { result: "running".into(), generation: 2, error: None });
    for (worker, state) in list.workers.iter_mut().zip(heirs) {
        worker.heir =
            Some(Heir { pid: Some(200), state: (*state).into(), health_asked: false, generation: 2 });
    }
    list
}

fn change(mut list: List, slot: usize, change: impl FnOnce(&mut Worker)) -> List {
    change(&mut list.workers[slot]);
    list
}

fn seen(list: &List) -> Sight {
    Sight::List(Box::new(list.clone()))
}

/// The line after so much time.
fn line(course: &mut Course, sight: &Sight, waited: Duration, columns: usize) -> Option<String> {
    let begun = Instant::now();
    course.line(sight, begun, begun + waited, columns)
}

#[track_caller]
fn expect(wait: Wait, before: Option<List>, now: &List, told: &str) {
    let line = line(&mut Course::new(wait, before), &seen(now), WAITED, WIDE);
    assert_eq!(line.as_deref(), Some(told));
}

#[test]
fn a_reload_names_the_successor_that_is_late_and_then_who_is_still_leaving() {
    let prepared = reloading(&["online", "launching", "online", "launching"]);
    let line = "reload: generation 2: 2 of 4 successors ready; worker 1 launching and 1 more (1.4 s)";
    expect(Wait::Reload, None, &prepared, line);

    let unwell = change(reloading(&["online", "launching"]), 1, |worker| {
        worker.heir.as_mut().unwrap().health_asked = true;
    });
    let line = "reload: generation 2: 1 of 2 successors ready; worker 1 in health check (1.4 s)";
    expect(Wait::Reload, None, &unwell, line);

    let mut role_is_late = reloading(&["online"; 4]);
    role_is_late.roles[0].heir =
        Some(Heir { pid: None, state: "launching".into(), health_asked: false, generation: 2 });
    let line = "reload: generation 2: 4 of 5 successors ready; simulator launching (1.4 s)";
    expect(Wait::Reload, None, &role_is_late, line);

    let newcomer = change(reloading(&["online", "online", "online"]), 3, |worker| {
        (worker.pid, worker.state) = (None, "launching".into());
    });
    let line = "reload: generation 2: 3 of 4 successors ready; worker 3 about to be launched (1.4 s)";
    expect(Wait::Reload, None, &newcomer, line);

    let mut committed = change(reloading(&[]), 2, |worker| worker.leaving = vec![77]);
    committed.cluster.generation = 2;
    let line = "reload: generation 2: in force; worker 2: pid 77 leaving (1.4 s)";
    expect(Wait::Reload, None, &committed, line);
}

#[test]
fn an_order_that_waits_says_for_what() {
    let mut starting = change(reloading(&[]), 1, |worker| worker.state = "launching".into());
    expect(Wait::Scale, None, &starting, "scale: it waits until the reload under way is over (1.4 s)");
    starting.cluster.state = "launching".into();
    let line = "reload: generation 2: it waits until the cluster has started; worker 1 launching (1.4 s)";
    expect(Wait::Reload, None, &starting, line);
    expect(Wait::Reload, None, &online(), "reload: it is about to begin (1.4 s)");
    expect(Wait::Reload, None, &reloading(&[]), "reload: generation 2: it waits for its turn (1.4 s)");
}

#[test]
fn an_upgrade_is_a_check_and_then_a_reload() {
    let line = "upgrade: the binary on disk is checked (1.4 s)";
    expect(Wait::Upgrade, Some(online()), &online(), line);
    let line = "upgrade: it waits until the cluster is not reloading any more (1.4 s)";
    expect(Wait::Upgrade, Some(online()), &reloading(&["launching"]), line);
    let mut replaced = reloading(&["launching"]);
    replaced.cluster.upgrades += 1;
    let line = "upgrade: generation 2: 0 of 1 successor ready; worker 0 launching (1.4 s)";
    expect(Wait::Upgrade, Some(online()), &replaced, line);
}

#[test]
fn a_restart_counts_those_that_are_meant_and_are_others_than_before() {
    let anew = |slot: usize| move |worker: &mut Worker| worker.pid = Some(300 + u32::try_from(slot).unwrap());
    let under_way = change(change(online(), 0, anew(0)), 1, |worker| {
        (worker.pid, worker.state) = (Some(301), "launching".into());
    });
    let line = "restart: 1 of 4 restarted; worker 1 launching and 2 more (1.4 s)";
    expect(Wait::Restart(vec![]), Some(online()), &under_way, line);
    let line = "restart: 0 of 2 restarted; worker 1 launching and 1 more (1.4 s)";
    expect(Wait::Restart(vec!["1".into(), "2".into()]), Some(online()), &under_way, line);
    let line = "restart: 0 of 1 restarted; worker 3 about to be stopped (1.4 s)";
    expect(Wait::Restart(vec!["3".into()]), Some(online()), &under_way, line);
}

#[test]
fn a_restart_of_a_role_is_done_when_another_process_has_its_place() {
    let role = |pid| {
        let mut list = online();
        list.roles[0].pid = Some(pid);
        list
    };
    let restart = || Wait::Restart(vec!["simulator".into()]);
    let line = "restart: 0 of 1 restarted; simulator about to be stopped (1.4 s)";
    expect(restart(), Some(role(7)), &role(7), line);
    expect(restart(), Some(role(7)), &role(8), "restart: 1 of 1 restarted (1.4 s)");
}

#[test]
fn what_is_seen_first_is_not_what_there_was_before() {
    for wait in [Wait::Restart(Vec::new()), Wait::Upgrade] {
        let mut course = Course::new(wait, None);
        assert_eq!(line(&mut course, &seen(&online()), WAITED, WIDE), None, "nobody knows how far it is");
    }
}

#[test]
fn a_scaling_tells_how_many_there_are_or_are_too_many() {
    let mut list = change(online(), 3, |worker| worker.state = "launching".into());
    expect(Wait::Scale, None, &list, "scale: 3 of 4 workers online; worker 3 launching (1.4 s)");
    list = change(online(), 3, |worker| worker.state = "stopping".into());
    list.cluster.workers_wanted = 3;
    expect(Wait::Scale, None, &list, "scale: 1 worker too many; worker 3 stopping (1.4 s)");
}

#[test]
fn a_start_tells_of_its_own_cluster_alone() {
    let list = change(online(), 2, |worker| worker.state = "launching".into());
    let pid = list.cluster.pid;
    expect(Wait::Start(pid), None, &list, "start: 3 of 4 workers online; worker 2 launching (1.4 s)");
    let mut other = Course::new(Wait::Start(1), None);
    assert_eq!(line(&mut other, &seen(&list), WAITED, WIDE), None);
    let line = "wait: it is online; 3 of 4 workers online; worker 2 launching (1.4 s)";
    expect(Wait::Online, None, &list, line);
}

#[test]
fn a_stop_counts_who_is_left() {
    let mut list = online();
    list.roles.clear();
    list = change(list, 0, |worker| worker.pid = None);
    list = change(list, 1, |worker| worker.leaving = vec![77]);
    expect(Wait::Stop, None, &list, "stop: 4 processes left; worker 1 pid 101 and 2 more (1.4 s)");
    expect(Wait::Stopped, None, &list, "wait: it is online (1.4 s)");
    list.workers.clear();
    expect(Wait::Stop, None, &list, "stop: the supervisor is about to leave (1.4 s)");
}

#[test]
fn while_nothing_is_there_to_see_the_last_step_stands_and_the_time_goes_on() {
    let mut course = Course::new(Wait::Stop, None);
    assert_eq!(line(&mut course, &Sight::Nothing, WAITED, WIDE), None, "an older supervisor, or not yet");
    let list = change(online(), 0, |worker| worker.pid = None);
    let first = line(&mut course, &seen(&list), WAITED, WIDE).unwrap();
    for sight in [Sight::Nothing, Sight::Nobody] {
        let later = line(&mut course, &sight, Duration::from_secs(185), WIDE).unwrap();
        assert_eq!(later, first.replace("(1.4 s)", "(3m 5s)"));
    }
}

#[test]
fn a_supervisor_that_is_not_there_or_does_not_answer_is_told_as_such() {
    let nobody = |wait| line(&mut Course::new(wait, None), &Sight::Nobody, WAITED, WIDE);
    assert_eq!(nobody(Wait::Online).as_deref(), Some("wait: no cluster is there yet (1.4 s)"));
    let starting = "start: the supervisor (pid 77) has not answered yet (1.4 s)";
    assert_eq!(nobody(Wait::Start(77)).as_deref(), Some(starting));
    assert_eq!(nobody(Wait::Reload), None, "the command ends with that");

    let begun = Instant::now();
    let silent = |pid, stopped| Sight::Silent(Silence { pid, stopped, since: begun });
    let later = begun + Duration::from_millis(2_500);
    for wait in [Wait::Online, Wait::Stopped, Wait::Reload, Wait::Stop, Wait::Scale, Wait::Start(77)] {
        let verb = wait.verb();
        let mut course = Course::new(wait, None);
        let told = course.line(&silent(Some(77), false), begun, later, WIDE);
        let expected = format!("{verb}: the supervisor (pid 77) has not answered for 2s (2.5 s)");
        assert_eq!(told, Some(expected));
    }
    let mut course = Course::new(Wait::Reload, Some(online()));
    let told = course.line(&silent(None, true), begun, later, WIDE);
    let expected = "reload: the supervisor is stopped: no answer for 2s (2.5 s)";
    assert_eq!(told.as_deref(), Some(expected));
    let answered = course.line(&seen(&online()), begun, later, WIDE);
    assert_eq!(answered.as_deref(), Some("reload: it is about to begin (2.5 s)"));
}

#[test]
fn the_line_is_narrower_than_the_terminal_and_keeps_its_time() {
    let list = seen(&reloading(&["launching", "launching", "online", "online"]));
    for columns in 0..120 {
        let line = line(&mut Course::new(Wait::Reload, None), &list, WAITED, columns).unwrap();
        assert!(width(&line) < columns.max(1), "{columns}: {line}");
        assert!(columns < 20 || line.ends_with("(1.4 s)"), "{columns}: {line}");
    }
}

#[test]
fn what_a_supervisor_says_does_not_move_the_cursor() {
    let list = change(online(), 0, |worker| worker.state = "\u{1b}[2J".into());
    let line = line(&mut Course::new(Wait::Online, None), &seen(&list), WAITED, WIDE).unwrap();
    assert!(!line.contains(char::is_control), "{line:?}");
}
