//! The socket for commands: frames in, answers out; a client can be slow, silent or mad, and harms nobody else.
//!
//! It is handed up to be kept (FDSTORE): while a link is replaced, who asks waits in the kernel's queue, and is answered by
//! the next one.

mod client;
mod followers;
mod leaving;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::time::Instant;

use atlas::asked::{self, Asked};
use atlas::order::{MAX_FRAME, Refusal, Reply};
use contract::{Accepting, LINK_SOCKET, Notify, clock};
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use nix::sys::socket::{getsockopt, sockopt};
use serde::Serialize;

use crate::connection::Ticket;
use client::Client;
pub(crate) use leaving::FRESH;

/// The name under which the socket is kept.
pub(crate) const KEPT: &str = "commands";
/// Token of the listening socket; those of the clients follow.
const LISTENER: usize = 1 << 16;
/// Clients at a time; one more, and the one that was silent longest is dropped.
const MAX_CLIENTS: usize = 64;
/// Clients accepted in one turn.
const MAX_ACCEPTS: usize = 16;
/// The socket and its clients.
pub(crate) struct Door {
    listener: UnixListener,
    accepting: Accepting,
    clients: BTreeMap<usize, Client>,
    next_client: usize,
    next_ticket: u64,
    /// Things that clients did.
    activity: u64,
}

impl Door {
    /// The kept socket, or a new one in the runtime directory, 0600 from its first moment.
    pub(crate) fn open(
        kept: Option<OwnedFd>,
        folder: &Path,
        notify: &Notify,
        registry: &Registry,
    ) -> io::Result<Door> {
        let listener = match kept {
            Some(kept) => StdListener::from(kept),
            None => bind(&folder.join(LINK_SOCKET), notify)?,
        };
        listener.set_nonblocking(true)?;
        let mut listener = UnixListener::from_std(listener);
        registry.register(&mut listener, Token(LISTENER), Interest::READABLE)?;
        Ok(Door {
            listener,
            accepting: Accepting::new(),
            clients: BTreeMap::new(),
            next_client: LISTENER + 1,
            next_ticket: 1,
            activity: 0,
        })
    }

    /// Notes an event of the poll; answers whether it was ours.
    pub(crate) fn note(&mut self, token: Token) -> bool {
        if token.0 == LISTENER {
            self.accepting.note();
        } else if let Some(client) = self.clients.get_mut(&token.0) {
            client.readable = true;
        }
        token.0 >= LISTENER
    }

    /// Something can be done without a new event.
    pub(crate) fn has_more(&self) -> bool {
        self.accepting.is_ready() || self.clients.values().any(Client::has_more)
    }

    /// When something can be done without a new event, if not now.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.accepting.deadline()
    }

    /// One turn: takes clients, and at most one request from each.
    pub(crate) fn poll_requests(&mut self, registry: &Registry) -> Vec<(Ticket, Asked)> {
        self.accept(registry);
        let mut requests = Vec::new();
        for token in self.clients.keys().copied().collect::<Vec<_>>() {
            match self.read(token) {
                Ok(Some(Ok(request))) => requests.push(self.begin(token, request)),
                Ok(Some(Err(error))) => {
                    self.write(token, &Reply { error: Some(error), ..Reply::default() });
                    if self.clients.get(&token).is_some_and(Client::is_overfull) {
                        // Where the next frame would begin is anybody's guess.
                        self.clients.remove(&token);
                    }
                }
                Ok(None) => {}
                Err(_) => drop(self.clients.remove(&token)),
            }
        }
        requests
    }

    /// Answers a request; a client that is gone misses it.
    pub(crate) fn answer(&mut self, ticket: Ticket, reply: &impl Serialize) {
        let asker = self.clients.iter_mut().find(|(_, client)| client.busy == Some(ticket));
        let Some((&token, client)) = asker else { return };
        client.busy = None;
        self.write(token, reply);
    }

    fn begin(&mut self, token: usize, request: Asked) -> (Ticket, Asked) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        if let Some(client) = self.clients.get_mut(&token) {
            client.busy = Some(ticket);
        }
        (ticket, request)
    }

    fn accept(&mut self, registry: &Registry) {
        let now = Instant::now();
        for _ in 0..MAX_ACCEPTS {
            if !self.accepting.is_due(now) {
                return;
            }
            let (mut stream, _) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(e) => {
                    self.accepting.failed(&e, now);
                    continue;
                }
            };
            let token = Token(self.next_client);
            let interest = Interest::READABLE | Interest::WRITABLE;
            if !may_ask(&stream) || registry.register(&mut stream, token, interest).is_err() {
                continue;
            }
            self.next_client += 1;
            self.activity += 1;
            let client = Client::new(stream, self.activity, clock::boot() + FRESH);
            self.clients.insert(token.0, client);
            if self.clients.len() > MAX_CLIENTS {
                let idle =
                    self.clients.iter().min_by_key(|(_, client)| (client.is_served(), client.activity));
                let idle = idle.map(|(&token, _)| token);
                idle.map(|token| self.clients.remove(&token));
            }
        }
    }

    /// A whole request, if there is one; an error if the client is gone.
    fn read(&mut self, token: usize) -> io::Result<Option<Result<Asked, Refusal>>> {
        let Some(client) = self.clients.get_mut(&token) else { return Ok(None) };
        client.flush()?;
        client.read()?;
        if client.is_over() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if client.busy.is_some() {
            return Ok(None);
        }
        if client.follows.is_some() {
            client.tell_left_out();
            // He has asked for all he can.
            return if client.is_overfull() { Err(ErrorKind::InvalidData.into()) } else { Ok(None) };
        }
        let Some(frame) = client.take_frame() else {
            let why = format!("it is longer than {MAX_FRAME} bytes");
            return Ok(client.is_overfull().then(|| Err(asked::strange(&why))));
        };
        self.activity += 1;
        client.activity = self.activity;
        Ok(Some(asked::parse(&frame)))
    }

    fn write(&mut self, token: usize, reply: &impl Serialize) {
        let Some(client) = self.clients.get_mut(&token) else { return };
        client.output.extend(serde_json::to_vec(reply).unwrap_or_default());
        client.output.push(b'\n');
        // Who does not read his answers loses them.
        if client.flush().is_err() || client.output.len() > MAX_FRAME * 4 || client.is_over() {
            self.clients.remove(&token);
        }
    }
}

/// The cluster's user and root.
fn may_ask(stream: &UnixStream) -> bool {
    let uid = getsockopt(&stream.as_fd(), sockopt::PeerCredentials).map(|peer| peer.uid());
    uid.is_ok_and(|uid| uid == 0 || uid == nix::unistd::geteuid().as_raw())
}

/// What a killed cluster left there is nobody's: we hold the seat.
fn bind(path: &Path, notify: &Notify) -> io::Result<StdListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    let listener = contract::private_listener(path)?;
    // One that a link before us handed up after we were begun is at an end: nobody reaches it any more.
    notify.forget(KEPT);
    notify.store(KEPT, listener.as_fd())?;
    Ok(listener)
}
