//! One client of the door: what he said and is not answered yet, what he was told and has not read yet.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use atlas::order::MAX_FRAME;
use mio::net::UnixStream;

use crate::connection::Ticket;

/// One client.
pub(super) struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    pub(super) output: Vec<u8>,
    /// A request of his is under way.
    pub(super) busy: Option<Ticket>,
    /// He hears every line of that processor, by its number among all.
    pub(super) follows: Option<usize>,
    /// Lines that he was too slow for, and was not told of.
    pub(super) left_out: u64,
    /// The kernel may have something of his.
    pub(super) readable: bool,
    /// We leave: what he has not begun to say is not taken any more.
    leaving: bool,
    /// He says no more: it is over once he has his answers.
    pub(super) ended: bool,
    /// He has asked nothing yet, and until then he is about to, since boot.
    pub(super) fresh_until: Option<Duration>,
    /// Number of the last thing that any client did, when he did one: the lower, the longer he is idle.
    pub(super) activity: u64,
}

impl Client {
    pub(super) fn new(stream: UnixStream, activity: u64, fresh_until: Duration) -> Client {
        Client {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            busy: None,
            follows: None,
            left_out: 0,
            readable: true,
            leaving: false,
            ended: false,
            fresh_until: Some(fresh_until),
            activity,
        }
    }

    /// Something is under way for him, though he says nothing.
    pub(super) fn is_served(&self) -> bool {
        self.busy.is_some() || self.follows.is_some()
    }

    /// He has asked for something that he has not got, or is about to.
    pub(super) fn waits(&self, now: Duration) -> bool {
        let has_said = self.busy.is_some() || !self.input.is_empty();
        has_said || !self.output.is_empty() || self.fresh_until.is_some_and(|until| now < until)
    }

    /// Something can be done for him without a new event.
    pub(super) fn has_more(&self) -> bool {
        (self.busy.is_none() && self.has_frame()) || (self.readable && !self.ended && self.listens())
    }

    /// He wants nothing more, and has all that he wanted. Who records wants something until he hangs up.
    pub(super) fn is_over(&self) -> bool {
        let is_served = self.busy.is_some() || self.has_frame() || !self.output.is_empty();
        self.ended && (self.follows.is_some() || !is_served)
    }

    /// He said more than a request is long, or more than he may.
    pub(super) fn is_overfull(&self) -> bool {
        self.input.len() >= MAX_FRAME || (self.follows.is_some() && !self.input.is_empty())
    }

    /// Takes what he said, unless a request of his is under way.
    pub(super) fn read(&mut self) -> io::Result<()> {
        if self.listens() { self.take_all() } else { Ok(()) }
    }

    /// Takes all that he has said, noticed or not; and after it no more than the end of a request, or his first.
    pub(super) fn hear_out(&mut self) -> io::Result<()> {
        (self.readable, self.leaving) = (true, true);
        self.take_all()
    }

    /// Who asks again after each answer would never be done.
    fn listens(&self) -> bool {
        let has_begun = self.fresh_until.is_some() || (!self.input.is_empty() && !self.has_frame());
        self.busy.is_none() && (!self.leaving || has_begun)
    }

    fn take_all(&mut self) -> io::Result<()> {
        let mut buffer = [0; MAX_FRAME];
        while self.readable && !self.ended && self.input.len() < MAX_FRAME {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(count) => self.input.extend_from_slice(&buffer[..count]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// His next request, with its newline.
    pub(super) fn take_frame(&mut self) -> Option<Vec<u8>> {
        let end = self.input.iter().position(|byte| *byte == b'\n')?;
        self.fresh_until = None;
        Some(self.input.drain(..=end).collect())
    }

    /// Sends what he takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
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

    fn has_frame(&self) -> bool {
        self.input.contains(&b'\n')
    }
}
