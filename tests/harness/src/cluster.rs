//! A real cluster: asked, signalled, killed, and gone when it is dropped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::sys::signal::Signal;

use crate::builder::forget_cluster;
use crate::log::Log;
use crate::process::{self, Process};
use crate::shape::{List, Worker};
use crate::{Killed, Meters, Output, PATIENCE, Place, run, try_for, wait_for, wait_until};

/// A cluster under test.
#[derive(Debug)]
pub struct Cluster {
    /// None if somebody else started it.
    pub(crate) child: Option<Mutex<Child>>,
    pub(crate) pid: i32,
    pub(crate) binary: PathBuf,
    pub(crate) place: Place,
    pub(crate) log: Log,
}

impl Cluster {
    pub(crate) fn adopt(mut child: Child, binary: PathBuf, place: Place) -> Cluster {
        let log = Log::of(child.stderr.take().expect("standard error is a pipe"));
        let pid = i32::try_from(child.id()).expect("a pid");
        Cluster { child: Some(Mutex::new(child)), pid, binary, place, log }
    }

    /// Pid of the supervisor (of its wrapper, if it has one); 0 if somebody else started it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Pid of the supervisor that runs inside of its wrapper, as seen from outside.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    #[must_use]
    pub fn pid_inside(&self) -> i32 {
        let inside = |one: &Process| one.title.contains("atlas-cluster start") && one.pid != self.pid;
        wait_for("the supervisor inside runs", || {
            self.processes()
                .into_iter()
                .find(|one| inside(one) && !one.title.starts_with("unshare"))
                .map(|one| one.pid)
        })
    }

    /// Where it lives.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its runtime directory.
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.place.runtime_dir()
    }

    /// Its control socket.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.runtime_dir().join("control")
    }

    /// Everything it and its workers wrote to standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until the log contains `text`.
    #[track_caller]
    pub fn expect_log(&self, text: &str) -> &Cluster {
        wait_until(format_args!("the log says {text:?}"), || self.log().contains(text));
        self
    }

    /// Nobody ever found the port taken.
    ///
    /// # Panics
    /// When the log says otherwise.
    #[track_caller]
    pub fn expect_no_address_in_use(&self) -> &Cluster {
        let log = self.log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("ddress already in use")).collect();
        assert!(lines.is_empty() && !log.contains("EADDRINUSE"), "somebody found the port taken: {lines:#?}");
        self
    }

    /// Runs a command of the same binary against this cluster.
    #[track_caller]
    pub fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        let mut command = Command::new(&self.binary);
        forget_cluster(&mut command);
        command.args(arguments).arg("--runtime-dir").arg(self.runtime_dir());
        run(command)
    }

    /// `list --json`; None if there is no answer.
    #[track_caller]
    pub fn try_list(&self) -> Option<List> {
        let output = self.command(["list", "--json"]);
        if output.code != Some(0) {
            return None;
        }
        match serde_json::from_str(&output.stdout) {
            Ok(list) => Some(list),
            Err(e) => panic!("list --json is not as promised ({e}): {output:#?}"),
        }
    }

    /// `list --json`.
    ///
    /// # Panics
    /// When it does not answer as promised.
    #[track_caller]
    #[must_use]
    pub fn list(&self) -> List {
        let output = self.command(["list", "--json"]).expect_code(0);
        serde_json::from_str(&output.stdout)
            .unwrap_or_else(|e| panic!("list --json is not as promised ({e}): {output:#?}"))
    }

    /// The row of one worker.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    #[must_use]
    pub fn worker(&self, slot: usize) -> Worker {
        let list = self.list();
        let row = list.workers.iter().find(|worker| worker.id == slot).cloned();
        row.unwrap_or_else(|| panic!("there is no worker {slot}: {list:#?}"))
    }

    /// `meters --json`.
    ///
    /// # Panics
    /// When it does not answer as promised.
    #[track_caller]
    #[must_use]
    pub fn meters(&self) -> Meters {
        let output = self.command(["meters", "--json"]).expect_code(0);
        serde_json::from_str(&output.stdout)
            .unwrap_or_else(|e| panic!("meters --json is not as promised ({e}): {output:#?}"))
    }

    /// The addresses it listens on.
    #[track_caller]
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let listen = self.list().cluster.listen;
        listen.iter().map(|address| address.parse().expect("a listen address")).collect()
    }

    /// Where to send, to reach it from this host: for a wildcard the loopback address; two for `[::]`.
    #[track_caller]
    #[must_use]
    pub fn targets(&self) -> Vec<SocketAddr> {
        let (four, six) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
        let reach = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => vec![SocketAddr::new(four, address.port())],
            IpAddr::V6(ip) if ip.is_unspecified() => {
                vec![SocketAddr::new(four, address.port()), SocketAddr::new(six, address.port())]
            }
            _ => vec![address],
        };
        self.addresses().into_iter().flat_map(reach).collect()
    }

    /// The port of its first address.
    #[track_caller]
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addresses()[0].port()
    }

    /// Signals the supervisor.
    pub fn signal(&self, signal: Signal) -> &Cluster {
        process::signal(self.pid, signal);
        self
    }

    /// Signals the process that holds a slot, and knows what should follow.
    ///
    /// # Panics
    /// When there is no such process.
    #[track_caller]
    pub fn signal_worker(&self, slot: usize, signal: Signal) -> Killed<'_> {
        let target = self.target(slot);
        process::signal(target.pid, signal);
        target
    }

    /// The same with a signal that has a number alone.
    ///
    /// # Panics
    /// When there is no such process.
    #[track_caller]
    pub fn signal_worker_by_number(&self, slot: usize, signal: i32) -> Killed<'_> {
        let target = self.target(slot);
        process::signal_by_number(target.pid, signal);
        target
    }

    #[track_caller]
    fn target(&self, slot: usize) -> Killed<'_> {
        let row = self.worker(slot);
        let pid = row.pid.unwrap_or_else(|| panic!("worker {slot} has no process to signal: {row:#?}"));
        Killed { cluster: self, slot, pid, restarts: row.restarts }
    }

    /// SIGKILL to the process that holds a slot.
    #[track_caller]
    pub fn kill_worker(&self, slot: usize) -> Killed<'_> {
        self.signal_worker(slot, Signal::SIGKILL)
    }

    /// Waits until the cluster says that this is its state.
    ///
    /// # Panics
    /// When it ends instead, or never gets there.
    #[track_caller]
    pub fn expect_state(&self, state: &str) -> List {
        wait_for(format_args!("the cluster is {state}"), || {
            assert!(self.try_exit().is_none(), "it has ended instead of being {state}");
            self.try_list().filter(|list| list.cluster.state == state)
        })
    }

    /// Waits until `list` shows what is asked for.
    #[track_caller]
    pub fn expect(&self, what: &str, holds: impl Fn(&List) -> bool) -> List {
        wait_for(what, || self.try_list().filter(|list| holds(list)))
    }

    /// Every process of it: supervisor, workers, what they started; commands under way too.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        process::with_variable(&self.place.mark())
    }

    /// The supervisor's exit code, if it has ended; -1 for a signal.
    #[must_use]
    pub fn try_exit(&self) -> Option<i32> {
        let mut child = self.child.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let status = child.try_wait().expect("our own child");
        status.map(|status| status.code().unwrap_or(-1))
    }

    /// Waits for the end of the supervisor and of all it started; answers the exit code.
    #[track_caller]
    pub fn wait_for_end(&self) -> i32 {
        let code = wait_for("the supervisor ends", || self.try_exit());
        self.expect_no_process();
        wait_until("the log is complete", || self.log.has_ended());
        code
    }

    /// Waits until none of its processes is left.
    #[track_caller]
    pub fn expect_no_process(&self) {
        let mut left = Vec::new();
        let gone = try_for(PATIENCE, || {
            left = self.processes();
            left.is_empty().then_some(())
        });
        assert!(gone.is_some(), "processes are left: {left:#?}");
    }

    /// What is left in the runtime directory.
    #[must_use]
    pub fn files_left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.runtime_dir()).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Takes the binary's path: for a copy that is about to be replaced.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Answers questions with another binary than the one that runs.
    #[must_use]
    pub fn asked_by(mut self, binary: &Path) -> Cluster {
        self.binary = binary.to_owned();
        self
    }

    fn tell_what_happened(&self) {
        let output =
            Command::new(&self.binary).args(["list", "--runtime-dir"]).arg(self.runtime_dir()).output();
        let list = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        eprintln!("--- processes\n{:#?}", self.processes());
        eprintln!("--- list\n{}\n--- log\n{}---", list.unwrap_or_default(), self.log());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            self.tell_what_happened();
        }
        let Some(child) = &mut self.child else { return };
        let child = child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
        let mark = self.place.mark();
        let gone = || process::with_variable(&mark).is_empty().then_some(());
        if try_for(PATIENCE, gone).is_some() {
            if !thread::panicking() {
                assert!(!self.log().contains("panicked at"), "the log tells of a panic:\n{}", self.log());
            }
            return;
        }
        let left = process::with_variable(&mark);
        left.iter().for_each(|process| process::signal(process.pid, Signal::SIGKILL));
        if !thread::panicking() {
            panic!("the supervisor is dead and these live on: {left:#?}");
        }
    }
}
