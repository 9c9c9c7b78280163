//! The tables.

use std::fmt::Write as _;

use super::markdown::{Table, median, percent, short, spread, two, whole};
use super::targets;
use crate::samples::{Figure, Results};
use crate::subject::{Entry, Kind, ROSTER};

/// Everything that was measured; tables of which nothing was are left out.
pub(super) fn all(results: &Results) -> String {
    let mut text = head(results);
    let parts: [(&str, Table); 10] = [
        ("Against the targets", targets::table(results)),
        ("CPU of a datagram, in ns", cpu(results)),
        ("System calls of a datagram", calls(results)),
        ("Highest rate without loss, and loss at twice that", rate(results)),
        ("From send to visible, at 50 000/s, in µs", latency(results)),
        ("Start, reload, SIGKILL, in ms", lifecycle(results)),
        ("Memory (PSS), and context switches a second while idle", memory(results)),
        ("CPU of a datagram in ns, as workers grow (50 000/s, 1 000 senders)", by_workers(results)),
        (
            "CPU of a datagram in ns, as senders and processors grow (50 000/s, 4 workers)",
            by_senders(results),
        ),
        ("CPU of a datagram in ns, as its meters grow (50 000/s, 4 workers)", by_meters(results)),
    ];
    for (title, table) in parts.iter().filter(|(_, table)| !table.is_empty()) {
        // Writing into a String cannot fail.
        let _ = write!(text, "### {title}\n\n{table}\n");
    }
    text
}

fn head(results: &Results) -> String {
    let machine = &results.machine;
    let versions: Vec<String> =
        machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    format!(
        "`{}` on {}, commit {}: {} rounds, {} min. {} × {}, {:.0} GB, {}. Receive buffers of {} KiB for everybody. {}.\n\n\
         Values are medians, with the least and the greatest of all rounds in brackets; ratios are taken round by round \
         against the null sink with as many processes.\n\n",
        results.command,
        results.date,
        results.commit,
        results.rounds,
        results.seconds.div_ceil(60),
        machine.cpus,
        machine.processor,
        machine.memory_bytes as f64 / 1e9,
        machine.kernel,
        machine.room / 1024,
        versions.join(", "),
    )
}

fn cpu(results: &Results) -> Table {
    let mut table = Table::new(&["", "50 000/s", "ratio", "lost", "200 000/s", "ratio", "lost"]);
    for entry in ROSTER {
        let (name, base) = (entry.name(), entry.base().name());
        let cells = [50_000, 200_000].into_iter().flat_map(|rate| {
            [
                spread(results.spread(Figure::CpuNs, &name, rate), whole),
                spread(results.ratio(Figure::CpuNs, &name, &base, rate), two),
                median(results.spread(Figure::LostAtRate, &name, rate), percent),
            ]
        });
        table.row([name.clone()].into_iter().chain(cells));
    }
    table.without_empty_rows()
}

fn calls(results: &Results) -> Table {
    let mut table = Table::new(&["", "50 000/s", "200 000/s"]);
    for entry in ROSTER {
        let cell = |rate| spread(results.spread(Figure::Calls, &entry.name(), rate), two);
        table.row([entry.name(), cell(50_000), cell(200_000)]);
    }
    table.without_empty_rows()
}

fn rate(results: &Results) -> Table {
    let mut table = Table::new(&["", "a second", "of the null sink's", "asked for twice, got", "lost then"]);
    for entry in ROSTER {
        let name = entry.name();
        table.row([
            name.clone(),
            spread(results.spread(Figure::HighestRate, &name, 0), whole),
            median(results.ratio(Figure::HighestRate, &name, &entry.base().name(), 0), percent),
            median(results.spread(Figure::TwiceRate, &name, 0), whole),
            spread(results.spread(Figure::LostAtTwice, &name, 0), percent),
        ]);
    }
    table.without_empty_rows()
}

fn latency(results: &Results) -> Table {
    let mut table = Table::new(&["", "p50", "p99", "p99.9"]);
    for kind in [Kind::Null, Kind::Told, Kind::Cluster] {
        let name = Entry::new(kind, 4).name();
        let cell = |tenths| spread(results.spread(Figure::LatencyUs, &name, tenths), short);
        table.row([name.clone(), cell(500), cell(990), cell(999)]);
    }
    table.without_empty_rows()
}

/// Those that are started, killed and weighed.
const SERVERS: [Entry; 6] = [
    Entry::new(Kind::Null, 4),
    Entry::new(Kind::Cluster, 4),
    Entry::new(Kind::Pm2, 4),
    Entry::new(Kind::Node, 1),
    Entry::new(Kind::Python, 1),
    Entry::new(Kind::Nginx, 4),
];

fn lifecycle(results: &Results) -> Table {
    let mut table = Table::new(&[
        "",
        "start until all are ready",
        "reload of all",
        "SIGKILL until the replacement reads",
    ]);
    for entry in SERVERS {
        let cell = |figure| spread(results.spread(figure, &entry.name(), 0), short);
        table.row([entry.name(), cell(Figure::StartMs), cell(Figure::ReloadMs), cell(Figure::KillMs)]);
    }
    table.without_empty_rows()
}

fn memory(results: &Results) -> Table {
    let mut table = Table::new(&["", "MB in all", "supervisor", "each worker", "switches a second"]);
    for entry in SERVERS {
        let cell = |figure| spread(results.spread(figure, &entry.name(), 0), |bytes| short(bytes / 1e6));
        table.row([
            entry.name(),
            cell(Figure::MemoryBytes),
            cell(Figure::SupervisorBytes),
            cell(Figure::WorkerBytes),
            spread(results.spread(Figure::WakeUps, &entry.name(), 0), short),
        ]);
    }
    table.without_empty_rows()
}

fn by_workers(results: &Results) -> Table {
    let mut table = Table::new(&["workers", "null sink", "atlas-cluster", "ratio", "told sink", "ratio"]);
    for workers in results.xs(Figure::ByWorkersNs) {
        let of = |kind| {
            let entry = Entry::new(kind, workers as usize);
            grown(results, Figure::ByWorkersNs, entry, workers, whole(workers as f64))
        };
        let [_, _, told, ratio] = of(Kind::Told);
        table.row(of(Kind::Cluster).into_iter().chain([told, ratio]));
    }
    table
}

fn by_senders(results: &Results) -> Table {
    let mut table = Table::new(&["", "null sink", "atlas-cluster", "ratio"]);
    for (figure, what) in
        [(Figure::BySendersNs, "senders"), (Figure::ByProcessorsNs, "processors, 64 senders")]
    {
        for x in results.xs(figure) {
            table.row(grown(
                results,
                figure,
                Entry::new(Kind::Cluster, 4),
                x,
                format!("{} {what}", whole(x as f64)),
            ));
        }
    }
    table
}

fn by_meters(results: &Results) -> Table {
    let mut table = Table::new(&["meters in each", "null sink", "atlas-cluster", "ratio"]);
    for x in results.xs(Figure::ByMetersNs) {
        table.row(grown(results, Figure::ByMetersNs, Entry::new(Kind::Cluster, 4), x, whole(x as f64)));
    }
    table
}

fn grown(results: &Results, figure: Figure, entry: Entry, x: u64, what: String) -> [String; 4] {
    let (name, base) = (entry.name(), entry.base().name());
    [
        what,
        spread(results.spread(figure, &base, x), whole),
        spread(results.spread(figure, &name, x), whole),
        spread(results.ratio(figure, &name, &base, x), two),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Sample;

    #[test]
    fn a_run_without_samples_has_a_head_alone_and_one_with_some_has_their_tables() {
        let mut results = Results { rounds: 1, ..Results::default() };
        assert!(!all(&results).contains("###"));
        for (subject, value) in [("null sink × 4", 800.0), ("atlas-cluster × 4", 1000.0)] {
            let (figure, subject) = (Figure::CpuNs, subject.to_owned());
            results.samples.push(Sample { figure, subject, x: 50_000, round: 0, value });
        }
        let text = all(&results);
        assert!(text.contains("### CPU of a datagram, in ns") && text.contains(" 1 000 |"), "{text}");
        assert!(text.contains(" 1.25 |") && !text.contains("Python"), "{text}");
    }
}
