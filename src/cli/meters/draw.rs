//! How `meters` looks: the shape in, text out.

use std::fmt::Write as _;
use std::time::Duration;

use super::shape::{MeterRow, Meters, ProcessorRow};
use crate::cli::terminal::{Look, Style};
use crate::cli::text::{clean, cut, left, right, span, width};

/// The scale of a bar, in dB.
const FLOOR: f64 = -80.0;
/// From here a bar is yellow, from the next on red.
const LOUD: f64 = -20.0;
const CLOSE_TO_CLIPPING: f64 = -3.0;
/// The shortest bar that tells something.
const LEAST_BAR: usize = 6;
/// The longest one that is still looked at as a whole.
const MOST_BAR: usize = 80;
/// `-80.0 dB`.
const LEVEL: usize = 8;
/// The widest mark.
const MARK: usize = 5;
/// What stands behind a bar: level and mark, a space before each.
const TAIL: usize = 1 + LEVEL + 1 + MARK;
/// Room that a label always has: enough for a parameter.
const LEAST_LABEL: usize = 15;
/// The most columns of bars.
const MOST_COLUMNS: usize = 8;
/// Between two columns of bars.
const GAP: usize = 2;
/// Said in place of meters.
pub(in crate::cli) const NOTHING: &str = "no processor is configured, and none has been heard yet";

/// One line for each meter: what goes to a pipe, and what is shown once.
pub(super) fn listing(meters: &Meters, look: &Look) -> String {
    if meters.processors.is_empty() {
        return format!("{NOTHING}\n");
    }
    let labels = Labels::of(meters, usize::MAX);
    let block = |processor: &ProcessorRow| {
        let line = |meter: &MeterRow| {
            let age = right(&span(Duration::from_millis(meter.age_ms)), 6);
            let line = format!("  {}  {}  {age}  {}", labels.label(meter), level(meter), mark(meter));
            dimmed(line.trim_end(), meter, look) + "\n"
        };
        let lines: String = processor.meters.iter().map(line).collect();
        format!("{}\n{lines}", heading(processor, look))
    };
    meters.processors.iter().map(block).collect::<Vec<_>>().join("\n")
}

/// A frame of live bars that fits the terminal where it can.
pub(super) fn frame(meters: &Meters, look: &Look) -> String {
    let all = || meters.processors.iter().flat_map(|processor| &processor.meters);
    let stale = all().filter(|meter| !meter.fresh).count();
    let told =
        |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let mut title = format!(
        "{}  {}  {}",
        look.paint(Style::Bold, "atlas-cluster meters"),
        told(meters.processors.len(), "processor", "processors"),
        told(all().count(), "meter", "meters"),
    );
    if stale > 0 {
        let _ = write!(title, "  {}", look.paint(Style::Yellow, &format!("{stale} stale")));
    }
    let _ = writeln!(title, "  {}", look.paint(Style::Dim, "bars -80 … 0 dB  Ctrl-C ends"));
    if meters.processors.is_empty() {
        return format!("{title}\n{NOTHING}\n");
    }
    // As few columns of bars as the height allows, so that the bars are as long as they can be.
    let fits = |text: &String| text.lines().count() < look.rows;
    let mut bodies = (1..=MOST_COLUMNS).map_while(|columns| body(meters, columns, look)).peekable();
    while let Some(body) = bodies.next() {
        if fits(&body) || bodies.peek().is_none() {
            return title + &body;
        }
    }
    title
}

/// All processors in so many columns of bars; None if that leaves too little for a bar. One column is always drawn.
fn body(meters: &Meters, columns: usize, look: &Look) -> Option<String> {
    let room = ((look.columns + GAP) / columns).saturating_sub(GAP);
    let labels = Labels::of(meters, (room / 3).max(LEAST_LABEL));
    let bar = room.saturating_sub(labels.width + 1 + TAIL);
    if columns > 1 && bar < LEAST_BAR {
        return None;
    }
    let bar = bar.clamp(1, MOST_BAR);
    Some(meters.processors.iter().map(|processor| block(processor, &labels, bar, columns, look)).collect())
}

/// A processor's bars, read downwards; an empty line before them.
fn block(processor: &ProcessorRow, labels: &Labels, bar_width: usize, columns: usize, look: &Look) -> String {
    let mut text = format!("\n{}\n", heading(processor, look));
    let cell = |meter: &MeterRow| {
        let tail = format!("{} {}", level(meter), left(mark(meter), MARK));
        let (label, tail) = (dimmed(&labels.label(meter), meter, look), dimmed(&tail, meter, look));
        format!("{label} {} {tail}", bar(meter, bar_width, look))
    };
    let cells: Vec<String> = processor.meters.iter().map(cell).collect();
    let lines = cells.len().div_ceil(columns);
    for line in 0..lines {
        let of_line: Vec<&str> = cells.iter().skip(line).step_by(lines).map(String::as_str).collect();
        let _ = writeln!(text, "{}", of_line.join(&" ".repeat(GAP)).trim_end());
    }
    text
}

fn heading(processor: &ProcessorRow, look: &Look) -> String {
    let (name, address) = who(processor);
    let mut parts = vec![look.paint(Style::Bold, &name)];
    parts.extend(address);
    parts.push(look.paint(connection_style(processor), processor.connection));
    parts.push(heard(processor));
    parts.join("  ")
}

/// The name of a processor, and its address where that is another one.
pub(in crate::cli) fn who(processor: &ProcessorRow) -> (String, Option<String>) {
    let address = processor.address.to_string();
    let name = clean(&processor.name);
    let other = (name != address).then_some(address);
    (name, other)
}

/// How a connection's state is written.
pub(in crate::cli) fn connection_style(processor: &ProcessorRow) -> Style {
    match processor.connection {
        "connected" => Style::Green,
        "connecting" | "unresponsive" => Style::Yellow,
        _ => Style::Dim,
    }
}

/// When a processor was heard.
pub(in crate::cli) fn heard(processor: &ProcessorRow) -> String {
    match processor.last_heard_ms {
        Some(ms) => format!("heard {} ago", span(Duration::from_millis(ms))),
        None => "never heard".into(),
    }
}

/// The parameters' names with the names people gave them: all of one width, so that the bars stand in line.
struct Labels {
    /// Width of the parameters; None if no names are shown.
    params: Option<usize>,
    /// There is no room for both: what people know a meter by goes first.
    short: bool,
    width: usize,
}

impl Labels {
    /// At most `most` columns wide.
    fn of(meters: &Meters, most: usize) -> Labels {
        let all = || meters.processors.iter().flat_map(|processor| &processor.meters);
        let params = all().map(|meter| width(&meter.param)).max().unwrap_or(0);
        let mut labels = Labels {
            params: all().any(|meter| meter.name.is_some()).then_some(params),
            short: false,
            width: 0,
        };
        let widest = |labels: &Labels| all().map(|meter| width(&labels.whole(meter))).max().unwrap_or(0);
        labels.short = widest(&labels) > most;
        labels.width = widest(&labels).min(most);
        labels
    }

    fn label(&self, meter: &MeterRow) -> String {
        left(&cut(&self.whole(meter), self.width), self.width)
    }

    fn whole(&self, meter: &MeterRow) -> String {
        match (self.params, &meter.name) {
            _ if self.short => short_label(meter),
            (Some(params), Some(name)) => format!("{}  {}", left(&meter.param, params), clean(name)),
            _ => meter.param.clone(),
        }
    }
}

/// `Z0 Patio`, or the parameter where no name is known.
pub(in crate::cli) fn short_label(meter: &MeterRow) -> String {
    match &meter.name {
        Some(name) => format!("{} {}", number(meter), clean(name)),
        None => meter.param.clone(),
    }
}

/// `Z0`.
pub(in crate::cli) fn number(meter: &MeterRow) -> String {
    let kind = meter.kind.chars().next().map(|kind| kind.to_ascii_uppercase()).unwrap_or_default();
    format!("{kind}{}", meter.index)
}

fn level(meter: &MeterRow) -> String {
    right(&format!("{} dB", decibels(meter)), LEVEL)
}

/// To a tenth; rounded here, so that what rounds to nothing has no sign.
pub(in crate::cli) fn decibels(meter: &MeterRow) -> String {
    format!("{:.1}", (meter.level_db * 10.0).round() / 10.0 + 0.0)
}

/// What is said of a meter that is not simply alive.
pub(in crate::cli) fn mark(meter: &MeterRow) -> &'static str {
    match (meter.fresh, meter.muted) {
        (false, _) => "stale",
        (true, Some(true)) => "muted",
        (true, _) => "",
    }
}

fn bar(meter: &MeterRow, columns: usize, look: &Look) -> String {
    let Bar { full, style, empty } = Bar::of(meter, columns);
    look.paint(style, &full) + &look.paint(Style::Dim, &empty)
}

/// A level as a bar.
pub(in crate::cli) struct Bar {
    /// Up to the level.
    pub(in crate::cli) full: String,
    /// How that is written.
    pub(in crate::cli) style: Style,
    /// The rest, which is dim.
    pub(in crate::cli) empty: String,
}

impl Bar {
    /// So many columns wide.
    pub(in crate::cli) fn of(meter: &MeterRow, columns: usize) -> Bar {
        let share = ((meter.level_db - FLOOR) / -FLOOR).clamp(0.0, 1.0);
        let halves = (share * columns as f64 * 2.0).round() as usize;
        // A frozen meter never looks alive, not even without colours.
        let (whole, half) = if meter.fresh { ("█", "▌") } else { ("░", "░") };
        let full = whole.repeat(halves / 2) + if halves % 2 == 1 { half } else { "" };
        let empty = "·".repeat(columns - halves.div_ceil(2).min(columns));
        let style = match meter.level_db {
            _ if !meter.fresh => Style::Dim,
            CLOSE_TO_CLIPPING.. => Style::Red,
            LOUD.. => Style::Yellow,
            _ => Style::Green,
        };
        Bar { full, style, empty }
    }
}

fn dimmed(text: &str, meter: &MeterRow, look: &Look) -> String {
    if meter.fresh { text.to_owned() } else { look.paint(Style::Dim, text) }
}
