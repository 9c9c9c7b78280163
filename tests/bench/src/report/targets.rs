//! What was aimed at, and whether it was reached.

use super::markdown::{Table, megabytes, percent, short, times};
use crate::samples::{Figure, Results};
use crate::stats::Spread;
use crate::subject::{Entry, Kind};

const FOUR: Entry = Entry::new(Kind::Cluster, 4);

/// One aim.
struct Target {
    what: &'static str,
    aim: &'static str,
    /// What was measured: the value, and how it is shown.
    measured: Option<f64>,
    show: fn(f64) -> String,
    reached: fn(f64) -> bool,
}

/// All of them that were measured.
pub(super) fn table(results: &Results) -> Table {
    let mut table = Table::new(&["atlas-cluster, 4 workers", "target", "measured", "reached"]);
    for target in targets(results) {
        let Some(value) = target.measured else { continue };
        let reached = if (target.reached)(value) { "yes" } else { "no" };
        table.row([target.what.into(), target.aim.into(), (target.show)(value), reached.into()]);
    }
    table
}

fn targets(results: &Results) -> Vec<Target> {
    let (name, base) = (FOUR.name(), FOUR.base().name());
    let of = |figure, x| middle(results.spread(figure, &name, x));
    let ratio = |figure, x| middle(results.ratio(figure, &name, &base, x));
    let target = |what, aim, measured, show: fn(f64) -> String, reached: fn(f64) -> bool| Target {
        what,
        aim,
        measured,
        show,
        reached,
    };
    vec![
        target(
            "CPU of a datagram at 200 000/s",
            "≤ 1.25 × null sink",
            ratio(Figure::CpuNs, 200_000),
            times,
            |v| v <= 1.25,
        ),
        target(
            "CPU of a datagram at 50 000/s",
            "≤ 1.25 × null sink",
            ratio(Figure::CpuNs, 50_000),
            times,
            |v| v <= 1.25,
        ),
        target("32 meters in one datagram", "≤ 40 ns a meter on top", a_meter(results), nanos, |v| {
            v <= 40.0
        }),
        target(
            "highest rate without loss",
            "≥ 95 % of the null sink's",
            ratio(Figure::HighestRate, 0),
            percent,
            |v| v >= 0.95,
        ),
        target("send → visible, p99 at 50 000/s", "≤ 100 µs", of(Figure::LatencyUs, 990), micros, |v| {
            v <= 100.0
        }),
        target("start until all are online", "≤ 20 ms", of(Figure::StartMs, 0), millis, |v| v <= 20.0),
        target("reload", "≤ 30 ms", of(Figure::ReloadMs, 0), millis, |v| v <= 30.0),
        target("SIGKILL until the replacement reads", "≤ 3 ms", of(Figure::KillMs, 0), millis, |v| {
            v <= 3.0
        }),
        target("memory of supervisor and workers", "≤ 6 MB", of(Figure::MemoryBytes, 0), megabytes, |v| {
            v <= 6e6
        }),
        target("wake-ups while idle", "≤ 5 a second", of(Figure::WakeUps, 0), a_second, |v| v <= 5.0),
        target(
            "1 to 64 workers, against the null sink",
            "flat within 15 %",
            by_workers(results),
            percent,
            |v| v <= 0.15,
        ),
        target(
            "1 to 10 000 senders, against the null sink",
            "flat within 15 %",
            by_senders(results),
            percent,
            |v| v <= 0.15,
        ),
    ]
}

fn middle(spread: Option<Spread>) -> Option<f64> {
    spread.map(|spread| spread.median)
}

/// What one meter more costs, the null sink's share for its bytes taken out.
fn a_meter(results: &Results) -> Option<f64> {
    let xs = results.xs(Figure::ByMetersNs);
    let (few, many) = (*xs.first()?, *xs.last()?);
    let cost = |name: &str| {
        let at = |x| middle(results.spread(Figure::ByMetersNs, name, x));
        Some(at(many)? - at(few)?)
    };
    let more = cost(&FOUR.name())? - cost(&FOUR.base().name())?;
    (many > few).then(|| more / (many - few) as f64)
}

fn by_workers(results: &Results) -> Option<f64> {
    let ratio = |workers: u64| {
        let entry = Entry::new(Kind::Cluster, workers as usize);
        middle(results.ratio(Figure::ByWorkersNs, &entry.name(), &entry.base().name(), workers))
    };
    rise(results.xs(Figure::ByWorkersNs), ratio)
}

fn by_senders(results: &Results) -> Option<f64> {
    let ratio =
        |senders| middle(results.ratio(Figure::BySendersNs, &FOUR.name(), &FOUR.base().name(), senders));
    rise(results.xs(Figure::BySendersNs), ratio)
}

/// How far the greatest stands above the first, in parts of 1.
fn rise(xs: Vec<u64>, at: impl Fn(u64) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = xs.into_iter().map(at).collect::<Option<_>>()?;
    let (first, most) = (values.first()?, values.iter().copied().reduce(f64::max)?);
    Some(most / first - 1.0)
}

fn nanos(value: f64) -> String {
    format!("{} ns", short(value))
}

fn micros(value: f64) -> String {
    format!("{} µs", short(value))
}

fn millis(value: f64) -> String {
    format!("{} ms", short(value))
}

fn a_second(value: f64) -> String {
    format!("{} a second", short(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Sample;

    fn results(values: &[(Figure, Entry, u64, f64)]) -> Results {
        let sample = |&(figure, entry, x, value): &(Figure, Entry, u64, f64)| Sample {
            figure,
            subject: entry.name(),
            x,
            round: 0,
            value,
        };
        Results { rounds: 1, samples: values.iter().map(sample).collect(), ..Results::default() }
    }

    #[test]
    fn a_target_is_reached_or_not() {
        let text = table(&results(&[
            (Figure::CpuNs, FOUR.base(), 50_000, 1000.0),
            (Figure::CpuNs, FOUR, 50_000, 1200.0),
            (Figure::MemoryBytes, FOUR, 0, 7e6),
        ]))
        .to_string();
        let rows: Vec<&str> = text.lines().skip(2).collect();
        assert!(rows[0].contains("1.20 ×") && rows[0].contains("yes"), "{text}");
        assert!(rows[1].contains("7.0 MB") && rows[1].contains("no"), "{text}");
        assert_eq!(rows.len(), 2, "nothing is said of what was not measured");
    }

    #[test]
    fn a_meter_costs_what_it_costs_more_than_its_bytes() {
        let cost = a_meter(&results(&[
            (Figure::ByMetersNs, FOUR.base(), 1, 1000.0),
            (Figure::ByMetersNs, FOUR.base(), 32, 1100.0),
            (Figure::ByMetersNs, FOUR, 1, 1200.0),
            (Figure::ByMetersNs, FOUR, 32, 2230.0),
        ]));
        assert_eq!(cost, Some(30.0));
    }

    #[test]
    fn growth_is_that_of_the_ratio() {
        let values = [(1, 1000.0, 1100.0), (64, 3000.0, 3630.0)].map(|(workers, null, ours)| {
            let entry = Entry::new(Kind::Cluster, workers as usize);
            [(Figure::ByWorkersNs, entry.base(), workers, null), (Figure::ByWorkersNs, entry, workers, ours)]
        });
        let rise = by_workers(&results(values.as_flattened())).unwrap();
        assert!((rise - 0.1).abs() < 1e-9, "{rise}");
    }
}
