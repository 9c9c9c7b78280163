//! One question to the supervisor, one answer.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt};
use socket2::{Domain, SockAddr, Socket, Type};

use super::error::Error;
use super::process::is_stopped;
use crate::wire::{Answer, CONTROL_SOCKET, MAX_ANSWER, Request};

/// How long a supervisor may take to say what it knows.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How often more a question is asked whose connection was closed.
const MORE_TRIES: u32 = 3;
/// The most descriptors of an answer: a table, and a ring for each slot; with room.
const MAX_FDS: usize = 253;

/// An answer, and the descriptors that came beside it.
pub(super) struct Reply {
    /// The answer; it has no `error`.
    pub(super) answer: Answer,
    /// The descriptors, in the order they were sent.
    pub(super) fds: Vec<OwnedFd>,
}

/// A refusal, with what the supervisor said beside it.
pub(super) struct Refusal {
    /// Why.
    pub(super) error: Error,
    /// The whole answer, where there was one.
    pub(super) answer: Option<Box<Answer>>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal { error, answer: None }
    }
}

/// The cluster of a runtime directory, as seen through its control socket.
#[derive(Clone)]
pub(super) struct Client {
    dir: PathBuf,
}

impl Client {
    /// The cluster of `dir`; nothing is asked yet.
    pub(super) fn new(dir: &Path) -> Client {
        Client { dir: dir.to_owned() }
    }

    /// Its runtime directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Asks what can be answered at once: `verb` alone, within `patience`. A supervisor that is killed meanwhile closes
    /// this connection before its socket: the next try tells that nobody is there any more.
    pub(super) fn ask(&self, verb: &str, patience: Duration) -> Result<Reply, Error> {
        let ask = || {
            let request = Request { verb: verb.into(), ..Request::default() };
            self.exchange(request, Some(patience)).map_err(|refusal| refusal.error)
        };
        for _ in 0..MORE_TRIES {
            match ask() {
                Err(Error::Closed { .. }) => {}
                asked => return asked,
            }
        }
        ask()
    }

    /// Gives an order and waits for as long as it takes. A supervisor that does not even answer a ping gets none:
    /// that would be waited for without an end.
    pub(super) fn order(&self, request: Request) -> Result<Reply, Refusal> {
        let verb = request.verb.clone();
        self.ask("ping", PATIENCE).map_err(|error| error.of(&verb))?;
        self.exchange(request, None)
            .map_err(|Refusal { error, answer }| Refusal { error: error.of(&verb), answer })
    }

    /// An answer that could not be used, for `why`.
    pub(super) fn garbage(&self, verb: &str, why: impl Into<String>) -> Error {
        Error::Garbage { dir: self.dir.clone(), verb: verb.into(), why: why.into(), version: None }
    }

    fn exchange(&self, mut request: Request, patience: Option<Duration>) -> Result<Reply, Refusal> {
        request.version = env!("CARGO_PKG_VERSION").into();
        let verb = request.verb.clone();
        let deadline = patience.map(|p| Instant::now() + p);
        let mut exchange = Exchange { client: self, verb: &verb, patience, deadline, pid: None };
        let stream = exchange.connect()?;
        exchange.pid = peer(&stream);
        exchange.send(&stream, &request)?;
        let (line, fds) = exchange.receive(&stream)?;
        let answer = exchange.parse(&line)?;
        match answer.error.clone() {
            None => Ok(Reply { answer, fds }),
            Some(trouble) => Err(Refusal { error: Error::Refused(trouble), answer: Some(Box::new(answer)) }),
        }
    }
}

/// One question under way.
struct Exchange<'a> {
    client: &'a Client,
    verb: &'a str,
    patience: Option<Duration>,
    deadline: Option<Instant>,
    /// Who listens, once it is connected.
    pid: Option<u32>,
}

impl Exchange<'_> {
    fn connect(&self) -> Result<UnixStream, Error> {
        let dir = self.client.dir.clone();
        let path = dir.join(CONTROL_SOCKET);
        let attempt = || -> io::Result<UnixStream> {
            let address = SockAddr::unix(&path)?;
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            // A supervisor that accepts nobody lets connect(2) wait for this long.
            socket.set_write_timeout(Some(self.left().unwrap_or(PATIENCE)))?;
            socket.connect(&address)?;
            Ok(UnixStream::from(OwnedFd::from(socket)))
        };
        attempt().map_err(|source| match source.kind() {
            ErrorKind::NotFound if dir.is_dir() => {
                Error::NotRunning { dir, why: "it holds no control socket".into() }
            }
            ErrorKind::NotFound => Error::NotRunning { dir, why: "there is no such directory".into() },
            ErrorKind::ConnectionRefused => {
                Error::NotRunning { dir, why: "nothing listens on its control socket any more".into() }
            }
            ErrorKind::NotADirectory => Error::NotRunning { dir, why: "it is not a directory".into() },
            ErrorKind::PermissionDenied => Error::Denied { dir },
            _ => self.trouble(source, 0),
        })
    }

    fn send(&self, stream: &UnixStream, request: &Request) -> Result<(), Error> {
        let mut line = serde_json::to_vec(request).map_err(|error| self.trouble(error.into(), 0))?;
        line.push(b'\n');
        let mut left = &line[..];
        while !left.is_empty() {
            self.hurry(|time| stream.set_write_timeout(time))?;
            match sys::fds::send(stream.as_fd(), left, &[], sys::fds::Wait::ForRoom) {
                Ok(sent) => left = left.get(sent..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.trouble(error, 0)),
            }
        }
        Ok(())
    }

    /// The answer's line, without its newline, and what came beside it.
    fn receive(&mut self, stream: &UnixStream) -> Result<(Vec<u8>, Vec<OwnedFd>), Error> {
        let (mut line, mut fds) = (Vec::new(), Vec::new());
        let mut buffer = vec![0; 64 << 10];
        loop {
            self.hurry(|time| stream.set_read_timeout(time))?;
            let got = match sys::fds::receive(stream.as_fd(), &mut buffer) {
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.trouble(error, line.len())),
            };
            fds.extend(got.fds);
            let chunk = buffer.get(..got.bytes).unwrap_or_default();
            let end = chunk.iter().position(|byte| *byte == b'\n');
            line.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
            if fds.len() > MAX_FDS || line.len() >= MAX_ANSWER {
                return Err(self.client.garbage(self.verb, "it is longer than any answer"));
            }
            match end {
                Some(_) => return Ok((line, fds)),
                None if chunk.is_empty() => return Err(self.closed(line.len())),
                None => {}
            }
        }
    }

    fn parse(&self, line: &[u8]) -> Result<Answer, Error> {
        serde_json::from_slice(line).map_err(|error| {
            #[derive(serde::Deserialize)]
            struct Version {
                version: String,
            }
            let version = serde_json::from_slice(line).ok().map(|Version { version }| version);
            let version = version.filter(|version| version != env!("CARGO_PKG_VERSION"));
            let why = error.to_string();
            Error::Garbage { dir: self.client.dir.clone(), verb: self.verb.into(), why, version }
        })
    }

    /// Time that is left; never zero, which would mean "for ever".
    fn left(&self) -> Option<Duration> {
        let least = Duration::from_millis(1);
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).max(least))
    }

    /// Sets the time-out of the next call, unless there is no time left for it.
    fn hurry(&self, set: impl FnOnce(Option<Duration>) -> io::Result<()>) -> Result<(), Error> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(self.silent());
        }
        set(self.left()).map_err(|error| self.trouble(error, 0))
    }

    fn trouble(&self, source: io::Error, bytes: usize) -> Error {
        match source.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => self.silent(),
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => self.closed(bytes),
            _ => Error::Io { dir: self.client.dir.clone(), source },
        }
    }

    fn silent(&self) -> Error {
        let within = self.patience.unwrap_or(PATIENCE);
        let stopped = self.pid.is_some_and(is_stopped);
        Error::Silent { dir: self.client.dir.clone(), pid: self.pid, stopped, command: None, within }
    }

    fn closed(&self, bytes: usize) -> Error {
        Error::Closed { dir: self.client.dir.clone(), verb: self.verb.into(), bytes }
    }
}

/// The pid of who listens at the other end, as the kernel knows it: one that does not answer has one, too.
fn peer(stream: &UnixStream) -> Option<u32> {
    let pid = getsockopt(stream, sockopt::PeerCredentials).ok()?.pid();
    // 0: of a pid namespace that cannot be seen from here.
    u32::try_from(pid).ok().filter(|pid| *pid > 0)
}
