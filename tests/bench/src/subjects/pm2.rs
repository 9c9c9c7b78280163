//! The same script of Node.js under PM2's cluster mode.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::script::{output_to, tell};
use super::tally::Tally;
use crate::port;
use crate::process;
use crate::site::Site;
use crate::subject::Subject;
use crate::trouble::{Trouble, cannot};
use crate::wait::{PATIENCE, wait_for};

const NAME: &str = "receiver";

/// PM2's daemon and its workers.
pub(crate) struct Pm2 {
    /// The command line of PM2 for this daemon.
    words: Words,
    daemon: i32,
    address: SocketAddr,
    tally: Tally,
    started_in: Duration,
}

struct Words {
    program: [std::path::PathBuf; 2],
    address: SocketAddr,
    folder: TempDir,
}

impl Words {
    /// Runs PM2's command line to its end; answers how long that took.
    fn run(&self, arguments: &[&str]) -> Result<Duration, Trouble> {
        let home = self.folder.path().join("pm2");
        let log = self.folder.path().join("log");
        let [node, pm2] = &self.program;
        let mut command = Command::new(node);
        command.arg(pm2).args(arguments).env("PM2_HOME", home).stdin(Stdio::null());
        tell(&mut command, self.folder.path(), self.address);
        output_to(&mut command, &log)?;
        let (began, what) = (Instant::now(), format!("pm2 {}", arguments.first().unwrap_or(&"")));
        let status = command.status().map_err(cannot(format_args!("run {what}")))?;
        if status.success() {
            return Ok(began.elapsed());
        }
        let said = fs::read_to_string(&log).unwrap_or_default();
        Err(Trouble::broken(
            format_args!("{what}: {status}"),
            said.lines().last().unwrap_or("it said nothing"),
        ))
    }
}

impl Pm2 {
    /// The daemon first; the time of the start is that of the workers alone.
    pub(crate) fn start(site: &Site, workers: usize) -> Result<Pm2, Trouble> {
        let (folder, address) = (site.new_folder()?, port::free()?);
        let tally = Tally::new(folder.path());
        let words = Words { program: [site.node.clone(), site.pm2.clone()], address, folder };
        words.run(&["ping"])?;
        let pid = fs::read_to_string(words.folder.path().join("pm2/pm2.pid"));
        let pid = pid.map_err(cannot("read PM2's pid file"))?;
        let daemon = pid.trim().parse().unwrap_or(0);
        let mut pm2 = Pm2 { words, daemon, address, tally, started_in: Duration::ZERO };
        let script = site.peers.join("server.js");
        let began = Instant::now();
        pm2.words.run(&["start", &script.to_string_lossy(), "-i", &workers.to_string(), "--name", NAME])?;
        pm2.wait_for_ready(workers)?;
        pm2.started_in = began.elapsed();
        Ok(pm2)
    }

    /// `pm2 reload`, from the command to its return.
    pub(crate) fn reload(&mut self) -> Result<Duration, Trouble> {
        self.words.run(&["reload", NAME])
    }

    /// SIGKILL to a worker; answers how long it took until there was another in its place.
    pub(crate) fn kill(&mut self) -> Result<Duration, Trouble> {
        let known = self.tally.ready();
        let living = known.iter().copied().find(|&pid| process::lives(pid));
        let victim = living.ok_or_else(|| Trouble::broken("PM2 has no worker", "pm2 list"))?;
        let began = Instant::now();
        process::signal(victim, Signal::SIGKILL);
        wait_for("PM2 starts another worker", || {
            Ok(self.tally.ready().iter().any(|pid| !known.contains(pid)).then(|| began.elapsed()))
        })
    }

    fn wait_for_ready(&self, workers: usize) -> Result<(), Trouble> {
        wait_for(format_args!("{workers} workers of PM2 are ready"), || {
            Ok((self.tally.ready().len() >= workers).then_some(()))
        })
    }
}

impl Subject for Pm2 {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn roots(&self) -> Vec<i32> {
        vec![self.daemon]
    }

    fn received(&mut self) -> Result<u64, Trouble> {
        self.tally.stored()
    }

    fn started_in(&self) -> Duration {
        self.started_in
    }
}

impl Drop for Pm2 {
    fn drop(&mut self) {
        let all = process::tree(self.daemon);
        let _ = self.words.run(&["kill"]);
        process::end(&all, PATIENCE / 10);
    }
}
