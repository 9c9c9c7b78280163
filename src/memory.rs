//! Resident memory of a process, as /proc tells it.

use std::fs::File;
use std::io::Read;

use nix::unistd::{SysconfVar, sysconf};

/// What is read of the file at most.
const MAX_FILE: u64 = 4096;

/// In bytes (proc_pid_statm(5)); None if there is no such process, or only what is left for its parent to wait for.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let mut text = String::new();
    File::open(format!("/proc/{pid}/statm")).ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
    let page = u64::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()?;
    resident_pages(&text)?.checked_mul(page)
}

fn resident_pages(statm: &str) -> Option<u64> {
    // A process that has ended and is not reaped yet has no memory: that is no figure.
    statm.split_ascii_whitespace().nth(1)?.parse().ok().filter(|pages| *pages > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_nobody_has_none() {
        assert!(resident(std::process::id()).is_some_and(|bytes| bytes > 100_000));
        assert_eq!(resident(u32::MAX), None);
        let pages = ["", "1 x", "9 0 5", "9 7 5"].map(resident_pages);
        assert_eq!(pages, [None, None, None, Some(7)]);
    }
}
