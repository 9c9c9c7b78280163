//! Thieves: another user tries to get onto the port, in every way, at every moment.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use harness::{Ledger, Load, Options, as_user, cluster, free_port, need_root, wait_until};
use nix::sys::signal::Signal;

const NOBODY: u32 = 65534;

/// Tries without a pause; counts attempts, and notes how it succeeded.
struct Thief {
    attempts: AtomicU64,
    ended: AtomicBool,
}

impl Thief {
    fn steal(&self, addresses: &[SocketAddr]) -> Vec<(Options, SocketAddr)> {
        let mut stolen = Vec::new();
        while !self.ended.load(Ordering::Relaxed) {
            for &address in addresses {
                for options in Options::ALL {
                    stolen.extend(options.bind(address).is_ok().then_some((options, address)));
                    self.attempts.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        stolen
    }
}

/// Whatever becomes of the test, the thief ends.
struct End<'t>(&'t Thief);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

fn is_bound(port: u16) -> bool {
    let needle = format!(":{port:04X} ");
    ["/proc/net/udp", "/proc/net/udp6"].iter().any(|table| {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        table.lines().filter_map(|line| line.get(..60)).any(|line| line.contains(&needle))
    })
}

fn nobody_steals(listen: &str, addresses: &[&str]) {
    need_root();
    let port = free_port();
    let ledger = Ledger::new(4_000_000);
    let thief = Thief { attempts: AtomicU64::new(0), ended: AtomicBool::new(false) };
    let at = |ip: &str| SocketAddr::new(ip.parse().expect("an address"), port);
    let addresses: Vec<_> = addresses.iter().map(|ip| at(ip)).collect();
    let start = cluster!().workers(6).listen(at(listen).to_string()).ledger(&ledger);
    let stolen = thread::scope(|scope| {
        // From the moment the first slot is bound: before, the port is anybody's.
        let hand = scope.spawn(|| {
            wait_until("the first slot is bound", || is_bound(port));
            as_user(NOBODY, || thief.steal(&addresses))
        });
        let end = End(&thief);
        let cluster = start.start();
        let load = Load::start(&cluster.targets(), 32, 3_000, &ledger);
        for slot in 0..6 {
            cluster.kill_worker(slot).expect_replaced_after("SIGKILL");
        }
        for _ in 0..3 {
            cluster.command(["reload"]).expect_code(0);
        }
        cluster.command(["restart"]).expect_code(0);
        cluster.signal(Signal::SIGHUP);
        cluster.expect("the fourth reload is done", |list| list.cluster.generation == 5);
        load.stop();
        drop(end);
        let stolen = hand.join().expect("the thief ends");
        ledger.settle(&cluster);
        stolen
    });
    let attempts = thief.attempts.load(Ordering::Relaxed);
    assert!(stolen.is_empty(), "{} of {attempts} attempts succeeded: {:?}", stolen.len(), &stolen[..1]);
    assert!(attempts > 1000, "the thief was busy: {attempts} attempts");
}

#[test]
fn no_other_user_gets_onto_the_port_at_any_moment() {
    nobody_steals("0.0.0.0", &["0.0.0.0", "127.0.0.1"]);
}

#[test]
fn no_other_user_gets_onto_one_address_at_any_moment() {
    nobody_steals("127.0.0.1", &["127.0.0.1", "0.0.0.0"]);
}

#[test]
fn no_other_user_gets_onto_a_dual_stack_port_at_any_moment() {
    nobody_steals("::", &["::", "::1", "0.0.0.0", "127.0.0.1"]);
}

#[test]
fn the_thief_can_steal_where_nothing_is_sealed() {
    need_root();
    let port = free_port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let shared = Options { reuse_address: true, reuse_port: false };
    let _unsealed = shared.bind(address).expect("a socket");
    let stolen = as_user(NOBODY, || Options::ALL.iter().any(|options| options.bind(address).is_ok()));
    assert!(stolen, "the instrument of these tests works");
}
