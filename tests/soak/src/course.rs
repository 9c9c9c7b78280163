//! The course of a soak: start, load, one fault after another, settle, account, stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::attempt::attempt;
use crate::book::{Book, Window};
use crate::dice::Dice;
use crate::faults::{FAULTS, Hit};
use crate::health::Health;
use crate::pairs;
use crate::progress::Progress;
use crate::report::Report;
use crate::sequence::{Sequence, Step};
use crate::stage::Stage;
use harness::{Load, PATIENCE, Record, heavy, try_for};
use nix::sys::signal::Signal;

const SENDERS: usize = 64;
/// Seconds for which the ledger has room beyond the time asked for: the last fault is finished.
const OVERTIME: u64 = 120;

/// A soak under way.
struct Course<'a> {
    args: &'a Args,
    interrupted: &'a AtomicBool,
    stage: Stage,
    /// What was done, and what was sent meanwhile.
    windows: Vec<(Step, Window)>,
    report: Report,
}

/// Soaks.
///
/// # Errors
/// When it cannot be started: there is no binary, or no room for the ledger. The way out is a line of its own.
pub(crate) fn run(args: &Args, interrupted: &AtomicBool) -> Result<Report, String> {
    if !args.binary.is_file() {
        let binary = args.binary.display();
        return Err(format!("there is no binary {binary}\nhint: scripts/soak.sh builds it and runs this"));
    }
    let book = Book::new(u64::from(args.rate) * (args.time.as_secs() + OVERTIME))?;
    let not_alone =
        |why| format!("{why}\nhint: other tests hold this lock; if it is another user's, remove it");
    let _alone = attempt(heavy).map_err(not_alone)?;
    println!(
        "soak: seed {}, {} workers, {} datagrams a second from {SENDERS} senders, {:?}",
        args.seed, args.workers, args.rate, args.time
    );
    let mut report = Report::new(args);
    let stage = match attempt(|| Stage::set(args, book)) {
        Ok(stage) => stage,
        Err(why) => {
            if !interrupted.load(Ordering::Relaxed) {
                report.failures.push(format!("the cluster did not start: {why}"));
            }
            return Ok(report);
        }
    };
    let mut course = Course { args, interrupted, stage, windows: Vec::new(), report };
    course.load_and_faults();
    course.account();
    course.compare();
    Ok(course.end())
}

impl Course<'_> {
    /// The load, and faults while it lasts.
    fn load_and_faults(&mut self) {
        let started = attempt(|| {
            let targets = self.stage.cluster.targets();
            (Instant::now(), Load::start(&targets, SENDERS, self.args.rate, &self.stage.book.ledger))
        });
        let Some((began, load)) = self.note("the load did not start", started) else { return };
        let warm = attempt(|| {
            self.stage.book.wait_for_reader_of(0);
            self.stage.book.ledger.wait_for_more(u64::from(self.args.rate));
            Health::of(&self.stage)
        });
        let what = "the load does not arrive (was the binary built with --features ledger?)";
        self.report.start = self.note_unless_interrupted(what, warm);
        if self.report.start.is_some() {
            self.perform_faults(began);
        }
        let stopped = attempt(|| load.stop());
        self.report.lasted = began.elapsed();
        self.note("the load failed", stopped);
    }

    /// Until the time is over, somebody interrupts, or one goes wrong.
    fn perform_faults(&mut self, began: Instant) {
        let mut progress = Progress::new();
        for (step, dice) in Sequence::new(self.args.seed) {
            let elapsed = began.elapsed();
            if elapsed >= self.args.time || self.interrupted.load(Ordering::Relaxed) {
                break;
            }
            progress.show(format_args!(
                "soak: {} of {} s, {} faults, {} sent, now: {}",
                elapsed.as_secs(),
                self.args.time.as_secs(),
                self.windows.len(),
                self.stage.book.sent(),
                step
            ));
            if !self.perform(step, dice) {
                break;
            }
        }
        progress.clear();
    }

    /// One fault, or two; whether all went as it should.
    fn perform(&mut self, step: Step, mut dice: Dice) -> bool {
        let from = self.stage.book.sent();
        let done = attempt(|| {
            self.stage.begin();
            match step {
                Step::One(row) => {
                    let hit: Hit = (FAULTS[row].perform)(&self.stage, &mut dice);
                    (FAULTS[row].expect)(&self.stage, &hit);
                    self.stage.expect_calm();
                }
                Step::Two(rows) => {
                    let faults = rows.map(|row| &FAULTS[row]);
                    pairs::perform(&self.stage, faults, dice, &mut self.report.open);
                    self.stage.expect_calm();
                }
            }
        });
        let to = self.stage.book.sent();
        self.windows.push((step, Window { from, to }));
        let what = format!("`{step}`, number {}", self.windows.len());
        self.note_unless_interrupted(&what, done).is_some()
    }

    /// Waits for what is under way, then reads the ledger window by window.
    fn account(&mut self) {
        let book = &self.stage.book;
        let poison = self.stage.poison();
        book.settle(&poison);
        let sent = book.sent();
        let mut at = 0;
        for &(step, window) in &self.windows {
            self.report.quiet.add(&book.tally(Window { from: at, to: window.from }, &poison));
            self.report.add(step, &book.tally(window, &poison));
            at = window.to;
        }
        self.report.quiet.add(&book.tally(Window { from: at, to: sent }, &poison));
        assert_eq!(self.report.total().sent, sent, "the windows leave no gap");
    }

    /// What the cluster says itself, and what it uses now.
    fn compare(&mut self) {
        let cluster = &self.stage.cluster;
        let total = self.report.total();
        let patience = if total.lost + total.doubled == 0 { PATIENCE } else { Duration::ZERO };
        let looked = attempt(|| {
            self.stage.expect_calm();
            // The last batch is marked some microseconds before it is committed.
            let all = Some(total.seen + total.quarantined);
            let told = || cluster.try_list().filter(|list| list.cluster.totals.datagrams == all);
            let list = try_for(patience, told).unwrap_or_else(|| cluster.list());
            cluster.expect_no_address_in_use();
            let mut records: Vec<u64> = cluster.quarantine().iter().map(Record::seq).collect();
            records.sort_unstable();
            assert_eq!(
                records,
                self.stage.poison(),
                "what lies in quarantine is what is poisonous, each once"
            );
            (list.cluster.totals, Health::of(&self.stage))
        });
        if let Some((totals, health)) = self.note("at the end", looked) {
            self.report.totals = Some(totals);
            self.report.end = Some(health);
        }
        self.report.judge();
    }

    /// Stops the cluster; nothing may be left of it.
    fn end(mut self) -> Report {
        let stopped = attempt(|| {
            let Stage { cluster, outer, .. } = &self.stage;
            outer.signal(Signal::SIGTERM);
            cluster.expect_no_process();
            assert_eq!(outer.wait_for_end(), 0, "its exit code");
            // Evidence stays.
            let left = [cluster, outer].map(|one| one.files_left().join(", "));
            let expected = if self.stage.poison().is_empty() { "" } else { "quarantine" };
            assert_eq!(left, [expected, ""], "files that are left");
        });
        self.note("the stop", stopped);
        if !self.report.failures.is_empty() {
            self.report.keep_log(&self.stage.cluster.log());
        }
        let Course { stage, mut report, .. } = self;
        if let Err(why) = attempt(|| drop(stage)) {
            report.failures.push(why);
        }
        report
    }

    /// Ctrl-C reaches the commands that are under way too: that they fail then says nothing.
    fn note_unless_interrupted<T>(&mut self, what: &str, result: Result<T, String>) -> Option<T> {
        if self.interrupted.load(Ordering::Relaxed) { result.ok() } else { self.note(what, result) }
    }

    /// Notes a failure.
    fn note<T>(&mut self, what: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|why| self.report.failures.push(format!("{what}: {why}"))).ok()
    }
}
