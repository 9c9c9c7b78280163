//! How the scripts say what they have stored: a file for each process, written when SIGUSR2 asks.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::process;
use crate::trouble::Trouble;
use crate::wait::wait_for;

/// The folder that the scripts write to.
pub(crate) struct Tally {
    folder: PathBuf,
}

impl Tally {
    pub(crate) fn new(folder: &Path) -> Tally {
        Tally { folder: folder.to_owned() }
    }

    /// The processes that have said that they are ready, the dead among them.
    pub(crate) fn ready(&self) -> Vec<i32> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".ready")?.parse().ok()).collect()
    }

    /// What those that are ready, and live, have stored.
    pub(crate) fn stored(&self) -> Result<u64, Trouble> {
        let mut sum = 0;
        for pid in self.ready().into_iter().filter(|&pid| process::lives(pid)) {
            let before = self.read(pid).map_or(0, |(asked, _)| asked);
            process::signal(pid, Signal::SIGUSR2);
            sum += wait_for(format_args!("process {pid} says what it has stored"), || {
                Ok(self.read(pid).filter(|(asked, _)| *asked > before).map(|(_, stored)| stored))
            })?;
        }
        Ok(sum)
    }

    /// How often a process was asked, and what it answered last.
    fn read(&self, pid: i32) -> Option<(u64, u64)> {
        let text = fs::read_to_string(self.folder.join(format!("{pid}.tally"))).ok()?;
        let (asked, stored) = text.split_once(' ')?;
        Some((asked.parse().ok()?, stored.parse().ok()?))
    }
}
