//! The whole table: every state of a slot against everything that can happen to it.
//!
//! A cell says what becomes of the slot and what is done, in order: `S` spawn, `H` spawn an heir, `T` TERM,
//! `K` KILL, `M` another mask, `C` close, `A` abandon; `D` an order is done, `F` failed, `X` superseded; `G` gone. `·` is
//! nothing at all, `-` cannot be. Slots read `holder + heir + leavers`; an heir that is READY is an HEIR.

use super::super::slot::{Grace, Holder, MAX_IDLE_DRAINS, Proc, Seat};
use super::super::{Action, Event, Order, Outcome, Plan, Run, Sig, Slot};
use super::plans::{ms, plan};
use super::world::World;

/// The subject is worker 2, above two workers that are online. Who speaks is its process: the one that the
/// row's name ends with.
const CHILDREN: &str = "
                 | bound          | ready          | alive          | too fat        | exited         | clock
empty            | -              | -              | -              | -              | -              | -
launch, unbound  | M              | ·              | ·              | ·              | waiting F      | waiting+k KF
launch           | ·              | online MD      | ·              | ·              | waiting F      | waiting+k KF
online           | ·              | ·              | ·              | online+heir H  | waiting M      | launch+k KS
stable           | ·              | ·              | ·              | online+heir H  | launch S       | launch+k KS
waiting          | -              | -              | -              | -              | -              | launch S
errored          | -              | -              | -              | -              | -              | -
leaver           | ·              | ·              | ·              | ·              | closing C      | empty+k K
leaver, killed   | ·              | ·              | ·              | ·              | closing C      | -
closing          | -              | -              | -              | -              | -              | -
drain            | ·              | drained        | ·              | ·              | closing FC     | empty+k KF
drained          | ·              | ·              | empty+l T      | ·              | closing FC     | empty+l T
drain, waiting   | -              | -              | -              | -              | -              | drain S
closing, at last | -              | -              | -              | -              | -              | -
heir             | ·              | online+HEIR    | ·              | ·              | online F       | online+l TF
last heir        | ·              | online+l T     | ·              | ·              | online F       | online+k KF
HEIR             | ·              | ·              | ·              | ·              | online F       | -
new heir         | M              | ·              | ·              | ·              | closing FC     | empty+l TF
fat heir         | ·              | online+l T     | ·              | ·              | online         | online+k K
errored+heir     | ·              | errored+HEIR   | ·              | ·              | errored F      | errored+l TF
stopping         | ·              | ·              | ·              | ·              | empty          | empty+k K
";
const CHILDREN_SAY: [&str; 6] = ["bound", "ready", "alive", "too fat", "exited", "clock"];

/// Orders name worker 2, or the number of workers; `Close` is answered where it is asked.
const ORDERS: &str = "
                 | restart        | scale 2        | scale 3        | reload         | stop           | closed         | queued
empty            | ·              | closing XC     | X              | ·              | X              | -              | -
launch, unbound  | empty+l T      | empty+l XT     | X              | ·              | empty+l XT     | -              | -
launch           | launch+l TS    | empty+l XT     | X              | launch+heir H  | empty+l XT     | -              | -
online           | launch+l TS    | empty+l MT     | D              | online+heir H  | empty+l T      | -              | -
stable           | launch+l TS    | empty+l MT     | D              | online+heir H  | empty+l T      | -              | -
waiting          | launch S       | closing C      | D              | waiting+heir H | empty          | -              | -
errored          | launch S       | closing C      | D              | errored+heir H | empty          | -              | -
leaver           | R              | X              | launch+l XS    | ·              | X              | -              | -
leaver, killed   | R              | X              | launch+k XS    | ·              | X              | -              | -
closing          | R              | X              | X              | ·              | X              | gone MD        | drain S
drain            | R              | X              | launch X       | ·              | empty+l XT     | -              | -
drained          | R              | X              | online XDM     | ·              | empty+l XT     | -              | -
drain, waiting   | R              | closing C      | launch S       | ·              | empty          | -              | -
closing, at last | R              | X              | X              | ·              | X              | gone MD        | gone AMD
heir             | ·              | ·              | ·              | ·              | empty+l+l XTT  | -              | -
last heir        | ·              | ·              | ·              | ·              | empty+l+l XTT  | -              | -
HEIR             | ·              | ·              | ·              | ·              | empty+l+l XTT  | -              | -
new heir         | ·              | ·              | ·              | ·              | empty+l XT     | -              | -
fat heir         | launch+l+l TTS | empty+l+l MTT  | D              | online+heir+l TH| empty+l+l TT   | -              | -
errored+heir     | ·              | ·              | ·              | ·              | empty+l XT     | -              | -
stopping         | R              | R              | R              | R              | empty+k XK     | -              | -
";
const OTHERS_SAY: [&str; 7] = ["restart", "scale 2", "scale 3", "reload", "stop", "closed", "queued"];

#[test]
fn whatever_a_child_does_the_table_says_what_follows() {
    expect(CHILDREN, &CHILDREN_SAY);
}

#[test]
fn whatever_is_ordered_the_table_says_what_follows() {
    expect(ORDERS, &OTHERS_SAY);
}

#[track_caller]
fn expect(table: &str, columns: &[&str]) {
    let row = |name: &str, cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:<15}")).collect();
        format!("{name:<17}| {}", cells.join("| ")).trim_end().to_string()
    };
    let mut actual = vec![row("", &columns.iter().map(ToString::to_string).collect::<Vec<_>>())];
    for state in STATES {
        actual.push(row(state, &columns.iter().map(|column| cell(state, column)).collect::<Vec<_>>()));
    }
    let expected: Vec<Vec<&str>> = table.trim_matches('\n').lines().map(cells).collect();
    let same = actual.iter().map(|line| cells(line)).eq(expected);
    assert!(same, "the table would be\n{}\n", actual.join("\n"));
}

fn cells(line: &str) -> Vec<&str> {
    line.split('|').map(str::trim).collect()
}

const SUBJECT: Slot = Slot::Worker(2);

pub(super) const STATES: [&str; 21] = [
    "empty",
    "launch, unbound",
    "launch",
    "online",
    "stable",
    "waiting",
    "errored",
    "leaver",
    "leaver, killed",
    "closing",
    "drain",
    "drained",
    "drain, waiting",
    "closing, at last",
    "heir",
    "last heir",
    "HEIR",
    "new heir",
    "fat heir",
    "errored+heir",
    "stopping",
];

/// Brings the subject into a state; tells who will speak.
pub(super) fn prepare(state: &str) -> (World, Option<Run>) {
    let mut plan = plan(if state == "empty" { 1 } else { 2 });
    plan.worker.max_restarts = u32::from(state.starts_with("errored"));
    let mut world = World::online(plan.clone());
    if state == "new heir" {
        world.reload(Plan { workers: 3, ..plan });
        let heir = world.heir(SUBJECT);
        return (world, Some(heir));
    }
    world.scale(3);
    if state == "empty" {
        return (world, None);
    }
    let run = world.holder(SUBJECT);
    match state {
        "launch, unbound" => {}
        "launch" => {
            for _ in ["bind", "say so"] {
                world.try_step(run).expect("a step");
            }
        }
        _ => world.come_up(run),
    }
    let speaker = match state {
        "stable" => {
            world.pass(ms(1000));
            Some(run)
        }
        "waiting" | "errored" | "errored+heir" => {
            world.exit(run);
            None
        }
        "leaver" | "leaver, killed" | "closing" | "drain" | "drained" | "drain, waiting"
        | "closing, at last" => retire(&mut world, state, run),
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
    match state {
        "heir" | "last heir" | "HEIR" | "errored+heir" => {
            let heir = reload(&mut world, state, &plan);
            (world, Some(heir))
        }
        _ => (world, speaker),
    }
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
    match state {
        "drain" => return Some(drainer),
        "drained" => {
            world.come_up(drainer);
            return Some(drainer);
        }
        "closing, at last" => {
            for _ in 1..MAX_IDLE_DRAINS {
                world.drain_nothing(SUBJECT);
                world.answer_close(SUBJECT, true);
                world.jump();
            }
            world.drain_nothing(SUBJECT);
        }
        _ => {
            world.exit(drainer);
            world.answer_close(SUBJECT, true);
        }
    }
    None
}

fn reload(world: &mut World, state: &str, plan: &Plan) -> Run {
    world.reload(Plan { workers: 3, ..plan.clone() });
    match state {
        "last heir" => {
            for slot in [Slot::Worker(0), Slot::Worker(1)] {
                world.come_up(world.heir(slot));
            }
        }
        "HEIR" => world.come_up(world.heir(SUBJECT)),
        _ => {}
    }
    world.heir(SUBJECT)
}

fn cell(state: &str, column: &str) -> String {
    let (mut world, speaker) = prepare(state);
    let before = seat(&world);
    let due = world.fleet.seats.get(&SUBJECT).and_then(Seat::deadline).filter(|_| state != "HEIR");
    match (column, speaker) {
        ("bound", Some(run)) => {
            let _bound_already = world.sockets.insert(2);
            world.try_say_bound(run).expect("bound");
        }
        ("ready", Some(run)) => world.try_say_ready(run).expect("ready"),
        ("alive", Some(run)) => world.event(Event::Alive(run)),
        ("too fat", Some(run)) => world.event(Event::TooFat(run)),
        ("exited", Some(run)) => world.exit(run),
        ("clock", _) if due.is_some() => {
            world.now = due.expect("a deadline");
            world.clock();
        }
        ("restart", _) => drop(world.order(Order::Restart(vec![SUBJECT]))),
        ("scale 2", _) => drop(world.scale(2)),
        ("scale 3", _) => drop(world.scale(3)),
        ("reload", _) => drop(world.reload(world.fleet.plan().clone())),
        ("stop", _) => drop(world.order(Order::Stop { now: false })),
        ("closed", _) if world.closing.contains(&SUBJECT) => world.answer_close(SUBJECT, false),
        ("queued", _) if world.closing.contains(&SUBJECT) => world.answer_close(SUBJECT, true),
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
        Action::Abandon(slot) => (slot == SUBJECT).then_some('A'),
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
        Holder::Finished => "stopped",
        Holder::Held(proc) => name(proc, "launch", "online"),
        Holder::Draining(proc) => name(proc, "drain", "drained"),
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
