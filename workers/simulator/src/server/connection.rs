//! One TCP connection: what is read from it and what waits to be written to it.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use mio::net::TcpStream;

use crate::outlet::Outlet;

/// The most bytes of one read.
pub(super) const READ: usize = 16 * 1024;
/// While so many bytes wait to be written, nothing is read: who does not read his answers asks no more questions.
const PAUSE_READING: usize = 64 * 1024;
/// How long a client that has closed its half may take to read what is left.
const LINGER: Duration = Duration::from_secs(10);

/// A connection that is served.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) outlet: Outlet,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The client sends no more, since then; what waits is still written.
    pub(super) ended: Option<Duration>,
}

/// What a read gave.
pub(super) enum Heard {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// Nothing ever again.
    End,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Connection {
        Connection { stream, outlet: Outlet::default(), readable: true, writable: true, ended: None }
    }

    /// Whether to read now.
    pub(super) fn wants_read(&self) -> bool {
        self.readable && self.ended.is_none() && self.outlet.waiting() < PAUSE_READING
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Heard {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Heard::End,
                Ok(bytes) => return Heard::Bytes(bytes),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Heard::Nothing;
                }
                Err(_) => return Heard::End,
            }
        }
    }

    /// Writes what is due, as far as the kernel takes it.
    pub(super) fn flush(&mut self, now: Duration) -> io::Result<()> {
        while self.writable {
            let Some(bytes) = self.outlet.next(now) else { break };
            match self.stream.write(bytes) {
                Ok(bytes) => self.outlet.written(bytes),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Whether there is nothing more to do for it.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.ended.is_some_and(|since| self.outlet.waiting() == 0 || now >= since + LINGER)
    }

    /// When there is something to do for it without an event.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let write = self.outlet.due().filter(|_| self.writable);
        [write, self.ended.map(|since| since + LINGER)].into_iter().flatten().min()
    }
}
