//! Against a supervisor that says odd things, or goes.

use std::process::{Command as Process, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use super::*;
use crate::args::Command;
use crate::cli::fake::{self, Fake, Say};
use crate::cli::run;
use crate::cli::tests::{SOON, expect_report, view_with};
use crate::wire::Answer;

#[test]
fn a_short_look_in_vain_does_not_hide_what_was_seen_before() {
    let silent =
        || Error::Silent { dir: "/run/x".into(), pid: Some(7), stopped: false, command: None, within: EVERY };
    let state = || Some(Last::State("launching".into()));
    assert!(matches!(Last::silence(state(), silent(), EVERY), Last::State(_)));
    assert!(matches!(Last::silence(state(), silent(), SILENT), Last::Error(Error::Silent { .. })));
    assert!(matches!(Last::silence(None, silent(), EVERY), Last::Error(Error::Silent { .. })));
}

/// Ends with the test.
struct Sleeper(std::process::Child);

impl Sleeper {
    fn new() -> Sleeper {
        Sleeper(Process::new("sleep").arg("600").stdout(Stdio::null()).spawn().unwrap())
    }

    fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn stop_needs_no_view_and_waits_for_the_supervisor_then() {
    let mut supervisor = Sleeper::new();
    let pid = supervisor.0.id();
    let (told, tell) = channel();
    let (asked, looks) = channel();
    let stopping = AtomicBool::new(false);
    let fake = Fake::new(move |request| match request.verb.as_str() {
        "ping" => Say::answer(Answer { pid: Some(pid), ..Answer::default() }),
        "stop" => {
            stopping.store(true, Ordering::Relaxed);
            told.send(()).unwrap();
            Say::Close
        }
        _ => {
            if stopping.load(Ordering::Relaxed) {
                let _ = asked.send(());
            }
            Say::trouble("busy: others have yet to take theirs", Some("try again"), 1)
        }
    });
    let dir = fake.dir().to_owned();
    let stop = thread::spawn(move || run(&Command::Stop { now: false }, &dir));
    tell.recv_timeout(SOON).expect("it is told to stop");
    for _ in 0..3 {
        looks.recv_timeout(SOON).expect("it is looked at until the supervisor is gone");
    }
    supervisor.end();
    assert_eq!(stop.join().unwrap(), 0);
}

#[test]
fn a_view_that_is_refused_is_asked_for_again_as_long_as_there_is_time() {
    let refusals = AtomicUsize::new(0);
    let fake = Fake::new(move |_| match refusals.fetch_add(1, Ordering::Relaxed) {
        0..3 => Say::trouble("busy", Some("try again"), 1),
        _ => Say::view(view_with(|view| view.list.cluster.state = "online".into()), vec![fake::table()]),
    });
    wait(&Client::new(fake.dir()), Goal::Online, SOON).unwrap();
    let fake = Fake::new(|_| Say::trouble("the view cannot be lent", Some("try again"), 2));
    let error = wait(&Client::new(fake.dir()), Goal::Online, Duration::ZERO).unwrap_err();
    expect_report(&error, 1, "is not online after 0s: the view cannot be lent", "try again");
}

#[test]
fn who_is_left_when_the_supervisor_is_gone_is_named() {
    let worker = Sleeper::new();
    let pid = worker.0.id();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control");
    let (told, looked) = channel();
    let fake = Fake::new(move |_| {
        let _ = told.send(());
        let view = view_with(|view| {
            view.list.workers.truncate(2);
            view.list.workers[1].pid = Some(pid);
        });
        Say::view(view, vec![fake::table()])
    });
    // Its socket goes after the first look; what listened there is of no account.
    std::os::unix::fs::symlink(fake.dir().join("control"), &socket).unwrap();
    let client = Client::new(dir.path());
    let waiting = thread::spawn(move || wait(&client, Goal::Stopped, Duration::from_secs(1)));
    looked.recv_timeout(SOON).expect("it looks");
    std::fs::remove_file(&socket).unwrap();
    let error = waiting.join().unwrap().unwrap_err();
    let left = format!("any more, but worker 1 pid {pid} is still there");
    expect_report(&error, 1, &left, &format!("`kill -KILL {pid}`"));
    assert!(!error.to_string().contains("no cluster is running"), "{error}");
}
