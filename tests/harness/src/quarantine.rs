//! The quarantine of a cluster, as whoever looks into the folder finds it.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::Cluster;

/// One datagram in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Record {
    /// The slot whose workers it killed.
    pub slot: usize,
    /// Its batch.
    pub batch: u64,
    /// Its place in the batch.
    pub entry: usize,
    /// Who sent it.
    pub sender: Option<SocketAddr>,
    /// When the kernel received it: RFC 3339, UTC.
    pub received: Option<String>,
    /// How the last worker died of it.
    pub died: String,
    /// Its length.
    pub bytes: usize,
    /// Its bytes in hexadecimal digits.
    pub payload: String,
}

impl Record {
    /// Its bytes as text.
    ///
    /// # Panics
    /// When they are none.
    #[must_use]
    pub fn text(&self) -> String {
        let (pairs, rest) = self.payload.as_bytes().as_chunks::<2>();
        assert!(rest.is_empty(), "half a byte: {self:#?}");
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        text.unwrap_or_else(|| panic!("no text: {self:#?}"))
    }

    /// The sequence number in it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn seq(&self) -> u64 {
        let json: serde_json::Value =
            serde_json::from_str(&self.text()).unwrap_or_else(|e| panic!("{e}: {self:#?}"));
        json["seq"].as_u64().unwrap_or_else(|| panic!("no number in {self:#?}"))
    }
}

impl Cluster {
    /// What lies in its quarantine, by slot and in the order of arrival there.
    ///
    /// # Panics
    /// When something lies there that is not a record.
    #[track_caller]
    #[must_use]
    pub fn quarantine(&self) -> Vec<Record> {
        let folder = self.runtime_dir().join("quarantine");
        let mut records = Vec::new();
        for slot in 0..64 {
            let text = std::fs::read_to_string(folder.join(format!("{slot}.jsonl"))).unwrap_or_default();
            assert!(text.is_empty() || text.ends_with('\n'), "half a line in {slot}.jsonl");
            for line in text.lines() {
                let record: Record =
                    serde_json::from_str(line).unwrap_or_else(|e| panic!("{slot}.jsonl: {e} in {line}"));
                assert_eq!(record.slot, slot, "it lies in the file of its slot: {record:#?}");
                records.push(record);
            }
        }
        records
    }
}
