//! The ports: free, ours already, or whose they are.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use super::report::{Line, Report};
use super::{Config, Running, Would};
use crate::owners;

const NAME: &str = "port";

/// A line for each listen address.
pub(super) fn examine(report: &mut Report, config: &Config, running: Option<&Running>, would: &Would) {
    // Each is kept bound while the others are: a start has them all.
    let mut bound = Vec::new();
    for &address in &config.listen {
        report.add(look(address, config, running, would, &mut bound));
    }
}

fn look(
    address: SocketAddr,
    config: &Config,
    running: Option<&Running>,
    would: &Would,
    bound: &mut Vec<OwnedFd>,
) -> Line {
    let ours = running.filter(|running| running.listen.iter().any(|bound| *bound == address.to_string()));
    if let Some(running) = ours {
        let strangers = owners::strangers(running.pid, &[address]);
        let what = format!("UDP {address}: bound by the cluster that runs here");
        if strangers.is_empty() {
            return Line::ok(NAME, what);
        }
        let hint = "give the cluster a user of its own; docs/operating.md, `strangers`";
        return Line::warn(
            NAME,
            format!("{what}, and by {}", owners::named(&strangers, Some(address))),
            hint,
        );
    }
    let others = match (would.port)(config, address) {
        Ok((socket, others)) => {
            bound.push(socket);
            others
        }
        Err(trouble) => return Line::of(NAME, trouble),
    };
    if !others.is_empty() {
        let hint = "docs/operating.md says which side gets what; without `share` the port is yours alone";
        let who = owners::named(&others, Some(address));
        return Line::warn(NAME, format!("UDP {address}: shared with {who}"), hint);
    }
    let free = if address.port() == 0 { "any free one" } else { "free" };
    Line::ok(NAME, format!("UDP {address}: {free}"))
}
