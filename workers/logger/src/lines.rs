//! Bytes in, lines out: pure.

/// The longest line, in bytes, its newline not counted. A longer one becomes several.
pub(crate) const MAX_LINE: usize = 8 << 10;

/// How many bytes of a window are to be taken: whole lines; of a line that is too long a piece; of an unfinished one
/// nothing, until it is `settled`: nothing was added to it for a while, so it may be a prompt, or the last word of
/// somebody who died.
pub(crate) fn takeable(window: &[u8], settled: bool) -> usize {
    match window.iter().rposition(|&byte| byte == b'\n') {
        Some(last) => last + 1,
        // Its end may be what comes next, and is no line of its own.
        None if window.len() > MAX_LINE + END.len() => piece(window),
        None if settled => window.len(),
        None => 0,
    }
}

/// The longest end of a line.
const END: &[u8] = b"\r\n";

/// The lines in what was taken, without their ends; none longer than [`MAX_LINE`].
pub(crate) fn lines(taken: &[u8]) -> impl Iterator<Item = &[u8]> {
    steps(taken).map(|(_, line)| line)
}

/// The same, each with the number of bytes that it takes there, its end counted.
pub(crate) fn steps(taken: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = taken;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        let (step, line) = if line.len() > MAX_LINE {
            let piece = piece(line);
            (piece, &line[..piece])
        } else {
            ((end + 1).min(rest.len()), line)
        };
        rest = &rest[step..];
        Some((step, line))
    })
}

/// The length of the first piece of a line that is too long: a character of UTF-8 stays whole.
fn piece(line: &[u8]) -> usize {
    let begins = |at: &usize| line[*at] & 0b1100_0000 != 0b1000_0000;
    (MAX_LINE - 3..=MAX_LINE).rev().find(begins).unwrap_or(MAX_LINE)
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
        let longest = "x".repeat(MAX_LINE);
        for end in ["\n", "\r\n"] {
            assert_eq!(takeable(format!("{longest}{}", end.trim_end_matches('\n')).as_bytes(), false), 0);
            assert_eq!(of(format!("{longest}{end}").as_bytes()), [longest.as_str()]);
        }
        assert_eq!(of(b""), [""; 0]);
        assert_eq!(of(b"\xff\n"), ["\u{fffd}"]);
    }

    #[test]
    fn no_character_is_cut_in_two() {
        let long = format!("x{}\n", "\u{e9}".repeat(MAX_LINE));
        let pieces = of(long.as_bytes());
        assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.len() <= MAX_LINE));
        assert_eq!(pieces.concat(), long.trim_end());
        assert_eq!(takeable(long.trim_end().as_bytes(), false), pieces[0].len());
        let bytes = [0x80; MAX_LINE + 3];
        assert_eq!(takeable(&bytes, false), MAX_LINE, "of what is no text, as much as there may be");
    }
}
