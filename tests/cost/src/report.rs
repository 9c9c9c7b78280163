//! What is told of the costs.

use std::fmt::Write as _;

use crate::baseline::{Baseline, Verdict};
use crate::callgrind::Cost;

/// How a new baseline is accepted.
pub(crate) const ACCEPT: &str = "if that is as it should be: cargo run --release -p cost -- --accept";

/// One line for each case.
pub(crate) fn table(baseline: &Baseline, costs: &[(&str, Cost)]) -> String {
    let mut text =
        format!("{:22} {:>12} {:>9}   {:>11}\n", "case", "instructions", "baseline", "calls a turn");
    for (name, now) in costs {
        let before = baseline.of(name).map_or("-".into(), |cost| format!("{:.1}", cost.instructions));
        let remark = match baseline.judge(name, *now) {
            Verdict::Same => "",
            Verdict::Better => "   better",
            Verdict::Worse => "   WORSE",
            Verdict::New => "   new",
        };
        let (instructions, calls) = (now.instructions, now.calls);
        writeln!(text, "{name:22} {instructions:12.1} {before:>9}   {calls:11.2}{remark}")
            .expect("a String takes every write");
    }
    text
}

/// What speaks against the costs.
pub(crate) fn faults(baseline: &Baseline, costs: &[(&str, Cost)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, now) in costs {
        match (baseline.judge(name, *now), baseline.of(name)) {
            (Verdict::Worse, Some(before)) => faults.push(format!(
                "{name}: {:.1} instructions a datagram and {:.2} system calls a turn; the baseline has {:.1} and {:.2}",
                now.instructions, now.calls, before.instructions, before.calls
            )),
            (Verdict::New, _) => faults.push(format!("{name}: the baseline has no such case")),
            (Verdict::Worse | Verdict::Better | Verdict::Same, _) => {}
        }
    }
    faults.extend(baseline.missing(costs).iter().map(|name| format!("{name}: not measured any more")));
    faults
}
