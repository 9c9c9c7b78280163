//! Birth and death of the processes.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use contract::Blame;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::notify::{Line, Said};
use crate::core::{Generation, Run, Sig, Slot};

/// The first token of the children's notify lines; the run's number is added.
const LINES: usize = 1 << 40;
/// Variables of systemd's contract: ours upward, and not our children's.
const UPWARD: [&str; 8] = [
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "NODE_APP_INSTANCE",
    contract::BLAME,
];

/// A process that was started and not yet reaped.
pub(super) struct Process {
    pub(super) slot: Slot,
    pub(super) generation: Generation,
    pub(super) pid: Pid,
    pub(super) born: Instant,
    /// It has, or had, its slot: an heir that never took over has not.
    pub(super) in_charge: bool,
    /// Why it ends, as it said itself, and the errno behind it.
    pub(super) last_words: Option<(String, i32)>,
    /// It may have said more than was read in the last turn.
    unread: bool,
    line: Line,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Code(i32),
    Signal(Signal),
}

/// What a new process is.
pub(super) struct Birth<'a> {
    pub(super) slot: Slot,
    pub(super) run: Run,
    pub(super) generation: Generation,
    /// Prepared beside a holder.
    pub(super) heir: bool,
    /// `meter 2`, `simulator`.
    pub(super) name: &'a str,
    /// Its descriptors, by name.
    pub(super) descriptors: Vec<(String, BorrowedFd<'a>)>,
    /// Beside what the supervisor itself has; later ones win.
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) watchdog: Option<Duration>,
    /// A death in its slot that it should know of.
    pub(super) blame: Option<&'a Blame>,
}

/// All processes, and what every one of them is made from.
pub(super) struct Children {
    processes: BTreeMap<Run, Process>,
    image: OwnedFd,
    input: File,
    /// Its writing end is ours alone: when we are gone, every child sees it.
    parent_pipe: (OwnedFd, OwnedFd),
    notify_folder: PathBuf,
    inherited: Vec<(OsString, OsString)>,
}

impl Children {
    pub(super) fn new(notify_folder: PathBuf) -> io::Result<Children> {
        Ok(Children {
            processes: BTreeMap::new(),
            image: sys::process::own_image()?,
            input: File::open("/dev/null")?,
            parent_pipe: nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?,
            notify_folder,
            inherited: std::env::vars_os()
                .filter(|(name, _)| !UPWARD.iter().any(|upward| name == upward))
                .collect(),
        })
    }

    pub(super) fn get(&self, run: Run) -> Option<&Process> {
        self.processes.get(&run)
    }

    pub(super) fn get_mut(&mut self, run: Run) -> Option<&mut Process> {
        self.processes.get_mut(&run)
    }

    pub(super) fn runs(&self) -> Vec<Run> {
        self.processes.keys().copied().collect()
    }

    /// Those that may have said more than was read in the last turn.
    pub(super) fn unread(&self) -> Vec<Run> {
        self.processes.iter().filter(|(_, process)| process.unread).map(|(&run, _)| run).collect()
    }

    /// What a child said since the last call, a bounded part of it; whether there may be more.
    pub(super) fn read(&mut self, run: Run) -> Option<(Slot, Vec<Said>, bool)> {
        let process = self.processes.get_mut(&run)?;
        let (said, more) = process.line.read();
        process.unread = more;
        Some((process.slot, said, more))
    }

    /// The run whose line has this token.
    pub(super) fn run_of(&self, token: Token) -> Option<Run> {
        let run = Run(u64::try_from(token.0.checked_sub(LINES)?).ok()?);
        self.processes.contains_key(&run).then_some(run)
    }

    /// Starts a process; its line is watched from before its first word.
    pub(super) fn spawn(&mut self, birth: Birth<'_>, registry: &Registry) -> io::Result<Pid> {
        let Birth { slot, run, generation, heir, name, mut descriptors, environment, watchdog, blame } =
            birth;
        let address = match slot {
            Slot::Worker(number) => format!("{number}.{}", run.0),
            Slot::Role(_) => format!("{name}.{}", run.0),
        };
        let line = Line::open(&self.notify_folder, &address)?;
        let token = Token(LINES + usize::try_from(run.0).map_err(io::Error::other)?);
        registry.register(&mut SourceFd(&line.socket().as_raw_fd()), token, Interest::READABLE)?;
        descriptors.push((contract::PARENT.into(), self.parent_pipe.0.as_fd()));
        let names: Vec<&str> = descriptors.iter().map(|(name, _)| name.as_str()).collect();
        let instance = match slot {
            Slot::Worker(number) | Slot::Role(number) => number,
        };
        let mut variables: BTreeMap<OsString, OsString> = self.inherited.iter().cloned().collect();
        variables.extend(environment);
        variables.remove(OsStr::new("LISTEN_PID"));
        let mut set = |name: &str, value: OsString| variables.insert(name.into(), value);
        set("LISTEN_FDS", descriptors.len().to_string().into());
        set("LISTEN_FDNAMES", names.join(":").into());
        set("NOTIFY_SOCKET", line.path().into());
        set("NODE_APP_INSTANCE", instance.to_string().into());
        set(contract::RUN, run.0.to_string().into());
        if let Some(blame) = blame {
            set(contract::BLAME, blame.to_string().into());
        }
        if let Some(watchdog) = watchdog {
            set("WATCHDOG_USEC", watchdog.as_micros().to_string().into());
        }
        let fds: Vec<BorrowedFd<'_>> = descriptors.iter().map(|&(_, fd)| fd).collect();
        let pid = sys::process::spawn(&sys::process::Child {
            image: self.image.as_fd(),
            arguments: &[format!("{}{name} gen {}", contract::TITLE, generation.0)],
            environment: &variables.into_iter().collect::<Vec<_>>(),
            pid_variable: "LISTEN_PID",
            descriptors: &fds,
            input: self.input.as_fd(),
        })?;
        let born = Instant::now();
        self.processes.insert(
            run,
            Process { slot, generation, pid, born, in_charge: !heir, last_words: None, unread: false, line },
        );
        Ok(pid)
    }

    /// TERM to the process, KILL to its whole group. One that is gone already will be reaped.
    pub(super) fn signal(&self, run: Run, signal: Sig) {
        let Some(process) = self.processes.get(&run) else { return };
        let _ = match signal {
            Sig::Term => kill(process.pid, Signal::SIGTERM),
            Sig::Kill => killpg(process.pid, Signal::SIGKILL),
        };
    }

    /// One process that has ended and is not reaped yet: its last words can still be read.
    /// As PID 1 we get other people's orphans too: those are reaped on the way.
    pub(super) fn poll_dead(&self) -> Option<Run> {
        loop {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
            let pid = match waitid(Id::All, flags) {
                Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) => pid,
                Err(Errno::EINTR) => continue,
                Ok(_) | Err(_) => return None,
            };
            match self.processes.iter().find(|(_, process)| process.pid == pid) {
                Some((&run, _)) => return Some(run),
                None => drop(waitpid(pid, Some(WaitPidFlag::WNOHANG))),
            }
        }
    }

    /// Reaps it. What is left of its process group goes with it: while the leader is a zombie, the group's number
    /// can't be anybody else's.
    pub(super) fn reap(&mut self, run: Run, registry: &Registry) -> Option<(Process, Ending)> {
        let process = self.processes.remove(&run)?;
        let _ = killpg(process.pid, Signal::SIGKILL);
        let ending = match waitpid(process.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => Ending::Code(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => Ending::Signal(signal),
            other => panic!("pid {} was a zombie and cannot be reaped: {other:?}", process.pid),
        };
        let _ = registry.deregister(&mut SourceFd(&process.line.socket().as_raw_fd()));
        Some((process, ending))
    }

    /// Resident memory of a process, in bytes (proc_pid_statm(5)).
    pub(super) fn memory(&self, run: Run) -> Option<u64> {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.get(run)?.pid)).ok()?;
        let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
        Some(pages * u64::try_from(page).ok()?)
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ending::Code(sys::process::EXIT_NO_EXEC) => f.write_str("could not be executed"),
            Ending::Code(sys::process::EXIT_NO_ROOM) => {
                f.write_str("had no room for its descriptors (LimitNOFILE)")
            }
            Ending::Code(code) => write!(f, "exited with code {code}"),
            Ending::Signal(signal) => write!(f, "killed by {signal}"),
        }
    }
}
