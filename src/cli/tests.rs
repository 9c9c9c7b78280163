//! The command line against a supervisor that says odd things, or nothing.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::client::Client;
use super::error::Error;
use super::fake::{self, Fake, Say};
use super::snapshot::Snapshot;
use super::{run, waiting};
use crate::amount::Scale;
use crate::args::{Command, Goal};
use crate::exit::FAILED;
use crate::wire::{Answer, LastReload, MAX_ANSWER, Trouble, View};

pub(super) const SOON: Duration = Duration::from_secs(5);

fn ask(fake: &Fake, verb: &str) -> Result<(), Error> {
    Client::new(fake.dir()).ask(verb, SOON).map(|_| ())
}

#[track_caller]
pub(super) fn expect_report(error: &Error, exit: u8, message: &str, hint: &str) {
    let report = error.report();
    let (first, rest) = report.split_once('\n').unwrap();
    assert!(first.starts_with("atlas-cluster: ") && first.contains(message), "{report}");
    assert!(
        rest.is_empty() == hint.is_empty() && (hint.is_empty() || rest.starts_with("hint: ")),
        "{report}"
    );
    assert!(rest.contains(hint), "{report}");
    assert_eq!(error.exit(), exit, "{report}");
}

pub(super) fn view_with(change: impl FnOnce(&mut View)) -> View {
    let mut view = fake::view();
    view.segments = fake::segments(0);
    change(&mut view);
    view
}

#[test]
fn without_a_cluster_every_verb_exits_with_4() {
    let empty = tempfile::tempdir().unwrap();
    let list = Command::List { json: false, watch: true };
    let verbs =
        [list, Command::Meters { json: true, watch: true }, Command::Ping, Command::Stop { now: false }];
    let scale = Command::Scale { amount: Scale::Up(1) };
    let orders = [Command::Reload { json: true }, Command::Restart { ids: vec![] }, scale];
    for verb in verbs.iter().chain(&orders) {
        assert_eq!(run(verb, empty.path()), 4, "{verb:?}");
    }
    let why = |dir: &Path| Client::new(dir).ask("ping", SOON).err().unwrap();
    expect_report(&why(empty.path()), 4, "it holds no control socket", "--runtime-dir");
    expect_report(&why(&empty.path().join("no")), 4, "there is no such directory", "--runtime-dir");
    std::fs::write(empty.path().join("file"), "").unwrap();
    expect_report(&why(&empty.path().join("file")), 4, "it is not a directory", "--runtime-dir");
    drop(std::os::unix::net::UnixListener::bind(empty.path().join("control")).unwrap());
    expect_report(&why(empty.path()), 4, "nothing listens on its control socket any more", "--runtime-dir");
    expect_report(&why(Path::new(&"x".repeat(200))), 1, "cannot ask the cluster in xxx", "");
}

#[test]
fn a_silent_supervisor_is_not_waited_for_long() {
    let fake = Fake::new(|_| Say::Nothing);
    let start = Instant::now();
    let error = Client::new(fake.dir()).ask("view", Duration::from_millis(50)).err().unwrap();
    assert!(start.elapsed() < SOON);
    let pid = std::process::id();
    expect_report(&error, 1, &format!("(pid {pid}) did not answer within 50ms"), "SIGSTOP");
    let error = error.of("list");
    expect_report(&error, 1, &format!("(pid {pid}) did not answer `list` within 50ms"), "SIGSTOP");
    assert_eq!(error.to_string(), error.of("view").to_string(), "once it is known it stays so");
    let error = waiting::wait(&Client::new(fake.dir()), Goal::Online, Duration::ZERO).unwrap_err();
    let told = format!("is not online after 0s: its supervisor (pid {pid}) has not answered for ");
    expect_report(&error, 1, &told, "SIGSTOP");
}

#[test]
fn a_connection_that_ends_early_is_told_as_such() {
    let closed = ask(&Fake::new(|_| Say::Close), "ping").unwrap_err();
    expect_report(&closed, 1, "closed the connection after 0 bytes", "atlas-cluster ping");
    let half = br#"{"version":"0.1.0","pid":4"#;
    let error = ask(&Fake::new(|_| Say::Bytes(half.to_vec())), "ping").unwrap_err();
    expect_report(
        &error,
        1,
        &format!("closed the connection after {} bytes", half.len()),
        "atlas-cluster ping",
    );
}

#[test]
fn one_that_ends_while_it_is_asked_is_not_running() {
    let dir = tempfile::tempdir().unwrap();
    let listener = std::os::unix::net::UnixListener::bind(dir.path().join("control")).unwrap();
    // It closes the connection first, then its socket.
    let ending = std::thread::spawn(move || drop(listener.accept().map(|(stream, _)| (stream, listener))));
    let error = Client::new(dir.path()).ask("view", SOON).err().unwrap();
    ending.join().unwrap();
    expect_report(&error, 4, "no cluster is running in", "--runtime-dir");
}

#[test]
fn an_answer_that_is_none_is_refused_with_its_reason() {
    let says = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        ask(&Fake::new(move |_| Say::Bytes(bytes.clone())), "view").unwrap_err()
    };
    expect_report(&says(b"hello\n"), 1, "cannot be used: expected value", "");
    expect_report(&says(b"\xff\0\n"), 1, "cannot be used", "");
    expect_report(&says(b"{}\n"), 1, "missing field `version`", "");
    let newer = br#"{"version":"9.9.9","view":{"list":{}}}"#;
    expect_report(&says(&[&newer[..], b"\n"].concat()), 1, "missing field", "version 9.9.9");
    expect_report(&says(&vec![b'x'; MAX_ANSWER + 10]), 1, "longer than any answer", "");
    assert_eq!(
        run(&Command::Ping, Fake::new(|_| Say::answer(Answer::default())).dir()),
        FAILED,
        "a ping without a pid"
    );
}

#[test]
fn what_the_supervisor_refuses_it_says_itself() {
    let fake = Fake::new(|request| match request.verb.as_str() {
        "ping" => Say::answer(Answer { pid: Some(1), ..Answer::default() }),
        "restart" => Say::trouble("there is no worker 9", Some("workers are 0 … 3"), 2),
        verb => Say::trouble(&format!("unsupported by version 0.0.1: {verb}"), None, 1),
    });
    assert_eq!(run(&Command::Restart { ids: vec!["9".into()] }, fake.dir()), 2);
    assert_eq!(run(&Command::List { json: true, watch: false }, fake.dir()), 1);
    expect_report(&ask(&fake, "restart").unwrap_err(), 2, "there is no worker 9", "workers are 0 … 3");
    let never_success = Error::Refused(Trouble { message: "no\u{1b}[2J".into(), hint: None, exit: 0 });
    expect_report(&never_success, 1, "no\u{fffd}[2J", "");
}

#[test]
fn a_reload_exits_as_it_went() {
    let went = |result: &str, trouble: Option<u8>| {
        let reload = LastReload { result: result.into(), generation: 2, error: Some("why".into()) };
        let error = trouble.map(|exit| Trouble { message: "reload failed: why".into(), hint: None, exit });
        let fake = Fake::new(move |request| {
            let (reload, error) = (Some(reload.clone()), error.clone());
            let ping = request.verb == "ping";
            Say::answer(if ping { Answer::default() } else { Answer { reload, error, ..Answer::default() } })
        });
        run(&Command::Reload { json: false }, fake.dir())
    };
    assert_eq!((went("failed", None), went("refused", None)), (1, 2));
    assert_eq!((went("failed", Some(1)), went("refused", Some(2))), (1, 2));
    let fake = Fake::new(|_| Say::answer(Answer::default()));
    assert_eq!(run(&Command::Reload { json: false }, fake.dir()), 1, "no result at all");
}

#[test]
fn a_scaling_tells_how_many_there_are() {
    let scale = |workers: Option<u8>| {
        let fake = Fake::new(move |request| match request.verb.as_str() {
            "ping" => Say::answer(Answer::default()),
            _ if request.amount == "-2" => Say::answer(Answer { workers, ..Answer::default() }),
            _ => Say::trouble(&format!("`{}`", request.amount), None, 2),
        });
        run(&Command::Scale { amount: Scale::Down(2) }, fake.dir())
    };
    assert_eq!((scale(Some(1)), scale(None)), (0, 1), "the amount arrives as it was written");
}

#[test]
fn counters_are_read_from_the_rings_and_summed_over_retired_slots_too() {
    let fake = Fake::new(|_| {
        let view = view_with(|view| view.segments = fake::segments(5));
        let rings = [(100, 1), (200, 0), (0, 0), (7, 0), (1000, 2)].map(|(all, bad)| fake::ring(all, bad));
        Say::view(view, std::iter::once(fake::table()).chain(rings).collect())
    });
    let list = Snapshot::take(&Client::new(fake.dir()), SOON).unwrap().list();
    let datagrams: Vec<_> = list.workers.iter().map(|worker| worker.counts.datagrams).collect();
    assert_eq!(datagrams, [Some(100), Some(200), Some(0), Some(7)]);
    let totals = &list.cluster.totals;
    assert_eq!((totals.datagrams, totals.malformed, totals.dropped), (Some(1307), Some(3), Some(1234)));
    assert_eq!(
        (list.workers[2].counts.dropped, list.workers[0].malformed_by_reason.as_ref().unwrap()["json"]),
        (Some(1234), 1)
    );
    assert_eq!(list.workers[0].memory_bytes, None, "there is no such process");
}

#[test]
fn what_cannot_be_read_is_null_and_so_is_its_sum() {
    let fake = Fake::new(|_| {
        let view = view_with(|view| view.segments = fake::segments(4));
        let foreign = sys::map::segment("ring", b"something else", fake::RING_BYTES, false).unwrap();
        let short = sys::map::segment("ring", b"", 8, false).unwrap();
        Say::view(view, vec![fake::table(), fake::ring(5, 0), foreign, short, fake::ring(6, 0)])
    });
    let list = Snapshot::take(&Client::new(fake.dir()), SOON).unwrap().list();
    let datagrams: Vec<_> = list.workers.iter().map(|worker| worker.counts.datagrams).collect();
    assert_eq!(datagrams, [Some(5), None, None, Some(6)]);
    let reasons: Vec<_> = list.workers.iter().map(|worker| worker.malformed_by_reason.is_some()).collect();
    assert_eq!(reasons, [true, false, false, true]);
    assert_eq!((list.cluster.totals.datagrams, list.cluster.totals.dropped), (None, Some(1234)));
}

#[test]
fn a_view_without_what_it_promises_is_refused() {
    let meters = |view: fn(&mut View), fds: fn() -> Vec<std::os::fd::OwnedFd>| {
        let fake = Fake::new(move |_| Say::view(view_with(view), fds()));
        let client = Client::new(fake.dir());
        Snapshot::take(&client, SOON).and_then(|snapshot| snapshot.table(&client)).err().unwrap()
    };
    expect_report(&meters(|_| {}, Vec::new), 1, "names 1 descriptors and brought 0", "");
    expect_report(&meters(|view| view.segments.clear(), Vec::new), 1, "none was lent", "");
    let ring_for_table = || vec![fake::ring(1, 0)];
    expect_report(&meters(|_| {}, ring_for_table), 1, "a segment of 8192 bytes where", "");
    let blank = || vec![sys::map::segment("table", b"", table::BYTES, false).unwrap()];
    expect_report(&meters(|_| {}, blank), 1, "which is not its magic number", "");
    let no_memfd = || vec![std::fs::File::open("/proc/self/stat").unwrap().into()];
    expect_report(&meters(|_| {}, no_memfd), 1, "the meter table cannot be read", "");
}

#[test]
fn wait_waits_for_the_state_and_not_longer_than_it_may() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let fake = Fake::new(move |_| {
        let online = count.fetch_add(1, Ordering::Relaxed) >= 3;
        let state = if online { "online" } else { "launching" };
        Say::view(view_with(|view| view.list.cluster.state = state.into()), vec![fake::table()])
    });
    let wait = |for_, millis| Command::Wait { for_, timeout: Duration::from_millis(millis) };
    assert_eq!(run(&wait(Goal::Online, 10_000), fake.dir()), 0);
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    assert_eq!(run(&wait(Goal::Stopped, 120), fake.dir()), 1);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(run(&wait(Goal::Online, 120), empty.path()), 1, "none appeared");
    let error = waiting::wait(&Client::new(empty.path()), Goal::Online, Duration::ZERO).unwrap_err();
    expect_report(&error, 1, "no cluster is running in", "start one with `atlas-cluster`");
    let error = waiting::wait(&Client::new(fake.dir()), Goal::Stopped, Duration::ZERO).unwrap_err();
    expect_report(&error, 1, "it is online", "`atlas-cluster list`");
    assert_eq!(run(&wait(Goal::Stopped, 120), empty.path()), 0);
}

#[test]
fn stop_returns_when_every_process_is_gone() {
    let mut worker = Process::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
    let pid = worker.id();
    let (told, tell) = std::sync::mpsc::channel();
    let fake = Fake::new(move |request| match request.verb.as_str() {
        "ping" => Say::answer(Answer { pid: Some(1), ..Answer::default() }),
        "stop" => {
            told.send(request.now).unwrap();
            Say::Close
        }
        _ => {
            let view = view_with(|view| {
                view.list.cluster.state = "stopping".into();
                view.list.workers[0].pid = Some(pid);
            });
            Say::view(view, vec![fake::table()])
        }
    });
    let dir = fake.dir().to_owned();
    let stop = std::thread::spawn(move || run(&Command::Stop { now: true }, &dir));
    assert!(tell.recv_timeout(SOON).unwrap(), "`--now` reaches the supervisor");
    std::thread::sleep(Duration::from_millis(120));
    assert!(!stop.is_finished(), "the worker still lives");
    worker.kill().unwrap();
    assert_eq!(stop.join().unwrap(), 0, "a zombie is gone enough");
    worker.wait().unwrap();
}

#[test]
fn a_cluster_that_goes_on_after_a_stop_is_no_success() {
    let me = std::process::id();
    let fake = Fake::new(move |request| match request.verb.as_str() {
        "view" => Say::view(view_with(|view| view.list.cluster.pid = me), vec![fake::table()]),
        _ => Say::answer(Answer::default()),
    });
    assert_eq!(run(&Command::Stop { now: false }, fake.dir()), FAILED);
}

#[test]
fn levels_are_read_from_the_table_that_was_lent() {
    let segment = fake::table();
    let mapping = sys::map::Mapping::new(segment.as_fd(), table::BYTES).unwrap();
    let lent = segment.try_clone().unwrap();
    let fake = Fake::new(move |_| Say::view(view_with(|_| {}), vec![lent.try_clone().unwrap()]));
    let client = Client::new(fake.dir());
    let table = Snapshot::take(&client, SOON).unwrap().table(&client).unwrap();
    let writer = table::Writer::new(mapping.words()).unwrap();
    let place = writer.place("10.0.0.7".parse().unwrap()).unwrap();
    writer.store(place, 2, 3, 1_000_000, -2350);
    assert_eq!(table.level(place, 2, 3), Some((1_000_000, -2350)), "stored after it was lent");
}
