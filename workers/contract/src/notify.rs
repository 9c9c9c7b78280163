//! The line to the supervisor: sd_notify(3).

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sys::fds::Wait;

use crate::Failure;

/// The longest STATUS that is sent, in bytes.
const MAX_STATUS: usize = 1024;

/// A datagram socket to the address in `NOTIFY_SOCKET`.
///
/// It holds about 11 unread messages. What the supervisor must know waits for room; signs of life never do: a stalled
/// supervisor must not freeze its workers. A supervisor that is gone is no error here: the parent pipe tells that.
#[derive(Debug)]
pub struct Notify {
    socket: Option<UnixDatagram>,
}

impl Notify {
    /// Connects to `NOTIFY_SOCKET`; without that variable all messages go nowhere.
    ///
    /// # Errors
    /// When there is an address and nobody can be reached there.
    pub fn from_environment() -> Result<Notify, Failure> {
        std::env::var_os("NOTIFY_SOCKET").map_or_else(|| Ok(Notify::nobody()), |address| Notify::to(&address))
    }

    /// Connects to a path, or to an abstract name behind `@`.
    ///
    /// # Errors
    /// When nobody can be reached there.
    pub fn to(address: &OsStr) -> Result<Notify, Failure> {
        let connect = || {
            let bytes = address.as_encoded_bytes();
            let peer = match bytes.strip_prefix(b"@") {
                Some(name) => SocketAddr::from_abstract_name(name)?,
                None => SocketAddr::from_pathname(address)?,
            };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&peer)?;
            io::Result::Ok(socket)
        };
        let socket =
            connect().map_err(|e| Failure::of(format_args!("cannot reach {}", address.display()), &e))?;
        Ok(Notify { socket: Some(socket) })
    }

    /// A line to nobody: all messages go nowhere.
    #[must_use]
    pub fn nobody() -> Notify {
        Notify { socket: None }
    }

    #[cfg(test)]
    pub(crate) fn over(socket: UnixDatagram) -> Notify {
        Notify { socket: Some(socket) }
    }

    /// `READY=1`: what can be prepared is prepared.
    pub fn ready(&self) {
        self.send("READY=1", &[], Wait::ForRoom);
    }

    /// As [`Notify::ready`], with a STATUS, but never waiting for room.
    ///
    /// # Errors
    /// As [`Notify::try_store`].
    pub fn try_ready(&self, status: &str) -> io::Result<()> {
        self.try_send(&format!("READY=1\nSTATUS={}", one_line(status)), &[])
    }

    /// `RELOADING=1`, since that time of CLOCK_MONOTONIC; never waiting for room.
    ///
    /// # Errors
    /// As [`Notify::try_store`].
    pub fn try_reloading(&self, since: Duration) -> io::Result<()> {
        self.try_send(&format!("RELOADING=1\nMONOTONIC_USEC={}", since.as_micros()), &[])
    }

    /// `X_BOUND=1`: every socket of the slot is bound.
    pub fn bound(&self) {
        self.send("X_BOUND=1", &[], Wait::ForRoom);
    }

    /// Whether anybody is at the other end.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.socket.is_some()
    }

    /// As [`Notify::store`], but never waiting for room.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room; else what sendmsg(2) says.
    pub fn try_store(&self, name: &str, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.try_send(&store_message(name), &[fd])
    }

    /// `FDSTOREREMOVE=1`: whatever is kept under `name` is not needed any more.
    pub fn forget(&self, name: &str) {
        self.send(&forget_message(name), &[], Wait::ForRoom);
    }

    /// As [`Notify::forget`], but never waiting for room.
    ///
    /// # Errors
    /// As [`Notify::try_store`].
    pub fn try_forget(&self, name: &str) -> io::Result<()> {
        self.try_send(&forget_message(name), &[])
    }

    /// `X_TAKEOVER=…`: could take over from the supervisor, in that format of its state.
    pub fn takeover(&self, format: u32) {
        self.send(&format!("X_TAKEOVER={format}"), &[], Wait::ForRoom);
    }

    /// `WATCHDOG=1`: alive. False if there was no room for it: to be said again soon.
    pub fn alive(&self) -> bool {
        self.try_send("WATCHDOG=1", &[]).err().is_none_or(|e| e.kind() != io::ErrorKind::WouldBlock)
    }

    /// `STOPPING=1`: on the way out.
    pub fn stopping(&self) {
        self.send("STOPPING=1", &[], Wait::Never);
    }

    /// As [`Notify::stopping`], for a sender that tries again.
    ///
    /// # Errors
    /// As [`Notify::try_store`].
    pub fn try_stopping(&self) -> io::Result<()> {
        self.try_send("STOPPING=1", &[])
    }

    /// `STATUS=…` for people.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", one_line(text)), &[], Wait::Never);
    }

    /// `X_WARNING=…`: what the log should tell people.
    pub fn warn(&self, text: &str) {
        self.send(&format!("X_WARNING={}", one_line(text)), &[], Wait::ForRoom);
    }

    /// As [`Notify::status`], or with `warning` as [`Notify::warn`]; for a sender that can try again.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room; else what sendmsg(2) says.
    pub fn try_tell(&self, warning: bool, text: &str) -> io::Result<()> {
        let name = if warning { "X_WARNING" } else { "STATUS" };
        self.try_send(&format!("{name}={}", one_line(text)), &[])
    }

    /// `STATUS=…` and `ERRNO=…`: why it ends.
    pub fn failed(&self, failure: &Failure) {
        self.send(
            &format!("STATUS={}\nERRNO={}", one_line(&failure.what), failure.errno),
            &[],
            Wait::ForRoom,
        );
    }

    /// `FDSTORE=1`: gives the supervisor a duplicate to keep under `name`.
    ///
    /// # Errors
    /// When it could not be sent: then nobody else keeps it.
    pub fn store(&self, name: &str, fd: BorrowedFd<'_>) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        sys::fds::send(socket.as_fd(), store_message(name).as_bytes(), &[fd], Wait::ForRoom).map(drop)
    }

    fn try_send(&self, text: &str, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        sys::fds::send(socket.as_fd(), text.as_bytes(), fds, Wait::Never).map(drop)
    }

    fn send(&self, text: &str, fds: &[BorrowedFd<'_>], wait: Wait) {
        if let Some(socket) = &self.socket {
            let _ = sys::fds::send(socket.as_fd(), text.as_bytes(), fds, wait);
        }
    }
}

fn forget_message(name: &str) -> String {
    format!("FDSTOREREMOVE=1\nFDNAME={name}")
}

/// Without FDPOLL=0 systemd would drop a socket in which a reader left an error.
fn store_message(name: &str) -> String {
    format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0")
}

/// A STATUS is one line of bounded length.
fn one_line(text: &str) -> String {
    let mut line = text.replace(['\n', '\r'], " ");
    line.truncate(line.floor_char_boundary(MAX_STATUS));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_socket_stops_ready_but_never_a_sign_of_life() {
        let (socket, supervisor) = UnixDatagram::pair().unwrap();
        let notify = Notify { socket: Some(socket) };
        assert!(notify.alive());
        // It returns, although nobody reads, and says so.
        assert_eq!((0..10_000).filter(|_| notify.alive()).count() + 1, room());
        let waiter = std::thread::spawn(move || notify.ready());
        let mut buffer = [0; 64];
        loop {
            let n = supervisor.recv(&mut buffer).unwrap();
            if &buffer[..n] == b"READY=1" {
                break;
            }
            assert_eq!(&buffer[..n], b"WATCHDOG=1");
        }
        waiter.join().unwrap();
    }

    /// Messages that fit into a line of which nobody reads.
    fn room() -> usize {
        let (socket, _supervisor) = UnixDatagram::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        (0..10_000).take_while(|_| socket.send(b"WATCHDOG=1").is_ok()).count()
    }

    #[test]
    fn a_status_is_one_line_of_bounded_length() {
        assert_eq!(one_line("a\nb\r\nREADY=1"), "a b  READY=1");
        assert_eq!(one_line(&"ü".repeat(1000)).len(), MAX_STATUS);
    }

    #[test]
    fn a_supervisor_that_is_gone_is_no_error() {
        let (socket, supervisor) = UnixDatagram::pair().unwrap();
        drop(supervisor);
        Notify { socket: Some(socket) }.ready();
    }
}
