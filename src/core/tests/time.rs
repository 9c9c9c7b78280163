//! Simulated time: backoff, watchdog, timeouts. Nothing waits, the clock jumps.

use super::super::*;
use super::plans::{ms, plan, policy};
use super::world::World;
use std::time::Duration;

const FIRST: Slot = Slot::Worker(0);

fn with(change: impl Fn(&mut Policy)) -> Plan {
    let mut plan = plan(1);
    change(&mut plan.worker);
    plan
}

impl World {
    #[track_caller]
    fn expect_news(&self, news: News) {
        assert!(self.actions.contains(&Action::Tell(news)), "{news:?} is not told: {:?}", self.actions);
    }

    #[track_caller]
    fn expect_kill(&self, run: Run) {
        assert!(self.actions.contains(&Action::Signal(run, Sig::Kill)), "{run:?} lives: {:?}", self.actions);
    }

    #[track_caller]
    fn expect_no_kill(&self) {
        let kill = self.actions.iter().find(|action| matches!(action, Action::Signal(_, Sig::Kill)));
        assert_eq!(kill, None);
    }

    /// The holder dies as soon as it is online; tells how long the next start was put off.
    #[track_caller]
    fn crash_young(&mut self, slot: Slot) -> Duration {
        let run = self.holder(slot);
        self.come_up(run);
        self.exit(run);
        let before = self.now;
        while self.in_place(slot, Place::Holder).is_none() {
            self.jump();
        }
        self.now.since(before)
    }

    pub(super) fn row(&self, slot: Slot) -> SlotView {
        self.fleet.slots().find(|view| view.slot == slot).expect("a row")
    }
}

#[test]
fn unstable_exits_back_off_by_half_more_each_time_up_to_the_cap() {
    let mut world = World::online(plan(1));
    world.exit(world.holder(FIRST));
    let waits: Vec<u128> = (0..16).map(|_| world.crash_young(FIRST).as_millis()).collect();
    assert_eq!(waits[..6], [100, 150, 225, 337, 506, 759]);
    assert_eq!(waits[13..], [15_000, 15_000, 15_000]);
    assert_eq!(world.row(FIRST).restarts, 17);
}

#[test]
fn a_stable_run_is_restarted_at_once_keeps_the_mask_and_resets_the_backoff() {
    let mut world = World::online(plan(2));
    world.exit(world.holder(FIRST));
    assert_eq!(world.fleet.mask(), 0b11, "its queue is read again in a moment");
    assert_eq!([world.crash_young(FIRST), world.crash_young(FIRST)], [ms(100), ms(150)]);
    assert_eq!(world.fleet.mask(), 0b10, "after an unstable run it is not");
    let run = world.holder(FIRST);
    world.come_up(run);
    world.pass(ms(1000));
    world.exit(run);
    world.expect_news(News::RestartNow { slot: FIRST, run });
    assert_eq!((world.row(FIRST).status, world.fleet.mask()), (Status::Launching, 0b11));
    assert_eq!(world.crash_young(FIRST), ms(100));
}

#[test]
fn min_uptime_counts_from_ready_to_the_nanosecond() {
    for (uptime, stable) in [(999_999_999, false), (1_000_000_000, true)] {
        let mut world = World::online(plan(1));
        world.exit(world.holder(FIRST));
        world.pass(ms(2000));
        let run = world.holder(FIRST);
        world.come_up(run);
        world.pass(Duration::from_nanos(uptime));
        world.exit(run);
        let status = if stable { Status::Launching } else { Status::WaitingRestart };
        assert_eq!(world.row(FIRST).status, status, "after {uptime} ns");
    }
}

#[test]
fn a_backoff_of_zero_always_restarts_at_once() {
    let mut world = World::online(with(|policy| policy.backoff_start = Duration::ZERO));
    for _ in 0..40 {
        assert_eq!(world.crash_young(FIRST), Duration::ZERO);
    }
}

#[test]
fn max_restarts_unstable_exits_in_a_row_are_enough() {
    let mut world = World::online(with(|policy| policy.max_restarts = 3));
    world.exit(world.holder(FIRST));
    world.crash_young(FIRST);
    world.crash_young(FIRST);
    let run = world.holder(FIRST);
    world.come_up(run);
    world.exit(run);
    world.expect_news(News::Errored { slot: FIRST, unstable: 3 });
    assert_eq!((world.row(FIRST).status, world.fleet.state()), (Status::Errored, ClusterState::Degraded));
    assert_eq!(world.fleet.deadline(), None, "nothing will come of waiting");
    assert_eq!(world.row(FIRST).restarts, 3, "an exit that no start follows is no restart");
}

#[test]
fn a_process_that_is_never_ready_is_killed_and_its_time_does_not_count_as_stable() {
    let mut world = World::online(plan(1));
    world.exit(world.holder(FIRST));
    let run = world.holder(FIRST);
    assert_eq!(world.jump(), ms(3000));
    world.expect_news(News::TooLate { slot: FIRST, run });
    world.expect_kill(run);
    world.expect_news(News::Waiting { slot: FIRST, run, delay: ms(100), unstable: 1 });
    assert_eq!(world.jump(), ms(100), "the next one does not wait for the dead");
    world.holder(FIRST);
}

#[test]
fn who_does_not_obey_term_is_killed_after_the_kill_timeout_and_once() {
    let mut world = World::online(plan(1));
    world.order(Order::Restart(vec![FIRST]));
    let run = world.leaver(FIRST);
    world.come_up(world.holder(FIRST));
    assert_eq!(world.jump(), ms(1600));
    world.expect_news(News::KillTimeout { slot: FIRST, run });
    world.expect_kill(run);
    world.pass(ms(60_000));
    assert_eq!(world.leaver(FIRST), run, "only the kernel can be waited for");
}

#[test]
fn the_watchdog_leaves_a_kill_timeout_more_until_the_first_sign_of_life() {
    let mut world = World::online(plan(1));
    world.exit(world.holder(FIRST));
    let run = world.holder(FIRST);
    world.come_up(run);
    assert_eq!(world.jump(), ms(11_600));
    world.expect_news(News::Silent { slot: FIRST, run });
    world.expect_kill(run);
    world.expect_news(News::RestartNow { slot: FIRST, run });
    let next = world.holder(FIRST);
    world.come_up(next);
    world.event(Event::Alive(next));
    assert_eq!(world.jump(), ms(10_000));
    world.expect_kill(next);
}

#[test]
fn ready_said_twice_does_not_feed_the_watchdog_nor_shorten_the_run() {
    let mut world = World::online(plan(1));
    world.exit(world.holder(FIRST));
    let run = world.holder(FIRST);
    world.come_up(run);
    world.now = world.now.after(ms(11_000));
    world.event(Event::Ready(run));
    assert_eq!(world.jump(), ms(600));
    world.expect_news(News::RestartNow { slot: FIRST, run });
}

#[test]
fn a_worker_that_speaks_before_it_is_ready_is_not_watched() {
    let mut world = World::online(plan(1));
    world.exit(world.holder(FIRST));
    world.event(Event::Alive(world.holder(FIRST)));
    assert_eq!(world.jump(), ms(3000));
}

#[test]
fn an_heir_has_no_watchdog_before_the_commit_and_the_long_one_after_it() {
    let mut world = World::online(plan(2));
    world.reload(plan(2));
    let (early, late) = (world.heir(FIRST), world.heir(Slot::Worker(1)));
    world.come_up(early);
    world.event(Event::Alive(early));
    world.now = world.now.after(ms(2900));
    for slot in [FIRST, Slot::Worker(1)] {
        world.event(Event::Alive(world.holder(slot)));
    }
    world.come_up(late);
    assert_eq!(world.holder(FIRST), early);
    world.leavers_go();
    assert_eq!(world.jump(), ms(11_600));
    world.expect_news(News::Silent { slot: FIRST, run: early });
}

#[test]
fn without_a_watchdog_silence_is_no_offence() {
    let mut world = World::online(with(|policy| policy.watchdog = None));
    world.event(Event::Alive(world.holder(FIRST)));
    assert_eq!(world.fleet.deadline(), None);
}

/// The supervisor was stopped for an hour: it reads what was said before it looks at the clock.
#[test]
fn a_late_clock_condemns_nobody_who_has_spoken() {
    let mut world = World::online(plan(3));
    world.now = world.now.after(ms(3_600_000));
    for slot in (0..3).map(Slot::Worker) {
        world.event(Event::Alive(world.holder(slot)));
        world.expect_no_kill();
    }
    world.clock();
    world.expect_no_kill();
    assert_eq!(world.fleet.state(), ClusterState::Online);
}

#[test]
fn only_the_clock_judges() {
    let mut world = World::online(plan(1));
    world.now = world.now.after(ms(3_600_000));
    world.event(Event::Bound(Run(99)));
    world.expect_no_kill();
    world.clock();
    world.expect_kill(Run(1));
}

#[test]
fn roles_have_their_own_policy_and_count_by_themselves() {
    let role = Policy { backoff_start: ms(7), watchdog: None, ..policy() };
    let mut world = World::online(Plan { roles: RoleSet(0b101), role, ..plan(1) });
    let slot = Slot::Role(2);
    world.exit(world.holder(slot));
    assert_eq!([world.crash_young(slot), world.crash_young(slot)], [ms(7), Duration::from_micros(10_500)]);
    assert_eq!((world.row(slot).restarts, world.row(FIRST).restarts), (3, 0));
    assert_eq!(world.fleet.mask(), 1, "a role is no place in the group");
}
