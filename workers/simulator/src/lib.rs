//! An AZM8 that behaves as the manual says; so far the sender of its meters.
//!
//! [`music`] is the model; this file sends what it shows to the cluster's port, one parameter in each datagram, as the
//! manual prints it. The TCP side comes with the link.

pub mod capture;
pub mod fault;
pub mod music;
pub mod outlet;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use atlas::message;
use contract::{Contract, Failure, LISTEN, Lent, Life, Role, SEAT, Seat, clock};
use mio::{Events, Poll};
use music::Azm8;

/// The address that the simulated processor has.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Between two readings of one meter.
const INTERVAL: Duration = Duration::from_millis(100);
/// What the cluster knows of this role.
pub const ROLE: Role = Role {
    name: "simulator",
    sockets: false,
    quarantine: false,
    seat: Some(Lent { name: SEAT, bytes: 4096, head: Vec::new }),
    shared: &[],
    main: run,
};

fn run(mut contract: Contract) -> Result<(), Failure> {
    let target = target(&std::env::var(LISTEN).unwrap_or_default())?;
    let from = if target.is_ipv4() { IpAddr::V4(ADDRESS) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) };
    let connect = || {
        let socket = UdpSocket::bind((from, 0))?;
        socket.set_nonblocking(true)?;
        std::io::Result::Ok(socket)
    };
    let socket = connect().map_err(|e| Failure::of(format_args!("cannot send from {from}"), &e))?;
    let mut poll = Poll::new().map_err(|e| Failure::of("cannot make a poll", &e))?;
    let seat = contract.take(SEAT)?;
    contract.notify.ready();
    let _seat = Seat::wait(seat.as_fd()).map_err(|e| Failure::of("cannot wait for the slot's lock", &e))?;

    let began = clock::boot();
    let mut life = Life::begin(contract, poll.registry(), began)?;
    // Who takes over begins the same music anew.
    let mut model = Azm8::new(1);
    let (mut events, mut next, mut text) = (Events::with_capacity(8), began, String::new());
    while !life.leaving() {
        let now = clock::boot();
        if now >= next {
            next = (next + INTERVAL).max(now);
            model.advance(now - began);
            for level in model.levels() {
                text.clear();
                message::write_update(&mut text, &[level]);
                // A meter that is lost is followed by a newer one: as from a real processor.
                let _ = socket.send_to(text.as_bytes(), target);
            }
        }
        let wait = life.poll_wait(now).unwrap_or(INTERVAL).min(next.saturating_sub(now));
        match poll.poll(&mut events, Some(wait)) {
            Err(e) if e.kind() != std::io::ErrorKind::Interrupted => {
                return Err(Failure::of("cannot wait", &e));
            }
            Ok(()) | Err(_) => {}
        }
        for event in &events {
            life.handle(event.token());
        }
    }
    Ok(())
}

/// The first listen address; a wildcard is reached on loopback.
fn target(listen: &str) -> Result<SocketAddr, Failure> {
    let first = listen.split(',').next().unwrap_or_default();
    let mut target: SocketAddr = first
        .parse()
        .map_err(|e| Failure { what: format!("cannot understand {LISTEN}={listen}: {e}"), errno: 0 })?;
    if target.port() == 0 {
        return Err(Failure { what: format!("{LISTEN}={listen} names no port yet"), errno: 0 });
    }
    if target.ip().is_unspecified() {
        target.set_ip(Ipv4Addr::LOCALHOST.into()); // [::] takes IPv4 too
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_the_first_address_and_a_wildcard_is_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:3131", "127.0.0.1:3131"),
            ("[::]:3131,10.0.0.1:9", "127.0.0.1:3131"),
            ("192.168.1.5:3131", "192.168.1.5:3131"),
            ("[::1]:3131", "[::1]:3131"),
        ] {
            assert_eq!(target(listen).unwrap().to_string(), expected);
        }
        assert!(target("").is_err());
        assert!(target("127.0.0.1:0").is_err());
    }
}
