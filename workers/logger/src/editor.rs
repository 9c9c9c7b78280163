//! What is written of what a source printed: pure, told the time.

use contract::logs::Format;
use contract::{counted, were};

use crate::limit::Limit;
use crate::text::Text;
use crate::{lines, record};

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) format: Format,
    /// Lines a second that one source may write in the long run; 0 = any number.
    pub(crate) rate: u64,
}

/// More than the bytes of a record beside its time, its source, and a line of one byte.
const AROUND: usize = 64;

/// One moment.
#[derive(Clone, Debug)]
pub(crate) struct Now {
    /// In ms since boot.
    pub(crate) boot: u64,
    /// RFC 3339, UTC, to the millisecond.
    pub(crate) time: String,
}

/// Appends the lines in `taken`, as far as the source may write.
pub(crate) fn edit(out: &mut Text, style: Style, now: &Now, source: &str, limit: &mut Limit, taken: &[u8]) {
    tell_left_out(out, style, now, source, limit);
    let mut lines = lines::lines(taken);
    while let Some(line) = lines.next() {
        if limit.admit(now.boot, style.rate, line.len()) {
            record::append(&mut out.bytes, style.format, &now.time, source, line);
        } else {
            // It is one moment: nobody is heard again within it.
            limit.left_out += lines.by_ref().count() as u64;
        }
    }
}

/// How much of what can be taken makes no more than `most` bytes of log: whole lines, or pieces of one that is too long;
/// one at least.
pub(crate) fn fitting(style: Style, now: &Now, source: &str, most: u64, taken: &[u8]) -> usize {
    // Each byte a line of its own, and written as six: no need to look.
    let about = now.time.len() + source.len() + AROUND;
    if (taken.len() * about) as u64 <= most {
        return taken.len();
    }
    let (mut text, mut fits) = (Vec::new(), 0);
    let mut bytes = 0;
    for (step, line) in lines::steps(taken) {
        text.clear();
        record::append(&mut text, style.format, &now.time, source, line);
        bytes += text.len() as u64;
        if fits > 0 && bytes > most {
            break;
        }
        fits += step;
    }
    fits
}

/// Appends one line about those that were left out, if the source is heard again.
pub(crate) fn tell_left_out(out: &mut Text, style: Style, now: &Now, source: &str, limit: &mut Limit) {
    let number = limit.reopen(now.boot, style.rate);
    number.into_iter().for_each(|number| say_left_out(out, style, now, source, number));
}

/// The same, if there are any: whoever comes next may have nothing to write to.
pub(crate) fn tell_left_out_at_last(
    out: &mut Text,
    style: Style,
    now: &Now,
    source: &str,
    limit: &mut Limit,
) {
    let number = limit.take_left_out();
    number.into_iter().for_each(|number| say_left_out(out, style, now, source, number));
}

fn say_left_out(out: &mut Text, style: Style, now: &Now, source: &str, number: u64) {
    let (lines, were) = (counted(number, "line"), were(number));
    let what = format!("{lines} {were} left out here: log.rate_limit is {} a second", style.rate);
    record::append(&mut out.bytes, style.format, &now.time, source, what.as_bytes());
    out.note_teller(number);
}

/// The line about those that could not be written.
pub(crate) fn tell_lost(out: &mut Vec<u8>, style: Style, now: &Now, number: u64, why: &str) {
    let what = format!("{}, from all sources together, could not be written: {why}", counted(number, "line"));
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
        let (mut out, mut limit) = (Text::default(), Limit::default());
        let flood: String = (0..105).map(|n| format!("{n}\n")).collect();
        edit(&mut out, style, &now(1), "0", &mut limit, flood.as_bytes());
        assert_eq!(out.bytes.iter().filter(|&&byte| byte == b'\n').count(), 100);
        out = Text::default();
        edit(&mut out, style, &now(1100), "0", &mut limit, b"after\n");
        let said = "T [0] 5 lines were left out here: log.rate_limit is 10 a second\nT [0] after\n";
        assert_eq!(String::from_utf8_lossy(&out.bytes), said);
    }

    #[test]
    fn a_flood_that_ended_is_told_without_another_line() {
        let style = Style { format: Format::Text, rate: 10 };
        let (mut out, mut limit) = (Text::default(), Limit::default());
        edit(&mut out, style, &now(1), "0", &mut limit, &b"x\n".repeat(101));
        out = Text::default();
        tell_left_out(&mut out, style, &now(500), "0", &mut limit);
        assert!(out.bytes.is_empty());
        tell_left_out(&mut out, style, &now(1100), "0", &mut limit);
        assert!(String::from_utf8_lossy(&out.bytes).starts_with("T [0] 1 line was left out"));
    }

    #[test]
    fn at_the_end_it_is_told_at_once_and_no_second_time() {
        let style = Style { format: Format::Text, rate: 10 };
        let mut limit = Limit { left: 0, at: 1, left_out: 7, muted: true };
        let mut out = Text::default();
        tell_left_out_at_last(&mut out, style, &now(2), "0", &mut limit);
        assert!(String::from_utf8_lossy(&out.bytes).starts_with("T [0] 7 lines were left out"));
        assert_eq!(out.missing_from(0), 7);
        tell_left_out_at_last(&mut out, style, &now(3), "0", &mut limit);
        edit(&mut out, style, &now(2000), "0", &mut limit, b"heard\n");
        assert_eq!(String::from_utf8_lossy(&out.bytes).lines().skip(1).collect::<Vec<_>>(), ["T [0] heard"]);
    }

    #[test]
    fn what_is_taken_at_once_fits_into_a_file() {
        let (empty, long) = ("\n".repeat(60_000), format!("{}\nend\n", "\u{1}".repeat(50_000)));
        for format in [Format::Text, Format::Json] {
            for (text, most) in [(&empty, 16 << 10), (&long, 64 << 10), (&empty, 10 << 20)] {
                let style = Style { format, rate: 0 };
                let (mut rest, mut times) = (text.as_bytes(), 0);
                let mut whole = Vec::new();
                while !rest.is_empty() {
                    let fits = fitting(style, &now(1), "0", most, rest);
                    let mut out = Text::default();
                    edit(&mut out, style, &now(1), "0", &mut Limit::default(), &rest[..fits]);
                    assert!(out.bytes.len() as u64 <= most, "{} > {most}", out.bytes.len());
                    whole.append(&mut out.bytes);
                    (rest, times) = (&rest[fits..], times + 1);
                }
                let mut at_once = Text::default();
                edit(&mut at_once, style, &now(1), "0", &mut Limit::default(), text.as_bytes());
                assert!(
                    whole == at_once.bytes && (times == 1) == (at_once.bytes.len() as u64 <= most),
                    "{times} batches"
                );
            }
        }
        let one = fitting(Style { format: Format::Text, rate: 0 }, &now(1), "0", 1, b"one\ntwo\n");
        assert_eq!(one, 4, "one line in any case");
    }
}
