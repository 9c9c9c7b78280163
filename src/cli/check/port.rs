//! The ports: free, ours already, or whose they are.

use std::io;
use std::net::SocketAddr;

use nix::libc::{EACCES, EADDRNOTAVAIL};
use socket2::{Domain, Protocol, Socket, Type};

use super::report::{Line, Report};
use super::{Config, PORT, Running};
use crate::owners;

const NAME: &str = "port";

/// A line for each listen address.
pub(super) fn examine(report: &mut Report, config: &Config, running: Option<&Running>) {
    for &address in &config.listen {
        report.add(look(address, config.share, running));
    }
}

fn look(address: SocketAddr, share: bool, running: Option<&Running>) -> Line {
    if address.port() == 0 {
        return Line::ok(NAME, format!("UDP {address}: any free one"));
    }
    let ours = running.filter(|running| running.listen.iter().any(|bound| *bound == address.to_string()));
    let others = match ours {
        Some(running) => owners::strangers(running.pid, &[address]),
        None => owners::on_port(&[address]),
    };
    let who = owners::named(&others, Some(address));
    match (ours, others.is_empty()) {
        (Some(_), true) => Line::ok(NAME, format!("UDP {address}: bound by the cluster that runs here")),
        (Some(_), false) => {
            let hint = "give the cluster a user of its own; docs/operating.md, `strangers`";
            Line::warn(
                NAME,
                format!("UDP {address}: bound by the cluster that runs here, and by {who}"),
                hint,
            )
        }
        (None, true) => match bind(address) {
            Ok(()) => Line::ok(NAME, format!("UDP {address}: free")),
            Err(why) => Line::fail(NAME, format!("cannot bind UDP {address}: {why}"), way_out(&why), PORT),
        },
        (None, false) if share => {
            let hint = "docs/operating.md says who gets what; leave `share` out to have the port alone";
            Line::warn(NAME, format!("UDP {address}: shared with {who}"), hint)
        }
        (None, false) => {
            let hint = "stop who holds it, join him with --share, or choose another one with --listen";
            Line::fail(NAME, format!("UDP {address} is held by {who}"), hint, PORT)
        }
    }
}

/// As a launcher does, for a moment: nobody else is there, so nothing is taken from anybody.
fn bind(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())
}

fn way_out(why: &io::Error) -> &'static str {
    match why.raw_os_error() {
        Some(EADDRNOTAVAIL) => "choose an address of this host with --listen; `ip address` shows them",
        Some(EACCES) => "a port below 1024 needs CAP_NET_BIND_SERVICE; choose another one with --listen",
        _ => "choose another address with --listen",
    }
}
