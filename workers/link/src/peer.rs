//! One processor: its connection's decisions, carried out on a TCP stream and in the table.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use atlas::MeterId;
use atlas::lines::Lines;
use atlas::order::Order;
use contract::DemoPort;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use table::{ConnectionState as State, LinkWriter, Place};

use crate::connection::{Action, Connection, Event, Fact, Outcome, Remark, Ticket};
use crate::diary::Diary;
use crate::tcp;

/// Bytes read from one processor in each [`WINDOW`]: one that floods neither keeps the others waiting nor costs a core, it
/// waits itself. All that we subscribe of an AZM8 is answered in 12 KiB.
const MAX_READ: usize = 32 << 10;
/// What [`MAX_READ`] is counted in.
const WINDOW: Duration = Duration::from_millis(100);
/// Bytes that wait to be sent; there is one message under way at a time, and none has 4 KiB.
const MAX_OUTPUT: usize = 64 << 10;

/// What carrying out works with.
pub(crate) struct Tools<'a> {
    pub(crate) registry: Registry,
    pub(crate) table: LinkWriter<'a>,
    pub(crate) diary: Diary,
    /// What became of commands in this turn.
    pub(crate) answers: Vec<(Ticket, Outcome)>,
}

/// A TCP stream, opening or open.
struct Stream {
    socket: TcpStream,
    open: bool,
    /// The kernel may have something to read; may take something to write.
    readable: bool,
    writable: bool,
    input: Lines,
    output: Vec<u8>,
    /// Since when bytes are counted, and how many were read since.
    window: Duration,
    taken: usize,
}

/// One processor.
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) place: Option<Place>,
    /// The page in which the demo's processor tells its port, if it is that one.
    demo: Option<Rc<DemoPort>>,
    /// Its lines are kept for who records them, …
    pub(crate) is_recorded: bool,
    /// … until the shell takes them, in the same turn.
    recorded_lines: Vec<Vec<u8>>,
    /// It is to be connected to, and has told no port yet.
    waits_for_port: bool,
    /// Where the cluster listens for meters.
    listen: Rc<str>,
    token: Token,
    connection: Connection,
    stream: Option<Stream>,
}

impl Peer {
    pub(crate) fn new(
        name: String,
        address: SocketAddr,
        place: Option<Place>,
        listen: Rc<str>,
        token: Token,
        connection: Connection,
    ) -> Peer {
        Peer {
            name,
            address,
            place,
            demo: None,
            is_recorded: false,
            recorded_lines: Vec::new(),
            waits_for_port: false,
            listen,
            token,
            connection,
            stream: None,
        }
    }

    /// What it said in this turn, if that is recorded.
    pub(crate) fn take_recorded_lines(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.recorded_lines)
    }

    /// The same peer, with a port that is told there.
    pub(crate) fn with_demo(self, demo: Option<Rc<DemoPort>>) -> Peer {
        Peer { demo, ..self }
    }

    /// Whether it cannot be connected to yet, and nothing will say when.
    pub(crate) fn waits_for_port(&self) -> bool {
        self.waits_for_port
    }

    /// When the connection wants the clock.
    pub(crate) fn deadline(&self) -> Duration {
        self.connection.deadline()
    }

    /// When something can be read without a new event.
    pub(crate) fn more_at(&self) -> Option<Duration> {
        let stream = self.stream.as_ref().filter(|stream| stream.open && stream.readable)?;
        Some(if stream.taken < MAX_READ { stream.window } else { stream.window + WINDOW })
    }

    /// Notes what the poll said.
    pub(crate) fn note(&mut self, event: &mio::event::Event) {
        if let Some(stream) = &mut self.stream {
            stream.readable |= event.is_readable() || event.is_error();
            stream.writable |= event.is_writable() || event.is_error();
        }
    }

    /// Reads and writes what is possible, a bounded part of it.
    pub(crate) fn work(&mut self, now: Duration, tools: &mut Tools<'_>) {
        if self.waits_for_port
            && let Err(e) = self.open(tools)
        {
            return self.lose(now, &e.to_string(), tools);
        }
        let Some(stream) = &mut self.stream else { return };
        if !stream.open {
            match stream.finish_opening() {
                Ok(false) => return,
                Ok(true) => self.happen(now, Event::Opened, tools),
                Err(e) => return self.lose(now, &e.to_string(), tools),
            }
        }
        let mut lines = Vec::new();
        let read = self.stream.as_mut().map_or(Ok(()), |stream| stream.read(now, &mut lines));
        for line in &lines {
            self.happen(now, Event::Line(line), tools);
        }
        if self.is_recorded {
            self.recorded_lines = lines;
        }
        let written = self.stream.as_mut().map_or(Ok(()), Stream::write);
        if let Err(e) = read.and(written) {
            self.lose(now, &e.to_string(), tools);
        }
    }

    pub(crate) fn tick(&mut self, now: Duration, tools: &mut Tools<'_>) {
        self.happen(now, Event::Clock, tools);
    }

    pub(crate) fn command(&mut self, now: Duration, ticket: Ticket, order: &Order, tools: &mut Tools<'_>) {
        self.happen(now, Event::Command(ticket, order), tools);
    }

    /// We leave, by then at the latest.
    pub(crate) fn leave(&mut self, now: Duration, by: Duration, tools: &mut Tools<'_>) {
        self.happen(now, Event::Leave(by), tools);
    }

    /// The table says when each meter was heard last.
    pub(crate) fn levels_heard(
        &mut self,
        now: Duration,
        heard: &[(MeterId, Duration)],
        tools: &mut Tools<'_>,
    ) {
        self.happen(now, Event::LevelsHeard(heard), tools);
    }

    /// The stream is dead: nothing of it is used any more.
    fn lose(&mut self, now: Duration, why: &str, tools: &mut Tools<'_>) {
        self.close(&tools.registry);
        self.happen(now, Event::Closed(why), tools);
    }

    fn happen(&mut self, now: Duration, event: Event<'_>, tools: &mut Tools<'_>) {
        let mut actions = Vec::new();
        self.connection.handle(now, event, &mut actions);
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            if let Err(e) = self.perform(action, tools) {
                self.close(&tools.registry);
                let mut more = Vec::new();
                self.connection.handle(now, Event::Closed(&e.to_string()), &mut more);
                actions.extend(more);
            }
        }
    }

    /// An error is the end of the stream.
    fn perform(&mut self, action: Action, tools: &mut Tools<'_>) -> io::Result<()> {
        match action {
            Action::Open => self.open(tools)?,
            Action::Close => self.close(&tools.registry),
            Action::Send(line) => {
                // One that was closed in the same turn: its loss is told already.
                let Some(stream) = &mut self.stream else { return Ok(()) };
                stream.output.extend_from_slice(line.as_bytes());
                stream.write()?;
            }
            Action::State(state) => self.show(state, tools.table),
            Action::Learn(of, fact) => self.learn(of, &fact, tools.table),
            Action::Answer(ticket, outcome) => tools.answers.push((ticket, outcome)),
            Action::Tell(remark, aside) => {
                let warning = match remark {
                    Remark::Connected | Remark::Recovered(_) | Remark::Levels | Remark::Heard(_) => false,
                    Remark::Unresponsive
                    | Remark::Disconnected(_)
                    | Remark::GivenUp
                    | Remark::NoLevels(_)
                    | Remark::Silent(_) => true,
                };
                tools.diary.note(warning, format!("{} ({}) {remark}{aside}", self.name, self.address));
            }
        }
        Ok(())
    }

    fn learn(&self, MeterId { kind, index }: MeterId, fact: &Fact, table: LinkWriter<'_>) {
        let Some(place) = self.place else { return };
        let kind = kind as u8;
        match fact {
            Fact::Name(name) => table.set_name(place, kind, index, name.as_deref()),
            Fact::Muted(muted) => table.set_muted(place, kind, index, Some(*muted)),
            Fact::Gain(db) => table.set_gain(place, kind, index, Some(centi(*db))),
            Fact::Source(number) => table.set_source(place, kind, index, whole(*number)),
            Fact::Grouped(grouped) => table.set_grouped(place, kind, index, Some(*grouped)),
            Fact::Absent => {
                table.set_name(place, kind, index, None);
                table.set_muted(place, kind, index, None);
                table.set_gain(place, kind, index, None);
                table.set_source(place, kind, index, None);
                table.set_grouped(place, kind, index, None);
            }
        }
    }

    /// A port that is not told yet is waited for, as long as a connection may take to open.
    fn open(&mut self, tools: &Tools<'_>) -> io::Result<()> {
        if let Some(demo) = &self.demo {
            self.address.set_port(demo.get().unwrap_or(0));
        }
        self.waits_for_port = self.address.port() == 0;
        if !self.waits_for_port {
            let mut socket = tcp::connect(self.address, tcp::source(&self.listen, self.address))?;
            tools.registry.register(&mut socket, self.token, Interest::READABLE | Interest::WRITABLE)?;
            self.stream = Some(Stream::new(socket));
        }
        Ok(())
    }

    /// Who does not answer may be muted by others meanwhile: all but names is unknown until he tells it again.
    fn show(&self, state: State, table: LinkWriter<'_>) {
        let Some(place) = self.place else { return };
        // In this order: who reads the state first, as readers do, finds no value that is older than it.
        match state {
            State::Connected => {}
            State::Connecting | State::Unresponsive | State::Disconnected => table.forget_values(place),
        }
        table.set_connection(place, state);
    }

    fn close(&mut self, registry: &Registry) {
        self.waits_for_port = false;
        if let Some(mut stream) = self.stream.take() {
            let _ = registry.deregister(&mut stream.socket);
        }
    }
}

/// In centi-dB; saturates.
fn centi(db: f64) -> i16 {
    (db * 100.0).round() as i16
}

/// The number of a source or mix, -1 for none; None for what cannot be one.
fn whole(number: f64) -> Option<i16> {
    (number.fract() == 0.0 && (-1.0..=f64::from(i16::MAX)).contains(&number)).then_some(number as i16)
}

impl Stream {
    fn new(socket: TcpStream) -> Stream {
        let (input, output) = (Lines::default(), Vec::new());
        Stream {
            socket,
            open: false,
            readable: false,
            writable: false,
            input,
            output,
            window: Duration::ZERO,
            taken: 0,
        }
    }

    /// Whether it is open now.
    fn finish_opening(&mut self) -> io::Result<bool> {
        if let Some(e) = self.socket.take_error()? {
            return Err(e);
        }
        match self.socket.peer_addr() {
            Ok(_) => {
                self.open = true;
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::NotConnected => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn read(&mut self, now: Duration, lines: &mut Vec<Vec<u8>>) -> io::Result<()> {
        if now >= self.window + WINDOW {
            (self.window, self.taken) = (now, 0);
        }
        let mut buffer = [0; 8192];
        while self.readable && self.taken < MAX_READ {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err(io::Error::other("the processor closed the connection")),
                Ok(count) => {
                    self.taken += count;
                    let mut bytes = &buffer[..count];
                    let whole = std::iter::from_fn(|| self.input.take(&mut bytes));
                    // One that is too long is passed over.
                    lines.extend(whole.flatten());
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.output.is_empty() && self.writable && self.open {
            match self.socket.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if self.output.len() > MAX_OUTPUT {
            return Err(io::Error::other("the processor takes nothing"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn one_that_floods_is_read_so_much_in_each_window_and_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        let mut stream = Stream::new(TcpStream::from_std(near));
        (stream.open, stream.readable) = (true, true);
        for window in 1..20 {
            while (&far).write(&[b'\n'; 8192]).is_ok() {}
            let now = WINDOW * window;
            let read = |stream: &mut Stream, now| {
                let mut lines = Vec::new();
                stream.read(now, &mut lines).unwrap();
                lines.len()
            };
            let first = read(&mut stream, now);
            assert!((MAX_READ..MAX_READ + 8192).contains(&first), "{first} bytes");
            assert_eq!(read(&mut stream, now + WINDOW / 2), 0, "it waits, not the others");
        }
    }

    #[test]
    fn gains_and_sources_are_what_the_table_can_hold() {
        assert_eq!([-23.5, 0.004, -1e9, 1e9].map(centi), [-2350, 0, i16::MIN, i16::MAX]);
        assert_eq!([-1.0, 21.0].map(whole), [Some(-1), Some(21)]);
        assert_eq!([-2.0, 0.5, 1e9, f64::NAN].map(whole), [None; 4]);
    }
}
