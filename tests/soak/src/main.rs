//! The cluster soak: a load for minutes, a seeded sequence of faults meanwhile, and an account of every datagram.
//!
//! ```text
//!   sequence (seed) ──▶ course: perform (or pairs), expect, calm ──▶ stage: cluster in a cluster, load, ledger
//!                          │ a window of sequence numbers for each fault
//!                          ▼
//!                        book ──▶ report: one table, and what is wrong
//! ```
//! `scripts/soak.sh` builds the cluster with its instruments and runs this.

mod aftermath;
mod args;
mod attempt;
mod book;
mod course;
mod dice;
mod expect;
mod faults;
mod health;
mod pairs;
mod perform;
mod progress;
mod report;
mod scaling;
mod sequence;
mod squatter;
mod stage;
mod supervisor;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use args::Args;

/// Something was lost or doubled, or is not as it was.
const FAILED: u8 = 1;
/// Nothing was started.
const USAGE: u8 = 2;
/// All was well when Ctrl-C ended it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args = match Args::from_command_line() {
        Ok(args) => args,
        Err(answer) => return answer,
    };
    if args.dry_run {
        sequence::tell(args.seed);
        return ExitCode::SUCCESS;
    }
    let interrupted = match heed_interruptions() {
        Ok(flag) => flag,
        Err(e) => {
            eprintln!("soak: cannot catch signals: {e}\nhint: run it outside of whatever forbids that");
            return ExitCode::from(FAILED);
        }
    };
    attempt::prepare();
    let report = match course::run(&args, &interrupted) {
        Ok(report) => report,
        Err(why) => {
            eprintln!("soak: {why}");
            return ExitCode::from(USAGE);
        }
    };
    print!("{report}");
    if !report.failures.is_empty() {
        report.failures.iter().for_each(|failure| eprintln!("soak: {failure}"));
        eprintln!("hint: --seed {} performs the same faults again", args.seed);
        return ExitCode::from(FAILED);
    }
    if interrupted.load(Ordering::Relaxed) { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS }
}

/// The first SIGINT or SIGTERM asks for the end and the table so far; a second one ends at once, and the cluster with
/// it (it is told of our death).
fn heed_interruptions() -> std::io::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, i32::from(INTERRUPTED), Arc::clone(&asked))?;
        flag::register(signal, Arc::clone(&asked))?;
    }
    Ok(asked)
}
