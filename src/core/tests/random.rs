//! Random orders of events against the world. `CORE_CASES=100000 cargo test --release core` for a long run.

use super::super::*;
use super::plans::{ms, plan};
use super::world::World;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// Where a world begins.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) workers: u8,
    pub(super) roles: u32,
    pub(super) max_restarts: u32,
    pub(super) watchdog: bool,
    /// The first start is over.
    pub(super) booted: bool,
    /// Slots whose sockets a supervisor before us left in a store.
    pub(super) adopted: u8,
    /// Workers have to be well, too. Not thrown: a test of its own says so.
    pub(super) checked: bool,
}

/// What happens next. A `usize` picks one of those there are.
#[derive(Clone, Debug)]
pub(super) enum Move {
    /// A healthy process takes its next step: bind, say so, READY, WATCHDOG; obey.
    Step(usize),
    Die(usize),
    SayBound(usize),
    SayReady(usize),
    SayAlive(usize),
    SayFat(usize),
    /// One that was reaped long ago speaks.
    Ghost(usize),
    AnswerClose {
        queued: bool,
    },
    /// Time passes; the healthy say that they are alive.
    Wait(u64),
    /// To the next deadline, in silence.
    Jump,
    Scale(Scale),
    Reload {
        workers: u8,
        roles: u32,
    },
    Restart(Vec<Slot>),
    Stop {
        now: bool,
    },
    /// The supervisor replaces itself: the fleet goes on from its frozen self.
    Upgrade,
}

pub(super) fn setup() -> impl Strategy<Value = Setup> {
    let (max_restarts, adopted) =
        (prop_oneof![Just(0u32), Just(3)], prop_oneof![3 => Just(0u8), 1 => 1..=6u8]);
    (1..=4u8, 0..4u32, max_restarts, any::<bool>(), prop::bool::weighted(0.9), adopted).prop_map(
        |(workers, roles, max_restarts, watchdog, booted, adopted)| Setup {
            workers,
            roles,
            max_restarts,
            watchdog,
            booted,
            adopted,
            checked: false,
        },
    )
}

fn any_slot() -> impl Strategy<Value = Slot> {
    prop_oneof![4 => (0..6u8).prop_map(Slot::Worker), 1 => (0..3u8).prop_map(Slot::Role)]
}

pub(super) fn any_move() -> impl Strategy<Value = Move> {
    let pick = any::<u16>().prop_map(usize::from);
    let scale = prop_oneof![
        4 => (0..=6u8).prop_map(Scale::To),
        1 => (0..=3u8).prop_map(Scale::Up),
        1 => (0..=3u8).prop_map(Scale::Down),
    ];
    prop_oneof![
        50 => pick.clone().prop_map(Move::Step),
        5 => pick.clone().prop_map(Move::Die),
        1 => pick.clone().prop_map(Move::SayBound),
        2 => pick.clone().prop_map(Move::SayReady),
        1 => pick.clone().prop_map(Move::SayAlive),
        3 => pick.clone().prop_map(Move::SayFat),
        1 => pick.prop_map(Move::Ghost),
        5 => prop::bool::weighted(0.3).prop_map(|queued| Move::AnswerClose { queued }),
        8 => (0..60u64).prop_map(Move::Wait),
        4 => Just(Move::Jump),
        5 => scale.prop_map(Move::Scale),
        4 => (1..=5u8, 0..4u32).prop_map(|(workers, roles)| Move::Reload { workers, roles }),
        3 => prop::collection::vec(any_slot(), 0..3).prop_map(Move::Restart),
        1 => prop::bool::weighted(0.5).prop_map(|now| Move::Stop { now }),
        3 => Just(Move::Upgrade),
    ]
}

impl Setup {
    /// Workers need not say READY, and not all do. Not thrown: the committed seeds would tell other stories.
    fn is_mute(&self) -> bool {
        self.adopted & 1 == 1
    }

    /// Short times, so that all of them play a part.
    fn plan(&self, workers: u8, roles: u32) -> Plan {
        let mut plan = Plan {
            roles: RoleSet(roles),
            last: roles.checked_ilog2().map(|last| last as u8),
            ..plan(workers)
        };
        for policy in [&mut plan.worker, &mut plan.role] {
            policy.listen_timeout = ms(300);
            policy.kill_timeout = ms(160);
            policy.min_uptime = ms(100);
            policy.backoff_start = ms(10);
            policy.backoff_max = ms(150);
            policy.max_restarts = self.max_restarts;
            policy.watchdog = self.watchdog.then_some(ms(1000));
        }
        (plan.worker.mute, plan.worker.checked) = (self.is_mute(), self.checked);
        plan
    }
}

fn apply(world: &mut World, setup: &Setup, step: &Move) -> Result<(), String> {
    let pick = |world: &World, number: usize| {
        let count = world.children.len();
        (count > 0).then(|| *world.children.keys().nth(number % count).expect("one of them"))
    };
    match *step {
        Move::Step(number) => pick(world, number).map_or(Ok(()), |run| world.try_step(run)),
        Move::Die(number) => pick(world, number).map_or(Ok(()), |run| world.try_exit(run)),
        Move::SayBound(number) => pick(world, number).map_or(Ok(()), |run| world.try_say_bound(run)),
        // Every other word is the health command's; as often it comes when nobody asks.
        Move::SayReady(number) if setup.checked && number & 1 == 1 => {
            pick(world, number).map_or(Ok(()), |run| world.try_say_healthy(run))
        }
        Move::SayReady(number) => pick(world, number).map_or(Ok(()), |run| world.try_say_ready(run)),
        Move::SayAlive(number) => {
            pick(world, number).map_or(Ok(()), |run| world.try_event(Event::Alive(run)))
        }
        Move::SayFat(number) => pick(world, number).map_or(Ok(()), |run| world.try_event(Event::TooFat(run))),
        Move::Ghost(number) => ghost(world, number),
        Move::AnswerClose { queued } => {
            let slot = world.closing.iter().next_back().copied();
            slot.map_or(Ok(()), |slot| world.try_answer_close(slot, queued))
        }
        Move::Wait(millis) => world.try_pass(ms(millis)),
        Move::Jump => {
            world.now = world.fleet.deadline().map_or(world.now, |tick| tick.max(world.now));
            world.try_event(Event::Clock)
        }
        Move::Scale(scale) => world.try_order(Order::Scale(scale)).map(drop),
        Move::Reload { workers, roles } => {
            let order = world.reload_order(setup.plan(workers, roles));
            world.try_order(order).map(drop)
        }
        Move::Restart(ref slots) => world.try_order(Order::Restart(slots.clone())).map(drop),
        Move::Stop { now } => world.try_order(Order::Stop { now }).map(drop),
        Move::Upgrade => {
            world.upgrade();
            Ok(())
        }
    }
}

impl World {
    /// Freezes the fleet, and goes on with what is thawed from it.
    pub(super) fn upgrade(&mut self) {
        let frozen = serde_json::to_string(&self.fleet).expect("a fleet can be frozen");
        self.fleet = serde_json::from_str(&frozen).expect("what was frozen can be thawed");
        assert_eq!(serde_json::to_string(&self.fleet).expect("again"), frozen);
    }
}

fn ghost(world: &mut World, number: usize) -> Result<(), String> {
    let count = world.dead.len();
    let Some(&run) = world.dead.iter().nth(number % count.max(1)) else { return Ok(()) };
    for event in [
        Event::Bound(run),
        Event::Ready(run),
        Event::Healthy(run),
        Event::NeverHealthy(run),
        Event::Alive(run),
        Event::TooFat(run),
        Event::Exited(run),
        Event::Finished(run),
    ] {
        let before = format!("{:?}", world.fleet);
        world.try_event(event)?;
        if format!("{:?}", world.fleet) != before {
            return Err(format!("{run:?} is dead, and its word counted"));
        }
    }
    Ok(())
}

/// After calm: every slot that is wanted is held by the generation in force, or errored; nobody else lives.
pub(super) fn converged(world: &World) -> Result<(), String> {
    let wanted = usize::from(world.fleet.wanted()) + world.fleet.plan().roles.slots().count();
    let (mut rows, mut online, mut mask, mut all) = (0, 0, 0, 0);
    for view in world.fleet.slots() {
        rows += 1;
        let bit = match view.slot {
            Slot::Worker(index) => 1 << index,
            Slot::Role(_) => 0,
        };
        match view.status {
            Status::Online if view.generation == world.fleet.generation() => {
                (online, mask) = (online + 1, mask | bit)
            }
            Status::Errored | Status::Stopped => {}
            _ => return Err(format!("after calm: {view:?}, {:?} is in force", world.fleet.generation())),
        }
        all |= if matches!(view.slot, Slot::Worker(index) if world.told.contains(&index)) { bit } else { 0 };
    }
    let mask = if mask == 0 { all } else { mask };
    let right = rows == wanted && world.children.len() == online && (world.fleet.mask() == mask || all == 0);
    if right && world.asked.len() == world.answered.len() {
        Ok(())
    } else {
        Err("it does not converge".into())
    }
}

pub(super) fn play(setup: &Setup, moves: &[Move]) -> Result<World, String> {
    let mut world = World::adopting(setup.plan(setup.workers, setup.roles), setup.adopted);
    // Neither is thrown: the committed seeds would tell other stories.
    (world.parks, world.mute) = (setup.roles & 1 == 1, setup.is_mute());
    world.try_event(Event::Clock)?;
    if setup.booted {
        world.try_calm()?;
    }
    world.chapter("whatever happens");
    for step in moves {
        apply(&mut world, setup, step)?;
    }
    world.chapter("from here everybody obeys, and nobody fails");
    world.try_calm()?;
    if world.gone.is_none() {
        world.chapter("a stop");
        converged(&world).map_err(|broken| format!("{broken}\n{}", world.story.join("\n")))?;
        let last = world.try_order(Order::Stop { now: false })?;
        world.try_calm()?;
        if world.outcome(last) != Some(Outcome::Done) {
            return Err(format!("stop ends with {:?}", world.outcome(last)));
        }
    }
    match world.gone {
        Some(_) if world.fleet.is_over() && world.asked.len() == world.answered.len() => Ok(world),
        _ => Err(format!("it does not end\n{}", world.story.join("\n"))),
    }
}

fn config() -> ProptestConfig {
    let cases = std::env::var("CORE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(4000);
    ProptestConfig {
        cases,
        max_shrink_iters: 20_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("proptest-regressions"))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_order_of_events_ends_well(setup in setup(), moves in prop::collection::vec(any_move(), 0..160)) {
        play(&setup, &moves).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn and_so_it_does_where_workers_have_to_be_well(
        setup in setup(),
        moves in prop::collection::vec(any_move(), 0..160),
    ) {
        play(&Setup { checked: true, ..setup }, &moves).map_err(TestCaseError::fail)?;
    }
}
