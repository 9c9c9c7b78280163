//! The link: one connection to each processor, whatever happens to the processes; names, mutes, states; commands.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use harness::{Cluster, Place, Processor, cluster, free_port, process, run, wait_until};
use nix::sys::signal::Signal;

/// A cluster and its processor, every meter fresh, every name known.
fn start(address: &str) -> (Cluster, Processor) {
    start_with(address, "")
}

fn start_with(address: &str, config: &str) -> (Cluster, Processor) {
    let port = free_port();
    let processor = Processor::start(address, port);
    let config = config.to_owned() + &processor.config("bar");
    let cluster = cluster!().listen(format!("127.0.0.1:{port}")).config(config).start();
    expect_alive(&cluster, address);
    (cluster, processor)
}

#[track_caller]
fn expect_alive(cluster: &Cluster, address: &str) {
    wait_until("every meter is fresh, named and not muted", || {
        let meters = cluster.meters();
        let bar = meters.processor(address).expect("it is configured");
        let well = |m: &harness::Meter| m.fresh && m.name.is_some() && m.muted == Some(false);
        bar.connection == "connected" && bar.meters.len() == 3 && bar.meters.iter().all(well)
    });
}

#[track_caller]
fn expect_connection(cluster: &Cluster, address: &str, state: &str) {
    wait_until(format_args!("the connection is {state}"), || {
        cluster.meters().processor(address).is_some_and(|bar| bar.connection == state)
    });
}

#[test]
fn levels_names_and_mutes_are_shown_and_follow_the_processor() {
    let (cluster, processor) = start("127.0.1.1");
    let meters = cluster.meters();
    let patio = meters.meter("127.0.1.1", "ZoneMeter_0").unwrap();
    assert_eq!((patio.name.as_deref(), patio.level_db), (Some("Patio"), -23.5));
    wait_until("the gain is known", || {
        cluster.meters().meter("127.0.1.1", "ZoneMeter_0").unwrap().gain_db == Some(-20.0)
    });
    assert_eq!(meters.meter("127.0.1.1", "MixMeter_14").unwrap().name.as_deref(), Some("Band"));
    assert_eq!(processor.connections(), (1, 1, 1));
    for param in ["ZoneMeter_0", "ZoneMeter_1", "MixMeter_14", "ZoneName_0", "ZoneMute_1", "ZoneGain_0"] {
        wait_until(format_args!("{param} is subscribed"), || processor.subscriptions(param) == 1);
    }
    drop(processor);
    expect_connection(&cluster, "127.0.1.1", "disconnected");
    let meters = cluster.meters();
    let patio = meters.meter("127.0.1.1", "ZoneMeter_0").unwrap();
    assert_eq!((patio.muted, patio.gain_db), (None, None), "who is away may be muted meanwhile");
}

#[test]
fn a_processor_never_sees_two_of_us() {
    let (cluster, processor) = start("127.0.1.2");
    for round in 1..=10 {
        cluster.kill_role("link");
        expect_alive(&cluster, "127.0.1.2");
        if round % 3 == 0 {
            cluster.command(["reload"]).expect_code(0);
            expect_alive(&cluster, "127.0.1.2");
        }
    }
    cluster.command(["upgrade"]).expect_code(0);
    expect_alive(&cluster, "127.0.1.2");
    let (open, most, ever) = processor.connections();
    assert_eq!((open, most), (1, 1), "of {ever} connections");
    assert!(ever > 10, "{ever}");
    for param in ["ZoneMeter_0", "ZoneMeter_1", "MixMeter_14"] {
        assert_eq!(processor.subscriptions(param), 1, "{param}");
    }
}

#[test]
fn nor_over_the_death_of_the_supervisor() {
    let place = Place::new();
    let port = free_port();
    let processor = Processor::start("127.0.1.3", port);
    for _ in 0..5 {
        let builder = cluster!().place(&place).listen(format!("127.0.0.1:{port}"));
        let cluster = builder.config(processor.config("bar")).start();
        expect_alive(&cluster, "127.0.1.3");
        cluster.signal(Signal::SIGKILL);
        wait_until("it is gone", || cluster.try_exit().is_some());
    }
    let (_, most, ever) = processor.connections();
    assert_eq!((most, ever >= 5), (1, true), "of {ever} connections");
}

#[test]
fn commands_go_through_the_one_connection() {
    let (cluster, processor) = start("127.0.1.4");
    let get = |param: &str| cluster.command(["get", "bar", param]).expect_code(0).stdout;
    assert_eq!(get("ZoneName_0"), "Patio\n");
    assert_eq!(get("ZoneGain_0"), "-20\n");
    cluster.command(["set", "bar", "ZoneGain_0", "-10.5"]).expect_code(0);
    assert_eq!(get("ZoneGain_0"), "-10.5\n");
    cluster.command(["bump", "127.0.1.4", "ZoneGain_0", "-3"]).expect_code(0);
    assert_eq!(get("ZoneGain_0"), "-13.5\n");
    let refused = cluster.command(["get", "bar", "ZoneGain_9"]).expect_code(1);
    let _ = refused.expect_said(&["bar refused ZoneGain_9", "could not be found", "hint: "]);
    for (command, said) in [
        (&["set", "bar", "ZoneGain_0", "3"][..], "allowed: -80 to 0 dB"),
        (&["set", "bar", "ZoneMeter_0", "-3"], "read-only"),
        (&["set", "bar", "ZoneGain_0"], "a value is missing"),
        (&["get", "attic", "ZoneGain_0"], "configured: bar"),
    ] {
        let _ = cluster.command(command.iter().copied()).expect_code(2).expect_said(&[said, "hint: "]);
    }
    assert_eq!(get("ZoneGain_0"), "-13.5\n", "and nothing was sent");
    assert_eq!(processor.connections(), (1, 1, 1));
}

#[test]
fn who_asks_while_the_link_is_replaced_is_answered_by_the_next_one() {
    let (cluster, _processor) = start("127.0.1.5");
    for _ in 0..5 {
        let pid = cluster.role("link");
        process::signal(pid, Signal::SIGKILL);
        let output = cluster.command(["get", "bar", "ZoneName_0"]).expect_code(0);
        assert_eq!(output.stdout, "Patio\n");
        wait_until("another link runs", || cluster.role("link") != pid);
        expect_alive(&cluster, "127.0.1.5");
    }
}

/// Asks over one connection, one thing after another, as long as that is kept; then over the next one.
fn bump_until(over: &AtomicBool, socket: &Path) -> u32 {
    let mut done = 0;
    while !over.load(Ordering::Relaxed) {
        let stream = UnixStream::connect(socket).expect("the socket is kept");
        let mut answers = BufReader::new(&stream).lines();
        while !over.load(Ordering::Relaxed) {
            let bump = "{\"verb\":\"bump\",\"processor\":\"bar\",\"param\":\"ZoneGain_1\",\"val\":-0.5}\n";
            match (&stream).write_all(bump.as_bytes()).map(|()| answers.next()) {
                Ok(Some(Ok(answer))) => {
                    assert_eq!(answer, "{\"param\":\"ZoneGain_1\"}");
                    done += 1;
                }
                // The kernel says that nobody read it.
                Ok(Some(Err(e))) | Err(e)
                    if [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&e.kind()) =>
                {
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    done
}

/// Set when it is dropped: whoever waits for it does not wait for ever.
struct Flag<'a>(&'a AtomicBool);

impl Drop for Flag<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_the_link_has_taken_is_answered_though_it_is_replaced() {
    let (cluster, processor) = start("127.0.1.9");
    processor.answer_after(Duration::from_millis(100));
    let (over, answered, socket) =
        (AtomicBool::new(false), AtomicUsize::new(0), cluster.runtime_dir().join("link.sock"));
    let get = || {
        let mut command = Command::new(cluster.binary());
        command.args(["get", "bar", "ZoneName_0", "--runtime-dir"]).arg(cluster.runtime_dir());
        command
    };
    let bumps = thread::scope(|scope| {
        let _flag = Flag(&over);
        let asker = || {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(run(get()).expect_code(0).stdout, "Patio\n");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        };
        let (one, other, bumper) =
            (scope.spawn(asker), scope.spawn(asker), scope.spawn(|| bump_until(&over, &socket)));
        for _ in 0..5 {
            cluster.command(["reload"]).expect_code(0);
        }
        over.store(true, Ordering::Relaxed);
        (one.join().expect("answered"), other.join().expect("answered"), bumper.join().expect("answered")).2
    });
    assert!(answered.into_inner() > 5 && bumps > 5, "commands were under way");
    processor.answer_after(Duration::ZERO);
    let gain = cluster.command(["get", "bar", "ZoneGain_1"]).expect_code(0).stdout;
    assert_eq!(gain.trim().parse(), Ok(-20.0 - 0.5 * f64::from(bumps)), "each was done once");
}

/// More commands than link can send in its last second; whether some were left to its successor.
fn leave_with_commands_unsent() -> bool {
    const BUMPS: u32 = 24;
    let (cluster, processor) = start("127.0.1.13");
    processor.answer_after(Duration::from_millis(100));
    let bump = || {
        let mut command = Command::new(cluster.binary());
        command.args(["bump", "bar", "ZoneGain_1", "-0.5", "--runtime-dir"]).arg(cluster.runtime_dir());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
    };
    let mut bumps: Vec<_> = (0..BUMPS).map(|_| bump()).collect();
    wait_until("the processor is asked", || processor.heard("\"bmp\"") > 0);
    cluster.command(["reload"]).expect_code(0);
    let unanswered =
        bumps.iter_mut().map(|bump| bump.try_wait().expect("a child")).filter(Option::is_none).count();
    for bump in bumps {
        let output = bump.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    processor.answer_after(Duration::ZERO);
    let gain = cluster.command(["get", "bar", "ZoneGain_1"]).expect_code(0).stdout;
    assert_eq!(gain.trim().parse(), Ok(-20.0 - 0.5 * f64::from(BUMPS)), "each was done once");
    unanswered > 0
}

#[test]
fn what_a_link_could_not_send_before_it_left_is_asked_of_the_next_one() {
    assert!((0..5).any(|_| leave_with_commands_unsent()), "there was more than it could send");
}

/// A link that has an asker and no answer is told to leave; false where the answer was given up before that.
fn leave_without_an_answer() -> bool {
    let (cluster, processor) = start_with("127.0.1.10", "[worker]\nkill_timeout = \"60s\"\n");
    processor.lock_up(true);
    let mut get = Command::new(cluster.binary());
    get.args(["get", "bar", "ZoneGain_0", "--runtime-dir"]).arg(cluster.runtime_dir());
    let asker = get.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    wait_until("the processor is asked", || {
        processor.heard("\"get\",\"params\":{\"param\":\"ZoneGain_0\"") > 0
    });
    cluster.command(["reload"]).expect_code(0);
    let output = asker.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("hint: it may have been done nevertheless"), "{said}");
    said.contains("link ended before it answered")
}

#[test]
fn a_link_whose_processor_never_answers_leaves_all_the_same() {
    assert!((0..5).any(|_| leave_without_an_answer()), "within its second, not when the answer is given up");
}

#[test]
fn a_lock_up_is_shown_and_levels_flow_on() {
    let (cluster, processor) = start("127.0.1.6");
    processor.lock_up(true);
    let _ = cluster.command(["get", "bar", "ZoneGain_0"]).expect_code(1).expect_said(&["did not answer"]);
    expect_connection(&cluster, "127.0.1.6", "unresponsive");
    let bar = cluster.meters().processor("127.0.1.6").unwrap().clone();
    assert!(bar.meters.iter().all(|meter| meter.fresh), "{bar:#?}");
    let _ = cluster.command(["get", "bar", "ZoneGain_0"]).expect_code(1).expect_said(&["is unresponsive"]);
    cluster.expect_log("unresponsive: the connection is up");
    assert_eq!(processor.connections(), (1, 1, 1));
}

#[test]
fn logs_may_go_to_the_runtime_directory() {
    let (place, port) = (Place::new(), free_port());
    let processor = Processor::start("127.0.1.8", port);
    let logs = format!("[log]\ndir = \"{}\"\n", place.runtime_dir().display());
    let builder = cluster!().place(&place).listen(format!("127.0.0.1:{port}"));
    let cluster = builder.config(logs + &processor.config("bar")).start();
    expect_alive(&cluster, "127.0.1.8");
    wait_until("the logger runs", || cluster.logger().is_some());
    cluster.kill_role("link");
    expect_alive(&cluster, "127.0.1.8");
}

#[test]
fn without_processors_there_is_no_link_and_a_command_says_so() {
    let cluster = cluster!().start();
    assert!(cluster.list().roles.is_empty());
    let _ = cluster
        .command(["get", "bar", "ZoneGain_0"])
        .expect_code(2)
        .expect_said(&["no processor is configured"]);
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_for_end(), 0);
    cluster.command(["get", "bar", "ZoneGain_0"]).expect_code(4);
}

#[test]
fn nothing_stays_behind() {
    let (cluster, processor) = start("127.0.1.7");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(cluster.runtime_dir().join("link.sock")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_for_end(), 0);
    assert_eq!(cluster.files_left(), Vec::<String>::new());
    wait_until("the connection is closed", || processor.connections().0 == 0);
}
