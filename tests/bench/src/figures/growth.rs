//! CPU of a datagram as workers, senders, processors and meters grow: the cluster beside the null sink.

use std::time::Duration;

use udp_load::{Payload, Plan};

use crate::samples::Figure;
use crate::stage::Stage;
use crate::subject::{Entry, Kind, Subject};
use crate::trouble::Trouble;

const KINDS: [Kind; 2] = [Kind::Null, Kind::Cluster];
/// Where workers do not grow.
const FEW: usize = 4;
const WORKERS: [usize; 5] = [1, 2, 4, 16, 64];
const SENDERS: [usize; 3] = [1, 100, 10_000];
const PROCESSORS: [usize; 2] = [1, 64];
const METERS: [usize; 2] = [1, 32];
/// While workers grow, so many that each has some.
const MANY_SENDERS: usize = 1000;
const RATE: f64 = 50_000.0;
const TIME: Duration = Duration::from_millis(600);

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    for workers in WORKERS {
        for kind in [Kind::Null, Kind::Told, Kind::Cluster] {
            let entry = Entry::new(kind, workers);
            let mut subject = stage.start(entry)?;
            stage.warm_up(&mut *subject)?;
            let plan = Plan { senders: MANY_SENDERS, ..stage.plan(&*subject, RATE, stage.time(TIME)) };
            note(stage, entry, &mut *subject, &plan, (Figure::ByWorkersNs, workers))?;
        }
    }
    let mut pair = Vec::new();
    for kind in KINDS {
        let (entry, mut subject) = (Entry::new(kind, FEW), stage.start(Entry::new(kind, FEW))?);
        stage.warm_up(&mut *subject)?;
        pair.push((entry, subject));
    }
    for (figure, x) in points() {
        for (entry, subject) in &mut pair {
            let plan = shaped(stage.plan(&**subject, RATE, stage.time(TIME)), figure, x);
            note(stage, *entry, &mut **subject, &plan, (figure, x))?;
        }
    }
    Ok(())
}

/// What grows while four workers stay.
fn points() -> Vec<(Figure, usize)> {
    let all = |figure, xs: &[usize]| xs.iter().map(move |&x| (figure, x)).collect::<Vec<_>>();
    [
        all(Figure::BySendersNs, &SENDERS),
        all(Figure::ByProcessorsNs, &PROCESSORS),
        all(Figure::ByMetersNs, &METERS),
    ]
    .concat()
}

fn shaped(plan: Plan, figure: Figure, x: usize) -> Plan {
    match figure {
        Figure::BySendersNs => Plan { senders: x, processors: x.min(plan.processors), ..plan },
        Figure::ByProcessorsNs => Plan { processors: x, ..plan },
        Figure::ByMetersNs => Plan { payload: Payload::Meters { meters: x, numbered: false }, ..plan },
        _ => plan,
    }
}

fn note(
    stage: &mut Stage<'_>,
    entry: Entry,
    subject: &mut dyn Subject,
    plan: &Plan,
    (figure, x): (Figure, usize),
) -> Result<(), Trouble> {
    let shot = stage.fire(subject, plan)?;
    if let Some(cpu_ns) = shot.cpu_ns() {
        stage.note(figure, &entry.name(), x as u64, cpu_ns);
    }
    Ok(())
}
