//! What waits for the store above, and what is found there.

use super::*;
use std::os::unix::net::UnixDatagram;

const SLOTS: [Slot; 2] = [Slot::Worker(1), Slot::Worker(10)];

/// A line that takes about 11 messages, and whoever reads them.
fn line() -> (Above, UnixDatagram) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("above");
    let starter = UnixDatagram::bind(&path).unwrap();
    starter.set_nonblocking(true).unwrap();
    (Above::new(Notify::to(path.as_os_str()).unwrap()), starter)
}

/// Until nothing takes more.
fn fill(above: &mut Above) {
    while above.is_idle() {
        above.ready(String::new());
    }
    above.waiting.clear();
}

/// Everything that is said, in its order, but what the line was filled with.
fn said(above: &mut Above, starter: &UnixDatagram) -> Vec<String> {
    let (mut said, mut buffer) = (Vec::new(), [0; 256]);
    loop {
        above.flush();
        let Ok(length) = starter.recv(&mut buffer) else { return said };
        let text = String::from_utf8_lossy(&buffer[..length]).replace('\n', " ");
        said.extend((!text.starts_with("READY=1")).then_some(text));
    }
}

fn memo(generation: u32) -> Memo {
    Memo { generation, ..Memo::default() }
}

fn memfd() -> OwnedFd {
    sys::map::segment("test", &[], 1, false).unwrap()
}

#[test]
fn a_slot_lacks_what_was_made_for_it_and_not_what_was_made_for_others() {
    let (mut above, starter) = line();
    fill(&mut above);
    above.keep(name(SLOTS[1], "udp0"), memfd().as_fd()).unwrap();
    above.forget(name(SLOTS[0], "udp0"));
    above.remember(memo(1)).unwrap();
    assert_eq!(SLOTS.map(|slot| above.lacks(slot)), [false, true]);
    said(&mut above, &starter);
    assert_eq!(SLOTS.map(|slot| above.lacks(slot)), [false, false]);
    assert!(above.is_idle());
}

#[test]
fn a_hundred_memos_for_a_store_that_does_not_read_are_one() {
    let (mut above, starter) = line();
    fill(&mut above);
    for generation in 1..=100 {
        above.remember(memo(generation)).unwrap();
    }
    assert!(above.waiting.is_empty(), "{:?}", above.waiting);
    let before = above.memo().name();
    said(&mut above, &starter);
    assert_eq!(above.memo().generation, 100);
    assert_ne!(above.memo().name(), before, "the one before lies there until this one does");
}

#[test]
fn the_newest_memo_is_in_force_wherever_it_lies_and_the_other_name_is_left_over() {
    let memo_of = |serial, generation| {
        let text = serde_json::to_vec(&Memo { serial, ..memo(generation) }).unwrap();
        sys::map::segment("memo", &text, text.len(), true).unwrap()
    };
    let mut found = Found::nothing();
    found.named.insert("memo1".into(), vec![memo_of(5, 50), memo_of(7, 70), memfd()]);
    found.named.insert("memo0".into(), vec![memo_of(4, 40), memo_of(6, 60)]);
    let newest = found.take_memo().unwrap();
    assert_eq!((newest.generation, found.leftovers()), (70, vec!["memo0".to_owned()]));
    // The next one takes that name only when it is free, and the one in force goes after that, whole.
    let (mut above, starter) = line();
    above.go_on_from(&newest);
    found.leftovers().into_iter().for_each(|name| above.forget(name));
    above.remember(memo(71)).unwrap();
    let expected =
        ["FDSTOREREMOVE=1 FDNAME=memo0", "FDSTORE=1 FDNAME=memo0 FDPOLL=0", "FDSTOREREMOVE=1 FDNAME=memo1"];
    assert_eq!(said(&mut above, &starter), expected);
    above.remember(memo(71)).unwrap();
    assert!(said(&mut above, &starter).is_empty(), "nothing has changed");
}

#[test]
fn a_memo_of_an_older_version_reads_and_each_part_is_news() {
    let older: Memo = serde_json::from_str(r#"{"serial":3,"generation":4,"dropped":[]}"#).unwrap();
    assert_eq!(older, Memo { serial: 3, ..memo(4) });
    assert_eq!((older.last_reload(), older.scaled(2)), (None, None));
    let running = LastReload { result: "running".into(), generation: 5, error: None };
    let (mut above, starter) = line();
    above.go_on_from(&older);
    for news in [
        Memo { upgrades: 1, ..older.clone() },
        Memo { last_reload: Some(running), ..older.clone() },
        Memo { scaled: Some(Scaled { workers: 5, configured: 2 }), ..older.clone() },
    ] {
        above.remember(news.clone()).unwrap();
        assert!(said(&mut above, &starter).iter().any(|text| text.contains("FDSTORE=1")), "{news:?}");
        assert_eq!(above.memo(), Memo { serial: above.memo().serial, ..news });
    }
    assert_eq!([2, 3].map(|configured| above.memo().scaled(configured)), [Some(5), None]);
    let running = LastReload { result: "running".into(), generation: 5, error: None };
    let cut_off = Memo { last_reload: Some(running), ..older }.last_reload().unwrap();
    assert_eq!((cut_off.result.as_str(), cut_off.generation), ("failed", 5));
}

#[test]
fn what_waits_is_bounded_and_what_takes_itself_back_is_not_said() {
    let (mut above, starter) = line();
    fill(&mut above);
    let socket = name(SLOTS[0], "udp0");
    for _ in 0..3 {
        above.forget(socket.clone());
        above.keep(socket.clone(), memfd().as_fd()).unwrap();
        above.stopping();
    }
    let expected = ["FDSTOREREMOVE=1 FDNAME=worker1.udp0", "STOPPING=1"];
    let kept = "FDSTORE=1 FDNAME=worker1.udp0 FDPOLL=0";
    assert_eq!(said(&mut above, &starter), [expected[0], expected[1], kept]);
    fill(&mut above);
    for number in 0..=MAX_WAITING {
        above.keep(format!("k{number}"), memfd().as_fd()).unwrap();
        above.forget(format!("f{number}"));
    }
    assert_eq!((above.waiting.len(), above.told), (MAX_WAITING, true));
    let keeps = said(&mut above, &starter).iter().filter(|text| text.contains("=k")).count();
    assert_eq!(keeps, MAX_KEEPING);
}

#[test]
fn of_reloads_that_wait_the_last_is_told_and_that_it_is_over() {
    let (mut above, starter) = line();
    above.reloading();
    assert!(above.is_idle(), "nobody is told before we were ready");
    fill(&mut above);
    for _ in 0..3 {
        above.reloading();
        above.reloaded("two workers".into());
    }
    let waiting: Vec<bool> = above.waiting.iter().map(|order| matches!(order, Order::Ready(_))).collect();
    assert_eq!(waiting, [false, true], "{:?}", above.waiting);
    let before = clock::now();
    let said = said(&mut above, &starter);
    let since =
        said[0].strip_prefix("RELOADING=1 MONOTONIC_USEC=").and_then(|micros| micros.parse::<u64>().ok());
    assert!(said.len() == 1 && since.is_some_and(|since| since <= before.0 / 1000), "{said:?}");
}
