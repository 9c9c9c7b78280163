//! `signal`: sent by us, the parent. A child keeps its pid until we have reaped it, so nobody else can have it meanwhile.

use super::Shell;
use super::control::Client;
use crate::clean::clean;
use crate::core::{Run, Slot};
use crate::exit;
use crate::wire::{Answer, Request, Signalled, Trouble};

impl Shell {
    /// Sends a signal to the process of each slot that is named: to all of them, or, if one has none, to nobody.
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
            return Err(usage("`signal` needs somebody to signal", self.slots_there_are()));
        }
        let mut targets: Vec<(Slot, Run)> = Vec::new();
        for id in &request.ids {
            let shown = clean(id);
            let slot = self.slot_named(id).ok_or_else(|| {
                usage(&format!("there is no worker and no role `{shown}`"), self.slots_there_are())
            })?;
            let run = self.fleet.slots().find(|view| view.slot == slot).and_then(|view| view.run);
            let run = run.filter(|&run| self.children.get(run).is_some()).ok_or_else(|| Trouble {
                message: format!("{} has no process just now: nobody was signalled", self.name(slot)),
                hint: Some("`atlas-cluster list` shows when it has one again".into()),
                exit: exit::FAILED,
            })?;
            if !targets.iter().any(|(known, _)| *known == slot) {
                targets.push((slot, run));
            }
        }
        let name = sys::wait::signal_name(signal);
        targets.into_iter().map(|(slot, run)| self.send(slot, run, signal, &name)).collect()
    }

    fn send(&self, slot: Slot, run: Run, signal: i32, name: &str) -> Result<Signalled, Trouble> {
        let who = self.name(slot);
        let failed = |why: &dyn std::fmt::Display| Trouble {
            message: format!("cannot send {name} to {who}: {why}"),
            hint: None,
            exit: exit::FAILED,
        };
        let process = self.children.get(run).ok_or_else(|| failed(&"it is gone"))?;
        // One that is dead and not reaped yet takes it, and nothing comes of it.
        sys::signal::send(process.pid, signal).map_err(|e| failed(&e))?;
        let pid = process.pid.as_raw().unsigned_abs();
        log::info!("signal ordered: {name} to {who} pid {pid}");
        Ok(Signalled { name: who, pid })
    }
}
