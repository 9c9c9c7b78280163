//! Signals by the name or number that people write, and sent to one process.

use std::io;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::wait::signal_name;

/// The number of a signal: `SIGUSR1`, `USR1`, `usr1`, `10`, `SIGRTMIN+2`; None if it has no name.
#[must_use]
pub fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return is_known(number).then_some(number);
    }
    let wanted = text.to_ascii_uppercase();
    let wanted = wanted.strip_prefix("SIG").unwrap_or(&wanted);
    all().find(|&known| signal_name(known).strip_prefix("SIG") == Some(wanted))
}

/// Whether a signal of that number has a name.
#[must_use]
pub fn is_known(number: i32) -> bool {
    all().any(|known| known == number)
}

/// The names of all signals without `SIG`, with commas between; the real-time ones as a range.
#[must_use]
pub fn names() -> String {
    let names: Vec<String> = Signal::iterator().map(|signal| signal.as_str()[3..].to_owned()).collect();
    format!("{}, RTMIN to RTMAX", names.join(", "))
}

/// Sends it to a process, not to its group.
///
/// # Errors
/// What kill(2) says: ESRCH if there is no such process.
pub fn send(pid: Pid, signal: i32) -> io::Result<()> {
    assert!(pid.as_raw() > 1, "nobody sends signals to pid {pid}");
    // SAFETY: kill(2) takes numbers alone; a wrong one is an error.
    if unsafe { libc::kill(pid.as_raw(), signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Every signal that has a name.
fn all() -> impl Iterator<Item = i32> {
    Signal::iterator().map(|signal| signal as i32).chain(libc::SIGRTMIN()..=libc::SIGRTMAX())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};
    use std::process::{Command, Stdio};

    #[test]
    fn a_signal_is_known_by_every_way_to_write_it() {
        for (text, expected) in [
            ("SIGUSR1", Some(10)),
            ("USR1", Some(10)),
            ("sigusr1", Some(10)),
            ("10", Some(10)),
            ("HUP", Some(1)),
            ("RTMIN+2", Some(36)),
            ("SIGRTMAX", Some(64)),
            ("64", Some(64)),
            ("0", None),
            ("-9", None),
            ("32", None),
            ("65", None),
            ("", None),
            ("SIG", None),
            ("SIGSIGHUP", None),
            ("NOPE", None),
        ] {
            assert_eq!(number(text), expected, "{text:?}");
        }
        assert!(names().starts_with("HUP, INT, ") && names().ends_with("SYS, RTMIN to RTMAX"), "{}", names());
    }

    #[test]
    fn each_name_leads_back_to_its_number() {
        for signal in all() {
            assert_eq!(number(&signal_name(signal)), Some(signal));
        }
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "it is reaped by its pid")]
    fn a_process_dies_of_what_it_is_sent_and_a_dead_one_cannot_be_sent_anything() {
        let child = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        send(pid, Signal::SIGKILL as i32).unwrap();
        assert!(matches!(waitpid(pid, None).unwrap(), WaitStatus::Signaled(_, Signal::SIGKILL, _)));
        assert_eq!(send(pid, 10).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}
