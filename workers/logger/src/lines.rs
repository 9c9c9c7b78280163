//! Bytes in, lines out: pure.

/// The longest line, in bytes, its newline not counted. A longer one becomes several.
pub(crate) const MAX_LINE: usize = 8 << 10;

/// How many bytes of a window are to be taken: whole lines; of a line that is too long a piece; of an unfinished one
/// nothing, until it is `settled`: nothing was added to it for a while, so it may be a prompt, or the last word of
/// somebody who died.
pub(crate) fn takeable(window: &[u8], settled: bool) -> usize {
    match window.iter().rposition(|&byte| byte == b'\n') {
        Some(last) => last + 1,
        None if window.len() >= MAX_LINE => MAX_LINE,
        None if settled => window.len(),
        None => 0,
    }
}

/// The lines in what was taken, without their ends; none longer than [`MAX_LINE`].
pub(crate) fn lines(taken: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = taken.strip_suffix(b"\n").unwrap_or(taken);
    let whole = (!taken.is_empty()).then_some(whole);
    whole.into_iter().flat_map(|whole| whole.split(|&byte| byte == b'\n')).flat_map(pieces)
}

fn pieces(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let empty = line.is_empty().then_some(line);
    empty.into_iter().chain(line.chunks(MAX_LINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &[u8]) -> Vec<String> {
        lines(text).map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    #[test]
    fn whole_lines_are_taken_and_an_unfinished_one_waits_until_it_is_settled() {
        for (window, settled, taken) in [
            (&b""[..], false, 0),
            (b"", true, 0),
            (b"half", false, 0),
            (b"half", true, 4),
            (b"one\n", false, 4),
            (b"one\ntwo\nha", false, 8),
            (b"one\ntwo\nha", true, 8),
            (b"\n", false, 1),
        ] {
            assert_eq!(takeable(window, settled), taken, "{window:?} {settled}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_goes_in_pieces_and_nothing_of_it_is_lost() {
        let long = vec![b'x'; 2 * MAX_LINE + 7];
        assert_eq!(takeable(&long, false), MAX_LINE);
        assert_eq!(takeable(&long[..MAX_LINE - 1], false), 0);
        let ended = [&long[..], b"\nend\n"].concat();
        assert_eq!(takeable(&ended, false), ended.len());
        assert_eq!(lines(&ended).map(<[u8]>::len).collect::<Vec<_>>(), [MAX_LINE, MAX_LINE, 7, 3]);
    }

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        assert_eq!(of(b"one\ntwo\r\n\n three\n"), ["one", "two", "", " three"]);
        assert_eq!(of(b"settled"), ["settled"]);
        assert_eq!(of(b"\n"), [""]);
        assert_eq!(of(b""), [""; 0]);
        assert_eq!(of(b"\xff\n"), ["\u{fffd}"]);
    }
}
