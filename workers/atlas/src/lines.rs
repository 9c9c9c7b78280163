//! From the bytes of a connection to its lines, however they are cut.

/// The longest line that is taken, in bytes: an answer about 256 parameters, which is more than we ask for, has 16 KiB. A
/// command of 11 092 was seen to work; nobody knows where a real processor ends.
pub const MAX_LINE: usize = 64 * 1024;

/// A line was longer than [`MAX_LINE`]; it is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// The beginning of a line whose end has not come yet; never longer than [`MAX_LINE`].
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
    /// The line under way is too long: it is passed over up to its end.
    skipping: bool,
}

impl Lines {
    /// The next line of what came, without its end; None once all of it is taken.
    pub fn take(&mut self, bytes: &mut &[u8]) -> Option<Result<Vec<u8>, TooLong>> {
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
            self.keep(bytes);
            *bytes = &[];
            return None;
        };
        self.keep(&bytes[..end]);
        *bytes = &bytes[end + 1..];
        let line = std::mem::take(&mut self.begun);
        Some(if std::mem::take(&mut self.skipping) { Err(TooLong) } else { Ok(line) })
    }

    /// How many bytes are kept.
    #[must_use]
    pub fn held(&self) -> usize {
        self.begun.capacity()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skipping || self.begun.len() + bytes.len() > MAX_LINE {
            self.skipping = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &mut Lines, mut bytes: &[u8]) -> Vec<Result<Vec<u8>, TooLong>> {
        std::iter::from_fn(|| lines.take(&mut bytes)).collect()
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let text = b"one\ntwo\r\n\nthree\nfo";
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            let found: Vec<_> = text.chunks(size).flat_map(|chunk| all(&mut lines, chunk)).collect();
            let expected: [&[u8]; 4] = [b"one", b"two\r", b"", b"three"];
            assert_eq!(found, expected.map(|line| Ok(line.to_vec())), "in pieces of {size}");
            assert_eq!(all(&mut lines, b"ur\n"), [Ok(b"four".to_vec())]);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_not_kept() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            assert_eq!(all(&mut lines, &[b'x'; 10_000]), []);
            assert!(lines.held() <= 2 * MAX_LINE);
        }
        assert_eq!(all(&mut lines, b"y\nz\n"), [Err(TooLong), Ok(b"z".to_vec())]);
        let longest = [b'x'; MAX_LINE];
        assert_eq!(all(&mut lines, &longest), []);
        assert_eq!(all(&mut lines, b"\n"), [Ok(longest.to_vec())]);
    }
}
