//! `monit`: the whole cluster on one screen, live.
//!
//! ```text
//!   eyes (threads) ──news──▶ this loop ──events──▶ model ──▶ deeds: give an order, stop for a while, quit
//!                              └────── ten times a second ──▶ draw ──▶ tty
//! ```
//! Everything is read as the other commands read it; nothing that is looked at or ordered holds up the screen.

mod draw;
mod eyes;
mod keys;
mod layout;
mod model;
mod order;
mod rates;
mod torn;
mod tty;

#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, stdin};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::client::{Client, PATIENCE};
use super::error::Error;
use super::meters::Seen;
use super::snapshot::Snapshot;
use super::terminal::Look;
use super::watch::look_every_second;
use crate::colour::is_smart;
use crate::exit::FAILED;
use crate::wire::Trouble;
use eyes::{Eyes, News};
use model::{Deed, Event, Model};
use order::{Order, Told};
use tty::Tty;

/// How often meters are read and the screen is drawn.
const FRAME: Duration = Duration::from_millis(100);
/// News that wait while the screen is being drawn.
const NEWS: usize = 16;

/// Shows it until somebody has seen enough.
pub(super) fn run(client: &Client) -> Result<(), Error> {
    let look = Look::now();
    if !look.terminal || !stdin().is_terminal() {
        return Err(no_terminal());
    }
    // The first question is asked here: if there is no cluster, the screen is never touched.
    let first = Snapshot::take(client, PATIENCE)?;
    let (give, news) = bounded(NEWS);
    let mut eyes = Eyes::new(client, give.clone());
    eyes.look(Ok(first));
    let mut tty = Tty::enter(give.clone()).map_err(Error::Output)?;
    let began = Instant::now();
    let model = Model::new(look.colour, size(&look));
    let watched = look_every_second(client.clone(), move |seen| eyes.look(seen))
        .and_then(|()| eyes::watch_keyboard(give.clone()).map_err(Error::Output));
    watched?;
    let mut view = View { client, tty: &mut tty, model, seen: None, began, give };
    view.go_on(&news)
}

fn no_terminal() -> Error {
    let dumb = if is_smart() { "" } else { " (TERM=dumb is none)" };
    let message = format!("monit needs a terminal to draw on and to read keys from{dumb}");
    let hint =
        "for a pipe or a file there are `atlas-cluster list --watch` and `meters --watch`, both with --json";
    Error::Refused(Trouble { message, hint: Some(hint.into()), exit: FAILED })
}

fn size(look: &Look) -> (u16, u16) {
    let cells = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    (cells(look.columns), cells(look.rows))
}

/// The screen and all that stands behind it.
struct View<'a> {
    client: &'a Client,
    tty: &'a mut Tty,
    model: Model,
    /// The meter table, as long as the cluster is seen.
    seen: Option<Seen>,
    began: Instant,
    give: Sender<News>,
}

impl View<'_> {
    fn go_on(&mut self, news: &Receiver<News>) -> Result<(), Error> {
        let mut due = Instant::now();
        loop {
            let now = Instant::now();
            if due <= now {
                if !self.show()? {
                    return Ok(());
                }
                due = now + FRAME;
            }
            match news.recv_timeout(due.saturating_duration_since(now)) {
                Ok(News::End) => return Ok(()),
                Ok(news) => {
                    if matches!(news, News::Key(_) | News::Redraw | News::Answered(_)) {
                        due = now;
                    }
                    if self.take_up(news)? == Some(Deed::Quit) {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Draws; whether there is anything to draw on.
    fn show(&mut self) -> Result<bool, Error> {
        let look = Look::now();
        if !look.terminal {
            return Ok(false);
        }
        self.tell(Event::Size(size(&look).0, size(&look).1));
        self.tell(match &self.seen {
            Some(seen) => Event::Meters(seen.meters()),
            None => Event::Tick,
        });
        let model = &self.model;
        still_there(self.tty.draw(model.size, |frame| draw::draw(frame, model)))
    }

    fn tell(&mut self, event: Event) -> Option<Deed> {
        self.model.update(self.began.elapsed(), event)
    }

    /// Lets the model know, and does what follows; but for what ends all.
    fn take_up(&mut self, news: News) -> Result<Option<Deed>, Error> {
        let event = match news {
            News::Seen(snapshot, list, at) => {
                let seen = Seen::new(self.client, &snapshot);
                let blind = seen.as_ref().err().map(|error| Event::Blind(Told::error(error)));
                self.seen = seen.ok();
                blind.map(|event| self.tell(event));
                Event::Seen(list, at)
            }
            News::Missed(why) => {
                self.seen = None;
                Event::Missed(why)
            }
            News::Lines(lines) => Event::Lines(lines),
            News::Key(key) => {
                fault(key);
                Event::Key(key)
            }
            News::Answered(told) => Event::Answered(told),
            News::Redraw | News::End => Event::Tick,
            News::Suspend => return self.suspend(),
            News::Continue => return still_there(self.tty.again()).map(quit_unless),
        };
        match self.tell(event) {
            Some(Deed::Give(order)) => {
                self.order(order);
                Ok(None)
            }
            Some(Deed::Suspend) => self.suspend(),
            other => Ok(other),
        }
    }

    fn suspend(&mut self) -> Result<Option<Deed>, Error> {
        still_there(self.tty.suspend()).map(quit_unless)
    }

    fn order(&mut self, order: Order) {
        // It was asked of who was seen last.
        let Some(pid) = self.model.seen.as_ref().map(|(_, _, list)| list.cluster.pid) else {
            self.tell(Event::Answered(order.not_done("no cluster was seen yet")));
            return;
        };
        let given = eyes::give_order(self.client.clone(), order, pid, self.give.clone());
        if let Err(error) = given {
            self.tell(Event::Answered(Told::wrong(format!("cannot give the order: {error}"), None)));
        }
    }
}

/// Whether the terminal is still there: what fails when it has gone is no failure.
fn still_there(done: io::Result<()>) -> Result<bool, Error> {
    match done {
        Ok(()) => Ok(true),
        Err(_) if !Look::now().terminal => Ok(false),
        Err(error) => Err(Error::Output(error)),
    }
}

fn quit_unless(there: bool) -> Option<Deed> {
    (!there).then_some(Deed::Quit)
}

/// A fault on request: the variable is set, and `!` is pressed.
#[cfg(feature = "ledger")]
fn fault(key: ratatui::crossterm::event::KeyEvent) {
    use ratatui::crossterm::event::KeyCode;
    if key.code == KeyCode::Char('!') && std::env::var_os("ATLAS_CLUSTER_MONIT_PANIC").is_some() {
        panic!("a fault on request");
    }
}

#[cfg(not(feature = "ledger"))]
fn fault(_: ratatui::crossterm::event::KeyEvent) {}
