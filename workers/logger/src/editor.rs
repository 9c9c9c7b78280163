//! What is written of what a source printed: pure, told the time.

use contract::logs::Format;

use crate::limit::Limit;
use crate::{lines, record};

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) format: Format,
    /// Lines a second that one source may write in the long run; 0 = any number.
    pub(crate) rate: u64,
}

/// One moment.
#[derive(Clone, Debug)]
pub(crate) struct Now {
    /// In ms since boot.
    pub(crate) boot: u64,
    /// RFC 3339, UTC, to the millisecond.
    pub(crate) time: String,
}

/// Appends the lines in `taken`, as far as the source may write.
pub(crate) fn edit(
    out: &mut Vec<u8>,
    style: Style,
    now: &Now,
    source: &str,
    limit: &mut Limit,
    taken: &[u8],
) {
    tell_left_out(out, style, now, source, limit);
    let mut lines = lines::lines(taken);
    while let Some(line) = lines.next() {
        if limit.admit(now.boot, style.rate, line.len()) {
            record::append(out, style.format, &now.time, source, line);
        } else {
            // It is one moment: nobody is heard again within it.
            limit.left_out += lines.by_ref().count() as u64;
        }
    }
}

/// Appends one line about those that were left out, if the source is heard again.
pub(crate) fn tell_left_out(out: &mut Vec<u8>, style: Style, now: &Now, source: &str, limit: &mut Limit) {
    if let Some(number) = limit.reopen(now.boot, style.rate) {
        let what = format!("{number} lines were left out here: log.rate_limit is {} a second", style.rate);
        record::append(out, style.format, &now.time, source, what.as_bytes());
    }
}

/// The line about those that could not be written.
pub(crate) fn tell_lost(out: &mut Vec<u8>, style: Style, now: &Now, number: u64, why: &str) {
    let what = format!("{number} lines of all could not be written: {why}");
    record::append(out, style.format, &now.time, "logger", what.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(boot: u64) -> Now {
        Now { boot, time: "T".into() }
    }

    #[test]
    fn a_flood_is_told_where_it_was_and_the_lines_after_it_follow() {
        let style = Style { format: Format::Text, rate: 10 };
        let (mut out, mut limit) = (Vec::new(), Limit::default());
        let flood: String = (0..105).map(|n| format!("{n}\n")).collect();
        edit(&mut out, style, &now(1), "0", &mut limit, flood.as_bytes());
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 100);
        out.clear();
        edit(&mut out, style, &now(1100), "0", &mut limit, b"after\n");
        let said = "T [0] 5 lines were left out here: log.rate_limit is 10 a second\nT [0] after\n";
        assert_eq!(String::from_utf8_lossy(&out), said);
    }

    #[test]
    fn a_flood_that_ended_is_told_without_another_line() {
        let style = Style { format: Format::Text, rate: 10 };
        let (mut out, mut limit) = (Vec::new(), Limit::default());
        edit(&mut out, style, &now(1), "0", &mut limit, &b"x\n".repeat(101));
        out.clear();
        tell_left_out(&mut out, style, &now(500), "0", &mut limit);
        assert!(out.is_empty());
        tell_left_out(&mut out, style, &now(1100), "0", &mut limit);
        assert!(String::from_utf8_lossy(&out).starts_with("T [0] 1 lines were left out"));
    }
}
