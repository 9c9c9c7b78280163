//! What `udp-load` can be told.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::Parser;
use udp_load::{Amount, MAX_METERS, Payload, Plan, Speed, Way};

/// Senders that have source addresses of their own, unless told otherwise: a meter table has room for as many.
const PROCESSORS: usize = 64;

const EXAMPLES: &str = "Examples:
  udp-load 127.0.0.1:3131                                    50 000 a second for 10 s, from 64 senders
  udp-load --rate 200000 --senders 10000 --seconds 30 --json 127.0.0.1:3131
  udp-load --flat-out --row 32 --segments 127.0.0.1:3131     as fast as it goes
  udp-load --meters 32 --processors 8 '[::1]:3131'           32 meters in each datagram
  udp-load --text 'hello {seq}' --count 1000 192.0.2.7:9999  numbered texts

On loopback the kernel does the receiver's protocol work within the sender's call, so it is in the sender's CPU time.
Exit code 0 when all was sent, 1 when the kernel refused, 2 for bad usage.";

/// Send UDP datagrams: many senders, one pace or as fast as it goes
#[derive(Debug, Parser)]
#[command(name = "udp-load", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to; several are taken in turn
    #[arg(required = true, value_name = "ADDR:PORT")]
    targets: Vec<SocketAddr>,
    /// Datagrams a second, all senders together
    #[arg(long, value_name = "R", default_value = "50000", conflicts_with = "flat_out")]
    rate: f64,
    /// As fast as it goes
    #[arg(long)]
    flat_out: bool,
    /// Most datagrams at once when it has fallen behind; what is due beyond is given up as `late` [default: 3 ticks' worth]
    #[arg(long, value_name = "N", conflicts_with = "flat_out", value_parser = clap::value_parser!(u64).range(1..))]
    burst: Option<u64>,
    /// Microseconds between two bursts
    #[arg(long, value_name = "US", default_value = "1000", conflicts_with = "flat_out", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    tick: u64,
    /// For how long
    #[arg(long, value_name = "S", default_value = "10", conflicts_with = "count")]
    seconds: f64,
    /// How many datagrams
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Senders, each with a socket and a port of its own
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    senders: u32,
    /// Source addresses that the senders share, 127.0.0.2 and up to an IPv4 address of this host [default: 64 at most]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_000))]
    processors: Option<u32>,
    /// A source address of this host; may be repeated
    #[arg(long, value_name = "ADDR")]
    from: Vec<IpAddr>,
    /// Meters in each datagram
    #[arg(long, value_name = "N", default_value = "1", conflicts_with = "text", value_parser = clap::value_parser!(u32).range(1..=MAX_METERS as i64))]
    meters: u32,
    /// A sequence number behind the meters: `"seq":1000000000` and up
    #[arg(long, conflicts_with = "text")]
    numbered: bool,
    /// A text instead of meters; `{seq}` in it becomes the sequence number
    #[arg(long)]
    text: Option<String>,
    /// Datagrams that one sender sends in a row
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=64))]
    row: u32,
    /// A row goes to the kernel as one send with UDP_SEGMENT, else by sendmmsg
    #[arg(long)]
    segments: bool,
    /// Threads that send
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
    /// The CPU they run on
    #[arg(long, value_name = "N")]
    cpu: Option<usize>,
    /// The result as JSON: sent, bytes, seconds, rate, cpu_ns_per_datagram, late, refused
    #[arg(long)]
    pub(crate) json: bool,
}

impl Args {
    pub(crate) fn plan(&self) -> Plan {
        let senders = self.senders as usize;
        let processors = self.processors.map_or(senders.min(PROCESSORS), |number| number as usize);
        let meters = Payload::Meters { meters: self.meters as usize, numbered: self.numbered };
        let tick = Duration::from_micros(self.tick);
        let burst = self.burst.unwrap_or((3.0 * self.rate * tick.as_secs_f64()).ceil() as u64);
        let paced = Speed::Paced { rate: self.rate, burst, tick };
        // What is no time at all ends at once; what is longer than any time does not end by itself.
        let time = Duration::try_from_secs_f64(self.seconds.max(0.0)).unwrap_or(Duration::MAX);
        Plan {
            targets: self.targets.clone(),
            senders,
            processors,
            from: self.from.clone(),
            payload: self.text.clone().map_or(meters, Payload::Text),
            speed: if self.flat_out { Speed::FlatOut } else { paced },
            amount: self.count.map_or(Amount::For(time), Amount::Count),
            row: self.row as usize,
            way: if self.segments { Way::Segments } else { Way::Many },
            threads: self.threads as usize,
            cpu: self.cpu,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(words: &[&str]) -> Plan {
        Args::try_parse_from([&["udp-load", "127.0.0.1:9"], words].concat()).unwrap().plan()
    }

    #[test]
    fn what_is_said_is_planned() {
        let usual = plan(&[]);
        assert_eq!(
            (usual.speed, usual.amount),
            (Speed::paced(50_000.0), Amount::For(Duration::from_secs(10)))
        );
        assert_eq!((usual.senders, usual.processors, usual.way), (64, 64, Way::Many));
        assert_eq!(plan(&["--senders", "3"]).processors, 3);
        assert_eq!(plan(&["--flat-out", "--count", "7"]).amount, Amount::Count(7));
        assert_eq!(plan(&["--text", "a {seq}"]).payload, Payload::Text("a {seq}".into()));
        assert_eq!(plan(&["--segments", "--row", "8"]).way, Way::Segments);
    }

    #[test]
    fn what_contradicts_itself_is_bad_usage() {
        for words in [
            &["udp-load"][..],
            &["udp-load", "127.0.0.1"],
            &["udp-load", "127.0.0.1:9", "--rate", "5", "--flat-out"],
            &["udp-load", "127.0.0.1:9", "--count", "5", "--seconds", "5"],
            &["udp-load", "127.0.0.1:9", "--row", "65"],
            &["udp-load", "127.0.0.1:9", "--text", "x", "--meters", "2"],
        ] {
            assert!(Args::try_parse_from(words).is_err(), "{words:?}");
        }
    }
}
