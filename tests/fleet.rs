//! 32 processors with 38 meters each at 30 readings a second, and whatever may befall them or us.
//!
//! Prints the worst time of each fault, from its end until every meter is subscribed and read again:
//! `FLEET_ROUNDS=20 cargo test --test fleet`. Nothing is asserted about it: the machine may be busy with others.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use harness::{Cluster, Meter, Meters, cluster, free_port, heavy, process, say, try_for, wait_until};
use nix::sys::signal::Signal;
use simulator::fault::Kind;
use simulator::ledger::Stats;
use simulator::{Plan, Simulator};

const PROCESSORS: usize = 32;
const METERS: usize = 38;
const READINGS_A_SECOND: u32 = 30;
/// How long a recovery is waited for.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long what lasts goes on.
const LASTS: Duration = Duration::from_secs(3);
/// Those that go on until the command that is to bear them has returned.
const HELD: [Kind; 2] = [Kind::Slow, Kind::Lockup];
/// Those that change how lines go out: all is subscribed anew while they go on.
const MANNERS: [Kind; 5] = [Kind::Slow, Kind::Garbage, Kind::Split, Kind::Glued, Kind::Crlf];

/// What is measured, by what befell.
type Worst = BTreeMap<String, Duration>;

/// Processors on loopback addresses of their own.
struct Fleet {
    simulators: Vec<Simulator>,
    port: u16,
}

impl Fleet {
    fn start(network: u8) -> Fleet {
        let port = free_port();
        let start = |number: usize| {
            let octet = u8::try_from(number + 1).expect("a small fleet");
            let plan = Plan {
                address: IpAddr::V4(Ipv4Addr::new(127, 0, network, octet)),
                tcp_port: 0,
                meter_port: port,
                interval: Duration::from_secs(1) / READINGS_A_SECOND,
                seed: number as u64,
                ..Plan::default()
            };
            Simulator::start(&plan).expect("a processor")
        };
        Fleet { simulators: (0..PROCESSORS).map(start).collect(), port }
    }

    fn config(&self) -> String {
        let section = |(number, simulator): (usize, &Simulator)| {
            let (ip, port) = (simulator.tcp_address().ip(), simulator.tcp_address().port());
            format!("[[processor]]\nname = \"p{number}\"\naddress = \"{ip}\"\ntcp_port = {port}\n")
        };
        self.simulators.iter().enumerate().map(section).collect()
    }

    fn stats(&self, number: usize) -> Stats {
        self.simulators[number].stats()
    }

    /// Each of them has one connection, and on it each meter once.
    fn is_subscribed(&self, numbers: &[usize]) -> bool {
        numbers.iter().all(|&number| {
            let stats = self.stats(number);
            let meters = stats.subscriptions.iter().filter(|(param, _)| param.contains("Meter_"));
            stats.connections.now == 1
                && meters.map(|(_, formats)| formats["val"]).sum::<u32>() == METERS as u32
        })
    }

    /// Every meter of these has a reading younger than `limit`.
    fn is_read(&self, meters: &Meters, numbers: &[usize], limit: Duration) -> bool {
        numbers.iter().all(|&number| {
            let address = self.simulators[number].tcp_address().ip().to_string();
            let read = |meter: &Meter| meter.fresh && Duration::from_millis(meter.age_ms + 1) < limit;
            meters
                .processor(&address)
                .is_some_and(|row| row.meters.len() == METERS && row.meters.iter().all(read))
        })
    }

    /// One connection, one subscription for each parameter, never more; and we said nothing that the protocol forbids.
    #[track_caller]
    fn expect_one_of_everything(&self, cluster: &Cluster) {
        wait_until("every connection is well, and all that there is to know is known", || {
            let meters = cluster.meters().processors;
            meters.len() == PROCESSORS
                && meters.iter().all(|row| row.connection == "connected" && row.meters.len() == METERS)
                && meters.iter().flat_map(|row| &row.meters).all(is_known)
        });
        for number in 0..PROCESSORS {
            let stats = self.stats(number);
            let connections = stats.connections;
            assert_eq!((connections.now, connections.peak, connections.refused), (1, 1, 0), "p{number}");
            let once =
                |formats: &BTreeMap<String, u32>| formats.len() == 1 && formats.values().all(|n| *n == 1);
            assert!(stats.subscriptions.values().all(once), "p{number}: {stats:#?}");
            assert_eq!((stats.subscriptions_peak, stats.violations_total()), (1, 0), "p{number}: {stats:#?}");
        }
    }
}

/// Zones and groups play something and are grouped or not; sources and mixes do neither.
fn is_known(meter: &Meter) -> bool {
    let has_source = meter.kind == "zone" || meter.kind == "group";
    let all = meter.name.is_some() && meter.muted.is_some() && meter.gain_db.is_some();
    all && meter.source.is_some() == has_source && meter.grouped.is_some() == has_source && meter.fresh
}

/// Something that befell some processors, and when it was over.
struct Case {
    what: String,
    numbers: Vec<usize>,
    /// Unset: it goes on.
    over: Arc<OnceLock<Instant>>,
    subscribed: Option<Instant>,
}

impl Case {
    /// Something that is over then.
    fn new(what: impl Into<String>, numbers: Vec<usize>, over: Instant) -> Case {
        Case { what: what.into(), numbers, over: Arc::new(OnceLock::from(over)), subscribed: None }
    }

    fn all(what: &str) -> Case {
        Case::new(what, (0..PROCESSORS).collect(), Instant::now())
    }
}

/// Waits until every meter of every case is subscribed, and a reading was taken after that; notes how long it took.
#[track_caller]
fn recover(cluster: &Cluster, fleet: &Fleet, mut cases: Vec<Case>, worst: &mut Worst) {
    let done = try_for(PATIENCE, || {
        for case in cases.iter_mut().filter(|case| case.subscribed.is_none()) {
            let now = Instant::now();
            let is_over = case.over.get().is_some_and(|over| now >= *over);
            case.subscribed = (is_over && fleet.is_subscribed(&case.numbers)).then_some(now);
        }
        let asked = Instant::now();
        let meters = cluster.meters();
        cases.retain(|case| {
            let read = case.subscribed.is_some_and(|at| fleet.is_read(&meters, &case.numbers, asked - at));
            if read {
                let (took, over) = (worst.entry(case.what.clone()).or_default(), case.over.get());
                *took = over.map_or(Duration::ZERO, |over| asked.duration_since(*over)).max(*took);
            }
            !read
        });
        cases.is_empty().then_some(())
    });
    let left: Vec<&str> = cases.iter().map(|case| case.what.as_str()).collect();
    assert!(done.is_some(), "not read again within {PATIENCE:?}: {left:?}\n{:#?}", cluster.meters());
}

fn tell(title: &str, worst: &Worst) {
    say(&format!("{title}: the worst time until every meter was read again"));
    for (what, took) in worst {
        say(&format!("  {what:<40} {:.2} s", took.as_secs_f64()));
    }
}

fn rounds() -> usize {
    std::env::var("FLEET_ROUNDS").map_or(1, |text| text.parse().expect("a number of rounds"))
}

/// Three processors for each kind; the last two have none.
fn numbers(kind: Kind) -> Vec<usize> {
    let at = Kind::ALL.iter().position(|other| *other == kind).expect("a kind");
    (at * 3..at * 3 + 3).collect()
}

/// None: until it is healed.
fn lasts(kind: Kind) -> Option<Duration> {
    match kind {
        Kind::HalfOpen | Kind::Rename => Some(Duration::ZERO),
        Kind::Slow | Kind::Lockup => None,
        Kind::Garbage | Kind::Reboot | Kind::ControlOff | Kind::Split | Kind::Glued | Kind::Crlf => {
            Some(LASTS)
        }
    }
}

/// What a user sees who asks a processor meanwhile. What is held is over when he has seen it.
fn expect_commands_to_bear_it(
    cluster: &Cluster,
    fleet: &Fleet,
    held: &BTreeMap<&str, Arc<OnceLock<Instant>>>,
) {
    let heal = |kind: Kind| {
        numbers(kind).iter().for_each(|&number| fleet.simulators[number].heal());
        held[kind.name()].set(Instant::now()).expect("healed once");
    };
    let get = |kind: Kind| cluster.command(["get", &format!("p{}", numbers(kind)[0]), "FirmwareVersion"]);
    thread::scope(|scope| {
        scope.spawn(|| {
            // The command itself was lost, or one before it.
            let output = get(Kind::Lockup).expect_code(1);
            let lost = ["did not answer", "is unresponsive"].iter().any(|text| output.stderr.contains(text));
            assert!(lost, "{output:#?}");
            heal(Kind::Lockup);
        });
        scope.spawn(|| {
            let began = Instant::now();
            assert_eq!(get(Kind::Slow).expect_code(0).stdout, "3.5.0\n");
            assert!(began.elapsed() >= Duration::from_secs(2), "a lower bound is no race");
            heal(Kind::Slow);
        });
        for kind in [Kind::Split, Kind::Glued, Kind::Crlf, Kind::Garbage] {
            assert_eq!(get(kind).expect_code(0).stdout, "3.5.0\n", "{kind:?}");
        }
    });
}

/// Every fault at the same time, each on processors of its own.
fn faults(cluster: &Cluster, fleet: &Fleet, round: usize, worst: &mut Worst) {
    let before: Vec<Stats> = (0..PROCESSORS).map(|number| fleet.stats(number)).collect();
    let malformed = cluster.list().cluster.totals.malformed.expect("counted");
    let held: BTreeMap<&str, Arc<OnceLock<Instant>>> =
        HELD.iter().map(|kind| (kind.name(), Arc::default())).collect();
    let mut cases = Vec::new();
    for kind in Kind::ALL {
        for number in numbers(kind) {
            fleet.simulators[number].fault(kind, lasts(kind));
        }
        let over = match lasts(kind) {
            Some(lasts) => Arc::new(OnceLock::from(Instant::now() + lasts)),
            None => Arc::clone(&held[kind.name()]),
        };
        cases.push(Case { what: kind.name().into(), numbers: numbers(kind), over, subscribed: None });
    }
    thread::scope(|scope| {
        scope.spawn(|| expect_commands_to_bear_it(cluster, fleet, &held));
        recover(cluster, fleet, cases, worst);
    });
    for kind in [Kind::HalfOpen, Kind::Reboot, Kind::ControlOff] {
        for number in numbers(kind) {
            let (then, now) = (before[number].connections, fleet.stats(number).connections);
            assert!(now.accepted > then.accepted, "{kind:?} ended p{number}'s connection: {now:?}");
            assert_eq!(now.frozen - then.frozen, u64::from(kind == Kind::HalfOpen), "p{number}");
        }
    }
    for number in [30, 31] {
        let (then, now) = (before[number].connections, fleet.stats(number).connections);
        assert_eq!(now, then, "nothing befell p{number}");
    }
    let name = format!("Renamed {}", round + 1);
    for number in numbers(Kind::Rename) {
        let address = fleet.simulators[number].tcp_address().ip().to_string();
        wait_until(format_args!("p{number} shows its new name"), || {
            cluster.meters().meter(&address, "ZoneMeter_0").is_some_and(|m| m.name.as_deref() == Some(&name))
        });
    }
    assert!(cluster.list().cluster.totals.malformed > Some(malformed + 10), "garbage came by UDP too");
}

/// The link is killed while faults go on: everything is subscribed anew through them.
fn kill_the_link_amid_faults(cluster: &Cluster, fleet: &Fleet, worst: &mut Worst) {
    for kind in MANNERS {
        numbers(kind).iter().for_each(|&number| fleet.simulators[number].fault(kind, None));
    }
    let killed = Instant::now();
    cluster.kill_role("link");
    let case =
        |kind: &Kind| Case::new(format!("SIGKILL of the link, amid {}", kind.name()), numbers(*kind), killed);
    recover(cluster, fleet, MANNERS.iter().map(case).collect(), worst);
    for kind in MANNERS {
        for number in numbers(kind) {
            assert_eq!(fleet.stats(number).faults, [kind.name()], "p{number} behaved so all the time");
            fleet.simulators[number].heal();
        }
    }
}

fn kills(cluster: &Cluster, fleet: &Fleet, worst: &mut Worst) {
    let case = Case::all("SIGKILL of the link");
    cluster.kill_role("link");
    recover(cluster, fleet, vec![case], worst);
    for slot in 0..4 {
        let case = Case::all("SIGKILL of a worker");
        cluster.kill_worker(slot).expect_replaced_after("SIGKILL");
        recover(cluster, fleet, vec![case], worst);
    }
    let case = Case::all("SIGKILL of all workers and the link");
    let children = process::children(cluster.list().cluster.pid);
    assert!(children.len() >= 5, "{children:?}");
    children.iter().for_each(|child| process::signal(child.pid, Signal::SIGKILL));
    recover(cluster, fleet, vec![case], worst);
}

#[test]
fn every_meter_of_a_fleet_is_read_again_soon_after_any_fault() {
    let _heavy = heavy();
    let fleet = Fleet::start(2);
    let start = Case::all("start");
    let builder = cluster!().workers(4).listen(format!("127.0.0.1:{}", fleet.port));
    let cluster = builder.config(fleet.config()).start();
    let mut worst = Worst::new();
    recover(&cluster, &fleet, vec![start], &mut worst);
    fleet.expect_one_of_everything(&cluster);
    let (began, before) = (Instant::now(), cluster.list().cluster.totals);
    for round in 0..rounds() {
        faults(&cluster, &fleet, round, &mut worst);
        kill_the_link_amid_faults(&cluster, &fleet, &mut worst);
        kills(&cluster, &fleet, &mut worst);
        fleet.expect_one_of_everything(&cluster);
    }
    tell("a fleet of 32 processors", &worst);
    let after = cluster.list().cluster.totals;
    let readings = after.readings.unwrap_or(0) - before.readings.unwrap_or(0);
    let rate = readings as f64 / began.elapsed().as_secs_f64();
    say(&format!("{rate:.0} readings a second meanwhile, {} dropped", after.dropped.unwrap_or(0)));
}

#[test]
fn nor_does_the_death_of_the_supervisor_keep_a_fleet_unread() {
    let _heavy = heavy();
    let fleet = Fleet::start(3);
    let builder = cluster!().workers(4).listen(format!("127.0.0.1:{}", fleet.port));
    let nested = builder.config(fleet.config()).start_nested();
    let mut worst = Worst::new();
    recover(&nested.inner, &fleet, vec![Case::all("start")], &mut worst);
    for _ in 0..3 * rounds() {
        let supervisor = nested.inner.list().cluster.pid;
        let case = Case::all("SIGKILL of the supervisor");
        process::signal(supervisor, Signal::SIGKILL);
        wait_until("the next supervisor answers", || {
            nested.inner.try_list().is_some_and(|list| list.cluster.pid != supervisor)
        });
        recover(&nested.inner, &fleet, vec![case], &mut worst);
    }
    fleet.expect_one_of_everything(&nested.inner);
    tell("a fleet under a descriptor store", &worst);
}
