//! Updates in the manual's form, to the letter: nothing is searched for, so nothing else is understood.
//!
//! ```text
//! {"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneMeter_0","val":-23.5},{"param":…,"val":…}]}
//! {"jsonrpc":"2.0","method":"update","params":{"param":"ZoneMeter_0","val":-23.5}}
//! ```
//! As good as every datagram of a processor is one. Of any other this says nothing, and the general parser decides; what
//! this takes, that one would take for the same (tests hold the two together).

use crate::cursor::Cursor;
use crate::number;
use crate::{CentiDb, Kind, MeterId, Reading};

const HEAD: &[u8] = br#"{"jsonrpc":"2.0","method":"update","params":"#;

/// Reads `datagram` into `readings`, and says how many there are; None, and nonsense in `readings`, if it is not of that
/// form, or names a meter twice.
pub(crate) fn scan(datagram: &[u8], readings: &mut [Reading]) -> Option<usize> {
    let rest = datagram.strip_prefix(HEAD)?;
    let Some(mut rest) = rest.strip_prefix(b"[") else {
        let (reading, end) = scan_entry(rest)?;
        *readings.first_mut()? = reading;
        return is_end(end).then_some(1);
    };
    let mut seen = [0_u64; Kind::ALL.len()];
    let mut len = 0;
    loop {
        let (reading, behind) = scan_entry(rest)?;
        let (of_kind, bit) = (&mut seen[reading.meter.kind as usize], 1 << reading.meter.index);
        if *of_kind & bit != 0 {
            return None;
        }
        *of_kind |= bit;
        *readings.get_mut(len)? = reading;
        len += 1;
        match *behind {
            [b',', ref more @ ..] => rest = more,
            [b']', ref end @ ..] => return is_end(end).then_some(len),
            _ => return None,
        }
    }
}

/// Whether nothing follows but the end of the message, and of a line.
fn is_end(rest: &[u8]) -> bool {
    matches!(rest, b"}" | b"}\n" | b"}\r\n")
}

/// One entry and what stands behind it.
#[inline(always)]
fn scan_entry(rest: &[u8]) -> Option<(Reading, &[u8])> {
    let (meter, rest) = scan_meter(rest.strip_prefix(br#"{"param":"#)?)?;
    let (level, rest) = scan_level(rest.strip_prefix(br#","val":"#)?)?;
    Some((Reading { meter, level }, rest.strip_prefix(b"}")?))
}

/// A meter's name in its quotes, and what stands behind it.
#[inline(always)]
pub(crate) fn scan_meter(rest: &[u8]) -> Option<(MeterId, &[u8])> {
    // The first letter decides.
    let (kind, rest) = match rest.get(1)? {
        b'Z' => (Kind::Zone, rest.strip_prefix(b"\"ZoneMeter_")?),
        b'S' => (Kind::Source, rest.strip_prefix(b"\"SourceMeter_")?),
        b'M' => (Kind::Mix, rest.strip_prefix(b"\"MixMeter_")?),
        _ => (Kind::Group, rest.strip_prefix(b"\"GroupMeter_")?),
    };
    let (index, rest) = match *rest {
        [ones @ b'0'..=b'9', b'"', ref rest @ ..] => (ones - b'0', rest),
        [tens @ b'1'..=b'6', ones @ b'0'..=b'9', b'"', ref rest @ ..] => {
            (10 * (tens - b'0') + ones - b'0', rest)
        }
        _ => return None,
    };
    (usize::from(index) < crate::INDICES).then_some((MeterId { kind, index }, rest))
}

/// A level and what stands behind it.
#[inline(always)]
fn scan_level(bytes: &[u8]) -> Option<(CentiDb, &[u8])> {
    let (level, rest) = scan_short(bytes)?;
    if rest.first() == Some(&b'}') {
        return Some((level, rest));
    }
    scan_long(bytes)
}

/// A level with more digits than [`scan_short`] reads, or with an exponent.
#[cold]
#[inline(never)]
fn scan_long(bytes: &[u8]) -> Option<(CentiDb, &[u8])> {
    let mut cursor = Cursor::new(bytes);
    let db = number::scan(&mut cursor).ok()?;
    Some((CentiDb::from_db(db), cursor.rest))
}

/// As much of a level as two digits before the point and two behind it say.
#[inline(always)]
fn scan_short(bytes: &[u8]) -> Option<(CentiDb, &[u8])> {
    let digit = |byte: u8| i16::from(byte - b'0');
    let (sign, bytes) = match *bytes {
        [b'-', ref rest @ ..] => (-1, rest),
        _ => (1, bytes),
    };
    let (whole, bytes) = match *bytes {
        [tens @ b'1'..=b'9', ones @ b'0'..=b'9', ref rest @ ..] => (10 * digit(tens) + digit(ones), rest),
        [ones @ b'0'..=b'9', ref rest @ ..] => (digit(ones), rest),
        _ => return None,
    };
    let (part, rest) = match *bytes {
        [b'.', tenths @ b'0'..=b'9', hundredths @ b'0'..=b'9', ref rest @ ..] => {
            (10 * digit(tenths) + digit(hundredths), rest)
        }
        [b'.', tenths @ b'0'..=b'9', ref rest @ ..] => (10 * digit(tenths), rest),
        _ => (0, bytes),
    };
    Some((CentiDb(sign * (100 * whole + part)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Malformed, Parsed, Parser, message};
    use proptest::prelude::*;

    /// What the general parser says, and what this does: the latter takes nothing that the former would not.
    #[track_caller]
    fn agree(datagram: &[u8]) -> Option<Vec<Reading>> {
        let mut parser = Parser::new();
        let mut readings = parser.readings;
        let plain = scan(datagram, &mut readings).map(|len| readings[..len].to_vec());
        let general: Result<Parsed<'_>, Malformed> = parser.parse_any(datagram);
        if let Some(readings) = &plain {
            let same = Parsed { class: Class::Meter, readings, index_out_of_range: false };
            assert_eq!(general, Ok(same), "{}", datagram.escape_ascii());
        }
        plain
    }

    fn zone(index: &str, level: &str) -> Vec<u8> {
        let entry = format!(r#"{{"param":"ZoneMeter_{index}","val":{level}}}"#);
        [HEAD, b"[", entry.as_bytes(), b"]}"].concat()
    }

    fn one(level: &str) -> Vec<u8> {
        zone("17", level)
    }

    #[test]
    fn what_a_processor_writes_is_taken() {
        for kind in Kind::ALL {
            let levels: Vec<_> =
                (0..64).map(|index| (MeterId { kind, index }, CentiDb(-127 * i16::from(index)))).collect();
            let datagram = message::update(&levels);
            for end in ["", "\n", "\r\n"] {
                let taken = agree(format!("{datagram}{end}").as_bytes()).expect("the manual's form");
                let expected: Vec<_> =
                    levels.iter().map(|&(meter, level)| Reading { meter, level }).collect();
                assert_eq!(taken, expected);
                let object = message::update(&levels[17..18]).replace(['[', ']'], "");
                assert_eq!(agree(format!("{object}{end}").as_bytes()).as_deref(), Some(&expected[17..18]));
            }
        }
    }

    #[test]
    fn every_level_of_two_digits_behind_the_point_is_what_the_general_parser_makes_of_it() {
        for centi in -10_100..=10_100_i32 {
            let (sign, centi) = (if centi < 0 { "-" } else { "" }, centi.abs());
            let (whole, part) = (centi / 100, centi % 100);
            for level in [
                format!("{sign}{whole}.{part:02}"),
                format!("{sign}{whole}.{}", part / 10),
                format!("{sign}{whole}"),
            ] {
                assert!(agree(&one(&level)).is_some(), "{level}");
            }
        }
        for level in ["-0", "-0.0", "-23.456789", "-1e1", "-2.35E+1", "327.68", "-1e308", "0.005"] {
            assert!(agree(&one(level)).is_some(), "{level}");
        }
        for level in ["-", "01", "-00.5", "1.", ".5", "1e999", "+1", "1.2.3", "\"x\"", "null", "1 "] {
            assert!(agree(&one(level)).is_none(), "{level}");
        }
    }

    #[test]
    fn what_the_general_parser_must_see_is_left_to_it() {
        let (head, entry) = (str::from_utf8(HEAD).expect("text"), r#"{"param":"ZoneMeter_1","val":-1}"#);
        for datagram in [
            String::new(),
            format!("{head}[]}}"),
            format!("{head}[{entry},{entry}]}}"),
            format!("{head}[{entry}]}}\n\n"),
            format!("{head}[{entry}]}}{head}[{entry}]}}"),
            format!("{head}[{entry},]}}"),
            format!("{head}{entry}]}}"),
            format!("{head}[{entry}}}"),
            format!("{head}{entry},{entry}}}"),
        ] {
            assert_eq!(agree(datagram.as_bytes()), None, "{datagram}");
        }
        for index in ["64", "70", "100", "07", ""] {
            assert_eq!(agree(&zone(index, "-1")), None, "{index}");
        }
    }

    #[test]
    fn every_byte_in_every_place_cut_off_left_out_changed_and_put_in() {
        let object = one("-23.5").iter().copied().filter(|byte| !b"[]".contains(byte)).collect();
        for whole in [one("-23.5"), object] {
            damage_everywhere(&whole);
        }
    }

    fn damage_everywhere(whole: &[u8]) {
        for at in 0..whole.len() {
            agree(&whole[..at]);
            agree(&whole[at..]);
            let mut without = whole.to_vec();
            without.remove(at);
            agree(&without);
            for byte in 0..=255 {
                let (mut changed, mut longer) = (whole.to_vec(), whole.to_vec());
                changed[at] = byte;
                agree(&changed);
                longer.insert(at, byte);
                agree(&longer);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn damaged_updates_mean_what_the_general_parser_says(
            levels in prop::collection::vec((0..4_usize, 0..70_u8, "-?[0-9]{1,3}(\\.[0-9]{0,4})?"), 0..5),
            damage in prop::collection::vec((any::<prop::sample::Index>(), 0..3, any::<u8>()), 0..3),
        ) {
            let entries: Vec<_> = levels
                .iter()
                .map(|(kind, index, level)| {
                    format!(r#"{{"param":"{}_{index}","val":{level}}}"#, Kind::ALL[*kind].meter_name())
                })
                .collect();
            let mut datagram = [HEAD, b"[", entries.join(",").as_bytes(), b"]}"].concat();
            for (at, how, byte) in damage {
                let at = at.index(datagram.len());
                match how {
                    0 => datagram[at] = byte,
                    1 => datagram.insert(at, datagram[usize::from(byte) % datagram.len()]),
                    _ => drop(datagram.remove(at)),
                }
            }
            agree(&datagram);
        }
    }
}
