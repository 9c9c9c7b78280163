//! The null sink as a subject: processes of this very binary, one socket each, counted in shared pages.

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sys::map::Mapping;
use tempfile::TempDir;

use crate::port;
use crate::site::Site;
use crate::subject::{Guarded, Subject};
use crate::trouble::{Trouble, cannot};

/// Size of a process's page.
pub(crate) const PAGE: usize = 4096;
/// Word that tells how many datagrams were received.
pub(crate) const RECEIVED: usize = 0;
/// Word that is 1 once it receives.
pub(crate) const READY: usize = 8;
/// Word that holds what the last datagram of eight bytes said.
pub(crate) const MARK: usize = 16;

/// They run.
pub(crate) struct Null {
    children: Vec<Guarded>,
    pages: Vec<Mapping>,
    address: SocketAddr,
    started_in: Duration,
    _folder: TempDir,
}

/// The page in `file`, which is made as long as it must be.
pub(crate) fn page(file: &File) -> std::io::Result<Mapping> {
    file.set_len(PAGE as u64)?;
    Mapping::of_file(file.as_fd(), PAGE)
}

impl Null {
    pub(crate) fn start(site: &Site, workers: usize, told: bool) -> Result<Null, Trouble> {
        let (folder, address) = (site.new_folder()?, port::free()?);
        let own = std::env::current_exe().map_err(cannot("find this program"))?;
        let (mut children, mut pages) = (Vec::new(), Vec::new());
        let began = Instant::now();
        for worker in 0..workers {
            let path = folder.path().join(worker.to_string());
            let file = File::options().create_new(true).read(true).write(true).open(&path);
            pages.push(
                file.and_then(|file| page(&file)).map_err(cannot(format_args!("map {}", path.display())))?,
            );
            let mut command = site.command(&own);
            command.arg("null-sink").arg(address.to_string()).arg(&path).args(told.then_some("--told"));
            children.push(Guarded::launch(&mut command)?.0);
        }
        for (child, page) in children.iter_mut().zip(&pages) {
            let ready = || (page.words()[READY].load(Ordering::Acquire) == 1).then_some(());
            child.wait_for("the null sink", ready, || "what it says stands above".into())?;
        }
        Ok(Null { children, pages, address, started_in: began.elapsed(), _folder: folder })
    }

    /// Whether any of its processes has received a datagram that says just `mark`.
    pub(crate) fn has_marked(&self, mark: u64) -> bool {
        self.pages.iter().any(|page| page.words()[MARK].load(Ordering::Acquire) == mark)
    }
}

impl Subject for Null {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn roots(&self) -> Vec<i32> {
        self.children.iter().map(Guarded::pid).collect()
    }

    fn received(&mut self) -> Result<u64, Trouble> {
        Ok(self.pages.iter().map(|page| page.words()[RECEIVED].load(Ordering::Acquire)).sum())
    }

    fn started_in(&self) -> Duration {
        self.started_in
    }
}
