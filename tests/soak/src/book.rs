//! The ledger, read in windows: what became of the numbers that were sent while a fault was under way.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use harness::{Ledger, PATIENCE, try_for, wait_for};
use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

/// Bit of a mark that a second batch met; a mark of 0 is none (workers/meter/src/ledger.rs).
const DOUBLED: u64 = 1 << 63;
const MARK: u64 = 8;
/// Marks that are read at a time.
const PAGE: usize = 1 << 17;
/// Room that is left to others where the ledger lies.
const MARGIN: u64 = 256 << 20;
/// Numbers that are named when something is wrong with them.
const EXAMPLES: usize = 8;

/// Numbers from the one to before the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// What became of some numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) seen: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// Not seen, as it should be.
    pub(crate) quarantined: u64,
    /// The first of those lost or doubled.
    pub(crate) examples: Vec<u64>,
}

impl Tally {
    fn count(&mut self, seq: u64, mark: u64, poisonous: bool) {
        let (seen, doubled) = (mark != 0, mark & DOUBLED != 0);
        let lost = !seen && !poisonous;
        self.sent += 1;
        self.seen += u64::from(seen);
        self.quarantined += u64::from(!seen && poisonous);
        self.lost += u64::from(lost);
        self.doubled += u64::from(doubled);
        if (lost || doubled) && self.examples.len() < EXAMPLES {
            self.examples.push(seq);
        }
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        self.sent += other.sent;
        self.seen += other.seen;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.quarantined += other.quarantined;
        let room = EXAMPLES - self.examples.len().min(EXAMPLES);
        self.examples.extend(other.examples.iter().take(room));
    }
}

/// The harness gives out the numbers; the marks lie in a file that may be larger than one wants in memory at once.
pub(crate) struct Book {
    pub(crate) ledger: Ledger,
    capacity: u64,
    path: PathBuf,
    file: File,
    _folder: Option<TempDir>,
}

impl Book {
    /// For `capacity` numbers.
    ///
    /// # Errors
    /// When there is no room for them.
    pub(crate) fn new(capacity: u64) -> Result<Book, String> {
        let ledger = Ledger::new(capacity);
        let bytes = capacity * MARK;
        let (path, folder) = if room_beside(ledger.path()) >= bytes {
            (ledger.path().to_owned(), None)
        } else {
            let folder = elsewhere(bytes)?;
            (folder.path().join("ledger"), Some(folder))
        };
        let open = || {
            let file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
            file.set_len(bytes)?;
            std::io::Result::Ok(file)
        };
        let file = open().map_err(|e| {
            format!("cannot make the ledger {}: {e}\nhint: TMPDIR names another folder", path.display())
        })?;
        Ok(Book { ledger, capacity, path, file, _folder: folder })
    }

    /// Where the workers mark.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Numbers that were given to a datagram.
    pub(crate) fn sent(&self) -> u64 {
        self.ledger.sent().min(self.capacity)
    }

    fn mark(&self, seq: u64) -> u64 {
        let mut word = [0; MARK as usize];
        self.file.read_exact_at(&mut word, seq * MARK).expect("a mark of the ledger");
        u64::from_ne_bytes(word)
    }

    /// Waits until a slot has finished `seq`; answers which.
    #[track_caller]
    pub(crate) fn wait_for_reader_of(&self, seq: u64) -> usize {
        let slot = |mark: u64| usize::try_from((mark & !DOUBLED) >> 48).ok()?.checked_sub(1);
        wait_for(format_args!("datagram {seq} is read"), || slot(self.mark(seq)))
    }

    /// Waits until all that was sent is seen, except those numbers; as long as one waits for what should come at once.
    pub(crate) fn settle(&self, poison: &[u64]) {
        let mut seen = 0; // all below are
        let all_seen = || {
            let window = Window { from: seen, to: self.sent() };
            seen = self
                .look_through(window, |seq, mark| mark != 0 || poison.binary_search(&seq).is_ok())
                .unwrap_or(window.to);
            (seen == window.to).then_some(())
        };
        let _ = try_for(PATIENCE, all_seen);
    }

    /// What became of the numbers of a window; those of `poison`, in their order, belong into quarantine.
    pub(crate) fn tally(&self, window: Window, poison: &[u64]) -> Tally {
        let mut tally = Tally::default();
        let _ = self.look_through(window, |seq, mark| {
            tally.count(seq, mark, poison.binary_search(&seq).is_ok());
            true
        });
        tally
    }

    /// Shows each mark of a window, until one is not `fine`: that one's number.
    fn look_through(&self, window: Window, mut fine: impl FnMut(u64, u64) -> bool) -> Option<u64> {
        let mut page = vec![0; PAGE * MARK as usize];
        let mut at = window.from;
        while at < window.to {
            let count = (window.to - at).min(PAGE as u64);
            let bytes = &mut page[..(count * MARK) as usize];
            self.file.read_exact_at(bytes, at * MARK).expect("marks of the ledger");
            for (seq, word) in (at..).zip(bytes.as_chunks::<8>().0) {
                if !fine(seq, u64::from_ne_bytes(*word)) {
                    return Some(seq);
                }
            }
            at += count;
        }
        None
    }
}

fn room_beside(path: &Path) -> u64 {
    let folder = path.parent().unwrap_or(path);
    statvfs(folder)
        .map_or(0, |found| (found.blocks_available() * found.fragment_size()).saturating_sub(MARGIN))
}

fn elsewhere(bytes: u64) -> Result<TempDir, String> {
    let folder = tempfile::tempdir()
        .map_err(|e| format!("cannot make a temporary folder: {e}\nhint: TMPDIR names another one"))?;
    let room = room_beside(&folder.path().join("ledger"));
    if room < bytes {
        let parent = std::env::temp_dir();
        return Err(format!(
            "the ledger needs {} MB, and neither /dev/shm nor {} has them\n\
             hint: fewer --minutes or a lower --rate need less",
            bytes >> 20,
            parent.display()
        ));
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_attributed_to_the_window_they_were_sent_in() {
        let book = Book::new(PAGE as u64 * 2).unwrap();
        for _ in 0..PAGE + 10 {
            book.ledger.claim();
        }
        let write = |seq: u64, mark: u64| book.file.write_all_at(&mark.to_ne_bytes(), seq * MARK).unwrap();
        (0..PAGE as u64 + 10).for_each(|seq| write(seq, 3 << 48 | seq));
        book.settle(&[]);
        assert_eq!(book.wait_for_reader_of(5), 2);
        write(7, 0);
        write(PAGE as u64 + 3, DOUBLED | 1 << 48);
        let edge = PAGE as u64 + 3;
        write(9, 0);
        let poison = [5, 9];
        let first = book.tally(Window { from: 0, to: edge }, &poison);
        assert_eq!((first.sent, first.seen, first.lost, first.doubled), (edge, edge - 2, 1, 0));
        assert_eq!(first.quarantined, 1, "5 was processed all the same");
        let second = book.tally(Window { from: edge, to: edge + 7 }, &poison);
        assert_eq!((second.sent, second.seen, second.lost, second.doubled), (7, 7, 0, 1));
        let mut total = Tally::default();
        total.add(&first);
        total.add(&second);
        assert_eq!((total.sent, total.examples), (edge + 7, vec![7, edge]));
    }
}
