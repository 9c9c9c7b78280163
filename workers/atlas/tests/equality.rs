//! The parser and the oracle say the same of every datagram: accepted or refused, why, and what it means.

mod oracle;
mod written;

use std::collections::BTreeMap;

use atlas::{Malformed, Parser};
use oracle::agree;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use written::{Writer, anything, datagram};

/// What happens to datagrams on bad ways.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, u8),
    Cut(Index, u8),
    Copy(Index, Index, u8),
    Truncate(Index),
}

impl Damage {
    fn any() -> impl Strategy<Value = Damage> {
        let place = any::<Index>;
        let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[],:0-.eEu \n".to_vec())].boxed();
        prop_oneof![
            (place(), 0_u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
            (place(), byte.clone()).prop_map(|(at, byte)| Damage::Set(at, byte)),
            (place(), byte).prop_map(|(at, byte)| Damage::Insert(at, byte)),
            (place(), 1_u8..9).prop_map(|(at, length)| Damage::Cut(at, length)),
            (place(), place(), 1_u8..40).prop_map(|(from, to, length)| Damage::Copy(from, to, length)),
            place().prop_map(Damage::Truncate),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let size = bytes.len();
        let end = |from: usize, length: u8| size.min(from + usize::from(length));
        match *self {
            Damage::Flip(at, bit) => bytes[at.index(size)] ^= 1 << bit,
            Damage::Set(at, byte) => bytes[at.index(size)] = byte,
            Damage::Insert(at, byte) => bytes.insert(at.index(size), byte),
            Damage::Cut(at, length) => drop(bytes.drain(at.index(size)..end(at.index(size), length))),
            Damage::Copy(from, to, length) => {
                let piece = bytes[from.index(size)..end(from.index(size), length)].to_vec();
                bytes.splice(to.index(size)..to.index(size), piece);
            }
            Damage::Truncate(at) => bytes.truncate(at.index(size)),
        }
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(4000))]

    #[test]
    fn a_datagram_written_in_any_way_means_what_the_oracle_says(datagram in datagram()) {
        let _ = agree(&mut Parser::new(), &datagram);
    }

    #[test]
    fn damaged_datagrams_are_judged_as_the_oracle_does(
        mut datagram in datagram(),
        damage in prop::collection::vec(Damage::any(), 1..4),
    ) {
        damage.iter().for_each(|damage| damage.apply(&mut datagram));
        let _ = agree(&mut Parser::new(), &datagram);
    }

    #[test]
    fn json_of_no_shape_is_judged_as_the_oracle_does(json in anything(), seed in any::<u64>()) {
        let mut writer = Writer::new(seed);
        writer.value(&json);
        let _ = agree(&mut Parser::new(), &writer.out);
    }

    #[test]
    fn a_parser_forgets_the_datagram_before(first in datagram(), second in datagram()) {
        let mut parser = Parser::new();
        let _ = parser.parse(&first);
        let _ = agree(&mut parser, &second);
    }
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn arbitrary_bytes_are_judged_as_the_oracle_does(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = agree(&mut Parser::new(), &bytes);
    }

    #[test]
    fn a_soup_of_tokens_is_judged_as_the_oracle_does(soup in prop::collection::vec(prop::sample::select(TOKENS), 0..24)) {
        let _ = agree(&mut Parser::new(), soup.concat().as_bytes());
    }
}

const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\n",
    "0",
    "1",
    "-",
    ".",
    "e",
    "E",
    "+",
    "12",
    "1.5",
    "1e9",
    "1e999",
    "true",
    "false",
    "null",
    "tru",
    "\"\"",
    "\"a\"",
    "\"a\":",
    "{\"a\":",
    "{}",
    "[]",
    "\"param\":",
    "\"val\":",
    "\"pct\":",
    "\"method\":\"update\"",
    "\"params\":",
    "\"ZoneMeter_0\"",
    "\"ZoneMeter_64\"",
    "\"KeepAlive\"",
    "\"method\":\"getResp\"",
    "\"result\":",
    "\\u0061",
    "\\uD83D",
    "\\uDE00",
    "\u{e9}",
    "\u{1F600}",
];

/// The generators reach what they are for: else the equality above would prove little.
#[test]
fn the_generators_reach_every_class_and_reason() {
    let mut runner = TestRunner::deterministic();
    let mut parser = Parser::new();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let strategy = (datagram(), prop_oneof![Just(None), Damage::any().prop_map(Some)]);
    for _ in 0..4000 {
        let (mut datagram, damage) = strategy.new_tree(&mut runner).expect("a value").current();
        damage.iter().for_each(|damage| damage.apply(&mut datagram));
        let meaning = agree(&mut parser, &datagram);
        let found = match &meaning {
            Ok(meaning) => format!("{:?}", meaning.class),
            Err(reason) => reason.name().to_owned(),
        };
        *seen.entry(found).or_default() += 1;
        let meaning = meaning.ok();
        *seen.entry("index".into()).or_default() +=
            u32::from(meaning.as_ref().is_some_and(|m| m.index_out_of_range));
        *seen.entry("several".into()).or_default() +=
            u32::from(meaning.is_some_and(|m| m.readings.len() > 1));
    }
    let often = |name: &str| seen.get(name).copied().unwrap_or(0);
    for (name, least) in [
        ("Meter", 800),
        ("several", 300),
        ("Other", 100),
        ("KeepAlive", 20),
        ("index", 40),
        ("json", 400),
        ("number", 40),
    ] {
        assert!(often(name) >= least, "{name} {} times of 4000: {seen:?}", often(name));
    }
    for reason in [Malformed::NoLevel, Malformed::BadLevel] {
        assert!(often(reason.name()) >= 20, "{} too seldom: {seen:?}", reason.name());
    }
}

/// The densest datagrams there are, and what the parser's room is made for.
#[test]
fn the_densest_datagrams_fit() {
    let mut parser = Parser::new();
    for head in [r#"{"method":"update","params":["#, r#"{"result":["#, r#"{"params":["#] {
        for spaces in 0..40 {
            let mut datagram = head.to_owned();
            let mut entries = 0;
            while datagram.len() + r#"{"param":"MixMeter_0","val":0},"#.len() <= atlas::MAX_DATAGRAM {
                let key = if entries % 2 == 0 { "val" } else { "pct" };
                datagram += &format!(r#"{{"param":"MixMeter_{}","{key}":{}}},"#, entries % 10, entries % 9);
                entries += 1;
            }
            assert!(entries > 130);
            datagram.pop();
            datagram += "]}";
            datagram += &" ".repeat(spaces);
            let _ = agree(&mut parser, datagram.as_bytes());
        }
    }
}
