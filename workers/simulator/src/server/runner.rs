//! The loop around a server: waits for its sockets, its control socket, and orders of the same process.

use std::net::TcpListener;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use contract::Failure;
use mio::{Events, Poll, Token};

use super::control::Control;
use super::{Server, Tell};
use crate::plan::Plan;

/// The most orders that are taken before sockets have their turn.
const ORDERS: usize = 64;

/// What another thread wants done.
pub type Order = Box<dyn FnOnce(&mut Server) + Send>;

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
        Runner::on(plan, None, tell)
    }

    /// As [`Runner::new`], with a socket that listens already, in place of one at the plan's address and TCP port.
    ///
    /// # Errors
    /// As there.
    pub fn on(plan: &Plan, listener: Option<TcpListener>, tell: Tell) -> Result<Runner, Failure> {
        let poll = Poll::new().map_err(|e| Failure::of("cannot make a poll", &e))?;
        let cloned = || poll.registry().try_clone();
        let registry = cloned().map_err(|e| Failure::of("cannot share a poll", &e))?;
        let server = Server::new(plan, listener, registry, tell)?;
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
            order(&mut self.server);
        }
        self.server.work();
        Ok(&self.others)
    }
}
