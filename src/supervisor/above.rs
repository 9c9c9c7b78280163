//! The store above us: what must outlive even the supervisor lies with whoever started it, too (sd_notify(3),
//! FDSTORE=1): systemd, or an outer cluster.
//!
//! ```text
//! table             the meter table            worker3.seat   slot 3's segment     worker3.udp0   its first socket
//! memo0 or memo1    what no segment tells      role0.seat     a role's segment
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use contract::{Lent, Notify};
use serde::{Deserialize, Serialize};

use super::clock;
use crate::core::{Slot, Tick};
use crate::wire::{self, LastReload};

/// How long a store that has no room is left alone.
const RETRY: Duration = Duration::from_millis(5);
/// Orders that may wait: 64 slots on 16 addresses have 1088 names, each with one to forget and one to keep.
const MAX_WAITING: usize = 2304;
/// Descriptors among them: the segments of 64 slots, the sockets of one, since no other begins before they are stored.
pub(super) const MAX_KEEPING: usize = 96;
/// How a segment begins, whatever it holds: magic, layout version, size.
const HEAD: usize = 24;

/// The line to the store. What it has no room for waits: the supervisor never does.
pub(super) struct Above {
    line: Notify,
    waiting: VecDeque<Order>,
    /// The last memo that was handed over.
    memo: Memo,
    /// The next one: after everything that waits, since it holds up nobody.
    next_memo: Option<(Memo, OwnedFd)>,
    /// It was said that too much waits.
    told: bool,
}

#[derive(Debug)]
enum Order {
    Keep(String, OwnedFd),
    Forget(String),
    Ready,
    Stopping,
}

/// What a next supervisor could not read from segments and sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memo {
    /// Of two, the higher one is in force.
    pub(super) serial: u64,
    /// The last number that was given to a generation.
    pub(super) generation: u32,
    /// What the kernel threw away in sockets that are closed.
    pub(super) dropped: Vec<(Slot, u64)>,
    /// Of what follows, an older version wrote nothing.
    #[serde(default)]
    pub(super) upgrades: u32,
    #[serde(default)]
    pub(super) last_reload: Option<LastReload>,
    #[serde(default)]
    pub(super) scaled: Option<Scaled>,
}

/// A number of workers that is not the file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scaled {
    /// What `scale` set.
    pub(super) workers: u8,
    /// What the file said: it lasts until that changes.
    pub(super) configured: u8,
}

impl Above {
    pub(super) fn new(line: Notify) -> Above {
        Above { line, waiting: VecDeque::new(), memo: Memo::default(), next_memo: None, told: false }
    }

    /// The line to whoever started us, if he wants to hear.
    pub(super) fn from_environment() -> Above {
        Above::new(Notify::from_environment().unwrap_or_else(|failure| {
            log::warn!("whoever started us cannot be told how we are: {failure}");
            Notify::nobody()
        }))
    }

    /// Gives it a duplicate to keep.
    pub(super) fn keep(&mut self, name: String, fd: BorrowedFd<'_>) -> io::Result<()> {
        let keeping = self.waiting.iter().filter(|order| matches!(order, Order::Keep(..))).count();
        if self.line.is_heard() && self.has_room(keeping < MAX_KEEPING) {
            self.say(Order::Keep(name, sys::fds::duplicate(fd)?));
        }
        Ok(())
    }

    /// What has that name is not needed any more.
    pub(super) fn forget(&mut self, name: String) {
        // What was not handed over need not be.
        self.waiting.retain(|order| !matches!(order, Order::Keep(kept, _) if *kept == name));
        let again = |order: &Order| matches!(order, Order::Forget(forgotten) if *forgotten == name);
        if !self.waiting.iter().any(again) && self.has_room(true) {
            self.say(Order::Forget(name));
        }
    }

    /// READY=1, after all that is to be kept so far.
    pub(super) fn ready(&mut self) {
        self.say(Order::Ready);
    }

    /// STOPPING=1.
    pub(super) fn stopping(&mut self) {
        // Of several that wait one is enough.
        if !self.waiting.iter().any(|order| matches!(order, Order::Stopping)) {
            self.say(Order::Stopping);
        }
    }

    fn say(&mut self, order: Order) {
        if self.line.is_heard() {
            self.waiting.push_back(order);
            self.flush();
        }
    }

    /// Whether one more may wait; what may not is as if nobody were there to keep it.
    fn has_room(&mut self, for_this: bool) -> bool {
        let room = for_this && self.waiting.len() < MAX_WAITING;
        if !room && !std::mem::replace(&mut self.told, true) {
            log::warn!(
                "whoever started us takes too long to keep what he is sent ({} messages wait): what follows is lost \
                 if this process dies",
                self.waiting.len()
            );
        }
        room
    }

    /// Keeps a memo in place of the one before.
    pub(super) fn remember(&mut self, memo: Memo) -> io::Result<()> {
        let last = self.next_memo.as_ref().map_or(&self.memo, |(next, _)| next);
        if !self.line.is_heard() || *last == (Memo { serial: last.serial, ..memo.clone() }) {
            return Ok(());
        }
        let memo = Memo { serial: self.memo.serial + 1, ..memo };
        let text = serde_json::to_vec(&memo)?;
        let segment = sys::map::segment("memo", &text, text.len(), true)?;
        self.next_memo = Some((memo, segment));
        self.flush();
        Ok(())
    }

    /// Goes on from a memo that was written before us.
    pub(super) fn go_on_from(&mut self, memo: &Memo) {
        self.memo = memo.clone();
    }

    /// The memo in the store.
    pub(super) fn memo(&self) -> Memo {
        self.memo.clone()
    }

    /// Hands over what waits, as far as there is room.
    pub(super) fn flush(&mut self) {
        loop {
            let sent = match (self.waiting.front(), &self.next_memo) {
                (Some(Order::Keep(name, fd)), _) => self.line.try_store(name, fd.as_fd()),
                (Some(Order::Forget(name)), _) => self.line.try_forget(name),
                (Some(Order::Ready), _) => self.line.try_ready(),
                (Some(Order::Stopping), _) => self.line.try_stopping(),
                (None, Some((memo, fd))) => self.line.try_store(&memo.name(), fd.as_fd()),
                (None, None) => return,
            };
            match sent {
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
                Err(e) => {
                    log::warn!("the store of whoever started us is out of reach: {e}");
                    self.line = Notify::nobody();
                    self.waiting.clear();
                    self.next_memo = None;
                }
                Ok(()) => self.note_sent(),
            }
        }
    }

    fn note_sent(&mut self) {
        if self.waiting.pop_front().is_none()
            && let Some((memo, _)) = self.next_memo.take()
        {
            // Not before its successor is there.
            let before = std::mem::replace(&mut self.memo, memo);
            if before != Memo::default() {
                self.waiting.push_back(Order::Forget(before.name()));
            }
        }
    }

    /// As `describe` tells it.
    pub(super) fn description(&self) -> wire::Above {
        wire::Above { heard: self.line.is_heard(), waiting: self.waiting.len() as u64, watchdog_ms: None }
    }

    /// Something of this slot has yet to be handed over.
    pub(super) fn lacks(&self, slot: Slot) -> bool {
        let its = name(slot, "");
        self.waiting.iter().any(|order| matches!(order, Order::Keep(name, _) if name.starts_with(&its)))
    }

    /// Everything was handed over.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.next_memo.is_none()
    }

    /// When there is something to be done without an event.
    pub(super) fn deadline(&self) -> Option<Tick> {
        (!self.is_idle()).then(|| clock::now().after(RETRY))
    }
}

impl Memo {
    /// One that was under way went with the supervisor.
    pub(super) fn last_reload(&self) -> Option<LastReload> {
        let mut last = self.last_reload.clone()?;
        if last.result == "running" {
            last.result = "failed".into();
            last.error = Some("the supervisor died".into());
        }
        Some(last)
    }

    /// What `scale` set, unless the file's number is another one by now.
    pub(super) fn scaled(&self, configured: u8) -> Option<u8> {
        self.scaled.filter(|scaled| scaled.configured == configured).map(|scaled| scaled.workers)
    }

    fn name(&self) -> String {
        format!("memo{}", self.serial % 2)
    }
}

/// What lay in the store, by name: of a supervisor that died.
pub(super) struct Found(BTreeMap<String, Vec<OwnedFd>>);

impl Found {
    /// Nothing was there.
    #[cfg(test)]
    pub(super) fn nothing() -> Found {
        Found(BTreeMap::new())
    }

    /// Takes over what sd_listen_fds(3) describes, if it is meant for this process.
    ///
    /// # Errors
    /// When one that is promised is not open.
    pub(super) fn from_environment() -> io::Result<Found> {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let ours = variable("LISTEN_PID") == std::process::id().to_string();
        let count = variable("LISTEN_FDS").parse().unwrap_or(0);
        if !ours || count == 0 {
            return Ok(Found(BTreeMap::new()));
        }
        let (names, first) = (variable("LISTEN_FDNAMES"), sys::process::FIRST_FD as RawFd);
        let names = names.split(':').chain(std::iter::repeat("unknown"));
        let mut found: BTreeMap<String, Vec<OwnedFd>> = BTreeMap::new();
        for (name, fd) in names.zip(sys::fds::inherited(first, count)?) {
            found.entry(name.to_owned()).or_default().push(fd);
        }
        Ok(Found(found))
    }

    /// The descriptor of that name; of several, the first.
    pub(super) fn take(&mut self, name: &str) -> Option<OwnedFd> {
        let mut fds = self.0.remove(name)?;
        (!fds.is_empty()).then(|| fds.swap_remove(0))
    }

    /// The segment of that name, if it is one that this version knows; any other is not needed any more.
    pub(super) fn take_segment(&mut self, name: &str, lent: &Lent, above: &mut Above) -> Option<OwnedFd> {
        let fd = self.take(name)?;
        let known = is_laid_out_as(fd.as_fd(), lent);
        if !known {
            log::warn!("`{name}` in the store is laid out in another way: it begins anew");
            above.forget(name.to_owned());
        }
        known.then_some(fd)
    }

    /// The memo in force: the newest of all, since a supervisor may have died before it forgot the one before. What
    /// lies under the other name is left over.
    pub(super) fn take_memo(&mut self) -> Option<Memo> {
        let read = |fd: &OwnedFd| {
            let mut text = vec![0; sys::map::size(fd.as_fd()).ok()?];
            File::from(sys::fds::duplicate(fd).ok()?).read_exact_at(&mut text, 0).ok()?;
            serde_json::from_slice::<Memo>(&text).ok()
        };
        let memos = ["memo0", "memo1"].iter().filter_map(|&name| self.0.get(name)).flatten();
        let newest = memos.filter_map(read).max_by_key(|memo| memo.serial)?;
        self.0.remove(&newest.name());
        Some(newest)
    }

    /// Those of our names that nobody took.
    pub(super) fn leftovers(&self) -> Vec<String> {
        let ours = |name: &&String| {
            name.ends_with(".seat") || name.contains(".udp") || name.starts_with("memo") || *name == "table"
        };
        self.0.keys().filter(ours).cloned().collect()
    }
}

/// How this version begins a fresh segment of that kind.
pub(super) fn beginning(lent: &Lent) -> Vec<u8> {
    let mut head = (lent.head)();
    head.truncate(HEAD);
    head
}

/// Size and beginning are those that this version gives a fresh one.
pub(super) fn is_laid_out_as(fd: BorrowedFd<'_>, lent: &Lent) -> bool {
    let expected = beginning(lent);
    let mut found = vec![0; expected.len()];
    let mut read = || {
        File::from(sys::fds::duplicate(fd)?).read_exact_at(&mut found, 0)?;
        sys::map::size(fd)
    };
    read().is_ok_and(|bytes| bytes == lent.bytes) && found == expected
}

/// `worker3.seat`, `worker3.udp0`, `role0.seat`.
pub(super) fn name(slot: Slot, what: &str) -> String {
    match slot {
        Slot::Worker(index) => format!("worker{index}.{what}"),
        Slot::Role(index) => format!("role{index}.{what}"),
    }
}

#[cfg(test)]
mod tests;
