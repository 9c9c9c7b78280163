//! How `list` looks, and that nothing a supervisor may say makes it fall over.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::*;
use table::counters::{Counter, Counters};

use super::fake;
use super::list_text::{Rates, draw, quarantine};
use super::snapshot::fill_counts;
use super::terminal::Look;
use super::text::width;
use crate::wire::{LastExit, List, Stranger, View};

const PIPE: Look = Look { terminal: false, colour: false, columns: 80, rows: 24 };
const TERMINAL: Look = Look { terminal: true, colour: false, columns: 80, rows: 24 };

fn now() -> Timestamp {
    "2026-01-31T18:33:05Z".parse().unwrap()
}

/// The made-up cluster with counters, as the segments would give them.
fn made_up() -> List {
    let mut list = fake::view().list;
    let counters = |datagrams, malformed| {
        let mut counters = Counters::default();
        counters.add(Counter::Datagrams, datagrams);
        counters.add(Counter::Meter, datagrams - malformed);
        counters.add(Counter::Malformed, malformed);
        Some(counters)
    };
    let rings = [counters(120_000, 3), counters(99_123_456, 0), counters(5, 0), counters(0, 0)];
    fill_counts(&mut list, &(0..).zip(rings).collect());
    list.workers[0].memory_bytes = Some(1_400_000);
    list.workers[0].cpu_percent = Some(0.3);
    list
}

#[test]
fn a_pipe_gets_plain_columns() {
    let expected = "\
atlas-cluster degraded  pid 4000000  generation 1  up 1h 6m  listen 0.0.0.0:3131
id             pid  role       state            gen  restarts  uptime  last exit       datagrams  malformed  dropped  queue   mem   cpu
0          4000001  meter      online             1         0   1h 6m  -                  120000          3        0      0  1.3M  0.3%
1          4000002  meter      online             1         3     12s  SIGSEGV 3m ago   99123456          0        0      0     -     -
2                -  meter      waiting restart    1        17       -  code 1 3m ago           5          0     1234      0     -     -
3          4000004  meter      online +heir       1         0   1h 6m  -                       0          0        0    68K     -     -
simulator  4000020  simulator  online             -         0   1h 6m  -                       -          -        -      -     -     -
in all: 99243461 datagrams: 99243458 meter, 3 malformed; 1234 dropped by the kernel
last reload failed (generation 2): worker 1 exited with code 1
";
    let text = draw(&made_up(), None, now(), &PIPE);
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn a_terminal_gets_a_frame_that_fits_it() {
    let expected = "\
atlas-cluster degraded  pid 4000000  generation 1  up 1h 6m  listen 0.0.0.0:3131
┌────────────────────────────────────────────────────────────────────────────┐
│ id             pid  state            restarts  uptime   datagrams  dropped │
╞════════════════════════════════════════════════════════════════════════════╡
│ 0          4000001  online                  0   1h 6m     120 000        0 │
│ 1          4000002  online                  3     12s  99 123 456        0 │
│ 2                -  waiting restart        17       -           5    1 234 │
│ 3          4000004  online +heir            0   1h 6m           0        0 │
│ simulator  4000020  online                  0   1h 6m           -        - │
└────────────────────────────────────────────────────────────────────────────┘
in all: 99 243 461 datagrams: 99 243 458 meter, 3 malformed; 1 234 dropped by the kernel
last reload failed (generation 2): worker 1 exited with code 1
";
    let text = draw(&made_up(), None, now(), &TERMINAL);
    assert_eq!(text, expected, "\n{text}");
    let framed = |columns| {
        let text = draw(&made_up(), None, now(), &Look { columns, ..TERMINAL });
        let lines: Vec<String> =
            text.lines().filter(|line| line.starts_with('│')).map(String::from).collect();
        assert!(lines.iter().all(|line| width(line) <= columns), "{text}");
        lines
    };
    assert!(framed(50)[0].contains("datagrams") && !framed(50)[0].contains("restarts"));
    assert!(framed(140)[0].contains("role") && framed(140)[0].contains("queue"));
    assert!(framed(100)[0].contains("last exit") && !framed(100)[0].contains("role"));
}

#[test]
fn watching_shows_rates_where_two_lists_count() {
    let rates: Rates = [(0, 1234.4), (1, 0.0)].into();
    let text = draw(&made_up(), Some(&rates), now(), &PIPE);
    let rate: Vec<&str> = text
        .lines()
        .skip(2)
        .take(3)
        .filter_map(|line| line.split_whitespace().find(|w| w.ends_with("/s")))
        .collect();
    assert_eq!(rate, ["1234/s", "0/s"]);
    assert!(draw(&made_up(), Some(&Rates::new()), now(), &TERMINAL).contains("rate"));
}

#[test]
fn strangers_and_unknown_sums_are_told() {
    let mut list = made_up();
    list.cluster.strangers = vec![
        Stranger { pid: Some(77), name: Some("node".into()), uid: 1000, inode: 5 },
        Stranger { pid: None, name: None, uid: 0, inode: 6 },
    ];
    (list.cluster.last_reload, list.cluster.retired_queue_bytes) = (None, 68 << 10);
    fill_counts(&mut list, &BTreeMap::new());
    let text = draw(&list, None, now(), &PIPE);
    let end = "in all: datagrams not known; 1234 dropped by the kernel\n68K wait in retired slots, unread until those come back\nalso on the port: node (pid 77, uid 1000)\nalso on the port: a process (pid hidden, uid 0)\n";
    assert!(text.ends_with(end), "{text}");
}

#[test]
fn what_lies_in_quarantine_is_told_if_anything_does() {
    let mut list = made_up();
    let dir = Path::new("/run/atlas-cluster");
    for (quarantined, line) in [
        (None, ""),
        (Some(0), ""),
        (Some(1), "1 datagram in quarantine: /run/atlas-cluster/quarantine\n"),
        (Some(1200), "1200 datagrams in quarantine: /run/atlas-cluster/quarantine\n"),
    ] {
        list.cluster.totals.quarantined = quarantined;
        assert_eq!(quarantine(&list, dir, &PIPE), line);
    }
}

#[test]
fn an_exit_in_the_future_or_at_no_time_is_shown_without_nonsense() {
    for (at, shown) in [("2027-01-01T00:00:00Z", "SIGKILL 0s ago"), ("yesterday", "SIGKILL"), ("", "SIGKILL")]
    {
        let mut list = made_up();
        list.workers[0].last_exit =
            Some(LastExit { code: None, signal: Some("SIGKILL".into()), at: at.into() });
        let text = draw(&list, None, now(), &PIPE);
        assert!(text.lines().nth(2).is_some_and(|line| line.contains(&format!("  {shown}  "))), "{text}");
    }
}

/// JSON in which every number and string may be another one.
fn distorted(value: &mut serde_json::Value, with: &mut impl Iterator<Item = (u8, u64, String)>) {
    use serde_json::Value;
    match value {
        Value::Array(all) => all.iter_mut().for_each(|one| distorted(one, with)),
        Value::Object(all) => all.values_mut().for_each(|one| distorted(one, with)),
        Value::Number(number) => match with.next() {
            Some((0, other, _)) => *value = other.into(),
            Some((1, _, _)) => *value = (-1e300).into(),
            Some((2, other, _)) if number.is_u64() => *value = (other % 256).into(),
            _ => {}
        },
        Value::String(text) => {
            if let Some((0 | 1, _, other)) = with.next() {
                *text = other;
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

proptest! {
    #[test]
    fn whatever_a_supervisor_says_is_drawn_or_refused(
        changes in prop::collection::vec((0u8..20, any::<u64>(), any::<String>()), 200),
        columns in 0usize..300,
        terminal: bool,
    ) {
        let mut json = serde_json::to_value(fake::view()).unwrap();
        distorted(&mut json, &mut changes.into_iter());
        if let Ok(view) = serde_json::from_value::<View>(json) {
            let look = Look { terminal, colour: true, columns, rows: 1 };
            let text = draw(&view.list, Some(&Rates::new()), now(), &look);
            prop_assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\x1b'), "{text:?}");
        }
    }
}
