//! What a datagram is: one class each, its levels to the sink, its kind to the counters.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use atlas::{Class, Malformed, Parser};
use contract::clock::{self, Arrivals};
use contract::counted;
use contract::tap::Datagram;
use sys::batch::Entry;
use table::counters::{Counter, Counters};

use crate::ring::Taker;
use crate::senders::Senders;
use crate::sink::Sink;
use crate::tap::Tap;

/// At most one line in this time about datagrams that are not what they should be.
const QUIET: Duration = Duration::from_secs(10);

/// Classes datagrams and hands their levels on.
pub(crate) struct Intake<S> {
    parser: Parser,
    senders: Senders,
    sink: S,
    arrivals: Arrivals,
    batch: u64,
    remarks: Remarks,
    tap: Tap,
    /// Somebody records, as of this batch.
    is_recorded: bool,
}

impl<S: Sink> Intake<S> {
    /// Without a tap: nothing is handed to recorders.
    pub(crate) fn new(senders: Senders, sink: S) -> Intake<S> {
        let (parser, arrivals, remarks) = (Parser::new(), Arrivals::begin(), Remarks::default());
        let (tap, is_recorded) = (Tap::new(None, 0), false);
        Intake { parser, senders, sink, arrivals, batch: 0, remarks, tap, is_recorded }
    }

    /// The same with a tap.
    pub(crate) fn with(self, tap: Tap) -> Intake<S> {
        Intake { tap, ..self }
    }

    /// Time since boot, as of the last batch.
    pub(crate) fn now(&self) -> Duration {
        self.arrivals.now()
    }

    /// What a person should hear about the datagrams since the last call.
    pub(crate) fn poll_remark(&mut self) -> Option<String> {
        if self.remarks.is_empty() { None } else { self.remarks.poll(clock::boot()) }
    }

    fn class(&mut self, entry: &Entry<'_>, address: IpAddr, counters: &mut Counters) -> Counter {
        let sender = self.senders.get(address);
        if !sender.is_welcome {
            return Counter::UnknownSender;
        }
        let parsed = if entry.truncated { Err(Malformed::TooLong) } else { self.parser.parse(entry.payload) };
        let micros = self.arrivals.micros_of(entry.stamp);
        match parsed {
            Err(why) => {
                counters.add_reason(why as usize);
                self.remarks.malformed(entry.sender, why);
                Counter::Malformed
            }
            Ok(parsed) => {
                self.remarks.index_over |= parsed.index_out_of_range;
                match parsed.class {
                    Class::Meter if self.sink.store(&mut self.senders, sender, micros, parsed.readings) => {
                        counters.add(Counter::Readings, parsed.readings.len() as u64);
                        Counter::Meter
                    }
                    Class::Meter => {
                        self.remarks.table_full = true;
                        Counter::Other
                    }
                    Class::KeepAlive | Class::Other => {
                        self.sink.heard(sender, micros);
                        if parsed.class == Class::KeepAlive { Counter::KeepAlive } else { Counter::Other }
                    }
                }
            }
        }
    }
}

impl<S: Sink> Taker for Intake<S> {
    fn begin(&mut self, batch: u64) {
        self.arrivals.batch();
        self.batch = batch;
        self.is_recorded = self.tap.is_open() && self.sink.is_recorded();
        if !self.is_recorded && !self.tap.is_idle() {
            self.tap.close();
        }
    }

    fn take(&mut self, entry: &Entry<'_>, counters: &mut Counters) {
        let class = match entry.sender {
            Some(sender) => self.class(entry, sender.ip(), counters),
            None => Counter::UnknownSender,
        };
        counters.add(class, 1);
        self.sink.mark(self.batch, entry.payload);
    }

    fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    fn record(&mut self, index: u32, entry: &Entry<'_>) {
        let sender = entry.sender.map(|sender| self.senders.get(sender.ip()));
        let Some(recorder) = sender.and_then(|sender| self.sink.recorder(sender)) else { return };
        let micros = self.arrivals.micros_of(entry.stamp);
        let whole = Datagram { index, micros, bytes: entry.payload };
        self.tap.take(self.arrivals.now(), self.batch, recorder, (!entry.truncated).then_some(&whole));
    }

    fn hand_over(&mut self) {
        self.tap.flush(self.arrivals.now(), self.batch);
    }
}

/// Lines for people, kept rare: what is wrong is counted each time and said now and then.
#[derive(Default)]
struct Remarks {
    malformed: u64,
    last: Option<(Option<SocketAddr>, Malformed)>,
    index_over: bool,
    table_full: bool,
    said: [bool; 2],
    quiet_until: Duration,
}

impl Remarks {
    /// Whether there is nothing to say, now or later.
    fn is_empty(&self) -> bool {
        self.last.is_none() && (self.said[0] || !self.index_over) && (self.said[1] || !self.table_full)
    }

    fn malformed(&mut self, sender: Option<SocketAddr>, why: Malformed) {
        self.malformed += 1;
        self.last = Some((sender, why));
    }

    fn poll(&mut self, now: Duration) -> Option<String> {
        if now < self.quiet_until {
            return None;
        }
        let line = if self.index_over && !self.said[0] {
            self.said[0] = true;
            "a meter's index is over 63: such levels are counted as `other` and not stored".into()
        } else if self.table_full && !self.said[1] {
            self.said[1] = true;
            format!(
                "more than {} processors send: the levels of the others are not stored",
                table::PROCESSORS
            )
        } else if let Some((sender, why)) = self.last.take() {
            let sender = sender.map_or("an unknown sender".into(), |sender| sender.to_string());
            let malformed = counted(std::mem::take(&mut self.malformed), "malformed datagram");
            format!("{malformed}; the last from {sender}: {why}")
        } else {
            return None;
        };
        self.quiet_until = now + QUIET;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::{self, Ring};
    use crate::senders::Sender;
    use crate::settings::Settings;
    use atlas::{CentiDb, Kind, MeterId, Reading};
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::SystemTime;
    use sys::map::Mapping;
    use table::Writer;

    /// Has room for three levels.
    #[derive(Default)]
    struct Notes {
        stored: Vec<usize>,
        heard: usize,
        marked: usize,
    }

    impl Sink for &mut Notes {
        fn store(&mut self, _: &mut Senders, _: Sender, _: u64, readings: &[Reading]) -> bool {
            let room = self.stored.iter().sum::<usize>() + readings.len() <= 3;
            if room {
                self.stored.push(readings.len());
            }
            room
        }
        fn heard(&mut self, _: Sender, _: u64) {
            self.heard += 1;
        }
        fn mark(&mut self, _: u64, _: &[u8]) {
            self.marked += 1;
        }
        fn is_recorded(&self) -> bool {
            false
        }
        fn recorder(&self, _: Sender) -> Option<(usize, u64)> {
            None
        }
    }

    const METER: &[u8] = br#"{"method":"update","params":[{"param":"ZoneMeter_0","val":-23.5},{"param":"MixMeter_14","pct":50}]}"#;
    const KEEPALIVE: &[u8] =
        br#"{"jsonrpc":"2.0","method":"getResp","params":[{"param":"KeepAlive","str":"OK"}]}"#;

    #[test]
    fn every_datagram_is_in_exactly_one_class() {
        use Counter::{KeepAlive, Malformed, Meter, Other, UnknownSender};
        let segment = sys::map::segment("table", &table::head([1, 2]), table::BYTES, false).unwrap();
        let table = Mapping::new(segment.as_fd(), table::BYTES).unwrap();
        let configured = r#"{"processor":[{"address":"10.0.0.1"},{"address":"10.0.0.9"}]}"#;
        let writer = Writer::new(table.words()).unwrap();
        let senders = Senders::new(&Settings::parse(configured).unwrap(), &writer, segment.as_fd());
        let mut notes = Notes::default();
        let mut intake = Intake::new(senders, &mut notes);
        let cases: [(&str, &[u8], bool, Counter); 10] = [
            ("10.0.0.1:3131", METER, false, Meter),
            ("10.0.0.1:3131", KEEPALIVE, false, KeepAlive),
            ("10.0.0.1:3131", b"{}", false, Other),
            (
                "10.0.0.1:3131",
                br#"{"method":"update","params":{"param":"ZoneMeter_64","val":0}}"#,
                false,
                Other,
            ),
            ("10.0.0.1:3131", b"", false, Malformed),
            ("10.0.0.1:3131", b"{", false, Malformed),
            ("10.0.0.1:3131", METER, true, Malformed),
            ("10.0.0.2:3131", METER, false, UnknownSender),
            ("10.0.0.2:3131", b"{", false, UnknownSender),
            ("10.0.0.9:3131", METER, false, Other),
        ];
        let mut counters = Counters::default();
        for (i, (sender, payload, truncated, class)) in cases.into_iter().enumerate() {
            let before = counters;
            let sender = Some(sender.parse().unwrap());
            let bytes = payload.len();
            intake.take(&Entry { payload, bytes, sender, stamp: None, truncated }, &mut counters);
            assert_eq!(counters.get(class), before.get(class) + 1, "case {i}");
            assert_eq!(counters.classes(), i as u64 + 1, "case {i} is in exactly one class");
        }
        let reason = |why: atlas::Malformed| counters.reason(why as usize);
        use atlas::Malformed::{Empty, Json, TooLong};
        assert_eq!([Empty, Json, TooLong].map(reason), [1, 1, 1]);
        assert_eq!(counters.get(Counter::Readings), 2);
        assert_eq!((notes.stored.len(), notes.heard, notes.marked), (1, 3, cases.len()));
    }

    /// The first socket that asks for stamps has the kernel begin to stamp, in a while: net_enable_timestamp() leaves it
    /// to a work queue. Until then it stamps what is received, when it is: later than it was sent.
    fn wait_for_stamps() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        sys::group::stamp_arrivals(socket.as_fd()).unwrap();
        let segment = sys::map::segment("stamps", &[], sys::batch::BYTES, false).unwrap();
        let mut memory = Mapping::new(segment.as_fd(), sys::batch::BYTES).unwrap();
        let (_, mut batch) = sys::batch::Batch::split(&mut memory, 0);
        let began = clock::boot();
        loop {
            socket.send_to(b"stamped?", socket.local_addr().unwrap()).unwrap();
            let sent = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            batch.reset();
            let _ = batch.receive(socket.as_fd());
            if batch.entry(0).and_then(|entry| entry.stamp).is_some_and(|stamp| stamp <= sent) {
                return;
            }
            assert!(clock::boot() - began < Duration::from_secs(30), "the kernel stamps nothing");
        }
    }

    /// A flow passed from one worker to another while the first one stood still.
    #[test]
    fn the_newest_level_wins_whoever_stores_it_last_and_is_as_old_as_it_is() {
        let memory = |name, head: &[u8], bytes| {
            let fd = sys::map::segment(name, head, bytes, false).unwrap();
            let mapping = Mapping::new(fd.as_fd(), bytes).unwrap();
            (fd, mapping)
        };
        let (fd, table) = memory("table", &table::head([1, 2]), table::BYTES);
        let writer = Writer::new(table.words()).unwrap();
        let mut rings = [0, 1].map(|_| memory("ring", &ring::head(), ring::BYTES).1);
        let mut workers = rings.each_mut().map(|memory| {
            let senders = Senders::new(&Settings::default(), &writer, fd.as_fd());
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            sys::group::stamp_arrivals(socket.as_fd()).unwrap();
            (socket, Ring::new(memory).unwrap(), Intake::new(senders, writer))
        });
        wait_for_stamps();
        let sender = UdpSocket::bind("127.0.0.2:0").unwrap();
        let (old, began) = (Duration::from_millis(50), clock::boot());
        let send = |to: &UdpSocket, zone: u8, level: i16| {
            let meter = MeterId { kind: Kind::Zone, index: zone };
            let text = atlas::message::update(&[(meter, CentiDb(level))]);
            sender.send_to(text.as_bytes(), to.local_addr().unwrap()).unwrap();
        };
        send(&workers[0].0, 0, -100);
        send(&workers[0].0, 1, -100);
        let sent = clock::boot();
        while clock::boot() < sent + old {}
        send(&workers[1].0, 0, -8000);
        for (socket, ring, intake) in workers.iter_mut().rev() {
            assert!(ring.receive(socket.as_fd(), intake).unwrap() > 0);
        }
        let reader = table::Reader::new(table.words()).unwrap();
        let place = reader.processors().next().unwrap().place;
        let level = |zone| reader.level(place, Kind::Zone as u8, zone).unwrap();
        let micros = |time: Duration| time.as_micros() as u64;
        assert_eq!(level(0).1, -8000, "the last one to store brought what was sent first");
        // The clocks are compared within 20 µs, unless this process was made to wait.
        let (told, slack) = (level(1).0, micros(old) / 2);
        assert!(
            micros(began) < told + slack && told < micros(sent) + slack,
            "{told}: as if it came when it was taken"
        );
    }

    #[test]
    fn without_a_tap_no_batch_is_gone_through_twice() {
        let segment = sys::map::segment("table", &table::head([1, 2]), table::BYTES, false).unwrap();
        let table = Mapping::new(segment.as_fd(), table::BYTES).unwrap();
        let writer = Writer::new(table.words()).unwrap();
        let place = writer.place("10.0.0.1".parse().unwrap()).unwrap();
        table::LinkWriter::new(table.words()).unwrap().set_recorder(place, 7);
        let senders = || Senders::new(&Settings::default(), &writer, segment.as_fd());
        for (tap, is_recorded) in [(Tap::new(None, 0), false), (Tap::new(Some("/".into()), 0), true)] {
            let mut intake = Intake::new(senders(), writer).with(tap);
            intake.begin(1);
            assert_eq!(Taker::is_recorded(&intake), is_recorded);
        }
    }

    #[test]
    fn remarks_are_rare_and_say_what_happened() {
        let mut remarks = Remarks::default();
        let at = Duration::from_secs;
        assert_eq!(remarks.poll(at(100)), None);
        for _ in 0..5 {
            remarks.malformed(Some("10.0.0.1:9".parse().unwrap()), Malformed::Json);
        }
        let line = remarks.poll(at(100)).unwrap();
        assert_eq!(line, "5 malformed datagrams; the last from 10.0.0.1:9: the datagram is not valid JSON");
        remarks.index_over = true;
        assert_eq!(remarks.poll(at(105)), None, "not so soon");
        assert!(remarks.poll(at(110)).unwrap().contains("over 63"));
        assert_eq!(remarks.poll(at(130)), None, "said once");
    }
}
