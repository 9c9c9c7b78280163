//! One connection's conversation: told its lines, it answers lines for TCP and datagrams for UDP. Pure.

pub mod answer;
mod request;

use std::collections::BTreeSet;

pub use atlas::lines::{Lines, MAX_LINE, TooLong};
pub use request::{Ask, Invalid, MAX_ID, MAX_PARAMS, Method, Request, Wrong};

use crate::ledger::{Ledger, Violation};
use crate::model::{Access, Change, Format, Model, Param, Refusal};

/// What goes out because of one line. At most [`MAX_PARAMS`] lines and twice as many datagrams.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Replies {
    /// Over TCP, without the end of the line.
    pub lines: Vec<String>,
    /// Over UDP.
    pub datagrams: Vec<String>,
    /// The same: what meters that were subscribed read now.
    pub levels: Vec<String>,
}

/// What a connection has subscribed to. All of it is gone when the connection is.
#[derive(Debug, Default)]
pub struct Session {
    subscriptions: BTreeSet<(Param, Format)>,
}

/// A parameter that was asked for in vain: the code and the words of the answer.
type Fault = (i32, String);

impl Session {
    /// One for each parameter and format: so never more than three times as many as there are parameters.
    #[must_use]
    pub fn subscriptions(&self) -> &BTreeSet<(Param, Format)> {
        &self.subscriptions
    }

    /// The formats in which a parameter is subscribed to.
    pub fn formats_of(&self, param: Param) -> impl Iterator<Item = Format> {
        let range = (param, Format::Val)..=(param, Format::Str);
        self.subscriptions.range(range).map(|(_, format)| *format)
    }

    /// Hears one line. Changes of values lie in [`Model::take_changes`] afterwards.
    pub fn handle(&mut self, line: &[u8], model: &mut Model, ledger: &mut Ledger) -> Replies {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Replies::default();
        }
        match Request::parse(line) {
            Ok(request) => {
                ledger.count(request.method);
                self.perform(&request, model, ledger)
            }
            Err(invalid) => refuse(&invalid, ledger),
        }
    }

    fn perform(&mut self, request: &Request, model: &mut Model, ledger: &mut Ledger) -> Replies {
        let mut faults: Vec<Fault> = Vec::new();
        let mut found = Vec::with_capacity(request.asks.len());
        for ask in &request.asks {
            match model.find(&ask.param) {
                Some(param) => found.push((param, ask)),
                None => {
                    ledger.not_found();
                    faults.push((answer::NOT_FOUND, format!("param '{}' could not be found", ask.param)));
                }
            }
        }
        let id = request.id.as_deref();
        let mut replies = match request.method {
            Method::Get => get(&found, model, id, faults.is_empty()),
            Method::Subscribe => self.subscribe(&found, model, ledger, id, &mut faults),
            Method::Unsubscribe => self.unsubscribe(&found, model, ledger),
            Method::Set => change(&found, Change::Replace, model, ledger, &mut faults),
            Method::Bump => change(&found, Change::Add, model, ledger, &mut faults),
        };
        let done = match request.method {
            Method::Get | Method::Subscribe => false,
            Method::Set | Method::Bump | Method::Unsubscribe => faults.is_empty(),
        };
        if let Some(id) = id {
            replies.lines.extend(done.then(|| answer::ok(id)));
            replies.lines.extend(faults.iter().map(|(code, message)| answer::error(*code, message, id)));
        }
        replies
    }

    fn subscribe(
        &mut self,
        found: &[(Param, &Ask)],
        model: &Model,
        ledger: &mut Ledger,
        id: Option<&str>,
        faults: &mut Vec<Fault>,
    ) -> Replies {
        let (mut told, mut metered) = (Vec::new(), Vec::new());
        for (param, ask) in found {
            if param.access() == Access::GetOnly {
                ledger.violation(Violation::BadValue);
                faults.push((answer::BAD_PARAMS, format!("param '{param}' cannot be subscribed to")));
                continue;
            }
            let format = ask.format.unwrap_or_else(|| model.usual_format(*param));
            if self.subscriptions.insert((*param, format)) {
                ledger.subscribed(*param, format);
            }
            let entry = model.entry(*param, format);
            if param.is_meter() {
                metered.push(answer::update(std::slice::from_ref(&entry)));
            }
            if id.is_some() || !param.is_meter() {
                told.push(entry);
            }
        }
        let line = match id {
            Some(_) if told.is_empty() && !faults.is_empty() => None,
            Some(id) => Some(answer::values(&told, id)),
            None if told.is_empty() => None,
            None => Some(answer::update(&told)),
        };
        Replies { lines: line.into_iter().collect(), datagrams: Vec::new(), levels: metered }
    }

    fn unsubscribe(&mut self, found: &[(Param, &Ask)], model: &Model, ledger: &mut Ledger) -> Replies {
        for (param, ask) in found {
            let format = ask.format.unwrap_or_else(|| model.usual_format(*param));
            if self.subscriptions.remove(&(*param, format)) {
                ledger.unsubscribed(*param, format);
            }
        }
        Replies::default()
    }
}

/// The values: of those that there are, where some are not. The keep-alive's goes by UDP too.
fn get(found: &[(Param, &Ask)], model: &Model, id: Option<&str>, complete: bool) -> Replies {
    let answer = |entries: &[String]| match id {
        Some(id) => answer::values(entries, id),
        None => answer::get_resp(entries),
    };
    let entry =
        |param: Param, ask: &Ask| model.entry(param, ask.format.unwrap_or_else(|| model.usual_format(param)));
    let entries: Vec<String> = found.iter().map(|(param, ask)| entry(*param, ask)).collect();
    let alive = found.iter().find(|(param, _)| *param == Param::KeepAlive);
    Replies {
        // Asked for nothing with an id, the answer is nothing; all in vain, the errors are.
        lines: if entries.is_empty() && (id.is_none() || !complete) {
            Vec::new()
        } else {
            vec![answer(&entries)]
        },
        datagrams: alive.map(|(param, ask)| answer(&[entry(*param, ask)])).into_iter().collect(),
        levels: Vec::new(),
    }
}

fn change(
    found: &[(Param, &Ask)],
    change: Change,
    model: &mut Model,
    ledger: &mut Ledger,
    faults: &mut Vec<Fault>,
) -> Replies {
    for (param, ask) in found {
        let done = match &ask.given {
            Some(given) => model.change(*param, change, given),
            None => Err(Refusal::BadValue),
        };
        let (violation, why) = match done {
            Ok(()) => continue,
            Err(Refusal::ReadOnly) => (Violation::ReadOnly, "is read only"),
            Err(Refusal::BadValue) => (Violation::BadValue, "was given no value that it can take"),
        };
        ledger.violation(violation);
        faults.push((answer::BAD_PARAMS, format!("param '{param}' {why}")));
    }
    Replies::default()
}

/// What cannot be read is answered only if it bears an id, as JSON-RPC has it; nobody knows what a real processor does.
fn refuse(invalid: &Invalid, ledger: &mut Ledger) -> Replies {
    let (violation, code, message) = match &invalid.wrong {
        Wrong::Json => (Violation::Json, answer::BAD_PARAMS, String::new()),
        Wrong::Shape => (Violation::Shape, answer::BAD_PARAMS, "there is no method".to_owned()),
        Wrong::Method(name) => {
            (Violation::Method, answer::UNKNOWN_METHOD, format!("method '{name}' could not be found"))
        }
        Wrong::Params => (Violation::Shape, answer::BAD_PARAMS, "params name no parameter".to_owned()),
    };
    ledger.violation(violation);
    let line = invalid.id.as_deref().map(|id| answer::error(code, &message, id));
    Replies { lines: line.into_iter().collect(), ..Replies::default() }
}

#[cfg(test)]
mod tests;
