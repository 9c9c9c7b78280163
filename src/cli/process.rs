//! What /proc tells of one process: memory, CPU time, and whether it is still the same one.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use nix::unistd::{SysconfVar, sysconf};

use crate::memory;

/// What is read of /proc/PID/stat at most.
const MAX_STAT: u64 = 4096;

/// Microseconds of CLOCK_BOOTTIME, the clock of the meter table.
pub(super) fn boot_micros() -> u64 {
    u64::try_from(contract::clock::boot().as_micros()).unwrap_or(u64::MAX)
}

/// A process for all time: pids are used again, a pid with its start time is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pid: u32,
    start: u64,
}

impl Identity {
    /// The process that has this pid now; None if there is none, or only what is left for its parent to wait for.
    pub(super) fn of(pid: u32) -> Option<Identity> {
        let stat = Stat::of(pid)?;
        (!stat.over).then_some(Identity { pid, start: stat.start })
    }

    /// Whether it still runs.
    pub(super) fn lives(self) -> bool {
        Identity::of(self.pid) == Some(self)
    }
}

/// Whether it stands still, by SIGSTOP or under a debugger.
pub(super) fn is_stopped(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.stopped)
}

/// Resident memory and CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// Resident memory in bytes.
    pub(super) memory_bytes: Option<u64>,
    /// CPU time over the process's life, in percent of one CPU, to a tenth.
    pub(super) cpu_percent: Option<f64>,
}

impl Usage {
    /// That of the process with this pid; without figures if there is none.
    pub(super) fn of(pid: u32) -> Usage {
        let ticks = config(SysconfVar::CLK_TCK).filter(|ticks| *ticks > 0);
        let cpu_percent =
            Stat::of(pid).zip(ticks).map(|(stat, ticks)| stat.cpu_percent(ticks, boot_micros()));
        Usage { memory_bytes: memory::resident(pid), cpu_percent }
    }
}

/// The fields of /proc/PID/stat that are used here; times in ticks.
#[derive(Debug, PartialEq)]
struct Stat {
    /// It is dead, but its parent has not waited for it yet.
    over: bool,
    /// It stands still, by a signal or under a debugger.
    stopped: bool,
    cpu: u64,
    start: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Stat> {
        Stat::parse(&read(pid, "stat", MAX_STAT)?)
    }

    /// The name, in parentheses, may contain anything; the fields begin behind the last one.
    fn parse(text: &str) -> Option<Stat> {
        let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
        let state = fields.next()?;
        let (over, stopped) = (matches!(state, "Z" | "X" | "x"), matches!(state, "T" | "t"));
        // State is field 3; utime, stime and starttime are fields 14, 15 and 22 (proc_pid_stat(5)).
        let user: u64 = fields.nth(10)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        let start = fields.nth(6)?.parse().ok()?;
        Some(Stat { over, stopped, cpu: user.saturating_add(system), start })
    }

    fn cpu_percent(&self, ticks_per_second: u64, now_micros: u64) -> f64 {
        let ticks_per_second = ticks_per_second as f64;
        let life = now_micros as f64 / 1e6 - self.start as f64 / ticks_per_second;
        // A process younger than a tick has no figure worth the name.
        let percent = 100.0 * self.cpu as f64 / ticks_per_second / life.max(1.0 / ticks_per_second);
        (percent * 10.0).round() / 10.0
    }
}

fn config(variable: SysconfVar) -> Option<u64> {
    u64::try_from(sysconf(variable).ok()??).ok()
}

/// A file of /proc/PID, at most so many bytes of it.
pub(super) fn read(pid: u32, file: &str, most: u64) -> Option<String> {
    let file = File::open(Path::new("/proc").join(pid.to_string()).join(file)).ok()?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const STAT: &str =
        "4001 (a) b (c) S 4000 4001 4000 0 -1 4194560 187 0 0 0 150 50 0 0 20 0 1 0 1000 2285568 350 0";

    #[test]
    fn a_name_may_contain_what_it_likes() {
        assert_eq!(Stat::parse(STAT), Some(Stat { over: false, stopped: false, cpu: 200, start: 1000 }));
    }

    #[test]
    fn who_is_stopped_is_seen_to_be() {
        let stopped = |state: &str| Stat::parse(&STAT.replace(" S ", state)).unwrap().stopped;
        assert_eq!([" S ", " T ", " t ", " R "].map(stopped), [false, true, true, false]);
        assert!(!is_stopped(std::process::id()));
    }

    #[test]
    fn garbage_is_no_process() {
        for text in ["", ")", "1 (a)", "1 (a) S", &STAT.replace("150", "x"), &STAT[..STAT.len() - 30]] {
            assert_eq!(Stat::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn cpu_time_is_shared_out_over_the_life() {
        let stat = Stat { over: false, stopped: false, cpu: 200, start: 1000 };
        assert_eq!(stat.cpu_percent(100, 50_000_000), 5.0, "2 s of CPU in 40 s");
        assert!(stat.cpu_percent(100, 0).is_finite(), "a clock that stands before the start");
    }

    #[test]
    fn this_process_lives_and_uses_memory() {
        let me = std::process::id();
        let usage = Usage::of(me);
        assert!(usage.memory_bytes.is_some_and(|bytes| bytes > 100_000) && usage.cpu_percent.is_some());
        assert!(Identity::of(me).is_some_and(Identity::lives));
        assert_eq!((Usage::of(u32::MAX), Identity::of(u32::MAX)), (Usage::default(), None));
        let other = Identity { pid: me, start: 0 };
        assert!(!other.lives(), "the same pid, another process");
    }

    #[test]
    fn a_zombie_does_not_live() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while Identity::of(child.id()).is_some() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(Identity::of(child.id()), None);
        child.wait().unwrap();
    }
}
