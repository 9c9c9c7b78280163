//! The end of a reload: what it replaced leaves, by name.

use super::super::*;
use super::plans::{ms, plan, policy};
use super::world::World;

const SLOTS: [Slot; 3] = [Slot::Worker(0), Slot::Worker(1), Slot::Worker(2)];

#[test]
fn a_reload_to_fewer_workers_is_over_when_the_surplus_slots_are_retired() {
    for fails in [false, true] {
        let mut world = World::online(plan(3));
        let ticket = world.reload(plan(1));
        world.heirs_come_up();
        world.leavers_go();
        world.answer_close(SLOTS[2], false);
        assert_eq!((world.outcome(ticket), world.fleet.state()), (None, ClusterState::Reloading));
        world.answer_close(SLOTS[1], true);
        let drainer = world.holder(SLOTS[1]);
        if fails {
            world.exit(drainer);
            assert_eq!(
                world.outcome(ticket),
                Some(Outcome::Done),
                "it came about, and the slot is emptied yet"
            );
            continue;
        }
        world.come_up(drainer);
        world.event(Event::Alive(drainer));
        world.exit(drainer);
        assert_eq!(world.outcome(ticket), None);
        world.answer_close(SLOTS[1], false);
        assert_eq!((world.outcome(ticket), world.fleet.state()), (Some(Outcome::Done), ClusterState::Online));
    }
}

#[test]
fn orders_wait_for_the_end_of_a_reload_and_a_stop_does_not() {
    let mut world = World::online(plan(2));
    let reload = world.reload(plan(2));
    world.heirs_come_up();
    let (scale, again) = (world.scale(3), world.reload(plan(2)));
    assert_eq!((world.fleet.wanted(), world.fleet.is_steady()), (2, false));
    let stop = world.order(Order::Stop { now: false });
    let superseded = Some(Outcome::Superseded);
    assert_eq!([scale, again].map(|ticket| world.outcome(ticket)), [superseded, superseded]);
    assert_eq!(world.outcome(reload), Some(Outcome::Done), "its heirs have taken over");
    world.calm();
    assert_eq!(world.outcome(stop), Some(Outcome::Done));
}

#[test]
fn a_holder_that_no_kill_ends_is_waited_for_two_kill_timeouts() {
    let mut world = World::online(Plan { worker: Policy { watchdog: None, ..policy() }, ..plan(2) });
    let ticket = world.reload(Plan { worker: Policy { watchdog: None, ..policy() }, ..plan(2) });
    world.heirs_come_up();
    let undying = world.leaver(SLOTS[1]);
    world.exit(world.leaver(SLOTS[0]));
    assert_eq!(world.jump(), ms(1600));
    assert_eq!((world.children[&undying].killed, world.outcome(ticket)), (true, None));
    assert_eq!((world.jump(), world.outcome(ticket)), (ms(1600), Some(Outcome::Done)));
    assert_eq!((world.fleet.state(), world.fleet.deadline()), (ClusterState::Online, None));
}
