//! From send to visible: a probe is sent, then its word of the shared memory is looked at until it changes.
//!
//! For the cluster that is the meter's level in the table; the null sink, which has no table, stores what a datagram of
//! eight bytes says into its page. Meanwhile the usual load runs at 50 000/s, from 32 processors, for the table has
//! room for 64.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use udp_load::{Amount, Plan, Speed};

use crate::probe::{MarkProbe, Probe, TableProbe};
use crate::samples::Figure;
use crate::stage::{Stage, usual};
use crate::stats::percentile;
use crate::subject::{Entry, Kind, Subject};
use crate::subjects::{Cluster, Null};
use crate::trouble::{Trouble, cannot};

const WORKERS: usize = 4;
const RATE: f64 = 50_000.0;
const PROCESSORS: usize = 32;
const PROBES: usize = 2000;
/// Between two probes. Not a divisor of the load's tick: probes meet it at all its moments.
const PAUSE: Duration = Duration::from_micros(1_130);
/// A probe that is not seen by then is lost: the kernel had no room.
const PATIENCE: Duration = Duration::from_millis(500);
const PERCENTILES: [f64; 3] = [50.0, 99.0, 99.9];

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    stage.go_on()?;
    for kind in [Kind::Null, Kind::Told] {
        let null = Null::start(stage.site, WORKERS, kind == Kind::Told)?;
        let probe = MarkProbe::new(&null)?;
        run(stage, Entry::new(kind, WORKERS), &null, probe)?;
    }
    let cluster = Cluster::start(stage.site, WORKERS)?;
    let probe = TableProbe::new(&cluster, 0)?;
    run(stage, Entry::new(Kind::Cluster, WORKERS), &cluster, probe)
}

fn run(stage: &mut Stage<'_>, entry: Entry, subject: &dyn Subject, probe: impl Probe) -> Result<(), Trouble> {
    let plan = Plan {
        processors: PROCESSORS,
        speed: Speed::paced(RATE),
        amount: Amount::For(Duration::MAX),
        cpu: stage.cpu,
        ..usual(subject.address())
    };
    let (over, probes) = (AtomicBool::new(false), if stage.quick { PROBES / 5 } else { PROBES });
    let measured = thread::scope(|scope| {
        let load = scope.spawn(|| udp_load::run(&plan, &over));
        let measured = latencies(probe, probes);
        over.store(true, Ordering::Relaxed);
        let sent = load.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        sent.map_err(Trouble::from).and(measured)
    })?;
    for percent in PERCENTILES {
        if let Some(micros) = percentile(&measured, percent) {
            stage.note(Figure::LatencyUs, &entry.name(), (10.0 * percent) as u64, micros);
        }
    }
    Ok(())
}

/// In microseconds.
fn latencies(mut probe: impl Probe, count: usize) -> Result<Vec<f64>, Trouble> {
    let mut measured = Vec::with_capacity(count);
    for _ in 0..count {
        thread::sleep(PAUSE);
        let began = Instant::now();
        let sent = probe.send().map_err(cannot("send a probe"))?;
        while !probe.is_visible(sent) {
            if began.elapsed() > PATIENCE {
                let hint = "the load was too much for this machine";
                return Err(Trouble::broken("a probe was lost", hint));
            }
            // The receiver may have been given this very CPU.
            thread::yield_now();
        }
        measured.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(measured)
}
