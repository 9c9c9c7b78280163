//! Users' commands: each is answered exactly once (the world sees to it), and as it should be.

use std::time::Duration;

use atlas::control::{Format, Value};
use atlas::order::{Deed, Order};
use table::ConnectionState as State;

use super::processor::{Processor, STYLES, Style};
use super::world::{Network, World};
use crate::connection::Outcome;
use crate::connection::limits::COMMANDS;

pub(super) fn get(param: &str) -> Order {
    let format = if param.contains("Name") { Format::Str } else { Format::Val };
    Order { param: param.into(), deed: Deed::Get(format) }
}

pub(super) fn set(param: &str, value: f64) -> Order {
    Order { param: param.into(), deed: Deed::Set(Value::Val(value)) }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn settled(style: Style) -> World {
    let mut world = World::new(Processor::azm8(style), 1);
    world.run(secs(600));
    world
}

#[track_caller]
fn outcome(world: &mut World, order: &Order) -> Outcome {
    let ticket = world.order(order);
    world.run_until(secs(20), |world| world.outcomes.contains_key(&ticket));
    world.outcomes[&ticket].1.clone()
}

#[test]
fn answers_are_found_by_id_else_by_name() {
    for style in STYLES {
        let mut world = settled(style);
        assert_eq!(outcome(&mut world, &get("ZoneGain_0")), Outcome::Value(Value::Val(-20.0)), "{style:?}");
        assert_eq!(outcome(&mut world, &set("ZoneGain_0", -10.0)), Outcome::Done, "{style:?}");
        let bump = Order { param: "ZoneGain_0".into(), deed: Deed::Bump(Value::Val(-1.5)) };
        assert_eq!(outcome(&mut world, &bump), Outcome::Done, "{style:?}");
        assert_eq!(outcome(&mut world, &get("ZoneGain_0")), Outcome::Value(Value::Val(-11.5)), "{style:?}");
        let patio = outcome(&mut world, &get("ZoneName_2"));
        assert_eq!(patio, Outcome::Value(Value::Str("Zone 2".into())), "{style:?}");
        let refused = outcome(&mut world, &get("ZoneGain_9"));
        assert!(matches!(refused, Outcome::Refused(_)), "{style:?}: {refused:?}");
        assert_eq!(world.state(), Some(State::Connected), "{style:?}");
    }
}

#[test]
fn a_command_goes_before_what_is_still_to_be_subscribed() {
    let mut world = World::new(Processor::azm8(Style::Values), 1);
    world.run(Duration::from_millis(50));
    let ticket = world.order(&get("ZoneGain_0"));
    let took = world.run_until(secs(2), |world| world.outcomes.contains_key(&ticket));
    assert!(took < Duration::from_millis(300), "{took:?}");
}

#[test]
fn no_answer_says_so_and_the_others_are_told_at_once() {
    let mut world = settled(Style::Values);
    world.processor.locked = true;
    let first = world.order(&get("ZoneGain_0"));
    world.run(Duration::from_millis(500));
    let second = world.order(&get("ZoneGain_1"));
    world.run(secs(20));
    assert_eq!(world.outcomes[&first].1, Outcome::TimedOut);
    assert_eq!(world.outcomes[&second].1, Outcome::Unresponsive);
    let asked = world.processor.asked.len();
    for _ in 0..100 {
        let third = world.order(&set("ZoneGain_0", -3.0));
        assert_eq!(world.outcomes[&third].1, Outcome::Unresponsive, "at once");
    }
    assert_eq!(world.processor.asked.len(), asked, "and nothing is sent");
}

#[test]
fn who_waits_for_a_connection_that_ends_is_told() {
    let mut world = settled(Style::Values);
    world.latency = secs(2);
    let tickets = [world.order(&get("ZoneGain_0")), world.order(&get("ZoneGain_1"))];
    world.run(Duration::from_millis(500));
    world.network = Network::Refusing;
    world.cut();
    world.run(Duration::from_millis(10));
    assert_eq!(
        tickets.map(|ticket| world.outcomes[&ticket].1.clone()),
        [Outcome::Lost, Outcome::Disconnected]
    );
    assert_eq!(outcome(&mut world, &get("ZoneGain_0")), Outcome::Disconnected);
}

#[test]
fn commands_that_wait_are_limited_and_late_ones_are_not_sent() {
    let mut world = settled(Style::Values);
    world.latency = Duration::from_millis(2400);
    world.run(secs(60));
    let tickets: Vec<_> = (0..COMMANDS + 8).map(|_| world.order(&get("ZoneGain_0"))).collect();
    world.run(secs(60));
    let count = |wanted: &Outcome| tickets.iter().filter(|t| world.outcomes[t].1 == *wanted).count();
    assert!((7..=8).contains(&count(&Outcome::Busy)));
    assert!(count(&Outcome::NotSent) > 20, "at 2.4 s each, four are answered in 10 s");
    assert!(count(&Outcome::Value(Value::Val(-20.0))) >= 3);
}

#[test]
fn an_update_stands_for_an_answer_only_where_none_comes() {
    let mut world = settled(Style::Values);
    world.processor.locked = true;
    let ticket = world.order(&set("ZoneGain_0", -12.0));
    world.run(Duration::from_millis(100));
    world.say(r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneGain_0","val":-12}]}"#);
    world.run(secs(1));
    assert!(!world.outcomes.contains_key(&ticket), "somebody else may have set it");
    world.run(secs(6));
    assert_eq!(world.outcomes[&ticket].1, Outcome::Done);
}

#[test]
fn who_asks_before_the_first_connection_waits_for_it_and_is_told_if_it_fails() {
    for (network, expected) in [
        (Network::Open, Outcome::Value(Value::Val(-20.0))),
        (Network::Refusing, Outcome::Disconnected),
        (Network::Gone, Outcome::Disconnected),
    ] {
        let mut world = World::new(Processor::azm8(Style::Values), 1);
        world.network = network;
        assert_eq!(outcome(&mut world, &get("ZoneGain_0")), expected, "{network:?}");
    }
    let mut world = World::new(Processor::azm8(Style::Values), 1);
    let tickets: Vec<_> = (0..=COMMANDS).map(|_| world.order(&get("ZoneGain_0"))).collect();
    assert_eq!(world.outcomes[&tickets[COMMANDS]].1, Outcome::Busy);
    world.run(secs(10));
    let answered = |ticket| world.outcomes[ticket].1 == Outcome::Value(Value::Val(-20.0));
    assert!(tickets[..COMMANDS].iter().all(answered), "{:?}", world.outcomes);
}

#[test]
fn commands_that_never_pause_keep_nothing_from_being_subscribed() {
    let mut world = World::new(Processor::azm8(Style::Values), 1);
    for _ in 0..400 {
        world.order(&get("ZoneGain_0"));
        world.run(Duration::from_millis(50));
    }
    assert!(world.fresh(), "after 20 s of twenty commands a second");
    assert_eq!(world.names.values().flatten().count(), 38, "and names are known");
    let answered = world.outcomes.values().filter(|(_, outcome)| matches!(outcome, Outcome::Value(_)));
    assert!(answered.count() > 80, "half of ten a second at the least");
}

#[test]
fn who_leaves_sends_what_users_want_and_nothing_else() {
    let mut world = World::new(Processor::azm8(Style::Values), 1);
    world.run(Duration::from_millis(50));
    let tickets: Vec<_> = (0..6).map(|_| world.order(&get("ZoneGain_0"))).collect();
    let (subscribed, told) = (world.asked("sub"), world.told.len());
    world.leave(secs(1));
    world.run(Duration::from_millis(900));
    let value = |ticket| world.outcomes[ticket].1 == Outcome::Value(Value::Val(-20.0));
    assert!(tickets.iter().all(value), "six in less than a second: {:?}", world.outcomes);
    assert_eq!((world.asked("sub"), world.told.len()), (subscribed, told), "half of it is not subscribed");
    let last = world.order(&get("ZoneGain_1"));
    world.run(Duration::from_millis(90));
    assert!(world.outcomes.contains_key(&last), "of whom was taken before");
}

#[test]
fn what_cannot_be_sent_before_the_leave_is_over_is_told_so() {
    let mut world = settled(Style::Values);
    world.processor.locked = true;
    let tickets = [world.order(&get("ZoneGain_0")), world.order(&get("ZoneGain_1"))];
    world.leave(secs(1));
    let late = world.order(&get("ZoneGain_2"));
    world.run(Duration::from_millis(749));
    assert!(world.outcomes.is_empty());
    world.run(Duration::from_millis(1)); // the rest is for the answer to what was sent
    assert!(!world.outcomes.contains_key(&tickets[0]), "that may have been done");
    assert_eq!(
        [tickets[1], late].map(|ticket| world.outcomes[&ticket].1.clone()),
        [Outcome::Left, Outcome::Left]
    );
}

#[test]
fn who_leaves_opens_a_connection_for_those_who_wait_and_for_nobody_else() {
    for asks in [true, false] {
        let mut world = World::new(Processor::azm8(Style::Values), 1);
        let ticket = asks.then(|| world.order(&get("ZoneGain_0")));
        world.leave(secs(1));
        world.run(secs(1));
        assert_eq!((world.opens, world.outcomes.len()), (u64::from(asks), usize::from(asks)));
        let value = |ticket| world.outcomes[&ticket].1 == Outcome::Value(Value::Val(-20.0));
        assert!(ticket.is_none_or(value), "{:?}", world.outcomes);
    }
}
