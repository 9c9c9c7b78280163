//! Numbers: their grammar, and the `f64` nearest to them.

use crate::Malformed;
use crate::cursor::Cursor;

/// Powers of ten that an `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// So many digits always fit a `u64`.
const MAX_DIGITS: usize = 19;

/// Integers up to here are exact in an `f64`.
const MAX_EXACT: u64 = 1 << 53;

/// Steps over a number, whose first byte is a digit or a minus sign, and returns the `f64` nearest to it.
#[inline(always)]
pub(crate) fn scan(cursor: &mut Cursor<'_>) -> Result<f64, Malformed> {
    let start = cursor.rest;
    let negative = cursor.peek() == b'-';
    if negative {
        cursor.step(1);
    }
    // Meaningless once there are more than MAX_DIGITS digits; not used then.
    let mut mantissa = 0_u64;
    let leading_zero = cursor.peek() == b'0';
    let mut digits = scan_digits(cursor, &mut mantissa)?;
    if leading_zero && digits > 1 {
        return Err(Malformed::Json);
    }
    let mut exponent = 0_i32;
    if cursor.peek() == b'.' {
        cursor.step(1);
        let decimals = scan_digits(cursor, &mut mantissa)?;
        digits += decimals;
        exponent = -(decimals as i32);
    }
    if matches!(cursor.peek(), b'e' | b'E') {
        cursor.step(1);
        exponent = exponent.saturating_add(scan_exponent(cursor)?);
    }
    match POWERS.get(exponent.unsigned_abs() as usize) {
        // Both operands are exact, so the one rounding of the product or quotient is the correct one.
        Some(power) if digits <= MAX_DIGITS && mantissa <= MAX_EXACT => {
            let magnitude = mantissa as f64;
            let magnitude = if exponent < 0 { magnitude / power } else { magnitude * power };
            Ok(if negative { -magnitude } else { magnitude })
        }
        _ => slow(cursor.since(start)),
    }
}

/// Steps over at least one digit; returns how many there were.
#[inline(always)]
fn scan_digits(cursor: &mut Cursor<'_>, mantissa: &mut u64) -> Result<usize, Malformed> {
    let start = cursor.rest.len();
    while let digit @ b'0'..=b'9' = cursor.peek() {
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        cursor.step(1);
    }
    match start - cursor.rest.len() {
        0 => Err(Malformed::Json),
        digits => Ok(digits),
    }
}

/// Steps over an exponent behind its `e`; one beyond any meaning is as large as an `i32` can be.
#[inline(always)]
fn scan_exponent(cursor: &mut Cursor<'_>) -> Result<i32, Malformed> {
    let sign = cursor.peek();
    if matches!(sign, b'+' | b'-') {
        cursor.step(1);
    }
    let start = cursor.rest.len();
    let mut exponent = 0_i32;
    while let digit @ b'0'..=b'9' = cursor.peek() {
        exponent = exponent.saturating_mul(10).saturating_add(i32::from(digit - b'0'));
        cursor.step(1);
    }
    match (start - cursor.rest.len(), sign) {
        (0, _) => Err(Malformed::Json),
        (_, b'-') => Ok(-exponent),
        (_, _) => Ok(exponent),
    }
}

/// The `f64` nearest to a number of JSON's grammar, however long.
#[cold]
fn slow(number: &[u8]) -> Result<f64, Malformed> {
    let value = str::from_utf8(number).ok().and_then(|number| number.parse::<f64>().ok());
    match value {
        Some(value) if value.is_finite() => Ok(value),
        Some(_) => Err(Malformed::Number),
        None => Err(Malformed::Json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scanned(number: &str) -> Result<f64, Malformed> {
        let mut cursor = Cursor::new(number.as_bytes());
        let value = scan(&mut cursor)?;
        assert!(cursor.is_at_end(), "{number} was not read whole");
        Ok(value)
    }

    #[track_caller]
    fn assert_nearest(number: &str) {
        let nearest: f64 = number.parse().expect("a number");
        match scanned(number) {
            Ok(value) => assert_eq!(value.to_bits(), nearest.to_bits(), "{number}"),
            Err(reason) => assert_eq!((reason, nearest.is_infinite()), (Malformed::Number, true), "{number}"),
        }
    }

    #[test]
    fn the_fast_way_ends_where_it_must() {
        for number in [
            "9007199254740992",
            "9007199254740993",
            "9007199254740993e1",
            "9007199254740992e22",
            "9007199254740992e23",
            "1e22",
            "1e23",
            "1e-22",
            "1e-23",
            "0.0000000000000000000001",
            "9999999999999999999",
            "10000000000000000000",
            "18446744073709551616",
            "18446744073709551617",
            "184467440737095516160",
            "0.18446744073709551617",
            "-0",
            "-0.0e5",
            "1.7976931348623157e308",
            "1.7976931348623159e308",
            "2.2250738585072011e-308",
            "4.9e-324",
            "2.4e-324",
            "123456789012345678901234567890e2147483647",
            "0e2147483648",
            "1e-2147483649",
        ] {
            assert_nearest(number);
        }
    }

    #[test]
    fn mantissas_of_hundreds_of_digits_are_exact() {
        // Half way between two neighbours, and a hair beside it.
        let half_way = "9007199254740993".to_owned() + &"0".repeat(400);
        assert_nearest(&format!("{half_way}e-400"));
        assert_nearest(&format!("{half_way}1e-401"));
        assert_nearest(&format!("0.{}1", "0".repeat(400)));
        assert_nearest(&"9".repeat(308));
        assert_nearest(&"9".repeat(400));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for number in ["-", "01", "-01", "1.", "1.e1", "1e", "1e+", "1e-", "-.5", "1.-1", "1e+-1"] {
            assert_eq!(scanned(number), Err(Malformed::Json), "{number}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn every_number_is_the_nearest(
            number in r"-?(0|[1-9][0-9]{0,21})(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?",
            float in any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |float| float.is_finite()),
        ) {
            assert_nearest(&number);
            assert_nearest(&float.to_string());
            assert_nearest(&format!("{float:e}"));
        }
    }
}
