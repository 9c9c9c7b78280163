//! What `soak.sh` can be told.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::error::ErrorKind;
use clap::{Parser, value_parser};

use crate::USAGE;

const MINUTES: u64 = 10;

/// The arguments, each of them decided.
pub(crate) struct Args {
    pub(crate) time: Duration,
    /// Datagrams a second, all senders together.
    pub(crate) rate: u32,
    pub(crate) seed: u64,
    pub(crate) workers: usize,
    pub(crate) binary: PathBuf,
    pub(crate) dry_run: bool,
}

/// Soak the cluster: a load, faults in a random order, alone and two at a time, an account of every datagram
///
/// The cluster runs inside of another one, whose descriptor store it survives the death of its supervisor by.
///
/// Exit code 0 when nothing was lost or doubled and everything is as it was; 1 when not; 2 for bad usage; 130 when
/// Ctrl-C ended it and all was well until then.
#[derive(Parser)]
#[command(name = "soak.sh", after_help = "Example:\n  scripts/soak.sh --minutes 2 --rate 20000 --seed 7")]
struct CommandLine {
    /// How long [default: 10]
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=10_080), conflicts_with = "seconds")]
    minutes: Option<u64>,
    /// How long, in seconds; every kind of fault comes once alone before any comes twice, which takes about 25
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=604_800))]
    seconds: Option<u64>,
    /// Datagrams a second
    #[arg(long, value_name = "R", default_value = "50000", value_parser = value_parser!(u32).range(1..=2_000_000))]
    rate: u32,
    /// Decides the order of the faults, which come in pairs, and whom they hit [default: from the clock]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Workers; the receive buffer of one takes the default rate for about two seconds: a few need a lower rate
    #[arg(long, value_name = "N", default_value = "4", value_parser = value_parser!(u8).range(1..=64))]
    workers: u8,
    /// The cluster's binary, built with the feature `ledger`
    #[arg(long, value_name = "PATH", default_value = "target/soak/atlas-cluster")]
    binary: PathBuf,
    /// Only say which faults the seed begins with
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    /// Else the answer is given already, and this is the exit code.
    pub(crate) fn from_command_line() -> Result<Args, ExitCode> {
        CommandLine::try_parse().map(Args::from).map_err(|e| answer(&e))
    }
}

impl From<CommandLine> for Args {
    fn from(said: CommandLine) -> Args {
        let seconds = said.seconds.unwrap_or(60 * said.minutes.unwrap_or(MINUTES));
        Args {
            time: Duration::from_secs(seconds),
            rate: said.rate,
            seed: said.seed.unwrap_or_else(seed_from_clock),
            workers: usize::from(said.workers),
            binary: said.binary,
            dry_run: said.dry_run,
        }
    }
}

fn answer(e: &clap::Error) -> ExitCode {
    if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        print!("{e}");
        return ExitCode::SUCCESS;
    }
    eprintln!("soak.sh: {}\nhint: scripts/soak.sh --help shows the options", sentence(e));
    ExitCode::from(USAGE)
}

/// What is wrong, in one line.
fn sentence(e: &clap::Error) -> String {
    let text = e.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// Short enough to be typed again.
fn seed_from_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (since.as_nanos() % 1_000_000) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        CommandLine::try_parse_from([&["soak.sh"], words].concat()).map(Args::from)
    }

    #[test]
    fn ten_minutes_unless_told_otherwise() {
        let args = parse(&[]).unwrap();
        assert_eq!((args.time.as_secs(), args.rate, args.workers), (600, 50_000, 4));
        assert_eq!(parse(&["--seconds", "30", "--seed", "1"]).unwrap().time.as_secs(), 30);
        assert_eq!(parse(&["--minutes", "2"]).unwrap().time.as_secs(), 120);
    }

    #[test]
    fn bad_usage_is_one_line() {
        for words in [
            &["--minutes", "0"][..],
            &["--minutes", "1", "--seconds", "1"],
            &["--workers", "65"],
            &["--rate", "many"],
            &["--nonsense"],
            &["--seed"],
        ] {
            let said = sentence(&parse(words).err().unwrap());
            assert!(!said.is_empty() && !said.contains("error:"), "{words:?}: {said}");
        }
    }
}
