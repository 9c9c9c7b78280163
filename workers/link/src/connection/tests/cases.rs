//! What real installations met, each as a case.

use std::time::Duration;

use atlas::{Kind, MeterId};
use serde_json::json;
use table::ConnectionState as State;

use super::processor::{Processor, STYLES, Style};
use super::world::{Network, World};
use crate::connection::Remark;

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn world(style: Style) -> World {
    World::new(Processor::azm8(style), 1)
}

/// Connected, and everything subscribed.
pub(super) fn settled(style: Style) -> World {
    let mut world = world(style);
    world.run(secs(600));
    assert_eq!(world.state(), Some(State::Connected), "{style:?}");
    world
}

#[test]
fn whatever_the_form_of_the_answers_every_meter_flows_soon_and_names_follow() {
    for style in STYLES {
        let mut world = world(style);
        let soon = world.run_until(secs(20), World::fresh);
        assert!(soon <= secs(12), "{style:?}: {soon:?}");
        world.run(secs(120));
        for index in 14..22 {
            let name = world.names.get(&MeterId { kind: Kind::Mix, index });
            assert_eq!(name, Some(&Some(format!("Mix {index}"))), "{style:?}");
        }
        assert_eq!((world.mutes.len(), world.gains.len()), (38, 38), "{style:?}");
        assert_eq!((world.sources.len(), world.grouped.len()), (16, 16), "zones and groups, {style:?}");
        assert_eq!(
            world.processor.subscribed.len(),
            world.processor.has.len() - 1,
            "all but KeepAlive, {style:?}"
        );
    }
}

#[test]
fn levels_flow_before_names_are_known() {
    for style in STYLES {
        let mut world = world(style);
        world.run_until(secs(20), World::fresh);
        let asked = &world.processor.asked;
        let first_name = asked.iter().position(|(_, names)| names[0].contains("Name_"));
        let last_likely = asked.iter().rposition(|(_, names)| names.contains(&"ZoneMeter_7".to_owned()));
        assert!(first_name.is_none_or(|first| last_likely.unwrap() < first), "{style:?}");
    }
}

#[test]
fn everything_is_subscribed_once_and_then_the_line_is_quiet() {
    for style in [Style::Values, Style::ErrorsAndValues, Style::Done, Style::WithoutIds, Style::Odd] {
        let mut world = settled(style);
        for param in world.processor.has.keys().filter(|name| *name != "KeepAlive") {
            assert_eq!(world.subscriptions_of(param), 1, "{param}, {style:?}");
        }
        let (subs, gets) = (world.asked("sub"), world.asked("get"));
        world.run(secs(3600));
        assert_eq!(world.asked("sub"), subs, "{style:?}");
        let keep_alives = world.asked("get") - gets;
        assert!((110..=121).contains(&keep_alives), "every 30 s: {keep_alives}, {style:?}");
    }
}

#[test]
fn indices_that_nobody_expects_are_found_and_the_search_is_gentle() {
    for style in STYLES.into_iter().filter(|style| !matches!(style, Style::Done | Style::UpdatesOnly)) {
        let mut processor = Processor::azm8(style);
        processor.add("Mix", 40);
        processor.add("Source", 63);
        let mut world = World::new(processor, 1);
        world.run(secs(600));
        assert!(world.fresh(), "{style:?}");
        assert!(world.names.contains_key(&MeterId { kind: Kind::Mix, index: 40 }), "{style:?}");
        assert!(world.processor.asked.len() < 600, "{style:?}: {}", world.processor.asked.len());
    }
}

#[test]
fn a_successor_subscribes_first_what_was_heard_before() {
    let mut world = world(Style::OneError);
    let known: Vec<MeterId> = (20..30).map(|index| MeterId { kind: Kind::Group, index }).collect();
    world.remember(&known);
    world.run(secs(1));
    assert_eq!(world.processor.asked[0].1[..10], known.iter().map(ToString::to_string).collect::<Vec<_>>());
}

#[test]
fn a_processor_that_is_off_for_a_week_is_told_once_and_found_at_once() {
    for network in [Network::Refusing, Network::Gone, Network::Slamming] {
        let mut world = settled(Style::Values);
        let before = world.remarks.len();
        world.network = network;
        world.cut();
        world.run(WEEK);
        assert_eq!(world.state(), Some(State::Disconnected));
        assert!(world.remarks.len() - before < 200, "{network:?}: {}", world.remarks.len());
        assert!(world.opens < 50_000, "{network:?}: {} attempts in a week", world.opens);
        world.network = Network::Open;
        world.run_until(secs(40), |world| world.state() == Some(State::Connected) && world.fresh());
    }
}

#[test]
fn one_that_comes_and_goes_does_not_fill_the_log() {
    let mut world = settled(Style::Values);
    for _ in 0..24 * 30 {
        world.cut();
        world.run(secs(120));
    }
    assert!(world.states.len() > 1400, "it did come and go, for a day");
    assert!(world.remarks.len() <= 20 + 25, "some at once, then one an hour: {}", world.remarks.len());
}

#[test]
fn a_lock_up_is_seen_and_not_hammered_and_levels_are_not_given_up_for_it() {
    let mut world = settled(Style::Values);
    let opens = world.opens;
    world.processor.locked = true;
    world.run_until(secs(45), |world| world.state() == Some(State::Unresponsive));
    let asked = world.processor.asked.len();
    world.run(secs(3600));
    let during = world.processor.asked.len() - asked;
    assert!((50..=61).contains(&during), "one a minute: {during}");
    assert_eq!(world.opens, opens, "levels still flow: the connection stays");
    world.processor.locked = false;
    world.processor.change("ZoneMute_1", json!(1));
    world.run_until(secs(61), |world| world.state() == Some(State::Connected));
    world.run(secs(30));
    assert!(world.mutes[&MeterId { kind: Kind::Zone, index: 1 }], "what it could not tell is asked again");
    assert_eq!(world.subscriptions_of("ZoneMeter_1"), 1, "levels come all the time");
    let told: Vec<&Remark> = world.remarks.iter().map(|(_, remark)| remark).collect();
    assert!(matches!(told[..], [Remark::Connected, Remark::Unresponsive, Remark::Recovered(_)]), "{told:?}");
}

#[test]
fn one_that_is_locked_from_the_start_is_unresponsive_within_seconds_and_told_once() {
    let mut processor = Processor::azm8(Style::Values);
    processor.locked = true;
    let mut world = World::new(processor, 1);
    let took = world.run_until(secs(12), |world| world.state() == Some(State::Unresponsive));
    assert!(took >= secs(10));
    world.run(WEEK);
    assert!(world.opens > 100, "without levels a new connection is tried, gently");
    assert!(world.processor.asked.len() as u64 <= WEEK.as_secs() / 60 * 2);
    assert_eq!(world.state(), Some(State::Unresponsive), "{:?}", world.states.len());
    assert!(world.remarks.len() < 3, "{:?}", world.remarks);
    world.processor.locked = false;
    world.run_until(secs(300), World::fresh);
}

#[test]
fn slow_is_not_locked_up() {
    for latency in [1, 4, 9] {
        let mut world = World::new(Processor::azm8(Style::Values), 1);
        world.run(Duration::from_millis(4));
        world.latency = secs(latency);
        world.run(secs(600));
        assert_eq!(world.state(), Some(State::Connected), "{latency} s");
        assert!(world.states.iter().all(|(_, state)| *state != State::Unresponsive), "{:?}", world.states);
        assert!(world.fresh(), "{latency} s");
    }
}

#[test]
fn a_reboot_costs_seconds() {
    for (down, within) in [(0, 2), (2, 3), (30, 5), (120, 5)] {
        let mut world = settled(Style::Values);
        world.network = Network::Refusing;
        world.cut();
        world.run(secs(down));
        world.network = Network::Open;
        world.run(Duration::from_millis(1));
        let took =
            world.run_until(secs(10), |world| world.state() == Some(State::Connected) && world.fresh());
        assert!(took <= secs(within), "{down} s down: {took:?}");
    }
}

#[test]
fn one_that_lost_its_memory_is_found_by_the_silence_of_all_its_meters() {
    let mut world = settled(Style::Values);
    world.forget_us();
    world.run(Duration::from_millis(1500));
    let took = world.run_until(secs(10), World::fresh);
    assert!(took <= Duration::from_millis(3500), "{took:?}");
}

#[test]
fn one_that_goes_without_a_word_is_connected_anew_within_seconds() {
    let mut world = settled(Style::Values);
    let before = world.remarks.len();
    world.vanish();
    world.run(Duration::from_millis(1500));
    let took = world.run_until(secs(10), World::fresh);
    assert!(took + Duration::from_millis(1500) <= secs(5), "{took:?}");
    let told: Vec<&Remark> = world.remarks[before..].iter().map(|(_, remark)| remark).collect();
    assert_eq!(told, [&Remark::GivenUp]);
    world.run(secs(3600));
    assert_eq!(world.opens, 2, "once");
}

#[test]
fn a_rename_and_every_other_change_shows() {
    let mut world = settled(Style::Values);
    let line = world.processor.change("SourceName_3", json!("Juke box")).unwrap();
    world.say(&line);
    let line = world.processor.change("ZoneMute_1", json!(1)).unwrap();
    world.say(&line);
    world.run(secs(1));
    assert_eq!(world.names[&MeterId { kind: Kind::Source, index: 3 }].as_deref(), Some("Juke box"));
    let zone = MeterId { kind: Kind::Zone, index: 1 };
    assert!(world.mutes[&zone]);
    for (param, value) in [("ZoneGain_1", -12.5), ("ZoneSource_1", -1.0), ("ZoneGrouped_1", 1.0)] {
        let line = world.processor.change(param, json!(value)).unwrap();
        world.say(&line);
    }
    world.run(secs(1));
    assert_eq!((world.gains[&zone], world.sources[&zone], world.grouped[&zone]), (-12.5, -1.0, true));
}

#[test]
fn a_meter_that_is_silent_is_subscribed_anew_gently_and_told_once() {
    let mut world = settled(Style::Values);
    let before = world.remarks.len();
    world.processor.dumb.insert("ZoneMeter_3".into());
    world.run(secs(3600));
    assert_eq!(world.subscriptions_of("ZoneMeter_3"), 1 + 6, "each ten minutes");
    assert_eq!(world.subscriptions_of("ZoneMeter_4"), 1);
    let silent = MeterId { kind: Kind::Zone, index: 3 };
    let told = |world: &World| -> Vec<Remark> {
        world.remarks[before..].iter().map(|(_, remark)| remark.clone()).collect()
    };
    assert_eq!(told(&world), [Remark::Silent(vec![silent])]);
    world.processor.dumb.clear();
    world.run(secs(5));
    world.processor.dumb.insert("ZoneMeter_3".into());
    world.run(secs(60));
    assert_eq!(told(&world).len(), 1, "a word now and then is no change");
    world.processor.dumb.clear();
    world.run(secs(20));
    assert_eq!(told(&world), [Remark::Silent(vec![silent]), Remark::Heard(vec![silent])]);
    world.run(secs(3600));
    assert_eq!(told(&world).len(), 2, "once");
}

#[test]
fn what_is_heard_now_is_told_in_the_end_however_often_it_changed() {
    let mut world = settled(Style::Values);
    for _ in 0..30 {
        world.processor.all_dumb = true;
        world.run(secs(30));
        world.processor.all_dumb = false;
        world.run(secs(30));
    }
    assert!(world.remarks.len() <= 20 + 1, "{}", world.remarks.len());
    world.run(secs(6 * 3600));
    assert_eq!(world.told.last().map(String::as_str), Some("levels arrive again"));
    world.processor.all_dumb = true;
    world.run(secs(6 * 3600));
    assert!(matches!(world.remarks.last(), Some((_, Remark::NoLevels(38)))), "{:?}", world.told.last());
}

#[test]
fn a_wall_before_the_meters_port_is_told_once() {
    let mut processor = Processor::azm8(Style::Values);
    processor.all_dumb = true;
    let mut world = World::new(processor, 1);
    world.run(secs(3600));
    assert_eq!(world.state(), Some(State::Connected));
    let told: Vec<_> = world.remarks.iter().map(|(_, remark)| remark.clone()).collect();
    assert_eq!(told, [Remark::Connected, Remark::NoLevels(38)]);
    world.processor.all_dumb = false;
    world.run(secs(10));
    assert_eq!(world.remarks.last().map(|(_, remark)| remark), Some(&Remark::Levels));
}

#[test]
fn garbage_and_strange_answers_change_nothing() {
    let mut world = settled(Style::Values);
    let asked = world.processor.asked.len();
    for line in [
        "",
        "oops",
        "{",
        "[]",
        "7",
        "null",
        r#"{"id":4000000000,"result":"OK"}"#,
        r#"{"error":null,"id":1}"#,
        r#"{"method":"update","params":7}"#,
        r#"{"method":"update"}"#,
        r#"{"error":{},"id":-1}"#,
        r#"{"method":"error"}"#,
        r#"{"method":"update","params":{"param":"ZoneName_99","str":"x"}}"#,
    ] {
        world.say(line);
        world.run(secs(1));
    }
    assert_eq!(world.state(), Some(State::Connected));
    assert!(world.processor.asked.len() - asked <= 1, "a keep-alive at the most");
}

#[test]
fn an_answer_that_belongs_to_nothing_silences_no_meter_for_long() {
    let mut world = World::new(Processor::azm8(Style::OneError), 1);
    world.processor.locked = true;
    world.run(Duration::from_millis(10));
    world.say(r#"{"result":"OK"}"#);
    world.run(Duration::from_millis(10));
    world.processor.locked = false;
    world.run_until(secs(30), World::fresh);
}

#[test]
fn meters_that_stay_silent_after_they_were_subscribed_anew_are_not_given_up() {
    let mut world = settled(Style::Values);
    let before = world.remarks.len();
    // The service of its meters is started anew, and is not there yet when we ask.
    world.processor.all_dumb = true;
    world.run(secs(30));
    assert!(world.subscriptions_of("ZoneMeter_3") > 1, "it was asked");
    world.processor.forget_meters();
    world.processor.all_dumb = false;
    world.run_until(secs(120), World::fresh);
    world.run(secs(1));
    let told: Vec<&Remark> = world.remarks[before..].iter().map(|(_, remark)| remark).collect();
    assert_eq!(told, [&Remark::NoLevels(38), &Remark::Levels]);
    assert_eq!((world.opens, world.state()), (1, Some(State::Connected)));
}

#[test]
fn one_meter_that_stays_silent_is_asked_for_again_and_again_at_a_gentle_pace() {
    let mut world = settled(Style::Values);
    world.processor.dumb.insert("ZoneMeter_3".into());
    world.run(secs(60));
    world.processor.subscribed.remove("ZoneMeter_3");
    world.processor.dumb.clear();
    world.run_until(secs(700), World::fresh);
    assert_eq!(world.subscriptions_of("ZoneMeter_3"), 3);
}

#[test]
fn one_that_answers_no_subscription_and_sends_one_level_for_each_is_not_connected_anew() {
    let mut world = settled(Style::UpdatesOnly);
    world.processor.one_level_each = true;
    world.run(secs(3600));
    assert!(world.subscriptions_of("ZoneMeter_3") > 1, "it was asked for the others");
    assert_eq!((world.opens, world.state()), (1, Some(State::Connected)));
    world.vanish();
    world.processor.one_level_each = false;
    world.run_until(secs(400), World::fresh);
    assert_eq!(world.opens, 2, "one that is gone is still noticed");
}
