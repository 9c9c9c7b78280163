//! The shell around a processor: its sockets. What is heard becomes events, actions are done in their order.

mod connection;
mod control;
mod runner;
mod teller;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{self, SocketAddr, UdpSocket};
use std::time::Duration;

use contract::{Failure, clock};
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

pub use runner::{Order, Runner};
pub use teller::Tell;

use crate::ledger::Stats;
use crate::outlet::Overflow;
use crate::plan::Plan;
use crate::processor::{Action, Conn, Event, Processor};
use connection::{Connection, Heard, READ};
use teller::Teller;

/// Token of the listener.
const LISTENER: Token = Token(0);
/// Tokens of connections begin here; below are those of the control socket.
const CONNECTIONS: usize = 1 << 10;
/// The most reads of one connection before the others have their turn.
const READS: usize = 8;
/// The most connections accepted before others have their turn.
const ACCEPTS: usize = 64;
/// The most frozen connections that are kept; the oldest goes first.
const MAX_FROZEN: usize = 64;
/// How long to wait after the kernel refused to listen or to accept.
const AGAIN: Duration = Duration::from_millis(100);

/// A processor on its sockets.
pub struct Server {
    registry: Registry,
    began: Duration,
    processor: Processor,
    actions: Vec<Action>,
    tcp: SocketAddr,
    /// None while the port is closed.
    listener: Option<TcpListener>,
    /// Whether somebody may wait to be accepted.
    acceptable: bool,
    /// When to try again to listen or to accept.
    again_at: Option<Duration>,
    /// Whether the port is to be open.
    open: bool,
    udp: UdpSocket,
    meter_port: u16,
    limit: usize,
    connections: BTreeMap<Conn, Connection>,
    frozen: VecDeque<TcpStream>,
    /// Number of the last connection.
    last: u64,
    teller: Teller,
    buffer: Vec<u8>,
}

impl Server {
    /// Opens the sockets of a plan; of `listener`, if there is one, it takes over the place that the plan names.
    ///
    /// # Errors
    /// When an address cannot be bound, or the recording cannot be read.
    pub fn new(
        plan: &Plan,
        listener: Option<net::TcpListener>,
        registry: Registry,
        tell: Tell,
    ) -> Result<Server, Failure> {
        let began = clock::boot();
        let bind = || {
            let udp = UdpSocket::bind((plan.address, 0))?;
            udp.set_nonblocking(true)?;
            io::Result::Ok(udp)
        };
        let udp =
            bind().map_err(|e| Failure::of(format_args!("cannot send meters from {}", plan.address), &e))?;
        let tcp = SocketAddr::new(plan.address, plan.tcp_port);
        let mut server = Server {
            registry,
            began,
            processor: Processor::new(plan.settings()?),
            actions: Vec::new(),
            tcp,
            listener: None,
            acceptable: false,
            again_at: None,
            open: true,
            udp,
            meter_port: plan.meter_port,
            limit: plan.connections,
            connections: BTreeMap::new(),
            frozen: VecDeque::new(),
            last: 0,
            teller: Teller::new(tell),
            buffer: vec![0; READ],
        };
        let listening = match listener {
            Some(listener) => server.listen_on(TcpListener::from_std(listener)),
            None => server.listen(),
        };
        listening.map_err(|e| Failure::of(format_args!("cannot listen on TCP {tcp}"), &e))?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn tcp_address(&self) -> SocketAddr {
        self.tcp
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.processor.stats()
    }

    /// Tells the processor of something that no socket brought.
    pub fn tell(&mut self, event: Event<'_>) {
        let now = self.now();
        self.processor.handle(now, event, &mut self.actions);
        self.perform(now);
    }

    /// Renames a parameter, as somebody at the processor does; tells whether it took the text.
    pub fn rename(&mut self, param: &str, text: &str) -> bool {
        let taken = self.processor.rename(param, text);
        self.tell(Event::Clock);
        taken
    }

    /// Takes note of an event of the poll; tells whether it was ours.
    pub fn note(&mut self, event: &mio::event::Event) -> bool {
        match event.token() {
            LISTENER => self.acceptable = true,
            Token(token) => {
                let number = token.checked_sub(CONNECTIONS).and_then(|number| u64::try_from(number).ok());
                let Some(number) = number.filter(|number| *number <= self.last) else { return false };
                if let Some(connection) = self.connections.get_mut(&Conn(number)) {
                    connection.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                    connection.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
                }
            }
        }
        true
    }

    /// Does all that can be done now.
    pub fn work(&mut self) {
        let now = self.now();
        if self.again_at.is_some_and(|at| at <= now) {
            self.again_at = None;
            self.acceptable = true;
            self.keep_listening(now);
        }
        self.accept(now);
        self.read_all(now);
        if self.processor.deadline().is_some_and(|deadline| deadline <= now) {
            self.processor.handle(now, Event::Clock, &mut self.actions);
            self.perform(now);
        }
        self.write(now);
    }

    /// How long nothing will have to be done; None: until an event comes.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        if self.acceptable || self.connections.values().any(Connection::wants_read) {
            return Some(Duration::ZERO);
        }
        let connections = self.connections.values().filter_map(Connection::deadline).min();
        let deadline = [connections, self.processor.deadline(), self.again_at].into_iter().flatten().min();
        deadline.map(|deadline| deadline.saturating_sub(self.now()))
    }

    fn now(&self) -> Duration {
        clock::boot().saturating_sub(self.began)
    }

    /// Listens, if the port is to be open and is not.
    fn listen(&mut self) -> io::Result<()> {
        if !self.open || self.listener.is_some() {
            return Ok(());
        }
        self.listen_on(TcpListener::bind(self.tcp)?)
    }

    fn listen_on(&mut self, mut listener: TcpListener) -> io::Result<()> {
        self.registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        self.tcp = listener.local_addr()?;
        // Somebody may wait since before we watched.
        self.acceptable = true;
        self.listener = Some(listener);
        Ok(())
    }

    fn keep_listening(&mut self, now: Duration) {
        if let Err(why) = self.listen() {
            self.teller.say(now, &format!("cannot listen again: {why}"));
            self.again_at = Some(now + AGAIN);
        }
    }

    fn accept(&mut self, now: Duration) {
        for _ in 0..ACCEPTS {
            let Some(listener) = self.listener.as_ref().filter(|_| self.acceptable) else {
                self.acceptable = false;
                return;
            };
            match listener.accept() {
                Ok((stream, peer)) => {
                    // Whoever closed his connection before he made this one is not seen with two.
                    self.connections.values_mut().for_each(|one| one.readable = true);
                    self.read_all(now);
                    self.admit(now, stream, peer);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.acceptable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // It went away again, or there is no descriptor for it.
                Err(_) => {
                    self.acceptable = false;
                    self.again_at = Some(now + AGAIN);
                }
            }
        }
    }

    fn admit(&mut self, now: Duration, mut stream: TcpStream, peer: SocketAddr) {
        if self.connections.len() >= self.limit {
            self.teller.say(now, &format!("connection from {peer} refused: {} are connected", self.limit));
            self.processor.handle(now, Event::Refused, &mut self.actions);
            return self.perform(now);
        }
        self.last += 1;
        let conn = Conn(self.last);
        let Ok(token) = usize::try_from(self.last).map(|number| Token(CONNECTIONS + number)) else { return };
        let ready = stream.set_nodelay(true).and_then(|()| {
            self.registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)
        });
        if ready.is_err() {
            return;
        }
        self.teller.say(now, &format!("connection {} from {peer}", conn.0));
        self.connections.insert(conn, Connection::new(stream));
        let peer = peer.ip().to_canonical();
        self.processor.handle(now, Event::Connected { conn, peer }, &mut self.actions);
        self.perform(now);
    }

    fn read_all(&mut self, now: Duration) {
        let readers: Vec<Conn> =
            self.connections.iter().filter(|(_, one)| one.wants_read()).map(|(conn, _)| *conn).collect();
        for conn in readers {
            self.read(now, conn);
        }
    }

    fn read(&mut self, now: Duration, conn: Conn) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..READS {
            let Some(connection) = self.connections.get_mut(&conn).filter(|one| one.wants_read()) else {
                break;
            };
            match connection.read(&mut buffer) {
                Heard::Nothing => break,
                Heard::Bytes(count) => {
                    let bytes = &buffer[..count];
                    self.processor.handle(now, Event::Received { conn, bytes }, &mut self.actions);
                }
                Heard::End => {
                    connection.ended = Some(now);
                    self.processor.handle(now, Event::Ended { conn, overflowed: false }, &mut self.actions);
                }
            }
            self.perform(now);
        }
        self.buffer = buffer;
    }

    fn write(&mut self, now: Duration) {
        let mut over = Vec::new();
        for (conn, connection) in &mut self.connections {
            if connection.flush(now).is_err() || connection.is_over(now) {
                over.push(*conn);
            }
        }
        for conn in over {
            self.close(now, conn, false);
        }
    }

    /// Closes a connection of our own accord, and tells the processor if it does not know.
    fn close(&mut self, now: Duration, conn: Conn, overflowed: bool) {
        let Some(connection) = self.connections.remove(&conn) else { return };
        let why = if overflowed { "closed: it does not read" } else { "is over" };
        self.teller.say(now, &format!("connection {} {why}", conn.0));
        if connection.ended.is_none() {
            self.processor.handle(now, Event::Ended { conn, overflowed }, &mut self.actions);
        }
    }

    /// Does what the processor said; what follows from that is done too, and bounded: nothing but closing a connection,
    /// which happens once, makes the processor say more.
    fn perform(&mut self, now: Duration) {
        while !self.actions.is_empty() {
            let manner = self.processor.manner();
            for action in std::mem::take(&mut self.actions) {
                match action {
                    Action::Line { conn, line } => {
                        self.queue(now, conn, |outlet| outlet.push_line(now, &line, manner));
                    }
                    Action::Raw { conn, bytes } => {
                        self.queue(now, conn, |outlet| outlet.push(now, bytes, manner));
                    }
                    Action::Datagram { to, bytes } => {
                        // A meter that is lost is followed by a newer one: as from a real processor.
                        let _ = self.udp.send_to(&bytes, (to, self.meter_port));
                    }
                    Action::Close(conn) => {
                        self.teller.say(now, &format!("connection {} closed", conn.0));
                        self.connections.remove(&conn);
                    }
                    Action::Freeze(conn) => self.freeze(conn),
                    Action::Listen(open) => {
                        self.open = open;
                        if open {
                            self.keep_listening(now);
                        } else {
                            self.listener = None;
                        }
                    }
                    Action::Tell(line) => self.teller.say(now, &line),
                }
            }
        }
    }

    fn queue(
        &mut self,
        now: Duration,
        conn: Conn,
        push: impl FnOnce(&mut crate::outlet::Outlet) -> Result<(), Overflow>,
    ) {
        if let Some(connection) = self.connections.get_mut(&conn)
            && push(&mut connection.outlet).is_err()
        {
            self.close(now, conn, true);
        }
    }

    fn freeze(&mut self, conn: Conn) {
        let Some(mut connection) = self.connections.remove(&conn) else { return };
        // Not watched and not dropped: the kernel goes on acknowledging, nobody answers.
        let _ = self.registry.deregister(&mut connection.stream);
        self.frozen.push_back(connection.stream);
        if self.frozen.len() > MAX_FROZEN {
            self.frozen.pop_front();
        }
    }
}
