//! What a helper process prints: a pipe that is always read, and of which the last line is kept.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::clean::clean;

/// So much is kept of what was printed last, in bytes.
const KEPT: usize = 1024;
/// Read at a time, in bytes.
const CHUNK: usize = 4096;
/// Reads in one turn: all that a pipe holds, and no more of one that floods.
const MAX_READS: usize = 16;

/// The reading end.
pub(super) struct Tail {
    pipe: File,
    kept: Vec<u8>,
}

impl Tail {
    /// A pipe whose events have that token, and its writing end, which is the helper's standard output and error.
    pub(super) fn open(registry: &Registry, token: Token) -> io::Result<(Tail, OwnedFd)> {
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        // The flag is the pipe end's: a helper that fills the pipe waits, and we never do.
        fcntl(reader.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        registry.register(&mut SourceFd(&reader.as_raw_fd()), token, Interest::READABLE)?;
        Ok((Tail { pipe: File::from(reader), kept: Vec::new() }, writer))
    }

    /// Reads what is there. Of one that prints without end it is what the pipe held; the rest is an event of its own.
    pub(super) fn read(&mut self) {
        let mut chunk = [0; CHUNK];
        for _ in 0..MAX_READS {
            match self.pipe.read(&mut chunk) {
                Ok(n @ 1..) => self.keep(&chunk[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return,
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        let surplus = self.kept.len().saturating_sub(KEPT);
        self.kept.drain(..surplus);
    }

    /// The last line that is not blank, free of control characters; what is left of it if it is longer than is kept.
    pub(super) fn last_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.kept);
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        Some(clean(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_last_line_is_kept_of_however_much() {
        let poll = mio::Poll::new().unwrap();
        let (mut tail, writer) = Tail::open(poll.registry(), Token(0)).unwrap();
        tail.read();
        assert_eq!(tail.last_line(), None);
        let mut writer = File::from(writer);
        writer.write_all(b"one\ntwo \x1b[2J\n \n").unwrap();
        tail.read();
        assert_eq!(tail.last_line().as_deref(), Some("two \u{fffd}[2J"));
        writer.write_all(&[b'x'; 50_000]).unwrap();
        writer.write_all(b"\nlast").unwrap();
        tail.read();
        assert_eq!(tail.last_line().as_deref(), Some("last"));
        assert!(tail.kept.len() <= KEPT);
    }
}
