//! The terminal: whether there is one, how large, and drawing on it again and again.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write, stdout};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::flag;
use signal_hook::low_level::emulate_default_handler;

use super::error::Error;
use crate::colour::{self, is_smart};

/// Exit code of what had to be interrupted twice: a shell's 128 + SIGINT.
pub(super) const INTERRUPTED: i32 = 130;

/// How an answer shall look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// For a person at a terminal: frames, bars, grouped digits; else plain columns.
    pub(super) terminal: bool,
    /// With colours.
    pub(super) colour: bool,
    /// Width of the terminal.
    pub(super) columns: usize,
    /// Its height.
    pub(super) rows: usize,
}

impl Look {
    /// What standard output asks for at this moment.
    pub(super) fn now() -> Look {
        Look::of(&stdout())
    }

    /// The same for another stream.
    pub(super) fn of(stream: &(impl IsTerminal + AsFd)) -> Look {
        let terminal = stream.is_terminal() && is_smart();
        let (columns, rows) = terminal_size::terminal_size_of(stream)
            .map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)));
        // A terminal that does not know its size says 0.
        let [columns, rows] =
            [(columns, 80), (rows, 24)].map(|(size, usual)| if size == 0 { usual } else { size });
        Look { terminal, colour: colour::is_wanted(stream), columns, rows }
    }

    /// `text` in a style, if there are colours.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{}m{text}\x1b[0m", style as u8)
    }
}

/// A way to write text, by its SGR number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Headings.
    Bold = 1,
    /// What is old or matters less.
    Dim = 2,
    /// Wrong.
    Red = 31,
    /// Well.
    Green = 32,
    /// On its way, or worth a look.
    Yellow = 33,
}

/// Writes an answer to standard output.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)
}

/// The same, where a verdict or more words follow: a reader who has had enough of the answer takes nothing from those.
pub(super) fn answer(text: &str) -> Result<(), Error> {
    match print(text) {
        Err(Error::Output(why)) if why.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// The terminal's other screen, without a cursor; the first one comes back when this is dropped.
pub(super) struct Screen {
    interrupted: Arc<AtomicBool>,
    /// Ctrl-Z.
    stopped: Arc<AtomicBool>,
    /// `fg`, or whatever else lets a stopped process go on.
    continued: Arc<AtomicBool>,
}

impl Screen {
    /// Switches to the other screen: no cursor, and nothing that is too long wraps.
    pub(super) const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
    /// Back.
    pub(super) const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

    /// Switches over. From now on signals that end or stop this process are only noted, so that there is time to switch
    /// back.
    pub(super) fn enter() -> Result<Screen, Error> {
        let noted = || Arc::new(AtomicBool::new(false));
        let screen = Screen { interrupted: noted(), stopped: noted(), continued: noted() };
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            // A second one ends this at once: the terminal may be what does not answer.
            flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&screen.interrupted))
                .and_then(|_| flag::register(signal, Arc::clone(&screen.interrupted)))
                .map_err(Error::Output)?;
        }
        for (signal, noted) in [(SIGTSTP, &screen.stopped), (SIGCONT, &screen.continued)] {
            flag::register(signal, Arc::clone(noted)).map_err(Error::Output)?;
        }
        // The guard is there: what is written half is undone too.
        print(Screen::ENTER)?;
        Ok(screen)
    }

    /// Whether somebody wants this to end.
    pub(super) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Stops this process if somebody has asked for that; the shell has the terminal meanwhile. Whether somebody else may
    /// have used it, so that all is to be drawn anew.
    pub(super) fn rest(&self) -> Result<bool, Error> {
        let asked = self.stopped.swap(false, Ordering::Relaxed);
        if asked {
            print(Screen::LEAVE)?;
            emulate_default_handler(SIGTSTP).map_err(Error::Output)?;
        }
        let again = self.continued.swap(false, Ordering::Relaxed) || asked;
        if again {
            print(Screen::ENTER)?;
        }
        Ok(again)
    }

    /// Shows a frame in place of the last one.
    pub(super) fn show(&self, frame: &str, rows: usize) -> Result<(), Error> {
        print(&compose(frame, rows))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _: io::Result<()> = stdout().write_all(Screen::LEAVE.as_bytes()).and_then(|()| stdout().flush());
    }
}

/// A frame as bytes for the terminal: from the top, each line cleared behind, the rest below cleared.
fn compose(frame: &str, rows: usize) -> String {
    let lines: Vec<&str> = frame.lines().collect();
    let shown = if lines.len() <= rows { lines.len() } else { rows.saturating_sub(1) };
    let mut bytes = String::from("\x1b[H");
    for (at, line) in lines.iter().take(shown).enumerate() {
        let end = if at == 0 { "" } else { "\r\n" };
        let _ = write!(bytes, "{end}{line}\x1b[K");
    }
    if shown < lines.len() {
        let _ = write!(bytes, "\r\n… {} more lines than the terminal is high\x1b[K", lines.len() - shown);
    }
    bytes.push_str("\x1b[J");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_never_scrolls_the_terminal() {
        assert_eq!(compose("a\nb\n", 2), "\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J");
        let cut = compose("a\nb\nc\n", 2);
        assert_eq!(cut, "\x1b[Ha\x1b[K\r\n… 2 more lines than the terminal is high\x1b[K\x1b[J");
        assert_eq!(compose("", 2), "\x1b[H\x1b[J");
    }

    #[test]
    fn without_colour_there_are_no_escapes() {
        let look = Look { terminal: true, colour: false, columns: 80, rows: 24 };
        assert_eq!(look.paint(Style::Red, "x"), "x");
        assert_eq!(Look { colour: true, ..look }.paint(Style::Red, "x"), "\x1b[31mx\x1b[0m");
    }
}
