//! `logs` and `flush`: the log files, shown and emptied. Nobody is asked: they can be read when nothing runs, too.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::thread;
use std::time::Duration;

use contract::counted;
use contract::logs::{FILE, FOLDER, Record, full_files, is_no_file, open_file, parse_text, rotated};
use jiff::Timestamp;
use regex_lite::Regex;

use super::error::Error;
use super::log_files::{self, Filter};
use super::log_follow::{self, Follower, More};
use super::terminal::{Look, print};
use super::text::clean_but_tabs;
use crate::args::{LogLines, Since};
use crate::exit::FAILED;
use crate::wire::Trouble;

/// Lines without `--lines` and `--since`.
const LINES: usize = 15;
/// The most lines that are shown of what is there already.
const MOST: usize = 1_000_000;
/// How often a file is looked at that is followed.
const EVERY: Duration = Duration::from_millis(100);

/// Where lines are that go to no file.
pub(super) const ELSEWHERE: &str = "a cluster in the foreground logs to standard error (under systemd: \
                                    `journalctl -u atlas-cluster`); for files: --daemon, log.dir";

/// Shows lines.
pub(super) fn run(runtime_dir: &Path, wanted: &LogLines) -> Result<(), Error> {
    let folder = runtime_dir.join(FOLDER);
    let failed = |e: io::Error| unreadable(&folder, &e);
    if !log_files::exist(&folder).map_err(failed)? {
        return Err(none(&folder));
    }
    let since = match &wanted.since {
        None => None,
        Some(Since::At(time)) => Some(*time),
        Some(Since::Ago(ago)) => Some(Timestamp::now().saturating_sub(*ago).unwrap_or(Timestamp::MIN)),
    };
    // It was tried when the arguments were read.
    let pattern = wanted.grep.as_deref().and_then(|pattern| Regex::new(pattern).ok());
    let filter = Filter { source: wanted.worker.clone(), since, pattern };
    let usual = if since.is_some() { MOST } else { LINES };
    let lines = wanted.lines.map_or(usual, |lines| lines.min(MOST));
    let mut follower = Follower::at_the_end(&folder).map_err(failed)?;
    let last = follower.last(&filter, lines).map_err(failed)?;
    show(last.lines)?;
    warn(&last.damaged);
    if !wanted.follow {
        return Ok(());
    }
    loop {
        let More { lines, missed, again } = follower.more(&filter).map_err(failed)?;
        show(lines)?;
        warn(&missed);
        if !again {
            thread::sleep(EVERY);
        }
    }
}

fn warn(missed: &[String]) {
    missed.iter().for_each(|what| super::complain(&format!("atlas-cluster: warning: {what}\n")));
}

fn show(lines: impl IntoIterator<Item = String>) -> Result<(), Error> {
    let terminal = Look::now().terminal;
    let mut text = String::new();
    for line in lines {
        text.push_str(&if terminal { clean_but_tabs(&line) } else { line });
        text.push('\n');
    }
    if text.is_empty() { Ok(()) } else { print(&text) }
}

/// Empties the current file and removes the full ones. The logger appends: what it writes next begins at the start.
pub(super) fn flush(runtime_dir: &Path) -> Result<(), Error> {
    let folder = runtime_dir.join(FOLDER);
    if !log_files::exist(&folder).map_err(|e| unreadable(&folder, &e))? {
        return Err(none(&folder));
    }
    let gone = |result: io::Result<()>| match result {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    };
    let empty = || {
        // First: if this one is filled meanwhile, it is emptied under its new name.
        let current = open_file(fs::File::options().write(true), &folder.join(FILE));
        let full = rotated(&folder)?.len();
        // What a compression that was killed left, too.
        let remove = || full_files(&folder)?.iter().try_for_each(|(_, path)| gone(fs::remove_file(path)));
        remove()?;
        gone(current.and_then(|file| file.set_len(0)))?;
        remove()?; // what was filled, or being compressed, meanwhile
        io::Result::Ok(full)
    };
    let full = empty().map_err(|e| {
        let message = format!("cannot empty the log files in {}: {e}", folder.display());
        Error::Refused(Trouble { message, hint: Some(way_out(&e)), exit: FAILED })
    })?;
    print(&format!("flush done: {FILE} is empty, {} removed\n", counted(full as u64, "full file")))
}

/// The last lines that came after `since`, for people; nothing where there are none.
pub(super) fn last_lines(folder: &Path, most: usize, since: Timestamp) -> String {
    let filter = Filter { since: Some(since), ..Filter::default() };
    let lines = log_follow::last(folder, &filter, most).unwrap_or_default();
    lines.iter().map(|line| format!("  {}\n", clean_but_tabs(line))).collect()
}

/// A line as narrow as it can be: the time of day, who wrote it, what; of JSON, too.
pub(super) fn short(line: &str) -> String {
    let record = || serde_json::from_str::<Record<'_>>(line).ok();
    let line = match record() {
        Some(Record { time, source, message, .. }) => format!("{time} [{source}] {message}"),
        None => line.to_owned(),
    };
    let time = parse_text(&line).map(|(time, _)| time);
    let of_day = time.and_then(|time| Some((time.get(11..19)?, line.get(time.len()..)?)));
    let short = of_day.map_or_else(|| line.clone(), |(of_day, rest)| format!("{of_day}{rest}"));
    clean_but_tabs(&short).replace('\t', "    ")
}

fn none(folder: &Path) -> Error {
    let message = format!("there are no log files in {}", folder.display());
    Error::Refused(Trouble { message, hint: Some(ELSEWHERE.into()), exit: FAILED })
}

fn unreadable(folder: &Path, why: &io::Error) -> Error {
    let message = format!("cannot read the log files in {}: {why}", folder.display());
    Error::Refused(Trouble { message, hint: Some(way_out(why)), exit: FAILED })
}

fn way_out(why: &io::Error) -> String {
    if is_no_file(why) {
        format!("{FILE} is not a file: move away what is there, and the logger makes a new one")
    } else {
        "run this as the cluster's user".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_line_keeps_what_there_is_room_for() {
        let text = "2026-01-31T18:30:00.123Z [link] a\tb\u{1b}[2J";
        assert_eq!(short(text), "18:30:00 [link] a    b\u{fffd}[2J");
        let json = r#"{"time":"2026-01-31T18:30:00.123Z","source":"3","level":"warn","message":"x"}"#;
        assert_eq!(short(json), "18:30:00 [3] x");
        assert_eq!([short("no time [x] y"), short("")], ["no time [x] y", ""]);
    }
}
