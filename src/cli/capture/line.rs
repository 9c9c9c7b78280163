//! The line to link: every line of the processor comes over it. A link that is replaced is asked again.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use atlas::capture::{self, Record};
use atlas::order::Refusal;
use atlas::recording::{Accepted, Heard, Subscription};
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

/// The token of the line.
pub(super) const LINE: usize = 1;
/// How often a link that cannot be reached is tried.
pub(super) const EVERY: Duration = Duration::from_millis(50);
/// The longest frame, in bytes: the longest line of a processor, if each byte of it is escaped.
const MAX_FRAME: usize = 1 << 20;
/// Bytes read in one turn.
const MAX_READ: usize = 1 << 20;

/// What was heard.
pub(super) enum Said {
    /// It is recorded from now on, or again.
    Accepted(Accepted),
    /// It will not be, or no more.
    Refused(Refusal),
    /// A line of the processor.
    Record(Record),
}

/// The line, whether it is open or not.
pub(super) struct Line {
    path: PathBuf,
    request: Vec<u8>,
    stream: Option<UnixStream>,
    readable: bool,
    input: Vec<u8>,
    /// Since when nobody has accepted us; None while somebody has.
    away_since: Option<Instant>,
    retry_at: Instant,
    /// Lines that were left out on the way to us.
    pub(super) left_out: u64,
}

impl Line {
    /// Not connected yet.
    pub(super) fn new(path: PathBuf, subscription: &Subscription) -> io::Result<Line> {
        let mut request = serde_json::to_vec(subscription)?;
        request.push(b'\n');
        let now = Instant::now();
        Ok(Line {
            path,
            request,
            stream: None,
            readable: false,
            input: Vec::new(),
            away_since: Some(now),
            retry_at: now,
            left_out: 0,
        })
    }

    /// How long nobody has accepted us.
    pub(super) fn away(&self) -> Option<Duration> {
        self.away_since.map(|since| since.elapsed())
    }

    /// Notes an event of the poll.
    pub(super) fn note(&mut self) {
        self.readable = true;
    }

    /// Whether something can be read without a new event.
    pub(super) fn has_more(&self) -> bool {
        self.readable && self.stream.is_some()
    }

    /// Connects if need be, and takes a bounded part of what link says.
    pub(super) fn work(&mut self, registry: &Registry, mut take: impl FnMut(Said)) {
        if self.stream.is_none() && self.retry_at <= Instant::now() {
            self.retry_at = Instant::now() + EVERY;
            self.stream = self.connect(registry).ok();
            self.readable = self.stream.is_some();
        }
        if self.read().is_err() {
            self.stream = None;
            self.away_since.get_or_insert_with(Instant::now);
        }
        let mut rest = &self.input[..];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = rest.split_at(end);
            rest = &behind[1..];
            match serde_json::from_slice::<Heard>(line) {
                Ok(Heard::Error { error }) => take(Said::Refused(error)),
                Ok(Heard::Accepted(accepted)) => {
                    self.away_since = None;
                    take(Said::Accepted(accepted));
                }
                Ok(Heard::LeftOut { left_out }) => self.left_out += left_out,
                Err(_) => match capture::parse(line) {
                    Ok(record) => take(Said::Record(record)),
                    Err(_) => self.left_out += 1,
                },
            }
        }
        let used = self.input.len() - rest.len();
        self.input.drain(..used);
        if self.stream.is_none() {
            self.input.clear(); // half a line of a link that is gone
        }
    }

    fn connect(&self, registry: &Registry) -> io::Result<UnixStream> {
        let mut stream = StdStream::connect(&self.path)?;
        stream.set_nonblocking(true)?;
        stream.write_all(&self.request)?;
        let mut stream = UnixStream::from_std(stream);
        registry.register(&mut stream, Token(LINE), Interest::READABLE)?;
        Ok(stream)
    }

    fn read(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let (mut buffer, mut total) = ([0; 16 << 10], 0);
        while self.readable && total < MAX_READ {
            match stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    total += count;
                    self.input.extend_from_slice(&buffer[..count]);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let whole = self.input.contains(&b'\n');
        if !whole && self.input.len() > MAX_FRAME { Err(ErrorKind::InvalidData.into()) } else { Ok(()) }
    }
}
