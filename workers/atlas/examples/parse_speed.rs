//! How long one datagram takes to parse: `cargo run --release -p atlas --example parse_speed`.

use std::hint::black_box;
use std::time::Instant;

use atlas::{CentiDb, Kind, MeterId, Parser, message};

const ROUNDS: u32 = 100_000;
const TRIALS: u32 = 50;

fn main() {
    let many: Vec<_> = (0..30).map(|index| (MeterId { kind: Kind::Source, index }, CentiDb(-2345))).collect();
    let datagrams = [
        ("the manual's form", message::update(&[(MeterId { kind: Kind::Zone, index: 0 }, CentiDb(-2350))])),
        ("the same, spaced", r#"{ "jsonrpc": "2.0", "method": "update", "params": [ { "param": "ZoneMeter_0", "val": -23.5 } ] }"#.into()),
        ("30 meters in one", message::update(&many)),
        ("keep-alive", message::KEEP_ALIVE.into()),
    ];
    let mut parser = Parser::new();
    for (name, datagram) in datagrams {
        let best = (0..TRIALS).map(|_| trial(&mut parser, datagram.as_bytes())).fold(f64::INFINITY, f64::min);
        println!("{name:18} {:5} bytes {best:8.1} ns", datagram.len());
    }
}

/// Nanoseconds for each datagram, over many.
fn trial(parser: &mut Parser, datagram: &[u8]) -> f64 {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let parsed = parser.parse(black_box(datagram)).expect("a valid datagram");
        black_box(parsed.readings);
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
}
