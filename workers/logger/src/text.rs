//! Lines that are to be written, and what is missing if they are not. Pure.

/// Whole lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    pub(crate) bytes: Vec<u8>,
    /// Where each line ends that tells of others which were left out, and how many those are.
    tellers: Vec<(usize, u64)>,
}

impl Text {
    /// Lines none of which tells of others.
    #[cfg(test)]
    pub(crate) fn of(lines: &str) -> Text {
        Text { bytes: lines.into(), tellers: Vec::new() }
    }

    /// The line that was appended last tells of so many others.
    pub(crate) fn note_teller(&mut self, number: u64) {
        self.tellers.push((self.bytes.len(), number));
    }

    /// How many lines nobody hears of if nothing is written from `at` on: those there, and those they would have told of.
    pub(crate) fn missing_from(&self, at: usize) -> u64 {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let lines = rest.iter().filter(|&&byte| byte == b'\n').count() as u64;
        // Who tells of others is no line of anybody's.
        let told = self.tellers.iter().filter(|(end, _)| *end > at);
        told.fold(lines, |sum, (_, number)| sum.saturating_sub(1) + number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_tells_of_others_stands_for_them() {
        let mut text = Text::of("one\ntwo\n");
        text.bytes.extend_from_slice(b"7 left out\n");
        text.note_teller(7);
        text.bytes.extend_from_slice(b"ten\n");
        assert_eq!([0, 4, 8, 19, 23, 99].map(|at| text.missing_from(at)), [10, 9, 8, 1, 0, 0]);
    }
}
