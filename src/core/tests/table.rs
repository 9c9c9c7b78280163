//! The whole table: every state of a slot against everything that can happen to it.
//!
//! A cell says what becomes of the slot and what is done, in order: `S` spawn, `H` spawn an heir, `T` TERM,
//! `K` KILL, `M` another mask, `C` close; `D` an order is done, `F` failed, `X` superseded; `G` gone. `·` is
//! nothing at all, `-` cannot be. Slots read `holder + heir + leavers`; an heir that is READY is an HEIR.

use super::super::event::{Action, Event, Order, Outcome, RoleSet, Run, Sig, Slot};
use super::super::slot::{Grace, Holder, Proc, Seat};
use super::super::{Plan, Scale};
use super::world::{World, plan};

/// The subject is worker 2, above two workers that are online. Its own process speaks, or its heir, or its
/// leaver: the last one in the row's name.
const TABLE: &str = "
";

const COLUMNS: [&str; 11] =
    ["bound", "ready", "alive", "too fat", "exited", "clock", "restart", "scale 2", "reload", "stop", "answer"];

#[test]
fn every_event_in_every_state_does_what_the_table_says() {
    let mut lines = TABLE.lines().filter(|line| !line.trim().is_empty());
    let header: Vec<&str> = cells(lines.next().unwrap_or_default());
    let mut actual = vec![format!("{:<20}| {}", "", COLUMNS.map(|name| format!("{name:<15}")).join("| "))];
    let mut same = header[1..] == COLUMNS;
    let expected: Vec<Vec<&str>> = lines.map(cells).collect();
    for state in STATES {
        let row: Vec<String> = COLUMNS.iter().map(|column| cell(state, column)).collect();
        same &= expected.iter().any(|cells| cells[0] == state && cells[1..] == row);
        actual.push(format!("{state:<20}| {}", row.iter().map(|c| format!("{c:<15}")).collect::<Vec<_>>().join("| ")));
    }
    let actual: Vec<&str> = actual.iter().map(|line| line.trim_end()).collect();
    assert!(same && expected.len() == STATES.len(), "the table would be\n{}\n", actual.join("\n"));
}

fn cells(line: &str) -> Vec<&str> {
    line.split('|').map(str::trim).collect()
}

const SUBJECT: Slot = Slot::Worker(2);

const STATES: [&str; 17] = [
    "empty",
    "launching, unbound",
    "launching",
    "online",
    "waiting",
    "errored",
    "leaver",
    "leaver, killed",
    "closing",
    "draining",
    "draining, online",
    "heir",
    "HEIR",
    "new heir",
    "fat heir",
    "errored + heir",
    "stopping",
];

/// Brings the subject into a state; tells who will speak.
fn prepare(state: &str) -> (World, Option<Run>) {
    let mut plan = plan(2);
    plan.worker.max_restarts = u32::from(state.starts_with("errored"));
    let mut world = World::online(plan.clone());
    let reload = |world: &mut World, workers: u8| {
        let plan = Plan { workers, ..plan.clone() };
        world.reload(plan);
        world.heir(SUBJECT)
    };
    if state == "new heir" {
        let heir = reload(&mut world, 3);
        return (world, Some(heir));
    }
    if state == "empty" {
        // The slot below has no sockets, and no process that makes them: it waits to be restarted.
        world.scale(2);
        world.scale(3);
        let below = world.holder(SUBJECT);
        world.scale(4);
        world.exit(below);
        return (world, None);
    }
    world.scale(3);
    let run = world.holder(SUBJECT);
    if state == "launching, unbound" {
        return (world, Some(run));
    }
    world.try_step(run).and_then(|()| world.try_step(run)).expect("bound");
    if state == "launching" {
        return (world, Some(run));
    }
    world.come_up(run);
    let speaker = match state {
        "waiting" | "errored" => {
            world.exit(run);
            None
        }
        "errored + heir" => {
            world.exit(run);
            Some(reload(&mut world, 3))
        }
        "leaver" | "leaver, killed" | "closing" | "draining" | "draining, online" => retire(&mut world, state, run),
        "heir" | "HEIR" => {
            let heir = reload(&mut world, 3);
            if state == "HEIR" {
                world.come_up(heir);
            }
            Some(heir)
        }
        "fat heir" => {
            world.event(Event::TooFat(run));
            Some(world.heir(SUBJECT))
        }
        "stopping" => {
            world.order(Order::Stop { now: false });
            Some(run)
        }
        _ => Some(run),
    };
    (world, speaker)
}

fn retire(world: &mut World, state: &str, run: Run) -> Option<Run> {
    world.scale(2);
    match state {
        "leaver" => return Some(run),
        "leaver, killed" => {
            world.jump();
            return Some(run);
        }
        _ => world.exit(run),
    }
    if state == "closing" {
        return None;
    }
    world.answer_close(SUBJECT, true);
    let drainer = world.holder(SUBJECT);
    if state == "draining, online" {
        // Online it would leave at once: it is caught in between.
        world.scale(3);
        world.come_up(drainer);
    }
    Some(drainer)
}

fn cell(state: &str, column: &str) -> String {
    let (mut world, speaker) = prepare(state);
    let before = seat(&world);
    let due = world.fleet.seats.get(&SUBJECT).and_then(Seat::deadline);
    match (column, speaker) {
        ("bound", Some(run)) => world.try_say_bound(run).expect("bound"),
        ("ready", Some(run)) => world.try_say_ready(run).expect("ready"),
        ("alive", Some(run)) => world.event(Event::Alive(run)),
        ("too fat", Some(run)) => world.event(Event::TooFat(run)),
        ("exited", Some(run)) => world.exit(run),
        ("clock", _) if due.is_some() => {
            world.now = due.expect("a deadline");
            world.clock();
        }
        ("restart", _) => drop(world.order(Order::Restart(vec![SUBJECT]))),
        ("scale 2", _) => drop(world.order(Order::Scale(Scale::To(2)))),
        ("reload", _) => drop(world.reload(Plan { roles: RoleSet(0), ..world.fleet.plan().clone() })),
        ("stop", _) => drop(world.order(Order::Stop { now: false })),
        ("answer", _) if world.closing.contains(&SUBJECT) => world.answer_close(SUBJECT, false),
        _ => return "-".into(),
    }
    let after = seat(&world);
    let done: String = world.actions.iter().filter_map(|action| letter(&world, action)).collect();
    match (after == before, done.is_empty()) {
        (true, true) => "·".into(),
        (true, false) => done,
        (false, true) => after,
        (false, false) => format!("{after} {done}"),
    }
}

fn letter(world: &World, action: &Action) -> Option<char> {
    let own = |run: Run| {
        world.children.get(&run).map_or(world.fleet.place(run).is_none(), |child| child.slot == SUBJECT)
    };
    match *action {
        Action::Spawn { slot, heir, .. } => (slot == SUBJECT).then_some(if heir { 'H' } else { 'S' }),
        Action::Signal(run, Sig::Term) => own(run).then_some('T'),
        Action::Signal(run, Sig::Kill) => own(run).then_some('K'),
        Action::Steer { .. } => Some('M'),
        Action::Close(slot) => (slot == SUBJECT).then_some('C'),
        Action::Answer(_, Outcome::Done) => Some('D'),
        Action::Answer(_, Outcome::Failed(_)) => Some('F'),
        Action::Answer(_, Outcome::Refused(_)) => Some('R'),
        Action::Answer(_, Outcome::Superseded) => Some('X'),
        Action::Tell(_) => None,
        Action::Gone(_) => Some('G'),
    }
}

fn seat(world: &World) -> String {
    let Some(seat) = world.fleet.seats.get(&SUBJECT) else { return "gone".into() };
    let name = |proc: &Proc, launching, online| if proc.is_online() { online } else { launching };
    let mut text = String::from(match &seat.holder {
        Holder::Empty(_) => "empty",
        Holder::Waiting { .. } => "waiting",
        Holder::Errored => "errored",
        Holder::Held(proc) => name(proc, "launching", "online"),
        Holder::Draining(proc) => name(proc, "draining", "drained"),
        Holder::Closing => "closing",
    });
    if let Some(heir) = &seat.heir {
        text += name(heir, "+heir", "+HEIR");
    }
    for leaver in &seat.leavers {
        text += match leaver.grace {
            Grace::Until(_) => "+l",
            Grace::Killed => "+k",
        };
    }
    text
}
