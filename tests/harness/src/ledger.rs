//! The ledger: what became of every sequence number that was sent.
//!
//! The workers mark it (`ATLAS_CLUSTER_LEDGER`, workers/meter/src/ledger.rs): one 64-bit word for each number, with
//! the slot and the batch that finished the datagram. Unmarked is lost; bit 63 is doubled.

use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use crate::load::{datagram, sender};
use crate::{Cluster, PATIENCE, try_for, wait_until};

const DOUBLED: u64 = 1 << 63;

/// Gives out sequence numbers, and knows what became of them. Clones are one ledger.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    capacity: u64,
    next: AtomicU64,
    _folder: TempDir,
}

/// What became of the numbers 0 … `sent` - 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How many were sent.
    pub sent: u64,
    /// How many were finished.
    pub seen: u64,
    /// Those that no worker finished.
    pub lost: Vec<u64>,
    /// Those that were finished twice.
    pub doubled: Vec<u64>,
    /// How many each slot finished.
    pub by_slot: Vec<u64>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let few = |numbers: &[u64]| format!("{} {:?}", numbers.len(), &numbers[..numbers.len().min(20)]);
        write!(f, "sent {}, seen {}, ", self.sent, self.seen)?;
        write!(f, "lost {}, doubled {}, by slot {:?}", few(&self.lost), few(&self.doubled), self.by_slot)
    }
}

impl Ledger {
    /// For at most `capacity` datagrams.
    ///
    /// # Panics
    /// When its file cannot be made.
    #[must_use]
    pub fn new(capacity: u64) -> Ledger {
        let memory = Path::new("/dev/shm"); // a disk that writes back would make the workers wait
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.expect("a folder for the ledger");
        let path = folder.path().join("ledger");
        let file = std::fs::File::create(&path).expect("the ledger's file");
        file.set_len(capacity * 8).expect("room for the ledger");
        Ledger(Arc::new(Inner { path, capacity, next: AtomicU64::new(0), _folder: folder }))
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The next sequence number: who takes it must send it.
    ///
    /// # Panics
    /// When the ledger is full.
    pub fn claim(&self) -> u64 {
        let seq = self.0.next.fetch_add(1, Ordering::Relaxed);
        assert!(seq < self.0.capacity, "the ledger has room for {} datagrams only", self.0.capacity);
        seq
    }

    /// Numbers given out so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.0.next.load(Ordering::Relaxed)
    }

    /// Waits until `more` datagrams were sent from now on: a load's measure of time.
    #[track_caller]
    pub fn wait_for_more(&self, more: u64) {
        let goal = self.sent() + more;
        wait_until(format_args!("{more} more datagrams are sent"), || self.sent() >= goal);
    }

    /// Sends one datagram with the next number, and `extra` (`,"fault":"abort"`) in it; answers the number.
    ///
    /// # Panics
    /// When the kernel does not take it.
    #[track_caller]
    pub fn send(&self, socket: &UdpSocket, to: SocketAddr, extra: &str) -> u64 {
        let seq = self.claim();
        let sent = socket.send_to(&datagram(seq, extra), to);
        sent.unwrap_or_else(|e| panic!("cannot send datagram {seq} to {to}: {e}"));
        seq
    }

    /// As [`send`](Ledger::send), from a socket of its own.
    #[track_caller]
    pub fn send_to(&self, cluster: &Cluster, extra: &str) -> u64 {
        let to = cluster.targets()[0];
        self.send(&sender(to, 1), to, extra)
    }

    fn marks(&self) -> Vec<u64> {
        let bytes = std::fs::read(&self.0.path).expect("the ledger's file");
        let whole = bytes.as_chunks::<8>().0;
        whole.iter().map(|word| u64::from_ne_bytes(*word)).collect()
    }

    /// The slot that finished `seq`.
    #[must_use]
    pub fn reader_of(&self, seq: u64) -> Option<usize> {
        slot_of(*self.marks().get(usize::try_from(seq).ok()?)?)
    }

    /// Waits until a slot has finished `seq`; answers which.
    #[track_caller]
    pub fn wait_for_reader_of(&self, seq: u64) -> usize {
        crate::wait_for(format_args!("datagram {seq} is read"), || self.reader_of(seq))
    }

    /// What became of them so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let sent = self.sent().min(self.0.capacity);
        let marks = self.marks();
        let mut verdict =
            Verdict { sent, seen: 0, lost: Vec::new(), doubled: Vec::new(), by_slot: Vec::new() };
        for (seq, &mark) in (0..sent).zip(&marks) {
            match slot_of(mark) {
                None => verdict.lost.push(seq),
                Some(slot) => {
                    verdict.seen += 1;
                    let slots = verdict.by_slot.len().max(slot + 1);
                    verdict.by_slot.resize(slots, 0);
                    verdict.by_slot[slot] += 1;
                }
            }
            if mark & DOUBLED != 0 {
                verdict.doubled.push(seq);
            }
        }
        verdict
    }

    /// Waits until everything sent was read; then nothing may be lost or doubled, and the cluster's counters must
    /// tell the same. Every load must have been stopped.
    ///
    /// # Panics
    /// When something was lost or doubled. A full receive buffer has a message of its own: that is no fault of the
    /// cluster's, the machine was too slow for the load.
    #[track_caller]
    pub fn settle(&self, cluster: &Cluster) -> Verdict {
        self.settle_but(cluster, &[])
    }

    /// As [`settle`](Ledger::settle), where the datagrams of these numbers went into quarantine: no worker finished
    /// them, and they are counted there.
    #[track_caller]
    pub fn settle_but(&self, cluster: &Cluster, quarantined: &[u64]) -> Verdict {
        let verdict = self.wait_for_all_but(cluster, quarantined);
        expect_counted(cluster, verdict.sent, quarantined.len());
        verdict
    }

    /// As [`settle`](Ledger::settle), where so many more were sent that carry no number.
    #[track_caller]
    pub fn settle_beside(&self, cluster: &Cluster, unnumbered: u64) -> Verdict {
        let verdict = self.wait_for_all_but(cluster, &[]);
        expect_counted(cluster, verdict.sent + unnumbered, 0);
        verdict
    }

    /// As [`settle`](Ledger::settle), for a cluster that is not the only one that has read.
    #[track_caller]
    pub fn settle_without_counters(&self, cluster: &Cluster) -> Verdict {
        self.wait_for_all_but(cluster, &[])
    }

    #[track_caller]
    fn wait_for_all_but(&self, cluster: &Cluster, unread: &[u64]) -> Verdict {
        let mut unread = unread.to_vec();
        unread.sort_unstable();
        let all_seen = || Some(self.verdict()).filter(|it| it.seen + unread.len() as u64 == it.sent);
        let verdict = try_for(PATIENCE, all_seen).unwrap_or_else(|| self.verdict());
        let list = cluster.list();
        let queued: u64 = list.workers.iter().filter_map(|worker| worker.queue_bytes).sum();
        let dropped = list.cluster.totals.dropped;
        assert_eq!(
            dropped,
            Some(0),
            "the kernel threw datagrams away on full receive buffers: the machine was too slow for this load; {verdict}"
        );
        let fine = verdict.lost == unread && verdict.doubled.is_empty();
        assert!(fine, "{verdict}; the kernel dropped {dropped:?}, {queued} bytes wait in its queues");
        verdict
    }
}

#[track_caller]
fn expect_counted(cluster: &Cluster, sent: u64, quarantined: usize) {
    wait_until(format_args!("the counters tell of all {sent} datagrams"), || {
        cluster.list().cluster.totals.datagrams == Some(sent)
    });
    let totals = cluster.list().cluster.totals;
    assert_eq!(totals.classes(), sent, "the classes add up: {totals:?}");
    assert_eq!(totals.quarantined, Some(quarantined as u64), "{totals:?}");
}

fn slot_of(mark: u64) -> Option<usize> {
    usize::try_from((mark & !DOUBLED) >> 48).ok()?.checked_sub(1)
}
