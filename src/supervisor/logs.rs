//! What all processes print: a pipe for each slot and for ourselves, kept here, both ends. So whoever prints never finds
//! its reader gone, and the logger's death loses no line.
//!
//! All of them are made at the start: a logger gets each pipe that there may ever be, and scaling needs no word to it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use contract::logs::{STAGE_READ, STAGE_WRITE, SUPERVISOR, SUPERVISOR_SOURCE, pipe_name};
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};

use super::handover::{Packing, Unpacking};
use crate::core::{MAX_WORKERS, Slot};
use crate::roles::Roles;

/// What a pipe holds while nobody reads, in bytes. Where that is more than fs.pipe-max-size, or than the user's pipes may
/// have together, it is what the kernel made: 64 KiB, or two pages (pipe(7), pipe-user-pages-soft).
const ROOM: i32 = 256 << 10;

const _: () = assert!(MAX_WORKERS as usize == SUPERVISOR_SOURCE);

struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Pipe {
    fn new() -> io::Result<Pipe> {
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let _ = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(ROOM));
        Ok(Pipe { reader, writer })
    }

    fn freeze<'a>(&'a self, packing: &mut Packing<'a>) -> (RawFd, RawFd) {
        (packing.pack(self.reader.as_fd()), packing.pack(self.writer.as_fd()))
    }

    fn thaw((reader, writer): (RawFd, RawFd), fds: &mut Unpacking) -> io::Result<Pipe> {
        Ok(Pipe { reader: fds.take(reader)?, writer: fds.take(writer)? })
    }
}

/// The pipes.
pub(super) struct Logs {
    /// Number and name of each source, in the order of the numbers.
    pipes: Vec<(usize, String, Pipe)>,
    /// What the logger took and has not written yet.
    stage: Pipe,
}

/// As they are handed over at an upgrade.
#[derive(Serialize, Deserialize)]
pub(super) struct Frozen {
    pipes: Vec<(usize, String, (RawFd, RawFd))>,
    stage: (RawFd, RawFd),
}

/// What a slot is called as a source.
fn number_of(slot: Slot) -> usize {
    match slot {
        Slot::Worker(number) => usize::from(number),
        Slot::Role(index) => SUPERVISOR_SOURCE + 1 + usize::from(index),
    }
}

impl Logs {
    pub(super) fn new(roles: &Roles) -> io::Result<Logs> {
        let mut logs = Logs { pipes: Vec::new(), stage: Pipe::new()? };
        logs.complete(roles)?;
        Ok(logs)
    }

    /// One pipe for each source that this version has.
    fn complete(&mut self, roles: &Roles) -> io::Result<()> {
        let workers = (0..MAX_WORKERS).map(|number| (usize::from(number), number.to_string()));
        let beside = (0..).zip(roles.beside);
        let beside =
            beside.map(|(index, beside)| (number_of(Slot::Role(index)), beside.role.name.to_owned()));
        for (number, name) in workers.chain([(SUPERVISOR_SOURCE, SUPERVISOR.to_owned())]).chain(beside) {
            if !self.pipes.iter().any(|(known, ..)| *known == number) {
                self.pipes.push((number, name, Pipe::new()?));
            }
        }
        Ok(())
    }

    pub(super) fn freeze<'a>(&'a self, packing: &mut Packing<'a>) -> Frozen {
        let pipes =
            self.pipes.iter().map(|(number, name, pipe)| (*number, name.clone(), pipe.freeze(packing)));
        let pipes = pipes.collect();
        Frozen { pipes, stage: self.stage.freeze(packing) }
    }

    pub(super) fn thaw(frozen: Frozen, roles: &Roles, fds: &mut Unpacking) -> io::Result<Logs> {
        let thaw = |(number, name, pipe)| Ok((number, name, Pipe::thaw(pipe, fds)?));
        let pipes = frozen.pipes.into_iter().map(thaw).collect::<io::Result<_>>()?;
        let mut logs = Logs { pipes, stage: Pipe::thaw(frozen.stage, fds)? };
        logs.complete(roles)?;
        Ok(logs)
    }

    /// Where a process of a slot prints: the pipe through a description of its own. O_NONBLOCK, which a program may set
    /// (Node.js does), belongs to the description: the slot's next process is to find it as programs expect it.
    pub(super) fn output(&self, slot: Slot) -> io::Result<Option<OwnedFd>> {
        let Some(kept) = self.writer(number_of(slot)) else { return Ok(None) };
        let path = format!("/proc/self/fd/{}", kept.as_raw_fd());
        let own = open(path.as_str(), OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty());
        own.or_else(|_| sys::fds::duplicate(kept)).map(Some) // without a /proc they share one
    }

    /// Where we print ourselves.
    pub(super) fn own_output(&self) -> Option<BorrowedFd<'_>> {
        self.writer(SUPERVISOR_SOURCE)
    }

    fn writer(&self, number: usize) -> Option<BorrowedFd<'_>> {
        let pipe = self.pipes.iter().find(|(known, ..)| *known == number);
        pipe.map(|(_, _, pipe)| pipe.writer.as_fd())
    }

    /// What the logger reads.
    pub(super) fn lend(&self) -> impl Iterator<Item = (String, BorrowedFd<'_>)> {
        let pipes =
            self.pipes.iter().map(|(number, name, pipe)| (pipe_name(*number, name), pipe.reader.as_fd()));
        let stage = [(STAGE_READ, &self.stage.reader), (STAGE_WRITE, &self.stage.writer)];
        pipes.chain(stage.map(|(name, fd)| (name.to_owned(), fd.as_fd())))
    }

    /// Only what was printed is left: whoever reads comes to an end.
    pub(super) fn into_rest(self) -> Rest {
        let readers =
            self.pipes.into_iter().map(|(number, name, pipe)| (pipe_name(number, &name), pipe.reader));
        Rest { readers: readers.collect(), stage: self.stage }
    }
}

/// The pipes, when nobody prints any more.
pub(super) struct Rest {
    readers: Vec<(String, OwnedFd)>,
    stage: Pipe,
}

impl Rest {
    pub(super) fn lend(&self) -> impl Iterator<Item = (String, BorrowedFd<'_>)> {
        let stage = [(STAGE_READ, &self.stage.reader), (STAGE_WRITE, &self.stage.writer)];
        let readers = self.readers.iter().map(|(name, fd)| (name.clone(), fd.as_fd()));
        readers.chain(stage.map(|(name, fd)| (name.to_owned(), fd.as_fd())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::ROLES;

    #[test]
    fn what_one_process_makes_of_its_output_is_nothing_to_the_next() {
        let logs = Logs::new(&ROLES).unwrap();
        let (one, next) =
            (logs.output(Slot::Worker(3)).unwrap().unwrap(), logs.output(Slot::Worker(3)).unwrap().unwrap());
        fcntl(&one, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let flags = OFlag::from_bits_retain(fcntl(&next, FcntlArg::F_GETFL).unwrap());
        assert!(!flags.contains(OFlag::O_NONBLOCK));
        nix::unistd::write(&one, b"one ").unwrap();
        nix::unistd::write(&next, b"pipe").unwrap();
        let (_, reader) = logs.lend().find(|(name, _)| name == "log.3.3").unwrap();
        let mut text = [0; 16];
        let bytes = nix::unistd::read(reader, &mut text).unwrap();
        assert_eq!(&text[..bytes], b"one pipe");
    }

    #[test]
    fn each_source_has_a_pipe_and_a_number_of_its_own() {
        let logs = Logs::new(&ROLES).unwrap();
        let names: Vec<String> = logs.lend().map(|(name, _)| name).collect();
        assert_eq!(names.len(), usize::from(MAX_WORKERS) + 1 + ROLES.beside.len() + 2);
        assert!(names.contains(&"log.64.supervisor".to_owned()) && names.contains(&"log.66.link".to_owned()));
    }
}
