//! How many datagrams a second each worker took lately: what the sparklines show.

use std::collections::{BTreeMap, VecDeque};

use crate::cli::list_text::Rates;
use crate::wire::List;

/// How many seconds are remembered: more than a terminal is wide would be for nobody.
pub(super) const REMEMBERED: usize = 300;

/// The last rates of each worker, the newest last.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<u8, VecDeque<Option<u64>>>);

impl History {
    /// A second more: for each worker of `list` its rate, or that it is not known. Who is gone is forgotten.
    pub(super) fn push(&mut self, list: &List, rates: &Rates) {
        self.0.retain(|id, _| list.workers.iter().any(|worker| worker.id == *id));
        for worker in &list.workers {
            let rates_of_it = self.0.entry(worker.id).or_default();
            if rates_of_it.len() == REMEMBERED {
                rates_of_it.pop_front();
            }
            rates_of_it.push_back(rates.get(&worker.id).map(|rate| rate.round() as u64));
        }
    }

    /// The newest rates of a worker, at most `most`, the newest last; None where it was not known.
    pub(super) fn last(&self, id: u8, most: usize) -> Vec<Option<u64>> {
        let Some(rates) = self.0.get(&id) else { return Vec::new() };
        rates.iter().skip(rates.len().saturating_sub(most)).copied().collect()
    }
}
