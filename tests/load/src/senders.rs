//! The sockets of the senders.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::{Plan, Template, Trouble};

/// Descriptors that are needed beside the senders' own.
const RESERVE: u64 = 64;

/// A sender: a connected socket, and what it says.
pub(crate) struct Sender {
    pub(crate) socket: UdpSocket,
    pub(crate) to: SocketAddr,
    pub(crate) template: Template,
}

/// The source address of processor `number` to `to`: 127.0.0.2 and up to this host by IPv4, else the kernel's choice.
#[must_use]
pub fn source(to: SocketAddr, number: usize) -> IpAddr {
    match to.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => {
            let first = u32::from(Ipv4Addr::new(127, 0, 0, 2));
            // All of 127/8 is this host (RFC 1122): 16 bits of it are far more than anybody needs.
            Ipv4Addr::from(first + (number % 65_000) as u32).into()
        }
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Makes all senders of a plan.
pub(crate) fn all(plan: &Plan) -> Result<Vec<Sender>, Trouble> {
    make_room(plan.senders as u64);
    (0..plan.senders).map(|number| one(plan, number)).collect()
}

fn one(plan: &Plan, number: usize) -> Result<Sender, Trouble> {
    let to = plan.targets[number % plan.targets.len()];
    let (from, variant) = plan.role(number, to);
    let socket = connected(from, to).map_err(|source| Trouble::Socket { from, to, source })?;
    Ok(Sender { socket, to, template: plan.payload.template(variant) })
}

/// Connected: the kernel looks the way up once.
fn connected(from: IpAddr, to: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// Raises the limit on open files as far as needed and allowed. Where it is not, the first socket too many says so.
fn make_room(senders: u64) {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let wanted = (senders + RESERVE).min(hard);
    if wanted > soft {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_on_this_host_have_addresses_of_their_own() {
        let to = "127.0.0.1:3131".parse().unwrap();
        assert_eq!([source(to, 0), source(to, 254)], [IpAddr::from([127, 0, 0, 2]), [127, 0, 1, 0].into()]);
        assert!(source("[::1]:3131".parse().unwrap(), 3).is_unspecified());
        assert!(source("192.0.2.1:3131".parse().unwrap(), 3).is_unspecified());
    }
}
