//! Runs this program under valgrind's callgrind, which counts.

use std::fmt;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::cases::Case;
use crate::measured::TURNS;

/// How often a run is tried in which the kernel delivered late: then the turns were not what they should be.
const TRIES: usize = 5;

/// What one case costs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    /// Instructions of ours for each datagram; the kernel's are not in it.
    pub(crate) instructions: f64,
    /// System calls of each turn. Under valgrind reading a clock is one.
    pub(crate) calls: f64,
}

/// Why nothing was measured.
#[derive(Debug)]
pub(crate) enum Failed {
    /// There is no valgrind.
    Missing,
    /// It ran, and this was wrong.
    Run(String),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Missing => write!(f, "valgrind is missing\nhint: apt-get install valgrind"),
            Failed::Run(what) => {
                write!(f, "{what}\nhint: `valgrind --tool=callgrind true` tells whether valgrind works here")
            }
        }
    }
}

/// Measures `case`.
///
/// # Errors
/// When valgrind is missing, or does not get to the end.
pub(crate) fn measure(case: &Case) -> Result<Cost, Failed> {
    let mut last = String::new();
    for _ in 0..TRIES {
        match run(case)? {
            Ok(cost) => return Ok(cost),
            Err(why) => last = why,
        }
    }
    Err(Failed::Run(format!("{}: {last}", case.name)))
}

/// One run; what is inside an answer may be tried again.
fn run(case: &Case) -> Result<Result<Cost, String>, Failed> {
    let of = |what: &str, e: std::io::Error| Failed::Run(format!("cannot {what}: {e}"));
    let folder = tempfile::tempdir().map_err(|e| of("make a folder", e))?;
    let file = folder.path().join("callgrind.out");
    let own = std::env::current_exe().map_err(|e| of("find this program", e))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--collect-systime=yes"])
        .arg(format!("--toggle-collect={}", meter::cost::MEASURED))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(own)
        .args(["--measured", case.name])
        .output()
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Failed::Missing,
            _ => of("run valgrind", e),
        })?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let text = std::fs::read_to_string(&file).map_err(|e| of("read what callgrind wrote", e))?;
    let [instructions, calls] =
        totals(&text).ok_or_else(|| Failed::Run("callgrind's file makes no sense".into()))?;
    if instructions == 0.0 {
        return Err(Failed::Run(format!("callgrind found no function {}", meter::cost::MEASURED)));
    }
    let turns = TURNS as f64;
    Ok(Ok(Cost { instructions: instructions / (turns * case.at_once as f64), calls: calls / turns }))
}

/// Instructions and system calls in all, of a file of callgrind's: `events:` names the columns of `totals:`.
fn totals(text: &str) -> Option<[f64; 2]> {
    let columns = |key| text.lines().find_map(|line| line.strip_prefix(key)).map(str::split_whitespace);
    let all: Vec<(&str, &str)> = columns("events:")?.zip(columns("totals:")?).collect();
    let column = |name| all.iter().find(|(event, _)| *event == name)?.1.parse().ok();
    Some([column("Ir")?, column("sysCount")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_found_by_their_names() {
        let text = "version: 1\nevents: Ir sysCount sysTime\nfn=(1)\n1 2 3\ntotals: 1200 40 7\n";
        assert_eq!(totals(text), Some([1200.0, 40.0]));
        assert_eq!(totals("events: sysCount Ir\ntotals: 40 1200"), Some([1200.0, 40.0]));
        assert_eq!(totals("events: Ir\ntotals: 1200"), None);
    }
}
