//! The course of a run: rounds, results, report.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clap::ValueEnum as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::args::Args;
use crate::machine;
use crate::report;
use crate::samples::Results;
use crate::site::Site;
use crate::stage::Stage;
use crate::trouble::{Trouble, cannot};

/// Measures, and says what came of it.
pub(crate) fn run(args: &Args) -> Result<(), Trouble> {
    let interrupted = heed_interruptions().map_err(cannot("catch signals"))?;
    let site = Site::find(&args.binary, &args.folder)?;
    let (began, date) = (Instant::now(), jiff::Timestamp::now());
    let mut stage = Stage::new(&site, &interrupted)?;
    (stage.cpu, stage.quick) = (args.pin_sender, args.quick);
    for round in 0..args.rounds() {
        stage.round = round;
        for group in args.groups() {
            let name = group.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
            let time = began.elapsed().as_secs();
            eprintln!("bench.sh: {time:>4} s: round {} of {}: {name}", round + 1, args.rounds());
            group.measure(&mut stage)?;
        }
    }
    let results = Results {
        schema: 1,
        machine: machine::look(&site),
        date: date.strftime("%Y-%m-%dT%H:%MZ").to_string(),
        command: command(),
        commit: machine::commit(),
        rounds: args.rounds(),
        seconds: began.elapsed().as_secs(),
        samples: stage.samples,
    };
    print!("{}", report::text(&results));
    save(args, &results)?;
    if args.is_full() { report::write(&results, &args.docs) } else { Ok(()) }
}

/// The report of the last full run.
pub(crate) fn report(args: &Args) -> Result<(), Trouble> {
    let file = args.results();
    let doing = format!("read {}", file.display());
    let text = fs::read_to_string(&file).map_err(cannot(&doing))?;
    let results: Results = serde_json::from_str(&text)
        .map_err(|e| Trouble::broken(format_args!("cannot {doing}: {e}"), "a full run writes it anew"))?;
    print!("{}", report::text(&results));
    report::write(&results, &args.docs)
}

fn save(args: &Args, results: &Results) -> Result<(), Trouble> {
    let file = args.results();
    let text = serde_json::to_string_pretty(results).map_err(|e| cannot("write the results")(e.into()))?;
    fs::write(&file, text + "\n").map_err(cannot(format_args!("write {}", file.display())))
}

/// What was typed; where the peers and the binary lie is the script's business.
fn command() -> String {
    let mut words = std::env::args().skip(1);
    let mut typed = vec!["scripts/bench.sh".to_owned()];
    while let Some(word) = words.next() {
        match word.as_str() {
            "--binary" | "--folder" => drop(words.next()),
            _ => typed.push(word),
        }
    }
    typed.join(" ")
}

/// The first SIGINT or SIGTERM ends the run: everybody who was started is ended. A second one ends at once.
fn heed_interruptions() -> std::io::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, i32::from(crate::INTERRUPTED), Arc::clone(&asked))?;
        flag::register(signal, Arc::clone(&asked))?;
    }
    Ok(asked)
}
