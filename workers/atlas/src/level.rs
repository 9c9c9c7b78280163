//! Levels in hundredths of a dB.

use std::fmt;

/// A level in hundredths of a dB: `CentiDb(-2350)` is −23.5 dB. Meters lie between −80 dB and 0 dB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CentiDb(pub i16);

impl CentiDb {
    /// The top of every meter: 0 dB, which is 100 %.
    pub const FULL: CentiDb = CentiDb(0);
    /// The bottom of every meter: −80 dB, which is 0 %.
    pub const SILENCE: CentiDb = CentiDb(-8000);

    /// The level for a number of dB: `db * 100.0`, rounded half away from zero; out of range, the nearest
    /// there is (±327.67 dB). NaN, which no JSON number can be, gives 0.
    pub fn from_db(db: f64) -> CentiDb {
        let centi = db * 100.0;
        // `f64::round` is a call into the C library; this is exact too, as the difference always is.
        let whole = centi as i32;
        let rest = centi - f64::from(whole);
        let rounded = whole.saturating_add(i32::from(rest >= 0.5)).saturating_sub(i32::from(rest <= -0.5));
        CentiDb(rounded.clamp(i16::MIN.into(), i16::MAX.into()) as i16)
    }

    /// The level for a percentage of the meter's range: 0 is −80 dB, 100 is 0 dB. Not clamped to it.
    pub fn from_pct(pct: f64) -> CentiDb {
        CentiDb::from_db(-80.0 + pct * 0.8)
    }

    /// The level in dB.
    pub fn to_db(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// The shortest JSON number of dB: `-23.5`, `-80`, `-0.05`.
impl fmt::Display for CentiDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let centi = self.0.unsigned_abs();
        let (whole, tenths, rest) = (centi / 100, centi / 10 % 10, centi % 10);
        match (tenths, rest) {
            (0, 0) => write!(f, "{sign}{whole}"),
            (_, 0) => write!(f, "{sign}{whole}.{tenths}"),
            (_, _) => write!(f, "{sign}{whole}.{tenths}{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decibels_round_half_away_from_zero_and_saturate() {
        let table = [
            (-23.5, -2350),
            (-80.0, -8000),
            (0.0, 0),
            (-0.0, 0),
            (-0.004, 0),
            (-0.005, -1),
            (0.005, 1),
            (-0.125, -13),
            (0.125, 13),
            (0.124, 12),
            (0.004_999_999_999_999_999, 0),
            (-79.999, -8000),
            (-1e308, i16::MIN),
            (1e308, i16::MAX),
            (-327.68, i16::MIN),
            (-327.69, i16::MIN),
            (327.67, i16::MAX),
            (400.0, i16::MAX),
            (f64::NAN, 0),
        ];
        for (db, centi) in table {
            assert_eq!(CentiDb::from_db(db), CentiDb(centi), "{db} dB");
        }
    }

    #[test]
    fn rounding_is_that_of_the_standard_library() {
        let ends = [
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
            2_147_483_647.5,
            -2_147_483_648.5,
            21_474_836.475,
        ];
        let steps = (-700_000..700_000).map(|step| f64::from(step) * 0.000_625);
        let neighbours = steps.flat_map(|db| [db.next_down(), db, db.next_up()]);
        for db in neighbours.chain(ends) {
            assert_eq!(CentiDb::from_db(db).0, (db * 100.0).round() as i16, "{db:e} dB");
        }
    }

    #[test]
    fn a_percentage_is_a_place_between_silence_and_full() {
        let table = [(0.0, -8000), (100.0, 0), (50.0, -4000), (70.625, -2350), (-74.0, -13920), (1.0, -7920)];
        for (pct, centi) in table {
            assert_eq!(CentiDb::from_pct(pct), CentiDb(centi), "{pct} %");
        }
    }

    #[test]
    fn every_level_survives_being_written_and_read() {
        for centi in i16::MIN..=i16::MAX {
            let level = CentiDb(centi);
            assert_eq!(CentiDb::from_db(level.to_db()), level);
            let written = level.to_string();
            assert_eq!(CentiDb::from_db(written.parse().expect("a number")), level, "{written}");
            assert!(!written.contains('.') || !written.ends_with('0'), "{written} is not the shortest");
        }
    }

    #[test]
    fn levels_are_written_short() {
        let table =
            [(-2350, "-23.5"), (-8000, "-80"), (-2345, "-23.45"), (-5, "-0.05"), (-50, "-0.5"), (0, "0")];
        for (centi, written) in table {
            assert_eq!(CentiDb(centi).to_string(), written);
        }
    }
}
