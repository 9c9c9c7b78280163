//! Random scalings and kills under load: nothing is lost, nothing is doubled, nothing leaks.
//!
//! `SCALE_SEED=7 SCALE_ROUNDS=3000 cargo test --features ledger --test scale_chaos -- --nocapture` for another or a
//! longer run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use harness::process::Process;
use harness::{Cluster, Ledger, Load, cluster, heavy, process, wait_until};
use nix::sys::signal::Signal;

const AT_ONCE: &str = "[worker]\nmin_uptime = \"0s\"\nexp_backoff_restart_delay = \"0s\"\n";
const RATE: u32 = 50_000;
/// At most so many datagrams between two kills.
const BETWEEN_KILLS: u64 = 800;
const MOST: u64 = 16;
/// Workers before and after.
const USUAL: usize = 7;

/// Splitmix64: the same seed, the same throws.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % count
    }
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The slot in a title: `atlas-cluster: meter 12 gen 1`.
fn slot(child: &Process) -> u64 {
    child.title.split_whitespace().nth(2).and_then(|slot| slot.parse().ok()).unwrap_or(0)
}

/// Kills children of the supervisor (starting, reading, leaving, draining), again and again; answers how many. The
/// higher ones, which retire, more often; one of two stands still for a while before: what it is to read heaps up, also
/// when it is told to leave meanwhile.
fn kill_and_kill(cluster: &Cluster, ledger: &Ledger, over: &AtomicBool, mut dice: Dice) -> u64 {
    let mut killed = 0;
    while !over.load(Ordering::Relaxed) {
        let children = process::children(cluster.pid());
        let any = |dice: &mut Dice| children.get(dice.below(children.len().max(1) as u64) as usize);
        let two = [any(&mut dice), any(&mut dice)];
        if let Some(victim) = two.into_iter().flatten().max_by_key(|child| slot(child)) {
            if dice.below(2) == 0 {
                process::signal(victim.pid, Signal::SIGSTOP);
                ledger.wait_for_more(dice.below(BETWEEN_KILLS));
            }
            process::signal(victim.pid, Signal::SIGKILL);
            killed += 1;
        }
        ledger.wait_for_more(dice.below(BETWEEN_KILLS));
    }
    killed
}

/// What came of the scalings.
#[derive(Debug, Default)]
struct Answers {
    done: u64,
    /// A worker that it waited for was killed: one that started, or one that emptied a retired slot.
    failed: u64,
    up: u64,
    down: u64,
}

/// Any amount that keeps within 1 and `MOST`: an absolute one, or a difference.
fn any_amount(dice: &mut Dice, wanted: u64) -> (String, u64) {
    let goal = 1 + dice.below(MOST);
    let difference = goal as i64 - wanted as i64;
    let absolute = dice.below(2) == 0 || difference == 0;
    (if absolute { goal.to_string() } else { format!("{difference:+}") }, goal)
}

fn scale_and_scale(cluster: &Cluster, rounds: u64, dice: &mut Dice) -> Answers {
    let (mut answers, mut wanted) = (Answers::default(), USUAL as u64);
    for round in 0..rounds {
        let (amount, goal) = any_amount(dice, wanted);
        let output = cluster.command(["scale", &amount]);
        match output.code {
            Some(0) => answers.done += 1,
            Some(1) if output.stderr.contains("killed by SIGKILL") => answers.failed += 1,
            _ => panic!("scaling {round}, from {wanted} by {amount}, is answered {output:#?}"),
        }
        answers.up += u64::from(goal > wanted);
        answers.down += u64::from(goal < wanted);
        wanted = goal;
    }
    answers
}

fn scale_and_kill(listen: &str) {
    let _heavy = heavy();
    let (seed, rounds) = (from_environment("SCALE_SEED", 1), from_environment("SCALE_ROUNDS", 300));
    eprintln!("{listen}, seed {seed}");
    let ledger = Ledger::new(rounds * 20_000 + 8_000_000);
    let cluster = cluster!().listen(listen).workers(MOST as usize).ledger(&ledger).config(AT_ONCE).start();
    // Each slot has its segment and sockets from here on; they outlive it.
    cluster.command(["scale", &USUAL.to_string()]).expect_code(0);
    let before = process::descriptors_at_rest(cluster.pid());
    let (began, load) = (Instant::now(), Load::start(&cluster.targets(), 64, RATE, &ledger));
    let (mut dice, over) = (Dice(seed), AtomicBool::new(false));
    let killers = Dice(dice.below(u64::MAX));
    let (answers, killed) = thread::scope(|scope| {
        let killer = scope.spawn(|| kill_and_kill(&cluster, &ledger, &over, killers));
        let answers = scale_and_scale(&cluster, rounds, &mut dice);
        over.store(true, Ordering::Relaxed);
        (answers, killer.join().expect("the killer ends"))
    });
    cluster.command(["scale", &USUAL.to_string()]).expect_code(0);
    let (sent, lasted) = (load.stop(), began.elapsed());
    let drainers = cluster.log().matches("reads what is left in the retired slot").count();
    let rate = sent as f64 / lasted.as_secs_f64();
    eprintln!("{rounds} scalings in {lasted:.1?}, {rate:.0} datagrams a second: {answers:?}");
    eprintln!("{killed} kills, {drainers} drainers in the log");
    let list = cluster.expect("all are online", |list| {
        list.cluster.state == "online" && list.workers.len() == USUAL && list.cluster.workers_wanted == USUAL
    });
    assert!(list.workers.iter().enumerate().all(|(slot, worker)| worker.id == slot), "{list:#?}");
    let verdict = ledger.settle(&cluster);
    eprintln!("{verdict}");
    assert!(verdict.by_slot.len() > 12, "64 flows, 16 slots");
    assert_eq!(answers.done + answers.failed, rounds, "every scaling was answered");
    assert!(
        answers.done > rounds / 10 && answers.up > rounds / 4 && answers.down > rounds / 4,
        "{answers:?}"
    );
    assert!(killed > rounds / 3 && drainers > 0, "{killed} kills, {drainers} drainers");
    cluster.expect_no_address_in_use();
    wait_until("nobody is left over and no zombie", || process::children(cluster.pid()).len() == USUAL);
    wait_until("no more descriptors than before", || process::descriptors(cluster.pid()).len() <= before);
}

#[test]
fn hundreds_of_scalings_and_kills_lose_nothing() {
    scale_and_kill("[::]:0");
}

/// Over IPv4 the kernel looks sockets up in another order than over IPv6: the one bound last comes first.
#[test]
fn hundreds_of_scalings_and_kills_lose_nothing_over_ipv4_alone() {
    scale_and_kill("0.0.0.0:0");
}
