//! Birth of a process: fork, a fixed set of descriptors, exec of an open image.
//!
//! Between fork and exec only async-signal-safe calls are made (signal-safety(7)): everything is allocated before.
//! A child that borrows our memory until exec (vfork(2)) would cost less, but we would stand still with it: one that
//! somebody stops in that moment (SIGSTOP) would stop the cluster.

use std::ffi::{CStr, CString, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::Pid;

/// The first descriptor of a child's own set (sd_listen_fds(3)).
pub const FIRST_FD: RawFd = 3;
/// The most descriptors a child is given.
pub const MAX_DESCRIPTORS: usize = 1024;
/// Exit code of a child whose descriptors could not be laid out: RLIMIT_NOFILE is too low.
pub const EXIT_NO_ROOM: i32 = 126;
/// Exit code of a child whose image could not be executed.
pub const EXIT_NO_EXEC: i32 = 127;

/// What a child is made of.
pub struct Child<'a> {
    /// The program, as an open file: what is on disk meanwhile does not matter.
    pub image: BorrowedFd<'a>,
    /// The arguments, from the title on: what `ps` shows.
    pub arguments: &'a [OsString],
    /// The whole environment, but for `pid_variable`.
    pub environment: &'a [(OsString, OsString)],
    /// The name of a variable that tells the child its own pid (`LISTEN_PID`).
    pub pid_variable: &'a str,
    /// Become descriptors 3, 4, … of the child.
    pub descriptors: &'a [BorrowedFd<'a>],
    /// Becomes descriptor 0.
    pub input: BorrowedFd<'a>,
    /// Becomes descriptors 1 and 2; None: the parent's own are inherited.
    pub output: Option<BorrowedFd<'a>>,
}

/// Starts `child` as the leader of a process group of its own, with every signal at its default and none blocked.
/// What goes wrong in the child shows as [`EXIT_NO_ROOM`] or [`EXIT_NO_EXEC`].
///
/// Call it from the main thread alone: the parent-death signal fires when the *thread* that forked ends (prctl(2)).
///
/// # Errors
/// What fork(2) says (EAGAIN, ENOMEM), or `InvalidInput` for a NUL byte inside a string.
pub fn spawn(child: &Child<'_>) -> io::Result<Pid> {
    let mut plan = Plan::new(child)?;
    let mut before = SigSet::empty();
    // A signal that arrived between fork and exec would run our handler in the child, which would wake us and be lost
    // to the child: hold them all back until the child has no handler.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
    // SAFETY: the child calls nothing but `Plan::run`, which is async-signal-safe and does not return.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        plan.run();
    }
    let error = io::Error::last_os_error();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    if pid < 0 {
        return Err(error);
    }
    let pid = Pid::from_raw(pid);
    // Whoever of parent and child comes first: a signal to the group must never find it missing.
    let _ = nix::unistd::setpgid(pid, pid);
    Ok(pid)
}

/// All that the child needs, allocated before the fork.
struct Plan {
    image: RawFd,
    input: RawFd,
    output: Option<RawFd>,
    sources: Vec<RawFd>,
    /// Where they lie while their places are made free.
    moved: Vec<RawFd>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// Digits of the child's pid go here.
    own_pid: *mut libc::c_char,
    // What the pointers above point into.
    _strings: [Vec<CString>; 2],
    _pid_variable: Vec<u8>,
}

impl Plan {
    fn new(child: &Child<'_>) -> io::Result<Plan> {
        if child.descriptors.len() > MAX_DESCRIPTORS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one child"));
        }
        let text = |s: &[u8]| CString::new(s).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e));
        let arguments = child.arguments.iter().map(|a| text(a.as_bytes())).collect::<io::Result<Vec<_>>>()?;
        let environment = child.environment.iter();
        let environment = environment
            .map(|(name, value)| text(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
            .collect::<io::Result<Vec<_>>>()?;
        let name = child.pid_variable.as_bytes();
        let mut pid_variable = [name, b"=", &[0; 24]].concat();
        let variable = pid_variable.as_mut_ptr();
        let own_pid = variable.wrapping_add(name.len() + 1).cast();
        let pointers = |strings: &[CString]| strings.iter().map(|s| s.as_ptr()).collect::<Vec<_>>();
        let (mut argv, mut envp) = (pointers(&arguments), pointers(&environment));
        argv.push(std::ptr::null());
        envp.extend([variable.cast_const().cast(), std::ptr::null()]);
        Ok(Plan {
            image: child.image.as_raw_fd(),
            input: child.input.as_raw_fd(),
            output: child.output.map(|output| output.as_raw_fd()),
            sources: child.descriptors.iter().map(AsRawFd::as_raw_fd).collect(),
            moved: vec![-1; child.descriptors.len()],
            argv,
            envp,
            own_pid,
            _strings: [arguments, environment],
            _pid_variable: pid_variable,
        })
    }

    /// In the child: lays out descriptors, resets signals, becomes the image.
    #[expect(
        clippy::multiple_unsafe_ops_per_block,
        reason = "one contract holds for all of it: signal-safety(7)"
    )]
    fn run(&mut self) -> ! {
        // SAFETY: every call below is async-signal-safe, works on numbers and on memory allocated before the fork
        // (argv and envp end in null and point at NUL-terminated strings), and nothing returns to the parent's code.
        unsafe {
            libc::setpgid(0, 0);
            let above = FIRST_FD + self.sources.len() as RawFd;
            let image = libc::fcntl(self.image, libc::F_DUPFD_CLOEXEC, above);
            // First all out of the way, or the first would overwrite a later one's source; then each to its place,
            // where it has no CLOEXEC.
            let input = libc::fcntl(self.input, libc::F_DUPFD_CLOEXEC, above);
            let mut ok = image >= 0 && input >= 0 && libc::dup2(input, 0) == 0;
            if let Some(output) = self.output {
                let output = libc::fcntl(output, libc::F_DUPFD_CLOEXEC, above);
                ok &= output >= 0 && libc::dup2(output, 1) == 1 && libc::dup2(output, 2) == 2;
            }
            for (source, moved) in self.sources.iter().zip(&mut self.moved) {
                *moved = libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, above);
                ok &= *moved >= 0;
            }
            for (k, moved) in self.moved.iter().enumerate() {
                ok &= libc::dup2(*moved, FIRST_FD + k as RawFd) >= 0;
            }
            // Whatever else is open, inherited by us from who knows whom, ends here.
            libc::syscall(libc::SYS_close_range, above, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            if !ok {
                libc::_exit(EXIT_NO_ROOM);
            }
            for signal in 1..=64 {
                libc::signal(signal, libc::SIG_DFL); // KILL, STOP and the C library's own refuse: as it should be
            }
            let mut none = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
            write_decimal(libc::getpid(), self.own_pid);
            let (empty, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
            libc::syscall(libc::SYS_execveat, image, empty, self.argv.as_ptr(), self.envp.as_ptr(), flags);
            libc::_exit(EXIT_NO_EXEC)
        }
    }
}

/// Writes a positive number and a NUL, without allocating.
///
/// # Safety
/// `place` has room for 24 bytes.
unsafe fn write_decimal(number: libc::pid_t, place: *mut libc::c_char) {
    let mut digits = [0u8; 20];
    let (mut rest, mut len) = (number.unsigned_abs(), 0);
    loop {
        digits[len] = b'0' + (rest % 10) as u8;
        (rest, len) = (rest / 10, len + 1);
        if rest == 0 {
            break;
        }
    }
    for (i, &digit) in digits[..len].iter().rev().enumerate() {
        // SAFETY: i < 20 < 24.
        unsafe { place.wrapping_add(i).write(digit as libc::c_char) };
    }
    // SAFETY: len <= 20 < 24.
    unsafe { place.wrapping_add(len).write(0) };
}

/// An open file to execute: the program that runs now, whatever lies at its path meanwhile.
///
/// # Errors
/// What open(2) of `/proc/self/exe` says.
pub fn own_image() -> io::Result<OwnedFd> {
    use nix::fcntl::{OFlag, open};
    Ok(open("/proc/self/exe", OFlag::O_RDONLY | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())?)
}

/// Lets SIGSEGV and SIGBUS end the process as they do in any other program. Rust's runtime handles them, to say that a
/// stack overflowed, and lets one pass that was merely sent.
pub fn die_of_faults() {
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: SIG_DFL is no handler that could run, and nobody's handler is relied on.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Lets a write beyond RLIMIT_FSIZE fail with EFBIG, in place of SIGXFSZ ending the process.
pub fn outlive_file_limit() {
    // SAFETY: SIG_IGN is no handler that could run, and nobody's handler is relied on.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Lets signals pass that mean nothing to us and would end the process: timers nobody set, power failures, real-time
/// signals. What says that something is wrong (SIGSEGV, SIGABRT, SIGXCPU, …) still ends it.
pub fn outlive_strays() {
    let strays = [libc::SIGALRM, libc::SIGVTALRM, libc::SIGPROF, libc::SIGIO, libc::SIGPWR, libc::SIGSTKFLT];
    for signal in strays.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()) {
        // SAFETY: SIG_IGN is no handler that could run, and nobody's handler is relied on.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// The opposite, for whoever comes after an exec: a signal that is ignored stays so.
pub fn die_of_file_limit() {
    // SAFETY: as above, with SIG_DFL.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_DFL) };
}

/// Sets the niceness of this process: -20 to 19.
///
/// # Errors
/// What setpriority(2) says: EACCES for one that is less than now, without the right to that.
pub fn set_nice(nice: i32) -> io::Result<()> {
    // SAFETY: numbers alone; 0 is this process.
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Group and supplementary groups of this thread alone: to see whether that is allowed, in a thread that ends.
///
/// # Errors
/// What setgroups(2) and setresgid(2) say.
pub fn set_thread_groups(gid: u32, groups: &[u32]) -> io::Result<()> {
    // SAFETY: `groups` are as many readable gid_t as are told; the call keeps nothing of them.
    let done = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: numbers alone.
    let done = unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The user of this thread alone, as above.
///
/// # Errors
/// What setresuid(2) says.
pub fn set_thread_user(uid: u32) -> io::Result<()> {
    // SAFETY: numbers alone.
    let done = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The name that `ps -e`, `top` and /proc/PID/comm show (at most 15 bytes).
pub fn set_name(name: &CStr) {
    let _ = nix::sys::prctl::set_name(name);
}

/// Whether the writing end of `pipe` is closed everywhere.
#[must_use]
pub fn hung_up(pipe: BorrowedFd<'_>) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut look = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
    poll(&mut look, PollTimeout::ZERO).is_ok()
        && look[0].revents().is_some_and(|seen| seen.contains(PollFlags::POLLHUP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    use nix::sys::wait::{WaitStatus, waitpid};
    use std::fs::File;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    fn run(
        program: &str,
        script: &str,
        environment: &[(OsString, OsString)],
        fds: &[BorrowedFd<'_>],
    ) -> WaitStatus {
        let (image, null) = (File::open(program).unwrap(), File::open("/dev/null").unwrap());
        let arguments = ["a title: with words".into(), "-c".into(), script.into()];
        let child = Child {
            image: image.as_fd(),
            arguments: &arguments,
            environment,
            pid_variable: "LISTEN_PID",
            descriptors: fds,
            input: null.as_fd(),
            output: None,
        };
        waitpid(spawn(&child).unwrap(), None).unwrap()
    }

    #[test]
    fn a_child_gets_its_descriptors_its_environment_and_its_own_pid() {
        let (mut mine, theirs) = UnixStream::pair().unwrap();
        let (mut second, other) = UnixStream::pair().unwrap();
        let environment = [("COLOUR".into(), "blue".into())];
        let script = "test $LISTEN_PID = $$ && test $(ps -o pgid= -p $$) = $$ && echo \"$COLOUR $0\" >&3 && echo two >&4; \
                      ls /proc/$$/fd | tr '\\n' ' ' >&3";
        let status = run("/bin/sh", script, &environment, &[theirs.as_fd(), other.as_fd()]);
        assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
        drop((theirs, other));
        let (mut text, mut two) = (String::new(), String::new());
        mine.read_to_string(&mut text).unwrap();
        second.read_to_string(&mut two).unwrap();
        assert!(text.starts_with("blue a title: with words\n0 1 "), "{text}");
        let open: Vec<u32> =
            text.lines().last().unwrap().split_whitespace().map(|fd| fd.parse().unwrap()).collect();
        assert!(
            open.iter().filter(|&&fd| fd > 4).count() <= 1,
            "only the shell's own are open beyond: {open:?}"
        );
        assert_eq!(two, "two\n");
    }

    #[test]
    fn a_child_gets_a_thousand_descriptors_and_not_one_more() {
        // Each is open twice while the child is born.
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
        let null = File::open("/dev/null").unwrap();
        let script = "test $(ls /proc/$$/fd | wc -l) -ge 1027 && test -e /proc/$$/fd/1026";
        let status = run("/bin/sh", script, &[], &[null.as_fd(); MAX_DESCRIPTORS]);
        assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
        let child = Child {
            image: null.as_fd(),
            arguments: &[],
            environment: &[],
            pid_variable: "LISTEN_PID",
            descriptors: &[null.as_fd(); MAX_DESCRIPTORS + 1],
            input: null.as_fd(),
            output: None,
        };
        assert_eq!(spawn(&child).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_child_prints_where_it_is_told_to() {
        let (mut mine, theirs) = UnixStream::pair().unwrap();
        let (image, null) = (File::open("/bin/sh").unwrap(), File::open("/dev/null").unwrap());
        let child = Child {
            image: image.as_fd(),
            arguments: &["sh".into(), "-c".into(), "echo out; echo err >&2".into()],
            environment: &[],
            pid_variable: "LISTEN_PID",
            descriptors: &[],
            input: null.as_fd(),
            output: Some(theirs.as_fd()),
        };
        let status = waitpid(spawn(&child).unwrap(), None).unwrap();
        assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
        drop(theirs);
        let mut text = String::new();
        mine.read_to_string(&mut text).unwrap();
        assert_eq!(text, "out\nerr\n");
    }

    #[test]
    fn an_image_that_is_no_program_shows_as_exit_127() {
        let status = run("/etc/passwd", "", &[], &[]);
        assert!(matches!(status, WaitStatus::Exited(_, EXIT_NO_EXEC)), "{status:?}");
    }

    #[test]
    fn a_pipe_tells_that_its_writers_are_gone() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        assert!(!hung_up(reader.as_fd()));
        drop(writer);
        assert!(hung_up(reader.as_fd()));
    }
}
