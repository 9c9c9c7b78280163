//! Runs this program under valgrind's callgrind, which counts.

use std::collections::HashMap;
use std::fmt;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::cases::Case;
use crate::measured::{TURNS, WARM_UP};

/// How often a run is tried in which the kernel delivered late: then the turns were not what they should be.
const TRIES: usize = 5;

/// What one case costs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    /// Instructions of ours for each datagram; the kernel's are not in it.
    pub(crate) instructions: f64,
    /// System calls of each turn. To read a clock is none, but under valgrind.
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
    // Callgrind counts the system calls of a function in all its lives, measured or not.
    let (measured, turns) = (TURNS as f64, (WARM_UP + TURNS) as f64);
    Ok(Ok(Cost { instructions: instructions / (measured * case.at_once as f64), calls: calls / turns }))
}

/// Instructions and system calls in all, of a file of callgrind's. To read a clock is no call outside of valgrind, so it
/// is none here.
fn totals(text: &str) -> Option<[f64; 2]> {
    let events = text.lines().find_map(|line| line.strip_prefix("events: "))?;
    let column = |name| events.split_whitespace().position(|event| event == name);
    let (instructions, calls) = (column("Ir")?, column("sysCount")?);
    let (mut sum, mut names) = ([0.0; 2], HashMap::new());
    let (mut clock, mut callee) = (false, false);
    for line in text.lines() {
        let function = line.strip_prefix("fn=");
        if let Some(name) = function.or(line.strip_prefix("cfn=")) {
            // "(id) name" where it first appears, then "(id)".
            let (id, name) = name.split_once(' ').unwrap_or((name, ""));
            let name: &mut &str = names.entry(id).or_insert(name);
            clock = if function.is_some() { name.contains("clock_gettime") } else { clock };
        } else if line.starts_with("calls=") {
            callee = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            // The line behind a `calls=` repeats what stands at the called function itself.
            if !std::mem::take(&mut callee) {
                // Position first; zeros at the end are left out.
                let costs: Vec<f64> =
                    line.split(' ').skip(1).map(str::parse).collect::<Result<_, _>>().ok()?;
                let cost = |column: usize| costs.get(column).copied().unwrap_or(0.0);
                sum[0] += cost(instructions);
                sum[1] += if clock { 0.0 } else { cost(calls) };
            }
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_summed_by_column_and_reading_a_clock_is_no_call() {
        let text = "version: 1\npositions: line\nevents: Ir sysCount sysTime\n\nfn=(1) turn\n0 1000\ncfn=(2) clock_gettime@@GLIBC_2.17\ncalls=9 0\n\
                    0 300 9 7\nfn=(2)\n0 90 9 7\n+3 10\nfn=(3) recvmmsg\n0 100 5\nfn=(2)\n* 1 1\n\
                    totals: 1201 15 14\n";
        assert_eq!(totals(text), Some([1201.0, 5.0]));
        assert_eq!(totals("events: Ir\nfn=(1) turn\n0 1200\n"), None);
    }
}
