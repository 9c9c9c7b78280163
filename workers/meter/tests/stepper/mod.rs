//! The tracer: lets a worker make so many instructions, kills it, and has others finish.

mod survey;
mod traced;
mod world;

use std::io::Write as _;
use std::time::Instant;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use survey::{Mark, Survey};
use world::World;

/// What is traced.
pub(crate) struct Scene {
    /// For messages.
    pub(crate) name: &'static str,
    /// What waits in the socket when the first worker comes.
    pub(crate) datagrams: fn() -> Vec<Vec<u8>>,
    /// How many workers die of them before the one that is traced.
    pub(crate) deaths_before: u64,
    /// Which part of that one's life: `all` or `receive`.
    pub(crate) traced: &'static str,
    /// What it dies of.
    pub(crate) dies_of: Signal,
    /// How many instructions far from any change the gate takes.
    pub(crate) sample: usize,
}

/// How one trial ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Trial {
    /// Sequence numbers that were finished once.
    pub(crate) marked: u64,
    /// Workers that died of a datagram.
    pub(crate) poison_deaths: u64,
    /// Of that class.
    pub(crate) meter: u64,
    /// Of that class.
    pub(crate) malformed: u64,
    /// Of that class.
    pub(crate) quarantined: u64,
    /// Lines in the quarantine's file.
    pub(crate) records: usize,
}

/// Kills the traced worker after each number of instructions that is due, and lets `check` judge what became of it.
///
/// # Panics
/// When a trial is not exact, or `check` does so.
pub(crate) fn explore(scene: &Scene, check: impl Fn(&Trial) + Sync) {
    let began = Instant::now();
    let survey = Survey::of(scene);
    let all = std::env::var("STEPS").is_ok_and(|it| it == "all");
    let due = if all { survey.every_point() } else { survey.sample(scene.sample) };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (due, check) = (&due, &check);
            scope.spawn(move || {
                stay_on(thread);
                for point in due.iter().skip(thread).step_by(threads) {
                    let trial = World::new(scene).kill_at(point);
                    let judge = std::panic::AssertUnwindSafe(|| check(&trial));
                    if std::panic::catch_unwind(judge).is_err() {
                        panic!("{}, killed at {point:?}: {trial:#?}", scene.name);
                    }
                }
            });
        }
    });
    // Past the capture of passing tests.
    let _ = writeln!(
        std::io::stderr(),
        "{}: killed at {} places in {} instructions with {} system calls and {} changes of a control word: \
         exact each time; {:.0} s",
        scene.name,
        due.len(),
        survey.end,
        survey.number_of(Mark::Call),
        survey.number_of(Mark::Change),
        began.elapsed().as_secs_f64()
    );
}

/// Tracer and traced take turns: on one CPU that costs a third of what it costs between two.
fn stay_on(cpu: usize) {
    let mut one = CpuSet::new();
    let _ = one.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &one));
}
