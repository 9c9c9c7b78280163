//! The last lines: when every process is gone, one more logger writes what they printed at the end, and what we did.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::Shell;
use super::children::Printing;
use super::logs::Rest;
use super::notify::Line;
use crate::core::Slot;

/// The descendants of a program may hold its pipe for ever: after this the logger is told to leave, after as much more it
/// is killed; after as much again it is left alone: a disk that hangs does not even let it die.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(2);

impl Shell {
    /// Once nobody is left: closes the log, and waits until all of it is written.
    pub(super) fn write_last_lines(&mut self) {
        let Some(logs) = self.logs.take() else { return };
        self.log.close();
        if let (true, Ok(null)) = (self.detached, std::fs::File::open("/dev/null")) {
            let _ = nix::unistd::dup2_stdout(&null);
            let _ = nix::unistd::dup2_stderr(&null);
        }
        let rest = logs.into_rest();
        // Without it what is in the pipes goes with them: there is nobody left to tell.
        if let Ok((pid, _line)) = self.start_last_logger(&rest) {
            wait_for(pid);
        }
    }

    fn start_last_logger(&mut self, rest: &Rest) -> io::Result<(Pid, Line)> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let slot = Slot::Role(self.roles.logger_slot().ok_or_else(missing)?);
        let frozen = self.generations.get(self.fleet.generation()).ok_or_else(missing)?;
        let line = Line::open(self.children.notify_folder(), "logger.last")?;
        let mut descriptors: Vec<(String, BorrowedFd<'_>)> =
            self.kept.lend(slot, self.roles.logger)?.descriptors;
        descriptors.extend(rest.lend());
        descriptors.push((contract::CONFIG.into(), frozen.segment()));
        descriptors.push((contract::PARENT.into(), self.children.parent_pipe()));
        let environment = vec![
            ("NODE_APP_INSTANCE".into(), "0".into()),
            (contract::RUNTIME_DIR.into(), self.runtime.folder().into()),
        ];
        let title = format!("{}{} last", contract::TITLE, self.roles.logger.name);
        let printing = Printing { image: frozen.image(), output: None };
        let pid = self.children.execute(printing, &[title.into()], &line, &descriptors, environment)?;
        Ok((pid, line))
    }
}

fn wait_for(pid: Pid) {
    let begun = Instant::now();
    let (mut told, mut killed) = (false, false);
    while let Ok(WaitStatus::StillAlive) | Err(nix::errno::Errno::EINTR) =
        waitpid(pid, Some(WaitPidFlag::WNOHANG))
    {
        let so_far = begun.elapsed();
        if so_far >= PATIENCE && !told {
            told = kill(pid, Signal::SIGTERM).is_ok();
        }
        if so_far >= 3 * PATIENCE {
            return;
        }
        if so_far >= 2 * PATIENCE && !killed {
            killed = kill(pid, Signal::SIGKILL).is_ok();
        }
        std::thread::sleep(PAUSE);
    }
}
