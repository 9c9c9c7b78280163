//! The control socket: clients that are slow, silent, mad or not welcome harm nobody else.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use harness::{Cluster, Ledger, Load, PATIENCE, as_user, cluster, need_root, process, wait_until};
use nix::sys::signal::Signal;

const PING: &[u8] = b"{\"verb\":\"ping\"}\n";

fn connect(cluster: &Cluster) -> UnixStream {
    let stream = UnixStream::connect(cluster.control_socket()).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// The next answer; None if the connection has ended.
fn answer(stream: &UnixStream) -> Option<serde_json::Value> {
    let mut line = String::new();
    match BufReader::new(stream).read_line(&mut line) {
        Ok(0) => None,
        Ok(_) => Some(serde_json::from_str(&line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}"))),
        Err(e) if e.kind() == ErrorKind::ConnectionReset => None,
        Err(e) => panic!("no answer: {e}"),
    }
}

#[track_caller]
fn is_well(cluster: &Cluster) {
    for _ in 0..3 {
        assert_eq!(cluster.list().cluster.state, "online");
    }
}

#[test]
fn a_silent_client_holds_up_nobody() {
    let cluster = cluster!().start();
    let _silent = connect(&cluster);
    let mut half = connect(&cluster);
    half.write_all(b"{\"verb\":").expect("half a frame");
    is_well(&cluster);
    cluster.command(["reload"]).expect_code(0);
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
}

#[test]
fn two_hundred_silent_clients_hold_up_nobody() {
    let cluster = cluster!().start();
    let silent: Vec<_> = (0..200).map(|_| connect(&cluster)).collect();
    is_well(&cluster);
    let last = silent.last().expect("a client");
    (&*last).write_all(PING).expect("the last of them is still connected");
    assert!(answer(last).is_some());
    // The first were silent longest: they had to go.
    assert_eq!((&silent[0]).read(&mut [0; 1]).unwrap_or(0), 0);
    cluster.expect_log("silent longest is dropped");
}

#[test]
fn halves_of_frames_are_joined_and_frames_in_one_piece_are_parted() {
    let cluster = cluster!().start();
    let mut client = connect(&cluster);
    for part in [&b"{\"ve"[..], b"rb\":\"pi", b"ng\"", b"}", b"\n"] {
        client.write_all(part).expect("a part");
        is_well(&cluster);
    }
    let pong = answer(&client).expect("an answer");
    assert_eq!(pong["pid"].as_i64(), Some(i64::from(cluster.pid())), "{pong}");
    let mut client = BufReader::new(connect(&cluster));
    client.get_mut().write_all(&PING.repeat(3)).expect("three frames at once");
    for _ in 0..3 {
        let mut line = String::new();
        client.read_line(&mut line).expect("an answer each");
        assert!(line.contains("\"pid\""), "{line}");
    }
}

#[test]
fn a_frame_that_is_too_long_is_refused_and_the_longest_allowed_is_not() {
    let cluster = cluster!().start();
    for (length, allowed) in [(4096, true), (4097, false), (100_000, false)] {
        let client = connect(&cluster);
        let mut frame = br#"{"verb":"ping"}"#.to_vec();
        frame.resize(length - 1, b' ');
        frame.push(b'\n');
        let _ = (&client).write_all(&frame); // may end early: the supervisor hangs up
        let answer = answer(&client);
        assert_eq!(
            answer.as_ref().is_some_and(|answer| answer["pid"].is_i64()),
            allowed,
            "{length}: {answer:?}"
        );
        if length == 4097 {
            let said = answer.expect("an answer")["error"]["message"].to_string();
            assert!(said.contains("4096 bytes"), "{said}");
        }
    }
    is_well(&cluster);
}

#[test]
fn an_unknown_verb_is_answered_and_the_connection_goes_on() {
    let cluster = cluster!().start();
    let mut client = connect(&cluster);
    client.write_all(b"{\"verb\":\"dance\",\"with\":\"me\"}\n").expect("sent");
    let refused = answer(&client).expect("an answer");
    assert_eq!(refused["error"]["exit"], 1);
    let said = refused["error"]["message"].as_str().expect("a message");
    assert!(said.contains("dance") && said.contains("unsupported by version"), "{said}");
    let hint = refused["error"]["hint"].as_str().expect("a hint");
    assert!(hint.contains("`atlas-cluster upgrade`"), "{hint}");
    client.write_all(PING).expect("sent");
    assert!(answer(&client).expect("an answer")["pid"].is_i64());
}

#[test]
fn what_only_link_can_answer_is_told_where_to_ask_it() {
    let cluster = cluster!().start();
    let mut client = connect(&cluster);
    for verb in ["get", "set", "bump", "capture"] {
        let request = serde_json::json!({"verb": verb, "processor": "bar", "param": "ZoneGain_0", "val": -3});
        client.write_all(format!("{request}\n").as_bytes()).expect("sent");
        let refused = answer(&client).expect("an answer");
        assert_eq!(refused["error"]["message"], format!("`{verb}` is not answered on the control socket"));
        assert_eq!(refused["error"]["exit"], 2);
        let socket = cluster.runtime_dir().join("link.sock").display().to_string();
        let hint = refused["error"]["hint"].as_str().expect("a hint");
        assert!(hint.contains(&socket), "{hint}");
    }
}

#[test]
fn amounts_that_are_none_are_answered_and_the_connection_goes_on() {
    let cluster = cluster!().start();
    let mut client = connect(&cluster);
    for amount in ["", "0", "65", "+", "1 ", "\u{1b}[2J", "9e9"] {
        let request = serde_json::json!({"verb": "scale", "amount": amount});
        client.write_all(format!("{request}\n").as_bytes()).expect("written");
        let error = &answer(&client).expect("an answer")["error"];
        assert_eq!(error["exit"], 2, "{error}");
        let message = error["message"].as_str().expect("a message");
        assert!(message.starts_with('`') && !message.contains('\u{1b}'), "{message}");
    }
    client.write_all(b"{\"verb\":\"scale\"}\n").expect("written");
    assert_eq!(answer(&client).expect("an answer")["error"]["exit"], 2);
    client.write_all(b"{\"verb\":\"scale\",\"amount\":\"+1\"}\n").expect("written");
    assert_eq!(answer(&client).expect("an answer")["workers"], 3);
    is_well(&cluster);
}

#[test]
fn what_is_no_request_is_answered_with_an_error() {
    let cluster = cluster!().start();
    for garbage in [&b"hello\n"[..], b"\n", b"[]\n", b"{}\n", b"{\"verb\":7}\n", b"\xff\xfe\n", b"\0\0\n"] {
        let mut client = connect(&cluster);
        client.write_all(garbage).expect("sent");
        let refused = answer(&client).expect("an answer");
        assert!(refused["error"]["message"].is_string(), "{garbage:?}: {refused}");
    }
    is_well(&cluster);
}

/// Floods from a few threads until `meanwhile` has returned.
fn under_a_flood(
    cluster: &Cluster,
    flood: impl Fn(&mut UnixStream) -> std::io::Result<()> + Sync,
    meanwhile: impl FnOnce(),
) {
    let (over, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let Ok(mut stream) = UnixStream::connect(cluster.control_socket()) else { continue };
                    let _ = stream.set_write_timeout(Some(std::time::Duration::from_millis(100)));
                    while flood(&mut stream).is_ok() && !over.load(Ordering::Relaxed) {
                        rounds.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until("the flood has begun", || rounds.load(Ordering::Relaxed) > 10);
            meanwhile();
        }));
        over.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn floods_of_garbage_and_of_requests_hold_up_nobody() {
    let ledger = Ledger::new(1_000_000);
    let cluster = cluster!().ledger(&ledger).start();
    let load = Load::start(&cluster.targets(), 32, 2_000, &ledger);
    let garbage = [b'x'; 512];
    under_a_flood(
        &cluster,
        |stream| stream.write_all(&garbage),
        || {
            is_well(&cluster);
            cluster.kill_worker(0).expect_replaced_after("SIGKILL");
            cluster.command(["reload"]).expect_code(0);
        },
    );
    under_a_flood(
        &cluster,
        |stream| stream.write_all(PING),
        || {
            is_well(&cluster);
            cluster.kill_worker(1).expect_replaced_after("SIGKILL");
            cluster.command(["reload"]).expect_code(0);
        },
    );
    load.stop();
    ledger.settle(&cluster);
    is_well(&cluster);
}

#[test]
fn a_client_that_never_reads_its_answers_holds_up_nobody() {
    let cluster = cluster!().workers(4).start();
    let greedy: Vec<_> = (0..8).map(|_| connect(&cluster)).collect();
    for mut client in &greedy {
        client.set_write_timeout(Some(std::time::Duration::from_millis(50))).expect("a timeout");
        // Until neither side has room: the supervisor stops reading from it.
        for _ in 0..2000 {
            if client.write_all(b"{\"verb\":\"view\"}\n").is_err() {
                break;
            }
        }
    }
    is_well(&cluster);
    cluster.kill_worker(2).expect_replaced_after("SIGKILL");
    cluster.command(["reload"]).expect_code(0);
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
}

#[test]
fn a_client_that_goes_away_does_not_take_its_order_with_it() {
    let cluster = cluster!().start();
    for generation in 2..=4 {
        let mut client = connect(&cluster);
        client.write_all(b"{\"verb\":\"reload\"}\n").expect("sent");
        drop(client);
        cluster.expect("the reload is done", |list| {
            list.cluster.generation == generation && list.cluster.state == "online"
        });
    }
}

#[test]
fn a_supervisor_that_stands_still_is_told_within_seconds() {
    let cluster = cluster!().start();
    cluster.signal(Signal::SIGSTOP);
    cluster.command(["reload"]).expect_code(1).expect_said(&["did not answer", "hint: "]);
    cluster.signal(Signal::SIGCONT);
    is_well(&cluster);
    assert_eq!(cluster.list().cluster.generation, 1, "what was not ordered is not done later");
}

#[test]
fn another_user_is_not_let_in() {
    need_root();
    let cluster = cluster!().start();
    let socket = cluster.control_socket();
    let refused = as_user(65534, || UnixStream::connect(&socket)).expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    let mode = std::fs::metadata(&socket).expect("the socket").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    let folder = std::fs::metadata(cluster.runtime_dir()).expect("the folder").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&folder) & 0o777, 0o711);
    is_well(&cluster);
}

#[test]
fn views_that_nobody_takes_are_few_and_who_takes_his_is_answered() {
    let cluster = cluster!().workers(5).start();
    let clients: Vec<_> = (0..6).map(|_| connect(&cluster)).collect();
    is_well(&cluster);
    let segments = || process::descriptors(cluster.pid()).iter().filter(|fd| fd.contains("memfd:")).count();
    let own = process::at_rest(segments);
    // More than the connection holds: from some answer on, none is taken.
    let asked = b"{\"verb\":\"view\"}\n".repeat(400);
    for client in &clients {
        (&*client).write_all(&asked).expect("asked");
    }
    let each = 6; // the table and five segments
    wait_until("three views wait to be taken", || segments() == own + 3 * each);
    is_well(&cluster);
    for client in &clients[3..] {
        let (mut client, mut line) = (BufReader::new(client), String::new());
        while !line.contains("\"busy: ") {
            line.clear();
            assert!(client.read_line(&mut line).expect("an answer") > 0, "never told that it is busy");
        }
    }
    wait_until("no more than those three wait", || segments() <= own + 3 * each);
}
