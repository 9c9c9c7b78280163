//! What the core decided, done.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::str::FromStr;
use std::time::Duration;

use nix::sys::signal::Signal::{self, SIGTERM as TERM};

use super::Shell;
use super::above::{Memo, Scaled};
use super::children::Birth;
use super::kept::Loan;
use super::logs::Logs;
use super::starter::Starter;
use super::{clock, log_writer, news, view};
use crate::config::{self, Account};
use crate::core::{Action, Event, Generation, News, Run, Slot};

/// How long after a start that failed the core hears of it.
const UNBORN: Duration = Duration::from_millis(100);
/// How long after a steering program that was refused it is tried again.
const UNSTEERED: Duration = Duration::from_millis(100);

impl Shell {
    /// Starts that failed a while ago.
    pub(super) fn bury_unborn(&mut self) {
        while let Some(&(due, run)) = self.unborn.front()
            && due <= clock::now()
        {
            self.unborn.pop_front();
            self.events.push_back(Event::Exited(run));
        }
    }

    /// Steers anew what the kernel refused a while ago.
    pub(super) fn steer_again(&mut self) {
        if let Some((_, bound, mask)) = self.unsteered.take_if(|(due, ..)| *due <= clock::now()) {
            self.steer(bound, mask);
        }
    }

    /// What the kernel refuses is tried again, until something else is wanted: a slot that is out of the core's mask and
    /// not out of the kernel's would not be closed.
    pub(super) fn steer(&mut self, bound: u8, mask: u64) {
        let result = self.kept.steer(bound, mask);
        let is_news = self.closing.note_steered(mask, result.is_ok());
        self.unsteered = result.err().map(|e| {
            if is_news {
                news::cannot_steer(bound, mask, &e);
            }
            (clock::now().after(UNSTEERED), bound, mask)
        });
    }

    pub(super) fn perform(&mut self, action: &Action) {
        match *action {
            Action::Spawn { slot, run, generation, heir } => self.spawn(slot, run, generation, heir),
            Action::Signal(run, signal) => self.children.signal(run, signal),
            Action::Steer { bound, mask } => self.steer(bound, mask),
            Action::Close(slot) => self.closing.order(slot),
            Action::Abandon(slot) => {
                self.kept.abandon(slot);
                self.remember();
            }
            Action::Answer(ticket, outcome) => self.answer(ticket, outcome),
            Action::Tell(news) => {
                self.react(news);
                self.tell(news);
            }
            Action::Gone(verdict) => {
                self.verdict = Some(verdict);
                self.remember();
            }
        }
    }

    /// What follows from news for the shell itself.
    fn react(&mut self, news: News) {
        match news {
            News::Online { run, .. } => {
                if let Some(process) = self.children.get_mut(run) {
                    process.in_charge = true;
                }
            }
            News::Silent { slot, run } => self.blames.note_silence(slot, run),
            News::AllOnline => {
                self.kept.above.ready(self.status());
                self.starter.take().into_iter().for_each(Starter::online);
            }
            News::ReloadCommitted(_) => {
                if let Some(frozen) = self.generations.get(self.fleet.generation()) {
                    log_writer::set_format(frozen.config.log.format);
                }
                self.size_buffers();
                self.rebalance();
            }
            // The next one of that number begins anew.
            News::Retired(slot) => drop(self.last_exits.remove(&slot)),
            News::Drains { .. }
            | News::Waiting { .. }
            | News::RestartNow { .. }
            | News::Errored { .. }
            | News::Finished { .. }
            | News::TooLate { .. }
            | News::KillTimeout { .. }
            | News::TooFat { .. }
            | News::ReloadStarted(_)
            | News::ReloadFailed(_) => {}
        }
    }

    /// Leaves a memo in the store above us.
    pub(super) fn remember(&mut self) {
        let memo = Memo {
            generation: self.generations.last().0,
            dropped: self.kept.dropped_before(),
            upgrades: self.upgrades,
            last_reload: self.last_reload.clone(),
            // What `scale` set lasts until the stop.
            scaled: self.scaled().filter(|_| self.verdict.is_none()),
            stopped: self.verdict.is_some(),
            ..Memo::default()
        };
        if let Err(e) = self.kept.above.remember(memo) {
            log::warn!("cannot leave a memo in the store: {e}");
        }
    }

    fn scaled(&self) -> Option<Scaled> {
        let configured = self.generations.get(self.fleet.generation())?.config.workers;
        let workers = self.scaled_before.unwrap_or(self.fleet.wanted());
        (workers != configured).then_some(Scaled { workers, configured })
    }

    fn spawn(&mut self, slot: Slot, run: Run, generation: Generation, heir: bool) {
        let Some(frozen) = self.generations.get(generation) else {
            panic!("the core wants generation {}, which is gone", generation.0)
        };
        let (role, watchdog) = match slot {
            Slot::Worker(_) => (self.roles.of_workers(&frozen.config), frozen.config.worker.watchdog),
            Slot::Role(index) => {
                (self.roles.beside[usize::from(index)].role, frozen.config.worker.watchdog_of_roles())
            }
        };
        let name = match slot {
            Slot::Worker(number) => format!("{} {number}", role.name),
            Slot::Role(_) => role.name.to_owned(),
        };
        let listen = view::join(self.kept.listen());
        // Where there is no descriptor left for it, it prints where we do.
        let output = self.logs.as_ref().and_then(|logs| logs.output(slot).ok().flatten());
        let born = self.kept.lend(slot, role).and_then(|Loan { mut descriptors, stored }| {
            descriptors.push((contract::CONFIG.into(), frozen.segment()));
            if let Slot::Worker(number) = slot
                && role.quarantine
            {
                let file = self.quarantine.lend(number);
                descriptors.extend(file.map(|file| (contract::QUARANTINE.to_owned(), file)));
            }
            let (worker, is_worker) = (&frozen.config.worker, matches!(slot, Slot::Worker(_)));
            let reads_logs = std::ptr::eq(role, self.roles.logger);
            descriptors.extend(self.logs.iter().filter(|_| reads_logs).flat_map(Logs::lend));
            let mut environment: Vec<_> = match slot {
                Slot::Worker(number) => variables(worker, number),
                Slot::Role(_) => Vec::new(),
            };
            environment.push((contract::LISTEN.into(), listen.into()));
            environment.push((contract::RUNTIME_DIR.into(), self.runtime.folder().into()));
            environment.push((contract::STORED.into(), format!("{}..{}", stored.start, stored.end).into()));
            let birth = Birth {
                slot,
                run,
                generation,
                heir,
                name: &name,
                image: frozen.image(),
                output: output.as_ref().map(AsFd::as_fd),
                descriptors,
                environment,
                blame: self.blames.of(slot),
                user: worker.user.as_ref().filter(|_| is_worker).map(|user| (user.uid, user.gid)),
                kill_signal: Some(worker.kill_signal.as_str()).filter(|_| is_worker).map_or(TERM, asking),
                watchdog,
            };
            self.children.spawn(birth, self.poll.registry())
        });
        match born {
            Ok(pid) => log::debug!("{name} gen {} started: pid {pid}", generation.0),
            Err(e) => {
                log::debug!("cannot start {name}: {e}");
                self.news.note_unborn(run, &e);
                // Told later: with no backoff, the next attempt would otherwise come before anybody else's turn.
                self.unborn.push_back((clock::now().after(UNBORN), run));
            }
        }
    }
}

/// What a worker, and who asks about its health, gets beside the supervisor's own environment; later ones win.
pub(super) fn variables(worker: &config::Worker, number: u8) -> Vec<(OsString, OsString)> {
    let identity = worker.user.iter().flat_map(Account::environment);
    let identity = identity.map(|(name, value)| (name.into(), value));
    let own = worker.env.iter().map(|(name, value)| (name.into(), value.into()));
    let counted = worker.incremented(number).map(|(name, value)| (name.into(), value.into()));
    identity.chain(own).chain(counted).collect()
}

/// The configuration knows names of signals alone.
fn asking(name: &str) -> Signal {
    Signal::from_str(name).unwrap_or(TERM)
}
