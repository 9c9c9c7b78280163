//! Bytes of a stream into lines, however they were split or glued; a line that is too long is passed over.

/// Longest line, in bytes: an answer about 256 parameters, which is more than we ask for, has 16 KiB.
pub(crate) const MAX_LINE: usize = 64 << 10;

/// What has come and is no whole line yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    /// The rest of a line that was too long is still to come.
    overlong: bool,
}

impl Lines {
    /// Takes bytes; gives each whole line, without its `\n`, to `take`.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.overlong || self.buffer.len() + line.len() > MAX_LINE {
                (self.overlong, self.buffer) = (false, Vec::new());
            } else if self.buffer.is_empty() {
                take(line);
            } else {
                self.buffer.extend_from_slice(line);
                take(&std::mem::take(&mut self.buffer));
            }
        }
        if self.overlong || self.buffer.len() + bytes.len() > MAX_LINE {
            (self.overlong, self.buffer) = (true, Vec::new());
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let stream = b"one\ntwo\r\n\nthree\nand";
        for size in 1..=stream.len() {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            for chunk in stream.chunks(size) {
                lines.feed(chunk, |line| seen.push(String::from_utf8_lossy(line).into_owned()));
            }
            assert_eq!(seen, ["one", "two\r", "", "three"], "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_costs_itself_and_no_memory() {
        for size in [7, 4096, 200_000] {
            let mut stream = vec![b'x'; 3 * MAX_LINE];
            stream.extend_from_slice(b"\nnext\n");
            stream.extend_from_slice(&[b'y'; MAX_LINE]);
            stream.extend_from_slice(b"\n");
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            for chunk in stream.chunks(size) {
                lines.feed(chunk, |line| seen.push(line.len()));
                assert!(lines.buffer.len() <= MAX_LINE);
            }
            assert_eq!(seen, [4, MAX_LINE], "in pieces of {size}");
        }
    }
}
