//! Sockets in the file system that are their owner's alone from their first moment.
//!
//! The kernel gives a socket's file the mode of the socket itself, which fchmod(2) sets before there is a file
//! (net/unix/af_unix.c, unix_bind_bsd()). The process's mask would do too, but it belongs to all threads.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// A listener at `path`, with the mode 0600 at the most.
///
/// # Errors
/// What socket(2), bind(2) and listen(2) say.
pub fn private_listener(path: &Path) -> io::Result<UnixListener> {
    Ok(UnixListener::from(OwnedFd::from(listen(Type::STREAM, path)?)))
}

/// A socket at `path` that takes messages, with the mode 0600 at the most.
///
/// # Errors
/// What socket(2) and bind(2) say.
pub fn private_datagram(path: &Path) -> io::Result<UnixDatagram> {
    Ok(UnixDatagram::from(OwnedFd::from(bind(Type::DGRAM, path)?)))
}

pub(crate) fn listen(kind: Type, path: &Path) -> io::Result<Socket> {
    let socket = bind(kind, path)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn bind(kind: Type, path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, kind.cloexec(), None)?;
    fchmod(socket.as_fd(), Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn what_is_made_is_the_owner_s_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let _listener = private_listener(&path("listener")).unwrap();
        let _datagram = private_datagram(&path("datagram")).unwrap();
        let _messages = listen(Type::SEQPACKET, &path("messages")).unwrap();
        for name in ["listener", "datagram", "messages"] {
            assert_eq!(std::fs::metadata(path(name)).unwrap().mode() & 0o777, 0o600, "{name}");
        }
    }
}
