//! What the kernel says of processes: /proc.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What processes have used so far, all their threads together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// CPU time, user and system, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Context switches: a process that sleeps and is woken makes one for each time.
    pub(crate) switches: u64,
}

impl Usage {
    /// What was used since `earlier`.
    pub(crate) fn since(self, earlier: Usage) -> Usage {
        Usage {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }
}

/// The processes below `root`, itself the first. A process that comes or goes meanwhile may be missing.
pub(crate) fn tree(root: i32) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for pid in numbers(Path::new("/proc")) {
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(pid) = tree.get(next) {
        tree.extend(children.get(pid).into_iter().flatten());
        next += 1;
    }
    tree
}

/// The sum over `pids`; those that are gone count nothing.
pub(crate) fn usage(pids: &[i32]) -> Usage {
    let mut sum = Usage::default();
    for &pid in pids {
        let folder = format!("/proc/{pid}/task");
        for thread in numbers(Path::new(&folder)) {
            // Time on the CPU to the nanosecond, as the scheduler has it (Documentation/scheduler/sched-stats.rst).
            let time = fs::read_to_string(format!("{folder}/{thread}/schedstat")).unwrap_or_default();
            sum.cpu_ns += first_number(&time);
            let status = fs::read_to_string(format!("{folder}/{thread}/status")).unwrap_or_default();
            sum.switches += field(&status, "voluntary_ctxt_switches:");
            sum.switches += field(&status, "nonvoluntary_ctxt_switches:");
        }
    }
    sum
}

/// Whether the kernel tells CPU time to the nanosecond at all.
pub(crate) fn tells_time() -> bool {
    fs::read_to_string("/proc/self/schedstat").is_ok_and(|text| text.split_whitespace().count() == 3)
}

/// Proportional set size in bytes: a page that several share counts in parts.
pub(crate) fn pss(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    field(&text, "Pss:") * 1024
}

/// Whether it runs: not gone, and no zombie.
pub(crate) fn lives(pid: i32) -> bool {
    after_name(pid).is_some_and(|rest| !rest.trim_start().starts_with('Z'))
}

/// Whether it waits for something, under that name (/proc/PID/comm).
pub(crate) fn sleeps(pid: i32, name: &str) -> bool {
    let own = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    own.trim_end() == name && after_name(pid).is_some_and(|rest| rest.trim_start().starts_with('S'))
}

/// Sends a signal; one that is gone misses it.
pub(crate) fn signal(pid: i32, signal: Signal) {
    if pid > 1 {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// SIGKILL to those of `pids` that have not ended within `patience`; none lives on the return, or the kernel holds it.
pub(crate) fn end(pids: &[i32], patience: Duration) {
    let gone = |patience| {
        let deadline = Instant::now() + patience;
        while pids.iter().any(|&pid| lives(pid)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
    };
    gone(patience);
    pids.iter().filter(|&&pid| lives(pid)).for_each(|&pid| signal(pid, Signal::SIGKILL));
    gone(patience);
}

fn parent(pid: i32) -> Option<i32> {
    after_name(pid)?.split_whitespace().nth(1)?.parse().ok()
}

/// /proc/PID/stat from the state on: what stands before is a name that may contain anything.
fn after_name(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')').map(|(_, rest)| rest.to_owned())
}

/// The entries of a folder that are numbers.
fn numbers(folder: &Path) -> impl Iterator<Item = i32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn first_number(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The number behind a name at the start of a line.
fn field(text: &str, name: &str) -> u64 {
    text.lines().find_map(|line| line.strip_prefix(name)).map_or(0, first_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, id};

    fn own() -> i32 {
        i32::try_from(id()).unwrap()
    }

    #[test]
    fn a_tree_holds_its_root_and_those_below() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let tree = tree(own());
        assert_eq!(tree[0], own());
        assert!(tree.contains(&pid) && lives(pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!lives(pid));
    }

    #[test]
    fn what_is_used_only_grows() {
        let before = usage(&[own()]);
        let mut sum = 0u64;
        while usage(&[own()]).since(before).cpu_ns < 2_000_000 {
            sum = sum.wrapping_mul(31).wrapping_add(1);
        }
        assert!(tells_time() && pss(own()) > 4096);
        assert_eq!(usage(&[]), Usage::default());
        assert_ne!(sum, 1);
    }

    #[test]
    fn fields_are_found_at_the_start_of_a_line_alone() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(field(status, "voluntary_ctxt_switches:"), 12);
        assert_eq!(field(status, "nonvoluntary_ctxt_switches:"), 3);
        assert_eq!(field("Pss:                1234 kB\n", "Pss:"), 1234);
        assert_eq!(first_number("77 2 3"), 77);
    }
}
