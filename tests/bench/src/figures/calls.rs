//! System calls of a datagram, counted by the kernel's tracepoint (perf-stat(1)): nothing is slowed down by more than
//! a counter, as it would be by strace.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::samples::Figure;
use crate::stage::Stage;
use crate::subject::{Entry, Guarded, Subject};
use crate::trouble::{Trouble, cannot};
use crate::wait::wait_for;

const TIME: Duration = Duration::from_millis(400);
const EVENT: &str = "raw_syscalls:sys_enter";

pub(super) fn measure(
    stage: &mut Stage<'_>,
    entry: Entry,
    subject: &mut dyn Subject,
    rate: f64,
) -> Result<(), Trouble> {
    let folder = stage.site.new_folder()?;
    let file = folder.path().join("counted");
    let pids: Vec<String> = subject.pids().iter().map(i32::to_string).collect();
    let mut perf = Command::new(&stage.site.perf);
    perf.args(["stat", "-x", ",", "-e", EVENT, "-p", &pids.join(","), "-o"]).arg(&file);
    let mut perf = Guarded::spawn(&mut perf)?;
    // It makes the file before it begins to count; the load begins later than that.
    perf.wait_for(
        "perf stat",
        || file.exists().then_some(()),
        || "perf needs root, or perf_event_paranoid = -1".into(),
    )?;
    let plan = stage.plan(subject, rate, stage.time(TIME));
    let shot = stage.fire(subject, &plan)?;
    crate::process::signal(perf.pid(), Signal::SIGINT);
    let status = wait_for("perf stat ends", || Ok(perf.try_exit()))?;
    let text = fs::read_to_string(&file).map_err(cannot("read what perf has counted"))?;
    let counted = parse(&text).ok_or_else(|| {
        let said = text.lines().last().unwrap_or_default();
        Trouble::broken(
            format_args!("perf counts no system calls ({status}): {said}"),
            "perf needs root, and tracefs",
        )
    })?;
    if shot.received > 0 {
        stage.note(Figure::Calls, &entry.name(), rate as u64, counted / shot.received as f64);
    }
    Ok(())
}

/// The count in a line `COUNT,UNIT,EVENT,…`.
fn parse(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains(EVENT))?;
    line.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_and_none_is_none() {
        assert_eq!(parse("# started on …\n\n5345,,raw_syscalls:sys_enter,1,100.00,,\n"), Some(5345.0));
        assert_eq!(parse("<not supported>,,raw_syscalls:sys_enter,0,0.00,,\n"), None);
        assert_eq!(parse(""), None);
    }
}
