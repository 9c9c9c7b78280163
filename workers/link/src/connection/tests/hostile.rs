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
