//! The store above us: what must outlive even the supervisor lies with whoever started it, too (sd_notify(3),
//! FDSTORE=1): systemd, or an outer cluster.
//!
//! ```text
//! table             the meter table            worker3.seat   slot 3's segment     worker3.udp0   its first socket
//! memo0 or memo1    what no segment tells      role0.seat     a role's segment
//! ```

mod found;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use contract::Notify;
use serde::{Deserialize, Serialize};

use super::clock;
use super::pulse::Pulse;
use crate::core::{Slot, Tick};
use crate::wire::{self, LastReload};

pub(super) use found::{Found, beginning, is_bound_to};

/// What else is meant for us alone.
const FOR_US: [&str; 4] = ["NODE_APP_INSTANCE", super::handover::VARIABLE, wire::STARTER, contract::BLAME];

/// Whether a variable is ours upward, and not our children's.
pub(super) fn is_upward(variable: &OsStr) -> bool {
    contract::ADDRESSED.iter().chain(&FOR_US).any(|name| variable == *name)
}

/// How long a store that has no room is left alone.
const RETRY: Duration = Duration::from_millis(5);
/// Orders that may wait: 64 slots on 16 addresses have 1088 names, each with one to forget and one to keep.
const MAX_WAITING: usize = 2304;
/// Descriptors among them: the segments of 64 slots, the sockets of one, since no other begins before they are stored.
pub(super) const MAX_KEEPING: usize = 96;

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
    /// READY=1 was said once.
    was_ready: bool,
    /// He wants to hear that we live.
    pulse: Option<Pulse>,
}

#[derive(Debug)]
enum Order {
    Keep(String, OwnedFd),
    Forget(String),
    /// With what it is ready for.
    Ready(String),
    /// Since when, by CLOCK_MONOTONIC.
    Reloading(Duration),
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
    /// Written last of all: the cluster was stopped by order.
    #[serde(default)]
    pub(super) stopped: bool,
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
        Above {
            line,
            waiting: VecDeque::new(),
            memo: Memo::default(),
            next_memo: None,
            told: false,
            was_ready: false,
            pulse: None,
        }
    }

    /// The line to whoever started us, if he wants to hear.
    pub(super) fn from_environment() -> Above {
        let line = Notify::from_environment().unwrap_or_else(|failure| {
            log::warn!("cannot tell whoever started us how we are: {failure}");
            Notify::nobody()
        });
        let pulse = Pulse::from_environment().filter(|_| line.is_heard());
        Above { pulse, ..Above::new(line) }
    }

    /// WATCHDOG=1, if it is time. What has no room is as good as said: he has not read what he was told before.
    pub(super) fn give_sign_of_life(&mut self) {
        if self.pulse.as_mut().is_some_and(|pulse| pulse.beats(clock::now())) {
            self.line.alive();
        }
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

    /// READY=1, after all that is to be kept so far; `status` says what for.
    pub(super) fn ready(&mut self, status: String) {
        self.was_ready = true;
        self.waiting.retain(|order| !matches!(order, Order::Ready(_)));
        self.say(Order::Ready(status));
    }

    /// It was said before an exec.
    pub(super) fn was_ready_before(&mut self) {
        self.was_ready = true;
    }

    /// RELOADING=1, once we were ready; READY=1 is to follow. Of those that wait the last is enough.
    pub(super) fn reloading(&mut self) {
        if self.was_ready {
            self.waiting.retain(|order| !matches!(order, Order::Ready(_) | Order::Reloading(_)));
            self.say(Order::Reloading(Duration::from_nanos(clock::now().0)));
        }
    }

    /// READY=1 after RELOADING=1.
    pub(super) fn reloaded(&mut self, status: String) {
        if self.was_ready {
            self.ready(status);
        }
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
                "whoever started us takes too long to keep what it is sent ({} messages wait): what follows is lost \
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
                (Some(Order::Ready(status)), _) => self.line.try_ready(status),
                (Some(Order::Reloading(since)), _) => self.line.try_reloading(*since),
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
        wire::Above {
            heard: self.line.is_heard(),
            waiting: self.waiting.len() as u64,
            watchdog_ms: self.pulse.as_ref().map(|pulse| pulse.wanted().as_millis() as u64),
        }
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
        let retry = (!self.is_idle()).then(|| clock::now().after(RETRY));
        let pulse = self.pulse.as_ref().map(Pulse::deadline);
        retry.into_iter().chain(pulse).min()
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

/// `worker3.seat`, `worker3.udp0`, `role0.seat`.
pub(super) fn name(slot: Slot, what: &str) -> String {
    match slot {
        Slot::Worker(index) => format!("worker{index}.{what}"),
        Slot::Role(index) => format!("role{index}.{what}"),
    }
}

#[cfg(test)]
mod tests;
