//! A slot's place in its reuseport group is its number: made sure of by the launcher that has bound its socket.
//!
//! The kernel appends who binds, and puts the last one into the place of who leaves. So the places are ours, in our order,
//! if nobody else was in the group when each of us came, or all of those had left by then; a stranger who comes later
//! stands behind us, gets nothing, and moves nobody when he leaves. Who was there and left between our bind and our look
//! was replaced by us, who were the last: that too is our place.

use std::net::SocketAddr;
use std::time::Duration;

use contract::{Contract, Failure};
use nix::libc::EADDRINUSE;

use crate::owners;

/// How often, and how far apart, it is looked whether he is gone.
const LOOKS: usize = 4;
const WAIT: Duration = Duration::from_millis(5);

/// Refuses to stay in a group that somebody else is in; the supervisor is asked to give the socket up again.
///
/// Only a process of our own user can have joined, with SO_REUSEPORT. If he stayed before us, the steering program would
/// send him the datagrams of this slot, and whatever he left behind would be in no order we know.
///
/// # Errors
/// Who is there.
pub(super) fn keep(contract: &Contract, address: SocketAddr, name: &str) -> Result<(), Failure> {
    // With port 0 slot 0 has just been given one of its own.
    if contract.instance == 0 || is_alone(address, usize::from(contract.instance) + 1) {
        return Ok(());
    }
    let supervisor = nix::unistd::getppid().as_raw().unsigned_abs();
    let ours = [supervisor, std::process::id()].map(Some);
    let mut others = owners::strangers(supervisor, &[address]);
    others.retain(|other| other.address == address && !ours.contains(&other.pid));
    contract.notify.forget(name);
    let who = if others.is_empty() { "somebody".into() } else { owners::named(&others, None) };
    Err(Failure {
        what: format!(
            "UDP {address} has another reader, {who}, in whose place the kernel would put this one"
        ),
        errno: EADDRINUSE,
    })
}

/// Whether no more than `ours` are in the group; who is about to leave gets the time for it.
fn is_alone(address: SocketAddr, ours: usize) -> bool {
    (0..LOOKS).any(|look| {
        if look > 0 {
            std::thread::sleep(WAIT);
        }
        owners::count_on(address) <= ours
    })
}
