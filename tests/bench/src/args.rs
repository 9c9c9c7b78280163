//! What `bench.sh` can be told.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum as _, value_parser};

use crate::figures::Group;

/// Rounds of a full run, and of a quick one.
const ROUNDS: [u32; 2] = [5, 1];

/// Measure atlas-cluster and its peers under the same load, one after another, again and again
///
/// Every round does everything once, each time in another order. A full run takes about 13 minutes, wants a machine of
/// its own, and writes docs/performance.md with its plots; one that is quick, or of a few figures, only prints.
#[derive(Debug, Parser)]
#[command(
    name = "bench.sh",
    after_help = "Examples:\n  scripts/bench.sh\n  scripts/bench.sh --quick --only steady,latency\n  scripts/bench.sh --report-only",
    subcommand_negates_reqs = true
)]
pub(crate) struct Args {
    /// A short try: one round, everything a third as long
    #[arg(long)]
    pub(crate) quick: bool,
    /// Rounds [default: 5, with --quick 1]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Only these groups of figures
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    only: Vec<Group>,
    /// Measure nothing: write page and plots from the results of the last run
    #[arg(long, conflicts_with_all = ["quick", "rounds", "only", "pin_sender"])]
    pub(crate) report_only: bool,
    /// The CPU that sends, the same for everybody [default: the kernel's choice]
    #[arg(long, value_name = "CPU")]
    pub(crate) pin_sender: Option<usize>,
    /// The cluster's binary
    #[arg(long, value_name = "PATH", default_value = "target/release/atlas-cluster")]
    pub(crate) binary: PathBuf,
    /// Where the peers lie that are fetched, and the results
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub(crate) folder: PathBuf,
    /// Where the samples lie [default: results.json in there, try.json of a run that only prints]
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Where the page and its plots lie
    #[arg(long, value_name = "DIR", default_value = "docs")]
    pub(crate) docs: PathBuf,
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// What this binary is besides.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// A process of the null sink
    #[command(hide = true)]
    NullSink {
        /// Where it receives.
        address: SocketAddr,
        /// The page it counts in.
        page: PathBuf,
        /// It asks for sender and time of arrival.
        #[arg(long)]
        told: bool,
    },
}

impl Args {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(ROUNDS[usize::from(self.quick)])
    }

    /// The groups to measure, in their order.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let all = Group::value_variants().iter().copied();
        all.filter(|group| self.only.is_empty() || self.only.contains(group)).collect()
    }

    /// Whether the run is one that the page may show.
    pub(crate) fn is_full(&self) -> bool {
        !self.quick && self.only.is_empty()
    }

    /// Where the samples go; those of a try never take the place of what the page shows.
    pub(crate) fn results(&self) -> PathBuf {
        let name = if self.is_full() { "results.json" } else { "try.json" };
        self.results.clone().unwrap_or_else(|| self.folder.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        Args::try_parse_from([&["bench.sh"], words].concat()).unwrap()
    }

    #[test]
    fn a_full_run_is_five_rounds_of_everything() {
        let full = args(&[]);
        assert_eq!((full.rounds(), full.groups().len(), full.is_full()), (5, 6, true));
        let quick = args(&["--quick", "--only", "latency,steady"]);
        assert_eq!((quick.rounds(), quick.is_full()), (1, false));
        assert_eq!(quick.groups(), [Group::Steady, Group::Latency]);
        assert_eq!(args(&["--quick", "--rounds", "3"]).rounds(), 3);
        assert!(full.results().ends_with("results.json") && quick.results().ends_with("try.json"));
        assert!(args(&["--report-only"]).results().ends_with("results.json"));
        assert!(args(&["null-sink", "127.0.0.1:9", "/tmp/x"]).role.is_some());
    }

    #[test]
    fn what_contradicts_itself_is_bad_usage() {
        for words in [&["--only", "nonsense"][..], &["--rounds", "0"], &["--report-only", "--quick"]] {
            assert!(Args::try_parse_from([&["bench.sh"], words].concat()).is_err(), "{words:?}");
        }
    }
}
