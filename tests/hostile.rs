//! Processors that mean no good, beside some that are well: the well ones must not notice.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use harness::{Cluster, Meter, cluster, free_port, heavy, say, wait_until};
use nix::sys::signal::Signal;
use serde_json::Value;
use simulator::{Plan, Simulator};

/// Of each kind.
const EACH: usize = 6;
const ILL: usize = Ill::ALL.len() * EACH;
const WELL: usize = 4;
/// The table has room for 64.
const _: () = assert!(ILL + WELL == 64);
/// More than a link with 64 processors and all its buffers needs, far less than what is thrown at it.
const MEMORY: u64 = 64 << 20;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ill {
    /// Nobody listens.
    Refuses,
    /// The connection never opens.
    BlackHole,
    /// It accepts and says nothing.
    Mute,
    /// It accepts and closes.
    Slams,
    /// Megabytes of bytes that are nothing.
    Garbage,
    /// A line without an end.
    Endless,
    /// Empty lines, megabytes of them.
    Blank,
    /// A zone gets another name, again and again.
    Renames,
    /// Every line is answered with the id of another one, and an error about what nobody asked for.
    OthersIds,
    /// Answers nest deeper and name more than anybody needs.
    Deep,
}

impl Ill {
    const ALL: [Ill; 10] = [
        Ill::Refuses,
        Ill::BlackHole,
        Ill::Mute,
        Ill::Slams,
        Ill::Garbage,
        Ill::Endless,
        Ill::Blank,
        Ill::Renames,
        Ill::OthersIds,
        Ill::Deep,
    ];

    /// What people see of it.
    fn is_shown_as(self) -> &'static str {
        match self {
            Ill::Refuses | Ill::BlackHole | Ill::Slams => "disconnected",
            Ill::Mute | Ill::Garbage | Ill::Endless | Ill::Blank | Ill::Renames | Ill::Deep => "unresponsive",
            // It does answer.
            Ill::OthersIds => "connected",
        }
    }

    /// What it says over and over, whatever it hears.
    fn flood(self) -> Option<Vec<u8>> {
        Some(match self {
            Ill::Garbage => (0..1 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect(),
            Ill::Endless => vec![b'x'; 1 << 20],
            Ill::Blank => vec![b'\n'; 1 << 20],
            Ill::Renames => (0..10_000)
                .flat_map(|i| {
                    let update =
                        format!(r#"{{"method":"update","params":{{"param":"ZoneName_0","str":"{i}"}}}}"#);
                    (update + "\n").into_bytes()
                })
                .collect(),
            Ill::Deep => {
                [vec![b'['; 60_000], b"\n".to_vec(), b"{\"result\":".to_vec(), vec![b'['; 100]].concat()
            }
            Ill::Refuses | Ill::BlackHole | Ill::Mute | Ill::Slams | Ill::OthersIds => return None,
        })
    }
}

/// One of them; its threads end with it.
struct Villain {
    address: SocketAddr,
    /// Bytes that it got rid of, connections that it took.
    sent: Arc<AtomicU64>,
    taken: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    /// Held open, so that a black hole stays full.
    _kept: (Option<TcpListener>, Vec<TcpStream>),
}

impl Villain {
    fn start(ill: Ill, ip: Ipv4Addr) -> Villain {
        let listener = TcpListener::bind((ip, 0)).expect("a TCP port");
        let address = listener.local_addr().expect("its address");
        let (sent, taken, over) = <(Arc<AtomicU64>, Arc<AtomicU64>, Arc<AtomicBool>)>::default();
        let kept = match ill {
            Ill::Refuses => (None, Vec::new()),
            Ill::BlackHole => {
                nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).expect("a backlog"))
                    .expect("a short queue");
                let fill = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
                (Some(listener), std::iter::from_fn(fill).take(8).collect())
            }
            Ill::Mute
            | Ill::Slams
            | Ill::Garbage
            | Ill::Endless
            | Ill::Blank
            | Ill::Renames
            | Ill::OthersIds
            | Ill::Deep => {
                let (sent, taken, over) = (Arc::clone(&sent), Arc::clone(&taken), Arc::clone(&over));
                thread::spawn(move || {
                    let mut mute = Vec::new();
                    for stream in listener.incoming().flatten() {
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                        taken.fetch_add(1, Ordering::Relaxed);
                        let (sent, over) = (Arc::clone(&sent), Arc::clone(&over));
                        match ill {
                            Ill::Mute => mute.push(stream),
                            Ill::Slams => drop(stream.shutdown(Shutdown::Both)),
                            _ => drop(thread::spawn(move || misbehave(ill, &stream, &sent, &over))),
                        }
                    }
                });
                (None, Vec::new())
            }
        };
        Villain { address, sent, taken, over, _kept: kept }
    }
}

impl Drop for Villain {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(50));
    }
}

fn misbehave(ill: Ill, mut stream: &TcpStream, sent: &AtomicU64, over: &AtomicBool) {
    let Some(flood) = ill.flood() else { return answer_others(stream, sent) };
    while !over.load(Ordering::Relaxed) {
        match stream.write(&flood) {
            Ok(count) => drop(sent.fetch_add(count as u64, Ordering::Relaxed)),
            Err(_) => return,
        }
    }
}

fn answer_others(mut stream: &TcpStream, sent: &AtomicU64) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let id = serde_json::from_str::<Value>(&line).map_or(0, |line| line["id"].as_u64().unwrap_or(0));
        let other = id + 1000;
        let answer = format!(
            "{{\"result\":\"OK\",\"id\":{other}}}\n{{\"error\":{{\"code\":-32604,\"message\":\"param 'ZoneMute_9' {}\"}},\"id\":{other}}}\n",
            "x".repeat(10_000)
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        sent.fetch_add(answer.len() as u64, Ordering::Relaxed);
    }
}

/// Resident memory of a process, in bytes.
fn resident(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

fn ip(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 4, u8::try_from(number + 1).expect("64 of them"))
}

fn ill(number: usize) -> Ill {
    Ill::ALL[number / EACH]
}

/// Those who mean no good, those who are well, and a cluster that has to do with all of them.
struct Street {
    cluster: Cluster,
    villains: Vec<Villain>,
    _well: Vec<Simulator>,
}

impl Street {
    fn start() -> Street {
        let port = free_port();
        let villains: Vec<Villain> = (0..ILL).map(|number| Villain::start(ill(number), ip(number))).collect();
        let start = |number: usize| {
            let plan =
                Plan { address: IpAddr::V4(ip(number)), tcp_port: 0, meter_port: port, ..Plan::default() };
            Simulator::start(&plan).expect("a processor")
        };
        let well: Vec<Simulator> = (ILL..ILL + WELL).map(start).collect();
        let addresses = villains.iter().map(|one| one.address).chain(well.iter().map(Simulator::tcp_address));
        let section = |(number, address): (usize, SocketAddr)| {
            let (ip, port) = (address.ip(), address.port());
            format!("[[processor]]\nname = \"p{number}\"\naddress = \"{ip}\"\ntcp_port = {port}\n")
        };
        let config: String = addresses.enumerate().map(section).collect();
        let cluster = cluster!().listen(format!("127.0.0.1:{port}")).config(config).start();
        Street { cluster, villains, _well: well }
    }

    /// Who is well is connected, read, and known.
    #[track_caller]
    fn expect_well(&self) {
        wait_until("those who are well are read", || {
            let meters = self.cluster.meters();
            (ILL..ILL + WELL).all(|number| {
                let row = meters.processor(&ip(number).to_string()).expect("it is configured");
                let read = |meter: &Meter| meter.fresh && meter.muted.is_some();
                row.connection == "connected" && row.meters.len() == 38 && row.meters.iter().all(read)
            })
        });
        for number in ILL..ILL + WELL {
            let name = format!("p{number}");
            let output = self.cluster.command(["get", &name, "ZoneName_0"]).expect_code(0);
            assert_eq!(output.stdout, "Patio\n", "{name}");
        }
    }

    /// Each of the others does what it does, and is shown as what it is.
    #[track_caller]
    fn expect_ill(&self) {
        for (number, villain) in self.villains.iter().enumerate() {
            let expected = ill(number).is_shown_as();
            wait_until(format_args!("p{number} ({:?}) is {expected}", ill(number)), || {
                let meters = self.cluster.meters();
                meters.processor(&ip(number).to_string()).expect("it is configured").connection == expected
            });
            let (sent, taken) = (villain.sent.load(Ordering::Relaxed), villain.taken.load(Ordering::Relaxed));
            let unreachable = matches!(ill(number), Ill::Refuses | Ill::BlackHole);
            assert!(ill(number).flood().is_none() || sent > 1 << 20, "p{number} sent {sent} bytes");
            assert!(unreachable || taken > 0, "p{number} was never met");
        }
    }
}

#[test]
fn sixty_processors_that_mean_no_good_harm_nobody_else() {
    let _heavy = heavy();
    let street = Street::start();
    let cluster = &street.cluster;
    street.expect_well();
    street.expect_ill();
    street.expect_well();
    // Lost among answers to others, or still behind what was: in either case it is said.
    let others = ILL - 2 * EACH;
    assert_eq!(ill(others), Ill::OthersIds);
    let _ = cluster
        .command(["get", &format!("p{others}"), "ZoneName_0"])
        .expect_code(1)
        .expect_said(&[&format!("p{others}"), "hint: "]);
    let list = cluster.list();
    let restarts = list.roles.iter().find(|role| role.name == "link").map(|role| role.restarts);
    assert_eq!(restarts, Some(0), "nothing of it ended the link");
    let peak = resident(cluster.role("link"));
    say(&format!("the link's memory among 60 processors that mean no good: {} KiB at the most", peak >> 10));
    assert!(peak < MEMORY, "{peak} bytes");
    for number in 0..ILL {
        let about = format!("link: p{number} (");
        let lines = cluster.log().lines().filter(|line| line.contains(&about)).count();
        assert!((1..=20).contains(&lines), "{lines} lines about p{number}");
    }
    cluster.kill_role("link");
    street.expect_well();
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_for_end(), 0);
}
