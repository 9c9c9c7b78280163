//! What is to be simulated, and where.

use std::fs::File;
use std::io::BufReader;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use contract::Failure;

use crate::fault::Planned;
use crate::model::Product;
use crate::processor::Settings;
use atlas::capture::{self, Record};

/// The port of a processor's connections.
pub const TCP_PORT: u16 = 5321;
/// The port that meters go to.
pub const METER_PORT: u16 = 3131;
/// The address of a simulated processor, if there is only one.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// The most readings a second of one meter.
pub const MAX_RATE: u32 = 1000;
/// The most meters in one datagram: so it stays below 4096 bytes, the longest that is read.
pub const MAX_BATCH: usize = 64;
/// The most connections that can be allowed.
pub const MAX_CONNECTIONS: usize = 1024;

/// A processor to simulate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which product.
    pub product: Product,
    /// Decides what it hears.
    pub seed: u64,
    /// Its address.
    pub address: IpAddr,
    /// The port to listen on; 0 is any that is free.
    pub tcp_port: u16,
    /// The port of a subscriber's address that meters go to.
    pub meter_port: u16,
    /// Between two readings of one meter.
    pub interval: Duration,
    /// The most meters in one datagram, 1 … [`MAX_BATCH`].
    pub batch: usize,
    /// A connection over which nothing came for this long is closed.
    pub inactivity: Duration,
    /// The most connections at the same time, 1 … [`MAX_CONNECTIONS`]; nobody knows a real processor's limit.
    pub connections: usize,
    /// What goes wrong, and when.
    pub faults: Vec<Planned>,
    /// A recording whose lines and datagrams are sent in place of the model's meters.
    pub replay: Option<PathBuf>,
    /// A Unix socket that tells the counts and takes faults.
    pub control: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            product: Product::Azm8,
            seed: 1,
            address: ADDRESS,
            tcp_port: TCP_PORT,
            meter_port: METER_PORT,
            interval: Duration::from_millis(100),
            batch: 1,
            inactivity: Duration::from_secs(5 * 60),
            connections: 64,
            faults: Vec::new(),
            replay: None,
            control: None,
        }
    }
}

impl Plan {
    /// The processor of this plan; reads the recording.
    ///
    /// # Errors
    /// When the recording cannot be read.
    pub fn settings(&self) -> Result<Settings, Failure> {
        Ok(Settings {
            product: self.product,
            seed: self.seed,
            interval: self.interval,
            batch: self.batch,
            inactivity: self.inactivity,
            faults: self.faults.clone(),
            replay: self.recording()?,
        })
    }

    fn recording(&self) -> Result<Vec<Record>, Failure> {
        let Some(path) = &self.replay else { return Ok(Vec::new()) };
        let failed = |why: &dyn std::fmt::Display, errno| Failure {
            what: format!("cannot read the recording {}: {why}", path.display()),
            errno,
        };
        let file = File::open(path).map_err(|why| failed(&why, why.raw_os_error().unwrap_or(0)))?;
        capture::read_whole(BufReader::new(file)).map_err(|why| failed(&why, 0))
    }
}
