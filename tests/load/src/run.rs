//! The threads of a load.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::plan::MAX_ROW;
use crate::senders::{self, Sender};
use crate::shoot::Gun;
use crate::{Amount, Outcome, Pace, Plan, Speed, Trouble};

/// What flat out sends between two looks at the clock.
const STRETCH: u64 = MAX_ROW as u64;
/// The longest sleep: an end that is ordered is seen so soon.
const NAP: Duration = Duration::from_millis(50);

/// Sends as planned, until it is done or `stop` says so. Sockets are made before the first datagram leaves.
///
/// # Errors
/// What made one of the threads give up; the others end with it.
pub fn run(plan: &Plan, stop: &AtomicBool) -> Result<Outcome, Trouble> {
    plan.check()?;
    let threads = plan.threads.min(plan.senders);
    let mut shares: Vec<Vec<Sender>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, sender) in senders::all(plan)?.into_iter().enumerate() {
        shares[number % threads].push(sender);
    }
    let (sequence, failed, began) = (AtomicU64::new(0), AtomicBool::new(false), Instant::now());
    let common = Common { plan, threads, sequence: &sequence, stop, failed: &failed, began };
    let ends: Vec<Result<Outcome, Trouble>> = thread::scope(|scope| {
        let spawned: Vec<_> = shares
            .iter()
            .enumerate()
            .map(|(number, share)| scope.spawn(move || common.send(number, share)))
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        spawned.into_iter().map(join).collect()
    });
    let seconds = began.elapsed().as_secs_f64();
    let mut sum = Outcome::default();
    for end in ends {
        sum.add(&end?);
    }
    Ok(Outcome { seconds, ..sum })
}

/// What all threads of a load share.
#[derive(Clone, Copy)]
struct Common<'a> {
    plan: &'a Plan,
    threads: usize,
    sequence: &'a AtomicU64,
    stop: &'a AtomicBool,
    failed: &'a AtomicBool,
    began: Instant,
}

impl Common<'_> {
    fn send(&self, number: usize, share: &[Sender]) -> Result<Outcome, Trouble> {
        let sent = self.prepare().and_then(|()| self.turns(number, share));
        if sent.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        sent
    }

    fn prepare(&self) -> Result<(), Trouble> {
        // A thread sleeps to the nanosecond it asked for, not 50 µs longer (prctl(2)). Without it: later by those.
        let _ = nix::sys::prctl::set_timerslack(1);
        let Some(cpu) = self.plan.cpu else { return Ok(()) };
        let mut set = CpuSet::new();
        let pinned = set.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
        pinned.map_err(|e| Trouble::Cpu { cpu, source: e.into() })
    }

    /// What is due is sent, a row from each sender in turn.
    fn turns(&self, number: usize, share: &[Sender]) -> Result<Outcome, Trouble> {
        let (cpu, mut gun, mut out) = (cpu_time(), Gun::new(self.plan.way), Outcome::default());
        let mut clock = Ticks::new(self.plan.speed, self.threads);
        let most = self.most(number);
        let mut turn = share.iter().cycle();
        while !self.is_over(out.sent, most) {
            let mut left = clock.wait(self.began).min(most - out.sent);
            while left > 0 {
                let Some(sender) = turn.next() else { break };
                let row = (self.plan.row as u64).min(left);
                let first = self.sequence.fetch_add(row, Ordering::Relaxed);
                let sent = gun.fire(sender, first, row as usize)? as u64;
                out.sent += sent;
                out.bytes += sent * sender.template.bytes() as u64;
                left -= row;
            }
        }
        out.cpu_ns = u64::try_from(cpu_time().saturating_sub(cpu).as_nanos()).unwrap_or(u64::MAX);
        (out.late, out.refused) = (clock.late(), gun.refused);
        Ok(out)
    }

    /// The most that thread `number` sends.
    fn most(&self, number: usize) -> u64 {
        match self.plan.amount {
            Amount::For(_) => u64::MAX,
            Amount::Count(count) => {
                let (all, number) = (self.threads as u64, number as u64);
                count / all + u64::from(number < count % all)
            }
        }
    }

    fn is_over(&self, sent: u64, most: u64) -> bool {
        let late = matches!(self.plan.amount, Amount::For(time) if self.began.elapsed() >= time);
        late || sent >= most || self.stop.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }
}

/// When a thread sends how much.
enum Ticks {
    Paced { pace: Pace, tick: Duration, next: Duration },
    FlatOut,
}

impl Ticks {
    fn new(speed: Speed, threads: usize) -> Ticks {
        match speed {
            Speed::FlatOut => Ticks::FlatOut,
            Speed::Paced { rate, burst, tick } => {
                let pace = Pace::new(rate / threads as f64, burst.div_ceil(threads as u64));
                Ticks::Paced { pace, tick, next: Duration::ZERO }
            }
        }
    }

    /// Sleeps until the next tick, a nap at the most; answers how many datagrams are due then.
    fn wait(&mut self, began: Instant) -> u64 {
        match self {
            Ticks::FlatOut => STRETCH,
            Ticks::Paced { pace, tick, next } => {
                *next = (*next + *tick).max(began.elapsed()).max(pace.next());
                let left = next.saturating_sub(began.elapsed());
                thread::sleep(left.min(NAP));
                pace.due(began.elapsed())
            }
        }
    }

    fn late(&self) -> u64 {
        match self {
            Ticks::FlatOut => 0,
            Ticks::Paced { pace, .. } => pace.late(),
        }
    }
}

/// CPU time of this thread so far, user and system.
fn cpu_time() -> Duration {
    // This clock exists on every Linux; without it the cost would read 0.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
