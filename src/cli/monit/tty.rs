//! The terminal: taken over, drawn on, and given back as it was, whatever ends this process but SIGKILL.

use std::io::{self, BufWriter, Stdout, stdout};
use std::mem::ManuallyDrop;
use std::panic;
use std::process;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{SendTimeoutError, Sender};
use nix::unistd::write;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::eyes::News;
use crate::cli::terminal::{INTERRUPTED, Screen};

/// Room for a frame, so that it reaches the terminal whole.
const FRAME: usize = 64 << 10;
/// How long a terminal that takes nothing may hold up the end.
const GRACE: Duration = Duration::from_secs(2);
const CLEAR: &str = "\x1b[H\x1b[2J";

/// The terminal, while it is ours.
pub(super) struct Tty {
    /// Never dropped: it would complain on standard error that it has no cursor to show, and panic where that is gone
    /// with the terminal.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<BufWriter<Stdout>>>>,
    size: (u16, u16),
}

impl Tty {
    /// Takes it over: no line editing, the other screen, no cursor. Signals that end or stop this process are told as
    /// news from now on.
    pub(super) fn enter(give: Sender<News>) -> io::Result<Tty> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            give_back();
            before(what);
            // A thread that is missing would leave half a screen. A release ends here anyway.
            process::abort();
        }));
        hear_signals(give)?;
        // The guard comes first: what was done half is undone too.
        let out = BufWriter::with_capacity(FRAME, stdout());
        let options = TerminalOptions { viewport: Viewport::Fixed(Rect::ZERO) };
        let terminal = Terminal::with_options(CrosstermBackend::new(out), options)?;
        let tty = Tty { terminal: ManuallyDrop::new(terminal), size: (0, 0) };
        take()?;
        Ok(tty)
    }

    /// Draws a frame of this size: columns and rows.
    pub(super) fn draw(&mut self, size: (u16, u16), draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if self.size != size {
            put(CLEAR)?;
            self.terminal.resize(Rect::new(0, 0, size.0, size.1))?;
            self.size = size;
        }
        self.terminal.draw(draw).map(drop)
    }

    /// Stops this process as Ctrl-Z does: the shell has the terminal until it lets us go on.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        emulate_default_handler(SIGTSTP)?;
        self.again()
    }

    /// Takes the terminal over again, from whoever used it meanwhile.
    pub(super) fn again(&mut self) -> io::Result<()> {
        disable_raw_mode()?;
        take()?;
        self.size = (0, 0);
        Ok(())
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    put(Screen::ENTER)
}

/// Whatever state it is in. A terminal that is gone needs no restoring.
fn give_back() {
    let _ = disable_raw_mode();
    let _ = put(Screen::LEAVE);
}

/// Past every buffer and its lock: somebody may panic while he holds that.
fn put(text: &str) -> io::Result<()> {
    let mut left = text.as_bytes();
    while !left.is_empty() {
        let written = write(stdout(), left)?;
        left = left.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// A thread that tells of signals.
fn hear_signals(give: Sender<News>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT])?;
    let hear = move || {
        for signal in signals.forever() {
            let news = match signal {
                SIGTSTP => News::Suspend,
                SIGCONT => News::Continue,
                _ => {
                    let _ = give.send_timeout(News::End, GRACE);
                    thread::sleep(GRACE);
                    // Whoever draws is held up: the terminal takes nothing any more.
                    let _ = disable_raw_mode();
                    process::exit(INTERRUPTED);
                }
            };
            // While whoever draws is held up nothing is taken: a signal that ends this must be heard all the same.
            if let Err(SendTimeoutError::Disconnected(_)) = give.send_timeout(news, GRACE) {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(hear).map(drop)
}
