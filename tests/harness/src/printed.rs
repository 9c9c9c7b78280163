//! What programs printed (tests/programs/printer.py), against what stands in the log files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Builder, Cluster, Place, python, wait_until};

/// The printers of one place.
#[derive(Clone, Debug)]
pub struct Printed {
    folder: PathBuf,
}

impl Builder {
    /// Every worker prints lines, with such a pause (in seconds) after each.
    #[must_use]
    pub fn printing(self, place: &Place, pause: &str) -> Builder {
        let program = format!("{}/../programs/printer.py", env!("CARGO_MANIFEST_DIR"));
        let folder = place.folder().to_str().expect("text").to_owned();
        self.place(place).program([python(), &program, pause, &folder])
    }
}

impl Printed {
    /// Those that print for clusters in that place.
    #[must_use]
    pub fn of(place: &Place) -> Printed {
        Printed { folder: place.folder().to_owned() }
    }

    /// How many lines each one printed for certain, by slot and pid.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(u32, i32), u64> {
        let mut counts = BTreeMap::new();
        for entry in fs::read_dir(&self.folder).expect("the place").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((slot, pid)) = name.strip_prefix("printed.").and_then(|rest| rest.split_once('.'))
            else {
                continue;
            };
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let count = text.parse().unwrap_or(0);
            counts.insert((slot.parse().expect("a slot"), pid.parse().expect("a pid")), count);
        }
        counts
    }

    /// How many lines were printed in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts().values().sum()
    }

    /// Waits until every worker that prints has printed so many more.
    #[track_caller]
    pub fn wait_for_more(&self, lines: u64) {
        let before = self.total();
        wait_until(format_args!("{lines} more lines"), || self.total() >= before + lines);
    }

    /// Each line that was printed stands in the files exactly once, in its order; the last one of each process may have
    /// been printed and not counted. Answers how many there are.
    ///
    /// # Panics
    /// When one is lost, doubled, or out of order.
    #[track_caller]
    pub fn expect_all_once(&self, text: &str) -> u64 {
        let mut next: BTreeMap<i32, u64> = BTreeMap::new();
        for line in text.lines() {
            let Some((_, rest)) = line.split_once("] line ") else { continue };
            let (pid, number) = rest.split_once(' ').unwrap_or_else(|| panic!("half a line: {line}"));
            let pid = pid.parse().unwrap_or_else(|e| panic!("{e}: {line}"));
            let expected = next.entry(pid).or_default();
            let number: u64 = number.parse().unwrap_or_else(|e| panic!("{e}: {line}"));
            assert_eq!(number, *expected, "the next line of pid {pid}");
            *expected += 1;
        }
        for ((slot, pid), printed) in self.counts() {
            let found = next.remove(&pid).unwrap_or(0);
            let fits = found == printed || found == printed + 1;
            assert!(fits, "slot {slot} pid {pid} printed {printed} lines, and {found} are in the files");
        }
        assert!(next.is_empty(), "lines of nobody: {next:?}");
        text.lines().count() as u64
    }
}

impl Printed {
    /// Each line that was printed stands in the files exactly once, in its order, or was left out of a flood and is counted
    /// once, where it would stand. No worker may have been replaced. Answers how many were written, and how many left out.
    ///
    /// # Panics
    /// When one is lost, doubled, out of order, or counted in another place.
    #[track_caller]
    pub fn expect_all_told(&self, text: &str) -> (u64, u64) {
        let (mut next, mut written, mut left_out): (BTreeMap<u32, u64>, _, _) = (BTreeMap::new(), 0, 0);
        for line in text.lines() {
            let Some((source, said)) = line.split_once(" [").and_then(|(_, rest)| rest.split_once("] "))
            else {
                panic!("half a line: {line}")
            };
            let Ok(slot) = source.parse() else { continue };
            let expected = next.entry(slot).or_default();
            let told = [" lines were left out here", " line was left out here"];
            if let Some((number, _)) = told.iter().find_map(|told| said.split_once(told)) {
                let number: u64 = number.parse().unwrap_or_else(|e| panic!("{e}: {line}"));
                (*expected, left_out) = (*expected + number, left_out + number);
            } else if let Some((_, number)) = said.strip_prefix("line ").and_then(|rest| rest.split_once(' '))
            {
                assert_eq!(number.parse(), Ok(*expected), "the next line of slot {slot}: {line}");
                (*expected, written) = (*expected + 1, written + 1);
            }
        }
        for ((slot, _), printed) in self.counts() {
            let found = next.remove(&slot).unwrap_or(0);
            let fits = found == printed || found == printed + 1;
            assert!(
                fits,
                "slot {slot} printed {printed} lines, and {found} are in the files or counted there"
            );
        }
        (written, left_out)
    }
}

/// All log files of a folder, the oldest first.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn log_text(folder: &Path) -> String {
    log_files(folder).iter().map(|path| read(path)).collect()
}

/// The log files of a folder, the oldest first: of one that is being compressed, or was when its logger was killed, the
/// plain one.
///
/// # Panics
/// When the folder cannot be read.
#[must_use]
pub fn log_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: BTreeMap<u64, PathBuf> = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder of the logs").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix("atlas-cluster.log").filter(|rest| !rest.ends_with(".part"))
        else {
            continue;
        };
        let number = rest.trim_start_matches('.').trim_end_matches(".gz").parse().unwrap_or(u64::MAX);
        if !(rest.ends_with(".gz") && files.contains_key(&number)) {
            files.insert(number, entry.path());
        }
    }
    files.into_values().collect()
}

fn read(path: &Path) -> String {
    if path.extension().is_some_and(|extension| extension == "gz") {
        let output = Command::new("gzip").arg("-dc").arg(path).output().expect("gzip (Debian: gzip) runs");
        assert!(output.status.success(), "{output:?}");
        return String::from_utf8(output.stdout).expect("text");
    }
    fs::read_to_string(path).expect("a log file")
}

impl Cluster {
    /// Pid of the logger, if it has one and that is online.
    #[must_use]
    pub fn logger(&self) -> Option<i32> {
        let roles = self.try_list()?.roles;
        roles.iter().find(|role| role.name == "logger" && role.state == "online")?.pid
    }
}
