//! A worker that makes one instruction at a time.

use std::os::unix::process::ExitStatusExt;
use std::process::Child;

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// A worker that stands still between the tracer's words. It ends with the tracer.
pub(crate) struct Traced {
    child: Child,
    pid: Pid,
    over: bool,
}

impl Traced {
    /// One that has stopped itself where tracing begins.
    pub(crate) fn new(child: Child) -> Traced {
        use ptrace::Options;
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        assert_eq!(waitpid(pid, None), Ok(WaitStatus::Stopped(pid, Signal::SIGSTOP)), "it stops itself");
        let options = Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACESYSGOOD;
        ptrace::setoptions(pid, options).expect("traced");
        Traced { child, pid, over: false }
    }

    /// One instruction, a system call being one; false if what is traced is over.
    pub(crate) fn step(&mut self) -> bool {
        if !self.over {
            ptrace::step(self.pid, None).expect("it stands still");
            self.wait();
        }
        !self.over
    }

    /// Goes on until so many system calls are over; false if what is traced is over before.
    pub(crate) fn pass_calls(&mut self, calls: usize) -> bool {
        // Each one stops it twice: before and after.
        for _ in 0..2 * calls {
            if self.over {
                break;
            }
            ptrace::syscall(self.pid, None).expect("it stands still");
            self.wait();
        }
        !self.over
    }

    /// Whether its next instruction is a system call; elsewhere than on x86-64 none is told, and all are stepped through.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn is_at_call(&self) -> bool {
        false
    }

    /// Whether its next instruction is a system call.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn is_at_call(&self) -> bool {
        const SYSCALL: i64 = 0x050f; // two bytes, 0f 05 (x86-64)
        let registers = ptrace::getregs(self.pid).expect("it stands still");
        let code = ptrace::read(self.pid, registers.rip as ptrace::AddressType).expect("its code");
        code & 0xffff == SYSCALL
    }

    fn wait(&mut self) {
        match waitpid(self.pid, None).expect("our child") {
            WaitStatus::Stopped(_, Signal::SIGTRAP) | WaitStatus::PtraceSyscall(_) => {}
            // It stopped itself, or it is about to die of a datagram.
            WaitStatus::Stopped(_, Signal::SIGSTOP | Signal::SIGABRT) => self.over = true,
            other => panic!("{other:?}"),
        }
    }

    /// It dies of a fault, here.
    pub(crate) fn die_of(mut self, fault: Signal) {
        // Pending, it comes before any further instruction; and the tracer is asked first. Only its own stop may come
        // before, at the end.
        kill(self.pid, fault).expect("it is there");
        loop {
            ptrace::cont(self.pid, None).expect("it stands still");
            match waitpid(self.pid, None).expect("our child") {
                WaitStatus::Stopped(_, signal) if signal == fault => break,
                WaitStatus::Stopped(_, Signal::SIGSTOP) => {}
                other => panic!("{other:?}"),
            }
        }
        ptrace::cont(self.pid, fault).expect("it stands still");
        let status = self.child.wait().expect("our child");
        assert_eq!(status.signal(), Some(fault as i32));
    }

    /// Ends it, for real.
    pub(crate) fn kill(mut self) {
        kill(self.pid, Signal::SIGKILL).expect("it is there");
        let status = self.child.wait().expect("our child");
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32));
    }
}
