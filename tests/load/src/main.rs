//! `udp-load`: the load generator as a command.

mod args;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use args::Args;
use clap::Parser;
use clap::error::ErrorKind;
use signal_hook::consts::{SIGINT, SIGTERM};
use udp_load::Trouble;

/// The kernel refused.
const FAILED: u8 = 1;
/// Nothing was sent.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => return answer(&e),
    };
    // The first SIGINT or SIGTERM ends the load, and what was sent is told; a second one ends at once.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let ended = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop));
        if let Err(e) = ended.and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop))) {
            eprintln!("udp-load: cannot catch signals: {e}\nhint: run it outside of whatever forbids that");
            return ExitCode::from(FAILED);
        }
    }
    match udp_load::run(&args.plan(), &stop) {
        Ok(outcome) if args.json => println!("{}", outcome.json()),
        Ok(outcome) => println!("{outcome}"),
        Err(trouble) => {
            eprintln!("udp-load: {trouble}\nhint: {}", trouble.hint());
            let is_usage = matches!(trouble, Trouble::Plan { .. } | Trouble::Cpu { .. });
            return ExitCode::from(if is_usage { USAGE } else { FAILED });
        }
    }
    ExitCode::SUCCESS
}

fn answer(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        print!("{error}");
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let mut lines =
        text.lines().map(|line| line.trim_start_matches("error: ").trim()).filter(|line| !line.is_empty());
    let mut sentence = lines.next().unwrap_or_default().to_owned();
    if sentence.ends_with(':') {
        sentence = format!("{sentence} {}", lines.next().unwrap_or_default()); // the argument that is missing
    }
    eprintln!("udp-load: {sentence}\nhint: udp-load --help shows the options, with examples");
    ExitCode::from(USAGE)
}
