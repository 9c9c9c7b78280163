//! What is measured: receivers of one kind each, started, asked and stopped in one way.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::process;
use crate::site::Site;
use crate::subjects::{Cluster, Nginx, Null, Pm2, Script};
use crate::trouble::{Trouble, cannot};
use crate::wait::{PATIENCE, wait_for};

/// A receiver that runs. Dropped, it leaves no process.
pub(crate) trait Subject {
    /// Where it receives.
    fn address(&self) -> SocketAddr;
    /// The process all others descend from; several if they have none in common.
    fn roots(&self) -> Vec<i32>;
    /// Datagrams that it has received, and stored if it stores any, by its own account.
    fn received(&mut self) -> Result<u64, Trouble>;
    /// How long it took to start: from exec until it was ready.
    fn started_in(&self) -> Duration;

    /// Every process of it.
    fn pids(&self) -> Vec<i32> {
        self.roots().into_iter().flat_map(process::tree).collect()
    }
}

/// Kinds of receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// epoll and recvmmsg, and throws everything away.
    Null,
    /// The same, told sender and time of each datagram.
    Told,
    Cluster,
    Pm2,
    Node,
    Python,
    Nginx,
}

/// One row of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) workers: usize,
}

/// Everybody who is measured under load, in the order of the tables.
pub(crate) const ROSTER: [Entry; 11] = [
    Entry::new(Kind::Null, 1),
    Entry::new(Kind::Null, 2),
    Entry::new(Kind::Null, 4),
    Entry::new(Kind::Told, 4),
    Entry::new(Kind::Cluster, 1),
    Entry::new(Kind::Cluster, 2),
    Entry::new(Kind::Cluster, 4),
    Entry::new(Kind::Pm2, 4),
    Entry::new(Kind::Node, 1),
    Entry::new(Kind::Python, 1),
    Entry::new(Kind::Nginx, 4),
];

impl Entry {
    pub(crate) const fn new(kind: Kind, workers: usize) -> Entry {
        Entry { kind, workers }
    }

    /// Its name in tables and results.
    pub(crate) fn name(self) -> String {
        match self.kind {
            Kind::Null => format!("null sink × {}", self.workers),
            Kind::Told => format!("told sink × {}", self.workers),
            Kind::Cluster => format!("atlas-cluster × {}", self.workers),
            Kind::Pm2 => format!("PM2 cluster mode × {}", self.workers),
            Kind::Node => "Node.js, one process".into(),
            Kind::Python => "Python asyncio".into(),
            Kind::Nginx => format!("nginx stream × {}", self.workers),
        }
    }

    /// The null sink with as many processes: what it is compared with.
    pub(crate) fn base(self) -> Entry {
        Entry { kind: Kind::Null, ..self }
    }

    /// Starts it; answers when it receives.
    pub(crate) fn start(self, site: &Site) -> Result<Box<dyn Subject>, Trouble> {
        Ok(match self.kind {
            Kind::Null => Box::new(Null::start(site, self.workers, false)?),
            Kind::Told => Box::new(Null::start(site, self.workers, true)?),
            Kind::Cluster => Box::new(Cluster::start(site, self.workers)?),
            Kind::Pm2 => Box::new(Pm2::start(site, self.workers)?),
            Kind::Node => Box::new(Script::start(site, &site.node, "server.js")?),
            Kind::Python => Box::new(Script::start(site, &site.python, "server.py")?),
            Kind::Nginx => Box::new(Nginx::start(site, self.workers)?),
        })
    }
}

/// A child that is ended when it is dropped: TERM, and KILL to it and all below after a while.
pub(crate) struct Guarded(Child);

impl Guarded {
    pub(crate) fn spawn(command: &mut Command) -> Result<Guarded, Trouble> {
        let what = format!("run {}", command.get_program().display());
        command.spawn().map(Guarded).map_err(cannot(what))
    }

    /// Starts what [`Site::command`] made; answers when it was told to go, too.
    pub(crate) fn launch(command: &mut Command) -> Result<(Guarded, Instant), Trouble> {
        let mut child = Guarded::spawn(command.stdin(Stdio::piped()))?;
        let (pid, line) = (child.pid(), child.0.stdin.take());
        wait_for("a shell waits for its line", || Ok(process::sleeps(pid, "sh").then_some(())))?;
        let began = Instant::now();
        let told = line.map_or(Ok(()), |mut line| line.write_all(b"go\n"));
        told.map_err(cannot("tell a shell to go")).map(|()| (child, began))
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap_or(0) // every pid is one
    }

    /// Its exit, if it has ended.
    pub(crate) fn try_exit(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    /// Waits for `ready`; fails with what `said` tells when the child ends before.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        mut ready: impl FnMut() -> Option<T>,
        said: impl Fn() -> String,
    ) -> Result<T, Trouble> {
        wait_for(format_args!("{what} is ready"), || match (ready(), self.try_exit()) {
            (Some(seen), None) => Ok(Some(seen)),
            (_, Some(status)) => {
                let said = said();
                let last = said.lines().last().unwrap_or("it said nothing");
                Err(Trouble::broken(format_args!("{what} ended while it started: {status}"), last))
            }
            (None, None) => Ok(None),
        })
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let all = process::tree(self.pid());
        process::signal(self.pid(), Signal::SIGTERM);
        let deadline = Instant::now() + PATIENCE / 10;
        while self.try_exit().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
        process::end(all.get(1..).unwrap_or_default(), PATIENCE / 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_everybody_has_a_base() {
        let mut names: Vec<String> = ROSTER.iter().map(|entry| entry.name()).collect();
        assert!(ROSTER.iter().all(|entry| names.contains(&entry.base().name())));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), ROSTER.len());
    }

    #[test]
    fn who_is_dropped_leaves_nobody() {
        let child =
            Guarded::spawn(Command::new("sh").args(["-c", "trap '' TERM; sleep 60 & wait; wait"])).unwrap();
        let all =
            wait_for("a tree of two", || Ok(Some(process::tree(child.pid())).filter(|tree| tree.len() == 2)));
        drop(child);
        assert!(all.unwrap().into_iter().all(|pid| !process::lives(pid)));
    }

    #[test]
    fn who_ends_while_it_starts_is_told_with_its_last_words() {
        let mut child = Guarded::spawn(Command::new("sh").args(["-c", "exit 3"])).unwrap();
        let trouble = child.wait_for("sh", || None::<()>, || "first\nlast words".into()).unwrap_err();
        assert!(trouble.to_string().contains("exit status: 3"), "{trouble}");
        assert_eq!(trouble.hint(), "last words");
    }
}
