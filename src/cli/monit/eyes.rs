//! What speaks with the world for the screen, each in a thread of its own: it looks at the cluster and its log once a
//! second, reads the keyboard, gives an order and waits until it is over.

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use contract::logs::FOLDER;
use crossbeam_channel::Sender;
use jiff::Timestamp;
use ratatui::crossterm::event::{self, Event, KeyEvent};

use super::model::LINES_KEPT;
use super::order::{Order, Told};
use super::torn;
use crate::cli::client::Client;
use crate::cli::error::Error;
use crate::cli::log_files::Filter;
use crate::cli::log_follow::{Follower, More};
use crate::cli::logs::short;
use crate::cli::snapshot::Snapshot;
use crate::wire::List;

/// What is seen.
pub(super) enum News {
    /// The cluster, the list of it, and when that was.
    Seen(Box<Snapshot>, Box<List>, Timestamp),
    /// The cluster was not.
    Missed(Told),
    /// Log lines that have come; None while they go to no file.
    Lines(Option<Vec<String>>),
    /// A key.
    Key(KeyEvent),
    /// Something that changes what the screen shows.
    Redraw,
    /// What came of an order.
    Answered(Told),
    /// A signal says that this is to end.
    End,
    /// A signal says that this is to stop for a while.
    Suspend,
    /// This goes on, and somebody else may have used the terminal.
    Continue,
}

/// Looks at the cluster and at its log.
pub(super) struct Eyes {
    give: Sender<News>,
    folder: PathBuf,
    follower: Option<Follower>,
}

impl Eyes {
    /// Of the cluster of `client`.
    pub(super) fn new(client: &Client, give: Sender<News>) -> Eyes {
        Eyes { give, folder: client.dir().join(FOLDER), follower: None }
    }

    /// Tells what was seen; whether anybody wants to hear more.
    pub(super) fn look(&mut self, seen: Result<Snapshot, Error>) -> bool {
        let cluster = match seen {
            Err(error) => News::Missed(Told::error(&error)),
            Ok(snapshot) => {
                let list = Box::new(snapshot.list());
                // Files of an earlier start say nothing of a cluster that logs elsewhere.
                if !list.roles.iter().any(|role| role.name == "logger") {
                    self.follower = None;
                    if self.give.send(News::Lines(None)).is_err() {
                        return false;
                    }
                } else if self.follower.is_none() && !self.open() {
                    return false;
                }
                News::Seen(Box::new(snapshot), list, Timestamp::now())
            }
        };
        self.read_on() && self.give.send(cluster).is_ok()
    }

    /// Tells what log lines have come.
    fn read_on(&mut self) -> bool {
        while let Some(follower) = &mut self.follower {
            match follower.more(&Filter::default()) {
                Ok(More { mut lines, missed, again }) => {
                    lines.extend(missed);
                    if !self.tell(&lines) {
                        return false;
                    }
                    if !again {
                        return true;
                    }
                }
                Err(error) => {
                    self.follower = None;
                    return self.complain(&error);
                }
            }
        }
        true
    }

    /// Begins with the last lines.
    fn open(&mut self) -> bool {
        let begun = Follower::at_the_end(&self.folder).and_then(|follower| {
            let last = follower.last(&Filter::default(), LINES_KEPT)?.lines;
            Ok((follower, last))
        });
        match begun {
            Ok((follower, last)) => {
                self.follower = Some(follower);
                self.give.send(News::Lines(None)).is_ok() && self.tell(&Vec::from(last))
            }
            Err(error) => self.complain(&error),
        }
    }

    fn tell(&self, lines: &[String]) -> bool {
        self.give.send(News::Lines(Some(lines.iter().map(|line| short(line)).collect()))).is_ok()
    }

    fn complain(&self, error: &io::Error) -> bool {
        let line = format!("cannot read the log files in {}: {error}", self.folder.display());
        // In place of what there was: it may be said again and again.
        [None, Some(vec![line])].into_iter().all(|lines| self.give.send(News::Lines(lines)).is_ok())
    }
}

/// Tells each key that is pressed, and each change of the terminal's size.
pub(super) fn watch_keyboard(give: Sender<News>) -> io::Result<()> {
    let read = move || {
        let next = |within: Option<Duration>| match within {
            Some(within) if !event::poll(within)? => Ok(None),
            Some(_) | None => event::read().map(Some),
        };
        // After an error there is no keyboard any more; whoever draws will see the same.
        while let Ok(events) = torn::read(next) {
            for event in events {
                let news = match event {
                    Event::Key(key) => News::Key(key),
                    _ => News::Redraw,
                };
                if give.send(news).is_err() {
                    return;
                }
            }
        }
    };
    thread::Builder::new().name("keyboard".into()).spawn(read).map(drop)
}

/// Gives an order to the cluster of this supervisor, and tells what came of it.
pub(super) fn give_order(client: Client, order: Order, pid: u32, give: Sender<News>) -> io::Result<()> {
    let carry_out = move || {
        let told = order.give(&client, pid);
        // Where nobody listens any more, the screen is closed.
        let _ = give.send(News::Answered(told));
    };
    thread::Builder::new().name("order".into()).spawn(carry_out).map(drop)
}
