//! A simulated processor on loopback, a client of it byte for byte, and the port that its meters go to.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use simulator::ledger::Stats;
use simulator::{Plan, Simulator};

/// How long anything may take that is waited for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A processor and the port of its meters.
pub(crate) struct Bench {
    /// The processor.
    pub(crate) simulator: Simulator,
    meters: UdpSocket,
}

impl Bench {
    /// An AZM8 on 127.0.0.2.
    pub(crate) fn new() -> Bench {
        Bench::with(|_| {})
    }

    /// As the plan says, on ports of its own.
    #[track_caller]
    pub(crate) fn with(change: impl FnOnce(&mut Plan)) -> Bench {
        let meters = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for meters");
        meters.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        let meter_port = meters.local_addr().expect("its address").port();
        let mut plan = Plan { tcp_port: 0, meter_port, ..Plan::default() };
        change(&mut plan);
        Bench { simulator: Simulator::start(&plan).expect("a simulator"), meters }
    }

    /// A client that has connected.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.simulator.tcp_address()).expect("the processor accepts")
    }

    /// The next datagram.
    #[track_caller]
    pub(crate) fn datagram(&self) -> Vec<u8> {
        self.datagram_from().0
    }

    /// The next datagram and the address it comes from.
    #[track_caller]
    pub(crate) fn datagram_from(&self) -> (Vec<u8>, IpAddr) {
        let mut bytes = [0; 65536];
        let (count, from) = self.meters.recv_from(&mut bytes).expect("a datagram in time");
        (bytes[..count].to_vec(), from.ip())
    }

    /// Waits for a datagram that the condition is true of.
    #[track_caller]
    pub(crate) fn datagram_that(&self, condition: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            let text = String::from_utf8_lossy(&self.datagram()).into_owned();
            if condition(&text) {
                return text;
            }
        }
        panic!("no such datagram")
    }

    /// Takes away what lies in the queue of the meters' port.
    pub(crate) fn drain(&self) {
        self.meters.set_nonblocking(true).expect("a mode");
        while self.meters.recv(&mut [0; 65536]).is_ok() {}
        self.meters.set_nonblocking(false).expect("a mode");
    }

    /// Waits until the counts are as they should be.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, condition: impl Fn(&Stats) -> bool) -> Stats {
        let until = Instant::now() + DEADLINE;
        loop {
            let stats = self.simulator.stats();
            if condition(&stats) {
                return stats;
            }
            assert!(Instant::now() < until, "never {what}: {stats:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A client.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(to: SocketAddr) -> std::io::Result<Client> {
        let stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).expect("the processor takes it");
    }

    /// The next line, with its end.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).expect("a line in time");
        String::from_utf8(line).expect("UTF-8")
    }

    /// The next line must be this one, byte for byte; its end is added.
    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str) {
        assert_eq!(self.line(), format!("{line}\n"));
    }

    /// Nothing was said: the next thing heard is the answer to what is asked now.
    #[track_caller]
    pub(crate) fn expect_nothing_more(&mut self) {
        self.send("{\"method\":\"get\",\"params\":{\"param\":\"FirmwareVersion\"},\"id\":\"probe\"}\n");
        self.expect(r#"{"jsonrpc":"2.0","result":[{"param":"FirmwareVersion","str":"3.5.0"}],"id":"probe"}"#);
    }

    /// Everything up to the end of the connection.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => rest,
            Err(e) if e.kind() == ErrorKind::ConnectionReset => rest,
            Err(e) => panic!("the connection goes on: {e}"),
        }
    }

    /// The bytes of one read of the socket.
    #[track_caller]
    pub(crate) fn segment(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 65536];
        let count = self.stream.get_mut().read(&mut bytes).expect("bytes in time");
        bytes.truncate(count);
        bytes
    }

    /// Whether anything was said; never waits.
    pub(crate) fn is_silent(&mut self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).expect("a mode");
        let silent = stream.peek(&mut [0]).is_err_and(|e| e.kind() == ErrorKind::WouldBlock);
        stream.set_nonblocking(false).expect("a mode");
        silent && self.stream.buffer().is_empty()
    }

    /// The socket.
    pub(crate) fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}

/// A `get` of the keep-alive, and its answer.
pub(crate) const KEEP_ALIVE: &str =
    "{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"params\":{\"param\":\"KeepAlive\",\"fmt\":\"str\"}}\n";
/// What answers it.
pub(crate) const ALIVE: &str =
    r#"{"jsonrpc":"2.0","method":"getResp","params":[{"param":"KeepAlive","str":"OK"}]}"#;
