//! What is known after what happened.

use ratatui::crossterm::event::KeyCode;

use super::{Screen, cluster_of, counted, meter, meters, processor};
use crate::amount::Scale;
use crate::cli::fake;
use crate::cli::monit::model::{Deed, Event, LINES_KEPT, Pane, Talk};
use crate::cli::monit::order::{Order, Told};
use crate::cli::monit::rates::REMEMBERED;

fn told(screen: &Screen) -> &str {
    match &screen.model.talk {
        Some(Talk::Told(Told { line, .. })) => line,
        other => panic!("nothing is told: {other:?}"),
    }
}

#[test]
fn every_order_asks_first_and_only_a_yes_gives_it() {
    let orders = [
        ('r', Order::Restart("0".into())),
        ('R', Order::Reload),
        ('+', Order::Scale(Scale::Up(1))),
        ('-', Order::Scale(Scale::Down(1))),
    ];
    for (key, order) in orders {
        let mut screen = Screen::of(cluster_of(4), 80, 24);
        for no in ['n', 'q', 'R', ' '] {
            assert_eq!(screen.press(key), None);
            assert_eq!(screen.model.talk, Some(Talk::Asked(order.clone())), "it asks");
            assert_eq!(screen.press(no), None, "{no:?} is no yes, and does nothing else");
            assert_eq!(told(&screen), format!("not done: {}", order.name()));
        }
        screen.press(key);
        assert_eq!(screen.press('y'), Some(Deed::Give(order.clone())));
        assert_eq!(screen.press('y'), None, "once");
    }
}

#[test]
fn one_order_is_under_way_at_a_time_and_its_answer_is_told() {
    let mut screen = Screen::of(cluster_of(4), 80, 24);
    screen.press('R');
    screen.press('y');
    assert_eq!(screen.press('+'), None);
    assert_eq!(told(&screen), "reload is still running; one order at a time");
    screen.happens(Event::Answered(Told::well("reload done: generation 2")));
    assert_eq!((told(&screen), screen.model.under_way.is_none()), ("reload done: generation 2", true));
    screen.press('j');
    assert_eq!(screen.model.talk, None, "the next key takes away what was told");
    screen.press('+');
    assert_eq!(screen.press('y'), Some(Deed::Give(Order::Scale(Scale::Up(1)))));
}

#[test]
fn keys_that_end_it_do_so_and_control_keys_always() {
    let mut screen = Screen::of(cluster_of(2), 80, 24);
    assert_eq!([screen.press('q'), screen.key(KeyCode::Esc)], [Some(Deed::Quit), None]);
    screen.press('R');
    assert_eq!(screen.control('c'), Some(Deed::Quit), "a question does not hold it");
    assert_eq!(screen.control('z'), Some(Deed::Suspend));
    screen.key(KeyCode::Esc);
    screen.press('?');
    assert!(screen.model.help);
    assert_eq!((screen.press('q'), screen.model.help), (None, false), "any key leaves the help");
    screen.press('?');
    assert_eq!((screen.key(KeyCode::Esc), screen.model.help), (None, false));
    screen.press('R');
    screen.key(KeyCode::Esc);
    assert_eq!(told(&screen), "not done: reload");
}

#[test]
fn a_question_lapses_with_what_it_is_about() {
    let mut screen = Screen::of(cluster_of(4), 80, 24);
    screen.key(KeyCode::End);
    screen.press('r');
    screen.seen(cluster_of(4));
    assert!(matches!(screen.model.talk, Some(Talk::Asked(_))), "it is the same cluster");
    screen.seen(cluster_of(3));
    assert_eq!(told(&screen), "not done: restart 3: there is no worker 3 any more");
    assert_eq!(screen.press('y'), None, "it was not asked any more");

    screen.press('R');
    let mut other = cluster_of(3);
    other.cluster.pid += 1;
    screen.seen(other.clone());
    assert_eq!(told(&screen), "not done: reload: another cluster is there now");
    assert_eq!(screen.press('y'), None);

    let gone = "not done: reload: the cluster is not reached any more";
    screen.press('R');
    screen.missed();
    assert_eq!(told(&screen), gone, "it has ended");
    assert_eq!(screen.press('y'), None);
    screen.seen(other);
    screen.press('R');
    screen.later(4);
    assert_eq!(told(&screen), gone, "it does not answer");
    assert_eq!(screen.press('y'), None);
}

#[test]
fn whoever_is_chosen_stays_so_while_rows_come_and_go() {
    let mut screen = Screen::of(cluster_of(4), 80, 24);
    assert_eq!(screen.model.chosen.as_deref(), Some("0"));
    screen.press('j');
    screen.key(KeyCode::Down);
    assert_eq!(screen.model.chosen.as_deref(), Some("2"));
    screen.seen(cluster_of(9));
    assert_eq!(screen.model.chosen.as_deref(), Some("2"));
    screen.key(KeyCode::End);
    screen.key(KeyCode::Down);
    assert_eq!(screen.model.chosen.as_deref(), Some("8"), "it does not leave the table");
    screen.seen(cluster_of(3));
    assert_eq!(screen.model.chosen.as_deref(), Some("2"), "who is gone: the one before it");
    let mut scaled = fake::view().list;
    let roles = scaled.roles.clone();
    for (workers, chosen) in [(8, "2"), (2, "1"), (1, "0"), (8, "0")] {
        scaled.workers = cluster_of(workers).workers;
        scaled.roles = [roles.clone(), roles.clone()].concat();
        screen.seen(scaled.clone());
        assert_eq!(screen.model.chosen.as_deref(), Some(chosen), "a worker, and no role, of {workers}");
    }
    (0..5).for_each(|_| _ = screen.press('j'));
    screen.missed();
    screen.press('j');
    screen.seen(cluster_of(8));
    assert_eq!(screen.model.chosen.as_deref(), Some("5"), "the same after a while without a cluster");
    screen.seen(fake::view().list);
    screen.key(KeyCode::End);
    assert_eq!(screen.model.chosen.as_deref(), Some("simulator"), "roles can be chosen, too");
    screen.press('r');
    assert_eq!(screen.press('y'), Some(Deed::Give(Order::Restart("simulator".into()))));
}

#[test]
fn rates_are_of_one_cluster_and_bounded() {
    let mut screen = Screen::of(counted(2, 100), 80, 24);
    assert_eq!(screen.model.history.last(0, 9), [None], "one look is no rate");
    screen.seen(counted(2, 350));
    screen.seen(counted(2, 350));
    assert_eq!(screen.model.history.last(1, 9), [None, Some(250), Some(0)]);
    let mut unknown = counted(2, 350);
    unknown.workers[1].counts.datagrams = None;
    screen.seen(unknown);
    assert_eq!(screen.model.history.last(1, 2), [Some(0), None], "what is not told is no zero");
    let mut other = counted(2, 5);
    other.cluster.started_at = "2026-02-01T00:00:00Z".into();
    screen.seen(other);
    assert_eq!(screen.model.history.last(1, 9), [None], "another cluster");
    for _ in 0..2 * REMEMBERED {
        screen.seen(counted(2, 5));
    }
    assert_eq!(screen.model.history.last(0, usize::MAX).len(), REMEMBERED);
    screen.seen(counted(1, 5));
    assert!(screen.model.history.last(1, 9).is_empty(), "who is gone is forgotten");
}

#[test]
fn a_cluster_is_alive_while_it_was_seen_a_moment_ago() {
    let mut screen = Screen::of(cluster_of(2), 80, 24);
    screen.happens(meters(vec![processor(1, vec![meter(0, None, -20.0)])]));
    screen.later(2);
    assert!(screen.model.alive().is_some());
    screen.later(2);
    assert!(screen.model.alive().is_none(), "it does not answer");
    screen.press('R');
    assert_eq!(told(&screen), "the cluster is not reached: nothing can be ordered");
    screen.seen(cluster_of(2));
    assert!(screen.model.alive().is_some());
    screen.missed();
    assert!(screen.model.alive().is_none() && screen.model.meters.is_none());
    screen.seen(cluster_of(3));
    assert_eq!(screen.model.alive().map(|list| list.workers.len()), Some(3), "it is back");
}

#[test]
fn meters_that_cannot_be_read_are_not_shown_as_they_were() {
    let mut screen = Screen::of(cluster_of(2), 80, 24);
    let levels = || meters(vec![processor(1, vec![meter(0, Some("Patio"), -20.0)])]);
    screen.happens(levels());
    assert!(screen.text().contains("Patio"), "{}", screen.text());
    screen.happens(Event::Blind(Told::wrong("the meter table cannot be read: too many open files", None)));
    screen.seen(cluster_of(2));
    let text = screen.text();
    assert!(!text.contains("Patio") && text.contains("cannot be read: too many open files"), "{text}");
    screen.happens(levels());
    assert!(screen.text().contains("Patio") && screen.model.blind.is_none());
}

#[test]
fn log_lines_are_bounded_and_whoever_reads_further_up_is_not_moved() {
    let mut screen = Screen::of(cluster_of(2), 80, 24);
    let lines =
        |numbers: std::ops::Range<usize>| Event::Lines(Some(numbers.map(|n| format!("line {n}.")).collect()));
    screen.happens(lines(0..50));
    screen.key(KeyCode::BackTab);
    assert_eq!(screen.model.pane, Pane::Lines);
    screen.key(KeyCode::Up);
    screen.key(KeyCode::Up);
    let before: Vec<String> = screen.lines().into_iter().filter(|line| line.starts_with("line ")).collect();
    assert_eq!(before.last().map(String::as_str), Some("line 47."));
    screen.happens(lines(50..60));
    let after: Vec<String> = screen.lines().into_iter().filter(|line| line.starts_with("line ")).collect();
    assert_eq!(before, after);
    screen.key(KeyCode::End);
    assert!(screen.text().contains("line 59."));
    screen.key(KeyCode::Home);
    screen.key(KeyCode::Up);
    assert!(screen.text().contains("line 0."));
    screen.happens(lines(60..5 * LINES_KEPT));
    assert_eq!(screen.model.lines.as_ref().map(|lines| lines.len()), Some(LINES_KEPT));
    screen.happens(Event::Lines(None));
    assert_eq!(screen.model.lines, None);
}

#[test]
fn meters_scroll_as_far_as_there_are_any() {
    let mut screen = Screen::of(cluster_of(2), 80, 24);
    let many = (0..64).map(|number| processor(number, vec![meter(0, None, -20.0)])).collect();
    screen.happens(meters(many));
    screen.key(KeyCode::Tab);
    assert_eq!(screen.model.pane, Pane::Meters);
    assert!(screen.text().contains("bar 0 ") && !screen.text().contains("bar 63"));
    screen.key(KeyCode::End);
    assert!(screen.text().contains("bar 63"));
    let end = screen.model.meters_above;
    screen.key(KeyCode::PageDown);
    assert_eq!(screen.model.meters_above, end);
    screen.key(KeyCode::PageUp);
    screen.press('k');
    assert!(screen.model.meters_above < end - 1);
    screen.key(KeyCode::Home);
    assert_eq!(screen.model.meters_above, 0);
}
