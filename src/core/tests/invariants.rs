//! What must hold whatever happens: `perform` judges each action, `check` the state after each event.

use super::super::slot::MAX_PROCESSES;
use super::super::*;
use super::world::{Child, World};
use std::collections::{BTreeMap, BTreeSet};

/// The places of the processes before the event.
type Before = BTreeMap<Run, Place>;

/// Fails with this sentence unless it holds.
macro_rules! hold {
    ($holds:expr, $($broken:tt)*) => {
        if !$holds {
            return Err(format!($($broken)*));
        }
    };
}

impl World {
    pub(super) fn perform(&mut self, action: &Action, before: &Before) -> Result<(), String> {
        let refusal = matches!(action, Action::Answer(_, Outcome::Refused(Refusal::Stopping)));
        hold!(self.gone.is_none() || refusal, "{action:?} after Gone");
        match *action {
            Action::Spawn { slot, run, generation, heir } => self.spawn(slot, run, generation, heir),
            Action::Signal(run, sig) => self.signal(run, sig, before),
            Action::Steer { bound, mask } => self.steer(bound, mask),
            Action::Close(slot) => self.close(slot),
            Action::Abandon(slot) => self.abandon(slot),
            Action::Answer(ticket, outcome) => self.answer(ticket, outcome),
            Action::Tell(news) => self.hear(news),
            Action::Gone(verdict) => {
                hold!(self.children.is_empty(), "gone, and {:?} live", self.children);
                hold!(self.asked.len() == self.answered.len(), "gone without an answer");
                self.gone = Some(verdict);
                Ok(())
            }
        }
    }

    fn spawn(&mut self, slot: Slot, run: Run, generation: Generation, heir: bool) -> Result<(), String> {
        let used = self.children.contains_key(&run) || self.dead.contains(&run);
        hold!(!used, "{run:?} is used twice");
        hold!(!self.closing.contains(&slot), "a process in {slot}, which is closing");
        let expected = if heir { self.reloading.unwrap_or(self.generation) } else { self.generation };
        hold!(generation == expected, "{run:?} of {generation:?}, not {expected:?}");
        let child = Child {
            slot,
            generation,
            said_bound: None,
            said_ready: false,
            asked: false,
            termed: None,
            killed: false,
        };
        self.children.insert(run, child);
        Ok(())
    }

    fn signal(&mut self, run: Run, sig: Sig, before: &Before) -> Result<(), String> {
        hold!(self.children.contains_key(&run), "{sig:?} to {run:?}, who is dead");
        hold!(!self.children[&run].killed, "{sig:?} to {run:?}, who was killed");
        match sig {
            Sig::Term => {
                hold!(self.children[&run].termed.is_none(), "TERM twice to {run:?}");
                match before.get(&run) {
                    Some(Place::Heir) => {}
                    Some(Place::Holder) | None => self.may_term(run, before)?,
                    Some(Place::Leaver) => return Err(format!("TERM to {run:?}, a leaver")),
                }
                let now = self.now;
                self.children.entry(run).and_modify(|child| child.termed = Some(now));
            }
            Sig::Kill => {
                self.may_kill(run)?;
                self.children.entry(run).and_modify(|child| child.killed = true);
            }
        }
        Ok(())
    }

    /// A holder is told to leave only after its successor said READY, except by order.
    fn may_term(&mut self, run: Run, before: &Before) -> Result<(), String> {
        let Child { slot, generation, .. } = self.children[&run];
        if self.fleet.state() == ClusterState::Stopping {
            return Ok(());
        }
        hold!(self.reloading.is_none() || !self.wants(slot), "{run:?} is touched before the commit");
        let succeeded = self.children.iter().any(|(heir, child)| {
            child.slot == slot
                && child.said_ready
                && before.get(heir) == Some(&Place::Heir)
                && self.fleet.place(*heir).is_some_and(|(_, place)| place != Place::Heir)
        });
        let outdated = generation < self.generation;
        let retired = (self.scaling || !self.wants(slot)) && !self.is_steered(slot);
        if succeeded || outdated || retired {
            return Ok(());
        }
        hold!(self.wants(slot) || self.restarting, "{slot} retires while datagrams go there");
        let due = self.restarts_due.get(&slot).copied().unwrap_or_default();
        hold!(due > 0 && self.restarting, "TERM to {run:?}, and no heir is READY");
        self.restarts_due.insert(slot, due - 1);
        Ok(())
    }

    fn may_kill(&self, run: Run) -> Result<(), String> {
        let child = &self.children[&run];
        let patience = match child.slot {
            Slot::Worker(_) => self.fleet.plan().worker.kill_timeout,
            Slot::Role(_) => self.fleet.plan().role.kill_timeout,
        };
        let told = self.news.last().is_some_and(|news| match news {
            News::Silent { run: named, .. } | News::TooLate { run: named, .. } => *named == run,
            News::KillTimeout { run: named, .. } => {
                *named == run && child.termed.is_some_and(|at| self.now.since(at) >= patience)
            }
            _ => false,
        });
        hold!(told || self.kill_at_will, "KILL to {run:?} without a reason");
        Ok(())
    }

    fn steer(&mut self, bound: u8, mask: u64) -> Result<(), String> {
        hold!(usize::from(bound) <= self.sockets.len(), "steered in a group of {bound}, {:?}", self.sockets);
        hold!(mask != 0, "steered to nobody");
        hold!(bound == 64 || mask >> bound == 0, "steered outside the group: {mask:b} of {bound}");
        hold!((bound, mask) != self.steered, "the same program again");
        let closing =
            self.closing.iter().find(|slot| matches!(slot, Slot::Worker(index) if mask >> index & 1 == 1));
        hold!(closing.is_none(), "steered to {closing:?}, which is closing");
        self.steered = (bound, mask);
        Ok(())
    }

    fn close(&mut self, slot: Slot) -> Result<(), String> {
        hold!(!self.is_steered(slot), "{slot} is closed while datagrams go there");
        hold!(self.crowd(slot) == 0, "{slot} is closed under its process");
        if let Slot::Worker(index) = slot {
            let above = self.told.iter().any(|&socket| socket > index);
            hold!(!above, "{slot} is closed below {:?}", self.told);
        }
        hold!(self.closing.insert(slot), "{slot} is closed twice");
        Ok(())
    }

    /// Only with the sockets bound, and where nobody is and nothing comes.
    fn abandon(&mut self, slot: Slot) -> Result<(), String> {
        hold!(!self.is_steered(slot) && self.crowd(slot) == 0, "{slot} is abandoned, and not by everybody");
        let Slot::Worker(index) = slot else { return Err(format!("{slot} is abandoned, a role")) };
        hold!(self.told.iter().next_back() == Some(&index), "{slot} is abandoned, of {:?}", self.told);
        self.retire_socket(index);
        Ok(())
    }

    fn answer(&mut self, ticket: Ticket, outcome: Outcome) -> Result<(), String> {
        hold!(self.asked.contains_key(&ticket), "an answer to {ticket:?}, who never asked");
        let earlier = self.answered.insert(ticket, outcome);
        hold!(earlier.is_none(), "{ticket:?} is answered twice");
        match (&self.asked[&ticket], outcome) {
            (Order::Reload { .. }, Outcome::Done) => self.expect_old_ones_gone(),
            (Order::Reload { .. } | Order::Scale(_) | Order::Restart(_) | Order::Stop { .. }, _) => Ok(()),
        }
    }

    /// A reload is over when nobody of an older generation is left, unless the kernel does not end him. (A drainer of a
    /// slot that retires is no part of it, if that cannot be emptied.)
    fn expect_old_ones_gone(&self) -> Result<(), String> {
        let is_left = |run: &Run| matches!(self.fleet.place(*run), Some((_, Place::Leaver | Place::Heir)));
        let old =
            self.children.iter().find(|(run, child)| child.generation < self.generation && is_left(run));
        let excused =
            self.children.values().any(|child| child.killed) || self.fleet.state() == ClusterState::Stopping;
        hold!(excused || old.is_none(), "a reload is done, and {old:?} is there");
        Ok(())
    }

    fn hear(&mut self, news: News) -> Result<(), String> {
        match news {
            News::ReloadStarted(generation) => self.reloading = Some(generation),
            News::ReloadCommitted(generation) => {
                hold!(
                    self.reloading == Some(generation),
                    "{generation:?} commits, {:?} reloads",
                    self.reloading
                );
                let heirs_ready =
                    |child: &Child| child.generation != generation || child.said_ready || child.killed;
                hold!(self.children.values().all(heirs_ready), "committed before every heir was READY");
                (self.reloading, self.generation) = (None, generation);
            }
            News::ReloadFailed(generation) => {
                hold!(
                    self.reloading == Some(generation),
                    "{generation:?} fails, {:?} reloads",
                    self.reloading
                );
                self.reloading = None;
            }
            News::AllOnline => hold!(!self.news.contains(&news), "the first start ends twice"),
            _ => {}
        }
        self.news.push(news);
        Ok(())
    }

    pub(super) fn check(&self, clock: bool) -> Result<(), String> {
        if self.gone.is_some() {
            return Ok(());
        }
        self.check_books()?;
        self.check_sockets()?;
        self.check_mask()?;
        if clock {
            let ahead = self.fleet.deadline().is_none_or(|tick| tick > self.now);
            hold!(ahead, "the clock would spin: {:?} at {:?}", self.fleet.deadline(), self.now);
        }
        let open = self.asked.len() - self.answered.len();
        hold!(open == 0 || self.fleet.busy(), "{open} orders are forgotten");
        Ok(())
    }

    /// The core's books and the world agree; one holder and one heir to a slot.
    fn check_books(&self) -> Result<(), String> {
        let mut taken: BTreeMap<(Slot, u8), Run> = BTreeMap::new();
        for (run, child) in &self.children {
            let place = self.fleet.place(*run);
            hold!(place.is_some_and(|(slot, _)| slot == child.slot), "{run:?} is in {place:?}: {child:?}");
            let leaving = place.is_some_and(|(_, place)| place == Place::Leaver);
            hold!(leaving == (child.termed.is_some() || child.killed), "{run:?} is in {place:?}: {child:?}");
            if let Some((slot, place @ (Place::Holder | Place::Heir))) = place {
                let other = taken.insert((slot, place as u8), *run);
                hold!(other.is_none(), "{run:?} and {other:?} are both {place:?} of {slot}");
            }
        }
        self.check_proofs()?;
        let ghost = self.dead.iter().next_back().is_some_and(|run| self.fleet.place(*run).is_some());
        hold!(!ghost, "the dead have a place");
        Ok(())
    }

    /// Nobody is online before it has shown that it can be, and health is asked of those who have all but that.
    fn check_proofs(&self) -> Result<(), String> {
        for seat in self.fleet.seats.values() {
            for proc in seat.holder_proc().into_iter().chain(&seat.heir) {
                let shown = self.children.get(&proc.run).is_some_and(|child| child.said_ready);
                hold!(
                    !proc.is_online() || shown,
                    "{:?} is online, and has not shown that it can be",
                    proc.run
                );
            }
        }
        let is_due = |run: &Run| matches!(self.fleet.place(*run), Some((_, Place::Holder | Place::Heir)));
        let due = self.children.iter().filter(|(run, child)| child.asked && !child.said_ready && is_due(run));
        let due: BTreeSet<Run> = due.map(|(run, _)| *run).collect();
        let asked: BTreeSet<Run> = self.fleet.unproven().map(|(_, run, _)| run).collect();
        hold!(due == asked, "the health of {due:?} is to be asked, and that of {asked:?} is");
        Ok(())
    }

    fn check_sockets(&self) -> Result<(), String> {
        let members = self.sockets.iter().copied();
        hold!(members.eq(0..self.sockets.len() as u8), "a hole in the group: {:?}", self.sockets);
        for view in self.fleet.slots() {
            let crowd = self.crowd(view.slot);
            if let Slot::Worker(index) = view.slot {
                hold!(self.told.contains(&index) || crowd <= 1, "{crowd} processes bind {}", view.slot);
            }
        }
        Ok(())
    }

    /// Everybody online is in the mask; nobody in trouble is, unless there is nobody else.
    fn check_mask(&self) -> Result<(), String> {
        if self.fleet.state() == ClusterState::Stopping {
            return Ok(());
        }
        let (bound, mask) = self.steered;
        hold!(mask == self.fleet.mask(), "{mask:b} is in force, not {:b}", self.fleet.mask());
        hold!(
            usize::from(bound) == self.told.len() || self.told.is_empty(),
            "{bound} members of {:?}",
            self.told
        );
        let in_reach =
            |index: &&u8| **index < self.fleet.wanted() && !self.closing.contains(&Slot::Worker(**index));
        let all: u64 = self.told.iter().filter(in_reach).map(|index| 1 << index).sum();
        hold!(mask & !all == 0, "datagrams go to {mask:b}, {all:b} are wanted and bound");
        for view in self.fleet.slots() {
            let (steered, wanted) = (self.is_steered(view.slot), self.wants(view.slot));
            let stuck =
                self.crowd(view.slot) == MAX_PROCESSES && self.in_place(view.slot, Place::Holder).is_none();
            hold!(!stuck || !steered || mask == all, "{} is full, and datagrams go there", view.slot);
            match (view.slot, view.status) {
                (Slot::Worker(_), Status::Online) => {
                    hold!(steered || !wanted, "no datagram goes to {}", view.slot)
                }
                (
                    Slot::Worker(_),
                    Status::WaitingRestart | Status::Errored | Status::Stopped | Status::Empty,
                ) => {
                    hold!(!steered || mask == all, "datagrams go to {}, {:?}", view.slot, view.status);
                }
                (Slot::Worker(_), Status::Launching | Status::Stopping) | (Slot::Role(_), _) => {}
            }
        }
        Ok(())
    }

    pub(super) fn is_steered(&self, slot: Slot) -> bool {
        match slot {
            Slot::Worker(index) => self.steered.1 >> index & 1 == 1,
            Slot::Role(_) => false,
        }
    }

    pub(super) fn wants(&self, slot: Slot) -> bool {
        match slot {
            Slot::Worker(index) => index < self.fleet.wanted(),
            Slot::Role(index) => self.fleet.plan().roles.has(index),
        }
    }
}
