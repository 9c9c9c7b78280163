//! A random world by its number: any seed replays, and can be read. `scripts/story.sh --seed 7` tells one.

use super::random::{Setup, any_move, play, setup};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::ops::RangeInclusive;

/// How many things happen, if nobody says.
const USUAL: RangeInclusive<usize> = 40..=120;

/// The story of a seed; where an invariant is broken, that and how it came.
fn story(seed: u64, steps: RangeInclusive<usize>) -> Result<String, String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let strategy = (setup(), prop::collection::vec(any_move(), steps));
    let (setup, moves) = strategy.new_tree(&mut runner).expect("a world").current();
    let heading = heading(seed, &setup, moves.len());
    match play(&setup, &moves) {
        Ok(world) => Ok(format!("{heading}{}\n", world.story.join("\n"))),
        Err(broken) => Err(format!("{heading}{broken}\n")),
    }
}

fn heading(seed: u64, setup: &Setup, steps: usize) -> String {
    let Setup { workers, roles, max_restarts, watchdog, booted, adopted, checked: _ } = setup;
    let watchdog = if *watchdog { "watchdog 1 s" } else { "no watchdog" };
    let begins = if *booted { "once it is online" } else { "from the first start on" };
    format!(
        "seed {seed}: {workers} workers, {adopted} sockets found, {} roles, max_restarts {max_restarts}, {watchdog}; {steps} steps {begins}\n\
         A process is called by its run (1, 2, …), an order by its ticket (#1, #2, …); what the log would tell is in \
         quotes.\n\n  seconds  what happened            what the core made of it\n",
        roles.count_ones()
    )
}

fn number<N: std::str::FromStr>(variable: &str) -> Option<N> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in 1..=5 {
        let first = story(seed, USUAL).unwrap_or_else(|broken| panic!("{broken}"));
        assert_eq!(Ok(&first), story(seed, USUAL).as_ref());
        assert_ne!(Ok(first), story(seed + 1, USUAL), "another seed, another story");
    }
    let short = story(7, 3..=3).unwrap_or_else(|broken| panic!("{broken}"));
    assert!(short.starts_with("seed 7: ") && short.contains("; 3 steps "), "{short}");
}

#[test]
#[ignore = "it tells a story to a file: scripts/story.sh"]
fn tell() {
    let steps = number("CORE_STEPS").map_or(USUAL, |steps| steps..=steps);
    let told = story(number("CORE_SEED").unwrap_or(1), steps);
    let (Ok(text) | Err(text)) = &told;
    match std::env::var("CORE_STORY") {
        Ok(path) => std::fs::write(&path, text).unwrap_or_else(|e| panic!("cannot write {path}: {e}")),
        Err(_) => println!("{text}"),
    }
    assert!(told.is_ok(), "an invariant is broken");
}
