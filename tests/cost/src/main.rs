//! What a datagram costs the worker, in instructions, against a committed baseline.
//!
//! ```text
//!   cases ──▶ callgrind: this program again, under valgrind ──▶ measured: the worker's own loop, turn by turn
//!                  │ instructions, system calls
//!                  ▼
//!               baseline ──▶ report
//! ```
//! Times depend on the machine and on who else is at work on it. Instructions do not: the same program at the same
//! input makes the same ones. What the kernel does is not in them.

mod baseline;
mod callgrind;
mod cases;
mod measured;
mod report;

use std::process::ExitCode;

use clap::Parser;

use baseline::Baseline;
use callgrind::Cost;

/// Count what a datagram costs the worker: instructions of its own, and system calls
///
/// Exit code 0 when it is done, 1 when a case costs over 3 % more than its baseline or nothing could be measured, 2
/// for bad usage.
#[derive(Parser)]
#[command(name = "cost", after_help = "Example:\n  cargo run --release -p cost -- --check")]
struct Args {
    /// Fail where a case costs over 3 % more than its baseline
    #[arg(long)]
    check: bool,
    /// Make what is measured now the baseline
    #[arg(long, conflicts_with = "check")]
    accept: bool,
    /// Be the measured process
    #[arg(long, hide = true, value_name = "CASE")]
    measured: Option<String>,
}

/// Nothing was measured.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => return answer(&e),
    };
    let done = match &args.measured {
        Some(name) => be_measured(name),
        None => measure_all().and_then(|costs| tell(&args, &costs)),
    };
    match done {
        Ok(code) => code,
        Err(why) => {
            eprintln!("cost: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The answer to a question, or what is wrong with the arguments.
fn answer(e: &clap::Error) -> ExitCode {
    if !e.use_stderr() {
        print!("{e}");
        return ExitCode::SUCCESS;
    }
    let text = e.to_string();
    let first = text.lines().next().unwrap_or_default();
    eprintln!("cost: {}\nhint: cargo run --release -p cost -- --help", first.trim_start_matches("error: "));
    ExitCode::from(USAGE)
}

fn be_measured(name: &str) -> Result<ExitCode, String> {
    let cases = cases::all();
    let case = cases.iter().find(|case| case.name == name).ok_or(format!("no case is called `{name}`"))?;
    measured::run(case).map(|()| ExitCode::SUCCESS).map_err(|e| e.to_string())
}

fn measure_all() -> Result<Vec<(&'static str, Cost)>, String> {
    let cost = |case: &cases::Case| callgrind::measure(case).map(|cost| (case.name, cost));
    cases::all().iter().map(|case| cost(case).map_err(|e| e.to_string())).collect()
}

/// Prints what was measured, and compares or keeps it.
fn tell(args: &Args, costs: &[(&str, Cost)]) -> Result<ExitCode, String> {
    let path = Baseline::path();
    if args.accept {
        Baseline::new(costs).write().map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    let baseline = Baseline::read().map_err(|e| {
        format!(
            "cannot read the baseline {}: {e}\nhint: cargo run --release -p cost -- --accept makes one",
            path.display()
        )
    })?;
    print!("{}", report::table(&baseline, costs));
    let faults = report::faults(&baseline, costs);
    if let Some(warning) = baseline.warning() {
        eprintln!(
            "cost: {warning}\nhint: with the code of the last baseline: cargo run --release -p cost -- --accept"
        );
    }
    if args.check && !faults.is_empty() {
        faults.iter().for_each(|fault| eprintln!("cost: {fault}"));
        eprintln!("hint: {}", report::ACCEPT);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
