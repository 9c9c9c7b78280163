//! What the log tells: one line for each event of a lifecycle, what repeats at a limited rate.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::Shell;
use super::children::{Ending, Process};
use crate::core::{Generation, News, Run, Slot};
use crate::exit;

/// Deaths that are remembered, for answers that come after them.
const MAX_DEATHS: usize = 256;
/// Lines that children may cause in [`WINDOW`], all together.
const MAX_LINES: u32 = 50;
const WINDOW: Duration = Duration::from_secs(10);

/// How a process ended, and what it said last.
pub(super) struct Death {
    generation: Option<Generation>,
    pid: Option<i32>,
    ending: Result<Ending, String>,
    lived: Duration,
    last_words: Option<String>,
    was_bound: bool,
}

impl Death {
    /// What a launcher said whose bind the kernel refused.
    pub(super) fn refused_to_bind(&self) -> Option<&str> {
        let refused = self.ending == Ok(Ending::Code(i32::from(exit::PORT))) && !self.was_bound;
        self.last_words.as_deref().filter(|_| refused)
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
        self.last_words.as_ref().map_or(Ok(()), |words| write!(f, ": {words}"))
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
#[derive(Default)]
pub(super) struct Reporter {
    deaths: BTreeMap<Run, Death>,
    /// Lines in the window that began then.
    window: Option<(Instant, u32)>,
    left_out: u64,
    garbage: u64,
    /// The size that was asked for when the kernel last granted less.
    buffer_missed: u64,
}

impl Reporter {
    pub(super) fn note_death(&mut self, run: Run, process: &Process, ending: Ending, was_bound: bool) {
        self.remember(
            run,
            Death {
                generation: Some(process.generation),
                pid: Some(process.pid.as_raw()),
                ending: Ok(ending),
                lived: process.born.elapsed(),
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

    /// A line that a child caused; whether it may be written.
    fn may_write(&mut self) -> bool {
        let now = Instant::now();
        match &mut self.window {
            Some((began, lines)) if now.duration_since(*began) < WINDOW => {
                *lines += 1;
                if *lines > MAX_LINES {
                    self.left_out += 1;
                    return false;
                }
            }
            Some(_) | None => {
                self.window = Some((now, 1));
                let left_out = std::mem::take(&mut self.left_out);
                if left_out > 0 {
                    log::warn!("{left_out} lines that workers caused were left out");
                }
            }
        }
        true
    }

    /// Something a child had to say.
    pub(super) fn status(&mut self, who: &str, text: &str) {
        if self.may_write() {
            log::info!("{who}: {text}");
        }
    }

    /// Something a child should not have said.
    pub(super) fn garbage(&mut self, who: &str, what: &str) {
        self.garbage += 1;
        if self.may_write() {
            log::warn!("{who} {what} ({} such messages so far)", self.garbage);
        }
    }

    /// Says, once for each size, that the kernel grants less than the configured receive buffer.
    pub(super) fn short_buffer(&mut self, granted: u64, wanted: u64) {
        if granted < wanted && self.buffer_missed != wanted {
            self.buffer_missed = wanted;
            log::warn!(
                "the kernel grants {granted} of the {wanted} bytes of receive_buffer; \
                 allow it: sysctl -w net.core.rmem_max={wanted}"
            );
        }
    }
}

impl Shell {
    /// One line for one piece of news.
    pub(super) fn tell(&mut self, news: News) {
        match news {
            News::Online { slot, run, generation } => {
                if let Some(process) = self.children.get_mut(run) {
                    process.in_charge = true;
                }
                log::info!("{} gen {} pid {} online", self.name(slot), generation.0, self.pid(run));
            }
            News::AllOnline => {
                log::info!(
                    "cluster online: {} workers on UDP {}, pid {}",
                    self.fleet.wanted(),
                    super::view::join(self.kept.listen()),
                    std::process::id()
                );
                self.upward.ready();
            }
            News::Waiting { slot, run, delay, unstable } => {
                let times = if unstable > 1 {
                    format!(" ({unstable} unstable runs in a row)")
                } else {
                    String::new()
                };
                log::warn!("{}; restart in {}{times}", self.death_line(slot, run), Short(delay));
            }
            News::RestartNow { slot, run } => log::warn!("{}; restart at once", self.death_line(slot, run)),
            News::Errored { slot, unstable } => log::error!(
                "{} errored after {unstable} unstable runs in a row; `atlas-cluster restart` tries again",
                self.name(slot)
            ),
            News::Silent { slot, run } => {
                log::error!(
                    "{} pid {} gave no sign of life within worker.watchdog; killed",
                    self.name(slot),
                    self.pid(run)
                );
            }
            News::TooLate { slot, run } => log::error!(
                "{} pid {} was not ready within worker.listen_timeout; killed",
                self.name(slot),
                self.pid(run)
            ),
            News::KillTimeout { slot, run } => log::warn!(
                "{} pid {} did not leave within worker.kill_timeout; killed",
                self.name(slot),
                self.pid(run)
            ),
            News::TooFat { slot, run } => log::warn!(
                "{} pid {} uses more memory than max_memory_restart; a successor is started",
                self.name(slot),
                self.pid(run)
            ),
            News::ReloadStarted(generation) => {
                log::info!("reload to gen {}: preparing a successor for every worker", generation.0);
            }
            News::ReloadCommitted(generation) => {
                log::info!("reload to gen {} done: all successors are ready and take over", generation.0);
                self.size_buffers();
            }
            News::ReloadFailed(_) => {} // said with its reason when the order is answered
            News::Retired(slot) => log::info!("{} retired", self.name(slot)),
        }
    }

    fn pid(&self, run: Run) -> i32 {
        self.children.get(run).map_or(0, |process| process.pid.as_raw())
    }

    fn death_line(&self, slot: Slot, run: Run) -> String {
        match self.news.death(run) {
            Some(death) => format!("{} {death}", self.name(slot)),
            None => format!("{} pid {}", self.name(slot), self.pid(run)),
        }
    }
}
