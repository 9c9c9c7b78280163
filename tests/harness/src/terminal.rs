//! A terminal for a command of a cluster: what a person would see on it, keys, and whether it is given back as it was.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::Signal;
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::ttyname;
use vt100::Parser;

use crate::builder::forget_cluster;
use crate::{Cluster, process, run, wait_for, wait_until};

/// How long the reader sleeps before it looks whether it is to end, in milliseconds.
const SLICE: u16 = 20;

/// A terminal with a command on it, which is killed when this is dropped.
pub struct Terminal {
    child: Child,
    keys: Option<File>,
    /// The command's side: its modes can be looked at when the command has ended.
    line: Option<File>,
    before: Termios,
    screen: Arc<Mutex<Parser>>,
    over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Runs a command against this cluster on a terminal of so many columns and rows. `changes` has the last word on the
    /// command.
    ///
    /// # Panics
    /// When there is no terminal, or the command cannot be run.
    #[track_caller]
    #[must_use]
    pub fn on_a_terminal(
        &self,
        arguments: &[&str],
        (columns, rows): (u16, u16),
        changes: impl FnOnce(&mut Command),
    ) -> Terminal {
        let (keys, line) = open_terminal();
        set_size(&line, columns, rows);
        // It is the controlling terminal of the command, as a shell's window is.
        let mut command = Command::new("setsid");
        forget_cluster(&mut command);
        command.arg("--ctty").arg(self.binary()).args(arguments);
        command.arg("--runtime-dir").arg(self.runtime_dir());
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        changes(&mut command);
        let end = || Stdio::from(line.try_clone().expect("a descriptor"));
        command.stdin(end()).stdout(end()).stderr(end());
        let before = tcgetattr(&line).expect("modes of a terminal");
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let screen = Arc::new(Mutex::new(Parser::new(cells(rows), cells(columns), 0)));
        let over = Arc::new(AtomicBool::new(false));
        let reader = {
            let (keys, screen) = (keys.try_clone().expect("a descriptor"), Arc::clone(&screen));
            let over = Arc::clone(&over);
            thread::spawn(move || show(keys, &screen, &over))
        };
        Terminal { child, keys: Some(keys), line: Some(line), before, screen, over, reader: Some(reader) }
    }
}

impl Terminal {
    /// Pid of the command.
    ///
    /// # Panics
    /// Never: a pid is a positive number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// What a person sees.
    #[must_use]
    pub fn text(&self) -> String {
        self.parser().screen().contents()
    }

    /// Whether the screen is the other one, which a full-screen program has for itself.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.parser().screen().alternate_screen()
    }

    /// Whether anything on it is bold, dim, coloured or turned around.
    #[must_use]
    pub fn has_styles(&self) -> bool {
        let parser = self.parser();
        let screen = parser.screen();
        let (rows, columns) = screen.size();
        let mut cells = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
        cells.any(|(row, column)| {
            screen.cell(row, column).is_some_and(|cell| {
                cell.bold() || cell.dim() || cell.inverse() || cell.fgcolor() != vt100::Color::Default
            })
        })
    }

    /// Waits until the screen shows what is asked for; gives it.
    ///
    /// # Panics
    /// With what it shows instead.
    #[track_caller]
    pub fn expect(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let seen = crate::try_for(crate::PATIENCE, || Some(self.text()).filter(|text| holds(text)));
        seen.unwrap_or_else(|| panic!("waited in vain: {what}; the screen:\n{}\n---", self.text()))
    }

    /// Waits until each of `texts` is on the screen.
    ///
    /// # Panics
    /// With what it shows instead.
    #[track_caller]
    pub fn expect_text(&self, texts: &[&str]) -> String {
        self.expect(&format!("{texts:?}"), |screen| texts.iter().all(|text| screen.contains(text)))
    }

    /// Presses keys.
    ///
    /// # Panics
    /// When the terminal is hung up.
    pub fn press(&self, keys: &str) -> &Terminal {
        let mut keyboard = self.keys.as_ref().expect("it is not hung up");
        keyboard.write_all(keys.as_bytes()).expect("keys");
        self
    }

    /// Changes the size, which the kernel tells the command.
    ///
    /// # Panics
    /// When the terminal is hung up.
    pub fn resize(&self, columns: u16, rows: u16) -> &Terminal {
        self.parser().set_size(cells(rows), cells(columns));
        set_size(self.line.as_ref().expect("it is not hung up"), columns, rows);
        self
    }

    /// Signals the command.
    pub fn signal(&self, signal: Signal) -> &Terminal {
        process::signal(self.pid(), signal);
        self
    }

    /// Waits until the command is stopped.
    #[track_caller]
    pub fn expect_stopped(&self) -> &Terminal {
        wait_until("it is stopped", || process::find(self.pid()).is_some_and(|it| it.state == 'T'));
        self
    }

    /// Waits until the terminal is as it was: the first screen, a cursor, the modes of before.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn expect_given_back(&self) -> &Terminal {
        wait_until("the first screen is back, with a cursor", || {
            let parser = self.parser();
            !parser.screen().alternate_screen() && !parser.screen().hide_cursor()
        });
        let now = tcgetattr(self.line.as_ref().expect("it is not hung up")).expect("modes of a terminal");
        assert_eq!(now, self.before, "modes of the terminal");
        self
    }

    /// Whether the modes are others than before: keys come one by one.
    ///
    /// # Panics
    /// When the terminal is hung up.
    #[must_use]
    pub fn has_other_modes(&self) -> bool {
        tcgetattr(self.line.as_ref().expect("it is not hung up")).expect("modes of a terminal") != self.before
    }

    /// Waits for the end of the command; its exit code, None for a signal.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> Option<i32> {
        wait_for("it ends", || self.child.try_wait().expect("our own child")).code()
    }

    /// The terminal goes away, as when a connection breaks.
    pub fn hang_up(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.reader.take().map(JoinHandle::join);
        (self.keys, self.line) = (None, None);
    }

    fn parser(&self) -> MutexGuard<'_, Parser> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.hang_up();
    }
}

/// Both its ends; no child gets one that is not meant to: it would keep the terminal from hanging up.
pub(crate) fn open_terminal() -> (File, File) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("leave to use it");
    let path = ptsname_r(&master).expect("its name");
    let line = File::options().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(path);
    (File::from(OwnedFd::from(master)), line.expect("its other end"))
}

pub(crate) fn set_size(line: &File, columns: u16, rows: u16) {
    let mut stty = Command::new("stty");
    stty.arg("-F").arg(ttyname(line).expect("a name"));
    stty.args(["rows", &rows.to_string(), "cols", &columns.to_string()]);
    let _ = run(stty).expect_code(0);
}

/// Shows on `screen` what comes, until it is over or nobody can write any more.
fn show(mut from: File, screen: &Mutex<Parser>, over: &AtomicBool) {
    let mut buffer = [0; 4096];
    while !over.load(Ordering::Relaxed) {
        let mut wanted = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        if !poll(&mut wanted, PollTimeout::from(SLICE)).is_ok_and(|ready| ready > 0) {
            continue;
        }
        match from.read(&mut buffer) {
            Ok(got) if got > 0 => {
                screen.lock().unwrap_or_else(PoisonError::into_inner).process(&buffer[..got])
            }
            Ok(_) | Err(_) => return,
        }
    }
}

fn cells(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a terminal has columns and rows")
}
