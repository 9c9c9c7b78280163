//! Floods: the highest rate that the machine allows, a fifth of the datagrams empty, and all of it counted.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::load::{datagram, sender};
use crate::{Ledger, PATIENCE};

/// Threads that send: as many as there usually are CPUs to fight over with the workers, and more.
const THREADS: usize = 4;
/// Datagrams that one sender sends in a row. The last one of five is empty.
const IN_A_ROW: usize = 10;
/// How far a flood that fell behind its pace may catch up.
const CATCH_UP: Duration = Duration::from_millis(200);

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// With a number of the ledger's.
    pub numbered: u64,
    /// Empty: the ledger knows nothing of them.
    pub empty: u64,
    /// Bytes in all.
    pub bytes: u64,
    /// For how long.
    pub time: Duration,
}

impl Sent {
    /// Datagrams a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        (self.numbered + self.empty) as f64 / self.time.as_secs_f64()
    }
}

/// Sends until it is stopped or dropped.
#[must_use = "it ends when it is dropped"]
pub struct Flood {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Sent>>,
    began: Instant,
}

impl Flood {
    /// `senders` sockets send `rate` datagrams a second in all to `to`, or as many as they can.
    ///
    /// # Panics
    /// When a socket can't be made.
    pub fn start(to: SocketAddr, senders: usize, rate: u32, ledger: &Ledger) -> Flood {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..THREADS).map(|number| {
            let sockets: Vec<UdpSocket> =
                (number..senders).step_by(THREADS).map(|n| connected(to, n)).collect();
            let (stop, ledger) = (Arc::clone(&stop), ledger.clone());
            thread::spawn(move || send(&sockets, f64::from(rate) / THREADS as f64, &ledger, &stop))
        });
        Flood { threads: threads.collect(), stop, began: Instant::now() }
    }

    /// Stops; answers what was sent.
    ///
    /// # Panics
    /// When a sender failed.
    #[track_caller]
    pub fn stop(mut self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Sent { time: self.began.elapsed(), ..Sent::default() };
        for thread in self.threads.drain(..) {
            let sent = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            sum.numbered += sent.numbered;
            sum.empty += sent.empty;
            sum.bytes += sent.bytes;
        }
        sum
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Connected: the kernel looks the way up once.
fn connected(to: SocketAddr, number: usize) -> UdpSocket {
    let socket = sender(to, number);
    socket.connect(to).unwrap_or_else(|e| panic!("cannot connect to {to}: {e}"));
    socket
}

fn send(sockets: &[UdpSocket], rate: f64, ledger: &Ledger, stop: &AtomicBool) -> Sent {
    let (began, mut sent) = (Instant::now(), Sent::default());
    let mut forgone = 0.0;
    for socket in sockets.iter().cycle() {
        // What is due by now, less what cannot be caught up with any more.
        let behind = began.elapsed().as_secs_f64() * rate - forgone - (sent.numbered + sent.empty) as f64;
        forgone += (behind - rate * CATCH_UP.as_secs_f64()).max(0.0);
        if behind < IN_A_ROW as f64 {
            thread::sleep(Duration::from_millis(1));
        }
        for i in 1..=IN_A_ROW {
            let bytes = if i % 5 == 0 { Vec::new() } else { datagram(ledger.claim(), "") };
            send_one(socket, &bytes);
            sent.bytes += bytes.len() as u64;
            *(if bytes.is_empty() { &mut sent.empty } else { &mut sent.numbered }) += 1;
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    sent
}

fn send_one(socket: &UdpSocket, bytes: &[u8]) {
    let began = Instant::now();
    while let Err(e) = socket.send(bytes) {
        assert!(began.elapsed() < PATIENCE, "cannot send to {:?}: {e}", socket.peer_addr());
        thread::yield_now(); // no buffer at the moment
    }
}
