//! `meters`: the levels of every processor, read from the table itself.

pub(super) mod draw;
pub(super) mod shape;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use super::client::{Client, PATIENCE};
use super::error::Error;
use super::json;
use super::process::boot_micros;
use super::snapshot::{Lent, Snapshot};
use super::terminal::{Look, print};
use super::watch::{Picture, watch};
use crate::wire::View;
use shape::{Meters, Said};

/// Shows them once, or again and again.
pub(super) fn run(client: &Client, as_json: bool, again: bool) -> Result<(), Error> {
    if again {
        let mut picture = Watched { client, as_json, seen: None };
        return watch(client, &mut picture, !as_json, if as_json { "" } else { "\n" });
    }
    let seen = Seen::new(client, &Snapshot::take(client, PATIENCE)?)?;
    let look = Look::now();
    print(&if as_json { json::whole(&seen.meters()) } else { draw::listing(&seen.meters(), &look) })
}

/// Each processor that is known, with the state of its connection.
pub(super) fn connections(client: &Client) -> Result<Vec<(IpAddr, &'static str)>, Error> {
    let meters = Seen::new(client, &Snapshot::take(client, PATIENCE)?)?.meters();
    Ok(meters.processors.iter().map(|processor| (processor.address, processor.connection)).collect())
}

/// A table, and what the supervisor said of its processors.
pub(super) struct Seen {
    view: View,
    table: table::Reader<Lent>,
}

impl Seen {
    /// Those of a snapshot.
    pub(super) fn new(client: &Client, snapshot: &Snapshot) -> Result<Seen, Error> {
        Ok(Seen { table: snapshot.table(client)?, view: snapshot.view.clone() })
    }

    /// What the table says now.
    pub(super) fn meters(&self) -> Meters {
        let View { list, processors, accepts_unknown, stale_after_ms, .. } = &self.view;
        let said = Said {
            configured: processors,
            accepts_unknown: *accepts_unknown,
            link_runs: list.roles.iter().any(|role| role.name == "link" && role.pid.is_some()),
            stale_after_ms: *stale_after_ms,
        };
        Meters::read(&said, &self.table, boot_micros())
    }
}

struct Watched<'a> {
    client: &'a Client,
    as_json: bool,
    seen: Option<Seen>,
}

impl Picture for Watched<'_> {
    const FRAMES: Option<Duration> = Some(Duration::from_millis(100));

    fn look_at(&mut self, snapshot: Snapshot) -> Result<(), Error> {
        self.seen = Some(Seen::new(self.client, &snapshot)?);
        Ok(())
    }

    fn draw(&mut self, look: &Look) -> Result<String, Error> {
        let Some(seen) = &self.seen else { return Ok(String::new()) };
        let meters = seen.meters();
        Ok(match (self.as_json, look.terminal) {
            (true, _) => json::line(&meters),
            (false, true) => draw::frame(&meters, look),
            (false, false) => draw::listing(&meters, look),
        })
    }
}
