//! What can happen next in a world, and what it does: every event by who causes it. Time has no length here: any
//! deadline may pass before any other, and whether a run was stable, or the last that is forgiven, is a choice.

use super::super::fleet::Op;
use super::super::orders::Waiting;
use super::super::slot::{Grace, Holder, Leaver, MAX_IDLE_DRAINS, Phase, Proc, Proof, Seat};
use super::super::*;
use super::plans::{ms, plan};
use super::who::{Who, run_of, seat_of, slot_of};
use super::world::World;

/// The time of every event but the clock's is this, and what is not due lies ahead of it.
const NOW: Tick = Tick(3_600_000_000_000);
const AHEAD: Tick = Tick(u64::MAX >> 1);
/// With so many unstable exits in a row, both a wait and the end can follow one.
const MAX_RESTARTS: u32 = 2;
/// What every plan in force is said to have asked for: a reload brings another number of workers, or the same.
const OF_THE_PLAN: u8 = MAX_WORKERS;
const ANY_FATE: [Fate; 3] = [Fate::Stable, Fate::Forgiven, Fate::Last];

/// How the end of a holder, or of a drainer, is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// After a stable run: another comes at once.
    Stable,
    /// Another comes after a while.
    Forgiven,
    /// One too many.
    Last,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Move {
    Bound(Who),
    Ready(Who),
    /// Its health command says so.
    Healthy(Who),
    /// It can never be asked.
    NeverHealthy(Who),
    Alive(Who),
    TooFat(Who),
    Exit(Who, Fate),
    /// A holder ends as one that wants no replacement.
    Finish(Slot),
    /// This deadline has passed, and no other.
    Due(Who, Fate),
    /// The wait for a restart is over.
    Waited(Slot),
    /// The kernel does not end somebody, and a reload has waited for it.
    Undying,
    /// Every deadline has passed: the supervisor itself was stopped for a while.
    AllDue,
    Closed(Slot),
    /// Less than before, or half a batch; or, one time too many, as much as before.
    StillQueued(Slot, Fate),
    Scale(u8),
    /// To a plan for so many workers; None: for as many as the plan in force, so that what `scale` set lasts.
    Reload(Option<u8>),
    Restart(Option<Slot>),
    Stop {
        now: bool,
    },
}

/// What is ordered, and how much of it may be open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Workers at the start, and the most that are ever wanted.
    pub(super) workers: u8,
    /// Roles beside them.
    pub(super) roles: u8,
    /// Orders that are open at a time; a stop comes whenever it likes.
    pub(super) orders: usize,
    /// Processes that are on their way out at a time.
    pub(super) leavers: usize,
    /// Workers need not say READY.
    pub(super) mute: bool,
    /// They have to be well.
    pub(super) checked: bool,
}

impl Bounds {
    fn plan(&self, workers: u8) -> Plan {
        let roles = RoleSet((1 << self.roles) - 1);
        let mut plan = Plan { roles, last: self.roles.checked_sub(1), ..plan(workers) };
        for policy in [&mut plan.worker, &mut plan.role] {
            policy.max_restarts = MAX_RESTARTS;
            policy.min_uptime = ms(1);
        }
        (plan.worker.mute, plan.worker.checked) = (self.mute, self.checked);
        plan
    }

    /// A world that begins, its first event behind it.
    pub(super) fn begin(&self, quiet: bool) -> Result<World, String> {
        let mut world = World::new(self.plan(self.workers));
        (world.quiet, world.now) = (quiet, NOW);
        world.try_event(Event::Clock)?;
        tidy(&mut world);
        Ok(world)
    }

    /// Whether every move is tried from here, and not those alone that lead back to rest.
    pub(super) fn include(&self, world: &World) -> bool {
        world.fleet.seats.values().map(|seat| seat.leavers.len()).sum::<usize>() <= self.leavers
    }

    /// Everything that can happen.
    pub(super) fn moves(&self, world: &World) -> Vec<Move> {
        let mut moves = Vec::new();
        if world.gone.is_some() {
            return moves;
        }
        for (&slot, seat) in &world.fleet.seats {
            of_slot(world, slot, seat, &mut moves);
        }
        let waits = world.fleet.errands.reload.as_ref().is_some_and(|aftermath| aftermath.until.is_some());
        moves.extend(waits.then_some(Move::Undying));
        moves.extend([Move::AllDue, Move::Stop { now: false }, Move::Stop { now: true }]);
        let open = world.asked.len() - world.answered.len();
        if open < self.orders {
            let numbers = 1..=self.workers;
            moves.extend(numbers.clone().map(Move::Scale));
            // While a reload to another number is open, that is the number of the plan that the next one will find.
            let to_another =
                |order: &Order| matches!(order, Order::Reload { plan, .. } if plan.workers != OF_THE_PLAN);
            moves.extend((!world.asked.values().any(to_another)).then_some(Move::Reload(None)));
            moves.extend(numbers.map(|workers| Move::Reload(Some(workers))));
            moves.push(Move::Restart(None));
            moves.extend(world.fleet.seats.keys().map(|&slot| Move::Restart(Some(slot))));
        }
        moves
    }

    /// Makes it happen in a frozen world; whatever does not hold is the error.
    pub(super) fn make(&self, world: &mut World, step: Move) -> Result<(), String> {
        match step {
            Move::Bound(who) => {
                let (slot, run) = (slot_of(who), run_of(world, who));
                if let Slot::Worker(index) = slot
                    && !world.sockets.contains(&index)
                {
                    world.bind(index)?;
                }
                world.try_say_bound(run)?;
            }
            Move::Ready(who) => world.try_say_ready(run_of(world, who))?,
            Move::Healthy(who) => world.try_say_healthy(run_of(world, who))?,
            Move::NeverHealthy(who) => world.try_event(Event::NeverHealthy(run_of(world, who)))?,
            Move::Alive(who) => world.try_event(Event::Alive(run_of(world, who)))?,
            Move::TooFat(who) => world.try_event(Event::TooFat(run_of(world, who)))?,
            Move::Exit(who, fate) => {
                let run = run_of(world, who);
                judge(seat_of(world, who), fate);
                world.try_exit(run)?;
            }
            Move::Finish(slot) => world.try_finish(run_of(world, Who::Holder(slot)))?,
            Move::Due(who, fate) => {
                judge(seat_of(world, who), fate);
                clock(world, |other| other == who)?;
            }
            Move::Waited(slot) => clock(world, |who| who == Who::Holder(slot))?,
            Move::Undying => {
                set_until(world, NOW);
                clock(world, |_| false)?;
            }
            Move::AllDue => {
                set_until(world, NOW);
                clock(world, |_| true)?;
            }
            Move::Closed(slot) => world.try_answer_close(slot, false)?,
            Move::StillQueued(slot, fate) => {
                judge(world.fleet.seats.get_mut(&slot).expect("a slot that is there"), fate);
                world.try_answer_close(slot, true)?;
            }
            Move::Scale(workers) => _ = world.try_order(Order::Scale(Scale::To(workers)))?,
            Move::Reload(workers) => {
                let order = world.reload_order(self.plan(workers.unwrap_or(OF_THE_PLAN)));
                world.try_order(order)?;
            }
            Move::Restart(slot) => _ = world.try_order(Order::Restart(slot.into_iter().collect()))?,
            Move::Stop { now } => _ = world.try_order(Order::Stop { now })?,
        }
        tidy(world);
        Ok(())
    }
}

/// A step of somebody who obeys and does not fail, or the end of a wait: all that is needed to come to rest.
pub(super) fn leads_to_rest(step: Move) -> bool {
    match step {
        Move::Bound(who) | Move::Ready(who) | Move::Healthy(who) | Move::Alive(who) => {
            !matches!(who, Who::Leaver(..))
        }
        Move::Exit(who, _) => matches!(who, Who::Leaver(..)),
        Move::Closed(_) | Move::Waited(_) => true,
        Move::Due(..)
        | Move::AllDue
        | Move::Undying
        | Move::TooFat(_)
        | Move::NeverHealthy(_)
        | Move::StillQueued(..)
        | Move::Finish(_) => false,
        Move::Scale(_) | Move::Reload(_) | Move::Restart(_) | Move::Stop { .. } => false,
    }
}

fn of_slot(world: &World, slot: Slot, seat: &Seat, moves: &mut Vec<Move>) {
    let unbound = matches!(slot, Slot::Worker(_)) && !seat.bound;
    match &seat.holder {
        Holder::Held(proc) => {
            of_holder(slot, proc.phase, &ANY_FATE[usize::from(!proc.is_online())..], moves);
            let excused = matches!(proc.phase, Phase::Online { silent_at: None, .. });
            moves.push(Move::Finish(slot));
            moves.extend(excused.then_some(Move::Alive(Who::Holder(slot))));
            moves.extend(may_be_fat(world, seat).then_some(Move::TooFat(Who::Holder(slot))));
        }
        Holder::Draining(proc) => {
            of_holder(slot, proc.phase, &[Fate::Forgiven], moves);
            moves.extend(proc.is_online().then_some(Move::Alive(Who::Holder(slot))));
        }
        Holder::Waiting { .. } => moves.push(Move::Waited(slot)),
        Holder::Closing => {
            moves.push(Move::Closed(slot));
            let socket = world.sockets.iter().any(|&index| slot == Slot::Worker(index));
            if socket {
                moves.extend(ANY_FATE[1..].iter().map(|&fate| Move::StillQueued(slot, fate)));
            }
        }
        Holder::Empty(_) | Holder::Errored | Holder::Finished => {}
    }
    let holder = seat.holder_proc().map(|proc| (proc, Who::Holder(slot)));
    let heir = seat.heir.as_ref().map(|proc| (proc, Who::Heir(slot)));
    for (_, who) in holder.into_iter().chain(heir).filter(|(proc, _)| proc.is_unproven()) {
        moves.extend([Move::Healthy(who), Move::NeverHealthy(who)]);
    }
    let mut others = Vec::new();
    if let Some(heir) = &seat.heir {
        let who = Who::Heir(slot);
        others.push(who);
        if !heir.is_online() {
            moves.extend([Move::Ready(who), Move::Due(who, Fate::Forgiven)]);
        }
    }
    for (grace, old) in [(true, true), (true, false), (false, true), (false, false)] {
        // Of several that are alike, one speaks for all.
        let alike = |leaver: &Leaver| {
            (leaver.grace != Grace::Killed) == grace && (leaver.generation < world.fleet.generation) == old
        };
        let Some(index) = seat.leavers.iter().position(alike) else { continue };
        let who = Who::Leaver(slot, index);
        others.push(who);
        moves.extend(grace.then_some(Move::Due(who, Fate::Forgiven)));
    }
    moves.extend(others.iter().map(|&who| Move::Exit(who, Fate::Forgiven)));
    let holder = seat.holder_proc().map(|_| Who::Holder(slot));
    let counts = |who: &Who| unbound || waits_to_begin(seat, *who);
    moves.extend(others.into_iter().chain(holder).filter(counts).map(Move::Bound));
}

/// It need not say READY, but that its slot is bound; by its life, or for its health.
fn waits_to_begin(seat: &Seat, who: Who) -> bool {
    let proc = match who {
        Who::Holder(_) => seat.holder_proc(),
        Who::Heir(_) => seat.heir.as_ref(),
        Who::Leaver(..) => None,
    };
    proc.is_some_and(|proc| {
        matches!(proc.phase, Phase::Launching { proof: Proof::Life(_) | Proof::BoundAndHealth, .. })
    })
}

/// Something could follow from that a holder is too fat.
pub(super) fn may_be_fat(world: &World, seat: &Seat) -> bool {
    matches!(world.fleet.op, Op::Steady) && seat.is_online() && seat.heir.is_none()
}

fn of_holder(slot: Slot, phase: Phase, fates: &[Fate], moves: &mut Vec<Move>) {
    let who = Who::Holder(slot);
    moves.extend(fates.iter().map(|&fate| Move::Exit(who, fate)));
    let may_be_due = match phase {
        Phase::Launching { .. } => {
            moves.push(Move::Ready(who));
            true
        }
        Phase::Online { silent_at, .. } => silent_at.is_some(),
    };
    moves.extend(fates.iter().filter(|_| may_be_due).map(|&fate| Move::Due(who, fate)));
}

/// Every deadline of a slot, and whose it is.
fn deadlines(slot: Slot, seat: &mut Seat) -> Vec<(Who, &mut Tick)> {
    fn of_phase(phase: &mut Phase) -> Option<&mut Tick> {
        match phase {
            Phase::Launching { until, .. } => Some(until),
            Phase::Online { silent_at, .. } => silent_at.as_mut(),
        }
    }
    let holder = match &mut seat.holder {
        Holder::Held(proc) | Holder::Draining(proc) => of_phase(&mut proc.phase),
        Holder::Waiting { until } => Some(until),
        Holder::Empty(_) | Holder::Errored | Holder::Finished | Holder::Closing => None,
    };
    let heir = seat.heir.as_mut().and_then(|heir| of_phase(&mut heir.phase));
    let leavers = seat.leavers.iter_mut().enumerate().filter_map(|(index, leaver)| match &mut leaver.grace {
        Grace::Until(tick) => Some((Who::Leaver(slot, index), tick)),
        Grace::Killed => None,
    });
    let holder = holder.map(|tick| (Who::Holder(slot), tick)).into_iter();
    holder.chain(heir.map(|tick| (Who::Heir(slot), tick))).chain(leavers).collect()
}

fn set_until(world: &mut World, tick: Tick) {
    let until = world.fleet.errands.reload.as_mut().and_then(|aftermath| aftermath.until.as_mut());
    until.into_iter().for_each(|until| *until = tick);
}

/// Nothing is due, and nobody has been online for long.
pub(super) fn freeze(world: &mut World) {
    set_until(world, AHEAD);
    for (&slot, seat) in &mut world.fleet.seats {
        deadlines(slot, seat).into_iter().for_each(|(_, tick)| *tick = AHEAD);
        assert!(seat.deadline().is_none_or(|tick| tick == AHEAD), "a deadline that nobody knows: {seat:?}");
        (seat.unstable, seat.idle_drains, seat.fat_until) = (0, 0, Tick(0));
        set_since(seat, NOW);
    }
    for child in world.children.values_mut() {
        let past = child.termed.iter_mut().chain(&mut child.said_bound);
        past.for_each(|tick| *tick = NOW);
    }
}

fn set_since(seat: &mut Seat, tick: Tick) {
    match &mut seat.holder {
        Holder::Held(Proc { phase: Phase::Online { since, .. }, .. }) => *since = tick,
        Holder::Held(_)
        | Holder::Draining(_)
        | Holder::Empty(_)
        | Holder::Waiting { .. }
        | Holder::Errored
        | Holder::Finished
        | Holder::Closing => {}
    }
}

fn judge(seat: &mut Seat, fate: Fate) {
    match fate {
        Fate::Stable => set_since(seat, Tick(0)),
        Fate::Forgiven => (seat.unstable, seat.idle_drains) = (0, 0),
        Fate::Last => (seat.unstable, seat.idle_drains) = (MAX_RESTARTS - 1, MAX_IDLE_DRAINS - 1),
    }
}

/// The clock, when these deadlines have passed. Whoever is to be killed was told to leave long ago.
fn clock(world: &mut World, is_due: impl Fn(Who) -> bool) -> Result<(), String> {
    let World { fleet, children, .. } = world;
    let mut lived = Vec::new();
    for (&slot, seat) in &mut fleet.seats {
        let runs: Vec<Run> = seat.leavers.iter().map(|leaver| leaver.run).collect();
        for (who, tick) in deadlines(slot, seat).into_iter().filter(|(who, _)| is_due(*who)) {
            *tick = NOW;
            match who {
                Who::Leaver(_, index) => {
                    children.entry(runs[index]).and_modify(|child| child.termed = Some(Tick(0)));
                }
                Who::Holder(_) | Who::Heir(_) => lived.push(who),
            }
        }
    }
    for who in lived {
        let run = match who {
            Who::Holder(slot) => world.in_place(slot, Place::Holder),
            Who::Heir(slot) => world.in_place(slot, Place::Heir),
            Who::Leaver(..) => None,
        };
        let child = run.and_then(|run| world.children.get_mut(&run));
        child.into_iter().filter_map(|child| child.said_bound.as_mut()).for_each(|bound| *bound = Tick(0));
    }
    world.try_event(Event::Clock)
}

/// Forgets what is over, so that a long path is no longer to copy than a short one. A restart by order excuses what
/// happens when its turn comes, and no longer.
fn tidy(world: &mut World) {
    world.fleet.plan.workers = OF_THE_PLAN;
    world.dead.clear();
    world.actions.clear();
    world.news.retain(|news| *news == News::AllOnline);
    for ticket in std::mem::take(&mut world.answered).into_keys() {
        world.asked.remove(&ticket);
    }
    world.restarts_due.clear();
    for (_, waiting) in &world.fleet.queue.0 {
        let Waiting::Restart(slots) = waiting else { continue };
        let every_worker = world.fleet.seats.keys().filter(|slot| matches!(slot, Slot::Worker(_)));
        let slots: Vec<Slot> = if slots.is_empty() { every_worker.copied().collect() } else { slots.clone() };
        slots.into_iter().for_each(|slot| *world.restarts_due.entry(slot).or_default() += 1);
    }
}
