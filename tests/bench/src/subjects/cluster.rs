//! atlas-cluster as a subject: started, asked, reloaded, its workers killed, its table read.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sys::map::ReadOnly;
use tempfile::TempDir;

use super::script::output_to;
use crate::port;
use crate::site::Site;
use crate::subject::{Guarded, Subject};
use crate::trouble::{Trouble, cannot};
use crate::wait::{PATIENCE, wait_for};

/// A run of this length is stable, so its restart is at once: workers are killed one soon after another here.
const MIN_UPTIME: &str = "worker.min_uptime=1ms";

/// What the supervisor logs when every worker is online.
const ONLINE: &str = "cluster online";

/// The supervisor and its workers.
pub(crate) struct Cluster {
    child: Guarded,
    binary: PathBuf,
    runtime: PathBuf,
    address: SocketAddr,
    started_in: Duration,
    _folder: TempDir,
}

/// The meter table, mapped for reading.
pub(crate) struct Table(ReadOnly);

impl table::Words for Table {
    fn load(&self, word: usize) -> u64 {
        if word < self.0.len() { self.0.load(word) } else { 0 }
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl Cluster {
    pub(crate) fn start(site: &Site, workers: usize) -> Result<Cluster, Trouble> {
        let (folder, address) = (site.new_folder()?, port::free()?);
        let at = |name: &str| folder.path().join(name);
        let (runtime, log, config) = (at("run"), at("log"), at("cluster.toml"));
        fs::write(&config, "").map_err(cannot("write an empty configuration"))?;
        let mut command = site.command(&site.cluster);
        command.args(["start", "--listen", &address.to_string(), "--workers", &workers.to_string()]);
        command.args(["--set", MIN_UPTIME, "--set", &format!("receive_buffer={}", port::room())]);
        command.arg("--config").arg(&config).arg("--runtime-dir").arg(&runtime);
        output_to(&mut command, &log)?;
        let (mut child, began) = Guarded::launch(&mut command)?;
        // By its log: to be asked again and again would slow a start down.
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let ready = || said().contains(ONLINE).then(|| began.elapsed());
        let started_in = child.wait_for("atlas-cluster", ready, said)?;
        let binary = site.cluster.clone();
        let cluster = Cluster { child, binary, runtime, address, started_in, _folder: folder };
        cluster.wait_until_online().map(|()| cluster)
    }

    /// `reload`, from the command to its return.
    pub(crate) fn reload(&self) -> Result<Duration, Trouble> {
        let began = Instant::now();
        self.run(&["reload"]).map(|_| began.elapsed())
    }

    /// `list --json`.
    pub(crate) fn list(&self) -> Result<Value, Trouble> {
        let said = self.run(&["list", "--json"])?;
        serde_json::from_slice(&said).map_err(|e| Trouble::broken("`list --json` is no JSON", e))
    }

    /// A number of a worker's row.
    pub(crate) fn of_worker(&self, slot: usize, field: &str) -> Result<u64, Trouble> {
        self.number(&format!("/workers/{slot}/{field}"))
    }

    /// Waits until every worker is online.
    pub(crate) fn wait_until_online(&self) -> Result<(), Trouble> {
        let online = || Ok((state(&self.runtime).as_deref() == Some("online")).then_some(()));
        wait_for("the cluster is online", online)
    }

    /// The meter table.
    pub(crate) fn table(&self) -> Result<table::Reader<Table>, Trouble> {
        let unusable = |why: String| Trouble::broken("the meter table cannot be read", why);
        let (answer, fds) = ask(&self.runtime, "view").map_err(cannot("ask the supervisor"))?;
        let names = answer.pointer("/view/segments").and_then(Value::as_array);
        let is_table = |segment: &Value| segment["name"] == "table";
        let place = names.and_then(|names| names.iter().position(is_table));
        let fd = place.and_then(|place| fds.get(place)).ok_or_else(|| unusable("none was lent".into()))?;
        let words = ReadOnly::new(fd.as_fd(), table::BYTES).map_err(|e| unusable(e.to_string()))?;
        table::Reader::new(Table(words)).map_err(|e| unusable(e.to_string()))
    }

    fn number(&self, place: &str) -> Result<u64, Trouble> {
        let number = self.list()?.pointer(place).and_then(Value::as_u64);
        number.ok_or_else(|| {
            Trouble::broken(format_args!("`list --json` has no number at {place}"), "list shows why")
        })
    }

    fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, Trouble> {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--runtime-dir").arg(&self.runtime).stdin(Stdio::null());
        let what = format!("atlas-cluster {}", arguments.join(" "));
        let output = command.output().map_err(cannot(format_args!("run {what}")))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Trouble::broken(
            format_args!("{what}: {}", output.status),
            said.lines().next().unwrap_or("it said nothing"),
        ))
    }
}

/// `online`, …; None while nobody answers.
fn state(runtime: &Path) -> Option<String> {
    let (answer, _) = ask(runtime, "view").ok()?;
    answer.pointer("/view/list/cluster/state")?.as_str().map(str::to_owned)
}

/// One line to the control socket, one back, with descriptors beside it (src/wire.rs).
fn ask(runtime: &Path, verb: &str) -> std::io::Result<(Value, Vec<OwnedFd>)> {
    let mut stream = UnixStream::connect(runtime.join("control"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{{\"verb\":\"{verb}\"}}\n").as_bytes())?;
    let (mut line, mut fds, mut buffer) = (Vec::new(), Vec::new(), vec![0; 64 << 10]);
    while !line.ends_with(b"\n") {
        let got = sys::fds::receive(stream.as_fd(), &mut buffer)?;
        if got.bytes == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        fds.extend(got.fds);
        line.extend_from_slice(&buffer[..got.bytes]);
    }
    Ok((serde_json::from_slice(&line)?, fds))
}

impl Subject for Cluster {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn roots(&self) -> Vec<i32> {
        vec![self.child.pid()]
    }

    fn received(&mut self) -> Result<u64, Trouble> {
        self.number("/cluster/totals/meter")
    }

    fn started_in(&self) -> Duration {
        self.started_in
    }
}
