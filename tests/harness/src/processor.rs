//! A processor of the fewest words: it takes commands over TCP, sends levels over UDP, and counts who is connected.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Between two levels of a meter.
const INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
struct Shared {
    has: Mutex<BTreeMap<String, Value>>,
    /// What was subscribed, on all connections that are open.
    subscribed: Mutex<Vec<(usize, String)>>,
    /// Every line that came, in its order.
    heard: Mutex<Vec<String>>,
    /// Every line that was sent, in its order.
    said: Mutex<Vec<String>>,
    /// Every connection there was.
    streams: Mutex<Vec<TcpStream>>,
    most: AtomicUsize,
    ever: AtomicUsize,
    locked: AtomicBool,
    /// Before each answer, in ms.
    delay: AtomicU64,
    over: AtomicBool,
}

/// The processor; it is gone when it is dropped.
#[derive(Debug)]
pub struct Processor {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Processor {
    /// One with two zones and a mix, at `address`; its meters go to UDP `meter_port` of whoever subscribes them.
    ///
    /// # Panics
    /// When the address is taken.
    #[must_use]
    pub fn start(address: &str, meter_port: u16) -> Processor {
        let listener = TcpListener::bind(format!("{address}:0")).expect("a TCP port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared::default());
        for (name, kind, index) in [("Patio", "Zone", 0), ("Bar", "Zone", 1), ("Band", "Mix", 14)] {
            let mut has = shared.has.lock().unwrap_or_else(PoisonError::into_inner);
            has.insert(format!("{kind}Meter_{index}"), json!(-23.5));
            has.insert(format!("{kind}Name_{index}"), json!(name));
            has.insert(format!("{kind}Mute_{index}"), json!(0));
            has.insert(format!("{kind}Gain_{index}"), json!(-20));
        }
        shared.has.lock().unwrap_or_else(PoisonError::into_inner).insert("KeepAlive".into(), json!("OK"));
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.over.load(Ordering::Relaxed) {
                    return;
                }
                accepting.most.fetch_max(established(address), Ordering::SeqCst);
                let shared = Arc::clone(&accepting);
                let kept = stream.try_clone().expect("a duplicate");
                shared.streams.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
                thread::spawn(move || serve(&stream, &shared, meter_port));
            }
        });
        Processor { address, shared }
    }

    /// The `[[processor]]` that tells a cluster of it.
    #[must_use]
    pub fn config(&self, name: &str) -> String {
        let (ip, port) = (self.address.ip(), self.address.port());
        format!("[[processor]]\nname = \"{name}\"\naddress = \"{ip}\"\ntcp_port = {port}\n")
    }

    /// Connections: open now, at most at a time, ever.
    #[must_use]
    pub fn connections(&self) -> (usize, usize, usize) {
        let count = |number: &AtomicUsize| number.load(Ordering::SeqCst);
        (established(self.address), count(&self.shared.most), count(&self.shared.ever))
    }

    /// How often a parameter is subscribed on the connections that are open.
    #[must_use]
    pub fn subscriptions(&self, param: &str) -> usize {
        let subscribed = self.shared.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
        subscribed.iter().filter(|(_, name)| name == param).count()
    }

    /// Every line that it has sent, on all connections.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.shared.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many lines came in which this stands.
    #[must_use]
    pub fn heard(&self, text: &str) -> usize {
        let heard = self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().filter(|line| line.contains(text)).count()
    }

    /// From now on each answer takes so long.
    pub fn answer_after(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay.store(millis, Ordering::Relaxed);
    }

    /// From now on commands get no answer, or get one again.
    pub fn lock_up(&self, locked: bool) {
        self.shared.locked.store(locked, Ordering::Relaxed);
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        for stream in self.shared.streams.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Connections to `address` of which neither side has closed (proc_pid_net(5)): what a thread would count here is late
/// by as long as it was not scheduled.
fn established(address: SocketAddr) -> usize {
    let SocketAddr::V4(address) = address else { panic!("{address} is no IPv4 address") };
    let local = format!("{:08X}:{:04X}", u32::from_le_bytes(address.ip().octets()), address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table of connections");
    let far_end = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let is_ours = words.next() == Some(&local);
        let far_end = words.next().filter(|_| is_ours)?.to_owned();
        (words.next() == Some("01")).then_some(far_end)
    };
    // By its far end: the kernel counts lines between two reads of the table, and may tell one twice.
    table.lines().filter_map(far_end).collect::<BTreeSet<_>>().len()
}

fn serve(stream: &TcpStream, shared: &Arc<Shared>, meter_port: u16) {
    let number = shared.ever.fetch_add(1, Ordering::SeqCst);
    let over = Arc::new(AtomicBool::new(false));
    let sender = send_levels(stream, shared, meter_port, number, &over);
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        shared.heard.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
        thread::sleep(Duration::from_millis(shared.delay.load(Ordering::Relaxed)));
        let locked = shared.locked.load(Ordering::Relaxed);
        for answer in take(&line, shared, number).into_iter().filter(|_| !locked) {
            let mut stream = stream;
            // Noted first: what somebody has read is never missing here.
            shared.said.lock().unwrap_or_else(PoisonError::into_inner).push(answer.to_string());
            let _ = stream.write_all(format!("{answer}\n").as_bytes());
        }
    }
    let mut subscribed = shared.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
    subscribed.retain(|(connection, _)| *connection != number);
    drop(subscribed);
    over.store(true, Ordering::Relaxed);
    let _ = sender.join();
}

fn send_levels(
    stream: &TcpStream,
    shared: &Arc<Shared>,
    port: u16,
    number: usize,
    over: &Arc<AtomicBool>,
) -> thread::JoinHandle<()> {
    let (from, to) = (stream.local_addr().expect("ours"), stream.peer_addr());
    let socket = UdpSocket::bind((from.ip(), 0)).expect("a UDP port");
    let (shared, over) = (Arc::clone(shared), Arc::clone(over));
    thread::spawn(move || {
        while let (Ok(to), false) = (to.as_ref(), over.load(Ordering::Relaxed)) {
            let subscribed = shared.subscribed.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let meters = subscribed.iter().filter(|(own, name)| *own == number && name.contains("Meter_"));
            for (_, name) in meters {
                let update = json!({"method": "update", "params": [value(&shared, name)]});
                let _ = socket.send_to(update.to_string().as_bytes(), (to.ip(), port));
            }
            thread::sleep(INTERVAL);
        }
    })
}

fn value(shared: &Shared, name: &str) -> Value {
    let value = shared.has.lock().unwrap_or_else(PoisonError::into_inner)[name].clone();
    let key = if value.is_string() { "str" } else { "val" };
    json!({"param": name, key: value})
}

/// Errors first, one for each that does not exist; then the others.
fn take(line: &str, shared: &Shared, number: usize) -> Vec<Value> {
    let Ok(command) = serde_json::from_str::<Value>(line) else { return Vec::new() };
    let (method, id) = (&command["method"], &command["id"]);
    let items = command["params"].as_array().cloned().unwrap_or_else(|| vec![command["params"].clone()]);
    let (mut answers, mut values) = (Vec::new(), Vec::new());
    for item in items {
        let name = item["param"].as_str().unwrap_or_default();
        let mut has = shared.has.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = has.get_mut(name) else {
            let message = format!("param '{name}' could not be found");
            answers.push(json!({"jsonrpc": "2.0", "error": {"code": -32604, "message": message}, "id": id}));
            continue;
        };
        match method.as_str() {
            Some("set") => *known = item["val"].clone(),
            Some("bmp") => {
                *known = json!(known.as_f64().unwrap_or(0.0) + item["val"].as_f64().unwrap_or(0.0))
            }
            Some("sub") => {
                let mut subscribed = shared.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
                subscribed.push((number, name.to_owned()));
            }
            _ => {}
        }
        drop(has);
        values.push(value(shared, name));
    }
    let done = matches!(method.as_str(), Some("set" | "bmp"));
    if !values.is_empty() {
        let result = if done { json!("OK") } else { json!(values) };
        answers.push(json!({"jsonrpc": "2.0", "result": result, "id": id}));
    }
    answers
}
