//! A world for the core to act upon: processes, sockets, clients, a clock. It holds every event against
//! the invariants (`invariants.rs`) and keeps the story, which is printed when one is broken.

use super::super::slot::MAX_PROCESSES;
use super::super::*;
use super::plans::ms;
use super::story;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the world knows of a process.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) slot: Slot,
    pub(super) generation: Generation,
    pub(super) said_bound: Option<Tick>,
    /// Or lived long enough for one that need not say so; where health is asked, that it is well.
    pub(super) said_ready: bool,
    /// Its health is to be asked: it has said READY, or need not.
    pub(super) asked: bool,
    pub(super) termed: Option<Tick>,
    pub(super) killed: bool,
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) fleet: Fleet,
    pub(super) now: Tick,
    /// Every process that was not reaped.
    pub(super) children: BTreeMap<Run, Child>,
    pub(super) dead: BTreeSet<Run>,
    /// The kernel's truth: the members of the group.
    pub(super) sockets: BTreeSet<u8>,
    /// Those of them the core knows of.
    pub(super) told: BTreeSet<u8>,
    /// Closed slots keep their sockets: these.
    pub(super) parked: BTreeSet<u8>,
    pub(super) parks: bool,
    /// Every other worker never says READY.
    pub(super) mute: bool,
    /// The policy's, for every plan.
    ready_after: Option<Duration>,
    /// The same: workers have to be well, too.
    pub(super) checked: bool,
    /// The same: they are asked once they are bound.
    pub(super) wordless: bool,
    /// `Close` that was not answered.
    pub(super) closing: BTreeSet<Slot>,
    /// What is found in a queue that is not empty.
    pub(super) queued: u64,
    pub(super) steered: (u8, u64),
    pub(super) asked: BTreeMap<Ticket, Order>,
    pub(super) answered: BTreeMap<Ticket, Outcome>,
    pub(super) generation: Generation,
    pub(super) reloading: Option<Generation>,
    /// How often each slot may still be restarted by order.
    pub(super) restarts_due: BTreeMap<Slot, usize>,
    pub(super) kill_at_will: bool,
    /// A scaling was open when the event came: several may have their turn in one call.
    pub(super) scaling: bool,
    /// A restart was open.
    pub(super) restarting: bool,
    pub(super) gone: Option<Verdict>,
    /// What the last event led to.
    pub(super) actions: Vec<Action>,
    pub(super) news: Vec<News>,
    /// What happened so far; nothing in a quiet world.
    pub(super) story: Vec<String>,
    /// It is one of very many: its story is not written down.
    pub(super) quiet: bool,
    newest: u32,
    tickets: u64,
}

impl World {
    /// A fleet that was told nothing yet.
    pub(super) fn new(plan: Plan) -> World {
        World {
            now: Tick(1),
            children: BTreeMap::new(),
            dead: BTreeSet::new(),
            sockets: BTreeSet::new(),
            told: BTreeSet::new(),
            parked: BTreeSet::new(),
            parks: false,
            mute: false,
            ready_after: (plan.worker.mute && !plan.worker.checked).then_some(plan.worker.min_uptime),
            checked: plan.worker.checked,
            wordless: plan.worker.checked && plan.worker.mute,
            fleet: Fleet::new(Generation(1), plan),
            closing: BTreeSet::new(),
            queued: 1,
            steered: (0, 0),
            asked: BTreeMap::new(),
            answered: BTreeMap::new(),
            generation: Generation(1),
            reloading: None,
            restarts_due: BTreeMap::new(),
            kill_at_will: false,
            scaling: false,
            restarting: false,
            gone: None,
            actions: Vec::new(),
            news: Vec::new(),
            story: Vec::new(),
            quiet: false,
            newest: 1,
            tickets: 0,
        }
    }

    /// A group of so many sockets is there already, from a supervisor that died.
    pub(super) fn adopting(plan: Plan, bound: u8) -> World {
        let mut world = World::new(plan.clone());
        world.fleet = Fleet::new(Generation(1), plan).adopting(bound);
        (world.sockets, world.told) = ((0..bound).collect(), (0..bound).collect());
        world
    }

    /// A fleet whose workers and roles are all online, stable for a minute.
    #[track_caller]
    pub(super) fn online(plan: Plan) -> World {
        let mut world = World::new(plan);
        world.clock();
        world.calm();
        assert_eq!(world.fleet.state(), ClusterState::Online);
        world.pass(ms(60_000));
        world
    }

    /// One event, held against every invariant.
    pub(super) fn try_event(&mut self, event: Event) -> Result<(), String> {
        let before = self.places();
        let open = self.asked.iter().filter(|(ticket, _)| !self.answered.contains_key(ticket));
        let open: Vec<&Order> = open.map(|(_, order)| order).collect();
        self.scaling = open.iter().any(|order| matches!(order, Order::Scale(_)));
        self.restarting = open.iter().any(|order| matches!(order, Order::Restart(_)));
        let clock = event == Event::Clock;
        if clock {
            self.note_lives();
        }
        let cause = (!self.quiet).then(|| story::cause(&event));
        let mut actions = Vec::new();
        self.fleet.handle(self.now, event, &mut actions);
        self.story.extend(cause.and_then(|cause| story::line(self.now, &cause, &actions)));
        for action in &actions {
            self.perform(action, &before).map_err(|broken| self.tell(&broken))?;
        }
        self.actions = actions;
        self.check(clock).map_err(|broken| self.tell(&broken))
    }

    /// Those who need not say READY, and have lived long enough.
    fn note_lives(&mut self) {
        let (now, Some(wait)) = (self.now, self.ready_after) else { return };
        for child in self.children.values_mut().filter(|child| child.termed.is_none() && !child.killed) {
            child.said_ready |= child.said_bound.is_some_and(|bound| bound.after(wait) <= now);
        }
    }

    /// The story goes on under this heading.
    pub(super) fn chapter(&mut self, heading: &str) {
        self.story.extend((!self.quiet).then(|| format!("\n  {heading}:")));
    }

    pub(super) fn tell(&self, broken: &str) -> String {
        let from = self.story.len().saturating_sub(30);
        let rows: Vec<String> = self.fleet.slots().map(|view| story::row(&view)).collect();
        format!("{broken}\n{}\n{}\n", self.story[from..].join("\n"), rows.join("\n"))
    }

    #[track_caller]
    pub(super) fn event(&mut self, event: Event) {
        self.try_event(event).unwrap_or_else(|story| panic!("{story}"));
    }

    pub(super) fn try_order(&mut self, order: Order) -> Result<Ticket, String> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        match &order {
            Order::Restart(slots) if slots.is_empty() => {
                (0..MAX_WORKERS)
                    .for_each(|index| *self.restarts_due.entry(Slot::Worker(index)).or_default() += 1);
            }
            Order::Restart(slots) => {
                slots.iter().for_each(|slot| *self.restarts_due.entry(*slot).or_default() += 1);
            }
            Order::Stop { now } => self.kill_at_will |= *now || self.fleet.state() == ClusterState::Stopping,
            Order::Scale(_) | Order::Reload { .. } => {}
        }
        self.asked.insert(ticket, order.clone());
        self.try_event(Event::Order(ticket, order)).map(|()| ticket)
    }

    #[track_caller]
    pub(super) fn order(&mut self, order: Order) -> Ticket {
        self.try_order(order).unwrap_or_else(|story| panic!("{story}"))
    }

    pub(super) fn reload_order(&mut self, plan: Plan) -> Order {
        self.newest += 1;
        Order::Reload { generation: Generation(self.newest), plan }
    }

    #[track_caller]
    pub(super) fn reload(&mut self, plan: Plan) -> Ticket {
        let order = self.reload_order(plan);
        self.order(order)
    }

    #[track_caller]
    pub(super) fn scale(&mut self, workers: u8) -> Ticket {
        self.order(Order::Scale(Scale::To(workers)))
    }

    pub(super) fn outcome(&self, ticket: Ticket) -> Option<Outcome> {
        self.answered.get(&ticket).copied()
    }

    pub(super) fn try_answer_close(&mut self, slot: Slot, queued: bool) -> Result<(), String> {
        self.closing.remove(&slot);
        match slot {
            Slot::Worker(index) if self.sockets.contains(&index) => {
                if queued {
                    return self.try_event(Event::StillQueued { slot, bytes: Some(self.queued) });
                }
                self.retire_socket(index);
            }
            Slot::Worker(_) | Slot::Role(_) => {}
        }
        self.try_event(Event::Closed(slot))
    }

    pub(super) fn retire_socket(&mut self, index: u8) {
        self.told.remove(&index);
        if self.parks {
            self.parked.insert(index);
        } else {
            self.sockets.remove(&index);
        }
    }

    // The same for tests by name: what does not hold ends the test.

    #[track_caller]
    pub(super) fn holder(&self, slot: Slot) -> Run {
        self.in_place(slot, Place::Holder).expect("a holder")
    }

    #[track_caller]
    pub(super) fn heir(&self, slot: Slot) -> Run {
        self.in_place(slot, Place::Heir).expect("an heir")
    }

    #[track_caller]
    pub(super) fn leaver(&self, slot: Slot) -> Run {
        self.in_place(slot, Place::Leaver).expect("a leaver")
    }

    pub(super) fn in_place(&self, slot: Slot, place: Place) -> Option<Run> {
        self.children.keys().copied().rfind(|&run| self.fleet.place(run) == Some((slot, place)))
    }

    #[track_caller]
    pub(super) fn exit(&mut self, run: Run) {
        self.try_exit(run).unwrap_or_else(|story| panic!("{story}"));
    }

    /// Binds, says so, says READY, is well.
    #[track_caller]
    pub(super) fn come_up(&mut self, run: Run) {
        while self.children.get(&run).is_some_and(|child| !child.said_ready && child.termed.is_none()) {
            self.try_step(run).unwrap_or_else(|story| panic!("{story}"));
        }
    }

    #[track_caller]
    pub(super) fn answer_close(&mut self, slot: Slot, queued: bool) {
        assert!(self.closing.contains(&slot), "{slot} is not closing");
        self.try_answer_close(slot, queued).unwrap_or_else(|story| panic!("{story}"));
    }

    #[track_caller]
    pub(super) fn clock(&mut self) {
        self.event(Event::Clock);
    }

    /// Time passes and everybody who is online says so; deadlines on the way are met one by one.
    #[track_caller]
    pub(super) fn pass(&mut self, wait: Duration) {
        self.try_pass(wait).unwrap_or_else(|story| panic!("{story}"));
    }

    pub(super) fn try_pass(&mut self, wait: Duration) -> Result<(), String> {
        let end = self.now.after(wait);
        while self.gone.is_none() {
            self.now = self.fleet.deadline().map_or(end, |tick| tick.min(end)).max(self.now);
            let online: Vec<Run> =
                self.children.iter().filter(|(_, c)| c.said_ready).map(|(run, _)| *run).collect();
            for run in online {
                self.try_event(Event::Alive(run))?;
            }
            self.try_event(Event::Clock)?;
            if self.now == end {
                break;
            }
        }
        Ok(())
    }

    /// To the next deadline, in silence. Tells how long it took.
    #[track_caller]
    pub(super) fn jump(&mut self) -> Duration {
        let before = self.now;
        self.now = self.fleet.deadline().expect("a deadline").max(self.now);
        self.clock();
        self.now.since(before)
    }

    pub(super) fn crowd(&self, slot: Slot) -> usize {
        let crowd = self.children.values().filter(|child| child.slot == slot).count();
        assert!(crowd <= MAX_PROCESSES, "{crowd} processes in {slot}");
        crowd
    }

    fn places(&self) -> BTreeMap<Run, Place> {
        self.children.keys().filter_map(|run| Some((*run, self.fleet.place(*run)?.1))).collect()
    }
}
