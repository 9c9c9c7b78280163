//! Deaths of children: who has ended, and how; by whatever signal the kernel knows.
//!
//! waitid(2) fills a siginfo_t, which tells signals as numbers: none of them lacks a name here that it has there, as the
//! real-time signals do in `nix::sys::signal::Signal` (a death by one of those would be an error, for ever).

use std::fmt;
use std::io;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::process::{EXIT_NO_EXEC, EXIT_NO_ROOM};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this code.
    Code(i32),
    /// A signal of this number ended it, 1 … 64 (signal(7)).
    Signal(i32),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Code(EXIT_NO_EXEC) => f.write_str("could not be executed"),
            Ending::Code(EXIT_NO_ROOM) => f.write_str("had no room for its descriptors (LimitNOFILE)"),
            Ending::Code(code) => write!(f, "exited with code {code}"),
            Ending::Signal(signal) => write!(f, "killed by {}", signal_name(*signal)),
        }
    }
}

/// What bash's `kill -l` calls a signal: `SIGKILL`, `SIGRTMIN+2`, `SIGRTMAX`; `signal 32` for one that has no name.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    if let Ok(known) = Signal::try_from(signal) {
        return known.to_string();
    }
    match (signal - libc::SIGRTMIN(), libc::SIGRTMAX() - signal) {
        (0, _) => "SIGRTMIN".into(),
        (_, 0) => "SIGRTMAX".into(),
        (above @ 1..=15, _) => format!("SIGRTMIN+{above}"),
        (_, below @ 1..=14) => format!("SIGRTMAX-{below}"),
        (_, _) => format!("signal {signal}"),
    }
}

/// One child of this process that has ended, whichever the kernel names first; None if there is none. It stays a zombie
/// until [`reap`] takes it.
///
/// # Errors
/// What waitid(2) says; having no child at all (ECHILD) is none.
pub fn poll_dead() -> io::Result<Option<(Pid, Ending)>> {
    match wait(libc::P_ALL, 0, libc::WNOHANG | libc::WNOWAIT) {
        Err(e) if e.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        answer => answer,
    }
}

/// Takes a zombie's status, and with it its number; None if that child lives.
///
/// # Errors
/// ECHILD if there is no such child.
pub fn reap(pid: Pid) -> io::Result<Option<Ending>> {
    let dead = wait(libc::P_PID, pid.as_raw().unsigned_abs(), libc::WNOHANG)?;
    Ok(dead.map(|(_, ending)| ending))
}

fn wait(kind: libc::idtype_t, id: libc::id_t, flags: libc::c_int) -> io::Result<Option<(Pid, Ending)>> {
    loop {
        // SAFETY: plain data, valid as zeros.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` has room for a siginfo_t, and nothing else is touched.
        if unsafe { libc::waitid(kind, id, &mut info, libc::WEXITED | flags) } == 0 {
            return decode(&info);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn decode(info: &libc::siginfo_t) -> io::Result<Option<(Pid, Ending)>> {
    // SAFETY: waitid filled it as for SIGCHLD, or left the zeros that it held before.
    let (pid, status) = (unsafe { info.si_pid() }, unsafe { info.si_status() });
    if pid == 0 {
        return Ok(None);
    }
    let ending = match info.si_code {
        libc::CLD_EXITED => Ending::Code(status),
        libc::CLD_KILLED | libc::CLD_DUMPED => Ending::Signal(status),
        code => {
            let what = format!("waitid(2) tells of pid {pid} with code {code}, which is no end");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
    };
    Ok(Some((Pid::from_raw(pid), ending)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Waits for its end.
    #[expect(clippy::zombie_processes, reason = "it is reaped by what is tested")]
    fn end_of(script: &str) -> Ending {
        let child = Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
        let (pid, ending) = wait(libc::P_PID, child.id(), libc::WNOWAIT).unwrap().unwrap();
        let reaped = reap(pid).unwrap();
        assert_eq!(reaped, Some(ending), "as it was told before");
        assert_eq!(reap(pid).unwrap_err().raw_os_error(), Some(libc::ECHILD), "gone");
        ending
    }

    #[test]
    fn whatever_ends_a_process_is_told() {
        assert_eq!(end_of("exit 7"), Ending::Code(7));
        // Not 1, 32, 33: who is started by nohup(1) ignores the first, by posix_spawn(3) of the GNU C library the others.
        for signal in [9, 31, 34, 35, 49, 50, 63, 64] {
            assert_eq!(end_of(&format!("kill -{signal} $$")), Ending::Signal(signal));
        }
    }

    #[test]
    fn a_child_that_lives_is_not_reaped() {
        let mut child = Command::new("/bin/sh");
        let mut child = child.args(["-c", "read line"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert_eq!(reap(Pid::from_raw(child.id().cast_signed())).unwrap(), None);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn every_signal_has_the_name_that_the_shell_gives_it() {
        for (signal, name) in [
            (9, "SIGKILL"),
            (32, "signal 32"),
            (34, "SIGRTMIN"),
            (35, "SIGRTMIN+1"),
            (49, "SIGRTMIN+15"),
            (50, "SIGRTMAX-14"),
            (63, "SIGRTMAX-1"),
            (64, "SIGRTMAX"),
        ] {
            assert_eq!(signal_name(signal), name);
        }
        assert_eq!(Ending::Signal(64).to_string(), "killed by SIGRTMAX");
        assert_eq!(Ending::Code(EXIT_NO_EXEC).to_string(), "could not be executed");
    }
}
