//! Processors that mean no good.

use std::time::Duration;

use serde_json::json;
use table::ConnectionState as State;

use super::processor::{Processor, STYLES, Style};
use super::world::{Network, World};
use crate::dice::Dice;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Lines at once, and one an hour: so a week has fewer than 200.
const LINES_A_DAY: usize = 20 + 24;
const LINES_A_WEEK: usize = 20 + 7 * 24;
const _: () = assert!(LINES_A_WEEK < 200);

fn whim(world: &mut World, dice: &mut Dice) {
    match (dice.roll() * 8.0) as u32 {
        0 => world.cut(),
        1 => world.vanish(),
        2 => world.network = Network::Open,
        3 => {
            world.network =
                [Network::Refusing, Network::Gone, Network::Slamming][(dice.roll() * 3.0) as usize]
        }
        4 => world.processor.locked = !world.processor.locked,
        5 => world.processor.all_dumb = !world.processor.all_dumb,
        6 => world.latency = Duration::from_secs_f64(dice.roll() * 12.0),
        _ => world.say(r#"{"error":"no","id":1}"#),
    }
}

#[test]
fn no_processor_fills_the_log_whatever_it_does() {
    for seed in 0..6 {
        let (mut world, mut dice) = (World::new(Processor::azm8(Style::Values), seed), Dice::new(seed));
        let end = world.now + DAY;
        while world.now < end {
            whim(&mut world, &mut dice);
            world.run(Duration::from_secs_f64(1.0 + dice.roll() * 600.0));
        }
        assert!(world.states.len() > 100, "it was lively: {}", world.states.len());
        assert!(world.remarks.len() <= LINES_A_DAY, "seed {seed}: {}", world.remarks.len());
    }
}

/// It closes its connection every four seconds, for so many minutes.
fn flap(world: &mut World, minutes: u64) {
    for _ in 0..minutes * 60 / 4 {
        world.run(Duration::from_secs(4));
        world.cut();
    }
}

#[test]
fn after_a_storm_the_state_that_lasts_is_told_and_what_was_left_out_is_counted() {
    let mut world = World::new(Processor::azm8(Style::Values), 1);
    flap(&mut world, 10);
    let (told, changes) = (world.remarks.len(), world.states.len());
    assert!(told <= 20 && changes > 200, "{told} of {changes}");
    world.run(Duration::from_secs(12 * 60));
    let later: Vec<String> = world.told[told..].to_vec();
    assert_eq!(later.len(), 1, "{later:?}");
    assert!(later[0].starts_with("connected (for 60 s; "), "{later:?}");
    let left_out = later[0].split_whitespace().nth(4).unwrap().parse::<usize>().unwrap();
    let mut all: Vec<State> = world.states.iter().map(|(_, state)| *state).collect();
    all.retain(|state| *state != State::Connecting);
    all.dedup();
    assert_eq!(told + left_out + 1, all.len(), "every change was told or counted");
}

#[test]
fn who_comes_and_goes_for_days_is_told_about_each_hour() {
    let mut world = World::new(Processor::azm8(Style::Values), 1);
    flap(&mut world, 30 * 60);
    let late = world.now - Duration::from_secs(12 * 3600);
    let lines = world.remarks.iter().filter(|(at, _)| *at > late).count();
    assert!((11..=13).contains(&lines), "{lines} in twelve hours");
    assert!(world.told.last().unwrap().contains("changes were left out here"), "{:?}", world.told.last());
}

#[test]
fn who_has_used_up_his_lines_is_told_about_in_the_end() {
    let mut world = World::new(Processor::azm8(Style::Values), 1);
    for _ in 0..20 {
        flap(&mut world, 2);
        world.run(Duration::from_secs(90));
    }
    assert!(world.remarks.len() <= 20 + 2, "{}", world.remarks.len());
    world.network = Network::Refusing;
    world.cut();
    world.run(Duration::from_secs(2 * 3600));
    let last = world.told.last().unwrap();
    assert!(last.starts_with("disconnected: ") && last.contains("were left out here"), "{last}");
}

#[test]
fn a_storm_of_renames_costs_no_message_and_the_last_name_stands() {
    let mut world = World::new(Processor::azm8(Style::Values), 1);
    world.run(Duration::from_secs(120));
    let asked = world.processor.asked.len();
    for number in 0..50_000 {
        let line = world.processor.change("ZoneName_0", json!(format!("Name {number}"))).unwrap();
        world.say(&line);
    }
    world.run(Duration::from_secs(10));
    assert!(world.processor.asked.len() - asked <= 1, "a keep-alive at the most");
    let zone = atlas::MeterId { kind: atlas::Kind::Zone, index: 0 };
    assert_eq!(world.names[&zone].as_deref(), Some("Name 49999"));
}

#[test]
fn answers_to_other_peoples_ids_are_taken_for_nobodys_and_hammer_nobody() {
    for style in STYLES {
        let mut world = World::new(Processor::azm8(style), 1);
        world.processor.ids_of_others = true;
        world.run(Duration::from_secs(3600));
        assert_eq!(world.state(), Some(State::Connected), "it does answer, {style:?}");
        // Who refuses whole arrays, and says so to others alone, is not understood.
        let understood = !matches!(style, Style::OneError | Style::NamelessError);
        assert!(world.fresh() || !understood, "{style:?}");
        assert!(world.processor.asked.len() < 3000, "{style:?}: {} in an hour", world.processor.asked.len());
        assert!(world.remarks.len() <= 2, "{style:?}: {:?}", world.remarks);
        world.processor.ids_of_others = false;
        let ticket = world.order(&super::commands::get("ZoneGain_0"));
        world.run_until(Duration::from_secs(20), |world| world.outcomes.contains_key(&ticket));
    }
}
