//! The state of the whole: by the state of one slot (`table.rs`), and where two are not well.

use super::super::{ClusterState, Event, Order, Plan, RoleSet, Run, Slot, Status};
use super::plans::plan;
use super::table::{STATES, prepare};
use super::world::World;

/// Worker 2 above two that are online (but where it is empty: then it is worker 1 that is launching). Rows that come after
/// a scaling to 2 are about a worker that is no longer wanted.
const OF_ONE: &str = "
empty            | launching
launch, unbound  | launching
launch           | launching
online           | online
stable           | online
waiting          | degraded
errored          | degraded
leaver           | online
leaver, killed   | online
closing          | online
drain            | online
drained          | online
drain, waiting   | online
closing, at last | online
heir             | reloading
last heir        | reloading
HEIR             | reloading
new heir         | reloading
fat heir         | online
errored+heir     | reloading
stopping         | stopping
";

/// Workers 1 and 2, whichever is which, above one that is online.
const OF_TWO: &str = "
          | online    | launching | waiting   | errored   | stopped
online    | online    | launching | degraded  | degraded  | online
launching | launching | launching | launching | launching | launching
waiting   | degraded  | launching | degraded  | degraded  | degraded
errored   | degraded  | launching | degraded  | degraded  | degraded
stopped   | online    | launching | degraded  | degraded  | online
";
/// In the order in which they can be brought about beside each other.
const ORDER: [&str; 5] = ["errored", "stopped", "waiting", "launching", "online"];

fn cells(line: &str) -> Vec<&str> {
    line.split('|').map(str::trim).collect()
}

fn name(state: ClusterState) -> &'static str {
    match state {
        ClusterState::Stopping => "stopping",
        ClusterState::Reloading => "reloading",
        ClusterState::Launching => "launching",
        ClusterState::Degraded => "degraded",
        ClusterState::Online => "online",
    }
}

#[test]
fn the_state_of_one_slot_makes_the_state_of_the_whole() {
    let expected: Vec<Vec<&str>> = OF_ONE.trim().lines().map(cells).collect();
    let actual: Vec<Vec<&str>> =
        STATES.iter().map(|state| vec![*state, name(prepare(state).0.fleet.state())]).collect();
    assert_eq!(actual, expected);
}

impl World {
    #[track_caller]
    fn bring(&mut self, slot: Slot, state: &str) {
        let run: Run = self.holder(slot);
        match state {
            "launching" => drop(self.order(Order::Restart(vec![slot]))),
            "waiting" => self.exit(run),
            "errored" => {
                self.exit(run);
                self.jump();
                self.exit(self.holder(slot));
            }
            "stopped" => self.try_finish(run).unwrap_or_else(|story| panic!("{story}")),
            "online" => {}
            other => panic!("no way to bring about `{other}`"),
        }
    }
}

#[test]
fn of_several_states_the_first_that_applies_is_that_of_the_whole() {
    let lines: Vec<Vec<&str>> = OF_TWO.trim_matches('\n').lines().map(cells).collect();
    let rank = |state: &str| ORDER.iter().position(|other| *other == state);
    for line in &lines[1..] {
        for (column, expected) in lines[0].iter().zip(line).skip(1) {
            let mut several = plan(1);
            several.worker.max_restarts = 2;
            let mut world = World::online(several);
            world.scale(3);
            world.calm();
            let mut states = [(Slot::Worker(1), line[0]), (Slot::Worker(2), *column)];
            states.sort_by_key(|(_, state)| rank(state));
            states.into_iter().for_each(|(slot, state)| world.bring(slot, state));
            assert_eq!(name(world.fleet.state()), *expected, "{} beside {column}", line[0]);
        }
    }
}

#[test]
fn a_worker_that_was_killed_is_missed_until_another_is_online() {
    let mut world = World::online(plan(2));
    let slot = Slot::Worker(1);
    world.exit(world.holder(slot));
    let launching = world.holder(slot);
    assert_eq!((world.row(slot).status, world.fleet.state()), (Status::Launching, ClusterState::Launching));
    world.come_up(launching);
    assert_eq!(world.fleet.state(), ClusterState::Online);
    world.event(Event::TooFat(launching));
    assert_eq!(world.fleet.state(), ClusterState::Online, "the holder serves while its successor gets ready");
    world.come_up(world.heir(slot));
    assert_eq!((world.row(slot).status, world.fleet.state()), (Status::Online, ClusterState::Online));
}

#[test]
fn those_above_a_slot_that_never_bound_are_no_better_off() {
    let mut world = World::online(plan(1));
    world.scale(3);
    assert_eq!(world.fleet.state(), ClusterState::Launching);
    world.exit(world.holder(Slot::Worker(1)));
    assert_eq!(world.row(Slot::Worker(2)).status, Status::WaitingRestart);
    assert_eq!(world.fleet.state(), ClusterState::Degraded);
}

#[test]
fn a_role_tells_of_itself() {
    let mut world = World::online(Plan { roles: RoleSet(1), ..plan(1) });
    world.exit(world.holder(Slot::Role(0)));
    assert_eq!(world.row(Slot::Role(0)).status, Status::Launching);
    assert_eq!(world.fleet.state(), ClusterState::Online);
}
