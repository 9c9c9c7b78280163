//! `capture`: what a processor sends, raw, into a file that `simulate --replay` sends again.
//!
//! ```text
//! link.sock ── lines ──▶ line ──┐
//! workers ── datagrams ──▶ taps ─┴──▶ output ──▶ FILE
//! ```
//! Nobody connects to the processor and nobody binds its port: lines come from link, which owns the connection, and
//! datagrams from the workers. Both go on when a link or a worker is replaced.

mod line;
mod output;
mod taps;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::time::{Duration, Instant};

use atlas::capture::Record;
use atlas::order::Refusal;
use atlas::recording::{Accepted, Subscription};
use contract::{clock, counted};
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use super::client::{Client, PATIENCE};
use super::complain;
use super::error::Error;
use super::params::expect_processors;
use super::text::clean;
use crate::args::Capture;
use crate::exit::{FAILED, USAGE};
use crate::wire::Trouble;
use line::{Line, Said};
use output::Output;
use taps::Taps;

/// The token of the signals.
const SIGNALS: usize = 0;
/// How long link may be away; a supervisor that is started again by systemd is back by then.
const AWAY: Duration = Duration::from_secs(5);

/// Turns after the end: more than what a worker's socket holds takes.
const LAST_TURNS: usize = 16;

/// Why a recording ends.
enum End {
    /// Somebody interrupted it.
    Told,
    /// Its time is up.
    Time,
    /// The file has its largest size.
    Size,
    /// It cannot go on.
    Trouble(Error),
}

/// Records until it is told to end, and says what was recorded.
pub(super) fn run(client: &Client, wanted: &Capture) -> Result<(), Error> {
    let user = expect_processors(client)?.worker_uid;
    // Or a limit (RLIMIT_FSIZE) would end us in the middle of a line.
    sys::process::outlive_file_limit();
    let output = Output::create(&wanted.file, wanted.max_size).map_err(|why| cannot_write(wanted, &why))?;
    let mut recording = Recording::begin(client, wanted, output, user).inspect_err(|_| forget(wanted))?;
    let end = recording.go_on(client, wanted);
    let Some(began) = recording.began else {
        forget(wanted);
        return match end {
            End::Trouble(error) => Err(error),
            End::Told | End::Time | End::Size => Ok(()),
        };
    };
    // What was written before its disk was full stays.
    let flushed = recording.output.flush();
    complain(&summary(&recording, wanted, began.elapsed(), &end));
    if recording.output.size() == 0 && (flushed.is_err() || matches!(end, End::Trouble(_))) {
        forget(wanted);
    }
    match (end, flushed) {
        (End::Trouble(error), _) => Err(error),
        (_, Err(why)) => Err(cannot_write(wanted, &why)),
        (End::Told | End::Time | End::Size, Ok(())) => Ok(()),
    }
}

/// Everything that a recording works with.
struct Recording {
    poll: Poll,
    signals: Signals,
    line: Line,
    taps: Taps,
    output: Output,
    /// When the processor was first said to be recorded; by the clock of the records, too.
    began: Option<Instant>,
    origin: Duration,
}

impl Recording {
    fn begin(
        client: &Client,
        wanted: &Capture,
        output: Output,
        user: Option<u32>,
    ) -> Result<Recording, Error> {
        let make = || {
            let poll = Poll::new()?;
            let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
            poll.registry().register(&mut signals, Token(SIGNALS), Interest::READABLE)?;
            let number = RandomState::new().build_hasher().finish().max(1);
            let taps = Taps::listen(client.dir(), number, poll.registry())?;
            taps.welcome(user)?;
            let subscription = Subscription::new(&wanted.processor, number);
            let line = Line::new(client.dir().join(contract::LINK_SOCKET), &subscription)?;
            let (began, origin) = (None, Duration::ZERO);
            io::Result::Ok(Recording { poll, signals, line, taps, output, began, origin })
        };
        make().map_err(|why| {
            let message = format!("cannot take datagrams in {}: {why}", client.dir().display());
            refused(message, "run this as the cluster's user, or as root", FAILED)
        })
    }

    fn go_on(&mut self, client: &Client, wanted: &Capture) -> End {
        let mut events = Events::with_capacity(128);
        loop {
            let left =
                wanted.duration.zip(self.began).map(|(time, began)| time.saturating_sub(began.elapsed()));
            if left == Some(Duration::ZERO) {
                return self.last_turns(client, wanted).unwrap_or(End::Time);
            }
            if let Err(why) = self.wait(&mut events, left) {
                return End::Trouble(refused(format!("cannot wait: {why}"), "try again", FAILED));
            }
            for event in &events {
                match event.token() {
                    Token(SIGNALS) => {}
                    Token(line::LINE) => self.line.note(),
                    token => self.taps.note(token),
                }
            }
            if self.signals.pending().count() > 0 {
                return self.last_turns(client, wanted).unwrap_or(End::Told);
            }
            if let Some(end) = self.turn(client, wanted) {
                return end;
            }
            if let Some(away) = self.line.away().filter(|away| *away > AWAY) {
                return End::Trouble(gone(client, away));
            }
        }
    }

    fn wait(&mut self, events: &mut Events, left: Option<Duration>) -> io::Result<()> {
        let more = self.has_more().then_some(Duration::ZERO);
        let retry = self.line.away().map(|_| line::EVERY);
        match self.poll.poll(events, [left, more, retry].into_iter().flatten().min()) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            polled => polled,
        }
    }

    /// Something can be taken at once. What workers hand over before the processor is said to be recorded waits.
    fn has_more(&self) -> bool {
        self.line.has_more() || (self.began.is_some() && self.taps.has_more())
    }

    /// Takes what came; what it brought is in the file then, even if it ends with a refusal.
    fn turn(&mut self, client: &Client, wanted: &Capture) -> Option<End> {
        let (mut records, mut accepted, mut refusal) = (Vec::new(), None, None);
        self.line.work(self.poll.registry(), |said| match said {
            Said::Accepted(by) => accepted = Some(by),
            Said::Refused(why) => refusal = Some(why),
            Said::Record(record) => records.push(record),
        });
        if let Some(accepted) = accepted {
            self.go_ahead(&accepted, client, wanted);
        }
        if self.began.is_some() {
            self.taps.read(self.poll.registry(), |record| records.push(record));
        }
        self.write(records, wanted).or_else(|| {
            // Once it has begun it is no misuse any more: a reload may have taken the processor away.
            let exit = |exit| if self.began.is_some() { FAILED } else { exit };
            refusal.map(|Refusal { message, hint, exit: as_told }| {
                End::Trouble(Error::Refused(Trouble { message, hint, exit: exit(as_told) }))
            })
        })
    }

    /// Link says that the processor is recorded: for the first time, or another link after a reload, which may have
    /// changed the workers' user. (What they cannot hand over they count.)
    fn go_ahead(&mut self, accepted: &Accepted, client: &Client, wanted: &Capture) {
        if self.began.is_some() {
            let view = client.ask("view", PATIENCE).ok().and_then(|reply| reply.answer.view);
            let _ = view.map(|view| self.taps.welcome(view.worker_uid));
            return;
        }
        (self.began, self.origin) = (Some(Instant::now()), clock::boot());
        complain(&introduction(accepted, wanted));
    }

    fn write(&mut self, records: Vec<Record>, wanted: &Capture) -> Option<End> {
        for record in records {
            let at = record.at.saturating_sub(self.origin);
            match self.output.push(&Record { at, ..record }) {
                Ok(true) => {}
                Ok(false) => return Some(End::Size),
                Err(why) => return Some(End::Trouble(cannot_write(wanted, &why))),
            }
        }
        self.output.flush().err().map(|why| End::Trouble(cannot_write(wanted, &why)))
    }

    /// What waits when it ends is part of it; what comes meanwhile is not waited for.
    fn last_turns(&mut self, client: &Client, wanted: &Capture) -> Option<End> {
        self.began?;
        self.line.note();
        self.taps.note_all();
        for _ in 0..LAST_TURNS {
            if let Some(end) = self.turn(client, wanted) {
                return Some(end);
            }
            if !self.has_more() {
                break;
            }
        }
        None
    }
}

fn introduction(accepted: &Accepted, wanted: &Capture) -> String {
    let (name, file) = (clean(&accepted.processor), shown(wanted));
    let lines_only = if accepted.datagrams { "" } else { "; lines only: a program reads its datagrams" };
    format!("recording {name} ({}) to {file}{lines_only}; Ctrl-C ends it\n", accepted.address)
}

fn summary(recording: &Recording, wanted: &Capture, time: Duration, end: &End) -> String {
    let Recording { output, line, taps, .. } = recording;
    let counts = output.counts();
    let (lines, datagrams) = (counted(counts.lines, "line"), counted(counts.datagrams, "datagram"));
    let why = match end {
        End::Size => "; ended by --max-size",
        End::Time => "; ended by --for",
        End::Told | End::Trouble(_) => "",
    };
    format!(
        "recorded {lines} and {datagrams} in {:.1} s to {} ({} bytes); left out, because this program was too slow for \
         them: {} and {}{why}\n",
        time.as_secs_f64(),
        shown(wanted),
        output.size(),
        counted(line.left_out, "line"),
        counted(taps.left_out, "datagram"),
    )
}

fn shown(wanted: &Capture) -> String {
    clean(&wanted.file.display().to_string())
}

/// A file of ours with nothing in it.
fn forget(wanted: &Capture) {
    let _ = std::fs::remove_file(&wanted.file);
}

fn gone(client: &Client, away: Duration) -> Error {
    match client.ask("ping", PATIENCE) {
        Err(error) => error,
        Ok(_) => refused(
            format!("link gave no answer for {:.0} s", away.as_secs_f64()),
            "`atlas-cluster list` shows whether link runs",
            FAILED,
        ),
    }
}

fn cannot_write(wanted: &Capture, why: &io::Error) -> Error {
    let file = shown(wanted);
    match why.kind() {
        io::ErrorKind::AlreadyExists => {
            refused(format!("{file} exists already"), "name another file, or remove that one", USAGE)
        }
        _ => refused(
            format!("cannot write {file}: {why}"),
            "name a file in a folder that you may write to, on a disk with room",
            FAILED,
        ),
    }
}

fn refused(message: String, hint: &str, exit: u8) -> Error {
    Error::Refused(Trouble { message, hint: Some(hint.into()), exit })
}

#[cfg(test)]
mod tests;
