//! The addresses to listen on, and when two of them are in each other's way.

use super::fault::{Faults, refused, wrong_type};
use super::kinds::Kind;
use super::types::MAX_LISTEN;
use super::units::text;
use super::value::Value;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A list of UDP addresses.
pub(super) struct Listen;

impl Kind for Listen {
    type Output = Vec<SocketAddr>;

    fn read(&self, value: &Value<'_>) -> Result<Vec<SocketAddr>, Faults> {
        let items = value.items().ok_or_else(|| wrong_type(value))?;
        if items.is_empty() {
            return Err(refused(value, "is empty"));
        }
        if items.len() > MAX_LISTEN {
            return Err(refused(value, &format!("has {} addresses", items.len())));
        }
        let mut addresses: Vec<SocketAddr> = Vec::new();
        let mut faults = Faults::new();
        for item in &items {
            match read_one(item) {
                Err(fault) => faults.extend(fault),
                Ok(address) => {
                    if let Some(other) = addresses.iter().find(|other| overlap(other, &address)) {
                        faults.extend(overlapping(item, &address, other));
                    }
                    addresses.push(address);
                }
            }
        }
        if faults.is_empty() { Ok(addresses) } else { Err(faults) }
    }

    fn show(&self, value: &Vec<SocketAddr>) -> Option<String> {
        let addresses: Vec<String> = value.iter().map(|address| text(&address.to_string())).collect();
        Some(format!("[{}]", addresses.join(", ")))
    }

    fn takes(&self) -> String {
        format!("1 to {MAX_LISTEN} addresses, each an IP address with a port (port 0: any free one)")
    }
}

/// One address; IPv4 in IPv6 clothes becomes IPv4, which is what the kernel makes of it too.
fn read_one(item: &Value<'_>) -> Result<SocketAddr, Faults> {
    let text = item.as_str().ok_or_else(|| wrong_type(item))?;
    let address: SocketAddr = text.parse().map_err(|_| refused(item, "is not an IP address with a port"))?;
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => Ok(SocketAddr::from((ip, address.port()))),
        IpAddr::V6(_) => Ok(address),
    }
}

/// The refusal of a second address, with a way out of its own.
fn overlapping(item: &Value<'_>, address: &SocketAddr, other: &SocketAddr) -> Faults {
    let everything = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let why = if address == other {
        "each address once"
    } else if address.ip() == everything || other.ip() == everything {
        "[::] takes every address of its port, IPv4 too"
    } else if address.is_ipv4() {
        "0.0.0.0 takes every IPv4 address of its port"
    } else {
        "without a scope an address is meant on every interface"
    };
    let mut faults = refused(item, &format!("overlaps `{other}`"));
    for fault in &mut faults {
        fault.hint = Some(format!("remove one of them: {why}"));
    }
    faults
}

/// Whether the kernel could give one datagram to either of the two. `[::]` takes IPv4 too.
fn overlap(a: &SocketAddr, b: &SocketAddr) -> bool {
    if a.port() != b.port() || a.port() == 0 {
        return false;
    }
    let everything = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    if a.ip() == everything || b.ip() == everything {
        return true;
    }
    match (a, b) {
        (SocketAddr::V4(a), SocketAddr::V4(b)) => {
            a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified()
        }
        (SocketAddr::V6(a), SocketAddr::V6(b)) => {
            a.ip() == b.ip() && (a.scope_id() == b.scope_id() || a.scope_id() == 0 || b.scope_id() == 0)
        }
        _ => false,
    }
}
