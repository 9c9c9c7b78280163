//! Who a process is, and how one before it in its slot ended: what the cluster tells a worker about deaths.
//!
//! Only a fault of the process itself, or a silence that the watchdog ended, says something about the work it was at.
//! An operator's SIGKILL, memory shortage, an exit: they blame nobody, and are not told.

use std::fmt;
use std::str::FromStr;

/// Variable with the number of this process, which no other process of the cluster ever has.
pub const RUN: &str = "X_ATLAS_RUN";
/// Variable with the last death of this slot that is to be blamed on what the process was doing: `RUN HOW`.
pub const BLAME: &str = "X_ATLAS_BLAME";

/// A death that is to be blamed on what the process was doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// Number of the process that died: whoever takes its work over compares it with the number that worked there last,
    /// since others may have come between.
    pub run: u64,
    /// `SIGSEGV`, …, or `hang`.
    pub how: String,
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.run, self.how)
    }
}

impl FromStr for Blame {
    type Err = ();

    fn from_str(text: &str) -> Result<Blame, ()> {
        let (run, how) = text.split_once(' ').ok_or(())?;
        Ok(Blame { run: run.parse().map_err(|_| ())?, how: how.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nonsense_is_not() {
        let blame = Blame { run: 7, how: "SIGSEGV".into() };
        assert_eq!(blame.to_string().parse(), Ok(blame));
        for nonsense in ["", "7", "SIGSEGV", "-1 hang", "x hang"] {
            assert_eq!(nonsense.parse::<Blame>(), Err(()), "{nonsense:?}");
        }
    }
}
