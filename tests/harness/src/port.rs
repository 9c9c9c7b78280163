//! Ports, and others who are on them.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use socket2::{Domain, Socket, Type};

/// Ports below those that the kernel gives away by itself.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A UDP port that nobody is on, and that nobody is given for port 0.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes start at different places.
    let start = (std::process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
    (0..COUNT)
        .map(|_| FIRST + (start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT))
        .find(|&port| UdpSocket::bind(("0.0.0.0", port)).is_ok() && UdpSocket::bind(("::", port)).is_ok())
        .expect("a free UDP port")
}

/// How somebody binds a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// `SO_REUSEADDR`.
    pub reuse_address: bool,
    /// `SO_REUSEPORT`.
    pub reuse_port: bool,
}

impl Options {
    /// Each combination.
    pub const ALL: [Options; 4] = [
        Options { reuse_address: false, reuse_port: false },
        Options { reuse_address: true, reuse_port: false },
        Options { reuse_address: false, reuse_port: true },
        Options { reuse_address: true, reuse_port: true },
    ];

    /// Binds a fresh UDP socket so.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn bind(self, address: SocketAddr) -> std::io::Result<UdpSocket> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        socket.set_reuse_address(self.reuse_address)?;
        socket.set_reuse_port(self.reuse_port)?;
        socket.bind(&address.into())?;
        Ok(socket.into())
    }
}
