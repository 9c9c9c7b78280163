//! Start, reload, and SIGKILL: how long until all receive again.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::probe::{Probe, TableProbe};
use crate::process;
use crate::samples::Figure;
use crate::stage::Stage;
use crate::subject::{Entry, Kind};
use crate::subjects::{Cluster, Pm2};
use crate::trouble::{Trouble, cannot};
use crate::wait::wait_for;

const WORKERS: usize = 4;
const STARTS: usize = 3;
const RELOADS: usize = 3;
const KILLS: usize = 10;
/// PM2's take longer by far.
const KILLS_OF_PM2: usize = 2;
/// Senders that are tried until one is found whose datagrams slot 0 reads.
const SENDERS: u32 = 24;
/// Between two looks at the table: the CPU is left to those who start.
const LOOK: Duration = Duration::from_micros(20);
/// Between two kills: the run is a stable one by then, and its restart is at once.
const CALM: Duration = Duration::from_millis(25);
const OTHERS: [Entry; 3] =
    [Entry::new(Kind::Node, 1), Entry::new(Kind::Python, 1), Entry::new(Kind::Nginx, WORKERS)];

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    cluster(stage)?;
    pm2(stage)?;
    for entry in OTHERS {
        let subject = stage.start(entry)?;
        stage.note(Figure::StartMs, &entry.name(), 0, millis(subject.started_in()));
    }
    Ok(())
}

fn cluster(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    let entry = Entry::new(Kind::Cluster, WORKERS);
    let name = entry.name();
    for _ in 1..STARTS {
        let started_in = stage.start(entry)?.started_in();
        stage.note(Figure::StartMs, &name, 0, millis(started_in));
    }
    stage.go_on()?;
    let cluster = Cluster::start(stage.site, WORKERS)?;
    for _ in 0..RELOADS {
        thread::sleep(CALM);
        stage.note(Figure::ReloadMs, &name, 0, millis(cluster.reload()?));
    }
    cluster.wait_until_online()?;
    let mut probe = probe_of_slot_0(&cluster)?;
    for _ in 0..KILLS {
        thread::sleep(CALM);
        stage.note(Figure::KillMs, &name, 0, millis(kill(&cluster, &mut probe)?));
        cluster.wait_until_online()?;
    }
    Ok(())
}

/// A sender whose datagrams slot 0 reads.
fn probe_of_slot_0(cluster: &Cluster) -> Result<TableProbe, Trouble> {
    for number in 0..SENDERS {
        let mut probe = TableProbe::new(cluster, number)?;
        let before = cluster.of_worker(0, "datagrams")?;
        let sent = probe.send().map_err(cannot("send a probe"))?;
        wait_for("the probe is visible", || Ok(probe.is_visible(sent).then_some(())))?;
        // The batch is committed just after its levels are stored: the counters may be a moment behind.
        thread::sleep(CALM);
        if cluster.of_worker(0, "datagrams")? > before {
            return Ok(probe);
        }
    }
    Err(Trouble::broken(format_args!("slot 0 reads none of {SENDERS} senders"), "list shows what it does"))
}

/// SIGKILL to the process of slot 0, then a datagram for that slot: answers how long after the signal it was stored.
fn kill(cluster: &Cluster, probe: &mut TableProbe) -> Result<Duration, Trouble> {
    let pid = i32::try_from(cluster.of_worker(0, "pid")?).unwrap_or(0); // every pid is one
    let began = Instant::now();
    process::signal(pid, Signal::SIGKILL);
    let sent = probe.send().map_err(cannot("send a probe"))?;
    let deadline = began + crate::wait::PATIENCE;
    while !probe.is_visible(sent) {
        if Instant::now() > deadline {
            return Err(Trouble::broken("no replacement reads", "list shows why"));
        }
        thread::sleep(LOOK);
    }
    Ok(began.elapsed())
}

fn pm2(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    stage.go_on()?;
    let (name, mut pm2) = (Entry::new(Kind::Pm2, WORKERS).name(), Pm2::start(stage.site, WORKERS)?);
    stage.note(Figure::StartMs, &name, 0, millis(crate::subject::Subject::started_in(&pm2)));
    stage.note(Figure::ReloadMs, &name, 0, millis(pm2.reload()?));
    for _ in 0..KILLS_OF_PM2 {
        stage.note(Figure::KillMs, &name, 0, millis(pm2.kill()?));
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
