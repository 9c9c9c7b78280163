//! The table: what each kind of fault has cost, and whether everything is as it was.

use std::fmt;
use std::time::Duration;

use harness::shape::Counts;

use crate::args::Args;
use crate::book::Tally;
use crate::faults::FAULTS;
use crate::health::Health;
use crate::pairs::{Open, Outcomes};
use crate::sequence::Step;

/// A load that reached less of its pace is said to have been too slow.
const PACE: f64 = 0.98;
const PAIRS: &str = "two of them in the same moment";

/// One kind of fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) done: u64,
    /// How often it was one of two.
    pub(crate) in_pairs: u64,
    /// Of what was sent while it was under way.
    pub(crate) tally: Tally,
}

/// What came of a soak.
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    /// Two faults in the same moment, whichever.
    pub(crate) pairs: Row,
    /// What came of orders then.
    pub(crate) open: Open,
    /// Of what was sent while no fault was under way.
    pub(crate) quiet: Tally,
    pub(crate) start: Option<Health>,
    pub(crate) end: Option<Health>,
    /// The cluster's own figures at the end.
    pub(crate) totals: Option<Counts>,
    /// How long the load was on.
    pub(crate) lasted: Duration,
    /// What is not as it should be, each a sentence.
    pub(crate) failures: Vec<String>,
    time: Duration,
    rate: u32,
    seed: u64,
}

/// What a cluster uses, and may use.
struct Vital {
    name: &'static str,
    start: u64,
    end: u64,
    bound: Option<u64>,
}

impl Report {
    pub(crate) fn new(args: &Args) -> Report {
        Report {
            rows: vec![Row::default(); FAULTS.len()],
            pairs: Row::default(),
            open: Open::default(),
            quiet: Tally::default(),
            start: None,
            end: None,
            totals: None,
            lasted: Duration::ZERO,
            failures: Vec::new(),
            time: args.time,
            rate: args.rate,
            seed: args.seed,
        }
    }

    /// One step more, and what became of what was sent meanwhile.
    pub(crate) fn add(&mut self, step: Step, tally: &Tally) {
        let row = match step {
            Step::One(row) => &mut self.rows[row],
            Step::Two(rows) => {
                rows.iter().for_each(|&row| self.rows[row].in_pairs += 1);
                &mut self.pairs
            }
        };
        row.done += 1;
        row.tally.add(tally);
        if tally.lost + tally.doubled > 0 {
            self.failures.push(format!("{} lost and {} doubled in `{step}`", tally.lost, tally.doubled));
        }
    }

    pub(crate) fn total(&self) -> Tally {
        let mut total = self.quiet.clone();
        self.rows.iter().chain([&self.pairs]).for_each(|row| total.add(&row.tally));
        total
    }

    /// Finds what is not as it should be.
    pub(crate) fn judge(&mut self) {
        let mut found = self.totals.as_ref().map_or_else(Vec::new, |totals| self.judge_totals(totals));
        let kinds = FAULTS.iter().zip(&self.rows).map(|(fault, row)| (fault.name, &row.tally));
        for (name, tally) in kinds.chain([(PAIRS, &self.pairs.tally), ("no fault", &self.quiet)]) {
            if tally.lost + tally.doubled > 0 {
                found.push(format!(
                    "{} lost and {} doubled of {} datagrams sent during `{name}`: {:?} …",
                    tally.lost, tally.doubled, tally.sent, tally.examples
                ));
            }
        }
        for Vital { name, start, end, bound } in self.vitals() {
            if bound.is_some_and(|bound| end > bound) {
                found.push(format!("{name}: {start} at the start, {end} at the end"));
            }
        }
        self.failures.extend(found);
    }

    fn judge_totals(&self, totals: &Counts) -> Vec<String> {
        let (mut found, total) = (Vec::new(), self.total());
        let counted = total.seen + total.quarantined;
        if totals.dropped != Some(0) {
            found.push(format!(
                "the kernel dropped {} datagrams on full receive buffers, which count as lost here: \
                 no fault of the cluster's, this machine is too busy for the load, or the buffers are small \
                 (root's are not; others need sysctl -w net.core.rmem_max=67108864)",
                told(totals.dropped)
            ));
        }
        let quarantined = totals.quarantined == Some(total.quarantined);
        if totals.datagrams != Some(counted) || totals.classes() != counted || !quarantined {
            found.push(format!(
                "{} datagrams were seen, {} belong into quarantine, and the counters tell of {totals:?}",
                total.seen, total.quarantined
            ));
        }
        found
    }

    fn vitals(&self) -> Vec<Vital> {
        let (Some(start), Some(end)) = (&self.start, &self.end) else { return Vec::new() };
        let bound = start.bound();
        let vital = |name, of: fn(&Health) -> u64| Vital {
            name,
            start: of(start),
            end: of(end),
            bound: Some(of(&bound)),
        };
        vec![
            Vital { bound: None, ..vital("deaths of the supervisor", |health| health.deaths) },
            vital("processes", |health| health.processes),
            vital("descriptors of the supervisor", |health| health.descriptors),
            vital("descriptors of the store above it", |health| health.store),
            vital("memory of the supervisor, KiB", |health| health.supervisor_kib),
            vital("memory of the largest worker, KiB", |health| health.worker_kib),
        ]
    }

    /// Keeps the cluster's log for whoever looks for the reason.
    pub(crate) fn keep_log(&mut self, log: &str) {
        let path = std::env::temp_dir().join(format!("atlas-cluster-soak-{}.log", self.seed));
        match std::fs::write(&path, log) {
            Ok(()) => self.failures.push(format!("the cluster's log is in {}", path.display())),
            Err(e) => {
                self.failures.push(format!("the cluster's log cannot be kept in {}: {e}", path.display()))
            }
        }
    }

    fn draw_faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, done: [&dyn fmt::Display; 2], tally: &Tally| {
            let Tally { sent, seen, lost, doubled, quarantined, .. } = tally;
            let [alone, in_pairs] = done;
            write!(f, "{name:<30} {alone:>5} {in_pairs:>8} {sent:>9} {seen:>9}")?;
            writeln!(f, " {lost:>5} {doubled:>7} {quarantined:>11}")
        };
        for (fault, Row { done, in_pairs, tally }) in FAULTS.iter().zip(&self.rows) {
            line(fault.name, [done, in_pairs], tally)?;
        }
        line(PAIRS, [&"", &self.pairs.done], &self.pairs.tally)?;
        line("(no fault)", [&"", &""], &self.quiet)?;
        let alone = self.rows.iter().map(|row| row.done).sum::<u64>();
        line("total", [&alone, &self.pairs.done], &self.total())
    }

    fn draw_open(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Open { restarts, reloads, upgrades } = self.open;
        let told = [("restarts", restarts), ("reloads", reloads), ("upgrades", upgrades)]
            .map(|(what, Outcomes { done, failed })| format!("{what} {done} done, {failed} not"));
        writeln!(f, "\nordered in the same moment as another fault: {}", told.join("; "))
    }

    fn draw_vitals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Vital { name, start, end, bound } in self.vitals() {
            let bound = bound.map_or_else(String::new, |bound| format!("   at most {bound}"));
            writeln!(f, "{name:<37} {start:>12} {end:>12}{bound}")?;
        }
        let dropped = self.totals.as_ref().map_or_else(|| "?".into(), |totals| told(totals.dropped));
        writeln!(f, "{:<37} {:>12} {dropped:>12}   at most 0", "dropped by the kernel", 0)
    }

    /// What was asked of the load, and what it really did.
    fn draw_load(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (asked, lasted) = (self.time.as_secs(), self.lasted.as_secs_f64());
        writeln!(f, "{:<37} {asked:>12} {lasted:>12.1}", "seconds of load")?;
        let reached = self.total().sent as f64 / lasted.max(1e-9);
        let slow = if reached < PACE * f64::from(self.rate) { "   too busy to send faster" } else { "" };
        writeln!(f, "{:<37} {:>12} {reached:>12.0}{slow}", "datagrams a second", self.rate)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<30} {:>5} {:>8} {:>9} {:>9}", "fault", "alone", "in pairs", "sent", "seen")?;
        writeln!(f, " {:>5} {:>7} {:>11}", "lost", "doubled", "quarantined")?;
        self.draw_faults(f)?;
        self.draw_open(f)?;
        writeln!(f, "\n{:<37} {:>12} {:>12}", "", "at the start", "at the end")?;
        self.draw_vitals(f)?;
        writeln!(f, "\n{:<37} {:>12} {:>12}", "", "asked for", "reached")?;
        self.draw_load(f)?;
        let rows = FAULTS.iter().zip(&self.rows);
        let missing: Vec<_> =
            rows.filter(|(_, row)| row.done + row.in_pairs == 0).map(|(fault, _)| fault.name).collect();
        if !missing.is_empty() {
            writeln!(f, "\nnot done in the time: {}", missing.join(", "))?;
        }
        let looked_at = self.start.is_some() && self.end.is_some();
        if self.failures.is_empty() && looked_at {
            writeln!(f, "\nnothing was lost, nothing doubled, and everything is as it was")?;
        }
        Ok(())
    }
}

fn told(figure: Option<u64>) -> String {
    figure.map_or_else(|| "?".into(), |figure| figure.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let args = Args {
            time: Duration::from_secs(30),
            rate: 100,
            seed: 1,
            workers: 4,
            binary: "atlas-cluster".into(),
            dry_run: false,
        };
        let health = Health {
            deaths: 0,
            processes: 5,
            descriptors: 33,
            store: 20,
            supervisor_kib: 5000,
            worker_kib: 1000,
        };
        let counts = Counts {
            datagrams: Some(11),
            meter: Some(10),
            quarantined: Some(1),
            dropped: Some(0),
            ..Counts::default()
        };
        let mut report = Report::new(&args);
        report.quiet = Tally { sent: 11, seen: 10, quarantined: 1, ..Tally::default() };
        (report.start, report.end, report.totals) = (Some(health.clone()), Some(health), Some(counts));
        report.lasted = Duration::from_secs(1);
        report
    }

    /// What is found after `spoil`.
    fn found(spoil: impl FnOnce(&mut Report)) -> String {
        let mut report = report();
        spoil(&mut report);
        report.judge();
        report.failures.join("\n")
    }

    #[test]
    fn nothing_is_found_where_nothing_is_wrong() {
        assert_eq!(found(|_| ()), "");
        let text = report().to_string();
        assert!(text.contains("nothing was lost") && text.contains("too busy to send faster"), "{text}");
    }

    #[test]
    fn everything_that_is_wrong_is_found() {
        let lost = || Tally { sent: 5, seen: 4, lost: 1, examples: vec![7], ..Tally::default() };
        let said = found(|report| report.rows[0].tally = lost());
        assert!(said.contains("1 lost and 0 doubled of 5") && said.contains("`SIGKILL`: [7]"), "{said}");
        assert!(said.contains("counters"), "{said}");
        let doubled = Tally { sent: 10, seen: 10, doubled: 2, ..Tally::default() };
        assert!(found(|report| report.quiet = doubled).contains("0 lost and 2 doubled"));
        let healthy = |report: &mut Report| report.totals.as_mut().unwrap().quarantined = Some(2);
        assert!(found(healthy).contains("1 belong into quarantine"));
        let said = found(|report| report.add(Step::Two([0, 15]), &lost()));
        assert!(said.starts_with("1 lost and 0 doubled in `SIGKILL + reload by command`"), "{said}");
        let dropped = |report: &mut Report| report.totals.as_mut().unwrap().dropped = Some(3);
        assert!(found(dropped).starts_with("the kernel dropped 3"));
        let leak = |report: &mut Report| report.end.as_mut().unwrap().descriptors += 1;
        assert!(found(leak).contains("descriptors of the supervisor: 33 at the start, 34 at the end"));
        let fat = |report: &mut Report| report.end.as_mut().unwrap().worker_kib = 66_000;
        assert!(found(fat).contains("memory of the largest worker"));
    }
}
