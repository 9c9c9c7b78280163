//! At a steady rate: CPU of a datagram, what is lost, system calls, and memory after it all.

use std::time::Duration;

use super::calls;
use crate::process;
use crate::samples::Figure;
use crate::stage::Stage;
use crate::subject::{Entry, Kind, ROSTER, Subject};
use crate::trouble::Trouble;

/// Datagrams a second.
const RATES: [f64; 2] = [50_000.0, 200_000.0];
const TIME: Duration = Duration::from_millis(800);
/// So long nobody is asked anything before his memory is looked at.
const REST: Duration = Duration::from_secs(2);

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    for entry in turned(&ROSTER, stage.round) {
        let mut subject = stage.start(entry)?;
        stage.warm_up(&mut *subject)?;
        for rate in RATES {
            let plan = stage.plan(&*subject, rate, stage.time(TIME));
            let shot = stage.fire(&mut *subject, &plan)?;
            if let Some(cpu_ns) = shot.cpu_ns() {
                stage.note(Figure::CpuNs, &entry.name(), rate as u64, cpu_ns);
            }
            stage.note(Figure::LostAtRate, &entry.name(), rate as u64, shot.lost());
            calls::measure(stage, entry, &mut *subject, rate)?;
        }
        memory(stage, entry, &*subject);
    }
    Ok(())
}

/// The order of a round: each begins with another one, so that nobody always follows the same.
pub(super) fn turned(entries: &[Entry], round: u32) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    let by = round as usize % entries.len().max(1);
    entries.rotate_left(by);
    entries
}

/// At rest: what the questions asked before have brought into memory does not count, for nobody.
fn memory(stage: &mut Stage<'_>, entry: Entry, subject: &dyn Subject) {
    std::thread::sleep(REST);
    let sizes: Vec<f64> = subject.pids().into_iter().map(|pid| process::pss(pid) as f64).collect();
    stage.note(Figure::MemoryBytes, &entry.name(), 0, sizes.iter().sum());
    // Where one process stands above the others, it is the first.
    if let (Kind::Cluster | Kind::Pm2 | Kind::Nginx, Some((first, others))) =
        (entry.kind, sizes.split_first())
    {
        stage.note(Figure::SupervisorBytes, &entry.name(), 0, *first);
        let mean = others.iter().sum::<f64>() / others.len().max(1) as f64;
        stage.note(Figure::WorkerBytes, &entry.name(), 0, mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_another_one() {
        let firsts: Vec<Entry> = (0..11).map(|round| turned(&ROSTER, round)[0]).collect();
        assert_eq!(firsts, ROSTER);
        assert_eq!(turned(&ROSTER, 11), ROSTER);
        assert!(turned(&[], 3).is_empty());
    }
}
