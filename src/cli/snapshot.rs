//! What a supervisor says of itself, completed by what was lent with it: counters, levels, and /proc.
//!
//! Nothing here asks a worker: one that hangs is shown as well as any other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use sys::map::ReadOnly;
use table::counters::{self, Counter, Counters, REASON_NAMES, REASONS, page::PAGE_BYTES};

use super::client::{Client, Reply};
use super::error::Error;
use super::process::Usage;
use crate::owners;
use crate::wire::{Counts, Described, List, Segment, Stranger, View};

/// The most bytes of a configuration that are read: one of a file of 1 MiB, as JSON.
const MAX_CONFIG: usize = 8 << 20;

/// A lent segment, as words.
pub(super) struct Lent(ReadOnly);

impl table::Words for Lent {
    fn load(&self, word: usize) -> u64 {
        if word < self.0.len() { self.0.load(word) } else { 0 }
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// A view, and what was lent with it.
pub(super) struct Snapshot {
    /// What the supervisor knows.
    pub(super) view: View,
    fds: Vec<OwnedFd>,
}

impl Snapshot {
    /// Asks for one.
    pub(super) fn take(client: &Client, patience: Duration) -> Result<Snapshot, Error> {
        let Reply { answer, fds } = client.ask("view", patience)?;
        Snapshot::of(client, "view", answer.view, fds)
    }

    /// Asks for one that brings the configuration in force in place of the meter table, and for what is kept.
    pub(super) fn described(client: &Client, patience: Duration) -> Result<(Snapshot, Described), Error> {
        let Reply { answer, fds } = client.ask("describe", patience)?;
        let snapshot = Snapshot::of(client, "describe", answer.view, fds)?;
        let nothing = || client.garbage("describe", "there is no description in it");
        Ok((snapshot, *answer.described.ok_or_else(nothing)?))
    }

    fn of(
        client: &Client,
        verb: &str,
        view: Option<Box<View>>,
        fds: Vec<OwnedFd>,
    ) -> Result<Snapshot, Error> {
        let view = view.ok_or_else(|| client.garbage(verb, "there is no view in it"))?;
        if fds.len() != view.segments.len() {
            let why = format!("it names {} descriptors and brought {}", view.segments.len(), fds.len());
            return Err(client.garbage(verb, why));
        }
        Ok(Snapshot { view: *view, fds })
    }

    /// The configuration in force, where it was brought.
    pub(super) fn config(&self) -> Option<serde_json::Value> {
        let (_, fd) = self.segments().find(|(segment, _)| segment.name == contract::CONFIG)?;
        serde_json::from_slice(&sys::map::read_all(fd.as_fd(), MAX_CONFIG).ok()?).ok()
    }

    /// `list` as it is told to the world: with counters, memory, CPU and strangers.
    pub(super) fn list(&self) -> List {
        let mut list = self.view.list.clone();
        fill_counts(&mut list, &self.counters());
        for worker in &mut list.workers {
            let usage = worker.pid.map(Usage::of).unwrap_or_default();
            (worker.memory_bytes, worker.cpu_percent) = (usage.memory_bytes, usage.cpu_percent);
        }
        for role in &mut list.roles {
            let usage = role.pid.map(Usage::of).unwrap_or_default();
            (role.memory_bytes, role.cpu_percent) = (usage.memory_bytes, usage.cpu_percent);
        }
        let listen: Vec<SocketAddr> =
            list.cluster.listen.iter().filter_map(|text| text.parse().ok()).collect();
        list.cluster.strangers =
            owners::strangers(list.cluster.pid, &listen).into_iter().map(stranger).collect();
        list
    }

    /// The meter table.
    pub(super) fn table(&self, client: &Client) -> Result<table::Reader<Lent>, Error> {
        let unusable = |why: String| client.garbage("view", format!("the meter table cannot be read: {why}"));
        let (_, fd) = self
            .segments()
            .find(|(segment, _)| segment.name == "table")
            .ok_or_else(|| unusable("none was lent".into()))?;
        let words = ReadOnly::new(fd.as_fd(), table::BYTES).map_err(|error| unusable(error.to_string()))?;
        table::Reader::new(Lent(words)).map_err(|error| unusable(error.to_string()))
    }

    fn segments(&self) -> impl Iterator<Item = (&Segment, &OwnedFd)> {
        self.view.segments.iter().zip(&self.fds)
    }

    /// What each ring counted, by slot; None for a ring that cannot be read.
    fn counters(&self) -> BTreeMap<u8, Option<Counters>> {
        let rings = self.segments().filter(|(segment, _)| segment.name == "ring");
        rings.filter_map(|(segment, fd)| Some((segment.slot?, read_ring(segment, fd)))).collect()
    }
}

fn read_ring(segment: &Segment, fd: &OwnedFd) -> Option<Counters> {
    let words = Lent(ReadOnly::new(fd.as_fd(), PAGE_BYTES).ok()?);
    counters::check(&words, usize::try_from(segment.bytes).ok()?).ok()?;
    Some(counters::read(&words)?.1)
}

/// Writes into `list` what the slots counted. Sums are over every ring, those of retired slots too; without one
/// figure there is no sum. `dropped` is the supervisor's and stays.
pub(super) fn fill_counts(list: &mut List, rings: &BTreeMap<u8, Option<Counters>>) {
    for worker in &mut list.workers {
        let counted = rings.get(&worker.id).copied().flatten();
        worker.counts = Counts { dropped: worker.counts.dropped, ..counts(counted) };
        worker.malformed_by_reason = counted.as_ref().map(by_reason);
    }
    let without_ring = list.workers.iter().any(|worker| !rings.contains_key(&worker.id));
    let sum: Option<Counters> = rings.values().copied().sum();
    let totals = counts(sum.filter(|_| !without_ring));
    list.cluster.totals = Counts { dropped: list.cluster.totals.dropped, ..totals };
}

fn counts(counters: Option<Counters>) -> Counts {
    let get = |counter| counters.map(|counters| counters.get(counter));
    Counts {
        datagrams: get(Counter::Datagrams),
        bytes: get(Counter::Bytes),
        meter: get(Counter::Meter),
        keepalive: get(Counter::KeepAlive),
        other: get(Counter::Other),
        malformed: get(Counter::Malformed),
        unknown_sender: get(Counter::UnknownSender),
        quarantined: get(Counter::Quarantined),
        readings: get(Counter::Readings),
        dropped: None,
    }
}

/// The reasons that have a name, and those that a newer worker counted.
fn by_reason(counters: &Counters) -> BTreeMap<String, u64> {
    let named = |reason: usize| {
        REASON_NAMES.get(reason).map_or_else(|| format!("reason_{reason}"), |n| (*n).to_owned())
    };
    let all = (0..REASONS).map(|reason| (reason, counters.reason(reason)));
    all.filter(|(reason, count)| *reason < REASON_NAMES.len() || *count > 0)
        .map(|(r, count)| (named(r), count))
        .collect()
}

fn stranger(owner: owners::Owner) -> Stranger {
    Stranger { pid: owner.pid, name: owner.name, uid: owner.uid, inode: owner.inode }
}
