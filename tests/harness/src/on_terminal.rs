//! A command whose standard error is a terminal, and what it shows there.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use nix::sys::signal::Signal;

use crate::terminal::{open_terminal, set_size};
use crate::{Output, process, wait_for, wait_until};

/// A command that runs.
#[derive(Debug)]
pub struct OnTerminal {
    what: String,
    child: Child,
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl OnTerminal {
    /// Starts a command on a terminal of so many columns. Its standard output is a pipe.
    ///
    /// # Panics
    /// When there is no terminal to be had, or the command can't be started.
    #[track_caller]
    #[must_use]
    pub fn start(mut command: Command, columns: u16) -> OnTerminal {
        let (mut from, line) = open_terminal();
        set_size(&line, columns, 24);
        let what = format!("{command:?}");
        // A job of its own, as a shell makes one: of those the kernel stops nobody whose shell is of another session.
        command.process_group(0);
        command.env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(line);
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot run {what}: {e}"));
        drop(command); // and with it our end of what the command writes to
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut chunk = [0; 4096];
            // A terminal that nobody has open any more answers with EIO.
            while let Ok(n @ 1..) = from.read(&mut chunk) {
                to.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..n]);
            }
        });
        OnTerminal { what, child, bytes, reader: Some(reader) }
    }

    /// Everything that was ever written to the terminal.
    #[must_use]
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until `text` was written.
    #[track_caller]
    pub fn expect(&self, text: &str) -> &OnTerminal {
        wait_until(format_args!("{text:?} on the terminal of {}", self.what), || {
            self.written().contains(text)
        });
        self
    }

    /// Waits until what is left to see on the terminal is as asked for.
    #[track_caller]
    pub fn expect_left(&self, what: &str, holds: impl Fn(&str) -> bool) -> &OnTerminal {
        wait_until(format_args!("{what}, on the terminal of {}", self.what), || {
            holds(&left_to_see(&self.written()))
        });
        self
    }

    /// Sends the command a signal.
    pub fn signal(&self, signal: Signal) -> &OnTerminal {
        process::signal(self.pid(), signal);
        self
    }

    /// Waits until the command is stopped.
    #[track_caller]
    pub fn expect_stopped(&self) -> &OnTerminal {
        wait_until("it is stopped", || process::find(self.pid()).is_some_and(|it| it.state == 'T'));
        self
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// Waits for its end. What is left to see on the terminal is its standard error.
    #[track_caller]
    pub fn end(mut self) -> Output {
        let status =
            wait_for(format_args!("{} ends", self.what), || self.child.try_wait().expect("our child"));
        let _ = self.reader.take().map(JoinHandle::join);
        let mut stdout = String::new();
        let _ = self.child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut stdout));
        let (what, stderr) = (self.what.clone(), left_to_see(&self.written()));
        Output { what, code: status.code(), stdout, stderr }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a terminal shows in the end of what was written to it: lines, returns to their beginning, and `ESC [ K`.
///
/// # Panics
/// At any other control sequence.
fn left_to_see(written: &str) -> String {
    let (mut lines, mut line, mut at) = (String::new(), Vec::new(), 0);
    let mut characters = written.chars();
    while let Some(character) = characters.next() {
        match character {
            '\r' => at = 0,
            '\n' => {
                lines.extend(line.drain(..));
                lines.push('\n');
                at = 0;
            }
            '\x1b' => {
                let sequence: String = characters.by_ref().take(2).collect();
                assert_eq!(sequence, "[K", "a sequence in {written:?}");
                line.truncate(at);
            }
            other => {
                line.resize(line.len().max(at + 1), ' ');
                line[at] = other;
                at += 1;
            }
        }
    }
    lines.extend(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::left_to_see;

    #[test]
    fn a_terminal_shows_what_was_not_written_over() {
        assert_eq!(left_to_see("abc\rde\x1b[K"), "de");
        assert_eq!(left_to_see("one\r\ntwo: 1.0\x1b[K\r\x1b[K"), "one\n");
    }
}
