//! Restarts by order, and successions of holders that are too fat, by name.

use super::super::slot::MAX_PROCESSES;
use super::super::*;
use super::plans::{ms, plan};
use super::world::World;

const FIRST: Slot = Slot::Worker(0);
const SECOND: Slot = Slot::Worker(1);

/// One worker too fat, its heir launching.
fn fat(workers: u8) -> (World, Run, Run) {
    let mut world = World::online(plan(workers));
    let holder = world.holder(FIRST);
    world.event(Event::TooFat(holder));
    let heir = world.heir(FIRST);
    (world, holder, heir)
}

impl World {
    fn view(&self, slot: Slot) -> SlotView {
        self.fleet.slots().find(|view| view.slot == slot).expect("a row")
    }
}

#[test]
fn a_restart_replaces_at_once_keeps_the_mask_and_is_answered_when_online() {
    let mut world = World::online(plan(2));
    let old = world.holder(FIRST);
    let ticket = world.order(Order::Restart(vec![FIRST, FIRST]));
    let new = world.holder(FIRST);
    assert!(world.children[&old].termed.is_some());
    assert_eq!((world.fleet.mask(), world.outcome(ticket)), (0b11, None));
    world.exit(old);
    world.come_up(new);
    assert_eq!((world.outcome(ticket), world.view(FIRST).restarts), (Some(Outcome::Done), 0));
}

#[test]
fn a_restart_that_names_nobody_means_every_worker_and_no_role() {
    let mut world = World::online(Plan { roles: RoleSet(1), ..plan(3) });
    let (old, role) = (world.holders(), world.holder(Slot::Role(0)));
    world.order(Order::Restart(vec![]));
    assert!(old.iter().all(|run| world.children[run].termed.is_some() == (*run != role)));
}

#[test]
fn a_restart_of_a_slot_that_is_not_wanted_touches_nobody() {
    let mut world = World::online(plan(1));
    for slot in [Slot::Worker(1), Slot::Role(0), Slot::Role(77)] {
        let ticket = world.order(Order::Restart(vec![FIRST, slot]));
        assert_eq!(world.outcome(ticket), Some(Outcome::Refused(Refusal::NoSuchSlot(slot))));
        assert_eq!(world.actions.len(), 1);
    }
}

impl World {
    fn finish(&mut self, run: Run) {
        self.try_finish(run).unwrap_or_else(|story| panic!("{story}"));
    }
}

#[test]
fn a_holder_that_is_done_leaves_its_slot_empty_until_a_restart_or_a_reload() {
    let mut world = World::online(plan(2));
    let (ticket, run) = (world.order(Order::Restart(vec![SECOND])), world.holder(FIRST));
    world.finish(run);
    assert_eq!((world.view(FIRST).status, world.fleet.mask()), (Status::Stopped, 0b10));
    assert!(world.news.contains(&News::Finished { slot: FIRST, run }));
    assert_eq!(world.outcome(ticket), None, "another slot's errand goes on");
    let new = world.holder(SECOND);
    world.come_up(new);
    assert_eq!(world.fleet.state(), ClusterState::Online, "nothing is wrong");
    world.jump();
    assert_eq!(world.view(FIRST).status, Status::Stopped, "no deadline brings it back");
    let ticket = world.order(Order::Restart(vec![FIRST]));
    world.come_up(world.holder(FIRST));
    assert_eq!((world.outcome(ticket), world.view(FIRST).restarts), (Some(Outcome::Done), 0));
    world.finish(world.holder(FIRST));
    world.reload(plan(2));
    world.come_up(world.heir(FIRST));
    world.come_up(world.heir(SECOND));
    assert_eq!(world.view(FIRST).status, Status::Online);
}

#[test]
fn one_that_is_done_before_the_first_start_is_over_has_failed_and_one_told_to_leave_has_left() {
    let mut world = World::online(plan(2));
    let old = world.holder(FIRST);
    world.order(Order::Restart(vec![FIRST]));
    world.finish(old);
    assert_eq!(world.view(FIRST).status, Status::Launching, "a leaver's code says nothing");
}

#[test]
fn a_restart_of_an_errored_slot_starts_it_with_a_clean_record() {
    let mut errored = plan(2);
    errored.worker.max_restarts = 2;
    let mut world = World::online(errored);
    world.exit(world.holder(FIRST));
    world.exit(world.holder(FIRST));
    world.jump();
    world.exit(world.holder(FIRST));
    assert_eq!((world.view(FIRST).status, world.fleet.mask()), (Status::Errored, 0b10));
    let ticket = world.order(Order::Restart(vec![FIRST]));
    assert_eq!(world.fleet.mask(), 0b10, "nobody read the slot, and nobody does yet");
    let run = world.holder(FIRST);
    world.come_up(run);
    assert_eq!((world.outcome(ticket), world.fleet.state()), (Some(Outcome::Done), ClusterState::Online));
    world.exit(run);
    assert_eq!(world.view(FIRST).status, Status::WaitingRestart, "one failure, not three");
}

#[test]
fn a_slot_full_of_processes_that_do_not_die_gets_no_datagrams_until_one_does() {
    let mut world = World::online(plan(2));
    for _ in 1..MAX_PROCESSES {
        world.order(Order::Restart(vec![FIRST]));
        world.come_up(world.holder(FIRST));
    }
    let ticket = world.order(Order::Restart(vec![FIRST]));
    assert_eq!(world.in_place(FIRST, Place::Holder), None, "there is no room for one more");
    assert_eq!((world.fleet.mask(), world.fleet.state()), (0b10, ClusterState::Degraded));
    world.exit(world.leaver(FIRST));
    world.come_up(world.holder(FIRST));
    assert_eq!((world.fleet.mask(), world.fleet.state()), (0b11, ClusterState::Online));
    assert_eq!(world.outcome(ticket), Some(Outcome::Done));
}

#[test]
fn a_replacement_that_fails_fails_the_restart_and_goes_on_as_a_crash() {
    let mut world = World::online(plan(2));
    let ticket = world.order(Order::Restart(vec![FIRST, SECOND]));
    let run = world.holder(SECOND);
    world.exit(run);
    assert_eq!(world.outcome(ticket), Some(Outcome::Failed(Failure::Died { slot: SECOND, run })));
    assert_eq!((world.fleet.mask(), world.fleet.state()), (0b01, ClusterState::Launching));
    world.come_up(world.holder(FIRST));
    assert_eq!((world.fleet.mask(), world.fleet.state()), (0b01, ClusterState::Degraded));
    world.calm();
    assert_eq!(world.fleet.state(), ClusterState::Online);
}

#[test]
fn a_restart_whose_slot_is_scaled_away_is_answered() {
    let mut world = World::online(plan(2));
    let ticket = world.order(Order::Restart(vec![SECOND]));
    world.scale(1);
    assert_eq!(world.outcome(ticket), Some(Outcome::Superseded));
}

#[test]
fn a_restart_above_a_slot_that_never_bound_starts_that_one_too() {
    let mut errored = plan(1);
    errored.worker.max_restarts = 1;
    let mut world = World::online(errored);
    world.scale(3);
    world.exit(world.holder(SECOND));
    assert_eq!(world.view(SECOND).status, Status::Errored);
    let ticket = world.order(Order::Restart(vec![Slot::Worker(2)]));
    world.calm();
    assert_eq!((world.outcome(ticket), world.fleet.state()), (Some(Outcome::Done), ClusterState::Online));
}

#[test]
fn restarts_without_end_do_not_pile_up_processes() {
    let mut world = World::online(plan(1));
    let tickets: Vec<Ticket> = (0..30).map(|_| world.order(Order::Restart(vec![]))).collect();
    assert_eq!(world.crowd(FIRST), 6, "no more start until somebody has left");
    assert_eq!(world.outcome(tickets[29]), Some(Outcome::Refused(Refusal::TooMany)));
    world.calm();
    assert_eq!((world.outcome(tickets[15]), world.crowd(FIRST)), (Some(Outcome::Done), 1));
}

#[test]
fn a_restart_of_a_worker_that_is_still_launching_waits_until_it_is_gone_if_it_may_bind() {
    let mut world = World::online(plan(1));
    world.scale(2);
    let run = world.holder(SECOND);
    world.order(Order::Restart(vec![SECOND]));
    assert_eq!(world.crowd(SECOND), 1, "two would bind one slot");
    world.exit(run);
    world.come_up(world.holder(SECOND));
    assert_eq!(world.steered, (2, 0b11));
}

#[test]
fn who_is_too_fat_leaves_when_its_heir_is_ready() {
    let (mut world, holder, heir) = fat(2);
    assert_eq!(world.children[&holder].termed, None);
    world.event(Event::TooFat(holder));
    assert_eq!(world.actions, [], "one heir is enough");
    world.come_up(heir);
    assert!(world.children[&holder].termed.is_some());
    assert_eq!((world.holder(FIRST), world.view(FIRST).restarts, world.fleet.mask()), (heir, 1, 0b11));
}

#[test]
fn if_the_heir_fails_the_fat_one_stays_and_is_left_alone_for_a_while() {
    let (mut world, holder, heir) = fat(1);
    world.exit(heir);
    for wait in [100, 150, 225] {
        world.event(Event::TooFat(holder));
        assert_eq!(world.in_place(FIRST, Place::Heir), None);
        world.pass(ms(wait));
        world.event(Event::TooFat(holder));
        world.exit(world.heir(FIRST));
    }
    assert_eq!((world.holder(FIRST), world.children[&holder].termed), (holder, None));
}

#[test]
fn a_late_heir_of_a_fat_one_is_killed_and_nobody_else() {
    let (mut world, holder, heir) = fat(1);
    assert_eq!(world.jump(), ms(3000));
    assert!(world.children[&heir].killed && !world.children[&holder].killed);
}

#[test]
fn the_heir_of_a_fat_one_that_dies_is_its_replacement() {
    let (mut world, holder, heir) = fat(2);
    world.exit(holder);
    assert_eq!((world.holder(FIRST), world.crowd(FIRST)), (heir, 1));
    assert_eq!((world.view(FIRST).restarts, world.fleet.mask()), (1, 0b11));
    world.exit(heir);
    assert_eq!(world.view(FIRST).status, Status::WaitingRestart);
}

/// Found by the random orders: the late heir was promoted after the clock had looked for late heirs.
#[test]
fn an_heir_that_is_late_when_its_holder_falls_silent_does_not_replace_it() {
    let (mut world, holder, _) = fat(1);
    world.jump();
    world.now = world.now.after(ms(10_000 - 3000 - 3000));
    world.event(Event::TooFat(holder));
    let heir = world.heir(FIRST);
    assert_eq!(world.jump(), ms(3000));
    assert!(world.children[&holder].killed && world.children[&heir].killed);
    assert!(![holder, heir].contains(&world.holder(FIRST)));
}

#[test]
fn a_reload_sends_the_heir_of_a_fat_one_away() {
    let (mut world, _, heir) = fat(1);
    world.reload(plan(1));
    assert!(world.children[&heir].termed.is_some());
    assert_eq!(world.children[&world.heir(FIRST)].generation, Generation(2));
    world.event(Event::TooFat(world.holder(FIRST)));
    assert_eq!(world.actions, [], "the reload replaces it anyway");
    world.calm();
    assert_eq!(world.fleet.generation(), Generation(2));
}

#[test]
fn a_restart_sends_the_heir_of_a_fat_one_away_too() {
    let (mut world, holder, heir) = fat(1);
    world.order(Order::Restart(vec![FIRST]));
    assert!([holder, heir].iter().all(|run| world.children[run].termed.is_some()));
    world.calm();
}
