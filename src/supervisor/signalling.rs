//! `signal`: sent by us, the parent. A child keeps its pid until we have reaped it, so nobody else can have it meanwhile.

use std::io;

use nix::libc::EPERM;
use nix::unistd::Pid;

use super::Shell;
use super::control::Client;
use crate::clean::clean;
use crate::core::{Run, Slot};
use crate::exit;
use crate::wire::{Answer, Request, Signalled, Trouble};

impl Shell {
    /// Sends a signal to the process of each slot that is named: to all of them, or, if one has none or may not be sent
    /// it, to nobody.
    pub(super) fn signal_slots(&mut self, client: Client, request: &Request) {
        match self.try_signal(request) {
            Ok(signalled) => {
                self.control.answer(
                    client,
                    Answer { signalled: Some(signalled), ..Answer::default() },
                    Vec::new(),
                );
            }
            Err(Trouble { message, hint, exit }) => self.refuse(client, message, hint, exit),
        }
    }

    fn try_signal(&self, request: &Request) -> Result<Vec<Signalled>, Trouble> {
        let usage = |message: &str, hint: String| Trouble {
            message: message.to_owned(),
            hint: Some(hint),
            exit: exit::USAGE,
        };
        let signal = request.signal.filter(|&signal| sys::signal::is_known(signal));
        let signal = signal
            .ok_or_else(|| usage("there is no such signal", format!("allowed: {}", sys::signal::names())))?;
        if request.ids.is_empty() {
            return Err(usage("`signal` needs at least one worker or role", self.slots_there_are()));
        }
        let mut targets: Vec<(Slot, Run)> = Vec::new();
        for id in &request.ids {
            let shown = clean(id);
            let slot = self.slot_named(id).ok_or_else(|| {
                usage(&format!("there is no worker and no role `{shown}`"), self.slots_there_are())
            })?;
            let run = self.fleet.slots().find(|view| view.slot == slot).and_then(|view| view.run);
            let run = run.filter(|&run| self.children.get(run).is_some()).ok_or_else(|| Trouble {
                message: format!("{} has no process just now: no process was signalled", self.name(slot)),
                hint: Some("`atlas-cluster list` shows when it has one again".into()),
                exit: exit::FAILED,
            })?;
            if !targets.iter().any(|(known, _)| *known == slot) {
                targets.push((slot, run));
            }
        }
        let name = sys::wait::signal_name(signal);
        let targets = targets.into_iter().filter_map(|(slot, run)| {
            let pid = self.children.get(run)?.pid;
            Some(Signalled { name: self.name(slot), pid: pid.as_raw().unsigned_abs() })
        });
        let targets: Vec<Signalled> = targets.collect();
        // One that is dead and not reaped yet takes it, and nothing comes of it.
        let send = |pid: u32, signal: i32| sys::signal::send(Pid::from_raw(pid.cast_signed()), signal);
        to_all_or_nobody(&targets, signal, &name, send)?;
        for Signalled { name: who, pid } in &targets {
            log::info!("signal ordered: {name} to {who} pid {pid}");
        }
        Ok(targets)
    }
}

/// Sends to each of them once all may be sent to: signal 0 asks for that, and is felt by nobody (kill(2)).
fn to_all_or_nobody(
    targets: &[Signalled],
    signal: i32,
    name: &str,
    send: impl Fn(u32, i32) -> io::Result<()>,
) -> Result<(), Trouble> {
    let failed = |who: &str, why: &io::Error, reached: &[Signalled]| {
        let reached: Vec<&str> = reached.iter().map(|target| target.name.as_str()).collect();
        let reached = match reached[..] {
            [] => "nobody was signalled".to_owned(),
            _ => format!("{} got it before", reached.join(", ")),
        };
        let hint = "it runs as another user, and the supervisor has no right to signal those (CAP_KILL): signal it as root";
        let hint = (why.raw_os_error() == Some(EPERM)).then_some(hint);
        Trouble {
            message: format!("cannot send {name} to {who}: {why}: {reached}"),
            hint: hint.map(str::to_owned),
            exit: exit::FAILED,
        }
    };
    for target in targets {
        send(target.pid, 0).map_err(|e| failed(&target.name, &e, &[]))?;
    }
    for (place, target) in targets.iter().enumerate() {
        send(target.pid, signal).map_err(|e| failed(&target.name, &e, &targets[..place]))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// What is sent to 1, 2 and 3, and what is answered, where `deaf` says whom a signal does not reach.
    fn sent(deaf: fn(u32, i32) -> bool) -> (Vec<(u32, i32)>, Result<(), Trouble>) {
        let targets = [1, 2, 3].map(|pid| Signalled { name: format!("worker {}", pid - 1), pid });
        let sent = RefCell::new(Vec::new());
        let result = to_all_or_nobody(&targets, 15, "SIGTERM", |pid, signal| {
            if deaf(pid, signal) {
                return Err(io::Error::from_raw_os_error(EPERM));
            }
            sent.borrow_mut().push((pid, signal));
            Ok(())
        });
        (sent.into_inner(), result)
    }

    #[test]
    fn nobody_gets_what_one_of_them_may_not_be_sent() {
        let (reached, result) = sent(|_, _| false);
        assert!(result.is_ok() && reached.ends_with(&[(1, 15), (2, 15), (3, 15)]), "{reached:?}");
        let (reached, result) = sent(|pid, _| pid == 3);
        assert_eq!(reached, [(1, 0), (2, 0)], "they were asked, and no more");
        let trouble = result.unwrap_err();
        let said =
            "cannot send SIGTERM to worker 2: Operation not permitted (os error 1): nobody was signalled";
        assert_eq!((trouble.message.as_str(), trouble.hint.is_some()), (said, true));
        let (_, result) = sent(|pid, signal| pid == 3 && signal != 0);
        assert!(result.unwrap_err().message.ends_with("worker 0, worker 1 got it before"));
    }
}
