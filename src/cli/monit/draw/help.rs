//! The help: every key, and what the signs mean.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::cli::monit::keys::KEYS;
use crate::cli::terminal::Style;
use crate::cli::text::{left, width};

const SIGNS: [(&str, &str); 4] = [
    ("-", "not known: a program of your own tells no figures"),
    ("S M Z G", "source, mix, zone, group, with the parameter's number"),
    ("░ stale", "no reading for a while: what is shown is old"),
    ("▁▂▃▅█", "datagrams a second lately; all workers on one scale"),
];

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect) {
    pen.title(area, false, "keys and signs");
    let widest = KEYS.iter().chain(&SIGNS).map(|(what, _)| width(what)).max().unwrap_or(0);
    for (at, (what, meaning)) in KEYS.iter().chain(&SIGNS).enumerate() {
        let what = (format!(" {}", left(what, widest)), Some(Style::Bold));
        pen.write(area, 1 + at, &[what, (format!("  {meaning}"), None)]);
    }
}
