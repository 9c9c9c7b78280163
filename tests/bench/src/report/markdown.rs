//! Tables in Markdown, and numbers as people read them.

use std::fmt;

use crate::stats::Spread;

/// Where there is no value: not measured, or not to be had.
pub(super) const NONE: &str = "–";

/// A table that reads well as text, too.
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Table {
        Table { head: head.iter().map(|&cell| cell.to_owned()).collect(), rows: Vec::new() }
    }

    /// A row; cells that are missing are empty.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().collect();
        cells.resize(self.head.len(), String::new());
        self.rows.push(cells);
    }

    /// Leaves rows out that hold nothing but their name.
    pub(super) fn without_empty_rows(mut self) -> Table {
        self.rows.retain(|row| row.iter().skip(1).any(|cell| cell != NONE && !cell.is_empty()));
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| &row[column]).chain([&self.head[column]]);
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |f: &mut fmt::Formatter<'_>, cells: &[String]| {
            let padded = |(i, (cell, &width)): (usize, (&String, &usize))| match i {
                0 => format!(" {cell:<width$} |"),
                _ => format!(" {cell:>width$} |"),
            };
            let cells: String = cells.iter().zip(&widths).enumerate().map(padded).collect();
            writeln!(f, "|{cells}")
        };
        line(f, &self.head)?;
        let rule = |(i, width): (usize, &usize)| match i {
            0 => format!(" {} |", "-".repeat(*width)),
            _ => format!(" {}: |", "-".repeat(width.saturating_sub(1))),
        };
        writeln!(f, "|{}", widths.iter().enumerate().map(rule).collect::<String>())?;
        self.rows.iter().try_for_each(|row| line(f, row))
    }
}

/// `1 234 (1 100 … 1 300)`: the median, and the spread where there is one.
pub(super) fn spread(value: Option<Spread>, show: impl Fn(f64) -> String) -> String {
    let Some(of) = value else { return NONE.into() };
    if of.least == of.most {
        show(of.median)
    } else {
        format!("{} ({} … {})", show(of.median), show(of.least), show(of.most))
    }
}

/// The median alone.
pub(super) fn median(value: Option<Spread>, show: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| NONE.into(), |of| show(of.median))
}

/// `12 345`.
pub(super) fn whole(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let groups: Vec<&str> = {
        let first = digits.len() % 3;
        let cuts = (0..=digits.len()).filter(|at| at % 3 == first || *at == 0);
        let cuts: Vec<usize> = cuts.collect();
        cuts.windows(2).map(|two| &digits[two[0]..two[1]]).filter(|group| !group.is_empty()).collect()
    };
    let sign = if value < -0.5 { "-" } else { "" };
    format!("{sign}{}", groups.join(" "))
}

/// `1.23`.
pub(super) fn two(value: f64) -> String {
    format!("{value:.2}")
}

/// `0.3`, `12`.
pub(super) fn short(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { whole(value) }
}

/// `1.23 ×`.
pub(super) fn times(value: f64) -> String {
    format!("{value:.2} ×")
}

/// `12.3 %`; nothing at all is `0`.
pub(super) fn percent(part: f64) -> String {
    match part {
        0.0 => "0".into(),
        _ if part < 0.001 => "< 0.1 %".into(),
        _ => format!("{:.1} %", 100.0 * part),
    }
}

/// `5.7 MB`.
pub(super) fn megabytes(bytes: f64) -> String {
    format!("{:.1} MB", bytes / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_is_markdown() {
        let mut table = Table::new(&["who", "CPU"]);
        table.row(["null sink × 4".into(), "812".into()]);
        table.row(["Node.js".into(), "4 008".into()]);
        table.row(["nobody".into(), NONE.into()]);
        let expected = "\
| who           |   CPU |
| ------------- | ----: |
| null sink × 4 |   812 |
| Node.js       | 4 008 |
";
        assert_eq!(table.without_empty_rows().to_string(), expected);
        assert!(Table::new(&["who"]).is_empty());
    }

    #[test]
    fn numbers_are_grouped_by_threes() {
        let shown = [0.0, 7.4, 999.6, 12_345.0, 123_456.0, 1_234_567.0, -1500.0].map(whole);
        assert_eq!(shown, ["0", "7", "1 000", "12 345", "123 456", "1 234 567", "-1 500"]);
    }

    #[test]
    fn a_little_is_not_nothing() {
        assert_eq!([0.0, 0.0002, 0.123, 1.0].map(percent), ["0", "< 0.1 %", "12.3 %", "100.0 %"]);
        assert_eq!(
            (short(0.26), short(1234.0), megabytes(5_650_000.0)),
            ("0.3".into(), "1 234".into(), "5.7 MB".into())
        );
        assert_eq!(spread(None, whole), NONE);
        let of = Spread { median: 2.0, least: 1.0, most: 3000.0 };
        assert_eq!(spread(Some(of), whole), "2 (1 … 3 000)");
        assert_eq!(spread(Some(Spread { least: 2.0, most: 2.0, ..of }), whole), "2");
    }
}
