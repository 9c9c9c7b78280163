//! The control socket: a line with an order, a line of JSON with the answer.
//!
//! ```text
//! stats                  → {"schema":1,…}
//! fault lockup 5s        → {"done":true}      without a duration: as long as its kind usually lasts
//! heal                   → {"done":true}      every fault ends
//! rename ZoneName_0 Deck → {"done":true}
//! anything else          → {"error":"…"}
//! ```

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net as std_net;
use std::path::{Path, PathBuf};

use contract::Failure;
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use serde_json::json;

use super::Server;
use crate::fault::{self, Kind};
use crate::processor::Event;

/// Token of the listener; those of the clients follow.
const LISTENER: Token = Token(1);
/// The most clients; one more is turned away.
const CLIENTS: usize = 16;
/// The longest order, in bytes.
const MAX_ORDER: usize = 4096;
/// The most bytes of answers that wait for a client, so that it is answered no more until it reads.
const MAX_ANSWERS: usize = 1024 * 1024;

/// The control socket and who speaks to it.
pub(super) struct Control {
    path: PathBuf,
    listener: UnixListener,
    acceptable: bool,
    clients: [Option<Client>; CLIENTS],
}

struct Client {
    stream: UnixStream,
    heard: Vec<u8>,
    answers: Vec<u8>,
    readable: bool,
    writable: bool,
}

impl Control {
    /// Listens on a path, which is its user's alone. One that a dead process left behind is taken over.
    pub(super) fn new(path: &Path, registry: &Registry) -> Result<Control, Failure> {
        let bind = || {
            if std_net::UnixStream::connect(path).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused) {
                fs::remove_file(path)?;
            }
            let listener = contract::private_listener(path)?;
            listener.set_nonblocking(true)?;
            let mut listener = UnixListener::from_std(listener);
            registry.register(&mut listener, LISTENER, Interest::READABLE)?;
            io::Result::Ok(listener)
        };
        let listener =
            bind().map_err(|e| Failure::of(format_args!("cannot listen on {}", path.display()), &e))?;
        Ok(Control { path: path.to_owned(), listener, acceptable: true, clients: Default::default() })
    }

    /// Takes note of an event of the poll; tells whether it was ours.
    pub(super) fn note(&mut self, event: &mio::event::Event) -> bool {
        let Some(place) = event.token().0.checked_sub(LISTENER.0) else { return false };
        if place == 0 {
            self.acceptable = true;
        } else if place <= CLIENTS
            && let Some(client) = &mut self.clients[place - 1]
        {
            client.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
            client.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        }
        place <= CLIENTS
    }

    /// Hears orders, has them done, answers.
    pub(super) fn work(&mut self, registry: &Registry, server: &mut Server) {
        while self.acceptable {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream, registry),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.acceptable = false,
            }
        }
        for place in &mut self.clients {
            if place.as_mut().is_some_and(|client| client.work(server).is_err()) {
                *place = None;
            }
        }
    }

    fn admit(&mut self, mut stream: UnixStream, registry: &Registry) {
        let Some(place) = self.clients.iter().position(Option::is_none) else { return };
        let token = Token(LISTENER.0 + 1 + place);
        if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_ok() {
            self.clients[place] = Some(Client {
                stream,
                heard: Vec::new(),
                answers: Vec::new(),
                readable: true,
                writable: true,
            });
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Client {
    /// An error is its end.
    fn work(&mut self, server: &mut Server) -> io::Result<()> {
        let mut buffer = [0; MAX_ORDER];
        while self.readable && self.answers.len() < MAX_ANSWERS {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    // What it asked before it left, it may still want to hear.
                    self.flush()?;
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                Ok(count) => self.hear(&buffer[..count], server)?,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(e) => return Err(e),
            }
            self.flush()?;
        }
        self.flush()
    }

    fn hear(&mut self, bytes: &[u8], server: &mut Server) -> io::Result<()> {
        self.heard.extend_from_slice(bytes);
        while let Some(end) = self.heard.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.heard.drain(..=end).collect();
            let answer = obey(String::from_utf8_lossy(&line).trim(), server);
            self.answers.extend_from_slice(answer.as_bytes());
            self.answers.push(b'\n');
        }
        if self.heard.len() > MAX_ORDER { Err(io::Error::other("too long an order")) } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.writable && !self.answers.is_empty() {
            match self.stream.write(&self.answers) {
                Ok(count) => drop(self.answers.drain(..count)),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Does what a line says; gives the answer.
fn obey(line: &str, server: &mut Server) -> String {
    let done = |done: Result<(), String>| match done {
        Ok(()) => json!({ "done": true }).to_string(),
        Err(error) => json!({ "error": error }).to_string(),
    };
    match line.split_once(' ').unwrap_or((line, "")) {
        ("stats", "") => {
            serde_json::to_string(&server.stats()).unwrap_or_else(|why| done(Err(why.to_string())))
        }
        ("heal", "") => {
            server.tell(Event::Heal);
            done(Ok(()))
        }
        ("fault", what) => done(fault(what).map(|(kind, lasts)| {
            server.tell(Event::Fault { kind, lasts });
        })),
        ("rename", what) => done(match what.split_once(' ') {
            Some((param, text)) if server.rename(param, text) => Ok(()),
            Some((param, _)) => Err(format!("{param} takes no such text")),
            None => Err("for example `rename ZoneName_0 Deck`".to_owned()),
        }),
        _ => done(Err("allowed: stats, fault KIND [DURATION], heal, rename PARAM TEXT".to_owned())),
    }
}

fn fault(what: &str) -> Result<(Kind, Option<std::time::Duration>), String> {
    let (kind, lasts) = what.split_once(' ').unwrap_or((what, ""));
    let kind: Kind = kind.parse().map_err(|why| format!("`{kind}` {why}; allowed: {}", Kind::names()))?;
    match lasts.trim() {
        "" => Ok((kind, kind.usual())),
        lasts => match fault::duration(lasts) {
            Ok(lasts) => Ok((kind, Some(lasts))),
            Err(why) => Err(format!("`{what}` {why}; for example `fault lockup 5s`")),
        },
    }
}
