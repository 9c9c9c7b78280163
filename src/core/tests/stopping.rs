//! First starts that fail, and stops, by name.

use super::super::*;
use super::plans::{ms, plan};
use super::world::World;

const SLOTS: [Slot; 2] = [Slot::Worker(0), Slot::Worker(1)];

impl World {
    #[track_caller]
    fn expect_all(&self, sign: impl Fn(&super::world::Child) -> bool) {
        assert!(self.children.values().all(sign), "{:?}", self.children);
    }

    #[track_caller]
    fn everybody_leaves(&mut self) {
        for run in self.children.keys().copied().collect::<Vec<_>>() {
            assert_eq!(self.gone, None);
            self.exit(run);
        }
    }
}

#[test]
fn a_stop_tells_everybody_kills_who_stays_and_is_gone_with_the_last() {
    let mut world = World::online(Plan { roles: RoleSet(1), ..plan(2) });
    let ticket = world.order(Order::Stop { now: false });
    world.expect_all(|child| child.termed.is_some());
    assert_eq!(world.jump(), ms(1600));
    world.expect_all(|child| child.killed);
    world.everybody_leaves();
    assert_eq!(world.actions, [Action::Answer(ticket, Outcome::Done), Action::Gone(Verdict::Stopped)]);
    let late = world.order(Order::Stop { now: true });
    assert_eq!(world.outcome(late), Some(Outcome::Refused(Refusal::Stopping)));
}

#[test]
fn who_leaves_last_is_told_when_everybody_else_is_gone() {
    let mut world = World::online(Plan { roles: RoleSet(0b11), last: Some(1), ..plan(2) });
    world.order(Order::Stop { now: false });
    let is_last = |child: &super::world::Child| child.slot == Slot::Role(1);
    let told: Vec<_> = world.children.values().filter(|child| child.termed.is_some()).collect();
    assert!(told.len() == 3 && !told.into_iter().any(is_last));
    let others: Vec<Run> =
        world.children.iter().filter(|(_, child)| !is_last(child)).map(|(&run, _)| run).collect();
    others.into_iter().for_each(|run| world.exit(run));
    assert_eq!(world.gone, None);
    world.expect_all(|child| child.termed.is_some() && !child.killed);
    assert_eq!(world.jump(), ms(1600));
    world.expect_all(|child| child.killed);
    world.everybody_leaves();
    assert_eq!(world.gone, Some(Verdict::Stopped));
}

#[test]
fn a_second_stop_kills_at_once_and_takes_over_the_answer() {
    let mut world = World::online(plan(2));
    let first = world.order(Order::Stop { now: false });
    let second = world.order(Order::Stop { now: false });
    world.expect_all(|child| child.killed);
    let third = world.order(Order::Stop { now: true });
    world.everybody_leaves();
    let superseded = Some(Outcome::Superseded);
    assert_eq!(
        [first, second, third].map(|ticket| world.outcome(ticket)),
        [superseded, superseded, Some(Outcome::Done)]
    );
}

#[test]
fn a_stop_at_once_sends_no_term() {
    let mut world = World::online(plan(2));
    world.order(Order::Restart(vec![SLOTS[0]]));
    world.order(Order::Stop { now: true });
    world.expect_all(|child| child.killed);
    assert_eq!(world.children.values().filter(|child| child.termed.is_some()).count(), 1, "the restart's");
    world.everybody_leaves();
    assert_eq!(world.gone, Some(Verdict::Stopped));
}

#[test]
fn a_stop_during_a_reload_ends_both_generations_and_answers_everybody() {
    let mut world = World::online(plan(2));
    let restart = world.order(Order::Restart(vec![SLOTS[1]]));
    let waiting = [world.reload(plan(2)), world.scale(4), world.order(Order::Restart(vec![]))];
    world.come_up(world.heir(SLOTS[0]));
    let stop = world.order(Order::Stop { now: false });
    world.expect_all(|child| child.termed.is_some());
    for ticket in waiting.into_iter().chain([restart]) {
        assert_eq!(world.outcome(ticket), Some(Outcome::Superseded));
    }
    let late = world.scale(3);
    assert_eq!(world.outcome(late), Some(Outcome::Refused(Refusal::Stopping)));
    world.everybody_leaves();
    assert_eq!((world.outcome(stop), world.gone), (Some(Outcome::Done), Some(Verdict::Stopped)));
}

#[test]
fn a_stop_waits_for_the_answer_to_close() {
    for queued in [false, true] {
        let mut world = World::online(plan(2));
        world.scale(1);
        world.exit(world.leaver(SLOTS[1]));
        world.order(Order::Stop { now: true });
        world.exit(world.leaver(SLOTS[0]));
        assert_eq!(world.gone, None);
        world.answer_close(SLOTS[1], queued);
        assert_eq!(world.gone, Some(Verdict::Stopped));
    }
}

#[test]
fn a_fleet_without_a_process_stops_at_once() {
    let mut world = World::new(plan(2));
    let ticket = world.order(Order::Stop { now: false });
    assert_eq!(world.actions, [Action::Answer(ticket, Outcome::Done), Action::Gone(Verdict::Stopped)]);
}

#[test]
fn the_first_start_is_over_when_workers_and_roles_were_online_together() {
    let mut world = World::new(Plan { roles: RoleSet(1), ..plan(2) });
    world.clock();
    for slot in [SLOTS[0], SLOTS[1]] {
        world.come_up(world.holder(slot));
    }
    assert_eq!(world.fleet.state(), ClusterState::Launching);
    world.come_up(world.holder(Slot::Role(0)));
    assert_eq!(world.news.iter().filter(|news| **news == News::AllOnline).count(), 1);
    assert_eq!(world.fleet.state(), ClusterState::Online);
}

#[test]
fn roles_start_once_the_group_exists() {
    let mut world = World::new(Plan { roles: RoleSet(1), ..plan(1) });
    world.clock();
    assert_eq!(world.in_place(Slot::Role(0), Place::Holder), None, "it could not know the port");
    world.come_up(world.holder(SLOTS[0]));
    world.come_up(world.holder(Slot::Role(0)));
    assert_eq!(world.fleet.state(), ClusterState::Online);
}

#[test]
fn a_worker_that_dies_in_the_first_start_ends_it() {
    let mut world = World::new(plan(3));
    world.clock();
    world.come_up(world.holder(SLOTS[0]));
    let waiting = world.scale(2);
    let (slot, run) = (SLOTS[0], world.holder(SLOTS[0]));
    world.exit(run);
    assert_eq!(world.outcome(waiting), Some(Outcome::Superseded));
    world.expect_all(|child| child.termed.is_some());
    let stop = world.order(Order::Stop { now: false });
    world.expect_all(|child| child.killed);
    world.everybody_leaves();
    assert_eq!(world.gone, Some(Verdict::NeverOnline(Failure::Died { slot, run })));
    assert_eq!(world.outcome(stop), Some(Outcome::Done));
}

#[test]
fn a_role_that_is_late_in_the_first_start_ends_it() {
    let mut world = World::new(Plan { roles: RoleSet(0b10), ..plan(1) });
    world.clock();
    world.come_up(world.holder(SLOTS[0]));
    let (slot, run) = (Slot::Role(1), world.holder(Slot::Role(1)));
    assert_eq!(world.jump(), ms(3000));
    world.everybody_leaves();
    assert_eq!(world.gone, Some(Verdict::NeverOnline(Failure::TooLate { slot, run })));
}
