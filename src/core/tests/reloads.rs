//! Reloads by name.

use super::super::*;
use super::plans::{ms, plan, policy};
use super::world::World;

const SLOTS: [Slot; 3] = [Slot::Worker(0), Slot::Worker(1), Slot::Worker(2)];

impl World {
    pub(super) fn holders(&self) -> Vec<Run> {
        self.children
            .keys()
            .copied()
            .filter(|run| matches!(self.fleet.place(*run), Some((_, Place::Holder))))
            .collect()
    }

    /// Every heir comes up, the last of all one by one.
    #[track_caller]
    pub(super) fn heirs_come_up(&mut self) {
        while let Some(run) = self.children.iter().find(|(run, child)| {
            !child.said_ready && matches!(self.fleet.place(**run), Some((_, Place::Heir)))
        }) {
            self.come_up(*run.0);
        }
    }

    /// Whoever was told to leave does so.
    #[track_caller]
    pub(super) fn leavers_go(&mut self) {
        for run in self.children.keys().copied().collect::<Vec<_>>() {
            if matches!(self.fleet.place(run), Some((_, Place::Leaver))) {
                self.exit(run);
            }
        }
    }

    #[track_caller]
    fn expect_untouched(&mut self, holders: &[Run]) {
        assert!(holders.iter().all(|run| self.children[run].termed.is_none()), "somebody was told to leave");
        self.calm();
        assert_eq!(self.holders(), holders);
        assert_eq!((self.fleet.generation(), self.fleet.state()), (Generation(1), ClusterState::Online));
    }
}

fn died(slot: Slot, run: Run) -> Option<Outcome> {
    Some(Outcome::Failed(Failure::Died { slot, run }))
}

#[test]
fn a_reload_tells_the_holders_to_leave_when_every_heir_is_ready_and_not_before() {
    let mut world = World::online(plan(3));
    let old = world.holders();
    let ticket = world.reload(plan(3));
    for slot in SLOTS {
        assert!(old.iter().all(|run| world.children[run].termed.is_none()));
        assert_eq!((world.outcome(ticket), world.fleet.state()), (None, ClusterState::Reloading));
        world.come_up(world.heir(slot));
    }
    for run in old {
        assert!(world.children[&run].termed.is_some());
        assert_eq!((world.outcome(ticket), world.fleet.state()), (None, ClusterState::Reloading), "{run:?}");
        world.exit(run);
    }
    assert_eq!((world.outcome(ticket), world.fleet.generation()), (Some(Outcome::Done), Generation(2)));
    assert_eq!((world.fleet.mask(), world.fleet.state()), (0b111, ClusterState::Online));
}

#[test]
fn a_failed_reload_touches_nobody() {
    let mut world = World::online(plan(3));
    let holders = world.holders();
    let ticket = world.reload(plan(5));
    let heir = world.heir(SLOTS[2]);
    world.come_up(world.heir(SLOTS[0]));
    world.exit(heir);
    assert_eq!(world.outcome(ticket), died(SLOTS[2], heir));
    world.expect_untouched(&holders);
}

#[test]
fn a_late_heir_fails_the_reload() {
    let mut world = World::online(plan(3));
    let holders = world.holders();
    let ticket = world.reload(plan(3));
    let (slot, run) = (SLOTS[1], world.heir(SLOTS[1]));
    for ready in [SLOTS[0], SLOTS[2]] {
        world.come_up(world.heir(ready));
    }
    assert_eq!(world.jump(), ms(3000));
    assert_eq!(world.outcome(ticket), Some(Outcome::Failed(Failure::TooLate { slot, run })));
    world.expect_untouched(&holders);
}

#[test]
fn an_heir_that_dies_after_ready_before_the_commit_fails_the_reload() {
    let mut world = World::online(plan(3));
    let holders = world.holders();
    let ticket = world.reload(plan(3));
    let heir = world.heir(SLOTS[0]);
    world.come_up(heir);
    world.come_up(world.heir(SLOTS[1]));
    world.exit(heir);
    assert_eq!(world.outcome(ticket), died(SLOTS[0], heir));
    world.expect_untouched(&holders);
}

#[test]
fn an_heir_that_dies_after_the_commit_is_an_ordinary_crash() {
    let mut world = World::online(plan(3));
    let ticket = world.reload(plan(3));
    world.heirs_come_up();
    let run = world.holder(SLOTS[0]);
    world.exit(run);
    world.leavers_go();
    assert_eq!(world.outcome(ticket), Some(Outcome::Done));
    let waiting = News::Waiting { slot: SLOTS[0], run, delay: ms(100), unstable: 1 };
    assert!(world.news.contains(&waiting), "it has held the slot for no time");
    world.calm();
    assert!(world.fleet.slots().all(|view| view.generation == Generation(2)));
}

#[test]
fn a_holder_that_dies_during_a_reload_is_replaced_by_its_own_generation() {
    let mut world = World::online(plan(2));
    let ticket = world.reload(plan(2));
    world.exit(world.holder(SLOTS[0]));
    let replacement = world.holder(SLOTS[0]);
    assert_eq!(world.children[&replacement].generation, Generation(1));
    world.heirs_come_up();
    assert!(world.children[&replacement].termed.is_some(), "launching still, it leaves as well");
    world.leavers_go();
    assert_eq!(world.outcome(ticket), Some(Outcome::Done));
}

#[test]
fn a_replacement_that_waits_behind_an_heir_is_not_taken_for_silent() {
    let hasty = |workers| Plan {
        worker: Policy {
            watchdog: Some(ms(100)),
            kill_timeout: ms(100),
            listen_timeout: ms(3000),
            ..policy()
        },
        ..plan(workers)
    };
    let mut world = World::online(hasty(2));
    let ticket = world.reload(hasty(2));
    world.come_up(world.heir(SLOTS[0]));
    world.exit(world.holder(SLOTS[0]));
    let replacement = world.holder(SLOTS[0]);
    world.come_up(replacement);
    let silent = News::Silent { slot: SLOTS[0], run: replacement };
    // The lock went to the heir, so the replacement has nothing to say; the heir of slot 1 never comes up.
    while world.outcome(ticket).is_none() {
        world.now = world.now.after(ms(50));
        world.event(Event::Alive(world.holder(SLOTS[1])));
        world.clock();
        assert!(!world.news.contains(&silent), "it was killed although it could not say anything");
    }
    assert!(matches!(world.outcome(ticket), Some(Outcome::Failed(Failure::TooLate { .. }))));
    world.now = world.now.after(ms(201));
    world.event(Event::Alive(world.holder(SLOTS[1])));
    world.clock();
    assert!(world.news.contains(&silent), "its watchdog runs again once the heir is sent away");
}

#[test]
fn reloads_queued_during_a_reload_fold_into_the_newest() {
    let mut world = World::online(plan(1));
    let tickets: Vec<Ticket> = (0..4).map(|_| world.reload(plan(1))).collect();
    let superseded = Some(Outcome::Superseded);
    assert_eq!([1, 2].map(|i| world.outcome(tickets[i])), [superseded, superseded]);
    world.heirs_come_up();
    world.leavers_go();
    assert_eq!(world.outcome(tickets[0]), Some(Outcome::Done));
    world.calm();
    assert_eq!((world.outcome(tickets[3]), world.fleet.generation()), (Some(Outcome::Done), Generation(5)));
}

#[test]
fn fifty_reload_orders_are_two_reloads() {
    let mut world = World::online(plan(2));
    let tickets: Vec<Ticket> = (0..50).map(|_| world.reload(plan(2))).collect();
    world.calm();
    let done = tickets.iter().filter(|ticket| world.outcome(**ticket) == Some(Outcome::Done)).count();
    let superseded =
        tickets.iter().filter(|ticket| world.outcome(**ticket) == Some(Outcome::Superseded)).count();
    assert_eq!((done, superseded, world.fleet.generation()), (2, 48, Generation(51)));
}

#[test]
fn a_queued_reload_runs_after_one_that_failed() {
    let mut world = World::online(plan(1));
    let first = world.reload(plan(1));
    let second = world.reload(plan(1));
    let heir = world.heir(SLOTS[0]);
    world.exit(heir);
    assert_eq!(world.outcome(first), died(SLOTS[0], heir));
    world.calm();
    assert_eq!((world.outcome(second), world.fleet.generation()), (Some(Outcome::Done), Generation(3)));
}

#[test]
fn a_reload_to_fewer_workers_with_a_scale_up_waiting() {
    let mut world = World::online(plan(3));
    let reload = world.reload(plan(1));
    let scale = world.scale(4);
    world.heirs_come_up();
    world.leavers_go();
    world.answer_close(SLOTS[2], false);
    assert_eq!((world.outcome(reload), world.outcome(scale)), (None, None));
    world.answer_close(SLOTS[1], false);
    assert_eq!((world.outcome(reload), world.outcome(scale)), (Some(Outcome::Done), None));
    world.calm();
    assert_eq!((world.outcome(scale), world.fleet.wanted()), (Some(Outcome::Done), 4));
    assert!(
        world.fleet.slots().all(|view| view.generation == Generation(2) && view.status == Status::Online)
    );
}

#[test]
fn a_reload_to_more_workers_binds_them_in_order_and_steers_to_them_at_the_commit() {
    let mut world = World::online(plan(1));
    let ticket = world.reload(plan(3));
    assert_eq!(world.in_place(SLOTS[2], Place::Heir), None, "the one below is not bound");
    world.come_up(world.heir(SLOTS[1]));
    assert_eq!(world.fleet.slots().map(|view| view.status).last(), Some(Status::Empty));
    world.come_up(world.heir(SLOTS[2]));
    assert_eq!(world.steered, (3, 0b001), "bound, and not of the group that is steered to");
    world.come_up(world.heir(SLOTS[0]));
    assert_eq!((world.outcome(ticket), world.steered), (None, (3, 0b111)));
    world.leavers_go();
    assert_eq!(world.outcome(ticket), Some(Outcome::Done));
}

#[test]
fn a_failed_reload_to_more_workers_retires_the_new_ones_from_the_top() {
    let mut world = World::online(plan(1));
    world.reload(plan(3));
    for slot in [SLOTS[1], SLOTS[2]] {
        world.come_up(world.heir(slot));
    }
    let heir = world.heir(SLOTS[0]);
    world.exit(heir);
    for slot in [SLOTS[1], SLOTS[2]] {
        world.exit(world.leaver(slot));
    }
    world.answer_close(SLOTS[2], false);
    world.answer_close(SLOTS[1], false);
    assert_eq!((world.steered, world.fleet.slots().count()), ((1, 0b1), 1));
}

#[test]
fn what_scale_set_lasts_until_the_plan_names_another_number() {
    let mut world = World::online(plan(2));
    world.scale(4);
    world.calm();
    for (workers, wanted) in [(2, 4), (3, 3), (3, 3), (2, 2)] {
        world.reload(plan(workers));
        world.calm();
        assert_eq!(world.fleet.wanted(), wanted, "after a plan of {workers}");
    }
}

#[test]
fn a_slot_closing_while_a_reload_arrives() {
    for queued in [false, true] {
        let mut world = World::online(plan(3));
        world.scale(2);
        world.exit(world.leaver(SLOTS[2]));
        let ticket = world.reload(plan(4));
        assert_eq!(world.crowd(SLOTS[2]), 0, "nobody may start where the shell closes");
        world.answer_close(SLOTS[2], queued);
        world.calm();
        assert_eq!((world.outcome(ticket), world.fleet.slots().count()), (Some(Outcome::Done), 4));
        assert_eq!(world.steered, (4, 0b1111));
    }
}

/// A slot whose drainer is of an old generation is wanted again: found by the random orders.
#[test]
fn a_drainer_of_an_old_generation_is_not_kept() {
    let hasty = Plan { worker: Policy { kill_timeout: ms(1000), ..policy() }, ..plan(2) };
    let mut world = World::online(hasty.clone());
    world.scale(1);
    world.exit(world.leaver(SLOTS[1]));
    world.answer_close(SLOTS[1], true);
    let drainer = world.holder(SLOTS[1]);
    let reload = world.reload(hasty);
    world.heirs_come_up();
    // Slot 0's holder is not ended by TERM, nor by KILL.
    assert_eq!((world.jump(), world.jump()), (ms(1000), ms(1000)));
    assert_eq!(world.outcome(reload), Some(Outcome::Done));
    world.scale(2);
    assert!(world.children[&drainer].termed.is_some());
    world.calm();
    assert!(world.fleet.slots().all(|view| view.generation == Generation(2)));
}

#[test]
fn no_slot_reading_at_all() {
    let mut world = World::online(plan(2));
    for slot in [SLOTS[0], SLOTS[1]] {
        world.exit(world.holder(slot));
        let young = world.holder(slot);
        world.come_up(young);
        world.exit(young);
    }
    assert_eq!(world.fleet.mask(), 0b11, "the kernel queues for whoever comes first");
    world.reload(plan(2));
    world.heirs_come_up();
    world.leavers_go();
    assert_eq!((world.fleet.mask(), world.fleet.state()), (0b11, ClusterState::Online));
}

#[test]
fn a_reload_leaves_errored_and_clears_the_backoff() {
    let mut errored = plan(1);
    errored.worker.max_restarts = 1;
    let mut world = World::online(errored);
    world.exit(world.holder(SLOTS[0]));
    let young = world.holder(SLOTS[0]);
    world.come_up(young);
    world.exit(young);
    assert_eq!(world.fleet.state(), ClusterState::Degraded);
    world.reload(plan(1));
    world.heirs_come_up();
    assert_eq!(world.fleet.state(), ClusterState::Online);
    let run = world.holder(SLOTS[0]);
    world.exit(run);
    assert!(world.news.contains(&News::Waiting { slot: SLOTS[0], run, delay: ms(100), unstable: 1 }));
}

#[test]
fn roles_are_added_kept_and_removed_at_the_commit() {
    let roles = |roles| Plan { roles: RoleSet(roles), ..plan(1) };
    let [removed, kept, added] = [0, 1, 2].map(Slot::Role);
    let mut world = World::online(roles(0b011));
    let (old, first) = (world.holder(removed), world.holder(kept));
    let ticket = world.reload(roles(0b110));
    assert_eq!(world.in_place(removed, Place::Heir), None);
    world.come_up(world.heir(added));
    world.come_up(world.heir(kept));
    assert_eq!(world.children[&old].termed.or(world.children[&first].termed), None);
    world.come_up(world.heir(SLOTS[0]));
    assert!(world.children[&old].termed.is_some() && world.children[&first].termed.is_some());
    assert_eq!(world.children[&world.holder(added)].generation, Generation(2));
    world.leavers_go();
    assert_eq!(world.outcome(ticket), None, "a role is to be closed");
    world.calm();
    assert_eq!(world.outcome(ticket), Some(Outcome::Done));
    assert_eq!(world.fleet.slots().map(|view| view.slot).collect::<Vec<_>>(), [SLOTS[0], kept, added]);
}

#[test]
fn the_old_generation_leaves_under_its_own_policy() {
    let patient = Plan { worker: Policy { kill_timeout: ms(9000), watchdog: None, ..policy() }, ..plan(1) };
    let mut world = World::online(patient);
    world.reload(Plan { worker: Policy { watchdog: None, ..policy() }, ..plan(1) });
    world.heirs_come_up();
    assert_eq!(world.jump(), ms(9000));
}

#[test]
#[should_panic = "Generation(1) after Generation(1)"]
fn a_generation_used_twice_is_the_shells_mistake() {
    let mut world = World::online(plan(1));
    world.order(Order::Reload { generation: Generation(1), plan: plan(1) });
}
