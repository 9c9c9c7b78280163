//! The TCP stream to a processor: non-blocking, and noticed dead.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

/// An idle connection is probed by the kernel after this, …
const IDLE: Duration = Duration::from_secs(10);
/// … each so often, …
const PROBE: Duration = Duration::from_secs(5);
/// … and is dead after so many without an answer.
const PROBES: u32 = 3;
/// What we sent and nobody acknowledged for so long: the cable is pulled.
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// Begins to connect. The processor sends its meters to the address that this comes from: `from`, if it is not to be
/// the kernel's choice.
pub(crate) fn connect(to: SocketAddr, from: Option<SocketAddr>) -> io::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(to), kind, Some(Protocol::TCP))?;
    let keep_alive = TcpKeepalive::new().with_time(IDLE).with_interval(PROBE).with_retries(PROBES);
    socket.set_tcp_keepalive(&keep_alive)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.set_tcp_nodelay(true)?;
    if let Some(from) = from {
        socket.bind(&from.into())?;
    }
    match socket.connect(&to.into()) {
        Err(e) if e.raw_os_error() == Some(nix::libc::EINPROGRESS) => {}
        connected => connected?,
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Where a connection must come from, so that the processor's meters are read: no address in particular if a wildcard reads
/// them all, if the kernel chooses the right one by itself, or if nothing reads them. Asked at each attempt: interfaces
/// come and go.
pub(crate) fn source(listen: &str, to: SocketAddr) -> Option<SocketAddr> {
    let home = contract::home_of(listen, to.ip())?.ip();
    let by_itself = home.is_unspecified() || contract::route_source(to.ip()).is_ok_and(|from| from == home);
    (!by_itself).then(|| SocketAddr::new(home, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_comes_from_where_the_meters_are_read() {
        let to = |text: &str| text.parse().unwrap();
        for (listen, processor, expected) in [
            ("0.0.0.0:3131", "10.0.0.1:5321", None),
            // Nobody has these addresses: they are for documents.
            ("192.0.2.9:3131", "198.51.100.1:5321", Some("192.0.2.9:0")),
            ("127.0.0.1:3131", "198.51.100.1:5321", None),
            ("127.0.0.1:3131", "127.0.0.2:5321", None),
            ("127.0.0.7:3131,127.0.0.1:3131", "127.0.0.2:5321", None),
            ("127.0.0.7:3131", "127.0.0.2:5321", Some("127.0.0.7:0")),
        ] {
            assert_eq!(source(listen, to(processor)), expected.map(to), "{listen} {processor}");
        }
    }
}
