//! The control socket: frames in, answers out; a client can be slow, silent or mad, and harms nobody else.
//!
//! Each client has one request under way at a time, one bounded buffer each way, and one request a turn.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener as StdListener;
use std::time::Instant;

use contract::Accepting;
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use nix::sys::socket::{getsockopt, sockopt};
use serde::{Deserialize, Serialize};
use sys::fds::Wait;

use super::budget::Budget;
use super::handover::{Packing, Unpacking};
use crate::exit;
use crate::wire::{Answer, MAX_REQUEST, Request, Trouble};

/// Token of the listening socket.
pub(super) const LISTENER: Token = Token(1);
/// The first token of the clients; the client's number is added.
const CLIENTS: usize = 1 << 10;
/// Clients at a time; one more, and the one that was silent longest is dropped.
pub(super) const MAX_CLIENTS: usize = 64;
/// Clients at a time to whom descriptors were lent that they do not take.
pub(super) const MAX_UNSENT_VIEWS: usize = 3;
/// Connections taken in one turn.
const MAX_ACCEPTS: usize = 64;

/// A client, for all time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Client(u64);

#[cfg(test)]
impl Client {
    pub(super) fn numbered(number: u64) -> Client {
        Client(number)
    }
}

struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    /// Epoll's edge said so, and no read came back empty since.
    readable: bool,
    /// A request was taken and its answer is not written yet.
    busy: bool,
    output: Vec<u8>,
    written: usize,
    descriptors: Vec<OwnedFd>,
    heard: Instant,
}

/// All clients.
pub(super) struct Control {
    listener: UnixListener,
    accepting: Accepting,
    clients: BTreeMap<Client, Connection>,
    next: u64,
    remarks: Budget,
}

/// As it is handed over at an upgrade.
#[derive(Serialize, Deserialize)]
pub(super) struct Frozen {
    listener: RawFd,
    next: u64,
    clients: Vec<FrozenClient>,
}

#[derive(Serialize, Deserialize)]
struct FrozenClient {
    client: Client,
    stream: RawFd,
    busy: bool,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// What came of a read.
enum Input {
    Nothing,
    Gone,
    Line(Vec<u8>),
    TooLong,
}

impl Control {
    pub(super) fn new(listener: StdListener, registry: &Registry) -> io::Result<Control> {
        listener.set_nonblocking(true)?;
        Control::listening(UnixListener::from_std(listener), 0, registry)
    }

    fn listening(mut listener: UnixListener, next: u64, registry: &Registry) -> io::Result<Control> {
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Control {
            listener,
            accepting: Accepting::new(),
            clients: BTreeMap::new(),
            next,
            remarks: Budget::new(20, 1),
        })
    }

    /// Everybody who is connected, but one to whom descriptors are still to be sent.
    pub(super) fn freeze<'a>(&'a self, packing: &mut Packing<'a>) -> Frozen {
        let mut clients = Vec::new();
        for (&client, connection) in self.clients.iter().filter(|(_, c)| c.descriptors.is_empty()) {
            clients.push(FrozenClient {
                client,
                stream: packing.pack(connection.stream.as_fd()),
                busy: connection.busy,
                input: connection.input.clone(),
                output: connection.output[connection.written..].to_vec(),
            });
        }
        Frozen { listener: packing.pack(self.listener.as_fd()), next: self.next, clients }
    }

    /// As it was before an exec.
    pub(super) fn thaw(frozen: Frozen, fds: &mut Unpacking, registry: &Registry) -> io::Result<Control> {
        let listener = StdListener::from(fds.take(frozen.listener)?);
        let mut control = Control::listening(UnixListener::from_std(listener), frozen.next, registry)?;
        for FrozenClient { client, stream, busy, input, output } in frozen.clients {
            let stream = UnixStream::from_std(fds.take(stream)?.into());
            control.watch(client, Connection { busy, input, output, ..Connection::new(stream) }, registry);
        }
        Ok(control)
    }

    /// Notes an event of the poll; answers whether it was ours.
    pub(super) fn handle(&mut self, token: Token) -> bool {
        if token == LISTENER {
            self.accepting.note();
            return true;
        }
        let Some(number) = token.0.checked_sub(CLIENTS) else { return false };
        let client = Client(number as u64);
        let Some(connection) = self.clients.get_mut(&client) else { return false };
        connection.readable = true;
        self.write(client);
        true
    }

    /// When there is something to be done without an event.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.accepting.deadline()
    }

    /// Something can be done without a new event.
    pub(super) fn has_more(&self) -> bool {
        self.accepting.is_ready() || self.clients.values().any(|c| c.readable && !c.busy)
    }

    /// One turn: takes connections, and at most one request from each client. A frame that makes no sense is answered
    /// here.
    pub(super) fn poll_requests(&mut self, registry: &Registry) -> Vec<(Client, Request)> {
        self.accept(registry);
        let mut requests = Vec::new();
        for client in self.clients.keys().copied().collect::<Vec<_>>() {
            let Some(connection) = self.clients.get_mut(&client) else { continue };
            if connection.busy || !connection.readable {
                continue;
            }
            let request = match connection.read() {
                Input::Nothing => continue,
                Input::Gone => {
                    self.drop_client(client);
                    continue;
                }
                Input::Line(line) => serde_json::from_slice::<Request>(&line).map_err(|e| e.to_string()),
                Input::TooLong => Err(format!("longer than {MAX_REQUEST} bytes")),
            };
            connection.busy = true;
            match request {
                Ok(request) => requests.push((client, request)),
                Err(why) => {
                    let message = format!("the supervisor cannot understand this request: {why}");
                    let hint = Some("use the atlas-cluster command of the same version".into());
                    let error = Some(Trouble { message, hint, exit: exit::FAILED });
                    self.answer(client, Answer { error, ..Answer::default() }, Vec::new());
                    // Where the next frame would begin is anybody's guess.
                    self.drop_client(client);
                }
            }
        }
        requests
    }

    /// Answers the one request that this client has under way; a client that is gone misses it.
    pub(super) fn answer(&mut self, client: Client, mut answer: Answer, descriptors: Vec<OwnedFd>) {
        let Some(connection) = self.clients.get_mut(&client) else { return };
        answer.version = env!("CARGO_PKG_VERSION").into();
        connection.output = serde_json::to_vec(&answer).unwrap_or_default();
        connection.output.push(b'\n');
        (connection.written, connection.descriptors) = (0, descriptors);
        self.write(client);
        self.limit_unsent(client);
    }

    /// Descriptors that nobody takes are ours to hold: with too many of them this client, who has not taken what it was
    /// answered before, has to ask again.
    fn limit_unsent(&mut self, client: Client) {
        let unsent = self.clients.values().filter(|c| !c.descriptors.is_empty()).count();
        if unsent > MAX_UNSENT_VIEWS
            && let Some(connection) = self.clients.get_mut(&client)
            && !connection.descriptors.is_empty()
        {
            let message = "busy: others have yet to take the views that were lent to them".to_owned();
            let error = Some(Trouble { message, hint: Some("try again".into()), exit: exit::FAILED });
            self.answer(client, Answer { error, ..Answer::default() }, Vec::new());
        }
    }

    fn write(&mut self, client: Client) {
        let Some(connection) = self.clients.get_mut(&client) else { return };
        if let Err(e) = connection.write()
            && e.kind() != io::ErrorKind::WouldBlock
        {
            self.drop_client(client);
        }
    }

    fn accept(&mut self, registry: &Registry) {
        let now = Instant::now();
        for _ in 0..MAX_ACCEPTS {
            if !self.accepting.is_due(now) {
                return;
            }
            match self.listener.accept() {
                Ok((stream, _)) if is_welcome(&stream) => self.welcome(stream, registry),
                Ok(_) => {
                    self.remarks.warn(format_args!("control: a process of another user was turned away"))
                }
                Err(e) => {
                    if self.accepting.failed(&e, now) {
                        self.remarks.warn(format_args!("control: cannot accept: {e}"));
                    }
                }
            }
        }
    }

    fn welcome(&mut self, stream: UnixStream, registry: &Registry) {
        if self.clients.len() >= MAX_CLIENTS
            && let Some(longest) = self.longest_silent()
        {
            let what = "the one that was silent longest is dropped";
            self.remarks.warn(format_args!("control: more than {MAX_CLIENTS} clients; {what}"));
            self.drop_client(longest);
        }
        let client = Client(self.next);
        self.next += 1;
        self.watch(client, Connection::new(stream), registry);
    }

    fn watch(&mut self, client: Client, mut connection: Connection, registry: &Registry) {
        let token = Token(CLIENTS + client.0 as usize);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if registry.register(&mut connection.stream, token, interest).is_ok() {
            self.clients.insert(client, connection);
        }
    }

    /// Who was silent longest; one that waits for its answer only if all do.
    fn longest_silent(&self) -> Option<Client> {
        let silence = self.clients.iter().min_by_key(|(_, c)| (c.busy && c.output.is_empty(), c.heard));
        silence.map(|(&client, _)| client)
    }

    fn drop_client(&mut self, client: Client) {
        self.clients.remove(&client); // closing it takes it out of the poll: nobody else has this description
    }
}

impl Connection {
    fn new(stream: UnixStream) -> Connection {
        Connection {
            stream,
            input: Vec::new(),
            readable: true,
            busy: false,
            output: Vec::new(),
            written: 0,
            descriptors: Vec::new(),
            heard: Instant::now(),
        }
    }

    /// Reads until there is one whole frame, or nothing more to read.
    fn read(&mut self) -> Input {
        loop {
            if let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
                let rest = self.input.split_off(end + 1);
                return Input::Line(std::mem::replace(&mut self.input, rest));
            }
            if self.input.len() >= MAX_REQUEST {
                return Input::TooLong;
            }
            let mut buffer = [0; MAX_REQUEST];
            let room = MAX_REQUEST - self.input.len();
            match self.stream.read(&mut buffer[..room]) {
                Ok(0) => return Input::Gone,
                Ok(n) => {
                    self.input.extend_from_slice(&buffer[..n]);
                    self.heard = Instant::now();
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Input::Nothing;
                }
                Err(_) => return Input::Gone,
            }
        }
    }

    /// Writes what fits; the descriptors go with the first byte.
    fn write(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            let fds: Vec<_> = self.descriptors.iter().map(AsFd::as_fd).collect();
            let rest = &self.output[self.written..];
            let sent = match sys::fds::send(self.stream.as_fd(), rest, &fds, Wait::Never) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                sent => sent?,
            };
            self.descriptors.clear();
            self.written += sent;
            self.heard = Instant::now();
        }
        if !self.output.is_empty() {
            (self.output, self.written, self.busy) = (Vec::new(), 0, false);
        }
        Ok(())
    }
}

/// Owner and root only; the socket's mode says so too, but a descriptor may have been passed on.
fn is_welcome(stream: &UnixStream) -> bool {
    let peer = getsockopt(stream, sockopt::PeerCredentials);
    peer.is_ok_and(|peer| peer.uid() == 0 || peer.uid() == nix::unistd::geteuid().as_raw())
}
