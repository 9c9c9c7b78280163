//! Log lines: formatted where they arise, written by a thread of their own.
//!
//! Even standard error can block (a stopped terminal, a full pipe), and the supervisor must not. So lines go through
//! a bounded channel to the one helper thread; what does not fit, or cannot be written, is counted, and said once it can be.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use contract::logs::{Format, Record, SUPERVISOR};
use contract::{counted, were};
use crossbeam_channel::{Receiver, Sender, bounded};
use env_logger::{Builder, Target};
use jiff::Timestamp;
use log::{Level, LevelFilter};

use super::held;
use super::logs::Logs;
use crate::colour;

/// Lines that may wait to be written.
const MAX_WAITING: usize = 1024;
/// How long the last lines are waited for.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Whether lines on standard error are JSON.
static JSON: AtomicBool = AtomicBool::new(false);

/// What a line looks like.
#[derive(Clone, Copy)]
enum Form {
    /// As the logger takes it.
    Logger,
    Text,
    Json,
}

impl Form {
    /// The one of this moment.
    fn now(to_logger: bool) -> Form {
        match (to_logger, JSON.load(Ordering::Relaxed)) {
            (true, _) => Form::Logger,
            (false, false) => Form::Text,
            (false, true) => Form::Json,
        }
    }
}

/// Where lines go.
pub(super) enum Sink {
    Stderr,
    /// To the logger, who knows the time.
    Logger(File),
}

impl Sink {
    /// To the logger's pipe, if there is one.
    pub(super) fn of(logs: Option<&Logs>) -> io::Result<Sink> {
        let output = logs.and_then(Logs::own_output).map(sys::fds::duplicate).transpose()?;
        Ok(output.map_or(Sink::Stderr, |output| Sink::Logger(output.into())))
    }
}

/// From now on lines on standard error look like this.
pub(super) fn set_format(format: Format) {
    JSON.store(format == Format::Json, Ordering::Relaxed);
}

enum Message {
    Line(Vec<u8>),
    /// Everything after this is lost: it would keep whoever reads from coming to an end.
    Close,
    /// Everything before this is written: to be called then.
    Written(Box<dyn FnOnce() + Send>),
}

/// Brings the last lines out when it is dropped.
pub(super) struct LogWriter {
    lines: Sender<Message>,
    lost: Arc<AtomicU64>,
}

impl LogWriter {
    /// Has `tell` called, by the log's thread, once everything that was said so far is written. Where there is no room
    /// even for this, never.
    pub(super) fn when_written(&self, tell: impl FnOnce() + Send + 'static) {
        let _ = self.lines.try_send(Message::Written(Box::new(tell)));
    }

    /// Writes what there is, and nothing more.
    pub(super) fn close(&self) {
        let _ = self.lines.send_timeout(Message::Close, LAST_WORDS);
        self.wait();
    }

    fn wait(&self) {
        let (done, wait) = bounded(1);
        let tell = Message::Written(Box::new(move || _ = done.send(())));
        if self.lines.send_timeout(tell, LAST_WORDS).is_ok() {
            let _ = wait.recv_timeout(LAST_WORDS);
        }
    }

    /// Lines that are not written, and never will be if the process is replaced now. Among them counts what
    /// `when_written` asked, in the place of the line that the thread is at.
    pub(super) fn unwritten(&self) -> u64 {
        self.lost.load(Ordering::Relaxed) + self.lines.len() as u64
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.wait();
    }
}

/// Installs the logger; so many lines were lost before.
///
/// # Errors
/// When no thread can be started.
pub(super) fn init(level: LevelFilter, lost: u64, sink: Sink, format: Format) -> io::Result<LogWriter> {
    set_format(format);
    let to_logger = matches!(sink, Sink::Logger(_));
    let (lines, waiting) = bounded(MAX_WAITING);
    let lost = Arc::new(AtomicU64::new(lost));
    let (channel, writer) = (
        Channel { lines: lines.clone(), lost: Arc::clone(&lost) },
        LogWriter { lines, lost: Arc::clone(&lost) },
    );
    held::thread("log", move || write(&waiting, &lost, sink))?;
    let colour = colour::is_wanted(&io::stderr());
    // A logger that is installed already (in a test process) stays.
    let _ = Builder::new()
        .filter_level(level)
        .target(Target::Pipe(Box::new(channel)))
        .format(move |out, record| write_as(Form::now(to_logger), colour, out, record.level(), record.args()))
        .try_init();
    Ok(writer)
}

/// One line.
fn write_as(
    form: Form,
    colour: bool,
    out: &mut dyn Write,
    level: Level,
    message: &dyn Display,
) -> io::Result<()> {
    let (on, off) = if colour { (style(level), "\x1b[0m") } else { ("", "") };
    match form {
        Form::Logger => writeln!(out, "{level:<5} {message}"),
        Form::Text => writeln!(out, "{:.3} {on}{level:<5}{off} {message}", Timestamp::now()),
        Form::Json => write_json(out, level, &message.to_string()),
    }
}

fn write_json(out: &mut dyn Write, level: Level, message: &str) -> io::Result<()> {
    let time = format!("{:.3}", Timestamp::now());
    let level = level.as_str().to_lowercase();
    let source = SUPERVISOR.into();
    let line = Record { time: time.into(), source, level: Some(level.into()), message: message.into() };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
}

fn style(level: Level) -> &'static str {
    match level {
        Level::Error => "\x1b[31m",
        Level::Warn => "\x1b[33m",
        Level::Info => "\x1b[32m",
        Level::Debug | Level::Trace => "\x1b[2m",
    }
}

/// Where env_logger writes: one call for each line.
struct Channel {
    lines: Sender<Message>,
    lost: Arc<AtomicU64>,
}

impl Write for Channel {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(Message::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(waiting: &Receiver<Message>, lost: &AtomicU64, sink: Sink) {
    let to_logger = matches!(sink, Sink::Logger(_));
    let mut out: Option<Box<dyn Write>> = Some(match sink {
        Sink::Stderr => Box::new(io::stderr()),
        Sink::Logger(file) => Box::new(file),
    });
    for message in waiting {
        match message {
            Message::Line(line) => {
                out.iter_mut().for_each(|out| write_line(out, &line, lost, Form::now(to_logger)));
            }
            Message::Close => out = None,
            Message::Written(tell) => tell(),
        }
    }
}

/// A standard error that is closed or full costs lines, never the service.
fn write_line(out: &mut dyn Write, line: &[u8], lost: &AtomicU64, form: Form) {
    let before = lost.swap(0, Ordering::Relaxed);
    let told = if before == 0 { Ok(()) } else { tell_lost(out, before, form) };
    let unsaid = if told.is_err() { before } else { 0 };
    let unwritten = told.and_then(|()| out.write_all(line)).is_err();
    lost.fetch_add(unsaid + u64::from(unwritten), Ordering::Relaxed);
}

/// A line like the others.
fn tell_lost(out: &mut dyn Write, number: u64, form: Form) -> io::Result<()> {
    let whose = match form {
        Form::Logger => "the logger",
        Form::Text | Form::Json => "standard error",
    };
    let what =
        format!("{} {} left out: {whose} did not take them", counted(number, "log line"), were(number));
    write_as(form, false, out, Level::Warn, &what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written when a line comes after others were lost.
    fn told(form: Form) -> (String, u64) {
        let (mut out, lost) = (Vec::new(), AtomicU64::new(3));
        write_line(&mut out, b"next\n", &lost, form);
        (String::from_utf8(out).unwrap(), lost.into_inner())
    }

    #[test]
    fn what_was_left_out_is_told_in_the_form_of_the_lines_around_it() {
        let (logger, left) = told(Form::Logger);
        assert_eq!(logger, "WARN  3 log lines were left out: the logger did not take them\nnext\n");
        assert_eq!(left, 0);
        let text = told(Form::Text).0;
        assert!(text.starts_with("20"), "with its time: {text}");
        assert!(
            text.ends_with("Z WARN  3 log lines were left out: standard error did not take them\nnext\n")
        );
        let json = told(Form::Json).0;
        let line: Record<'_> = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!((line.source.as_ref(), line.level.as_deref()), (SUPERVISOR, Some("warn")));
        assert!(line.message.ends_with("standard error did not take them"), "{json}");
    }
}
