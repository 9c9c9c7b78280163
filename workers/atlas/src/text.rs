//! Strings: finding their end, checking them, comparing them with names without decoding them.

use crate::Malformed;
use crate::cursor::Cursor;

/// A valid JSON string, still as it was written, without its quotes.
#[derive(Clone, Copy)]
pub(crate) struct Text<'d> {
    raw: &'d [u8],
    escaped: bool,
}

impl<'d> Text<'d> {
    /// The bytes, if they mean themselves: no escape is among them.
    #[inline(always)]
    pub(crate) fn plain(&self) -> Option<&'d [u8]> {
        (!self.escaped).then_some(self.raw)
    }

    /// The characters as far as they matter here: an ASCII character is itself, any other is at least 0x80.
    pub(crate) fn units(self) -> Units<'d> {
        Units { raw: self.raw }
    }

    /// Whether this is `name`, which is ASCII, however it is written.
    #[inline(always)]
    pub(crate) fn is(&self, name: &str) -> bool {
        match self.plain() {
            Some(plain) => plain == name.as_bytes(),
            None => self.units().eq(name.bytes().map(u16::from)),
        }
    }
}

/// See [`Text::units`]: bytes as they stand, and the values of escapes. Bytes above ASCII and halves of surrogate
/// pairs come one by one: no name has any.
pub(crate) struct Units<'d> {
    /// The rest of a valid string: every backslash has its complete escape behind it.
    raw: &'d [u8],
}

impl Iterator for Units<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let (unit, rest) = match *self.raw {
            [] => return None,
            [b'\\', b'u', a, b, c, d, ref rest @ ..] => (hex([a, b, c, d]).unwrap_or(u16::MAX), rest),
            [b'\\', letter, ref rest @ ..] => (unescape(letter).map_or(u16::MAX, u16::from), rest),
            [byte, ref rest @ ..] => (u16::from(byte), rest),
        };
        self.raw = rest;
        Some(unit)
    }
}

/// Steps over the rest of a string whose opening quote was just passed.
#[inline(always)]
pub(crate) fn scan<'d>(cursor: &mut Cursor<'d>) -> Result<Text<'d>, Malformed> {
    let start = cursor.rest;
    let mut escaped = false;
    let mut ascii = true;
    loop {
        ascii &= skip_ordinary(cursor);
        match cursor.peek() {
            b'"' => break,
            b'\\' => {
                escaped = true;
                scan_escape(cursor)?;
            }
            // A control character, or the end of the datagram.
            _ => return Err(Malformed::Json),
        }
    }
    let raw = cursor.since(start);
    cursor.step(1);
    // Escapes are ASCII, so the string is UTF-8 exactly if it is so as it was written.
    if !ascii && str::from_utf8(raw).is_err() {
        return Err(Malformed::Json);
    }
    Ok(Text { raw, escaped })
}

/// Steps to the next quote, backslash or control character, or to the end. Says false if what it saw, a few bytes
/// more than it stepped over, was not all ASCII.
#[inline(always)]
fn skip_ordinary(cursor: &mut Cursor<'_>) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES << 7;
    let mut seen = 0;
    while let Some(&eight) = cursor.rest.first_chunk::<8>() {
        let word = u64::from_le_bytes(eight);
        seen |= word;
        // Subtracting sets the top bit of a byte that was smaller: the lowest such bit is exact, those above it may
        // come from a borrow.
        let control = word.wrapping_sub(ONES * 0x20);
        let quote = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
        let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let stop = (control | quote | backslash) & !word & TOPS;
        if stop != 0 {
            cursor.step((stop.trailing_zeros() / 8) as usize);
            return seen & TOPS == 0;
        }
        cursor.step(8);
    }
    while let Some(&byte) = cursor.rest.first() {
        seen |= u64::from(byte);
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            break;
        }
        cursor.step(1);
    }
    seen & TOPS == 0
}

/// Steps over one escape, or over the two of a surrogate pair; the cursor is at its backslash.
#[cold]
fn scan_escape(cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    match *cursor.rest {
        [b'\\', b'u', a, b, c, d, ref rest @ ..] => match hex([a, b, c, d]) {
            // The first half of a pair: the second must follow.
            Some(0xD800..=0xDBFF) => match *rest {
                [b'\\', b'u', a, b, c, d, ..] if matches!(hex([a, b, c, d]), Some(0xDC00..=0xDFFF)) => {
                    cursor.step(12);
                    Ok(())
                }
                _ => Err(Malformed::Json),
            },
            Some(0xDC00..=0xDFFF) | None => Err(Malformed::Json),
            Some(_) => {
                cursor.step(6);
                Ok(())
            }
        },
        [b'\\', letter, ..] if unescape(letter).is_some() => {
            cursor.step(2);
            Ok(())
        }
        _ => Err(Malformed::Json),
    }
}

/// What a backslash and this letter stand for.
fn unescape(letter: u8) -> Option<u8> {
    match letter {
        b'"' | b'\\' | b'/' => Some(letter),
        b'b' => Some(0x08),
        b'f' => Some(0x0C),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        _ => None,
    }
}

fn hex(digits: [u8; 4]) -> Option<u16> {
    digits.into_iter().try_fold(0, |value, digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(value << 4 | digit as u16)
    })
}
