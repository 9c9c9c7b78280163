//! `--share`: binding a port that others are on, on purpose.
//!
//! Every slot ends with SO_REUSEADDR and SO_REUSEPORT, so nothing is sealed, and no steering program is attached, for
//! strangers hold places in the group. This runs in the launcher.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use contract::Notify;
use nix::libc::{EADDRINUSE, ENODEV};
use socket2::Socket;

use super::launcher::{ORPHAN_LOOKS, ORPHAN_WAIT};
use crate::owners::{self, Owner};

/// Binds a slot's socket beside whoever is there; slot 0 looks who that is, and tells.
///
/// # Errors
/// EADDRINUSE: somebody there cannot be joined.
pub(super) fn join(socket: &Socket, address: SocketAddr, slot: u8, notify: &Notify) -> io::Result<()> {
    if slot != 0 {
        open(socket)?;
        return socket.bind(&address.into());
    }
    let others = others_on(address);
    if others.iter().any(owners::keeps_its_port) {
        return Err(io::Error::from_raw_os_error(EADDRINUSE));
    }
    let dealt_out = bind_first(socket, address)?;
    if !others.is_empty() {
        notify.warn(&warning(address, &others, dealt_out));
    }
    Ok(())
}

/// Whether slot 0 could join, and whom. Where somebody is there, the socket is one of an interface that does not exist:
/// the kernel judges it like any other, and delivers nothing to it.
///
/// # Errors
/// EADDRINUSE: somebody there cannot be joined.
pub(super) fn foresee(socket: &Socket, address: SocketAddr) -> io::Result<Vec<Owner>> {
    let others = others_on(address);
    if others.iter().any(owners::keeps_its_port) {
        return Err(io::Error::from_raw_os_error(EADDRINUSE));
    }
    open(socket)?;
    if !others.is_empty() {
        sys::group::hear_nothing(socket.as_fd())?;
    }
    match socket.bind(&address.into()) {
        // An address of IPv6 is looked for on the interface: all of them are asked for in its place.
        Err(e) if e.raw_os_error() == Some(ENODEV) && !others.is_empty() => {
            let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
            socket.set_only_v6(true)?;
            match socket.bind(&all.into()) {
                // Whoever is on another one may be who is in the way.
                Err(_) if owners::on_port(&[all]).len() > others.len() => Ok(others),
                bound => bound.map(|()| others),
            }
        }
        bound => bound.map(|()| others),
    }
}

/// Open to everybody, before a bind and after it.
pub(super) fn open(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(true)
}

/// Whether everybody there has SO_REUSEPORT and our user, as far as the kernel tells: without SO_REUSEADDR it lets
/// nobody in beside others.
fn bind_first(socket: &Socket, address: SocketAddr) -> io::Result<bool> {
    socket.set_reuse_port(true)?;
    match socket.bind(&address.into()) {
        Ok(()) => open(socket).map(|()| true),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            open(socket)?;
            socket.bind(&address.into()).map(|()| false)
        }
        Err(e) => Err(e),
    }
}

/// Who is there. Workers whose supervisor was killed are waited for: a group that was theirs keeps their program for as
/// long as anybody is in it.
fn others_on(address: SocketAddr) -> Vec<Owner> {
    let mut others = owners::on_port(&[address]);
    for _ in 0..ORPHAN_LOOKS {
        if !others.iter().any(|other| other.pid.is_some_and(owners::is_orphan_of_ours)) {
            break;
        }
        std::thread::sleep(ORPHAN_WAIT);
        others = owners::on_port(&[address]);
    }
    others
}

/// With whom the port is shared, and what comes of it.
fn warning(address: SocketAddr, others: &[Owner], dealt_out: bool) -> String {
    let names = owners::named(others, Some(address));
    let what = if others.iter().any(|other| other.address != address) {
        "what is sent to the more specific address goes to the process bound to it"
    } else if dealt_out {
        "each sender's datagrams go to one of its sockets or of ours, as the kernel's hash has it"
    } else {
        "not everybody there has SO_REUSEPORT and our user, so one side gets every unicast datagram: on IPv4 the \
         one that bound last, on IPv6 the other one"
    };
    format!("UDP {address} is shared with {names}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Type};
    use std::net::UdpSocket;

    fn unbound(reuse_address: bool, reuse_port: bool) -> Socket {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        socket.set_reuse_address(reuse_address).unwrap();
        socket.set_reuse_port(reuse_port).unwrap();
        socket
    }

    #[test]
    fn whoever_may_be_joined_is_joined_and_what_comes_of_it_is_known() {
        for (address, port, joined) in [
            (false, false, None),
            (true, false, Some(false)),
            (false, true, Some(true)),
            (true, true, Some(true)),
        ] {
            let stranger = unbound(address, port);
            stranger.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
            let stranger = UdpSocket::from(stranger);
            let taken = stranger.local_addr().unwrap();
            let ours = unbound(false, false);
            assert_eq!(bind_first(&ours, taken).ok(), joined, "SO_REUSEADDR {address}, SO_REUSEPORT {port}");
            if joined.is_some() {
                assert!(ours.reuse_address().unwrap() && ours.reuse_port().unwrap());
                join(&unbound(false, false), taken, 1, &Notify::nobody())
                    .expect("the next slot joins as well");
            }
        }
    }

    #[test]
    fn the_warning_names_everybody_and_says_who_gets_what() {
        let ours = SocketAddr::from(([0, 0, 0, 0], 3131));
        let owner =
            |address| Owner { pid: Some(77), name: Some("node".into()), uid: 1000, inode: 5, address };
        let said = warning(ours, &[owner(ours)], true);
        assert!(
            said.starts_with("UDP 0.0.0.0:3131 is shared with node (pid 77, uid 1000): each sender's"),
            "{said}"
        );
        assert!(warning(ours, &[owner(ours)], false).contains("on IPv4 the one that bound last"));
        let said = warning(ours, &[owner(ours), owner(SocketAddr::from(([10, 0, 0, 1], 3131)))], true);
        assert!(
            said.contains("node (pid 77, uid 1000) on 10.0.0.1:3131: what is sent to the more specific"),
            "{said}"
        );
    }
}
