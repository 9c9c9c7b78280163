//! UDP ports of this host: free ones, and what the kernel says of those in use.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::trouble::{Trouble, cannot};

/// Ports below those that the kernel gives away by itself.
const FIRST: u16 = 21_000;
const COUNT: u16 = 8_000;
/// The receive buffer that everybody asks for.
const ROOM: usize = 4 << 20;

/// What the kernel says of the sockets of one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    /// Sockets.
    pub(crate) sockets: usize,
    /// Bytes of memory that wait in them.
    pub(crate) bytes: u64,
    /// Datagrams thrown away for want of room.
    pub(crate) dropped: u64,
}

/// An address on loopback that nobody is on.
pub(crate) fn free() -> Result<SocketAddr, Trouble> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
    (0..COUNT)
        .map(|_| FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|&address| UdpSocket::bind(address).is_ok())
        .ok_or_else(|| {
            Trouble::broken("no UDP port is free from 21000 to 28999", "end what holds them: ss -ulnp")
        })
}

/// The receive buffer that everybody is given: 4 MiB, or what the kernel allows without privilege.
pub(crate) fn room() -> usize {
    let allowed = fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap_or_default();
    allowed.trim().parse().map_or(ROOM, |allowed: usize| allowed.min(ROOM))
}

/// What the kernel says of the sockets bound to the port of `address`.
pub(crate) fn queue(address: SocketAddr) -> Result<Queue, Trouble> {
    let text = fs::read_to_string("/proc/net/udp").map_err(cannot("read /proc/net/udp"))?;
    Ok(parse(&text, address.port()))
}

/// Documentation/networking/proc_net_tcp.rst: the columns; UDP has the drops in the last one.
fn parse(text: &str, port: u16) -> Queue {
    let mut sum = Queue::default();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let local = fields.get(1).and_then(|local| hex(local.split_once(':')?.1));
        if local != Some(u64::from(port)) {
            continue;
        }
        sum.sockets += 1;
        sum.bytes += fields.get(4).and_then(|queues| hex(queues.split_once(':')?.1)).unwrap_or(0);
        sum.dropped += fields.last().and_then(|dropped| dropped.parse().ok()).unwrap_or(0);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sockets_of_one_port_are_summed_up() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   21: 0100007F:5A5B 00000000:0000 07 00000000:00000340 00:00000000 00000000     0        0 1 2 00000000e5fb6799 7
   22: 0100007F:5A5B 00000000:0000 07 00000000:00000001 00:00000000 00000000     0        0 2 2 00000000e5fb6799 1
   23: 0100007F:5A5C 00000000:0000 07 00000000:00000300 00:00000000 00000000     0        0 3 2 00000000e5fb6799 9\n";
        assert_eq!(parse(text, 0x5A5B), Queue { sockets: 2, bytes: 0x341, dropped: 8 });
        assert_eq!(parse(text, 1), Queue::default());
    }

    #[test]
    fn what_waits_in_a_socket_is_seen() {
        let address = free().unwrap();
        let socket = UdpSocket::bind(address).unwrap();
        assert_eq!(queue(address).unwrap(), Queue { sockets: 1, bytes: 0, dropped: 0 });
        socket.send_to(b"x", address).unwrap();
        assert!(queue(address).unwrap().bytes > 0);
    }
}
