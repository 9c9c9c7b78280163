//! Workers that have to be well, by name: READY alone, or life alone, is not enough; the health command has the last word.

use super::super::*;
use super::plans::{ms, plan, policy};
use super::world::World;

const SLOTS: [Slot; 2] = [Slot::Worker(0), Slot::Worker(1)];

fn checked(workers: u8, mute: bool) -> Plan {
    Plan { worker: Policy { checked: true, mute, watchdog: None, ..policy() }, ..plan(workers) }
}

impl World {
    /// All it can do by itself: bound, and READY if it says so.
    #[track_caller]
    fn all_but_well(&mut self, run: Run) {
        while !self.children[&run].asked {
            self.try_step(run).unwrap_or_else(|story| panic!("{story}"));
        }
    }

    /// The health command says so, whoever asked for it.
    #[track_caller]
    fn well(&mut self, run: Run) {
        self.try_say_healthy(run).unwrap_or_else(|story| panic!("{story}"));
    }

    fn asked(&self) -> Vec<Run> {
        self.fleet.unproven().map(|(_, run, _)| run).collect()
    }
}

#[test]
fn who_said_ready_is_asked_about_and_online_once_it_is_well() {
    let mut world = World::new(checked(1, false));
    world.clock();
    let run = world.holder(SLOTS[0]);
    world.well(run);
    world.event(Event::Ready(run));
    assert_eq!((world.fleet.state(), world.asked()), (ClusterState::Launching, vec![]), "not bound");
    world.all_but_well(run);
    assert_eq!((world.fleet.state(), world.asked()), (ClusterState::Launching, vec![run]));
    world.event(Event::Ready(run));
    assert_eq!(world.fleet.state(), ClusterState::Launching, "saying it twice helps nothing");
    world.well(run);
    assert_eq!((world.fleet.state(), world.asked()), (ClusterState::Online, vec![]));
}

#[test]
fn who_need_not_say_ready_is_asked_about_once_it_is_bound_and_its_life_proves_nothing() {
    let mut world = World::new(checked(1, true));
    world.clock();
    let run = world.holder(SLOTS[0]);
    world.all_but_well(run);
    world.pass(ms(2999));
    assert_eq!((world.fleet.state(), world.asked()), (ClusterState::Launching, vec![run]));
    world.well(run);
    assert_eq!(world.fleet.state(), ClusterState::Online);
}

#[test]
fn who_is_never_well_is_late() {
    for mute in [false, true] {
        let mut world = World::new(checked(1, mute));
        world.clock();
        let (slot, run) = (SLOTS[0], world.holder(SLOTS[0]));
        world.all_but_well(run);
        assert_eq!(world.jump(), ms(3000), "by its listen timeout, from its start on");
        assert_eq!(world.actions[0], Action::Tell(News::TooLate { slot, run }));
        assert_eq!(world.asked(), []);
        world.exit(run);
        assert_eq!(world.gone, Some(Verdict::NeverOnline(Failure::TooLate { slot, run })));
    }
}

#[test]
fn a_reload_whose_successors_are_not_well_touches_nobody_and_one_whose_are_commits() {
    let mut world = World::online(checked(2, false));
    let holders = world.holders();
    for well in [false, true] {
        let ticket = world.reload(checked(2, false));
        let heirs = SLOTS.map(|slot| world.heir(slot));
        heirs.iter().for_each(|&heir| world.all_but_well(heir));
        world.well(heirs[0]);
        assert_eq!((world.outcome(ticket), world.asked()), (None, vec![heirs[1]]));
        if well {
            world.well(heirs[1]);
            assert_eq!((world.holders(), world.fleet.generation()), (heirs.to_vec(), Generation(3)));
        } else {
            world.jump();
            let late = Failure::TooLate { slot: SLOTS[1], run: heirs[1] };
            assert_eq!(world.outcome(ticket), Some(Outcome::Failed(late)));
            assert_eq!((world.holders(), world.asked()), (holders.clone(), vec![]), "nobody was touched");
            world.calm();
        }
    }
}

#[test]
fn whose_health_can_never_be_asked_has_failed_at_once() {
    let mut world = World::new(checked(1, false));
    world.clock();
    let (slot, run) = (SLOTS[0], world.holder(SLOTS[0]));
    world.event(Event::NeverHealthy(run));
    assert_eq!(world.actions, [], "nobody has asked yet");
    world.all_but_well(run);
    world.event(Event::NeverHealthy(run));
    assert_eq!(world.actions[0], Action::Tell(News::TooLate { slot, run }));
    world.exit(run);
    assert_eq!(world.gone, Some(Verdict::NeverOnline(Failure::TooLate { slot, run })));
}

#[test]
fn an_heir_whose_health_can_never_be_asked_ends_the_reload_and_touches_nobody() {
    let mut world = World::online(checked(2, false));
    let holders = world.holders();
    world.event(Event::NeverHealthy(holders[0]));
    assert_eq!(world.actions, [], "nobody asks about who is online");
    let ticket = world.reload(checked(2, false));
    let (slot, run) = (SLOTS[1], world.heir(SLOTS[1]));
    world.all_but_well(run);
    world.event(Event::NeverHealthy(run));
    assert_eq!(world.outcome(ticket), Some(Outcome::Failed(Failure::TooLate { slot, run })));
    world.calm();
    assert_eq!((world.holders(), world.fleet.state()), (holders, ClusterState::Online));
}

#[test]
fn a_restart_that_is_never_well_counts_as_an_unstable_run() {
    let mut world = World::online(checked(1, false));
    world.exit(world.holder(SLOTS[0]));
    let run = world.holder(SLOTS[0]);
    world.all_but_well(run);
    world.jump();
    let waits = |action: &Action| matches!(action, Action::Tell(News::Waiting { unstable: 1, .. }));
    assert!(world.actions.iter().any(waits), "{:?}", world.actions);
}

#[test]
fn who_is_asked_about_is_asked_about_over_an_upgrade() {
    let mut world = World::online(checked(1, false));
    world.exit(world.holder(SLOTS[0]));
    let run = world.holder(SLOTS[0]);
    world.all_but_well(run);
    world.upgrade();
    assert_eq!(world.asked(), vec![run]);
    world.well(run);
    assert_eq!(world.fleet.state(), ClusterState::Online);
}
