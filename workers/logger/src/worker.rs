//! The role: prepare, wait for the seat, finish what a predecessor left, and go on until told to leave.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use contract::logs::{LAST_WORDS, STAGE_READ, STAGE_WRITE, source_of};
use contract::{Contract, Failure, Life, SEAT, Seat, clock};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::unistd::{dup2_stderr, dup2_stdout};
use signal_hook::consts::SIGUSR1;
use signal_hook_mio::v1_0::Signals;
use sys::map::Mapping;

use crate::book::Book;
use crate::editor::{self, Now, Style};
use crate::folder::Folder;
use crate::journal::{self, Journal};
use crate::limit::Limit;
use crate::lines::takeable;
use crate::pipes::{Glass, Seen, Stage, without_waiting};
use crate::settings::Settings;
use crate::text::Text;

/// Token of SIGUSR1; those below are of the sources.
const REOPEN: Token = Token(1 << 20);
/// An unfinished line to which nothing was added for so long is a line.
const SETTLED: Duration = Duration::from_secs(1);
/// How often unfinished lines, and what is to be told, are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Somebody who prints.
struct Source {
    number: usize,
    name: String,
    pipe: OwnedFd,
    /// There may be something.
    ready: bool,
    /// Nobody is left who could print: what is there is all.
    closed: bool,
    /// And nothing is there.
    ended: bool,
    /// An unfinished line: its length, and when that was seen first.
    unfinished: Option<(usize, Duration)>,
}

/// The life of the role.
pub(crate) fn main(mut contract: Contract) -> Result<(), Failure> {
    let settings = Settings::parse(&contract.config()?)?;
    let folder = settings.folder()?;
    let seat = contract.take(SEAT)?;
    let map = Mapping::new(seat.as_fd(), journal::BYTES);
    let map = map.map_err(|e| Failure::of("cannot map the slot's segment", &e))?;
    let strange = || Failure { what: "the slot's segment is laid out in another way".into(), errno: 0 };
    let journal = Journal::new(map.words()).ok_or_else(strange)?;
    let failed = |e: io::Error| Failure::of("cannot prepare the pipes", &e);
    let stage = Stage::new(contract.take(STAGE_READ)?, contract.take(STAGE_WRITE)?).map_err(failed)?;
    let glass = Glass::new().map_err(failed)?;
    let poll = Poll::new().map_err(failed)?;
    let sources = sources(&mut contract, &poll)?;
    // Before READY: from then on it may come, and by default it is deadly.
    let mut reopen = Signals::new([SIGUSR1]).map_err(failed)?;
    poll.registry().register(&mut reopen, REOPEN, Interest::READABLE).map_err(failed)?;
    contract.notify.ready();
    let _seat = Seat::wait(seat.as_fd()).map_err(|e| Failure::of("cannot wait for the slot's lock", &e))?;
    // What others say last, the supervisor among them, is written: we leave when all of them are gone.
    nix::sys::prctl::set_pdeathsig(None)
        .map_err(|e| Failure::of("cannot outlive the supervisor", &e.into()))?;
    let book = Book::new(Folder::claim(&folder), &settings, journal);
    let parent = contract.get(contract::PARENT).map(sys::fds::duplicate).transpose().map_err(failed)?;
    let life = Life::begin(contract, poll.registry(), clock::boot())?;
    let style = settings.style();
    let mut shell =
        Shell { poll, life, parent, reopen, sources, glass, stage, book, journal, style, alone: None };
    shell.finish_what_was_left().map_err(failed)?;
    shell.serve()
}

/// Every pipe that was given, watched.
fn sources(contract: &mut Contract, poll: &Poll) -> Result<Vec<Source>, Failure> {
    let names: Vec<String> = contract.names().map(str::to_owned).collect();
    let mut sources = Vec::new();
    for pipe_name in names {
        let Some((number, name)) = source_of(&pipe_name) else { continue };
        let pipe = contract.take(&pipe_name)?;
        let token = Token(sources.len());
        let watch = || {
            without_waiting(pipe.as_fd())?;
            poll.registry().register(&mut SourceFd(&pipe.as_raw_fd()), token, Interest::READABLE)
        };
        watch().map_err(|e| Failure::of(format_args!("cannot watch the pipe of {name}"), &e))?;
        let name = name.to_owned();
        sources.push(Source {
            number,
            name,
            pipe,
            ready: true,
            closed: false,
            ended: false,
            unfinished: None,
        });
    }
    Ok(sources)
}

struct Shell<'a> {
    poll: Poll,
    life: Life,
    /// Hangs up with the supervisor.
    parent: Option<OwnedFd>,
    reopen: Signals,
    sources: Vec<Source>,
    glass: Glass,
    stage: Stage,
    book: Book<'a>,
    journal: Journal<'a>,
    style: Style,
    /// The supervisor is gone: until when the others are heard.
    alone: Option<Duration>,
}

impl Shell<'_> {
    /// Until told to leave; without a supervisor, until nobody can print any more.
    fn serve(&mut self) -> Result<(), Failure> {
        let mut events = Events::with_capacity(256);
        loop {
            let mut found = false;
            // One window of each in turn: a flood keeps nobody waiting.
            for index in 0..self.sources.len() {
                found |= self.read(index).map_err(|e| {
                    Failure::of(format_args!("cannot read what {} prints", self.sources[index].name), &e)
                })?;
            }
            if self.is_over() {
                self.tell_what_is_left();
                self.life.notify().stopping();
                return Ok(());
            }
            self.tell_what_is_due();
            self.wait(&mut events, found)?;
        }
    }

    fn is_over(&mut self) -> bool {
        if self.sources.iter().all(|source| source.ended) {
            return true;
        }
        if !self.life.leaving() {
            return false;
        }
        if self.parent.as_ref().is_some_and(|parent| sys::process::hung_up(parent.as_fd())) {
            let until = *self.alone.get_or_insert_with(|| {
                hush();
                clock::boot() + LAST_WORDS
            });
            return clock::boot() >= until;
        }
        true
    }

    fn wait(&mut self, events: &mut Events, found: bool) -> Result<(), Failure> {
        let now = clock::boot();
        let due = self.alone.is_some()
            || self.book.has_lost()
            || self.sources.iter().any(|source| source.unfinished.is_some())
            || self.sources.iter().any(|source| self.book.limit(source.number).muted);
        let ping = self.life.poll_wait(now);
        let wait = match (found, due) {
            (true, _) => Some(Duration::ZERO),
            (false, true) => Some(ping.map_or(LOOK, |ping| ping.min(LOOK))),
            (false, false) => ping,
        };
        match self.poll.poll(events, wait) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(Failure::of("cannot wait", &e)),
            Ok(()) | Err(_) => {}
        }
        for event in events.iter() {
            match event.token() {
                REOPEN => {
                    let _ = self.reopen.pending().count();
                    self.book.reopen();
                }
                Token(index) if index < self.sources.len() => {
                    self.sources[index].ready = true;
                    self.sources[index].closed |= event.is_read_closed();
                }
                token => _ = self.life.handle(token),
            }
        }
        Ok(())
    }

    /// Takes and writes one window of a source; whether there was something.
    fn read(&mut self, index: usize) -> io::Result<bool> {
        let boot = clock::boot();
        let source = &mut self.sources[index];
        if source.ended || !(source.ready || source.unfinished.is_some()) {
            return Ok(false);
        }
        let seen = self.glass.look(source.pipe.as_fd())?;
        let Seen::Some(bytes) = seen else {
            source.ended = seen == Seen::End;
            (source.ready, source.unfinished) = (false, None);
            return Ok(false);
        };
        let settled = source.unfinished.is_some_and(|(len, since)| len == bytes && boot >= since + SETTLED);
        let taken = takeable(self.glass.window(bytes), settled || source.closed || self.alone.is_some());
        if taken == 0 {
            source.ready = false;
            source.unfinished = match source.unfinished {
                Some((len, since)) if len == bytes => Some((len, since)),
                Some(_) | None => Some((bytes, boot)),
            };
            return Ok(false);
        }
        source.unfinished = None;
        source.ready = true;
        let window = self.glass.window(taken);
        let taken = editor::fitting(self.style, &now(), &source.name, self.book.most(), window);
        let batch = self.book.done() + 1;
        self.journal.intend(batch, source.number);
        let moved = self.stage.take(source.pipe.as_fd(), taken)?;
        if moved == taken {
            self.write(batch, source_named(&self.sources, index), taken);
        } else {
            self.write_stage(batch, self.sources[index].number)?;
        }
        self.stage.clear()?;
        Ok(true)
    }

    /// A predecessor may have taken what it did not write, or written what it did not clear away.
    fn finish_what_was_left(&mut self) -> io::Result<()> {
        let (batch, source) = self.journal.intent();
        if self.book.done() < batch {
            self.write_stage(batch, source)?;
        }
        self.stage.clear()
    }

    /// What is on the stage is the truth.
    fn write_stage(&mut self, batch: u64, number: usize) -> io::Result<()> {
        if let Seen::Some(bytes) = self.glass.look(self.stage.reader())? {
            let found = self.sources.iter().position(|source| source.number == number);
            let name = found.map_or_else(|| number.to_string(), |index| self.sources[index].name.clone());
            self.write(batch, (number, name), bytes);
        }
        Ok(())
    }

    /// Writes what is in the window, and commits that.
    fn write(&mut self, batch: u64, (number, name): (usize, String), bytes: usize) {
        let (now, boot, mut text) = (now(), clock::boot(), Text::default());
        let mut limit = self.book.limit(number);
        editor::edit(&mut text, self.style, &now, &name, &mut limit, self.glass.window(bytes));
        self.book.write(&now, boot, &text);
        self.book.finish(batch, number, limit);
    }

    /// What was left out of a flood that is over, and what could not be written.
    fn tell_what_is_due(&mut self) {
        self.tell(editor::tell_left_out);
    }

    /// The same at the end, of a flood that is not over, too.
    fn tell_what_is_left(&mut self) {
        if self.book.has_lost() {
            self.book.reopen(); // now, or perhaps never
        }
        self.tell(editor::tell_left_out_at_last);
    }

    fn tell(&mut self, tell_left_out: impl Fn(&mut Text, Style, &Now, &str, &mut Limit)) {
        let (mut text, mut limits, mut at) = (Text::default(), Vec::new(), None);
        for source in &self.sources {
            let before = self.book.limit(source.number);
            if before.muted {
                let (now, mut limit) = (at.get_or_insert_with(now), before);
                tell_left_out(&mut text, self.style, now, &source.name, &mut limit);
                if (limit.muted, limit.left_out) != (before.muted, before.left_out) {
                    limits.push((source.number, limit));
                }
            }
        }
        if !limits.is_empty() {
            self.book.write(&at.unwrap_or_else(now), clock::boot(), &text);
            self.book.set_limits(limits);
        } else if self.book.has_lost() {
            self.book.tell_lost(&now(), clock::boot());
        }
    }
}

/// Prints to nobody from now on: our own pipe, which we read, too, would never end.
fn hush() {
    if let Ok(nobody) = File::options().write(true).open("/dev/null") {
        let _ = dup2_stdout(&nobody);
        let _ = dup2_stderr(&nobody);
    }
}

fn source_named(sources: &[Source], index: usize) -> (usize, String) {
    (sources[index].number, sources[index].name.clone())
}

fn now() -> Now {
    let boot = u64::try_from(clock::boot().as_millis()).unwrap_or(u64::MAX);
    Now { boot, time: format!("{:.3}", jiff::Timestamp::now()) }
}
