//! Wake-ups while nothing happens: everybody idles at the same time, for nobody disturbs anybody then.

use std::thread;
use std::time::Duration;

use crate::process;
use crate::samples::Figure;
use crate::stage::Stage;
use crate::subject::{Entry, Kind};
use crate::trouble::Trouble;

const WORKERS: usize = 4;
const IDLERS: [Entry; 6] = [
    Entry::new(Kind::Null, WORKERS),
    Entry::new(Kind::Cluster, WORKERS),
    Entry::new(Kind::Pm2, WORKERS),
    Entry::new(Kind::Node, 1),
    Entry::new(Kind::Python, 1),
    Entry::new(Kind::Nginx, WORKERS),
];
/// What follows a start is over by then.
const CALM: Duration = Duration::from_secs(2);
const TIME: Duration = Duration::from_secs(10);

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    let started = IDLERS.iter().map(|&entry| Ok((entry, stage.start(entry)?)));
    let subjects = started.collect::<Result<Vec<_>, Trouble>>()?;
    thread::sleep(CALM);
    let pids: Vec<(Entry, Vec<i32>)> =
        subjects.iter().map(|(entry, subject)| (*entry, subject.pids())).collect();
    let before: Vec<_> = pids.iter().map(|(_, pids)| process::usage(pids)).collect();
    let time = stage.time(TIME);
    thread::sleep(time);
    for ((entry, pids), before) in pids.iter().zip(before) {
        let used = process::usage(pids).since(before);
        stage.note(Figure::WakeUps, &entry.name(), 0, used.switches as f64 / time.as_secs_f64());
    }
    Ok(())
}
