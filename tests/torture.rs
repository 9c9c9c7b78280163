//! Torture: thousands of SIGKILLs at random moments under the highest load, and an account of every datagram.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use harness::{Cluster, Flood, Ledger, cluster, heavy, process, say, wait_until};
use nix::sys::signal::Signal;

/// No waiting between restarts, however unstable.
const AT_ONCE: &str = "[worker]\nmin_uptime = \"0s\"\nexp_backoff_restart_delay = \"0s\"\n";
/// What is asked of the load; the machine may allow less, and the rate that was is printed.
const RATE: u32 = 150_000;
/// Kills; `TORTURE_KILLS` says otherwise.
const KILLS: usize = 2_000;
/// The longest pause between two kills.
const MAX_PAUSE: Duration = Duration::from_millis(24);

/// Random numbers from a seed (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Kills `kills` worker processes, each one that lives and was not killed before, whatever it is at: forked and not yet
/// executed, waiting for the lock, replaying, receiving.
fn kill(cluster: &Cluster, kills: usize, dice: &mut Dice) {
    let mut killed = HashSet::new();
    while killed.len() < kills {
        thread::sleep(Duration::from_nanos(dice.below(MAX_PAUSE.as_nanos() as u64)));
        let mut alive = process::children(cluster.pid());
        alive.retain(|child| child.state != 'Z' && !killed.contains(&child.pid));
        if alive.is_empty() {
            continue;
        }
        let pid = alive[dice.below(alive.len() as u64) as usize].pid;
        process::signal(pid, Signal::SIGKILL);
        killed.insert(pid);
    }
}

#[test]
fn two_thousand_kills_at_a_hundred_thousand_datagrams_a_second_lose_and_double_nothing() {
    let _heavy = heavy();
    let kills = std::env::var("TORTURE_KILLS").map_or(KILLS, |text| text.parse().expect("a number of kills"));
    let seed = std::env::var("TORTURE_SEED").map_or(1, |text| text.parse().expect("a seed, not 0"));
    let ledger = Ledger::new(kills as u64 * 10_000 + 1_000_000);
    let cluster = cluster!()
        .workers(4)
        .ledger(&ledger)
        .config(AT_ONCE)
        .env("ATLAS_CLUSTER_RECEIVE_BUFFER", "512M")
        .start();
    let flood = Flood::start(cluster.targets()[0], 64, RATE, &ledger);
    let began = Instant::now();
    kill(&cluster, kills, &mut Dice(seed));
    let took = began.elapsed();
    let sent = flood.stop();
    wait_until("every kill took effect", || cluster.list().restarts() as usize == kills);
    let list = cluster.expect_state("online");
    let died_of = |signal: &str| {
        list.workers
            .iter()
            .all(|row| row.last_exit.as_ref().and_then(|exit| exit.signal.as_deref()) == Some(signal))
    };
    assert!(died_of("SIGKILL"), "{list:#?}");

    let verdict = ledger.settle_beside(&cluster, sent.empty);
    let totals = cluster.list().cluster.totals;
    let counted = [totals.meter, totals.malformed, totals.datagrams, totals.bytes, totals.readings];
    let expected = [sent.numbered, sent.empty, sent.numbered + sent.empty, sent.bytes, sent.numbered];
    assert_eq!(counted, expected.map(Some), "{totals:?}");
    assert_eq!(verdict.sent, sent.numbered);
    let empty: u64 = cluster.list().workers.iter().map(|row| row.malformed_as("empty")).sum();
    assert_eq!(empty, sent.empty);
    say(&format!(
        "seed {seed}: {kills} kills in {:.1} s at {:.0} datagrams a second: {} sent, {} of them empty, 0 lost, 0 doubled",
        took.as_secs_f64(),
        sent.rate(),
        sent.numbered + sent.empty,
        sent.empty
    ));
}
