//! What is seen of what is known.

use ratatui::crossterm::event::KeyCode;

use super::{Screen, cluster_of, counted, meter, meters, processor};
use crate::cli::fake;
use crate::cli::monit::model::Event;
use crate::cli::text::width;
use crate::wire::{Counts, Heir, LastReload};

#[test]
fn a_usual_screen_reads_well() {
    let mut screen = Screen::of(counted(3, 1000), 80, 24);
    let mut now = counted(3, 1410);
    now.workers[1].restarts = 2;
    now.roles = fake::view().list.roles;
    screen.seen(now);
    let (mut muted, mut stale) = (meter(1, Some("Bar"), -3.0), meter(2, Some("Attic"), -1.0));
    muted.muted = Some(true);
    stale.fresh = false;
    let loud = processor(1, vec![meter(0, Some("Patio"), -40.0), muted, stale, meter(3, None, -80.0)]);
    screen.happens(meters(vec![loud]));
    screen.happens(Event::Lines(Some(vec!["18:30:00 [supervisor] cluster online: 3 workers".into()])));
    let expected = "\
atlas-cluster 0.1.0 online  pid 4000000  gen 1  up 1h 6m  on 0.0.0.0:3131
1 230/s  in all: 4 230 datagrams; 0 dropped by the kernel
▸id     pid role      state     restarts rate/s queue dropped  cpu  mem lately
▸ 0    5000 meter     online           0    410     0       0 0.3% 5.0M  █
  1    5001 meter     online           2    410     0       0 0.3% 5.0M  █
  2    5002 meter     online           0    410     0       0 0.3% 5.0M  █
  - 4000020 simulator online           0      -     -       -    -    -
 meters  4 of 1 processor, 1 stale  -80 … 0 dB ────────────────────────────────
bar 1  10.0.0.1  connected  heard 31ms ago
Z0 Patio                 ████████████████████···················· -40.0
Z1 Bar                   ██████████████████████████████████████▌·  -3.0 muted
Z2 Attic                 ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  -1.0 stale
ZoneMeter_3              ········································ -80.0
 log lines ────────────────────────────────────────────────────────────────────
18:30:00 [supervisor] cluster online: 3 workers








q quit  ↑↓ select  Tab next pane  r restart  R reload  + - scale  ? help";
    assert_eq!(screen.text(), expected);
}

#[test]
fn meters_without_names_are_told_apart_where_there_is_little_room() {
    let mut screen = Screen::of(cluster_of(2), 80, 24);
    let nameless = (0..6).map(|index| meter(index, None, -10.0)).collect();
    screen.happens(meters(vec![processor(1, nameless)]));
    let text = screen.text();
    let told =
        |index: u8| text.contains(&format!("Z{index} ")) || text.contains(&format!("ZoneMeter_{index} "));
    assert!((0..6).all(told), "{text}");
}

#[test]
fn what_a_program_does_not_tell_is_never_shown_as_zero() {
    let mut list = cluster_of(2);
    for worker in &mut list.workers {
        worker.counts = Counts::default();
        (worker.queue_bytes, worker.memory_bytes, worker.cpu_percent, worker.role) =
            (None, None, None, "node".into());
    }
    list.cluster.totals = Counts::default();
    let mut screen = Screen::of(list.clone(), 80, 24);
    screen.seen(list);
    let lines = screen.lines();
    assert_eq!(lines[1], "in all: datagrams not known");
    assert_eq!(
        lines[3].split_whitespace().skip(1).collect::<Vec<_>>(),
        ["0", "5000", "node", "online", "0", "-", "-", "-", "-", "-"]
    );
}

#[test]
fn a_cluster_that_is_gone_shows_no_figure() {
    let mut screen = Screen::of(fake::view().list, 80, 24);
    screen.happens(meters(vec![processor(1, vec![meter(0, Some("Patio"), -40.0)])]));
    screen.happens(Event::Lines(Some(vec!["the last line".into()])));
    screen.missed();
    screen.later(11);
    let text = screen.text();
    for part in [
        "atlas-cluster not reached\n",
        "the cluster is not reached: last seen at 18:30:00Z, 12s ago\n",
        "no cluster is running in /run/x: nobody listens\nhint: start one\n",
        "the last line",
        "q quit",
    ] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    for part in ["4000", "online", "SIGSEGV", "Patio", "restarts"] {
        assert!(!text.contains(part), "{part:?} looks alive:\n{text}");
    }
}

#[test]
fn nothing_to_show_is_said() {
    let mut screen = Screen::of(cluster_of(1), 80, 24);
    screen.happens(meters(Vec::new()));
    let text = screen.text();
    assert!(text.contains("no processor is configured, and none has been heard yet"), "{text}");
    assert!(text.contains("no log files: a cluster in the foreground logs to standard error"), "{text}");
    assert!(text.contains("log.dir"), "the whole of it: {text}");
    let empty = Screen::new(80, 24).text();
    assert!(empty.contains("not reached") && empty.contains("q quit"), "{empty}");
}

#[test]
fn it_shrinks_sensibly_and_says_where_it_cannot() {
    let mut screen = Screen::of(fake::view().list, 40, 10);
    screen.happens(meters(vec![processor(1, vec![meter(0, Some("Patio"), -40.0)])]));
    let lines = screen.lines();
    assert!(lines[0].starts_with("atlas-cluster 0.1.0 degraded"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("id role") && line.contains("state")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("waiting …")), "{lines:#?}");
    assert_eq!(lines[9], "q quit  ↑↓ Tab r R + -  ? help");
    screen.happens(Event::Size(29, 24));
    assert!(screen.text().starts_with("too small: 29×24; it needs\n30×8, q quits"), "{}", screen.text());
    for size in [(0, 0), (1, 1), (1, 60), (300, 1), (30, 8), (31, 9), (500, 200)] {
        screen.happens(Event::Size(size.0, size.1));
        screen.press('R');
        screen.lines();
        screen.key(KeyCode::Esc);
        screen.press('?');
        screen.lines();
        screen.press('?');
    }
}

#[test]
fn sixty_four_workers_and_processors_are_reached_by_scrolling() {
    let mut screen = Screen::of(cluster_of(64), 80, 24);
    let many = (0..64)
        .map(|number| processor(number, (0..8).map(|index| meter(index, Some("Patio"), -20.0)).collect()));
    screen.happens(meters(many.collect()));
    let rows = |screen: &Screen| {
        screen.lines().iter().filter(|line| line.contains(" meter ") && line.contains(" 5.0M")).count()
    };
    let text = screen.text();
    assert!(
        rows(&screen) >= 8 && text.contains(" of 64") && text.contains("meters  512 of 64 processors"),
        "{text}"
    );
    for _ in 0..63 {
        screen.press('j');
    }
    assert!(screen.text().contains("▸63 5063"), "{}", screen.text());
    screen.happens(Event::Size(200, 60));
    assert!(rows(&screen) >= 40, "a high terminal shows more: {}", screen.text());
    screen.key(KeyCode::Tab);
    screen.key(KeyCode::End);
    assert!(screen.text().contains("bar 63"), "{}", screen.text());
    assert!(screen.lines().iter().any(|line| line.matches("Patio").count() > 1), "bars side by side");
}

#[test]
fn wide_characters_keep_the_columns_in_line() {
    let mut list = cluster_of(2);
    list.workers[0].role = "ミキサー".into();
    let mut screen = Screen::of(list, 80, 24);
    let names = ["テラス", "Bar\u{1b}[2J", "Großer Saal mit Empore und Nebenraum"];
    let rows = names.iter().zip(0..).map(|(name, index)| meter(index, Some(name), -40.0)).collect();
    screen.happens(meters(vec![processor(1, rows)]));
    let lines = screen.lines();
    let column = |line: &str, what: &str| line.find(what).map(|at| width(&line[..at]));
    let of = |what: &str| -> Vec<_> {
        lines.iter().filter(|line| line.contains(what)).map(|line| column(line, what)).collect()
    };
    let (states, bars) = (of("online    "), of("█"));
    assert!(states.len() == 2 && states[0] == states[1], "{lines:#?}");
    assert!(bars.len() == 3 && bars.iter().all(|at| *at == bars[0]), "{lines:#?}");
    assert!(lines.iter().all(|line| width(line) <= 80 && !line.contains('\u{1b}')), "{lines:#?}");
}

#[test]
fn an_order_shows_its_question_its_step_and_what_came_of_it() {
    let mut screen = Screen::of(cluster_of(4), 80, 24);
    let last = |screen: &Screen| screen.lines()[22].clone();
    screen.press('-');
    assert_eq!(last(&screen), "scale: 1 worker fewer? 4 workers now");
    assert_eq!(screen.lines()[23], "y yes, do it   any other key: no");
    screen.press('n');
    screen.press('R');
    assert_eq!(last(&screen), "reload: read the configuration, replace every worker?");
    screen.press('y');
    assert_eq!(last(&screen), "reload: it is about to begin (0.0 s)");
    let mut list = cluster_of(4);
    list.cluster.last_reload = Some(LastReload { result: "running".into(), generation: 2, error: None });
    let heir =
        |state: &str| Some(Heir { pid: Some(7), state: state.into(), generation: 2, health_asked: false });
    (list.workers[0].heir, list.workers[1].heir) = (heir("online"), heir("launching"));
    screen.seen(list);
    screen.later(1);
    let told = "reload: generation 2: 1 of 2 successors ready; worker 1 launching (2.0 s)";
    assert_eq!(last(&screen), told, "as the command tells it");
    assert!(screen.text().contains("online +…"), "{}", screen.text());
    let refused = crate::cli::monit::order::Told::wrong("unknown key `worker`", Some("mend it".into()));
    screen.happens(Event::Answered(refused));
    assert_eq!(screen.lines()[21..23], ["unknown key `worker`", "hint: mend it"]);
}

#[test]
fn the_help_names_every_key() {
    let mut screen = Screen::of(cluster_of(4), 80, 24);
    screen.press('?');
    let text = screen.text();
    for key in
        ["Tab", "PgUp", "Ctrl-Z", "Esc", "q Ctrl-C", "reload: ", "any key goes back", "░ stale", "▁▂▃▅█"]
    {
        assert!(text.contains(key), "{key:?} is missing:\n{text}");
    }
    assert!(!text.contains("restarts"), "it stands in place of the rest:\n{text}");
}

#[test]
fn what_a_low_or_narrow_screen_leaves_out_is_said() {
    let mut screen = Screen::of(cluster_of(64), 50, 12);
    let heading = screen.lines().into_iter().find(|line| line.contains("restarts")).unwrap();
    assert!(heading.ends_with(" of 64"), "{heading}");
    screen.press('?');
    let lines = screen.lines();
    assert_eq!(lines[3], " ↑ ↓ or k j  select a worker or role; scroll mete…");
    assert_eq!(lines[10], " … 8 more on a taller terminal");
}

#[test]
fn what_deserves_a_line_of_its_own_gets_one() {
    let screen = Screen::of(fake::view().list, 100, 30);
    assert_eq!(screen.lines()[2], "last reload failed (generation 2): worker 1 exited with code 1");
    assert!(
        screen.text().contains("waiting restart"),
        "a wide screen has room for the whole: {}",
        screen.text()
    );
}
