//! Test instruments, never in a release: a ledger of what became of every sequence number, and faults on request.
//!
//! `ATLAS_CLUSTER_LEDGER` names a file of 64-bit words, one for each sequence number. A datagram that carries
//! `"seq":N` marks word N with who finished it: the slot and the batch. Unmarked is lost; marked by two different
//! batches is doubled. (The table alone can't tell: it keeps the newest level, and replay rightly stores twice.)
//!
//! A datagram that carries `"fault":"exit"`, `"abort"`, `"hang"` or `"fat"` does that to the worker, once: when its
//! mark is already there it is a replay. With `"poison"` it aborts whoever reads it, with `"poison-hang"` or
//! `"poison-exit"` it does that to him, each time and before its mark: one that is marked was processed. `ATLAS_CLUSTER_FAULTS` names a folder; a file `SLOT.before-ready` or
//! `SLOT.after-ready` in it makes the next process of that slot `exit` or `hang` at that point of its preparation.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atlas::Reading;
use contract::Failure;
use sys::map::Mapping;
use table::Writer;

use crate::senders::{Sender, Senders};
use crate::sink::Sink;

/// Set beside a mark that a second batch met.
const DOUBLED: u64 = 1 << 63;
/// What `"fault":"fat"` adds to the worker's memory, in bytes.
const FAT: usize = 64 << 20;

/// The table, with a ledger beside it.
pub(crate) struct Ledger<'t> {
    table: Writer<'t>,
    marks: Option<Mapping>,
    slot: u64,
}

impl<'t> Ledger<'t> {
    pub(crate) fn open(table: Writer<'t>, slot: u8) -> Result<Ledger<'t>, Failure> {
        let marks = match std::env::var_os("ATLAS_CLUSTER_LEDGER") {
            None => None,
            Some(path) => {
                let open = || {
                    let file = std::fs::File::options().read(true).write(true).open(&path)?;
                    Mapping::of_file(file.as_fd(), file.metadata()?.len() as usize)
                };
                Some(open().map_err(|e| Failure::of("cannot open the ledger", &e))?)
            }
        };
        Ok(Ledger { table, marks, slot: u64::from(slot) })
    }

    /// Marks `seq`; answers whether it was unmarked.
    fn write(&self, seq: u64, batch: u64) -> bool {
        let mark = (self.slot + 1) << 48 | (batch & ((1 << 48) - 1));
        let cell = self.marks.as_ref().and_then(|marks| marks.words().get(usize::try_from(seq).ok()?));
        let Some(cell) = cell else { return true };
        match cell.compare_exchange(0, mark, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(found) => {
                if found & !DOUBLED != mark {
                    cell.fetch_or(DOUBLED, Ordering::AcqRel);
                }
                false
            }
        }
    }
}

impl Sink for Ledger<'_> {
    fn store(&mut self, senders: &mut Senders, sender: Sender, micros: u64, readings: &[Reading]) -> bool {
        Sink::store(&mut self.table, senders, sender, micros, readings)
    }

    fn heard(&mut self, sender: Sender, micros: u64) {
        Sink::heard(&mut self.table, sender, micros);
    }

    fn mark(&mut self, batch: u64, payload: &[u8]) {
        let Some(seq) = after(payload, b"\"seq\":").map(number) else { return };
        let fault = after(payload, b"\"fault\":\"");
        if let Some(poison) = fault.and_then(|fault| fault.strip_prefix(b"poison")) {
            perform(poison.strip_prefix(b"-").unwrap_or(b"abort"));
        }
        if self.write(seq, batch)
            && let Some(fault) = fault
        {
            perform(fault);
        }
    }

    fn is_recorded(&self) -> bool {
        Sink::is_recorded(&self.table)
    }

    fn recorder(&self, sender: Sender) -> Option<(usize, u64)> {
        Sink::recorder(&self.table, sender)
    }
}

/// The fault that is ordered for a point of a worker's preparation; nothing if none is.
pub(crate) fn ordered(slot: u8, point: &str) -> Vec<u8> {
    let Some(folder) = std::env::var_os("ATLAS_CLUSTER_FAULTS") else { return Vec::new() };
    std::fs::read(std::path::Path::new(&folder).join(format!("{slot}.{point}"))).unwrap_or_default()
}

pub(crate) fn perform(fault: &[u8]) {
    if fault.starts_with(b"exit") {
        std::process::exit(7);
    } else if fault.starts_with(b"abort") {
        std::process::abort();
    } else if fault.starts_with(b"hang") {
        loop {
            std::thread::sleep(Duration::from_secs(3600));
        }
    } else if fault.starts_with(b"fat") {
        // Unread memory is memory that an optimiser leaves out.
        std::hint::black_box(Box::leak(vec![1u8; FAT].into_boxed_slice()));
    }
}

/// What stands behind the last `key` in `payload`.
fn after<'p>(payload: &'p [u8], key: &[u8]) -> Option<&'p [u8]> {
    let first = key.first()?;
    // Most windows are no match by their first byte: an instrument must not cost more than what it watches.
    let at = payload.windows(key.len()).rposition(|window| window.first() == Some(first) && window == key)?;
    payload.get(at + key.len()..)
}

/// The number at the start of `digits`.
fn number(digits: &[u8]) -> u64 {
    digits.iter().take_while(|d| d.is_ascii_digit()).fold(0, |n, d| n.wrapping_mul(10) + u64::from(d - b'0'))
}
