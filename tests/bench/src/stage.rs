//! One run: who is measured, how often, and under which load.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use udp_load::{Amount, Outcome, Payload, Plan, Speed, Way};

use crate::port;
use crate::process::{self, Usage};
use crate::samples::{Figure, Sample};
use crate::site::Site;
use crate::subject::{Entry, Subject};
use crate::trouble::{Trouble, cannot};
use crate::wait::wait_for;

/// Datagrams that a sender sends in a row: a processor, too, sends its meters one after another.
const ROW: usize = 8;
/// A receiver is at rest when it used less than this in a pause.
const REST: Duration = Duration::from_micros(200);
const PAUSE: Duration = Duration::from_millis(10);
/// Pauses in which something that never rests (a timer of Node.js) is waited for.
const PAUSES: usize = 20;
/// Datagrams by which the memory of one is weighed.
const WEIGHED: u64 = 64;

/// Everything that a figure needs.
pub(crate) struct Stage<'a> {
    pub(crate) site: &'a Site,
    pub(crate) interrupted: &'a AtomicBool,
    /// The CPU that sends; the same for everybody.
    pub(crate) cpu: Option<usize>,
    /// Everything shorter, to see that it works.
    pub(crate) quick: bool,
    pub(crate) round: u32,
    pub(crate) samples: Vec<Sample>,
    /// Bytes of kernel memory that a waiting datagram takes.
    weight: u64,
}

/// What a load does to a subject.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shot {
    pub(crate) sent: Outcome,
    /// Datagrams that the subject says it received.
    pub(crate) received: u64,
    /// What its processes used.
    pub(crate) used: Usage,
    /// Datagrams that waited in its sockets when the load ended.
    pub(crate) waiting: u64,
}

impl Shot {
    /// CPU of a datagram in nanoseconds; None where none arrived.
    pub(crate) fn cpu_ns(&self) -> Option<f64> {
        (self.received > 0).then(|| self.used.cpu_ns as f64 / self.received as f64)
    }

    /// What was lost, in parts of 1.
    pub(crate) fn lost(&self) -> f64 {
        self.sent.sent.saturating_sub(self.received) as f64 / self.sent.sent.max(1) as f64
    }
}

impl<'a> Stage<'a> {
    pub(crate) fn new(site: &'a Site, interrupted: &'a AtomicBool) -> Result<Stage<'a>, Trouble> {
        let (cpu, quick, round, samples) = (None, false, 0, Vec::new());
        Ok(Stage { site, interrupted, cpu, quick, round, samples, weight: weigh()? })
    }

    /// Starts a subject, unless the run was interrupted.
    pub(crate) fn start(&self, entry: Entry) -> Result<Box<dyn Subject>, Trouble> {
        self.go_on()?;
        entry.start(self.site)
    }

    pub(crate) fn go_on(&self) -> Result<(), Trouble> {
        if self.interrupted.load(Ordering::Relaxed) { Err(Trouble::Interrupted) } else { Ok(()) }
    }

    /// A length of time: a third of it in a quick run.
    pub(crate) fn time(&self, full: Duration) -> Duration {
        if self.quick { full / 3 } else { full }
    }

    pub(crate) fn note(&mut self, figure: Figure, subject: &str, x: u64, value: f64) {
        self.samples.push(Sample { figure, subject: subject.into(), x, round: self.round, value });
    }

    /// The usual load: 64 senders, one meter in each datagram.
    pub(crate) fn plan(&self, subject: &dyn Subject, rate: f64, time: Duration) -> Plan {
        let (speed, amount) = (Speed::paced(rate), Amount::For(time));
        Plan { speed, amount, cpu: self.cpu, ..usual(subject.address()) }
    }

    /// Sends as planned, waits until nothing waits and nobody works any more, and asks what came of it.
    pub(crate) fn fire(&self, subject: &mut dyn Subject, plan: &Plan) -> Result<Shot, Trouble> {
        self.go_on()?;
        let (pids, received) = (subject.pids(), subject.received()?);
        self.rest(&pids);
        let used = process::usage(&pids);
        let sent = udp_load::run(plan, self.interrupted)?;
        let waiting = port::queue(subject.address())?.bytes / self.weight;
        self.drain(subject, &pids)?;
        let used = process::usage(&pids).since(used);
        let received = subject.received()?.saturating_sub(received);
        self.go_on()?;
        if sent.refused > 0 {
            let what =
                format!("nobody received at {}: {} sends were refused", subject.address(), sent.refused);
            return Err(Trouble::broken(what, "a receiver has ended under the load"));
        }
        Ok(Shot { sent, received, used, waiting })
    }

    /// Lets a subject warm up: what it compiles, allocates and learns under load is not what is measured.
    pub(crate) fn warm_up(&self, subject: &mut dyn Subject) -> Result<(), Trouble> {
        let plan = self.plan(subject, 20_000.0, self.time(Duration::from_millis(400)));
        self.fire(subject, &plan).map(|_| ())
    }

    fn drain(&self, subject: &dyn Subject, pids: &[i32]) -> Result<(), Trouble> {
        wait_for("the queue is empty", || Ok((port::queue(subject.address())?.bytes == 0).then_some(())))?;
        self.rest(pids);
        Ok(())
    }

    /// Waits until they use hardly any CPU.
    fn rest(&self, pids: &[i32]) {
        let mut before = process::usage(pids);
        for _ in 0..PAUSES {
            thread::sleep(PAUSE);
            let now = process::usage(pids);
            if u128::from(now.since(before).cpu_ns) < REST.as_nanos() {
                return;
            }
            before = now;
        }
    }
}

/// The usual load to an address, but for its pace and its time.
pub(crate) fn usual(address: std::net::SocketAddr) -> Plan {
    let payload = Payload::Meters { meters: 1, numbered: false };
    Plan { senders: 64, processors: 64, row: ROW, way: Way::Segments, payload, ..Plan::new(address) }
}

/// Kernel memory that a waiting datagram of the usual load takes, in bytes.
fn weigh() -> Result<u64, Trouble> {
    let address = port::free()?;
    let _socket = UdpSocket::bind(address).map_err(cannot(format_args!("bind UDP {address}")))?;
    let plan = Plan { amount: Amount::Count(WEIGHED), speed: Speed::FlatOut, ..usual(address) };
    udp_load::run(&plan, &AtomicBool::new(false))?;
    Ok((port::queue(address)?.bytes / WEIGHED).max(1))
}
