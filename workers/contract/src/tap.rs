//! Raw datagrams on their way from the workers to whoever records them.
//!
//! A recorder listens on a socket of whole messages (SOCK_SEQPACKET) in the runtime directory; the meter table says which
//! processor is recorded, by which number. A worker connects, and hands over what a batch brought; it never waits.
//!
//! ```text
//! message    version u32, slot u32, batch u64, left out u64, then datagrams       little endian
//! datagram   index in the batch u32, length u32, µs since boot u64, bytes
//! ```
//! A worker that died may have handed over what its successor takes again: same slot, same batch, an index not above the
//! last.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::private;

/// Longest message, in bytes: 15 of the longest datagrams, several hundred usual ones.
pub const MAX_MESSAGE: usize = 64 << 10;
/// What all messages begin with.
const VERSION: u32 = 1;
const HEAD: usize = 24;
const DATAGRAM: usize = 16;
/// What the names of all these sockets begin with.
const NAME: &str = "tap.";

/// Where the recorder of that number listens.
#[must_use]
pub fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{NAME}{number:016x}"))
}

/// Takes away the sockets of recorders that were killed. One that somebody listens on stays: it outlives a supervisor.
///
/// # Errors
/// What reading the folder or removing a file there says.
pub fn sweep(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(NAME));
        if is_ours
            && entry.file_type()?.is_socket()
            && connect(&entry.path()).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The recorder's end: non-blocking, 0600 from its first moment.
///
/// # Errors
/// What bind(2) and listen(2) say.
pub fn listen(path: &Path) -> io::Result<OwnedFd> {
    Ok(private::listen(Type::SEQPACKET.nonblocking(), path)?.into())
}

/// The worker's end: non-blocking.
///
/// # Errors
/// What connect(2) says: nobody listens, or too many wait.
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::UNIX, Type::SEQPACKET.nonblocking().cloexec(), None)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}

/// A worker that connected.
///
/// # Errors
/// What accept(2) says; `WouldBlock` if nobody waits.
pub fn accept(listener: &OwnedFd) -> io::Result<OwnedFd> {
    let (socket, _) = socket2::SockRef::from(listener).accept()?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The worker's slot.
    pub slot: u8,
    /// The batch in which the datagrams came.
    pub batch: u64,
    /// Datagrams that this worker could not hand over since its last message.
    pub left_out: u64,
}

/// A datagram as it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Its number in the batch.
    pub index: u32,
    /// When it came, in µs since boot.
    pub micros: u64,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// A message that is being filled.
#[derive(Debug)]
pub struct Message {
    bytes: Vec<u8>,
    count: u64,
}

impl Default for Message {
    fn default() -> Message {
        Message { bytes: vec![0; HEAD], count: 0 }
    }
}

impl Message {
    /// Appends a datagram; false, and nothing done, if there is no room left.
    pub fn push(&mut self, datagram: &Datagram<'_>) -> bool {
        let Ok(length) = u32::try_from(datagram.bytes.len()) else { return false };
        if self.bytes.len() + DATAGRAM + datagram.bytes.len() > MAX_MESSAGE {
            return false;
        }
        self.bytes.extend_from_slice(&datagram.index.to_le_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&datagram.micros.to_le_bytes());
        self.bytes.extend_from_slice(datagram.bytes);
        self.count += 1;
        true
    }

    /// How many datagrams are in it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The whole, with this head.
    pub fn finish(&mut self, head: Head) -> &[u8] {
        self.bytes[..4].copy_from_slice(&VERSION.to_le_bytes());
        self.bytes[4..8].copy_from_slice(&u32::from(head.slot).to_le_bytes());
        self.bytes[8..16].copy_from_slice(&head.batch.to_le_bytes());
        self.bytes[16..HEAD].copy_from_slice(&head.left_out.to_le_bytes());
        &self.bytes
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.bytes.truncate(HEAD);
        self.count = 0;
    }
}

/// Takes a message apart; None if it is none of ours.
#[must_use]
pub fn read(message: &[u8]) -> Option<(Head, Vec<Datagram<'_>>)> {
    let (head, mut rest) = message.split_at_checked(HEAD)?;
    let half = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let whole = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
    if half(0)? != VERSION {
        return None;
    }
    let head = Head { slot: u8::try_from(half(4)?).ok()?, batch: whole(8)?, left_out: whole(16)? };
    let mut datagrams = Vec::new();
    while !rest.is_empty() {
        let (front, behind) = rest.split_at_checked(DATAGRAM)?;
        let index = u32::from_le_bytes(front[..4].try_into().ok()?);
        let length = usize::try_from(u32::from_le_bytes(front[4..8].try_into().ok()?)).ok()?;
        let micros = u64::from_le_bytes(front[8..].try_into().ok()?);
        let (bytes, behind) = behind.split_at_checked(length)?;
        datagrams.push(Datagram { index, micros, bytes });
        rest = behind;
    }
    Some((head, datagrams))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use sys::fds::{Wait, receive, send};

    #[test]
    fn what_is_handed_over_arrives_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), 7);
        assert!(connect(&path).is_err(), "nobody listens");
        let listener = listen(&path).unwrap();
        assert_eq!(accept(&listener).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let worker = connect(&path).unwrap();
        let mut message = Message::default();
        let datagrams = [(0, &b"{}"[..]), (3, b""), (63, b"\xff\n")].map(|(index, bytes)| Datagram {
            index,
            micros: 1 << 40,
            bytes,
        });
        assert!(datagrams.iter().all(|datagram| message.push(datagram)));
        let head = Head { slot: 63, batch: u64::MAX, left_out: 5 };
        send(worker.as_fd(), message.finish(head), &[], Wait::Never).unwrap();
        drop(worker);
        let accepted = accept(&listener).unwrap();
        let mut buffer = vec![0; MAX_MESSAGE];
        let got = receive(accepted.as_fd(), &mut buffer).unwrap();
        assert_eq!(read(&buffer[..got.bytes]), Some((head, datagrams.to_vec())));
        assert_eq!(receive(accepted.as_fd(), &mut buffer).unwrap().bytes, 0, "and then its end");
    }

    #[test]
    fn a_message_is_bounded_and_nonsense_is_none() {
        let mut message = Message::default();
        let long = Datagram { index: 0, micros: 0, bytes: &[b'x'; 4096] };
        assert_eq!((0..64).take_while(|_| message.push(&long)).count(), 15);
        let bytes = message.finish(Head { slot: 0, batch: 1, left_out: 0 }).to_vec();
        assert!(bytes.len() <= MAX_MESSAGE && read(&bytes).is_some());
        for cut in [0, 3, 23, 30, bytes.len() - 1] {
            assert_eq!(read(&bytes[..cut]), None, "{cut}");
        }
        assert_eq!(read(&[0xff; 64]), None);
        message.clear();
        assert_eq!((message.count(), message.push(&long)), (0, true));
    }

    #[test]
    fn sockets_of_the_dead_are_swept_and_those_of_the_living_stay() {
        let folder = tempfile::tempdir().unwrap();
        let [dead, living] = [7, 8].map(|number| path(folder.path(), number));
        drop(listen(&dead).unwrap());
        let _listener = listen(&living).unwrap();
        let other = folder.path().join("tap.txt");
        std::fs::write(&other, "somebody's").unwrap();
        sweep(folder.path()).unwrap();
        assert_eq!([&dead, &living, &other].map(|path| path.exists()), [false, true, true]);
        assert!(sweep(&dead).is_err());
    }

    #[test]
    fn who_is_not_read_never_makes_a_worker_wait() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), 7);
        let listener = listen(&path).unwrap();
        let worker = connect(&path).unwrap();
        let bytes = vec![0; MAX_MESSAGE];
        let refused = (0..1000).find_map(|_| send(worker.as_fd(), &bytes, &[], Wait::Never).err());
        assert_eq!(refused.unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(listener);
        assert!(send(worker.as_fd(), b"x", &[], Wait::Never).is_err(), "and nobody is there");
    }
}
