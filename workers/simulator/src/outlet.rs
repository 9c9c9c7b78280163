//! What is yet to be written to a connection: bounded, and shaped by the faults that go on. Pure; told the time.

use std::collections::VecDeque;
use std::time::Duration;

/// The most bytes that wait for one connection: then its client does not read, and it is closed.
pub const MAX_WAITING: usize = 1024 * 1024;
/// How late everything comes while [`Manner::slow`].
pub const SLOW: Duration = Duration::from_secs(2);
/// What is held back while [`Manner::glued`] is let go this often.
pub const GLUE: Duration = Duration::from_millis(50);
/// Between two pieces while [`Manner::split`].
const BETWEEN_PIECES: Duration = Duration::from_millis(1);
/// How long the pieces are, one after the other, again and again: within a word, a number, a character.
const PIECES: [usize; 5] = [1, 7, 2, 61, 509];
/// The last bytes of what is glued stay behind for the next time.
const STAYS_BEHIND: usize = 9;

/// How lines go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Late.
    pub slow: bool,
    /// In small pieces.
    pub split: bool,
    /// Many at once, not cut at their ends.
    pub glued: bool,
    /// Ended by `\r\n`.
    pub crlf: bool,
}

/// Bytes that go out in one write, not before `due`.
#[derive(Debug)]
struct Piece {
    due: Duration,
    bytes: Vec<u8>,
}

/// The queue of one connection.
#[derive(Debug, Default)]
pub struct Outlet {
    pieces: VecDeque<Piece>,
    waiting: usize,
    /// Pieces cut so far; says how long the next one is.
    cut: usize,
}

/// More waits than [`MAX_WAITING`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl Outlet {
    /// Appends a line; its end is added.
    ///
    /// # Errors
    /// When too much waits; nothing is appended then.
    pub fn push_line(&mut self, now: Duration, line: &str, manner: Manner) -> Result<(), Overflow> {
        let mut bytes = Vec::with_capacity(line.len() + 2);
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(if manner.crlf { b"\r\n" } else { b"\n" });
        self.push(now, bytes, manner)
    }

    /// Appends bytes as they are.
    ///
    /// # Errors
    /// When too much waits; nothing is appended then.
    pub fn push(&mut self, now: Duration, bytes: Vec<u8>, manner: Manner) -> Result<(), Overflow> {
        if self.waiting + bytes.len() > MAX_WAITING {
            return Err(Overflow);
        }
        self.waiting += bytes.len();
        let due = if manner.slow { now + SLOW } else { now };
        // Nothing overtakes what waits before it.
        let last = self.pieces.back().map_or(due, |last| last.due);
        match manner {
            Manner { split: true, .. } => self.push_split(due.max(last), &bytes),
            Manner { glued: true, .. } => self.push_glued(due, last, bytes),
            Manner { split: false, glued: false, .. } => {
                self.pieces.push_back(Piece { due: due.max(last), bytes });
            }
        }
        Ok(())
    }

    /// What may be written now, in one write.
    #[must_use]
    pub fn next(&self, now: Duration) -> Option<&[u8]> {
        self.pieces.front().filter(|piece| piece.due <= now).map(|piece| piece.bytes.as_slice())
    }

    /// So many bytes of [`next`](Outlet::next) were written.
    pub fn written(&mut self, bytes: usize) {
        let Some(front) = self.pieces.front_mut() else { return };
        let bytes = bytes.min(front.bytes.len());
        self.waiting -= bytes;
        front.bytes.drain(..bytes);
        if front.bytes.is_empty() {
            self.pieces.pop_front();
        }
    }

    /// When there is something to write next; it may lie behind.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        self.pieces.front().map(|piece| piece.due)
    }

    /// How many bytes wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    fn push_split(&mut self, mut due: Duration, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(PIECES[self.cut % PIECES.len()].min(bytes.len()));
            due += BETWEEN_PIECES;
            self.pieces.push_back(Piece { due, bytes: piece.to_vec() });
            self.cut += 1;
            bytes = rest;
        }
    }

    /// Joins what is due at the next moment of letting go; the end of it waits for the moment after that.
    fn push_glued(&mut self, due: Duration, last: Duration, mut bytes: Vec<u8>) {
        let moment = |due: Duration| GLUE * (due.as_nanos() / GLUE.as_nanos() + 1) as u32;
        // What was glued before ends at most one moment later than this.
        let this = if last > moment(due) + GLUE { moment(last) } else { moment(due) };
        let behind = this + GLUE;
        if self.pieces.back().is_some_and(|last| last.due == behind)
            && let Some(mut tail) = self.pieces.pop_back()
        {
            tail.bytes.append(&mut bytes);
            bytes = tail.bytes;
        }
        let tail = bytes.split_off(bytes.len().saturating_sub(STAYS_BEHIND));
        match self.pieces.back_mut() {
            Some(last) if last.due == this => last.bytes.append(&mut bytes),
            Some(_) | None if bytes.is_empty() => {}
            Some(_) | None => self.pieces.push_back(Piece { due: this, bytes }),
        }
        self.pieces.push_back(Piece { due: behind, bytes: tail });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Manner = Manner { slow: false, split: false, glued: false, crlf: false };

    /// Everything, as it would go out: each write with its moment in milliseconds.
    fn writes(outlet: &mut Outlet) -> Vec<(u128, Vec<u8>)> {
        let mut writes = Vec::new();
        while let Some(due) = outlet.due() {
            let bytes = outlet.next(due).expect("what is due can be written").to_vec();
            outlet.written(bytes.len());
            writes.push((due.as_millis(), bytes));
        }
        assert_eq!(outlet.waiting(), 0);
        writes
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn lines_go_out_one_by_one_and_late_ones_are_overtaken_by_none() {
        let mut outlet = Outlet::default();
        outlet.push_line(at(0), "one", PLAIN).unwrap();
        outlet.push_line(at(1), "two", Manner { slow: true, ..PLAIN }).unwrap();
        outlet.push_line(at(2), "three", Manner { crlf: true, ..PLAIN }).unwrap();
        assert_eq!(outlet.next(at(1)), Some(&b"one\n"[..]));
        outlet.written(2);
        assert_eq!(outlet.next(at(1)), Some(&b"e\n"[..]));
        let expected: [(u128, &[u8]); 3] = [(0, b"e\n"), (2001, b"two\n"), (2001, b"three\r\n")];
        assert_eq!(writes(&mut outlet), expected.map(|(ms, bytes)| (ms, bytes.to_vec())));
    }

    #[test]
    fn split_lines_come_in_pieces_and_whole_in_the_end() {
        let mut outlet = Outlet::default();
        let line = "x".repeat(700);
        outlet.push_line(at(5), &line, Manner { split: true, ..PLAIN }).unwrap();
        let writes = writes(&mut outlet);
        let sizes: Vec<_> = writes.iter().map(|(_, bytes)| bytes.len()).collect();
        assert_eq!(sizes, [1, 7, 2, 61, 509, 1, 7, 2, 61, 50]);
        assert!(writes.windows(2).all(|pair| pair[0].0 < pair[1].0), "no two at once");
        assert_eq!(joined(&writes), format!("{line}\n").into_bytes());
    }

    fn joined(writes: &[(u128, Vec<u8>)]) -> Vec<u8> {
        writes.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    #[test]
    fn glued_lines_come_together_and_are_cut_elsewhere() {
        let mut outlet = Outlet::default();
        let glued = Manner { glued: true, ..PLAIN };
        let mut text = String::new();
        for (ms, line) in
            [(10, "the first line"), (20, "the second line"), (30, "x"), (70, "the fourth line")]
        {
            outlet.push_line(at(ms), line, glued).unwrap();
            text.push_str(line);
            text.push('\n');
        }
        let writes = writes(&mut outlet);
        assert_eq!(joined(&writes), text.into_bytes());
        assert_eq!(writes[0], (50, b"the first line\nthe secon".to_vec()));
        assert!(writes.len() == 3 && writes[1].0 == 100 && writes[2].0 == 150, "{writes:?}");
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut outlet = Outlet::default();
        let line = "x".repeat(1000);
        let taken = (0..).take_while(|_| outlet.push_line(at(0), &line, PLAIN).is_ok()).count();
        assert_eq!(taken, MAX_WAITING / 1001);
        assert!(outlet.waiting() <= MAX_WAITING);
        let empty: (usize, Option<&[u8]>) = (0, None);
        assert_eq!((Outlet::default().waiting(), Outlet::default().next(at(0))), empty);
    }
}
