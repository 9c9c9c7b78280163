//! A worker to be stepped through: what it is told stands in its arguments, its socket is standard input.

use std::os::fd::AsFd;
use std::process::ExitCode;

use meter::steps::{Steps, Traced, run};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().unwrap_or_default();
    let traced = match &*next() {
        "all" => Traced::All,
        "receive" => Traced::Receive,
        _ => Traced::Nothing,
    };
    let (segment, table, quarantine) = (next(), next(), next());
    let (run_number, blame) = (next().parse().unwrap_or(0), next().parse().ok());
    let steps = Steps { traced, segment, table, quarantine, run: run_number, blame };
    sys::process::die_of_faults();
    let ended = std::io::stdin().as_fd().try_clone_to_owned().map_err(|e| e.to_string());
    match ended.and_then(|socket| run(steps, &socket).map_err(|failure| failure.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("stepped-worker: {why}");
            ExitCode::FAILURE
        }
    }
}
