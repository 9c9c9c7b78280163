//! The committed baseline: what each case cost when somebody last agreed to it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::callgrind::Cost;

/// The compiler that built this, as `rustc --version` tells it.
pub(crate) const RUSTC: &str = env!("COST_RUSTC");
/// How far a cost may lie from its baseline.
const TOLERANCE: f64 = 0.03;
/// The same where another compiler made the baseline: enough for its taste, not for a mistake of ours.
const TOLERANCE_OF_ANOTHER: f64 = 0.20;

/// What stands in the file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    rustc: String,
    cases: BTreeMap<String, Cost>,
}

/// How a measured case stands to the baseline.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Within what is tolerated.
    Same,
    /// Cheaper than that, in something; nothing dearer.
    Better,
    /// Dearer than that, in something.
    Worse,
    /// Not in the baseline.
    New,
}

impl Baseline {
    /// The baseline of this architecture: instructions of another one are other instructions.
    pub(crate) fn path() -> PathBuf {
        let name = format!("baseline.{}.toml", std::env::consts::ARCH);
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
    }

    pub(crate) fn new(measured: &[(&str, Cost)]) -> Baseline {
        let rounded = |cost: &Cost| Cost {
            instructions: (cost.instructions * 10.0).round() / 10.0,
            calls: (cost.calls * 100.0).round() / 100.0,
        };
        let cases = measured.iter().map(|(name, cost)| ((*name).to_owned(), rounded(cost)));
        Baseline { rustc: RUSTC.to_owned(), cases: cases.collect() }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it is not there, or makes no sense.
    pub(crate) fn read() -> io::Result<Baseline> {
        toml::from_str(&std::fs::read_to_string(Baseline::path())?).map_err(io::Error::other)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        let head =
            "# What each case costs: `cargo run --release -p cost` explains; `-- --accept` writes this.\n";
        std::fs::write(Baseline::path(), format!("{head}{text}"))
    }

    /// Another compiler made it: what to tell of that.
    pub(crate) fn warning(&self) -> Option<String> {
        (self.rustc != RUSTC).then(|| {
            format!(
                "the baseline is of {}, this is {RUSTC}: only what is {:.0} % off is told",
                self.rustc,
                self.tolerance() * 100.0
            )
        })
    }

    fn tolerance(&self) -> f64 {
        if self.rustc == RUSTC { TOLERANCE } else { TOLERANCE_OF_ANOTHER }
    }

    /// What the baseline says of a case.
    pub(crate) fn of(&self, case: &str) -> Option<Cost> {
        self.cases.get(case).copied()
    }

    pub(crate) fn judge(&self, case: &str, now: Cost) -> Verdict {
        let Some(before) = self.of(case) else { return Verdict::New };
        let pairs = [(before.instructions, now.instructions), (before.calls, now.calls)];
        let tolerance = self.tolerance();
        if pairs.iter().any(|(before, now)| *now > before * (1.0 + tolerance)) {
            Verdict::Worse
        } else if pairs.iter().any(|(before, now)| *now < before * (1.0 - tolerance)) {
            Verdict::Better
        } else {
            Verdict::Same
        }
    }

    /// Cases of the baseline that are not among `measured`: something is not watched any more.
    pub(crate) fn missing<'b>(&'b self, measured: &[(&str, Cost)]) -> Vec<&'b str> {
        let names = self.cases.keys().map(String::as_str);
        names.filter(|name| !measured.iter().any(|(measured, _)| measured == name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(instructions: f64, calls: f64) -> Cost {
        Cost { instructions, calls }
    }

    #[test]
    fn more_than_three_in_a_hundred_is_told_in_either_direction() {
        let baseline = Baseline::new(&[("one", cost(1000.0, 5.0))]);
        for (now, verdict) in [
            (cost(1029.0, 5.0), Verdict::Same),
            (cost(1031.0, 5.0), Verdict::Worse),
            (cost(1000.0, 6.0), Verdict::Worse),
            (cost(500.0, 6.0), Verdict::Worse),
            (cost(971.0, 5.0), Verdict::Same),
            (cost(969.0, 5.0), Verdict::Better),
            (cost(1000.0, 4.0), Verdict::Better),
        ] {
            assert_eq!(baseline.judge("one", now), verdict, "{now:?}");
        }
        assert_eq!(baseline.judge("two", cost(1.0, 1.0)), Verdict::New);
        assert_eq!(baseline.warning(), None);
    }

    #[test]
    fn another_compilers_baseline_is_said_to_be_one_and_still_finds_a_mistake() {
        let mut baseline = Baseline::new(&[("one", cost(1000.0, 5.0))]);
        baseline.rustc = "rustc 1.0.0".into();
        assert!(baseline.warning().is_some_and(|text| text.contains("rustc 1.0.0")));
        assert_eq!(baseline.judge("one", cost(1190.0, 5.0)), Verdict::Same);
        assert_eq!(baseline.judge("one", cost(1210.0, 5.0)), Verdict::Worse);
    }

    #[test]
    fn a_case_that_is_not_measured_any_more_is_missed() {
        let baseline = Baseline::new(&[("one", cost(1.0, 1.0)), ("two", cost(1.0, 1.0))]);
        assert_eq!(baseline.missing(&[("two", cost(9.0, 9.0))]), ["one"]);
    }

    #[test]
    fn the_committed_baseline_can_be_read_and_has_every_case() {
        let baseline = Baseline::read().expect("a baseline for this architecture");
        for case in crate::cases::all() {
            assert!(
                baseline.of(case.name).is_some(),
                "{}: cargo run --release -p cost -- --accept",
                case.name
            );
        }
    }
}
