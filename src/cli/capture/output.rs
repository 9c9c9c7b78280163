//! The file of a recording: whole lines, up to its largest size, and what was counted.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use atlas::capture::{self, From, Record};

/// What waits to be written is written at once from this on, in bytes.
const CHUNK: usize = 256 << 10;

/// Records of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) lines: u64,
    pub(super) datagrams: u64,
}

/// A recording that is being written.
pub(super) struct Output {
    file: File,
    waiting: Vec<u8>,
    /// What is whole in the file, in bytes.
    written: u64,
    max_size: u64,
    /// What was taken, and what of it is in the file.
    taken: Counts,
    kept: Counts,
}

impl Output {
    /// A new file; one that is there already is left alone.
    pub(super) fn create(path: &Path, max_size: u64) -> io::Result<Output> {
        let file = File::options().write(true).create_new(true).open(path)?;
        let (taken, kept) = (Counts::default(), Counts::default());
        Ok(Output { file, waiting: Vec::new(), written: 0, max_size, taken, kept })
    }

    /// Takes a record; false, and nothing taken, if the file would be too large.
    pub(super) fn push(&mut self, record: &Record) -> io::Result<bool> {
        let before = self.waiting.len();
        capture::write(&mut self.waiting, record)?;
        if self.size() > self.max_size {
            self.waiting.truncate(before);
            return Ok(false);
        }
        match record.from {
            From::Tcp => self.taken.lines += 1,
            From::Udp => self.taken.datagrams += 1,
        }
        if self.waiting.len() >= CHUNK {
            self.flush()?;
        }
        Ok(true)
    }

    /// What is in the file.
    pub(super) fn counts(&self) -> Counts {
        self.kept
    }

    /// Its size once everything is written, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.written + self.waiting.len() as u64
    }

    /// Writes what waits. Where that fails, the file keeps the whole lines it had.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        if let Err(error) = self.file.write_all(&waiting) {
            let _ = self.file.set_len(self.written);
            self.taken = self.kept;
            return Err(error);
        }
        self.written += waiting.len() as u64;
        self.kept = self.taken;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn record(from: From, text: &str) -> Record {
        Record { at: Duration::from_millis(5), from, bytes: text.into() }
    }

    #[test]
    fn it_ends_before_its_largest_size_with_a_whole_line_and_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bar.jsonl");
        let mut output = Output::create(&path, 100).unwrap();
        assert!(output.push(&record(From::Udp, "one")).unwrap());
        assert!(output.push(&record(From::Tcp, "two")).unwrap());
        assert!(!output.push(&record(From::Udp, "there is no room for this one")).unwrap());
        output.flush().unwrap();
        assert_eq!(output.counts(), Counts { lines: 1, datagrams: 1 });
        let text = std::fs::read(&path).unwrap();
        assert_eq!(text.len() as u64, output.size());
        let records = capture::read_whole(&text[..]).unwrap();
        assert_eq!(records, [record(From::Udp, "one"), record(From::Tcp, "two")]);
        let again = Output::create(&path, 100).err().unwrap();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_not_counted() {
        let file = File::options().write(true).open("/dev/full").unwrap();
        let (taken, kept) = (Counts::default(), Counts::default());
        let mut output = Output { file, waiting: Vec::new(), written: 0, max_size: 1 << 20, taken, kept };
        assert!(output.push(&record(From::Udp, "one")).unwrap());
        assert_eq!(output.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
        output.flush().unwrap();
        assert_eq!((output.counts(), output.size()), (Counts::default(), 0), "not by a later one either");
    }
}
