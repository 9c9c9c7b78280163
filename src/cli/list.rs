//! `list`: the workers at a glance.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::client::{Client, PATIENCE};
use super::error::Error;
use super::json;
use super::list_text::{Rates, draw, quarantine};
use super::snapshot::Snapshot;
use super::terminal::{Look, print};
use super::watch::{Picture, watch};
use crate::wire::List;

/// Shows them once, or again and again.
pub(super) fn run(client: &Client, as_json: bool, again: bool) -> Result<(), Error> {
    if again {
        let mut picture = Watched { dir: client.dir(), as_json, list: None, before: None };
        return watch(client, &mut picture, !as_json, if as_json { "" } else { "\n" });
    }
    let list = Snapshot::take(client, PATIENCE)?.list();
    let look = Look::now();
    print(&if as_json {
        json::whole(&list)
    } else {
        draw(&list, None, Timestamp::now(), &look) + &quarantine(&list, client.dir(), &look)
    })
}

/// The newest list and the one before it, for the rates.
struct Watched<'a> {
    dir: &'a Path,
    as_json: bool,
    list: Option<(Instant, List)>,
    before: Option<(Instant, List)>,
}

impl Picture for Watched<'_> {
    const FRAMES: Option<Duration> = None;

    fn look_at(&mut self, snapshot: Snapshot) -> Result<(), Error> {
        self.before = self.list.take();
        self.list = Some((Instant::now(), snapshot.list()));
        Ok(())
    }

    fn draw(&mut self, look: &Look) -> Result<String, Error> {
        let Some((at, list)) = &self.list else { return Ok(String::new()) };
        if self.as_json {
            return Ok(json::line(list));
        }
        let before = self.before.as_ref().map(|(before, list)| (at.duration_since(*before), list));
        let rates = before.map_or_else(Rates::new, |(elapsed, before)| rates(before, list, elapsed));
        Ok(draw(list, Some(&rates), Timestamp::now(), look) + &quarantine(list, self.dir, look))
    }
}

/// Datagrams a second, by slot, where both lists count them.
pub(super) fn rates(before: &List, now: &List, elapsed: Duration) -> Rates {
    let counted = |list: &List| -> BTreeMap<u8, u64> {
        list.workers.iter().filter_map(|worker| Some((worker.id, worker.counts.datagrams?))).collect()
    };
    let before = counted(before);
    let seconds = elapsed.as_secs_f64().max(1e-3);
    let rate = |(id, now): (u8, u64)| Some((id, now.saturating_sub(*before.get(&id)?) as f64 / seconds));
    counted(now).into_iter().filter_map(rate).collect()
}
