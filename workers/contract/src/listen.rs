//! Which of the cluster's addresses a processor's meters come to.

use std::net::{IpAddr, SocketAddr};

/// The one of `listen` (`X_ATLAS_LISTEN`: addresses separated by commas) at which the meters of `processor` are read: a
/// wildcard if there is one, else one of its family, where loopback reaches every address of ours and nothing else is
/// reached by loopback. None if there is none.
#[must_use]
pub fn home_of(listen: &str, processor: IpAddr) -> Option<SocketAddr> {
    let listen: Vec<SocketAddr> = listen.split(',').filter_map(|address| address.parse().ok()).collect();
    let same_family = |address: &&SocketAddr| address.is_ipv4() == processor.is_ipv4();
    let wildcard =
        |address: &&SocketAddr| address.ip().is_unspecified() && (address.is_ipv6() || processor.is_ipv4());
    let near = |address: &&SocketAddr| address.ip().is_loopback() == processor.is_loopback();
    let any = || listen.iter().filter(|_| processor.is_loopback()).find(same_family);
    let found = listen.iter().find(wildcard);
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
            assert_eq!(home_of(listen, processor.parse().unwrap()), expected, "{listen} {processor}");
        }
    }
}
