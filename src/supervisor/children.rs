//! Birth and death of the processes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contract::Blame;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
pub(super) use sys::wait::Ending;

use super::above::is_upward;
use super::clock;
use super::handover::{FrozenPath, Packing, Unpacking};
use super::helper;
use super::notify::{Line, Said};
use super::runs_as;
use crate::core::{Generation, Run, Sig, Slot, Tick};
use crate::memory;

/// The first token of the children's notify lines; the run's number is added.
const LINES: usize = 1 << 40;
/// A process that was started and not yet reaped.
pub(super) struct Process {
    pub(super) slot: Slot,
    pub(super) generation: Generation,
    pub(super) pid: Pid,
    pub(super) born: Tick,
    /// It has, or had, its slot: an heir that never took over has not.
    pub(super) in_charge: bool,
    /// It has got its sockets, as X_BOUND=1 says: what it was before is the launcher.
    pub(super) bound: bool,
    /// It could take over, or has: READY=1.
    pub(super) ready: bool,
    /// Why it ends, as it said itself, and the errno behind it.
    pub(super) last_words: Option<(String, i32)>,
    /// What asks it to leave.
    kill_signal: Signal,
    /// It may have said more than was read in the last turn.
    unread: bool,
    line: Line,
}

/// Who has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dead {
    Run(Run),
    Other(Pid, Ending),
}

/// As they are handed over at an upgrade.
#[derive(Serialize, Deserialize)]
pub(super) struct Frozen {
    parent_pipe: (RawFd, RawFd),
    processes: Vec<FrozenProcess>,
}

#[derive(Serialize, Deserialize)]
struct FrozenProcess {
    run: Run,
    slot: Slot,
    generation: Generation,
    pid: i32,
    born: Tick,
    in_charge: bool,
    #[serde(default)]
    bound: bool,
    ready: bool,
    last_words: Option<(String, i32)>,
    line: RawFd,
    path: FrozenPath,
    /// A number of signal(7).
    #[serde(default)]
    kill_signal: Option<i32>,
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
    pub(super) image: BorrowedFd<'a>,
    /// Where it prints; None: where we do.
    pub(super) output: Option<BorrowedFd<'a>>,
    /// Its descriptors, by name.
    pub(super) descriptors: Vec<(String, BorrowedFd<'a>)>,
    /// Beside what the supervisor itself has; later ones win.
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) watchdog: Option<Duration>,
    /// As whom it will run, if not as we do: uid and gid.
    pub(super) user: Option<(u32, u32)>,
    /// What asks it to leave.
    pub(super) kill_signal: Signal,
    /// A death in its slot that it should know of.
    pub(super) blame: Option<&'a Blame>,
}

/// What is executed, and where it prints (None: where we do).
pub(super) struct Printing<'a> {
    pub(super) image: BorrowedFd<'a>,
    pub(super) output: Option<BorrowedFd<'a>>,
}

/// All processes, and what every one of them is made from.
pub(super) struct Children {
    processes: BTreeMap<Run, Process>,
    /// Who runs for us and is no run.
    helpers: BTreeSet<Pid>,
    newest: Run,
    input: File,
    /// Its writing end is ours alone: when we are gone, every child sees it.
    parent_pipe: (OwnedFd, OwnedFd),
    notify_folder: PathBuf,
    inherited: Vec<(OsString, OsString)>,
}

impl Children {
    pub(super) fn new(notify_folder: PathBuf) -> io::Result<Children> {
        Children::with(notify_folder, nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?)
    }

    fn with(notify_folder: PathBuf, parent_pipe: (OwnedFd, OwnedFd)) -> io::Result<Children> {
        Ok(Children {
            processes: BTreeMap::new(),
            helpers: BTreeSet::new(),
            newest: Run(0),
            input: File::open("/dev/null")?,
            parent_pipe,
            notify_folder,
            inherited: std::env::vars_os().filter(|(name, _)| !is_upward(name)).collect(),
        })
    }

    pub(super) fn freeze<'a>(&'a self, packing: &mut Packing<'a>) -> Frozen {
        let processes = self.processes.iter().map(|(&run, process)| FrozenProcess {
            run,
            slot: process.slot,
            generation: process.generation,
            pid: process.pid.as_raw(),
            born: process.born,
            in_charge: process.in_charge,
            bound: process.bound,
            ready: process.ready,
            last_words: process.last_words.clone(),
            line: packing.pack(process.line.socket().as_fd()),
            path: FrozenPath::of(process.line.path()),
            kill_signal: Some(process.kill_signal as i32),
        });
        let processes = processes.collect();
        let parent_pipe =
            (packing.pack(self.parent_pipe.0.as_fd()), packing.pack(self.parent_pipe.1.as_fd()));
        Frozen { parent_pipe, processes }
    }

    /// Still our children after an exec; what they said meanwhile waits to be read.
    pub(super) fn thaw(
        notify_folder: PathBuf,
        frozen: Frozen,
        fds: &mut Unpacking,
        registry: &Registry,
    ) -> io::Result<Children> {
        let (reader, writer) = frozen.parent_pipe;
        let mut children = Children::with(notify_folder, (fds.take(reader)?, fds.take(writer)?))?;
        for process in frozen.processes {
            let line = Line::opened_before(fds.take(process.line)?, process.path.0);
            watch(&line, process.run, registry)?;
            let thawed = Process {
                slot: process.slot,
                generation: process.generation,
                pid: Pid::from_raw(process.pid),
                born: process.born,
                in_charge: process.in_charge,
                bound: process.bound,
                ready: process.ready,
                last_words: process.last_words,
                kill_signal: asked_by(process.kill_signal),
                unread: true,
                line,
            };
            children.newest = children.newest.max(process.run);
            children.processes.insert(process.run, thawed);
        }
        Ok(children)
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

    /// The process that was started last.
    pub(super) fn newest(&self) -> Run {
        self.newest
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
        let Birth { slot, run, generation, heir, name, image, output, .. } = birth;
        let Birth { mut descriptors, environment, watchdog, blame, .. } = birth;
        let address = match slot {
            Slot::Worker(number) => format!("{number}.{}", run.0),
            Slot::Role(_) => format!("{name}.{}", run.0),
        };
        let line = Line::open(&self.notify_folder, &address)?;
        if let Some((uid, gid)) = birth.user {
            chown(line.path(), Some(uid), Some(gid)).map_err(|e| runs_as::not_given(uid, &e))?;
        }
        watch(&line, run, registry)?;
        descriptors.push((contract::PARENT.into(), self.parent_pipe.0.as_fd()));
        let mut environment = environment;
        if let Some(watchdog) = watchdog {
            environment.push(("WATCHDOG_USEC".into(), watchdog.as_micros().to_string().into()));
        }
        let instance = match slot {
            Slot::Worker(number) | Slot::Role(number) => number,
        };
        environment.push(("NODE_APP_INSTANCE".into(), instance.to_string().into()));
        environment.push((contract::RUN.into(), run.0.to_string().into()));
        environment.extend(blame.map(|blame| (contract::BLAME.into(), blame.to_string().into())));
        let title = format!("{}{name} gen {}", contract::TITLE, generation.0);
        let printing = Printing { image, output };
        let pid = self.execute(printing, &[title.into()], &line, &descriptors, environment)?;
        let born = clock::now();
        let process = Process {
            slot,
            generation,
            pid,
            born,
            in_charge: !heir,
            bound: false,
            ready: false,
            last_words: None,
            kill_signal: birth.kill_signal,
            unread: false,
            line,
        };
        self.processes.insert(run, process);
        self.newest = run;
        Ok(pid)
    }

    /// A process that was executed for us and is no run: the rest of its process group ends with it.
    pub(super) fn note_helper(&mut self, pid: Pid) {
        self.helpers.insert(pid);
    }

    /// Nobody of those outlives us.
    pub(super) fn end_helpers(&mut self) {
        std::mem::take(&mut self.helpers).into_iter().for_each(helper::end);
    }

    /// Runs an image with a line to us and descriptors by name. It is no run yet: nobody watches it.
    pub(super) fn execute(
        &self,
        Printing { image, output }: Printing<'_>,
        arguments: &[OsString],
        line: &Line,
        descriptors: &[(String, BorrowedFd<'_>)],
        environment: Vec<(OsString, OsString)>,
    ) -> io::Result<Pid> {
        let names: Vec<&str> = descriptors.iter().map(|(name, _)| name.as_str()).collect();
        let mut variables: BTreeMap<OsString, OsString> = self.inherited.iter().cloned().collect();
        variables.extend(environment);
        variables.remove(OsStr::new("LISTEN_PID"));
        let mut set = |name: &str, value: OsString| variables.insert(name.into(), value);
        set("LISTEN_FDS", descriptors.len().to_string().into());
        set("LISTEN_FDNAMES", names.join(":").into());
        set("NOTIFY_SOCKET", line.path().into());
        let fds: Vec<BorrowedFd<'_>> = descriptors.iter().map(|&(_, fd)| fd).collect();
        sys::process::spawn(&sys::process::Child {
            image,
            arguments,
            environment: &variables.into_iter().collect::<Vec<_>>(),
            pid_variable: "LISTEN_PID",
            descriptors: &fds,
            input: self.input.as_fd(),
            output,
        })
    }

    /// Where lines to us lie.
    pub(super) fn notify_folder(&self) -> &Path {
        &self.notify_folder
    }

    /// The supervisor's end of what ties the children's lives to ours.
    pub(super) fn parent_pipe(&self) -> BorrowedFd<'_> {
        self.parent_pipe.0.as_fd()
    }

    /// SIGUSR1 to one that has said READY: it is deadly to whoever does not expect it.
    pub(super) fn reopen(&self, run: Run) {
        if let Some(process) = self.processes.get(&run).filter(|process| process.ready) {
            let _ = kill(process.pid, Signal::SIGUSR1);
        }
    }

    /// What asks it to leave to the process, KILL to its whole group. One that is gone already will be reaped.
    pub(super) fn signal(&self, run: Run, signal: Sig) {
        let Some(process) = self.processes.get(&run) else { return };
        let _ = match signal {
            Sig::Term => kill(process.pid, process.kill_signal),
            Sig::Kill => killpg(process.pid, Signal::SIGKILL),
        };
    }

    /// One process that has ended. A run is not reaped yet: its last words can still be read. As PID 1 we get other
    /// people's orphans too: whoever is no run is reaped at once.
    pub(super) fn poll_dead(&mut self) -> Option<Dead> {
        let dead = sys::wait::poll_dead().unwrap_or_else(|e| panic!("cannot ask who has ended: {e}"));
        let (pid, _) = dead?;
        match self.processes.iter().find(|(_, process)| process.pid == pid) {
            Some((&run, _)) => Some(Dead::Run(run)),
            None => {
                if self.helpers.remove(&pid) {
                    let _ = killpg(pid, Signal::SIGKILL);
                }
                Some(Dead::Other(pid, reap(pid)))
            }
        }
    }

    /// Reaps it. What is left of its process group goes with it: while the leader is a zombie, the group's number
    /// can't be anybody else's.
    pub(super) fn reap(&mut self, run: Run, registry: &Registry) -> Option<(Process, Ending)> {
        let process = self.processes.remove(&run)?;
        let _ = killpg(process.pid, Signal::SIGKILL);
        let ending = reap(process.pid);
        let _ = registry.deregister(&mut SourceFd(&process.line.socket().as_raw_fd()));
        Some((process, ending))
    }

    /// Resident memory of a process, in bytes.
    pub(super) fn memory(&self, run: Run) -> Option<u64> {
        memory::resident(self.get(run)?.pid.as_raw().unsigned_abs())
    }
}

/// A program may want to be asked otherwise than by TERM.
fn asked_by(number: Option<i32>) -> Signal {
    number.and_then(|number| Signal::try_from(number).ok()).unwrap_or(Signal::SIGTERM)
}

/// Events of a child's line bear its run's token.
fn watch(line: &Line, run: Run, registry: &Registry) -> io::Result<()> {
    let token = Token(LINES + usize::try_from(run.0).map_err(io::Error::other)?);
    registry.register(&mut SourceFd(&line.socket().as_raw_fd()), token, Interest::READABLE)
}

/// Takes a zombie's status.
fn reap(pid: Pid) -> Ending {
    match sys::wait::reap(pid) {
        Ok(Some(ending)) => ending,
        other => panic!("pid {pid} was a zombie and cannot be reaped: {other:?}"),
    }
}
