//! atlas-cluster and its peers under the same load, one after another, again and again.
//!
//! ```text
//!   for each round, for each Group of figures, for each Entry of the roster:
//!       Subject (processes) ◀── udp-load ── Stage ──▶ Sample ──▶ results.json ──▶ report: tables, plots
//! ```
//! `scripts/bench.sh` builds and fetches what it needs, and runs this.

mod args;
mod course;
mod figures;
mod machine;
mod port;
mod probe;
mod process;
mod report;
mod samples;
mod search;
mod sink;
mod site;
mod stage;
mod stats;
mod subject;
mod subjects;
mod trouble;
mod wait;

use std::process::ExitCode;

use args::{Args, Role};
use clap::Parser;
use clap::error::ErrorKind;
use trouble::Trouble;

/// Something does not work.
const FAILED: u8 = 1;
/// Bad usage, or something is missing: nothing was measured.
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => return answer(&e),
    };
    let done = match &args.role {
        Some(Role::NullSink { address, page, told }) => sink::run(*address, page, *told),
        None if args.report_only => course::report(&args),
        None => course::run(&args),
    };
    let Err(trouble) = done else { return ExitCode::SUCCESS };
    eprintln!("bench.sh: {trouble}\nhint: {}", trouble.hint());
    ExitCode::from(match trouble {
        Trouble::Missing { .. } => USAGE,
        Trouble::Interrupted => INTERRUPTED,
        Trouble::Io { .. } | Trouble::Broken { .. } | Trouble::Load(_) => FAILED,
    })
}

fn answer(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        print!("{error}");
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let sentence = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    eprintln!("bench.sh: {sentence}\nhint: scripts/bench.sh --help shows the options");
    ExitCode::from(USAGE)
}
