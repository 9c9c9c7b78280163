//! The loop around a server: waits for its sockets, its control socket, and orders of the same process.

use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use contract::Failure;
use mio::{Events, Poll, Token};

use super::control::Control;
use super::{Server, Tell};
use crate::fault::Kind;
use crate::ledger::Stats;
use crate::plan::Plan;
use crate::processor::Event;

/// The most orders that are taken before sockets have their turn.
const ORDERS: usize = 64;

/// What another thread may want.
#[derive(Debug)]
pub enum Order {
    /// The counts.
    Stats(SyncSender<Stats>),
    /// A fault now; without a duration until it is healed.
    Fault(Kind, Option<Duration>),
    /// All faults to end.
    Heal,
    /// A parameter renamed.
    Rename(String, String),
}

/// A server and what it waits for.
pub struct Runner {
    poll: Poll,
    events: Events,
    server: Server,
    control: Option<Control>,
    orders: Option<Receiver<Order>>,
    /// Tokens of the last turn that are the caller's.
    others: Vec<Token>,
}

impl Runner {
    /// Opens the sockets of a plan.
    ///
    /// # Errors
    /// When one cannot be bound, or the recording cannot be read.
    pub fn new(plan: &Plan, tell: Tell) -> Result<Runner, Failure> {
        let poll = Poll::new().map_err(|e| Failure::of("cannot make a poll", &e))?;
        let cloned = || poll.registry().try_clone();
        let registry = cloned().map_err(|e| Failure::of("cannot share a poll", &e))?;
        let server = Server::new(plan, registry, tell)?;
        let control = plan.control.as_deref().map(|path| Control::new(path, poll.registry())).transpose()?;
        let events = Events::with_capacity(256);
        Ok(Runner { poll, events, server, control, orders: None, others: Vec::new() })
    }

    /// Where the caller registers what is his, under tokens from `usize::MAX - 16` on.
    #[must_use]
    pub fn registry(&self) -> &mio::Registry {
        self.poll.registry()
    }

    /// Takes orders from there; whoever sends one wakes the poll.
    pub fn take_orders(&mut self, orders: Receiver<Order>) {
        self.orders = Some(orders);
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Waits for something to happen, no longer than `limit`, and does what follows. Answers whose tokens were not its
    /// own.
    ///
    /// # Errors
    /// When the poll fails.
    pub fn turn(&mut self, limit: Option<Duration>) -> Result<&[Token], Failure> {
        let wait = [self.server.wait(), limit].into_iter().flatten().min();
        match self.poll.poll(&mut self.events, wait) {
            Err(e) if e.kind() != std::io::ErrorKind::Interrupted => {
                return Err(Failure::of("cannot wait", &e));
            }
            Ok(()) | Err(_) => {}
        }
        self.others.clear();
        for event in &self.events {
            let control = self.control.as_mut().is_some_and(|control| control.note(event));
            if !control && !self.server.note(event) {
                self.others.push(event.token());
            }
        }
        if let Some(control) = &mut self.control {
            control.work(self.poll.registry(), &mut self.server);
        }
        for _ in 0..ORDERS {
            let Some(order) = self.orders.as_ref().and_then(|orders| orders.try_recv().ok()) else { break };
            self.obey(order);
        }
        self.server.work();
        Ok(&self.others)
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Stats(to) => {
                // Whoever asked may have left.
                let _ = to.try_send(self.server.stats());
            }
            Order::Fault(kind, lasts) => self.server.tell(Event::Fault { kind, lasts }),
            Order::Heal => self.server.tell(Event::Heal),
            Order::Rename(param, text) => {
                self.server.rename(&param, &text);
            }
        }
    }
}
