//! The kinds of values that say as what a worker runs: signals, users, CPUs.

use super::accounts::{self, Account};
use super::fault::{Faults, refused, wrong_type};
use super::kinds::{Kind, Whole, is_variable};
use super::types::Cpus;
use super::units::text;
use super::value::Value;
use nix::unistd::{Gid, Uid};

/// Signals that may ask a program to leave.
const ASKING: &[&str] =
    &["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGWINCH", "SIGKILL"];
/// The highest CPU that can be named: what sched_setaffinity(2) has room for in its usual set.
const MAX_CPU: u16 = 1023;

/// The name of a signal.
pub(super) struct Asking;

/// Exit codes: a list, or one alone.
pub(super) struct ExitCodes;

/// The name of an environment variable.
pub(super) struct Variable;

/// CPUs: one for each worker, or these for all.
pub(super) struct CpuList;

/// A user, by name or number, as /etc/passwd and /etc/group know him.
pub(super) struct User;

/// A group, by name or number, as /etc/group knows it.
pub(super) struct Group;

impl Kind for Asking {
    type Output = String;

    fn read(&self, value: &Value<'_>) -> Result<String, Faults> {
        let word = value.as_str().ok_or_else(|| wrong_type(value))?;
        if ASKING.contains(&word) {
            Ok(word.to_owned())
        } else {
            Err(refused(value, "is not a signal that can ask a program to leave"))
        }
    }

    fn takes(&self) -> String {
        ASKING.join(", ")
    }

    fn show(&self, value: &String) -> Option<String> {
        Some(text(value))
    }
}

impl Kind for ExitCodes {
    type Output = Vec<u8>;

    fn read(&self, value: &Value<'_>) -> Result<Vec<u8>, Faults> {
        let code = Whole(0, u8::MAX);
        let Some(items) = value.items() else { return Ok(vec![code.read(value)?]) };
        items.iter().map(|item| code.read(item)).collect()
    }

    fn takes(&self) -> String {
        "a list of exit codes, each a whole number from 0 to 255".to_owned()
    }

    fn show(&self, value: &Vec<u8>) -> Option<String> {
        Some(format!("{value:?}"))
    }
}

impl Kind for Variable {
    type Output = String;

    fn read(&self, value: &Value<'_>) -> Result<String, Faults> {
        let word = value.as_str().ok_or_else(|| wrong_type(value))?;
        if is_variable(word) {
            Ok(word.to_owned())
        } else {
            Err(refused(value, "is not the name of a variable"))
        }
    }

    fn takes(&self) -> String {
        "the name of a variable".to_owned()
    }

    fn show(&self, value: &String) -> Option<String> {
        Some(text(value))
    }
}

impl Kind for CpuList {
    type Output = Cpus;

    fn read(&self, value: &Value<'_>) -> Result<Cpus, Faults> {
        let word = value.as_str().ok_or_else(|| wrong_type(value))?;
        if word == "auto" {
            return Ok(Cpus::OneEach);
        }
        let mut cpus: Vec<u16> = Vec::new();
        for part in word.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let bounds = first.trim().parse::<u16>().ok().zip(last.trim().parse::<u16>().ok());
            match bounds.filter(|&(first, last)| first <= last && last <= MAX_CPU) {
                Some((first, last)) => cpus.extend(first..=last),
                None => return Err(refused(value, "is not a list of CPUs")),
            }
        }
        cpus.sort_unstable();
        cpus.dedup();
        Ok(Cpus::These(cpus))
    }

    fn takes(&self) -> String {
        "\"auto\" for one CPU each, or CPUs as \"0,2-3\"".to_owned()
    }

    fn show(&self, value: &Cpus) -> Option<String> {
        Some(text(&match value {
            Cpus::OneEach => "auto".to_owned(),
            Cpus::These(cpus) => cpus.iter().map(u16::to_string).collect::<Vec<_>>().join(","),
        }))
    }
}

impl Kind for User {
    type Output = Account;

    fn read(&self, value: &Value<'_>) -> Result<Account, Faults> {
        let wanted = word(value)?;
        let account =
            accounts::user(&wanted).ok_or_else(|| refused(value, "is not a user in /etc/passwd"))?;
        if !Uid::effective().is_root() && Uid::effective().as_raw() != account.uid {
            return Err(refused(value, "is another user, and only root can become one"));
        }
        Ok(account)
    }

    fn takes(&self) -> String {
        "the name or the number of a user".to_owned()
    }

    fn show(&self, value: &Account) -> Option<String> {
        Some(text(&value.name))
    }
}

impl Kind for Group {
    type Output = u32;

    fn read(&self, value: &Value<'_>) -> Result<u32, Faults> {
        let wanted = word(value)?;
        let gid = accounts::group(&wanted).ok_or_else(|| refused(value, "is not a group in /etc/group"))?;
        if !Uid::effective().is_root() && Gid::effective().as_raw() != gid {
            return Err(refused(value, "is another group, and only root can change groups"));
        }
        Ok(gid)
    }

    fn takes(&self) -> String {
        "the name or the number of a group".to_owned()
    }

    fn show(&self, value: &u32) -> Option<String> {
        Some(text(&value.to_string()))
    }
}

/// A name, or a number however it is written.
fn word(value: &Value<'_>) -> Result<String, Faults> {
    match (value.as_str(), value.as_integer()) {
        (Some(text), _) => Ok(text.to_owned()),
        (None, Some(number)) => Ok(number.to_string()),
        (None, None) => Err(wrong_type(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_a_list_of_numbers_and_ranges_or_one_each() {
        let read = |text| CpuList.read(&Value::Text(text));
        assert_eq!(read("auto").unwrap(), Cpus::OneEach);
        assert_eq!(read("2-3, 0,3").unwrap(), Cpus::These(vec![0, 2, 3]));
        for bad in ["", "1-", "3-2", "1024", "all", "1,,2"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
