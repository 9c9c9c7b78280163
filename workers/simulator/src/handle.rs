//! A simulated processor in a thread of the same process: for tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use contract::Failure;
use mio::{Token, Waker};

use crate::fault::Kind;
use crate::ledger::Stats;
use crate::plan::Plan;
use crate::processor::Event;
use crate::server::{Order, Runner, Server};

/// Token of the waker.
const WAKER: Token = Token(usize::MAX - 1);
/// The most orders that wait.
const ORDERS: usize = 64;
/// How long an answer may take before the thread is taken for dead.
const PATIENCE: Duration = Duration::from_secs(30);

/// A simulated processor that runs until this is dropped.
pub struct Simulator {
    tcp: SocketAddr,
    orders: SyncSender<Order>,
    leave: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts one; it is reachable when this returns.
    ///
    /// # Errors
    /// When an address cannot be bound, the recording cannot be read, or no thread can be made.
    pub fn start(plan: &Plan) -> Result<Simulator, Failure> {
        let mut runner = Runner::new(plan, Box::new(|_| {}))?;
        let waker =
            Waker::new(runner.registry(), WAKER).map_err(|e| Failure::of("cannot make a waker", &e))?;
        let (orders, taken) = sync_channel(ORDERS);
        runner.take_orders(taken);
        let tcp = runner.server().tcp_address();
        let leave = Arc::new(AtomicBool::new(false));
        let left = Arc::clone(&leave);
        let run = move || while !left.load(Ordering::Acquire) && runner.turn(None).is_ok() {};
        let thread = std::thread::Builder::new().name(format!("simulator {tcp}")).spawn(run);
        let thread = thread.map_err(|e| Failure::of("cannot make a thread", &e))?;
        Ok(Simulator { tcp, orders, leave, waker, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn tcp_address(&self) -> SocketAddr {
        self.tcp
    }

    /// What happened so far.
    ///
    /// # Panics
    /// When its thread is dead; so do the others.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.ask(|server| server.stats())
    }

    /// Brings a fault about; it is there when this returns. Without a duration it lasts until [`heal`](Simulator::heal).
    pub fn fault(&self, kind: Kind, lasts: Option<Duration>) {
        self.ask(move |server| server.tell(Event::Fault { kind, lasts }));
    }

    /// Ends every fault.
    pub fn heal(&self) {
        self.ask(|server| server.tell(Event::Heal));
    }

    /// Gives a parameter that holds text another one, as somebody at the processor does; tells whether it took it.
    pub fn rename(&self, param: &str, text: &str) -> bool {
        let (param, text) = (param.to_owned(), text.to_owned());
        self.ask(move |server| server.rename(&param, &text))
    }

    /// Has something done in its thread and waits for the answer.
    fn ask<T: Send + 'static>(&self, what: impl FnOnce(&mut Server) -> T + Send + 'static) -> T {
        let (to, answer) = sync_channel(1);
        let order: Order = Box::new(move |server| {
            // Whoever asked waits; if not, nobody misses the answer.
            let _ = to.try_send(what(server));
        });
        self.orders.send(order).expect("the simulator's thread lives");
        self.waker.wake().expect("a thread that lives can be woken");
        answer.recv_timeout(PATIENCE).expect("the simulator's thread answers")
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.leave.store(true, Ordering::Release);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
