//! Random orders of events: whatever happens, the world's promises hold, and who behaves is read again.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use table::ConnectionState as State;

use super::commands::{get, set};
use super::processor::{Processor, STYLES, Style};
use super::world::{Network, World};
use crate::connection::limits::SWEEP_EVERY;

#[derive(Clone, Copy, Debug)]
enum Fate {
    Run(u32),
    Network(Network),
    Cut,
    ForgetUs,
    Vanish,
    Lock(bool),
    Latency(u32),
    Get,
    Set,
    Say(usize),
    Rename,
    Dumb(bool),
}

/// The one of [`SAYINGS`] that denies a meter.
const DENIAL: usize = 4;
const SAYINGS: [&str; 8] = [
    "",
    "garbage",
    r#"{"result":"OK"}"#,
    r#"{"result":[],"id":3}"#,
    r#"{"error":{"code":-32604,"message":"param 'ZoneMeter_2' could not be found"},"id":2}"#,
    r#"{"error":"no"}"#,
    r#"{"method":"update","params":{"param":"ZoneGain_0","val":-3}}"#,
    r#"{"method":"getResp","params":[{"param":"KeepAlive","str":"OK"}],"id":1}"#,
];

fn fate() -> impl Strategy<Value = Fate> {
    const NETWORKS: [Network; 4] = [Network::Open, Network::Refusing, Network::Gone, Network::Slamming];
    prop_oneof![
        6 => (1u32..20_000).prop_map(Fate::Run),
        1 => (20_000u32..600_000).prop_map(Fate::Run),
        2 => prop::sample::select(&NETWORKS[..]).prop_map(Fate::Network),
        2 => Just(Fate::Cut),
        1 => Just(Fate::ForgetUs),
        1 => Just(Fate::Vanish),
        2 => any::<bool>().prop_map(Fate::Lock),
        1 => (0u32..8000).prop_map(Fate::Latency),
        3 => Just(Fate::Get),
        2 => Just(Fate::Set),
        2 => (0..SAYINGS.len()).prop_map(Fate::Say),
        1 => Just(Fate::Rename),
        1 => any::<bool>().prop_map(Fate::Dumb),
    ]
}

fn live(style: Style, seed: u64, fates: &[Fate]) {
    let mut world = World::new(Processor::azm8(style), seed);
    for fate in fates {
        match *fate {
            Fate::Run(millis) => world.run(Duration::from_millis(millis.into())),
            Fate::Network(network) => world.network = network,
            Fate::Cut => world.cut(),
            Fate::ForgetUs => world.forget_us(),
            Fate::Vanish => world.vanish(),
            Fate::Lock(locked) => world.processor.locked = locked,
            Fate::Latency(millis) => world.latency = Duration::from_millis(u64::from(millis) + 1),
            Fate::Get => drop(world.order(&get("ZoneName_0"))),
            Fate::Set => drop(world.order(&set("ZoneGain_0", -3.0))),
            Fate::Say(which) => world.say(SAYINGS[which]),
            Fate::Rename => {
                let line = world.processor.change("ZoneName_0", json!("Bar"));
                line.iter().for_each(|line| world.say(line));
            }
            Fate::Dumb(dumb) => world.processor.all_dumb = dumb,
        }
    }
    // Who behaves from now on is read again; commands are answered.
    world.network = Network::Open;
    world.latency = Duration::from_millis(2);
    (world.processor.locked, world.processor.all_dumb) = (false, false);
    // Where subscriptions get no answer, and where a meter was denied that is there, the next sweep finds it.
    let misled = style == Style::UpdatesOnly || fates.iter().any(|fate| matches!(fate, Fate::Say(DENIAL)));
    let patience = Duration::from_secs(400) + if misled { SWEEP_EVERY } else { Duration::ZERO };
    world.run_until(patience, |world| world.state() == Some(State::Connected) && world.fresh());
    world.run(Duration::from_secs(30));
    let ticket = world.order(&get("ZoneGain_1"));
    world.run_until(Duration::from_secs(10), |world| world.outcomes.contains_key(&ticket));
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_events_ends_well(
        style in prop::sample::select(&STYLES[..]),
        seed in any::<u64>(),
        fates in prop::collection::vec(fate(), 0..60),
    ) {
        live(style, seed, &fates);
    }
}

/// Seen in a random life once.
#[test]
fn a_network_that_is_gone_amid_the_first_questions_costs_no_more_than_the_outage() {
    live(Style::WithoutIds, 0, &[Fate::Run(5103), Fate::Network(Network::Gone), Fate::Run(8100)]);
}
