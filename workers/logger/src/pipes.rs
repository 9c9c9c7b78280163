//! The pipes: looked into without taking, and taken at once.
//!
//! tee(2) copies what is in a pipe to another one and leaves it there; splice(2) moves it, whole or not at all as far as
//! a death can tell: it is one call that never waits.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice, tee};

/// What is looked at of one source at a time, in bytes.
pub(crate) const WINDOW: usize = 64 << 10;
/// Room of the pipes that only pass things on: as many pages as a source can have, however little is on each.
const ROOM: i32 = 256 << 10;

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// So many bytes.
    Some(usize),
    /// Nothing now.
    Nothing,
    /// Nothing, and nobody is left who could write.
    End,
}

/// A pipe of our own, through which others are looked into.
pub(crate) struct Glass {
    reader: std::fs::File,
    writer: OwnedFd,
    window: Vec<u8>,
}

impl Glass {
    pub(crate) fn new() -> io::Result<Glass> {
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        widen(writer.as_fd());
        Ok(Glass { reader: reader.into(), writer, window: vec![0; WINDOW] })
    }

    /// Looks into `pipe`; what is seen lies in the window.
    pub(crate) fn look(&mut self, pipe: BorrowedFd<'_>) -> io::Result<Seen> {
        match again(|| tee(pipe, &self.writer, WINDOW, SpliceFFlags::SPLICE_F_NONBLOCK)) {
            Ok(0) => Ok(Seen::End),
            Ok(bytes) => {
                self.reader.read_exact(&mut self.window[..bytes])?;
                Ok(Seen::Some(bytes))
            }
            Err(Errno::EAGAIN) => Ok(Seen::Nothing),
            Err(e) => Err(e.into()),
        }
    }

    pub(crate) fn window(&self, bytes: usize) -> &[u8] {
        &self.window[..bytes]
    }
}

/// What was taken and is not written yet.
pub(crate) struct Stage {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Stage {
    pub(crate) fn new(reader: OwnedFd, writer: OwnedFd) -> io::Result<Stage> {
        without_waiting(reader.as_fd())?;
        widen(writer.as_fd());
        Ok(Stage { reader, writer })
    }

    /// Takes the first `bytes` of a pipe, all of them there; answers how many were taken.
    pub(crate) fn take(&self, pipe: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK;
        Ok(again(|| splice(pipe, None, &self.writer, None, bytes, flags))?)
    }

    pub(crate) fn reader(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// Throws away what is on it.
    pub(crate) fn clear(&self) -> io::Result<()> {
        let mut waste = [0; 16 << 10];
        loop {
            match again(|| nix::unistd::read(&self.reader, &mut waste)) {
                Ok(0) | Err(Errno::EAGAIN) => return Ok(()),
                Ok(_) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// A reading end that never waits: the flag is of this end alone.
pub(crate) fn without_waiting(pipe: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// As far as the system allows.
fn widen(pipe: BorrowedFd<'_>) {
    let _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(ROOM));
}

fn again<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(e) if io::Error::from(e).kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe() -> (OwnedFd, OwnedFd) {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        without_waiting(reader.as_fd()).unwrap();
        (reader, writer)
    }

    fn write(writer: &OwnedFd, text: &[u8]) {
        assert_eq!(nix::unistd::write(writer, text).unwrap(), text.len());
    }

    #[test]
    fn a_look_takes_nothing_and_a_part_can_be_taken() {
        let ((reader, writer), mut glass) = (pipe(), Glass::new().unwrap());
        assert_eq!(glass.look(reader.as_fd()).unwrap(), Seen::Nothing);
        write(&writer, b"one\n");
        write(&writer, b"two\nha");
        for _ in 0..3 {
            assert_eq!(glass.look(reader.as_fd()).unwrap(), Seen::Some(10));
            assert_eq!(glass.window(10), b"one\ntwo\nha");
        }
        let (stage_reader, stage_writer) = pipe();
        let stage = Stage::new(stage_reader, stage_writer).unwrap();
        assert_eq!(stage.take(reader.as_fd(), 8).unwrap(), 8);
        assert_eq!(glass.look(stage.reader()).unwrap(), Seen::Some(8));
        assert_eq!(glass.window(8), b"one\ntwo\n");
        stage.clear().unwrap();
        assert_eq!(glass.look(stage.reader()).unwrap(), Seen::Nothing);
        assert_eq!(glass.look(reader.as_fd()).unwrap(), Seen::Some(2));
        assert_eq!(glass.window(2), b"ha");
        drop(writer);
        assert_eq!(glass.look(reader.as_fd()).unwrap(), Seen::Some(2));
        stage.take(reader.as_fd(), 2).unwrap();
        assert_eq!(glass.look(reader.as_fd()).unwrap(), Seen::End);
    }

    #[test]
    fn a_full_pipe_is_seen_in_windows() {
        let ((reader, writer), mut glass) = (pipe(), Glass::new().unwrap());
        widen(writer.as_fd());
        for number in 0..40u8 {
            write(&writer, &[number; 5000]);
        }
        let (stage_reader, stage_writer) = pipe();
        let stage = Stage::new(stage_reader, stage_writer).unwrap();
        let mut all = Vec::new();
        while let Seen::Some(bytes) = glass.look(reader.as_fd()).unwrap() {
            all.extend_from_slice(glass.window(bytes));
            assert_eq!(stage.take(reader.as_fd(), bytes).unwrap(), bytes);
            stage.clear().unwrap();
        }
        let wanted: Vec<u8> = (0..40u8).flat_map(|number| [number; 5000]).collect();
        assert!(all == wanted);
    }
}
