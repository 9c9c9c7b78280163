//! A command that is run to its end, and what came of it.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use nix::sys::signal::Signal;

use crate::builder::forget_cluster;
use crate::{PATIENCE, process};

/// What a command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command, for messages.
    pub what: String,
    /// Its exit code; None if a signal killed it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Goes on if the exit code is the one expected.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Output {
        assert_eq!(self.code, Some(code), "exit code of {self:#?}");
        self
    }

    /// Goes on if standard error contains each of `texts`.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn expect_said(self, texts: &[&str]) -> Output {
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is not in standard error of {self:#?}");
        }
        self
    }

    /// Standard output, as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_str(&self.stdout) {
            Ok(json) => json,
            Err(e) => panic!("no JSON ({e}): {self:#?}"),
        }
    }
}

/// Runs a command to its end; what the test's own environment says to a cluster is kept from it.
///
/// # Panics
/// When it can't be started, or does not end in time; it is killed then.
#[track_caller]
pub fn run(mut command: Command) -> Output {
    let what = format!("{command:?}");
    forget_cluster(&mut command);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap_or_else(|e| panic!("cannot run {what}: {e}"));
    let pid = i32::try_from(child.id()).expect("a pid");
    let (tell, hear) = mpsc::channel();
    thread::spawn(move || tell.send(child.wait_with_output()));
    let Ok(ended) = hear.recv_timeout(2 * PATIENCE) else {
        process::signal(pid, Signal::SIGKILL);
        panic!("{what} does not end");
    };
    let ended = ended.unwrap_or_else(|e| panic!("cannot wait for {what}: {e}"));
    Output {
        what,
        code: ended.status.code(),
        stdout: String::from_utf8_lossy(&ended.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
    }
}
