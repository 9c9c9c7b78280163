//! The socket for commands: frames in, answers out; a client can be slow, silent or mad, and harms nobody else.
//!
//! It is handed up to be kept (FDSTORE): while a link is replaced, who asks waits in the kernel's queue, and is answered by
//! the next one.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;

use atlas::order::{FAILED, MAX_FRAME, Refusal, Reply};
use atlas::recording::{self, Asked};
use contract::{LINK_SOCKET, Notify};
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use nix::sys::socket::{getsockopt, sockopt};
use serde::Serialize;

use crate::connection::Ticket;

/// The name under which the socket is kept.
pub(crate) const KEPT: &str = "commands";
/// Token of the listening socket; those of the clients follow.
const LISTENER: usize = 1 << 16;
/// Clients at a time; one more, and the one that was silent longest is dropped.
const MAX_CLIENTS: usize = 64;
/// Clients accepted in one turn.
const MAX_ACCEPTS: usize = 16;
/// Bytes that wait for one who records: five of the longest lines, if each byte of them is escaped.
const MAX_RECORDS: usize = 2 << 20;

/// One client.
struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// A request of his is under way.
    busy: Option<Ticket>,
    /// He hears every line of that processor, by its number among all.
    follows: Option<usize>,
    /// Lines that he was too slow for, and was not told of.
    left_out: u64,
    readable: bool,
    /// Number of the last thing he said, among all.
    heard: u64,
}

/// The socket and its clients.
pub(crate) struct Door {
    listener: UnixListener,
    acceptable: bool,
    clients: BTreeMap<usize, Client>,
    next_client: usize,
    next_ticket: u64,
    heard: u64,
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
            acceptable: true,
            clients: BTreeMap::new(),
            next_client: LISTENER + 1,
            next_ticket: 1,
            heard: 0,
        })
    }

    /// Notes an event of the poll; answers whether it was ours.
    pub(crate) fn note(&mut self, token: Token) -> bool {
        if token.0 == LISTENER {
            self.acceptable = true;
        } else if let Some(client) = self.clients.get_mut(&token.0) {
            client.readable = true;
        }
        token.0 >= LISTENER
    }

    /// Something can be done without a new event.
    pub(crate) fn has_more(&self) -> bool {
        self.acceptable || self.clients.values().any(|client| client.readable && client.busy.is_none())
    }

    /// One turn: takes clients, and at most one request from each.
    pub(crate) fn poll_requests(&mut self, registry: &Registry) -> Vec<(Ticket, Asked)> {
        self.accept(registry);
        let mut requests = Vec::new();
        for token in self.clients.keys().copied().collect::<Vec<_>>() {
            match self.read(token) {
                Ok(Some(Ok(request))) => requests.push(self.begin(token, request)),
                Ok(Some(Err(why))) => {
                    let message = format!("the link cannot understand this request: {why}");
                    let error = Some(Refusal { message, hint: None, exit: FAILED });
                    self.write(token, &Reply { error, ..Reply::default() });
                    // Where the next frame would begin is anybody's guess.
                    self.clients.remove(&token);
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

    /// Whoever asked this hears every line of that processor from now on, until he hangs up.
    pub(crate) fn follow(&mut self, ticket: Ticket, peer: usize) {
        let asker = self.clients.values_mut().find(|client| client.busy == Some(ticket));
        asker.into_iter().for_each(|client| client.follows = Some(peer));
    }

    /// Whether somebody hears every line of that processor.
    pub(crate) fn is_followed(&self, peer: usize) -> bool {
        self.clients.values().any(|client| client.follows == Some(peer))
    }

    /// Tells a record to who follows that processor. What he is too slow for he is told the number of.
    pub(crate) fn tell(&mut self, peer: usize, record: &[u8]) {
        let followers = self.clients.iter_mut().filter(|(_, client)| client.follows == Some(peer));
        let mut gone = Vec::new();
        for (&token, client) in followers {
            if client.output.len() + record.len() > MAX_RECORDS {
                client.left_out += 1;
                continue;
            }
            client.tell_left_out();
            client.output.extend_from_slice(record);
            gone.extend(client.flush().is_err().then_some(token));
        }
        gone.into_iter().for_each(|token| drop(self.clients.remove(&token)));
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
        for _ in 0..MAX_ACCEPTS {
            if !self.acceptable {
                return;
            }
            let (mut stream, _) = match self.listener.accept() {
                Ok(accepted) => accepted,
                // Out of descriptors, say: tried again with the next event.
                Err(_) => return self.acceptable = false,
            };
            let token = Token(self.next_client);
            let interest = Interest::READABLE | Interest::WRITABLE;
            if !may_ask(&stream) || registry.register(&mut stream, token, interest).is_err() {
                continue;
            }
            self.next_client += 1;
            self.heard += 1;
            let client = Client::new(stream, self.heard);
            self.clients.insert(token.0, client);
            if self.clients.len() > MAX_CLIENTS {
                let idle = self.clients.iter().min_by_key(|(_, client)| (client.is_served(), client.heard));
                let idle = idle.map(|(&token, _)| token);
                idle.map(|token| self.clients.remove(&token));
            }
        }
    }

    /// A whole request, if there is one; an error if the client is gone.
    fn read(&mut self, token: usize) -> io::Result<Option<Result<Asked, String>>> {
        let Some(client) = self.clients.get_mut(&token) else { return Ok(None) };
        client.flush()?;
        let mut buffer = [0; MAX_FRAME];
        while client.readable && client.busy.is_none() && client.input.len() < MAX_FRAME {
            match client.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => client.input.extend_from_slice(&buffer[..count]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => client.readable = false,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if client.busy.is_some() {
            return Ok(None);
        }
        if client.follows.is_some() {
            client.tell_left_out();
            // He has asked for all he can.
            return if client.input.is_empty() { Ok(None) } else { Err(ErrorKind::InvalidData.into()) };
        }
        let Some(end) = client.input.iter().position(|byte| *byte == b'\n') else {
            let too_long = client.input.len() >= MAX_FRAME;
            return Ok(too_long.then(|| Err(format!("longer than {MAX_FRAME} bytes"))));
        };
        let line: Vec<u8> = client.input.drain(..=end).collect();
        self.heard += 1;
        client.heard = self.heard;
        Ok(Some(recording::parse(&line).map_err(|e| e.to_string())))
    }

    fn write(&mut self, token: usize, reply: &impl Serialize) {
        let Some(client) = self.clients.get_mut(&token) else { return };
        client.output.extend(serde_json::to_vec(reply).unwrap_or_default());
        client.output.push(b'\n');
        // Who does not read his answers loses them.
        if client.flush().is_err() || client.output.len() > MAX_FRAME * 4 {
            self.clients.remove(&token);
        }
    }
}

impl Client {
    fn new(stream: UnixStream, heard: u64) -> Client {
        let (input, output) = (Vec::new(), Vec::new());
        Client { stream, input, output, busy: None, follows: None, left_out: 0, readable: true, heard }
    }

    /// Something is under way for him, though he says nothing.
    fn is_served(&self) -> bool {
        self.busy.is_some() || self.follows.is_some()
    }

    /// Once there is room again.
    fn tell_left_out(&mut self) {
        if self.left_out > 0 && self.output.len() < MAX_RECORDS / 2 {
            let count = std::mem::take(&mut self.left_out);
            self.output.extend_from_slice(recording::left_out(count).as_bytes());
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// The cluster's user and root.
fn may_ask(stream: &UnixStream) -> bool {
    let uid = getsockopt(&stream.as_fd(), sockopt::PeerCredentials).map(|peer| peer.uid());
    uid.is_ok_and(|uid| uid == 0 || uid == nix::unistd::geteuid().as_raw())
}

/// What a killed cluster left there is nobody's: we hold the seat.
fn bind(path: &Path, notify: &Notify) -> io::Result<StdListener> {
    use nix::sys::stat::{Mode, umask};
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = StdListener::bind(path);
    umask(before);
    let listener = bound?;
    notify.store(KEPT, listener.as_fd())?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream as StdStream;
    use std::time::Duration;

    /// A turn of the loop around it.
    fn turn(door: &mut Door, poll: &mut Poll) -> Vec<(Ticket, Asked)> {
        let mut events = Events::with_capacity(16);
        let wait = if door.has_more() { Duration::ZERO } else { Duration::from_millis(10) };
        poll.poll(&mut events, Some(wait)).unwrap();
        for event in &events {
            door.note(event.token());
        }
        door.poll_requests(poll.registry())
    }

    #[test]
    fn who_records_too_slowly_is_told_what_he_missed_and_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let mut poll = Poll::new().unwrap();
        let mut door = Door::open(None, folder.path(), &Notify::nobody(), poll.registry()).unwrap();
        let mut recorder = StdStream::connect(folder.path().join(LINK_SOCKET)).unwrap();
        recorder.write_all(b"{\"verb\":\"capture\",\"processor\":\"bar\",\"recorder\":7}\n").unwrap();
        let (ticket, asked) = loop {
            if let Some(asked) = turn(&mut door, &mut poll).pop() {
                break asked;
            }
        };
        assert!(matches!(asked, Asked::Recording(wanted) if wanted.recorder == 7));
        door.follow(ticket, 3);
        door.answer(ticket, &Reply::default());
        assert!(door.is_followed(3) && !door.is_followed(2));

        let record = [&[b'x'; 10_000][..], b"\n"].concat();
        let told = 1000;
        for _ in 0..told {
            door.tell(3, &record);
            door.tell(2, b"for nobody\n");
        }
        let waiting = door.clients.values().map(|client| client.output.len()).sum::<usize>();
        assert!(waiting <= MAX_RECORDS, "{waiting}");

        // He reads at last, to the end of what waits.
        let reader = std::thread::spawn(move || {
            let (mut records, mut missed) = (0, 0);
            for line in BufReader::new(&recorder).lines().skip(1) {
                let line = line.unwrap();
                match line.strip_prefix("{\"left_out\":") {
                    Some(count) => missed += count.trim_end_matches('}').parse::<u64>().unwrap(),
                    None => records += 1,
                }
                if missed > 0 {
                    break;
                }
            }
            (records, missed)
        });
        while !reader.is_finished() {
            turn(&mut door, &mut poll);
        }
        let (records, missed) = reader.join().unwrap();
        assert!(records > 0 && missed > 0 && records + missed == told, "{records} and {missed}");
        while door.is_followed(3) {
            turn(&mut door, &mut poll);
        }
    }
}
