//! One process of Node.js or Python that stores meters in a map of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::tally::Tally;
use crate::port;
use crate::site::Site;
use crate::subject::{Guarded, Subject};
use crate::trouble::{Trouble, cannot};

/// It runs.
pub(crate) struct Script {
    child: Guarded,
    address: SocketAddr,
    tally: Tally,
    started_in: Duration,
    _folder: TempDir,
}

impl Script {
    /// Runs a script of the peers' folder.
    pub(crate) fn start(site: &Site, interpreter: &Path, script: &str) -> Result<Script, Trouble> {
        let (folder, address) = (site.new_folder()?, port::free()?);
        let log = folder.path().join("log");
        let mut command = site.command(interpreter);
        command.arg(site.peers.join(script));
        tell(&mut command, folder.path(), address);
        output_to(&mut command, &log)?;
        let (mut child, began) = Guarded::launch(&mut command)?;
        let tally = Tally::new(folder.path());
        let ready = || (!tally.ready().is_empty()).then_some(());
        child.wait_for(script, ready, || fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Script { child, address, tally, started_in: began.elapsed(), _folder: folder })
    }
}

/// What the scripts want to know.
pub(super) fn tell(command: &mut Command, folder: &Path, address: SocketAddr) {
    command.env("BENCH_PORT", address.port().to_string());
    command.env("BENCH_ROOM", port::room().to_string());
    command.env("BENCH_FOLDER", folder);
}

/// Standard output and error go to a file.
pub(super) fn output_to(command: &mut Command, log: &Path) -> Result<(), Trouble> {
    let open = || fs::File::options().create(true).append(true).open(log);
    let doing = format!("write {}", log.display());
    command.stdout(open().map_err(cannot(&doing))?).stderr(open().map_err(cannot(&doing))?);
    Ok(())
}

impl Subject for Script {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn roots(&self) -> Vec<i32> {
        vec![self.child.pid()]
    }

    fn received(&mut self) -> Result<u64, Trouble> {
        self.tally.stored()
    }

    fn started_in(&self) -> Duration {
        self.started_in
    }
}
