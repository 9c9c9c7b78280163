//! The processor that `--demo` brings along: a role beside the workers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use contract::{Contract, Failure, LISTEN, Lent, Life, Role, SEAT, Seat, clock};

use crate::plan::{ADDRESS, Feed, Plan};
use crate::server::Runner;

/// What the cluster knows of this role.
pub const ROLE: Role = Role {
    name: "simulator",
    sockets: false,
    quarantine: false,
    seat: Some(Lent { name: SEAT, bytes: 4096, head: Vec::new }),
    shared: &[],
    main: run,
};

/// Who gets the demo's meters: the cluster's own port, unasked, as long as no link subscribes. With one:
/// `Feed::Subscribers { tcp_port: crate::plan::TCP_PORT, meter_port: target.port() }`.
const fn feed(target: SocketAddr) -> Feed {
    Feed::Unasked(target)
}

fn run(mut contract: Contract) -> Result<(), Failure> {
    let target = target(&std::env::var(LISTEN).unwrap_or_default())?;
    let address = if target.is_ipv4() { ADDRESS } else { IpAddr::V6(Ipv6Addr::LOCALHOST) };
    let plan = Plan { address, feed: feed(target), ..Plan::default() };
    let seat = contract.take(SEAT)?;
    contract.notify.ready();
    let _seat = Seat::wait(seat.as_fd()).map_err(|e| Failure::of("cannot wait for the slot's lock", &e))?;

    // Only who holds the lock opens sockets. Who takes over begins the same music anew.
    let mut runner = Runner::new(&plan, Box::new(|_| {}))?;
    let mut life = Life::begin(contract, runner.registry(), clock::boot())?;
    while !life.leaving() {
        let wait = life.poll_wait(clock::boot());
        for token in runner.turn(wait)? {
            life.handle(*token);
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
