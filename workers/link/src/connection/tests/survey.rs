//! What is subscribed, how often, and what is forgotten because it is not there.

use std::time::Duration;

use atlas::{Kind, MeterId};

use super::cases::{secs, settled, world};
use super::commands::get;
use super::processor::{Processor, STYLES, Style};
use super::world::World;
use crate::connection::limits::SWEEP_EVERY;

#[test]
fn what_a_user_asked_for_before_its_turn_came_is_subscribed_all_the_same() {
    for style in STYLES {
        let mut world = world(style);
        world.run(Duration::from_millis(50));
        for param in ["GroupName_1", "GroupGain_1", "MixMute_20"] {
            world.order(&get(param));
        }
        world.run(secs(120));
        for param in ["GroupName_1", "GroupGain_1", "MixMute_20"] {
            assert!(world.processor.subscribed.contains(param), "{param}, {style:?}");
        }
    }
}

#[test]
fn one_that_denies_nothing_is_not_asked_for_what_nobody_expects_more_than_once() {
    let mut processor = Processor::azm8(Style::Done);
    processor.add("Mix", 40);
    let mut world = World::new(processor, 1);
    world.run(secs(3600));
    let nowhere: Vec<&String> = world
        .processor
        .asked
        .iter()
        .flat_map(|(_, names)| names)
        .filter(|name| name.ends_with("_63"))
        .collect();
    assert_eq!(nowhere.len(), 4, "each kind's meter once, and no details: {nowhere:?}");
    let mix = MeterId { kind: Kind::Mix, index: 40 };
    assert!(world.fresh() && world.names[&mix].as_deref() == Some("Mix 40"), "what is there is found");
}

#[test]
fn what_was_removed_keeps_no_name() {
    let zone = MeterId { kind: Kind::Zone, index: 7 };
    for style in [Style::Values, Style::ErrorsAndValues, Style::OneError, Style::NamelessError, Style::Odd] {
        let mut world = settled(style);
        assert_eq!(world.names[&zone].as_deref(), Some("Zone 7"), "{style:?}");
        world.processor.remove("Zone", 7);
        world.cut();
        world.run(secs(300));
        assert_eq!(world.names.get(&zone).cloned().flatten(), None, "{style:?}");
        world.processor.add("Zone", 7);
        world.cut();
        world.run(secs(300));
        assert_eq!(world.names[&zone].as_deref(), Some("Zone 7"), "it is back, {style:?}");
    }
}

#[test]
fn a_meter_that_was_denied_and_is_there_all_the_same_has_its_name_again_after_the_next_sweep() {
    let mut world = settled(Style::Values);
    world.say(r#"{"error":{"code":-32604,"message":"param 'ZoneMeter_2' could not be found"}}"#);
    world.run(secs(1));
    let zone = MeterId { kind: Kind::Zone, index: 2 };
    assert!(!world.names.contains_key(&zone));
    world.run(SWEEP_EVERY + secs(60));
    let told = (world.names.get(&zone).cloned().flatten(), world.mutes.get(&zone));
    assert_eq!(told, (Some("Zone 2".into()), Some(&false)));
}
