//! Workers that need not say READY, by name: who has lived for `min_uptime` with its slot bound counts as READY.

use super::super::*;
use super::plans::{ms, plan, policy};
use super::world::World;

const SLOTS: [Slot; 2] = [Slot::Worker(0), Slot::Worker(1)];

fn mute(workers: u8) -> Plan {
    Plan { worker: Policy { mute: true, watchdog: None, ..policy() }, ..plan(workers) }
}

impl World {
    /// Bound, and not a word more.
    #[track_caller]
    fn begin(&mut self, run: Run) {
        while self.children[&run].said_bound.is_none() {
            self.try_step(run).unwrap_or_else(|story| panic!("{story}"));
        }
    }
}

#[test]
fn who_lives_for_min_uptime_counts_as_ready_and_not_before() {
    let mut world = World::new(mute(2));
    world.clock();
    for slot in SLOTS {
        world.pass(ms(400)); // what its launcher takes does not count
        world.begin(world.holder(slot));
    }
    assert_eq!((world.jump(), world.fleet.state()), (ms(600), ClusterState::Launching));
    assert_eq!((world.jump(), world.fleet.state()), (ms(400), ClusterState::Online));
    assert_eq!(world.fleet.deadline(), None);
}

#[test]
fn who_dies_before_ends_a_first_start() {
    let mut world = World::new(mute(1));
    world.clock();
    let (slot, run) = (SLOTS[0], world.holder(SLOTS[0]));
    world.begin(run);
    world.pass(ms(999));
    world.exit(run);
    assert_eq!(world.gone, Some(Verdict::NeverOnline(Failure::Died { slot, run })));
}

#[test]
fn a_word_counts_at_once() {
    let mut world = World::new(mute(1));
    world.clock();
    world.event(Event::Ready(world.holder(SLOTS[0])));
    assert_eq!(world.fleet.state(), ClusterState::Launching, "its slot is not bound");
    world.come_up(world.holder(SLOTS[0]));
    assert_eq!(world.fleet.state(), ClusterState::Online);
}

#[test]
fn who_is_not_bound_in_time_is_late() {
    let mut world = World::new(mute(1));
    world.clock();
    assert_eq!(world.jump(), ms(3000));
    assert!(matches!(world.actions[0], Action::Tell(News::TooLate { .. })), "{:?}", world.actions);
}

#[test]
fn an_heir_that_dies_before_fails_its_reload_and_one_that_lives_takes_over() {
    let mut world = World::online(mute(2));
    let holders = world.holders();
    for dies in [true, false] {
        let ticket = world.reload(mute(2));
        let heirs = SLOTS.map(|slot| world.heir(slot));
        heirs.iter().for_each(|&heir| world.begin(heir));
        world.pass(ms(999));
        assert_eq!((world.outcome(ticket), world.fleet.generation()), (None, Generation(1)));
        if dies {
            world.exit(heirs[1]);
            let died = Failure::Died { slot: SLOTS[1], run: heirs[1] };
            assert_eq!(world.outcome(ticket), Some(Outcome::Failed(died)));
            assert_eq!(world.holders(), holders, "nobody was touched");
            world.calm();
        } else {
            world.pass(ms(1));
            assert_eq!((world.holders(), world.fleet.generation()), (heirs.to_vec(), Generation(3)));
        }
    }
}

#[test]
fn who_counts_as_ready_by_its_life_is_stable() {
    let mut world = World::online(mute(1));
    world.exit(world.holder(SLOTS[0]));
    let run = world.holder(SLOTS[0]);
    world.begin(run);
    world.pass(ms(1000));
    world.exit(run);
    assert!(
        world.actions.contains(&Action::Tell(News::RestartNow { slot: SLOTS[0], run })),
        "{:?}",
        world.actions
    );
    let young = world.holder(SLOTS[0]);
    world.begin(young);
    world.pass(ms(999));
    world.exit(young);
    assert!(
        matches!(world.actions[0], Action::Tell(News::Waiting { unstable: 1, .. })),
        "{:?}",
        world.actions
    );
}
