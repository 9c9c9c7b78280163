//! A simulated processor as a process of its own: `atlas-cluster simulate`.

use std::io::Write;
use std::net::SocketAddr;

use contract::Failure;
use mio::{Interest, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use crate::plan::Plan;
use crate::server::Runner;

/// Token of the signals.
const SIGNALS: Token = Token(usize::MAX - 1);

/// Simulates until SIGTERM or SIGINT, and says on standard output what it does.
///
/// # Errors
/// When an address cannot be bound, the recording cannot be read, or the poll fails.
pub fn run(plan: &Plan) -> Result<(), Failure> {
    let mut runner = Runner::new(plan, Box::new(say))?;
    let watch = || {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        runner.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        std::io::Result::Ok(signals)
    };
    let mut signals = watch().map_err(|e| Failure::of("cannot watch for signals", &e))?;
    for line in introduction(plan, runner.server().tcp_address()) {
        say(&line);
    }
    loop {
        if runner.turn(None)?.contains(&SIGNALS) && signals.pending().count() > 0 {
            return Ok(());
        }
    }
}

/// What it is, in a few lines.
fn introduction(plan: &Plan, tcp: SocketAddr) -> Vec<String> {
    let rate = 1.0 / plan.interval.as_secs_f64();
    let meters = match &plan.replay {
        Some(path) => format!("what {} holds", path.display()),
        None => format!("{rate:.0} readings a second of each meter"),
    };
    let mut lines = vec![
        format!("simulating an {} on TCP {tcp}", plan.product),
        format!("subscribers get {meters} on UDP port {}", plan.meter_port),
    ];
    if let Some(control) = &plan.control {
        lines.push(format!("counts and faults at {}", control.display()));
    }
    lines.extend(plan.faults.iter().map(|fault| format!("planned: {fault}")));
    lines
}

/// A line to standard output; if nobody reads it, the processor goes on.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
