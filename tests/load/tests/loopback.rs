//! Whole loads over loopback: what arrives is what was sent.

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use udp_load::{Amount, NUMBER_BASE, Outcome, Payload, Plan, Speed, Way, run};

/// A socket that a whole test's datagrams fit into, however late they are read.
fn receiver(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket
}

/// Sends as planned, and answers what came, by sequence number and sender.
fn send(plan: &Plan, receiver: &UdpSocket) -> (Outcome, Vec<(u64, SocketAddr)>) {
    let Amount::Count(count) = plan.amount else { panic!("a count") };
    thread::scope(|scope| {
        let heard = scope.spawn(|| {
            let mut buffer = [0; 65_535];
            let hear = |_| {
                let (len, from) = receiver.recv_from(&mut buffer).expect("a datagram");
                let text = std::str::from_utf8(&buffer[..len]).unwrap();
                (text.trim_matches(['<', '>']).parse::<u64>().expect(text) - NUMBER_BASE, from)
            };
            (0..count).map(hear).collect()
        });
        let outcome = run(plan, &AtomicBool::new(false)).unwrap();
        (outcome, heard.join().unwrap())
    })
}

fn plan(to: SocketAddr) -> Plan {
    Plan {
        senders: 10,
        processors: 5,
        payload: Payload::Text("<{seq}>".into()),
        amount: Amount::Count(203),
        ..Plan::new(to)
    }
}

#[test]
fn every_number_arrives_once_in_a_datagram_of_its_own_whichever_way_it_is_sent() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let receiver = receiver(address);
        let to = receiver.local_addr().unwrap();
        for (way, row, speed, threads) in [
            (Way::Many, 1, Speed::paced(20_000.0), 1),
            (Way::Many, 7, Speed::FlatOut, 3),
            (Way::Segments, 1, Speed::FlatOut, 1),
            (Way::Segments, 64, Speed::paced(100_000.0), 2),
        ] {
            let plan = Plan { way, row, speed, threads, ..plan(to) };
            let (outcome, heard) = send(&plan, &receiver);
            assert_eq!((outcome.sent, outcome.bytes, outcome.refused), (203, 203 * 12, 0), "{plan:?}");
            let numbers: HashSet<u64> = heard.iter().map(|(number, _)| *number).collect();
            assert_eq!(numbers.len(), 203, "{plan:?}");
            assert!(outcome.cpu_ns > 0 && outcome.seconds > 0.0);
        }
    }
}

#[test]
fn senders_have_ports_of_their_own_and_share_the_processors_addresses() {
    let receiver = receiver("127.0.0.1:0");
    let (_, heard) = send(&plan(receiver.local_addr().unwrap()), &receiver);
    let senders: HashSet<SocketAddr> = heard.iter().map(|(_, from)| *from).collect();
    let addresses: HashSet<_> = senders.iter().map(SocketAddr::ip).collect();
    assert_eq!((senders.len(), addresses.len()), (10, 5));
}

#[test]
fn where_nobody_listens_every_refusal_is_counted_and_the_load_ends() {
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = run(&Plan { amount: Amount::Count(100), ..plan(gone) }, &AtomicBool::new(false)).unwrap();
    assert!(outcome.refused > 0, "{outcome:?}");
}

#[test]
fn a_load_ends_when_it_is_told() {
    let receiver = receiver("127.0.0.1:0");
    let plan = Plan { amount: Amount::For(Duration::MAX), ..plan(receiver.local_addr().unwrap()) };
    assert_eq!(run(&plan, &AtomicBool::new(true)).unwrap().sent, 0);
}
