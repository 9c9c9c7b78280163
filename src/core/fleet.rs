//! The fleet: every slot, the operation under way, and the next step from what runs to what should run.

use super::errand::Errands;
use super::event::{
    Action, Event, Generation, MAX_WORKERS, News, Outcome, Plan, RoleSet, Run, Slot, Tick, Ticket,
};
use super::frozen;
use super::orders::Queue;
use super::reload::Reload;
use super::slot::{Holder, Seat};
use super::steering::Steering;
use super::stop::Stopping;
use super::view::Place;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most passes `reconcile` may need. Each pass that changes something takes one of at most
/// `orders::MAX_WAITING` orders, or a step that cannot be undone without another event (spawn, dismiss,
/// close, commit, gone): about four passes for each order are enough.
const MAX_PASSES: usize = 128;

/// What is under way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Op {
    /// The first start: until everybody was online once, a failure ends it.
    Starting,
    /// Nothing: orders are taken.
    Steady,
    Reloading(Reload),
    Stopping(Stopping),
    /// Gone was said.
    Over,
}

/// What a slot is for, now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    /// It should have a holder.
    Holder,
    /// Only the reload under way wants it: its heir, until the commit.
    Newcomer,
    /// Nobody: it is to be closed.
    Nothing,
    /// Nobody: the fleet stops.
    Stopped,
}

/// One call of `handle`: the time, and what came of it.
pub(super) struct Turn<'a> {
    pub(super) now: Tick,
    actions: &'a mut Vec<Action>,
}

impl Turn<'_> {
    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(super) fn tell(&mut self, news: News) {
        self.act(Action::Tell(news));
    }

    pub(super) fn answer(&mut self, ticket: Ticket, outcome: Outcome) {
        self.act(Action::Answer(ticket, outcome));
    }
}

/// What should run, and what does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Fleet {
    /// Of the generation in force.
    pub(super) plan: Plan,
    pub(super) generation: Generation,
    /// The highest number given to any generation, also one that failed.
    pub(super) newest: Generation,
    /// The most workers that the shell can keep; a scaling beyond is refused.
    pub(super) room: u8,
    /// Workers wanted now, 1 … `MAX_WORKERS`: what the plan says, or a scaling since.
    pub(super) wanted: u8,
    /// Workers are 0 … n without a gap; the bound ones come first.
    #[serde(with = "frozen")]
    pub(super) seats: BTreeMap<Slot, Seat>,
    pub(super) op: Op,
    pub(super) queue: Queue,
    pub(super) errands: Errands,
    /// What was last said in `Steer`.
    pub(super) steered: Steering,
    /// The highest run given to any process.
    pub(super) last_run: u64,
}

impl Fleet {
    /// A fleet in which nothing runs yet: `Event::Clock` gets it going.
    pub(crate) fn new(generation: Generation, plan: Plan) -> Fleet {
        assert!((1..=MAX_WORKERS).contains(&plan.workers), "a plan for {} workers", plan.workers);
        Fleet {
            room: MAX_WORKERS,
            wanted: plan.workers,
            plan,
            generation,
            newest: generation,
            seats: BTreeMap::new(),
            op: Op::Starting,
            queue: Queue::default(),
            errands: Errands::default(),
            steered: Steering::default(),
            last_run: 0,
        }
    }

    /// The same, in a group that exists: slots 0 … bound - 1 have their sockets from a supervisor before us.
    /// Surplus ones are drained and closed.
    pub(crate) fn adopting(mut self, bound: u8) -> Fleet {
        assert!(bound <= MAX_WORKERS && self.seats.is_empty(), "{bound} slots are adopted by {self:#?}");
        for index in 0..bound {
            self.seats.insert(Slot::Worker(index), Seat { bound: true, ..Seat::new() });
        }
        self
    }

    /// The same, in a shell that can keep `room` workers and no more.
    pub(crate) fn with_room(self, room: u8) -> Fleet {
        Fleet { room, ..self }
    }

    /// The only door: what happened, then everything that follows from it.
    pub(crate) fn handle(&mut self, now: Tick, event: Event, actions: &mut Vec<Action>) {
        let turn = &mut Turn { now, actions };
        match event {
            Event::Bound(run) => self.on_bound(turn, run),
            Event::Ready(run) => self.on_ready(turn, run),
            Event::Healthy(run) => self.on_healthy(turn, run),
            Event::NeverHealthy(run) => self.on_never_healthy(turn, run),
            Event::Alive(run) => self.on_alive(turn, run),
            Event::TooFat(run) => self.on_too_fat(turn, run),
            Event::Exited(run) => self.on_exited(turn, run),
            Event::Finished(run) => self.on_finished(turn, run),
            Event::Closed(slot) => self.on_closed(turn, slot),
            Event::StillQueued { slot, bytes } => self.on_still_queued(turn, slot, bytes),
            Event::Order(ticket, order) => self.on_order(turn, ticket, order),
            Event::Clock => self.on_clock(turn),
        }
        self.reconcile(turn);
    }

    /// From what runs to what should run, until nothing is left to do.
    fn reconcile(&mut self, turn: &mut Turn) {
        for _ in 0..MAX_PASSES {
            if !self.pass(turn) {
                return;
            }
        }
        panic!("the fleet does not come to rest: {self:#?}");
    }

    /// One pass; whether it changed anything. The mask comes before the slots: a retired slot is told to
    /// leave only when no new datagram goes there.
    fn pass(&mut self, turn: &mut Turn) -> bool {
        let mut changed = self.take_order(turn);
        changed |= self.add_seats();
        changed |= self.steer(turn);
        for slot in self.slot_names() {
            changed |= self.step(turn, slot);
        }
        changed |= self.advance(turn);
        changed |= self.settle_errands(turn);
        changed
    }

    /// The step a slot can take by itself.
    fn step(&mut self, turn: &mut Turn, slot: Slot) -> bool {
        match (self.seats[&slot].holder, self.want(slot)) {
            (Holder::Empty(start), Want::Holder) => {
                self.may_start(slot) && self.spawn_holder(turn, slot, start)
            }
            (Holder::Empty(_), Want::Nothing) => self.may_close(slot) && self.close(turn, slot),
            (Holder::Held(_), Want::Nothing) => !self.steered.names(slot) && self.dismiss(turn, slot),
            (Holder::Draining(proc), Want::Holder) if proc.generation == self.generation => {
                self.keep_drainer(turn, slot, proc)
            }
            (Holder::Draining(_), Want::Holder) => self.dismiss(turn, slot),
            (Holder::Errored | Holder::Finished, Want::Nothing) => self.forget_failures(slot),
            (Holder::Empty(_), Want::Newcomer | Want::Stopped)
            | (Holder::Held(_), Want::Holder | Want::Newcomer | Want::Stopped)
            | (Holder::Draining(_), Want::Newcomer | Want::Nothing | Want::Stopped)
            | (Holder::Errored | Holder::Finished, Want::Holder | Want::Newcomer | Want::Stopped)
            | (Holder::Waiting { .. }, Want::Holder | Want::Newcomer | Want::Nothing | Want::Stopped)
            | (Holder::Closing, Want::Holder | Want::Newcomer | Want::Nothing | Want::Stopped) => false,
        }
    }

    /// The step the operation under way can take.
    fn advance(&mut self, turn: &mut Turn) -> bool {
        match &self.op {
            Op::Starting => self.advance_start(turn),
            Op::Reloading(_) => self.advance_reload(turn),
            Op::Stopping(_) => self.advance_stop(turn),
            Op::Steady | Op::Over => false,
        }
    }

    fn advance_start(&mut self, turn: &mut Turn) -> bool {
        let everybody = self.wanted_slots().all(|slot| self.is_online(slot));
        if everybody {
            self.op = Op::Steady;
            turn.tell(News::AllOnline);
        }
        everybody
    }

    /// A row for each slot that is wanted or will be. None above one that is closing: it may vanish yet.
    fn add_seats(&mut self) -> bool {
        let before = self.seats.len();
        let (workers, roles) = match &self.op {
            Op::Starting | Op::Steady => (self.wanted, self.plan.roles.0),
            Op::Reloading(reload) => {
                (self.wanted.max(reload.workers), self.plan.roles.0 | reload.plan.roles.0)
            }
            Op::Stopping(_) | Op::Over => return false,
        };
        for index in self.worker_seats()..workers {
            if self.top_worker().is_some_and(Seat::is_closing) {
                break;
            }
            self.seats.insert(Slot::Worker(index), Seat::new());
        }
        for slot in RoleSet(roles).slots() {
            self.seats.entry(slot).or_insert_with(Seat::new);
        }
        self.seats.len() != before
    }

    pub(super) fn steer(&mut self, turn: &mut Turn) -> bool {
        match self.op {
            Op::Starting | Op::Steady | Op::Reloading(_) => {}
            Op::Stopping(_) | Op::Over => return false,
        }
        let Steering { bound, mask } = Steering::of(self.wanted, self.seats.iter());
        let changed = mask != 0 && self.steered != Steering { bound, mask };
        if changed {
            self.steered = Steering { bound, mask };
            turn.act(Action::Steer { bound, mask });
        }
        changed
    }
}

/// Questions the decisions ask.
impl Fleet {
    pub(super) fn want(&self, slot: Slot) -> Want {
        let held = is_in(slot, self.wanted, &self.plan);
        match &self.op {
            Op::Starting | Op::Steady | Op::Reloading(_) if held => Want::Holder,
            Op::Reloading(reload) if is_in(slot, reload.workers, &reload.plan) => Want::Newcomer,
            Op::Starting | Op::Steady | Op::Reloading(_) => Want::Nothing,
            Op::Stopping(_) | Op::Over => Want::Stopped,
        }
    }

    /// A process may be started in this slot. Sockets are bound in order, one at a time, so that a slot's
    /// number is its place in the group: until it is bound, a slot has one process at most.
    pub(super) fn may_start(&self, slot: Slot) -> bool {
        let seat = &self.seats[&slot];
        if seat.is_closing() || seat.is_full() {
            return false;
        }
        match slot {
            Slot::Worker(0) => seat.bound || seat.is_deserted(),
            Slot::Worker(index) => {
                seat.bound || (seat.is_deserted() && self.is_bound(Slot::Worker(index - 1)))
            }
            // Once the group exists: a role may need to know which port was taken.
            Slot::Role(_) => self.is_bound(Slot::Worker(0)),
        }
    }

    /// From the top, so that the places of those below stay.
    fn may_close(&self, slot: Slot) -> bool {
        let top = match slot {
            Slot::Worker(index) => index + 1 == self.worker_seats(),
            Slot::Role(_) => true,
        };
        top && self.seats[&slot].is_deserted() && !self.steered.names(slot)
    }

    /// Whether the slot's sockets are in their groups.
    pub(crate) fn is_bound(&self, slot: Slot) -> bool {
        self.seats.get(&slot).is_some_and(|seat| seat.bound)
    }

    pub(super) fn is_online(&self, slot: Slot) -> bool {
        self.seats.get(&slot).is_some_and(Seat::is_online)
    }

    pub(super) fn wanted_slots(&self) -> impl Iterator<Item = Slot> + use<> {
        slots_of(self.wanted, self.plan.roles)
    }

    pub(super) fn slot_names(&self) -> Vec<Slot> {
        self.seats.keys().copied().collect()
    }

    pub(super) fn worker_seats(&self) -> u8 {
        self.top_slot().map_or(0, |(index, _)| index + 1)
    }

    fn top_worker(&self) -> Option<&Seat> {
        self.top_slot().map(|(_, seat)| seat)
    }

    fn top_slot(&self) -> Option<(u8, &Seat)> {
        self.seats.iter().rev().find_map(|(slot, seat)| match slot {
            Slot::Worker(index) => Some((*index, seat)),
            Slot::Role(_) => None,
        })
    }

    pub(super) fn find(&self, run: Run) -> Option<(Slot, Place)> {
        self.seats.iter().find_map(|(slot, seat)| Some((*slot, seat.place(run)?)))
    }

    /// The state of a slot whose name came from `find` or `slot_names`.
    pub(super) fn seat(&mut self, slot: Slot) -> &mut Seat {
        self.seats.get_mut(&slot).expect("a slot that is there")
    }
}

/// Workers 0 … `workers` - 1, then the roles.
pub(super) fn slots_of(workers: u8, roles: RoleSet) -> impl Iterator<Item = Slot> + use<> {
    (0..workers).map(Slot::Worker).chain(roles.slots())
}

fn is_in(slot: Slot, workers: u8, plan: &Plan) -> bool {
    match slot {
        Slot::Worker(index) => index < workers,
        Slot::Role(index) => plan.roles.has(index),
    }
}
