//! Somebody who wants the port: he tries every way to bind it, again and again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use harness::{Options, as_user};
use nix::unistd::geteuid;

/// Who he is, if we are root: nobody.
const UID: u32 = 65_534;
/// Between two rounds: he is not to take the processor from those he is after.
const PAUSE: Duration = Duration::from_micros(200);

/// What he got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loot {
    pub(crate) tries: u64,
    /// Each bind that the kernel allowed.
    pub(crate) taken: Vec<String>,
}

impl Loot {
    /// He tried, and got nothing.
    #[track_caller]
    pub(crate) fn expect_none(&self) {
        assert!(self.tries > 0, "he never tried");
        assert!(self.taken.is_empty(), "the kernel gave the port away: {self:?}");
    }
}

/// Tries until he is stopped.
pub(crate) struct Squatter {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Loot>,
}

impl Squatter {
    /// As another user if we are root. Of our own user's processes those without `SO_REUSEPORT` are refused.
    pub(crate) fn start(port: u16) -> Squatter {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            if geteuid().is_root() {
                as_user(UID, || squat(port, &Options::ALL, &told))
            } else {
                let ways: Vec<_> = Options::ALL.into_iter().filter(|way| !way.reuse_port).collect();
                squat(port, &ways, &told)
            }
        });
        Squatter { stop, thread }
    }

    /// Sends him away.
    #[track_caller]
    pub(crate) fn stop(self) -> Loot {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a squatter who does nothing but try")
    }
}

fn squat(port: u16, ways: &[Options], stop: &AtomicBool) -> Loot {
    let addresses = [[127, 0, 0, 1], [0, 0, 0, 0]].map(|ip| SocketAddr::from((ip, port)));
    let mut loot = Loot::default();
    while !stop.load(Ordering::Relaxed) {
        for (way, address) in ways.iter().flat_map(|way| addresses.map(|address| (way, address))) {
            loot.tries += 1;
            if way.bind(address).is_ok() {
                loot.taken.push(format!("{address} with {way:?}"));
            }
        }
        thread::sleep(PAUSE);
    }
    loot
}
