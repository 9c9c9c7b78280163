//! The file for datagrams that killed workers: evidence for a person, one JSON object on a line for each.
//!
//! The supervisor lends it, and the holder of the slot's seat is its only writer. What stands in it is there once, however
//! often a worker dies between the writing and the note in the ring that it was written. A record that cannot be written
//! costs the record alone: the datagram is counted, and the cluster goes on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use serde::Serialize;
use sys::batch::Entry;

/// The most bytes a file may have: beyond it, datagrams are counted and not kept.
const MAX_BYTES: usize = 1 << 20;

/// The file of one slot.
pub(crate) struct Quarantine {
    file: Option<File>,
    slot: u8,
}

/// One line. The fields down to `received` say which datagram it is.
#[derive(Serialize)]
struct Record<'a> {
    slot: u8,
    batch: u64,
    entry: u16,
    sender: Option<String>,
    received: Option<String>,
    /// How the worker died that was the second one.
    died: &'a str,
    /// Its length; of a longer one than the ring takes, no more is kept.
    bytes: usize,
    payload: String,
}

impl Quarantine {
    pub(crate) fn new(file: Option<OwnedFd>, slot: u8) -> Quarantine {
        Quarantine { file: file.map(File::from), slot }
    }

    /// Keeps a datagram that workers died of, the last by `how`; answers what to tell of it.
    pub(crate) fn keep(&mut self, batch: u64, index: u16, entry: &Entry<'_>, how: &str) -> String {
        let Entry { bytes, sender, .. } = entry;
        let sender = sender.map_or("an unknown sender".into(), |sender| sender.to_string());
        let place = format!("quarantine/{}.jsonl", self.slot);
        let whereabouts = match self.write(batch, index, entry, how) {
            Ok(()) => format!("it lies in {place}"),
            Err(e) => format!("it could not be kept in {place}: {e}"),
        };
        format!(
            "a datagram of {bytes} bytes from {sender} killed two workers, the last by {how}; {whereabouts}"
        )
    }

    fn write(&mut self, batch: u64, index: u16, entry: &Entry<'_>, how: &str) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Err(io::Error::other("no file was lent")) };
        let record = Record {
            slot: self.slot,
            batch,
            entry: index,
            sender: entry.sender.map(|sender| sender.to_string()),
            received: entry.stamp.and_then(rfc3339),
            died: how,
            bytes: entry.bytes,
            payload: hex(entry.payload),
        };
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        append(file, &line)
    }
}

/// Appends `line` unless that datagram's is there already.
fn append(file: &mut File, line: &[u8]) -> io::Result<()> {
    let mut there = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    // More than we ever write, so that a file somebody else filled is read no further than need be.
    file.take(2 * MAX_BYTES as u64).read_to_end(&mut there)?;
    // What a writer left half written when it was killed.
    let whole = there.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let name = name(line);
    if there[..whole].split(|&byte| byte == b'\n').any(|other| other.starts_with(name)) {
        return Ok(());
    }
    if whole + line.len() > MAX_BYTES {
        return Err(io::Error::other(format!("it is full ({} KiB)", MAX_BYTES >> 10)));
    }
    if whole < there.len() {
        file.set_len(whole as u64)?;
    }
    file.write_all(line).inspect_err(|_| {
        // All of it or nothing; a disk that does not even take this leaves the rest to the next writer.
        let _ = file.set_len(whole as u64);
    })
}

/// The part of a line that says which datagram it is: of the same one it is the same, also when it is written anew.
fn name(line: &[u8]) -> &[u8] {
    let rest = br#","died":"#;
    let end = line.windows(rest.len()).position(|window| window == rest);
    &line[..end.unwrap_or(line.len())]
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text
}

/// A stamp as people read it, in UTC; None for one that no calendar has.
fn rfc3339(stamp: Duration) -> Option<String> {
    let since_epoch = jiff::SignedDuration::try_from(stamp).ok()?;
    let stamp = jiff::Timestamp::from_duration(since_epoch).ok()?;
    Some(format!("{stamp:.9}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::os::fd::AsFd;

    const PAYLOAD: &[u8] = b"\x00\xffpoison";

    fn entry(stamp: u64) -> Entry<'static> {
        let sender = Some("127.0.0.2:4000".parse().unwrap());
        let stamp = Some(Duration::new(stamp, 5));
        Entry { payload: PAYLOAD, bytes: PAYLOAD.len(), sender, stamp, truncated: false }
    }

    /// A file, and the quarantine of slot 3 in it as each new process has it.
    fn place() -> (tempfile::NamedTempFile, impl Fn() -> Quarantine) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let open = move || {
            let file = OpenOptions::new().append(true).read(true).open(&path).unwrap();
            Quarantine::new(Some(file.into()), 3)
        };
        (file, open)
    }

    fn lines(file: &tempfile::NamedTempFile) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(file.path()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_record_tells_who_sent_what_and_when() {
        let (file, open) = place();
        let said = open().keep(57, 4, &entry(1_770_000_000), "SIGSEGV");
        assert_eq!(
            said,
            "a datagram of 8 bytes from 127.0.0.2:4000 killed two workers, the last by SIGSEGV; it lies in quarantine/3.jsonl"
        );
        let expected = serde_json::json!({
            "slot": 3, "batch": 57, "entry": 4, "sender": "127.0.0.2:4000", "bytes": 8, "payload": "00ff706f69736f6e",
            "received": "2026-02-02T02:40:00.000000005Z", "died": "SIGSEGV",
        });
        assert_eq!(lines(&file), [expected]);
        let nameless = Entry { sender: None, stamp: None, ..entry(0) };
        assert!(open().keep(58, 0, &nameless, "hang").contains("from an unknown sender killed"));
        assert_eq!(lines(&file)[1]["received"], serde_json::Value::Null);
    }

    #[test]
    fn a_datagram_is_kept_once_whoever_writes_it_and_whatever_lies_between() {
        let (file, open) = place();
        for how in ["SIGSEGV", "hang", "SIGABRT"] {
            open().keep(57, 4, &entry(1), how);
            open().keep(57, 5, &entry(1), how);
        }
        assert_eq!(lines(&file).len(), 2);
        open().keep(57, 4, &entry(2), "SIGSEGV");
        assert_eq!(lines(&file).len(), 3, "a later cluster in the same directory has the same numbers");
    }

    #[test]
    fn half_a_line_of_a_writer_that_was_killed_is_written_whole() {
        let (file, open) = place();
        open().keep(1, 0, &entry(1), "SIGSEGV");
        let whole = std::fs::read(file.path()).unwrap();
        open().keep(2, 0, &entry(1), "SIGSEGV");
        let both = std::fs::read(file.path()).unwrap();
        for cut in whole.len()..both.len() {
            std::fs::write(file.path(), &both[..cut]).unwrap();
            open().keep(2, 0, &entry(1), "SIGSEGV");
            assert_eq!(std::fs::read(file.path()).unwrap(), both, "cut at {cut}");
        }
    }

    #[test]
    fn a_file_is_bounded_and_what_it_does_not_take_is_told() {
        let (file, open) = place();
        let long = [0xab; sys::batch::PAYLOAD];
        let long = |stamp| Entry { payload: &long, bytes: 60_000, ..entry(stamp) };
        let fits = (0..).take_while(|&n| open().keep(n, 0, &long(1), "hang").contains("lies in")).count();
        let full = std::fs::metadata(file.path()).unwrap().len();
        assert!(fits > 100 && full <= MAX_BYTES as u64 && full > MAX_BYTES as u64 - 9000, "{fits}, {full}");
        assert!(open().keep(9999, 0, &long(1), "hang").ends_with("it is full (1024 KiB)"));
        assert_eq!(std::fs::metadata(file.path()).unwrap().len(), full);
        assert!(open().keep(0, 0, &long(1), "hang").contains("lies in"), "what lies there lies there");
    }

    #[test]
    fn without_a_file_or_where_none_can_be_written_the_datagram_is_told_all_the_same() {
        let said = Quarantine::new(None, 0).keep(1, 0, &entry(1), "hang");
        assert!(said.ends_with("it could not be kept in quarantine/0.jsonl: no file was lent"), "{said}");
        let unwritable = tempfile::NamedTempFile::new().unwrap().reopen().unwrap();
        let unwritable = sys::map::reopen(unwritable.as_fd(), false).unwrap();
        let said = Quarantine::new(Some(unwritable), 0).keep(1, 0, &entry(1), "hang");
        assert!(said.contains("it could not be kept in quarantine/0.jsonl: Bad file descriptor"), "{said}");
    }
}
