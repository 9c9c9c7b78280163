//! Scaling by name.

use super::super::*;
use super::plans::{ms, plan};
use super::world::World;

impl World {
    /// A drainer comes up, says that it reads, and leaves.
    #[track_caller]
    pub(super) fn drain_nothing(&mut self, slot: Slot) {
        let drainer = self.holder(slot);
        self.come_up(drainer);
        self.event(Event::Alive(drainer));
        assert!(self.children[&drainer].termed.is_some(), "it reads, and drains before it leaves");
        self.exit(drainer);
    }

    /// What each answer to `Close` finds in the queue of slot 1 of 2, until it is over with it.
    fn retire_with(bytes: &[Option<u64>]) -> (World, Ticket) {
        let mut world = World::online(plan(2));
        let ticket = world.scale(1);
        world.exit(world.leaver(SLOTS[1]));
        for (number, &bytes) in bytes.iter().enumerate() {
            assert_eq!(world.outcome(ticket), None, "{bytes:?} are left, and it is over");
            world.closing.remove(&SLOTS[1]);
            world.event(Event::StillQueued { slot: SLOTS[1], bytes });
            if world.fleet.slots().count() == 1 {
                continue;
            }
            if number > 0 {
                world.jump();
            }
            world.drain_nothing(SLOTS[1]);
        }
        (world, ticket)
    }
}

const SLOTS: [Slot; 4] = [Slot::Worker(0), Slot::Worker(1), Slot::Worker(2), Slot::Worker(3)];

#[test]
fn new_slots_bind_one_after_another_and_the_answer_comes_when_all_are_online() {
    let mut world = World::online(plan(1));
    let ticket = world.scale(3);
    assert_eq!(world.in_place(SLOTS[2], Place::Holder), None);
    world.come_up(world.holder(SLOTS[1]));
    assert_eq!((world.outcome(ticket), world.steered), (None, (2, 0b11)));
    world.come_up(world.holder(SLOTS[2]));
    assert_eq!((world.outcome(ticket), world.steered), (Some(Outcome::Done), (3, 0b111)));
}

#[test]
fn a_slot_retires_out_of_the_mask_then_by_term_then_closed_and_from_the_top() {
    let mut world = World::online(plan(3));
    let ticket = world.scale(1);
    let [low, high] = [world.leaver(SLOTS[1]), world.leaver(SLOTS[2])];
    let term = |run| Action::Signal(run, Sig::Term);
    assert_eq!(world.actions, [Action::Steer { bound: 3, mask: 0b001 }, term(low), term(high)]);
    world.exit(low);
    assert_eq!(world.actions, [], "the one above is there");
    world.exit(high);
    assert_eq!(world.actions, [Action::Close(SLOTS[2])]);
    world.answer_close(SLOTS[2], false);
    assert_eq!(world.outcome(ticket), None);
    world.answer_close(SLOTS[1], false);
    assert_eq!((world.outcome(ticket), world.steered), (Some(Outcome::Done), (1, 0b1)));
}

#[test]
fn a_queue_that_is_not_empty_gets_a_drainer_and_the_next_ones_wait() {
    let mut world = World::online(plan(2));
    let ticket = world.scale(1);
    world.exit(world.leaver(SLOTS[1]));
    for wait in [0, 100, 150] {
        world.answer_close(SLOTS[1], true);
        if wait > 0 {
            assert_eq!(world.jump(), ms(wait));
        }
        let drainer = world.holder(SLOTS[1]);
        assert_eq!(world.fleet.slots().last().map(|view| view.status), Some(Status::Stopping));
        world.come_up(drainer);
        assert!(world.children[&drainer].termed.is_none(), "READY does not say that it reads");
        world.event(Event::Alive(drainer));
        assert!(world.children[&drainer].termed.is_some(), "it reads, and drains before it leaves");
        assert_eq!(world.fleet.mask(), 0b01);
        world.exit(drainer);
    }
    world.answer_close(SLOTS[1], false);
    assert_eq!(world.outcome(ticket), Some(Outcome::Done));
}

#[test]
fn a_drainer_that_gives_no_sign_of_life_is_told_to_leave_after_a_kill_timeout() {
    let mut world = World::online(plan(2));
    world.scale(1);
    world.exit(world.leaver(SLOTS[1]));
    world.answer_close(SLOTS[1], true);
    let drainer = world.holder(SLOTS[1]);
    world.come_up(drainer);
    assert_eq!((world.jump(), world.children[&drainer].killed), (ms(1600), false));
    assert!(world.children[&drainer].termed.is_some());
    assert_eq!(world.jump(), ms(1600));
    assert!(world.children[&drainer].killed);
}

#[test]
fn a_drainer_beside_an_heir_goes_on_until_it_is_clear_who_reads() {
    for comes_about in [false, true] {
        let mut world = World::online(plan(2));
        world.scale(1);
        world.exit(world.leaver(SLOTS[1]));
        world.answer_close(SLOTS[1], true);
        let drainer = world.holder(SLOTS[1]);
        world.reload(plan(3));
        world.come_up(drainer);
        let heirs = [SLOTS[0], SLOTS[1]].map(|slot| world.heir(slot));
        world.event(Event::Alive(drainer));
        world.jump();
        assert!(world.children[&drainer].termed.is_none());
        if comes_about {
            world.heirs_come_up();
        } else {
            world.exit(heirs[0]);
            world.event(Event::Alive(drainer));
        }
        assert!(world.children[&drainer].termed.is_some());
        world.calm();
        assert_eq!(world.fleet.mask(), if comes_about { 0b111 } else { 0b001 });
    }
}

#[test]
fn a_drainer_that_is_wanted_again_stays_and_is_watched() {
    let mut world = World::online(plan(2));
    world.scale(1);
    world.exit(world.leaver(SLOTS[1]));
    world.answer_close(SLOTS[1], true);
    let drainer = world.holder(SLOTS[1]);
    world.come_up(drainer);
    let ticket = world.scale(2);
    assert_eq!((world.outcome(ticket), world.fleet.mask()), (Some(Outcome::Done), 0b11));
    world.event(Event::Alive(world.holder(SLOTS[0])));
    assert_eq!(world.jump(), ms(10_000), "the other one first");
    world.jump();
    assert!(world.children[&drainer].killed, "it was silent for a watchdog and a kill timeout");
}

#[test]
fn no_datagram_goes_to_a_slot_that_closes_though_it_is_wanted_again_and_nobody_reads() {
    let mut world = World::online(plan(2));
    world.scale(1);
    world.exit(world.leaver(SLOTS[1]));
    world.scale(2);
    let mut reader = world.holder(SLOTS[0]);
    world.exit(reader);
    world.come_up(world.holder(SLOTS[0]));
    reader = world.holder(SLOTS[0]);
    world.exit(reader);
    assert_eq!(world.fleet.slots().next().map(|view| view.status), Some(Status::WaitingRestart));
    assert_eq!(world.fleet.mask(), 0b01, "it would be closed with what is queued there");
    world.answer_close(SLOTS[1], false);
    world.calm();
    assert_eq!(world.fleet.mask(), 0b11);
}

#[test]
fn what_the_shell_has_no_room_for_is_refused_and_changes_nothing() {
    let mut world = World::online(plan(2));
    world.fleet.room = 4;
    for (scale, refused) in [(Scale::Up(3), 5), (Scale::Up(200), 64), (Scale::To(5), 5)] {
        let ticket = world.order(Order::Scale(scale));
        assert_eq!(world.outcome(ticket), Some(Outcome::Refused(Refusal::NoRoom(refused))));
        assert_eq!(world.fleet.wanted(), 2);
    }
    let ticket = world.order(Order::Scale(Scale::Up(2)));
    world.calm();
    assert_eq!(world.outcome(ticket), Some(Outcome::Done));
}

#[test]
fn a_drainer_that_dies_fails_the_scaling_and_is_tried_again() {
    let mut world = World::online(plan(2));
    let ticket = world.scale(1);
    world.exit(world.leaver(SLOTS[1]));
    world.answer_close(SLOTS[1], true);
    let (slot, run) = (SLOTS[1], world.holder(SLOTS[1]));
    world.exit(run);
    assert_eq!(world.outcome(ticket), Some(Outcome::Failed(Failure::Died { slot, run })));
    world.answer_close(SLOTS[1], true);
    assert_eq!(world.jump(), ms(100));
    world.calm();
    assert_eq!(world.fleet.slots().count(), 1);
}

#[test]
fn a_queue_that_three_drainers_in_a_row_do_not_shorten_is_left_to_the_slots_next_process() {
    let (mut world, ticket) = World::retire_with(&[Some(9), Some(9), Some(9), Some(12)]);
    let retired = [Action::Abandon(SLOTS[1]), Action::Tell(News::Retired(SLOTS[1]))];
    assert!(world.actions.starts_with(&retired), "{:?}", world.actions);
    assert_eq!((world.outcome(ticket), world.steered), (Some(Outcome::Done), (1, 0b1)));
    let again = world.scale(2);
    world.calm();
    assert_eq!((world.outcome(again), world.steered), (Some(Outcome::Done), (2, 0b11)));
}

#[test]
fn a_queue_that_gets_shorter_or_a_batch_to_be_finished_is_worth_another_drainer() {
    let shorter = [9, 9, 9, 8, 8, 8, 7, 7, 7].map(Some);
    let batch = [Some(9), None, Some(9), None, None, None, Some(9), None, None];
    for bytes in [shorter, batch] {
        let (mut world, ticket) = World::retire_with(&bytes);
        assert_eq!((world.outcome(ticket), world.fleet.slots().count()), (None, 2));
        world.answer_close(SLOTS[1], false);
        assert_eq!(world.outcome(ticket), Some(Outcome::Done));
    }
}

#[test]
fn drainers_that_die_before_they_read_are_no_better_than_those_that_do_not_read() {
    let mut world = World::online(plan(2));
    world.scale(1);
    world.exit(world.leaver(SLOTS[1]));
    for wait in [0, 100, 150] {
        world.answer_close(SLOTS[1], true);
        if wait > 0 {
            assert_eq!(world.jump(), ms(wait));
        }
        world.exit(world.holder(SLOTS[1]));
    }
    world.answer_close(SLOTS[1], true);
    assert_eq!(world.actions[0], Action::Abandon(SLOTS[1]));
}

#[test]
fn a_slot_closing_while_a_scale_up_arrives() {
    for queued in [false, true] {
        let mut world = World::online(plan(2));
        let down = world.scale(1);
        world.exit(world.leaver(SLOTS[1]));
        let up = world.scale(4);
        assert_eq!(world.outcome(down), Some(Outcome::Superseded));
        assert_eq!((world.crowd(SLOTS[1]), world.fleet.slots().count()), (0, 2), "nobody above either");
        world.answer_close(SLOTS[1], queued);
        world.calm();
        assert_eq!((world.outcome(up), world.steered), (Some(Outcome::Done), (4, 0b1111)));
    }
}

#[test]
fn a_slot_that_fails_before_it_has_bound_blocks_those_above_and_fails_the_scaling() {
    let mut errored = plan(1);
    errored.worker.max_restarts = 2;
    let mut world = World::online(errored);
    let first = world.scale(3);
    let (slot, run) = (SLOTS[1], world.holder(SLOTS[1]));
    world.exit(run);
    assert_eq!(world.outcome(first), Some(Outcome::Failed(Failure::Died { slot, run })));
    world.jump();
    world.exit(world.holder(SLOTS[1]));
    let status: Vec<Status> = world.fleet.slots().map(|view| view.status).collect();
    assert_eq!(
        status,
        [Status::Online, Status::Errored, Status::Errored],
        "no better off than the one below"
    );
    let again = world.scale(3);
    world.calm();
    assert_eq!((world.outcome(again), world.fleet.state()), (Some(Outcome::Done), ClusterState::Online));
}

#[test]
fn term_to_a_worker_that_is_still_launching() {
    for bound in [false, true] {
        let mut world = World::online(plan(1));
        let up = world.scale(2);
        let run = world.holder(SLOTS[1]);
        if bound {
            world.try_step(run).and_then(|()| world.try_step(run)).expect("bound");
        }
        let down = world.scale(1);
        assert!(world.children[&run].termed.is_some());
        assert_eq!(world.outcome(up), Some(Outcome::Superseded));
        let _says_it_all_the_same = world.try_say_bound(run).and_then(|()| world.try_say_ready(run));
        assert_eq!((world.outcome(down), world.fleet.mask()), (None, 0b1), "READY from a leaver is nothing");
        world.exit(run);
        world.answer_close(SLOTS[1], false);
        assert_eq!(world.outcome(down), Some(Outcome::Done));
    }
}

#[test]
fn a_scaling_back_up_takes_the_slot_while_its_worker_leaves() {
    let mut world = World::online(plan(2));
    world.scale(1);
    let ticket = world.scale(2);
    assert_eq!(world.crowd(SLOTS[1]), 2, "it waits for the lock by itself");
    world.come_up(world.holder(SLOTS[1]));
    assert_eq!((world.outcome(ticket), world.steered), (Some(Outcome::Done), (2, 0b11)));
}

#[test]
fn scalings_are_relative_to_what_is_wanted_when_their_turn_comes_and_keep_to_the_limits() {
    let mut world = World::online(plan(2));
    let wanted = |world: &mut World, scale| {
        let ticket = world.order(Order::Scale(scale));
        (world.fleet.wanted(), world.outcome(ticket))
    };
    assert_eq!(wanted(&mut world, Scale::Up(1)).0, 3);
    assert_eq!(wanted(&mut world, Scale::Up(255)).0, 64);
    assert_eq!(wanted(&mut world, Scale::Down(255)).0, 1);
    let refused = Some(Outcome::Refused(Refusal::OutOfRange));
    assert_eq!(wanted(&mut world, Scale::To(0)), (1, refused));
    assert_eq!(wanted(&mut world, Scale::To(65)), (1, refused));
    world.calm();
    world.reload(plan(2));
    world.order(Order::Scale(Scale::Up(1)));
    world.order(Order::Scale(Scale::Up(1)));
    world.calm();
    assert_eq!(world.fleet.wanted(), 3, "the plan's number had not changed");
}

#[test]
fn sixty_four_workers_come_and_go() {
    let mut world = World::online(plan(1));
    let up = world.scale(64);
    world.calm();
    assert_eq!((world.outcome(up), world.steered), (Some(Outcome::Done), (64, u64::MAX)));
    let down = world.scale(1);
    world.calm();
    assert_eq!((world.outcome(down), world.steered), (Some(Outcome::Done), (1, 1)));
}

#[test]
fn orders_that_wait_are_limited_and_a_number_replaces_those_before_it() {
    let mut world = World::online(plan(2));
    world.reload(plan(2));
    let ups: Vec<Ticket> = (0..17).map(|_| world.order(Order::Scale(Scale::Up(1)))).collect();
    assert_eq!(world.outcome(ups[16]), Some(Outcome::Refused(Refusal::TooMany)));
    let last = world.scale(3);
    assert!(ups[..16].iter().all(|ticket| world.outcome(*ticket) == Some(Outcome::Superseded)));
    world.calm();
    assert_eq!((world.outcome(last), world.fleet.wanted()), (Some(Outcome::Done), 3));
}

#[test]
fn ready_before_bound_does_not_count() {
    let mut world = World::online(plan(1));
    world.scale(2);
    let run = world.holder(SLOTS[1]);
    world.event(Event::Ready(run));
    assert_eq!(world.fleet.slots().last().map(|view| view.status), Some(Status::Launching));
    world.come_up(run);
    assert_eq!(world.steered, (2, 0b11));
}

#[test]
#[should_panic = "Closed for worker 0, which is not closing"]
fn an_answer_nobody_waits_for_is_the_shells_mistake() {
    World::online(plan(1)).event(Event::Closed(SLOTS[0]));
}

#[test]
fn sockets_of_a_supervisor_that_died_are_read_at_once_and_the_surplus_is_emptied_and_closed() {
    let mut world = World::adopting(plan(2), 3);
    world.clock();
    assert_eq!(world.steered, (3, 0b11), "two are wanted, and three are members");
    let started: Vec<Slot> = world.children.values().map(|child| child.slot).collect();
    assert_eq!(started, [Slot::Worker(0), Slot::Worker(1)], "both at once: their order in the group stands");
    assert_eq!(world.closing.iter().collect::<Vec<_>>(), [&Slot::Worker(2)]);
    world.answer_close(Slot::Worker(2), true);
    let drainer = world.holder(Slot::Worker(2));
    world.exit(drainer);
    assert_ne!(world.fleet.state(), ClusterState::Stopping, "a drainer that dies ends no first start");
    world.calm();
    assert_eq!((world.fleet.state(), world.sockets.len()), (ClusterState::Online, 2));
    assert!(world.news.contains(&News::AllOnline));
}

#[test]
fn what_waits_in_kept_sockets_of_a_slot_that_was_not_bound_since_is_nobodys() {
    let mut world = World::adopting(plan(1), 3);
    world.parks = true;
    world.clock();
    world.calm();
    world.scale(3);
    world.scale(1);
    let closing: Vec<Slot> = world.closing.iter().copied().collect();
    for slot in closing.into_iter().rev() {
        world.answer_close(slot, true);
    }
    world.calm();
    assert!(world.children.values().all(|child| child.slot == Slot::Worker(0)), "no drainer out of its turn");
}
