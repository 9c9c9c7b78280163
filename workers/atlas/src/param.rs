//! Names of parameters, as far as datagrams bring any that matter.

use crate::cursor::Cursor;
use crate::plain;
use crate::text::{Text, Units};
use crate::{INDICES, Kind, Malformed, MeterId};

/// What the value of a `param` key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Param {
    Meter(MeterId),
    /// A meter whose index is [`INDICES`] or more.
    OutOfRange,
    KeepAlive,
    Other,
}

impl Param {
    /// Steps over the value of a `param` key, around which `depth` arrays and objects are open.
    #[inline(always)]
    pub(crate) fn scan(cursor: &mut Cursor<'_>, depth: u32) -> Result<Param, Malformed> {
        if cursor.token() != b'"' {
            return cursor.skip_value(depth).map(|()| Param::Other);
        }
        match scan_plain(cursor) {
            Some(meter) => Ok(Param::Meter(meter)),
            None => cursor.string().map(from_text),
        }
    }
}

/// Steps over a meter's name as processors write it, or over nothing: no end is searched for, nothing is decoded.
#[inline(always)]
fn scan_plain(cursor: &mut Cursor<'_>) -> Option<MeterId> {
    let (meter, rest) = plain::scan_meter(cursor.rest)?;
    cursor.rest = rest;
    Some(meter)
}

/// What any string names, however it is written.
#[cold]
fn from_text(text: Text<'_>) -> Param {
    for kind in Kind::ALL {
        let mut units: Units<'_> = text.units();
        let mut prefix = kind.meter_name().bytes().chain([b'_']).map(u16::from);
        if prefix.all(|unit| units.next() == Some(unit)) {
            return meter(kind, units);
        }
    }
    if text.is("KeepAlive") { Param::KeepAlive } else { Param::Other }
}

/// The meter with this index, which is decimal, without sign or leading zeros.
fn meter(kind: Kind, index: impl Iterator<Item = u16>) -> Param {
    const ZERO: u16 = b'0' as u16;
    const NINE: u16 = b'9' as u16;
    let mut value: Option<u32> = None;
    for unit in index {
        value = match (value, unit) {
            (Some(0), _) => return Param::Other,
            (before, ZERO..=NINE) => {
                Some(before.unwrap_or(0).saturating_mul(10).saturating_add(u32::from(unit - ZERO)))
            }
            (_, _) => return Param::Other,
        };
    }
    match value {
        None => Param::Other,
        Some(value) if value as usize >= INDICES => Param::OutOfRange,
        Some(value) => Param::Meter(MeterId { kind, index: value as u8 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(written: &str) -> Param {
        let quoted = format!("\"{written}\"");
        let mut cursor = Cursor::new(quoted.as_bytes());
        let param = Param::scan(&mut cursor, 0).expect("a valid string");
        assert!(cursor.is_at_end());
        param
    }

    fn named(kind: Kind, index: u8) -> Param {
        Param::Meter(MeterId { kind, index })
    }

    #[test]
    fn names_mean_what_they_say_however_they_are_escaped() {
        let table = [
            ("ZoneMeter_0", named(Kind::Zone, 0)),
            ("SourceMeter_13", named(Kind::Source, 13)),
            ("MixMeter_14", named(Kind::Mix, 14)),
            ("GroupMeter_63", named(Kind::Group, 63)),
            ("ZoneMeter_64", Param::OutOfRange),
            ("ZoneMeter_256", Param::OutOfRange),
            ("ZoneMeter_4294967296", Param::OutOfRange),
            ("ZoneMeter_99999999999999999999999999", Param::OutOfRange),
            ("ZoneMeter_99999999999999999999999999x", Param::Other),
            ("ZoneMeter_00", Param::Other),
            ("ZoneMeter_01", Param::Other),
            ("ZoneMeter_064", Param::Other),
            ("ZoneMeter_", Param::Other),
            ("ZoneMeter", Param::Other),
            ("ZoneMeter_-1", Param::Other),
            ("ZoneMeter_+1", Param::Other),
            ("ZoneMeter_1 ", Param::Other),
            (" ZoneMeter_1", Param::Other),
            ("ZoneMeter_1.0", Param::Other),
            ("ZoneMeter_1:", Param::Other),
            ("ZoneMeter_1/", Param::Other),
            ("ZoneMeter_é", Param::Other),
            ("ZoneMeter_\u{661}", Param::Other),
            ("zoneMeter_1", Param::Other),
            ("ZoneGain_1", Param::Other),
            ("Mix_14_SourceMeter_0", Param::Other),
            ("KeepAlive", Param::KeepAlive),
            ("KeepAlive_0", Param::Other),
            ("keepalive", Param::Other),
            ("", Param::Other),
        ];
        for (name, meaning) in table {
            assert_eq!(param(name), meaning, "{name:?}");
            let escaped: String = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            assert_eq!(param(&escaped), meaning, "{name:?} written {escaped:?}");
            let mixed: String = name.chars().take(1).chain("\\u0000".chars()).collect();
            assert_eq!(param(&mixed), Param::Other);
        }
        assert_eq!(param(r"ZoneMeter\u005F0"), named(Kind::Zone, 0));
        assert_eq!(param(r"ZoneMeter_\u0030"), named(Kind::Zone, 0));
        assert_eq!(param(r"ZoneMeter\/0"), Param::Other);
        assert_eq!(param(r"ZoneMeter_1\n"), Param::Other);
    }
}
