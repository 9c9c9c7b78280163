//! The processor that `--demo` brings along: a role beside the workers, which the cluster's link connects to.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use contract::{
    Contract, DEMO, DemoPort, Failure, LISTEN, Lent, Life, Notify, Role, SEAT, Seat, clock, home_of,
};
use serde::Deserialize;

use crate::plan::Plan;
use crate::server::Runner;

/// The name under which the listening socket is kept.
const KEPT: &str = "tcp";
/// How long one that leaves waits for its clients to hang up.
const LINGER: Duration = Duration::from_millis(300);

/// What the cluster knows of this role.
pub const ROLE: Role = Role {
    name: "simulator",
    sockets: false,
    quarantine: false,
    seat: Some(Lent { name: SEAT, bytes: 4096, head: Vec::new }),
    shared: &[DEMO],
    main: run,
};

/// The part of the configuration that this role reads.
#[derive(Deserialize)]
struct Settings {
    processor: Vec<Processor>,
}

/// The demo's own is the one that has no port yet.
#[derive(Deserialize)]
struct Processor {
    address: IpAddr,
    tcp_port: u16,
}

fn run(mut contract: Contract) -> Result<(), Failure> {
    let address = address(&contract.config()?)?;
    let meter_port = meter_port(&std::env::var(LISTEN).unwrap_or_default(), address)?;
    let (seat, page) = (contract.take(SEAT)?, contract.take(DEMO.name)?);
    let port =
        DemoPort::of(page.as_fd()).map_err(|e| Failure::of("cannot map the page of the demo's port", &e))?;
    let kept = contract.take_stored().into_iter().find(|(name, _)| name == KEPT).map(|(_, fd)| fd);
    contract.notify.ready();
    let _seat = Seat::wait(seat.as_fd()).map_err(|e| Failure::of("cannot wait for the slot's lock", &e))?;

    // Only who holds the lock opens sockets. Who takes over begins the same music anew.
    let (listener, tcp_port) = listen(kept, address, port.get().unwrap_or(0), &contract.notify)
        .map_err(|e| Failure::of(format_args!("cannot listen on TCP {address}"), &e))?;
    let plan = Plan { address, tcp_port, meter_port, ..Plan::default() };
    let mut runner = Runner::on(&plan, Some(listener), Box::new(|_| {}))?;
    port.tell(tcp_port);
    let mut life = Life::begin(contract, runner.registry(), clock::boot())?;
    while !life.leaving() {
        let wait = life.poll_wait(clock::boot());
        for token in runner.turn(wait)? {
            life.handle(*token);
        }
    }
    // Link is told to leave in the same moment: who hangs up first would be a loss in its log.
    let end = clock::boot() + LINGER;
    while runner.server().stats().connections.now > 0 && clock::boot() < end {
        runner.turn(Some(end.saturating_sub(clock::boot())))?;
    }
    Ok(())
}

/// The kept socket, if it is at that address; else a new one, which is handed up to be kept: at the port that was told
/// before, if it is still free, for a link may know it.
fn listen(
    kept: Option<OwnedFd>,
    address: IpAddr,
    before: u16,
    notify: &Notify,
) -> io::Result<(TcpListener, u16)> {
    let kept = kept.map(TcpListener::from).filter(|kept| {
        kept.local_addr().is_ok_and(|found| found.ip() == address) // a reload may have moved us
    });
    let listener = match kept {
        Some(kept) => kept,
        None => {
            let fresh = TcpListener::bind(SocketAddr::new(address, before))
                .or_else(|_| TcpListener::bind(SocketAddr::new(address, 0)))?;
            notify.forget(KEPT);
            notify.store(KEPT, fresh.as_fd())?;
            fresh
        }
    };
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

fn address(config: &str) -> Result<IpAddr, Failure> {
    let settings: Settings = serde_json::from_str(config)
        .map_err(|e| Failure { what: format!("the configuration segment makes no sense: {e}"), errno: 0 })?;
    let own = settings.processor.into_iter().find(|processor| processor.tcp_port == 0);
    let none = || Failure { what: "the configuration has no processor for the demo".into(), errno: 0 };
    Ok(own.ok_or_else(none)?.address)
}

/// Where the cluster reads what a processor at that address sends.
fn meter_port(listen: &str, address: IpAddr) -> Result<u16, Failure> {
    let home = home_of(listen, address).map(|home| home.port()).filter(|port| *port != 0);
    home.ok_or_else(|| Failure {
        what: format!("{LISTEN}={listen} names no address that {address} could send to"),
        errno: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_address_is_that_of_the_processor_without_a_port() {
        let config = r#"{"workers":4,"processor":[{"name":"bar","address":"10.0.0.1","tcp_port":5321},
            {"name":"demo","address":"127.0.0.3","tcp_port":0}]}"#;
        assert_eq!(address(config).unwrap().to_string(), "127.0.0.3");
        assert!(address(r#"{"processor":[]}"#).is_err());
        assert_eq!(meter_port("10.0.0.1:9,127.0.0.1:7", "127.0.0.3".parse().unwrap()).unwrap(), 7);
        assert!(meter_port("127.0.0.1:0", "127.0.0.3".parse().unwrap()).is_err());
    }

    #[test]
    fn who_takes_over_listens_where_the_predecessor_did() {
        let (nobody, address): (_, IpAddr) = (Notify::nobody(), "127.0.0.2".parse().unwrap());
        let (first, port) = listen(None, address, 0, &nobody).unwrap();
        let kept = OwnedFd::from(first.try_clone().unwrap());
        assert_eq!(listen(Some(kept), address, 0, &nobody).unwrap().1, port);
        let other: IpAddr = "127.0.0.3".parse().unwrap();
        let (moved, _) = listen(Some(OwnedFd::from(first)), other, 0, &nobody).unwrap();
        assert_eq!(moved.local_addr().unwrap().ip(), other);
        let taken = moved.local_addr().unwrap().port();
        assert_ne!(listen(None, other, taken, &nobody).unwrap().1, taken, "somebody else is there");
        drop(moved);
        assert_eq!(listen(None, other, taken, &nobody).unwrap().1, taken, "where it was before");
    }
}
