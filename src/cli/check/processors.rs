//! The processors: is each one's command port reachable?
//!
//! A processor whose ports are used up answers nobody any more, so none is connected to that a cluster holds already,
//! and what is opened here is reset, not closed: nothing of it stays on the other side.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::super::client::Client;
use super::super::meters;
use super::report::{Line, Report};
use super::{Config, Running};
use crate::config::Processor;

const NAME: &str = "processor";
/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A line for each of them; all are asked at once.
pub(super) fn examine(report: &mut Report, config: &Config, running: Option<&Running>, client: &Client) {
    let held = running.and_then(|running| running.config.as_ref()).map(|config| &config.processor[..]);
    let states = if running.is_some() { meters::connections(client).unwrap_or_default() } else { Vec::new() };
    let (tell, told) = mpsc::channel();
    for (number, processor) in config.processor.iter().enumerate() {
        // Its own is the simulator's, which comes with the start.
        if config.demo && processor.name == "demo" {
            continue;
        }
        let known = states.iter().find(|(address, _)| *address == processor.address);
        let is_held = held.is_some_and(|held| held.iter().any(|other| other.address == processor.address))
            || (running.is_some() && held.is_none());
        if is_held {
            let state = known.map_or("disconnected", |(_, state)| *state);
            let _ = tell.send((number, owned(processor, state)));
            continue;
        }
        let (tell, processor) = (tell.clone(), processor.clone());
        thread::spawn(move || tell.send((number, reach(&processor))));
    }
    drop(tell);
    let mut lines: Vec<(usize, Line)> = told.iter().collect();
    lines.sort_by_key(|(number, _)| *number);
    lines.into_iter().for_each(|(_, line)| report.add(line));
}

/// One that the running cluster has the connection to.
fn owned(processor: &Processor, state: &str) -> Line {
    let what =
        format!("{} ({}): {state}, says the cluster that runs here", processor.name, processor.address);
    match state {
        "connected" => Line::ok(NAME, what),
        "unresponsive" => Line::warn(NAME, what, "if it stays so, power-cycle the processor"),
        _ => Line::warn(NAME, what, way_out(processor)),
    }
}

fn reach(processor: &Processor) -> Line {
    let address = SocketAddr::new(processor.address, processor.tcp_port);
    let connect = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
        socket.connect_timeout(&address.into(), PATIENCE)?;
        // Closed by a reset: the other side need not remember it.
        socket.set_linger(Some(Duration::ZERO))
    };
    match connect() {
        Ok(()) => Line::ok(NAME, format!("{} (TCP {address}): reachable", processor.name)),
        Err(why) => {
            let what = format!("{} (TCP {address}) cannot be reached: {why}", processor.name);
            // A start goes online all the same, and connects when it can.
            Line::warn(NAME, what, way_out(processor))
        }
    }
}

fn way_out(processor: &Processor) -> String {
    format!(
        "is it on, is {} its address, and is third-party control enabled (Settings → Third Party Control)?",
        processor.address
    )
}
