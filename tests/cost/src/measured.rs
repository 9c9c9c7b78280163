//! The measured process: sends to itself, and lets the worker take what waits, turn by turn.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use contract::Failure;
use meter::cost::{self, Worker};
use table::counters::Counter;

use crate::cases::Case;

/// Turns before the measured ones: places are claimed, memory is warm.
pub(crate) const WARM_UP: usize = 20;
/// Turns that are measured.
pub(crate) const TURNS: usize = 200;
/// Room for the datagrams of one turn.
const RECEIVE_BUFFER: u32 = 1 << 20;

/// Lets a worker make its turns at `case`.
///
/// # Errors
/// When a socket refuses; when a turn did not find what was sent; when what was sent was counted as something else.
pub(crate) fn run(case: &Case) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::of("cannot send to ourselves", &e);
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
    let to = socket.local_addr().map_err(failed)?;
    sys::group::receive_buffer(socket.as_fd(), RECEIVE_BUFFER).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let senders: Result<Vec<_>, _> = case.senders.iter().map(|from| UdpSocket::bind((*from, 0))).collect();
    let senders = senders.map_err(failed)?;
    cost::with(socket.into(), case.settings, |worker| drive(worker, case, &senders, to))
}

fn drive(mut worker: Worker<'_>, case: &Case, senders: &[UdpSocket], to: SocketAddr) -> Result<(), Failure> {
    let mut due = case.datagrams.iter().cycle().zip(senders.iter().cycle());
    for turn in 0..WARM_UP + TURNS {
        for (datagram, sender) in due.by_ref().take(case.at_once) {
            sender.send_to(datagram, to).map_err(|e| Failure::of("cannot send to ourselves", &e))?;
        }
        if turn < WARM_UP {
            worker.turn()?
        } else {
            worker.one_measured_turn()?
        }
        let (sent, taken) = ((turn + 1) * case.at_once, worker.counters());
        let counted = [Counter::Datagrams, case.class].map(|counter| taken.get(counter));
        if counted != [sent as u64; 2] {
            let what = format!("{}: {sent} sent, {counted:?} taken and of the expected class", case.name);
            return Err(Failure { what, errno: 0 });
        }
    }
    Ok(())
}
