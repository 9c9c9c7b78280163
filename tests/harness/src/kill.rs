//! A worker that was signalled, and what should follow.

use crate::shape::Worker;
use crate::{Cluster, wait_for};

/// The process of a slot that a test has signalled.
#[must_use = "say what should follow"]
#[derive(Clone, Copy, Debug)]
pub struct Killed<'c> {
    pub(crate) cluster: &'c Cluster,
    pub(crate) slot: usize,
    /// Its number.
    pub pid: i32,
    pub(crate) restarts: u32,
}

impl Killed<'_> {
    /// Waits until another process is online in its slot.
    #[track_caller]
    pub fn expect_replaced(self) -> Worker {
        let Killed { cluster, slot, pid, .. } = self;
        wait_for(format_args!("worker {slot} is online again after pid {pid}"), || {
            let row = cluster.worker(slot);
            (row.state == "online" && row.pid.is_some_and(|new| new != pid)).then_some(row)
        })
    }

    /// Waits until another process is online in its slot, and `list` tells that this signal ended the last.
    #[track_caller]
    pub fn expect_replaced_after(self, signal: &str) -> Worker {
        let row = self.expect_replaced();
        let died_of = row.last_exit.as_ref().and_then(|exit| exit.signal.as_deref());
        assert_eq!(died_of, Some(signal), "how worker {} ended: {row:#?}", self.slot);
        assert!(row.restarts > self.restarts, "it was restarted: {row:#?}");
        row
    }

    /// Waits until the process is gone.
    #[track_caller]
    pub fn expect_gone(self) {
        crate::wait_until(format_args!("pid {} is gone", self.pid), || {
            crate::process::find(self.pid).is_none()
        });
    }
}
