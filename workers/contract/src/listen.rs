//! Which of the cluster's addresses a processor's meters come to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The one of `listen` (`X_ATLAS_LISTEN`: addresses separated by commas) at which the meters of `processor` are read: a
/// wildcard if there is one, else the address that this host reaches the processor from, else one of its family, where
/// loopback reaches every address of ours and nothing else is reached by loopback. None if there is none.
#[must_use]
pub fn home_of(listen: &str, processor: IpAddr) -> Option<SocketAddr> {
    choose(listen, processor, route_source(processor).ok())
}

/// The address of this host that packets to `far` come from, if nobody binds another: the kernel's choice among its
/// interfaces. A datagram socket is connected without a packet.
///
/// # Errors
/// When there is no way there, or no socket for the asking.
pub fn route_source(far: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if far.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    // The port says nothing: 9 is that of the discard protocol.
    socket.connect((far, 9))?;
    Ok(socket.local_addr()?.ip())
}

fn choose(listen: &str, processor: IpAddr, route: Option<IpAddr>) -> Option<SocketAddr> {
    let listen: Vec<SocketAddr> = listen.split(',').filter_map(|address| address.parse().ok()).collect();
    let same_family = |address: &&SocketAddr| address.is_ipv4() == processor.is_ipv4();
    let wildcard =
        |address: &&SocketAddr| address.ip().is_unspecified() && (address.is_ipv6() || processor.is_ipv4());
    let on_the_way = |address: &&SocketAddr| Some(address.ip()) == route;
    let near = |address: &&SocketAddr| address.ip().is_loopback() == processor.is_loopback();
    let any = || listen.iter().filter(|_| processor.is_loopback()).find(same_family);
    let found = listen.iter().find(wildcard).or_else(|| listen.iter().find(on_the_way));
    let found = found.or_else(|| listen.iter().filter(same_family).find(near));
    found.or_else(any).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meters_come_to_a_wildcard_or_to_an_address_of_their_kind() {
        for (listen, processor, expected) in [
            ("0.0.0.0:3131", "10.0.0.1", Some("0.0.0.0:3131")),
            ("[::]:3131", "10.0.0.1", Some("[::]:3131")),
            ("0.0.0.0:3131", "fd00::1", None),
            ("10.0.0.9:3131", "10.0.0.1", Some("10.0.0.9:3131")),
            ("127.0.0.1:3131,10.0.0.9:3132", "10.0.0.1", Some("10.0.0.9:3132")),
            ("10.0.0.9:3131,127.0.0.1:3132", "127.0.0.2", Some("127.0.0.1:3132")),
            ("10.0.0.9:3131", "127.0.0.2", Some("10.0.0.9:3131")),
            ("[fd00::9]:3131", "::1", Some("[fd00::9]:3131")),
            ("127.0.0.1:3131", "10.0.0.1", None),
            ("[::1]:3131", "10.0.0.1", None),
            ("[::1]:3131", "127.0.0.2", None),
            ("10.0.0.9:3131,0.0.0.0:3132", "10.0.0.1", Some("0.0.0.0:3132")),
            ("", "10.0.0.1", None),
        ] {
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(choose(listen, processor.parse().unwrap(), None), expected, "{listen} {processor}");
        }
    }

    #[test]
    fn of_several_interfaces_it_is_the_one_that_leads_to_the_processor() {
        let two = "10.0.0.9:3131,192.168.5.2:3131";
        for (listen, processor, route, expected) in [
            (two, "192.168.5.101", "192.168.5.2", Some("192.168.5.2:3131")),
            (two, "10.0.0.1", "10.0.0.9", Some("10.0.0.9:3131")),
            // None of ours leads there: any of them may be routed.
            (two, "192.168.5.101", "172.16.0.1", Some("10.0.0.9:3131")),
            ("10.0.0.9:3131,0.0.0.0:3132", "10.0.0.1", "10.0.0.9", Some("0.0.0.0:3132")),
            ("127.0.0.1:3131,127.0.0.5:3131", "127.0.0.2", "127.0.0.5", Some("127.0.0.5:3131")),
        ] {
            let expected = expected.map(|address| address.parse().unwrap());
            let chosen = choose(listen, processor.parse().unwrap(), Some(route.parse().unwrap()));
            assert_eq!(chosen, expected, "{listen} {processor} {route}");
        }
    }

    #[test]
    fn the_kernel_tells_where_a_way_begins() {
        for address in ["127.0.0.1", "127.9.9.9", "::1"] {
            let Ok(source) = route_source(address.parse().unwrap()) else {
                assert_eq!(address, "::1", "a host without IPv6");
                continue;
            };
            assert!(source.is_loopback(), "{address}: {source}");
        }
        assert_eq!(
            home_of("127.0.0.7:3131,127.0.0.1:3131", "127.9.9.9".parse().unwrap()).unwrap().to_string(),
            "127.0.0.1:3131"
        );
    }
}
