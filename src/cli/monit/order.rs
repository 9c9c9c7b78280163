//! What can be ordered from the screen: how it is asked and given. Each is what the command of that name does.

use std::slice;

use contract::counted;

use crate::amount::Scale;
use crate::cli::client::{Client, PATIENCE};
use crate::cli::error::Error;
use crate::cli::orders;
use crate::cli::progress::Wait;
use crate::cli::text::{clean, clean_lines};
use crate::exit::DONE;
use crate::wire::List;

/// Why an order is not given to a cluster that it was not asked about.
pub(super) const ANOTHER: &str = "another cluster is there now";

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Every worker is replaced by one of the configuration on disk.
    Reload,
    /// A worker, by its number, or a role, by its name.
    Restart(String),
    /// More or fewer workers.
    Scale(Scale),
}

/// What is told to the user: what came of an order, or why nothing did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Nothing is wrong.
    pub(super) well: bool,
    /// What it is.
    pub(super) line: String,
    /// The way out, where something is wrong.
    pub(super) hint: Option<String>,
}

impl Told {
    /// All is well.
    pub(super) fn well(line: impl Into<String>) -> Told {
        Told { well: true, line: line.into(), hint: None }
    }

    /// Something is not.
    pub(super) fn wrong(line: impl Into<String>, hint: Option<String>) -> Told {
        Told { well: false, line: line.into(), hint }
    }

    /// An error.
    pub(super) fn error(error: &Error) -> Told {
        Told::wrong(one_line(&error.to_string()), error.hint().map(|hint| one_line(&hint)))
    }
}

impl Order {
    /// As a command is written.
    pub(super) fn name(&self) -> String {
        match self {
            Order::Reload => "reload".into(),
            Order::Restart(id) => format!("restart {}", clean(id)),
            Order::Scale(amount) => format!("scale {amount}"),
        }
    }

    /// What is asked before.
    pub(super) fn question(&self, list: &List) -> String {
        match self {
            Order::Reload => "reload: read the configuration, replace every worker?".into(),
            Order::Restart(id) => format!("restart {}: stop it and start it, at once?", seat(id)),
            Order::Scale(amount) => {
                let change = match *amount {
                    Scale::To(number) => counted(number.into(), "worker"),
                    Scale::Up(number) => counted(number.into(), "more worker"),
                    Scale::Down(number) => format!("{} fewer", counted(number.into(), "worker")),
                };
                format!("scale: {change}? {} now", counted(list.cluster.workers_wanted.into(), "worker"))
            }
        }
    }

    /// What is waited for once it is given.
    pub(super) fn wait(&self) -> Wait {
        match self {
            Order::Reload => Wait::Reload,
            Order::Restart(id) => Wait::Restart(vec![id.clone()]),
            Order::Scale(_) => Wait::Scale,
        }
    }

    /// Whom it would meet, where it is for one alone.
    pub(super) fn whom(&self) -> Option<&str> {
        match self {
            Order::Restart(id) => Some(id),
            Order::Reload | Order::Scale(_) => None,
        }
    }

    /// What is told where it is not given after all.
    pub(super) fn not_done(&self, why: &str) -> Told {
        Told::wrong(format!("not done: {}: {why}", self.name()), None)
    }

    /// Gives it to the cluster of this supervisor, if it is still the one that is there, and waits until it is over.
    pub(super) fn give(&self, client: &Client, pid: u32) -> Told {
        // One that does not answer is told of by the order itself.
        let there = client.ask("ping", PATIENCE).ok().and_then(|reply| reply.answer.pid);
        if there.is_some_and(|there| there != pid) {
            return self.not_done(ANOTHER);
        }
        let done = match self {
            Order::Reload => orders::reload(client, "reload").and_then(|reloaded| reloaded.told("reload")),
            Order::Restart(id) => orders::restart(client, slice::from_ref(id)).map(|line| (DONE, line)),
            Order::Scale(amount) => orders::scale(client, *amount).map(|line| (DONE, line)),
        };
        match done {
            Ok((DONE, line)) => Told::well(line),
            Ok((_, line)) => Told::wrong(one_line(&line), None),
            Err(error) => Told::error(&error),
        }
    }
}

/// What is said in several lines elsewhere is one here.
fn one_line(text: &str) -> String {
    clean_lines(text).replace('\n', " ")
}

/// `worker 2`, `link`.
pub(super) fn seat(id: &str) -> String {
    if id.bytes().all(|byte| byte.is_ascii_digit()) { format!("worker {id}") } else { clean(id) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fake::{Fake, Say};
    use crate::wire::Answer;

    #[test]
    fn an_order_is_given_to_the_cluster_that_it_was_asked_about_alone() {
        let fake = Fake::new(|request| match request.verb.as_str() {
            "ping" => Say::answer(Answer { pid: Some(7), ..Answer::default() }),
            _ => Say::answer(Answer::default()),
        });
        let given = |pid| Order::Restart("2".into()).give(&Client::new(fake.dir()), pid);
        assert_eq!(given(7), Told::well("restart done: worker 2"));
        assert_eq!(given(8), Told::wrong("not done: restart 2: another cluster is there now", None));
    }
}
