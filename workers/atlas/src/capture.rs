//! Recordings of what a processor sent: one JSON object a line, `{"t":31,"from":"udp","line":"…"}`.
//!
//! `t` is the time since the recording began, in milliseconds. `from` is `tcp` (a line, without its end) or `udp` (a
//! datagram). What is not UTF-8 stands under `hex` in place of `line`, two digits for each byte. Unknown keys are passed
//! over.

use std::io::{self, BufRead, Read, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest line of a recording, in bytes: the longest line of a processor, if each byte of it is escaped.
const MAX_LINE: u64 = 8 * 1024 * 1024;
/// The most that a recording that is read whole may hold, in bytes of what was sent; and as many records.
pub const MAX_WHOLE: usize = 64 * 1024 * 1024;

/// How something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// A line of the connection.
    Tcp,
    /// A datagram.
    Udp,
}

/// Something that a processor sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, since the recording began; written in whole milliseconds.
    pub at: Duration,
    /// How.
    pub from: From,
    /// What: a line without its end, or a datagram.
    pub bytes: Vec<u8>,
}

/// A recording that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadCapture {
    /// It could not be read at all.
    #[error("line {line}: {why}")]
    Io {
        /// Which, from 1.
        line: u64,
        /// What the system said.
        why: io::Error,
    },
    /// A line makes no sense.
    #[error("line {line} is not a record: {why}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// Why.
        why: String,
    },
    /// It is longer than [`MAX_WHOLE`].
    #[error("it is longer than {MAX_WHOLE} bytes")]
    TooLong,
}

/// As it stands in the file.
#[derive(Serialize, Deserialize)]
struct Written {
    t: u64,
    from: From,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

/// Appends a record to a recording, or to what link tells a recorder.
///
/// # Errors
/// When it cannot be written.
pub fn write(out: &mut impl Write, record: &Record) -> io::Result<()> {
    let (line, hex) = match std::str::from_utf8(&record.bytes) {
        Ok(line) => (Some(line.to_owned()), None),
        Err(_) => (None, Some(record.bytes.iter().map(|byte| format!("{byte:02x}")).collect())),
    };
    let t = u64::try_from(record.at.as_millis()).unwrap_or(u64::MAX);
    let mut text = serde_json::to_string(&Written { t, from: record.from, line, hex })?;
    text.push('\n');
    out.write_all(text.as_bytes())
}

/// Reads the records of a recording one after the other; blank lines are passed over.
pub struct Reader<R> {
    from: R,
    line: u64,
}

impl<R: BufRead> Reader<R> {
    /// From the beginning of a recording.
    pub fn new(from: R) -> Reader<R> {
        Reader { from, line: 0 }
    }

    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut text = Vec::new();
        let read = self.from.by_ref().take(MAX_LINE).read_until(b'\n', &mut text)?;
        if read as u64 == MAX_LINE {
            return Err(io::Error::other(format!("longer than {MAX_LINE} bytes")));
        }
        self.line += 1;
        Ok((read > 0).then_some(text))
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, BadCapture>;

    fn next(&mut self) -> Option<Result<Record, BadCapture>> {
        loop {
            match self.next_line() {
                Err(why) => return Some(Err(BadCapture::Io { line: self.line + 1, why })),
                Ok(None) => return None,
                Ok(Some(text)) if text.trim_ascii().is_empty() => {}
                Ok(Some(text)) => {
                    return Some(parse(&text).map_err(|why| BadCapture::Line { line: self.line, why }));
                }
            }
        }
    }
}

/// All records of a recording.
///
/// # Errors
/// When one cannot be read, or they are too many.
pub fn read_whole(from: impl BufRead) -> Result<Vec<Record>, BadCapture> {
    let mut records = Vec::new();
    let mut size = 0;
    for record in Reader::new(from) {
        let record = record?;
        size += record.bytes.len() + size_of::<Record>();
        if size > MAX_WHOLE {
            return Err(BadCapture::TooLong);
        }
        records.push(record);
    }
    Ok(records)
}

/// Reads one record from its line.
///
/// # Errors
/// Why it is none.
pub fn parse(text: &[u8]) -> Result<Record, String> {
    let written: Written = serde_json::from_slice(text).map_err(|why| why.to_string())?;
    let bytes = match (written.line, written.hex) {
        (Some(line), None) => line.into_bytes(),
        (None, Some(hex)) => bytes(&hex).ok_or("`hex` is not a row of pairs of hexadecimal digits")?,
        (Some(_), Some(_)) | (None, None) => return Err("neither `line` nor `hex`, or both".to_owned()),
    };
    Ok(Record { at: Duration::from_millis(written.t), from: written.from, bytes })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(ms: u64, from: From, bytes: &[u8]) -> Record {
        Record { at: Duration::from_millis(ms), from, bytes: bytes.to_vec() }
    }

    #[test]
    fn what_is_written_is_read_byte_for_byte() {
        let records = [
            record(0, From::Tcp, br#"{"jsonrpc":"2.0","result":"OK","id":10}"#),
            record(31, From::Udp, "Café \"1\"\\ \u{0}".as_bytes()),
            record(u64::MAX, From::Udp, b"\xff\x00\xfe"),
            record(32, From::Tcp, b""),
        ];
        let mut file = Vec::new();
        for record in &records {
            write(&mut file, record).expect("a buffer takes it");
        }
        assert_eq!(read_whole(file.as_slice()).expect("our own"), records);
        let first = file.split(|byte| *byte == b'\n').next().expect("a line");
        assert_eq!(
            String::from_utf8_lossy(first),
            r#"{"t":0,"from":"tcp","line":"{\"jsonrpc\":\"2.0\",\"result\":\"OK\",\"id\":10}"}"#
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        for (text, said) in [
            ("\n{\"t\":1,\"from\":\"tcp\"}\n", "line 2 is not a record: neither `line` nor `hex`, or both"),
            (
                "{\"t\":1,\"from\":\"udp\",\"hex\":\"f\"}",
                "line 1 is not a record: `hex` is not a row of pairs of hexadecimal digits",
            ),
            ("{\"t\":1,\"from\":\"air\",\"line\":\"\"}", "line 1 is not a record: unknown variant `air`"),
            ("{\"t\":1", "line 1 is not a record: EOF"),
        ] {
            let error = read_whole(text.as_bytes()).expect_err(text).to_string();
            assert!(error.starts_with(said), "{error}");
        }
        let more = "{\"t\":1,\"from\":\"udp\",\"line\":\"x\",\"more\":[]}";
        assert_eq!(read_whole(more.as_bytes()).expect(more), [record(1, From::Udp, b"x")]);
        let endless = io::repeat(b'x');
        assert!(read_whole(io::BufReader::new(endless)).is_err());
    }
}
