//! What the log tells: one line for each event of a lifecycle, what repeats at a limited rate.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

use contract::counted;
use log::Level;
use nix::libc::EINVAL;

use super::budget::Budget;
use super::children::{Ending, Process};
use super::{Shell, foreign};
use crate::core::{Generation, News, Run, Slot};
use crate::exit;

/// Deaths that are remembered, for answers that come after them.
const MAX_DEATHS: usize = 256;
/// How a process ended, and what it said last.
pub(super) struct Death {
    generation: Option<Generation>,
    pid: Option<i32>,
    ending: Result<Ending, String>,
    lived: Duration,
    last_words: Option<(String, i32)>,
    was_bound: bool,
}

impl Death {
    /// What it said of its end, and the errno behind it.
    pub(super) fn last_words(&self) -> Option<(&str, i32)> {
        self.last_words.as_ref().map(|(words, errno)| (words.as_str(), *errno))
    }

    /// By whatever signal.
    pub(super) fn was_killed(&self) -> bool {
        matches!(self.ending, Ok(Ending::Signal(_)))
    }

    /// What a launcher said whose bind the kernel refused.
    pub(super) fn refused_to_bind(&self) -> Option<&(String, i32)> {
        let refused = self.ending == Ok(Ending::Code(i32::from(exit::PORT))) && !self.was_bound;
        self.last_words.as_ref().filter(|_| refused)
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(generation) = self.generation {
            write!(f, "gen {} ", generation.0)?;
        }
        if let Some(pid) = self.pid {
            write!(f, "pid {pid} ")?;
        }
        match &self.ending {
            Ok(ending) => write!(f, "{ending} after {}", Short(self.lived))?,
            Err(why) => write!(f, "could not be started: {why}")?,
        }
        self.last_words.as_ref().map_or(Ok(()), |(words, _)| write!(f, ": {words}"))
    }
}

/// A time as people say it: `312 ms`, `4.2 s`, `1h 2m 3s`.
pub(super) struct Short(pub(super) Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..=59 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            seconds => write!(f, "{}", humantime::format_duration(Duration::from_secs(seconds))),
        }
    }
}

/// Keeps what the log needs beside the event itself.
pub(super) struct Reporter {
    deaths: BTreeMap<Run, Death>,
    /// Lines of lifecycles: a worker that dies at once, restarted at once, must not fill a disk.
    lives: Budget,
    /// Those of them that tell who has come or retired: somebody who scales about must not use up the room for deaths.
    comings: Budget,
    /// Lines that children cause by what they say: among them each processor that the link finds or loses, all 64 of them
    /// at once.
    said: Budget,
    garbage: u64,
    /// The size that was asked for when the kernel last granted less.
    buffer_missed: u64,
}

impl Default for Reporter {
    fn default() -> Reporter {
        Reporter {
            deaths: BTreeMap::new(),
            lives: Budget::new(400, 2),
            comings: Budget::new(400, 2),
            said: Budget::new(400, 1),
            garbage: 0,
            buffer_missed: 0,
        }
    }
}

impl Reporter {
    pub(super) fn note_death(&mut self, run: Run, process: &Process, ending: Ending, was_bound: bool) {
        self.remember(
            run,
            Death {
                generation: Some(process.generation),
                pid: Some(process.pid.as_raw()),
                ending: Ok(ending),
                lived: super::clock::since(process.born),
                last_words: process.last_words.clone(),
                was_bound,
            },
        );
    }

    pub(super) fn note_unborn(&mut self, run: Run, why: &io::Error) {
        let ending = Err(why.to_string());
        let lived = Duration::ZERO;
        self.remember(
            run,
            Death { generation: None, pid: None, ending, lived, last_words: None, was_bound: false },
        );
    }

    fn remember(&mut self, run: Run, death: Death) {
        self.deaths.insert(run, death);
        while self.deaths.len() > MAX_DEATHS {
            self.deaths.pop_first();
        }
    }

    pub(super) fn death(&self, run: Run) -> Option<&Death> {
        self.deaths.get(&run)
    }

    /// Something a child had to say.
    pub(super) fn status(&mut self, who: &str, text: &str) {
        self.said.log(Level::Info, format_args!("{who}: {text}"));
    }

    /// Something a child warns of.
    pub(super) fn warning(&mut self, who: &str, text: &str) {
        self.said.warn(format_args!("{who}: {text}"));
    }

    /// Something a child should not have said.
    pub(super) fn garbage(&mut self, who: &str, what: &str) {
        self.garbage += 1;
        self.said.warn(format_args!("{who} {what} ({} so far)", counted(self.garbage, "such message")));
    }

    /// Says, once for each size, that the kernel grants less than the configured receive buffer.
    pub(super) fn short_buffer(&mut self, granted: u64, wanted: u64) {
        // The kernel counts double, up to INT_MAX: of 1 GiB it grants a byte less.
        if granted + 1 < wanted && self.buffer_missed != wanted {
            self.buffer_missed = wanted;
            log::warn!(
                "the kernel grants {granted} of the {wanted} bytes of receive_buffer; \
                 allow it: sysctl -w net.core.rmem_max={wanted}"
            );
        }
    }
}

/// The kernel refuses a steering program; it is tried again and again. EINVAL: the socket is in no group any more.
pub(super) fn cannot_steer(bound: u8, mask: u64, why: &io::Error) {
    let hint = if why.raw_os_error() == Some(EINVAL) {
        format!("; {}", foreign::LEAVE_SOCKETS)
    } else {
        String::new()
    };
    log::error!("cannot steer {bound} workers to the mask {mask:#x}, trying on: {why}{hint}");
}

impl Shell {
    /// One line for one piece of news; what else follows from it, `react` does.
    pub(super) fn tell(&mut self, news: News) {
        let (level, line) = self.line(news);
        let budget = match news {
            News::Online { .. } | News::Drains { .. } | News::Retired(_) => &mut self.news.comings,
            News::AllOnline
            | News::Waiting { .. }
            | News::RestartNow { .. }
            | News::Errored { .. }
            | News::Finished { .. }
            | News::Silent { .. }
            | News::TooLate { .. }
            | News::KillTimeout { .. }
            | News::TooFat { .. }
            | News::ReloadStarted(_)
            | News::ReloadCommitted(_)
            | News::ReloadFailed(_) => &mut self.news.lives,
        };
        budget.log(level, format_args!("{line}"));
    }

    fn line(&self, news: News) -> (Level, String) {
        match news {
            News::Online { slot, run, generation } => (
                Level::Info,
                format!("{} gen {} pid {} online", self.name(slot), generation.0, self.pid(run)),
            ),
            News::Drains { slot, run } => {
                let pid = self.pid(run);
                (Level::Info, format!("{} pid {pid} reads what is left in the retired slot", self.name(slot)))
            }
            News::AllOnline => {
                let (workers, listen) =
                    (counted(self.fleet.wanted().into(), "worker"), super::view::join(self.kept.listen()));
                let pid = std::process::id();
                (Level::Info, format!("cluster online: {workers} on UDP {listen}, pid {pid}"))
            }
            News::Waiting { slot, run, delay, unstable } => {
                let times = if unstable > 1 {
                    format!(" ({unstable} unstable runs in a row)")
                } else {
                    String::new()
                };
                (Level::Warn, format!("{}; restart in {}{times}", self.death_line(slot, run), Short(delay)))
            }
            News::RestartNow { slot, run } => {
                (Level::Warn, format!("{}; restart at once", self.death_line(slot, run)))
            }
            News::Errored { slot, unstable } => {
                let what = format!("{} errored after {unstable} unstable runs in a row", self.name(slot));
                (Level::Error, format!("{what}; `atlas-cluster restart` tries again"))
            }
            News::Finished { slot, run } => (
                Level::Info,
                format!("{}; not restarted, as worker.stop_exit_codes says", self.death_line(slot, run)),
            ),
            News::Silent { slot, run } => {
                (Level::Error, self.killed(slot, run, "gave no sign of life within worker.watchdog"))
            }
            News::TooLate { slot, run } => (Level::Error, self.killed(slot, run, &self.health.too_late(run))),
            News::KillTimeout { slot, run } => {
                (Level::Warn, self.killed(slot, run, "did not leave within worker.kill_timeout"))
            }
            News::TooFat { slot, run } => {
                let what = format!("{} pid {} uses more memory", self.name(slot), self.pid(run));
                (Level::Warn, format!("{what} than max_memory_restart; a successor is started"))
            }
            News::ReloadStarted(Generation(number)) => {
                (Level::Info, format!("reload to gen {number}: preparing a successor for every worker"))
            }
            News::ReloadCommitted(Generation(number)) => {
                (Level::Info, format!("reload to gen {number}: all successors are ready and take over"))
            }
            // With its reason when the order is answered.
            News::ReloadFailed(Generation(number)) => {
                (Level::Debug, format!("reload to gen {number}: the successors are told to leave"))
            }
            News::Retired(slot) => (Level::Info, format!("{} retired", self.name(slot))),
        }
    }

    fn killed(&self, slot: Slot, run: Run, why: &str) -> String {
        format!("{} pid {} {why}; killed", self.name(slot), self.pid(run))
    }

    /// Of one that is reaped too: READY and death may be heard in one turn.
    fn pid(&self, run: Run) -> i32 {
        let living = self.children.get(run).map(|process| process.pid.as_raw());
        living.or_else(|| self.news.death(run)?.pid).unwrap_or(0)
    }

    fn death_line(&self, slot: Slot, run: Run) -> String {
        match self.news.death(run) {
            Some(death) => format!("{} {death}", self.name(slot)),
            // Not reaped yet: it failed us.
            None => format!("{} pid {} being killed", self.name(slot), self.pid(run)),
        }
    }
}
