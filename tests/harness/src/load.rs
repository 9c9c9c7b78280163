//! Loads: many senders, one pace, every datagram with a sequence number of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{Ledger, PATIENCE};

/// Threads that send.
const THREADS: usize = 2;
/// Senders whose addresses differ; those beyond share addresses and differ by their ports. The table has room for 64.
const ADDRESSES: usize = 40;
/// Datagrams that one sender sends in a row.
pub const BATCHED_SENDERS: usize = 8;
/// A load that fell behind catches up with at most so many times its pace.
const CATCH_UP: f64 = 3.0;
const TICK: Duration = Duration::from_millis(1);

/// A datagram as a processor sends it, with its sequence number; `extra` goes behind it (`,"fault":"exit"`).
#[must_use]
pub fn datagram(seq: u64, extra: &str) -> Vec<u8> {
    let (zone, level) = (seq % 8, (seq % 8000) as f64 / -100.0);
    format!(
        r#"{{"jsonrpc":"2.0","method":"update","params":[{{"param":"ZoneMeter_{zone}","val":{level}}}],"seq":{seq}{extra}}}"#
    )
    .into_bytes()
}

/// A socket that sends to `to`: number `number` of many. To an IPv4 address of this host, numbers differ in their
/// address too.
///
/// # Panics
/// When it cannot be bound.
#[must_use]
pub fn sender(to: SocketAddr, number: usize) -> UdpSocket {
    let last = u8::try_from(2 + number % ADDRESSES).expect("a small number");
    let from: IpAddr = match to.ip() {
        IpAddr::V4(_) => Ipv4Addr::new(127, 0, 0, last).into(),
        IpAddr::V6(six) => six.into(),
    };
    UdpSocket::bind((from, 0)).unwrap_or_else(|e| panic!("cannot send from {from}: {e}"))
}

/// Sends until it is stopped or dropped.
#[must_use = "it ends when it is dropped"]
pub struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    ledger: Ledger,
}

impl Load {
    /// `senders` sockets, spread over `targets`, send `rate` datagrams a second in all, with the ledger's numbers.
    ///
    /// # Panics
    /// When a socket can't be made.
    pub fn start(targets: &[SocketAddr], senders: usize, rate: u32, ledger: &Ledger) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let all: Vec<(UdpSocket, SocketAddr)> = (0..senders)
            .map(|number| {
                let to = targets[number % targets.len()];
                (sender(to, number), to)
            })
            .collect();
        let count = THREADS.min(senders);
        let mut shares: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
        for (number, one) in all.into_iter().enumerate() {
            shares[number % count].push(one);
        }
        let share_of_rate = f64::from(rate) / count as f64;
        let threads = shares.into_iter().map(|sockets| {
            let (stop, ledger) = (Arc::clone(&stop), ledger.clone());
            thread::spawn(move || send(&sockets, share_of_rate, &ledger, &stop))
        });
        Load { threads: threads.collect(), stop, ledger: ledger.clone() }
    }

    /// Stops; answers how many datagrams the ledger has sent in all.
    ///
    /// # Panics
    /// When a sender failed.
    #[track_caller]
    pub fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        self.ledger.sent()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Keeps the pace: what is due is sent, a few from each sender in turn.
fn send(sockets: &[(UdpSocket, SocketAddr)], rate: f64, ledger: &Ledger, stop: &AtomicBool) {
    let most = (rate * TICK.as_secs_f64() * CATCH_UP).ceil().max(1.0);
    let mut turn = sockets.iter().cycle();
    let (mut debt, mut last) = (0.0, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        debt += now.duration_since(last).as_secs_f64() * rate;
        last = now;
        let due = debt.min(most).floor();
        debt -= due;
        let mut left = due as usize;
        while left > 0 {
            let Some((socket, to)) = turn.next() else { return };
            let few = left.min(BATCHED_SENDERS);
            for _ in 0..few {
                send_one(socket, *to, ledger);
            }
            left -= few;
        }
        thread::sleep(TICK);
    }
}

/// A number that was claimed is sent: the ledger knows no holes.
fn send_one(socket: &UdpSocket, to: SocketAddr, ledger: &Ledger) {
    let seq = ledger.claim();
    let bytes = datagram(seq, "");
    let began = Instant::now();
    while let Err(e) = socket.send_to(&bytes, to) {
        assert!(began.elapsed() < PATIENCE, "cannot send datagram {seq} to {to}: {e}");
        thread::yield_now(); // no buffer at the moment
    }
}
