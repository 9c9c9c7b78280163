//! Health commands: who has all but that is asked about, again and again, until the command exits with 0.
//!
//! ```text
//!   Fleet::unproven ──▶ Trying ──exits with 0──▶ Event::Healthy
//!                        ▲  └── exits otherwise, or takes too long and is killed ──▶ Waiting
//!                        └──────────────── health_interval ───────────────────────────┘
//! ```
//! Whom to ask about is read from the fleet in every turn and never kept beside it: who is online, gone or told to leave
//! is asked about no more, and whose try is under way then is killed.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use mio::Token;
use nix::unistd::Pid;

use super::act::variables;
use super::children::{Ending, Printing};
use super::helper::Helper;
use super::notify::{Line, Said};
use super::tail::Tail;
use super::{Shell, clock, view};
use crate::core::{Event, Generation, Run, Slot, Tick};

/// The first token of what health commands print; the run's number is added.
const TAILS: usize = 1 << 41;
/// Complaints that are remembered, for answers that come after them.
const MAX_COMPLAINTS: usize = 256;

/// Everybody who is asked about.
#[derive(Default)]
pub(super) struct Health {
    asked: BTreeMap<Run, Asked>,
    /// Why those who were not well in time were not.
    complaints: BTreeMap<Run, String>,
}

/// One who is asked about.
struct Asked {
    /// What asks, for people.
    name: String,
    step: Step,
    /// How the last try failed.
    complaint: Option<String>,
}

enum Step {
    Trying(Helper),
    Waiting { until: Tick },
}

impl Asked {
    fn complaint(&self) -> String {
        self.complaint.clone().unwrap_or_else(|| format!("{} did not end in that time", self.name))
    }

    fn stop(&self) {
        if let Step::Trying(helper) = &self.step {
            helper.kill();
        }
    }
}

impl Health {
    /// When there is something to be done without an event.
    pub(super) fn deadline(&self) -> Option<Tick> {
        let due = self.asked.values().filter_map(|asked| match &asked.step {
            Step::Trying(helper) => helper.deadline(),
            Step::Waiting { until } => Some(*until),
        });
        due.min()
    }

    /// Why a worker that was asked about is not well.
    pub(super) fn complaint(&self, run: Run) -> Option<String> {
        self.asked.get(&run).map(Asked::complaint).or_else(|| self.complaints.get(&run).cloned())
    }

    /// What to say of one that took too long to be ready, and that complaint.
    pub(super) fn too_late(&self, run: Run) -> String {
        let why = self.complaint(run).map(|why| format!(": {why}")).unwrap_or_default();
        format!("was not ready within worker.listen_timeout{why}")
    }

    /// Ends every try; the next ones begin as soon as there is a turn.
    pub(super) fn end_all(&mut self) {
        for asked in self.asked.values_mut() {
            asked.stop();
            asked.step = Step::Waiting { until: clock::now() };
        }
    }

    /// Asks no more about those who are not `unproven`; remembers what was wrong with them.
    fn forget(&mut self, unproven: &BTreeMap<Run, (Slot, Generation)>) {
        for (run, asked) in self.asked.extract_if(.., |run, _| !unproven.contains_key(run)) {
            asked.stop();
            self.complaints.insert(run, asked.complaint());
        }
        while self.complaints.len() > MAX_COMPLAINTS {
            self.complaints.pop_first();
        }
    }

    /// Reads what is printed, and kills who takes too long.
    fn watch(&mut self) {
        for asked in self.asked.values_mut() {
            if let Step::Trying(helper) = &mut asked.step {
                helper.watch();
            }
        }
    }

    fn is_due(&self, run: Run) -> bool {
        self.asked.get(&run).is_none_or(|asked| match asked.step {
            Step::Trying(_) => false,
            Step::Waiting { until } => until <= clock::now(),
        })
    }
}

/// What was wrong, in a line.
fn judge(name: &str, ending: Ending, late: bool, said: Option<String>) -> String {
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    if late {
        format!("{name} took longer than worker.health_timeout{said}")
    } else {
        format!("{name} {ending}{said}")
    }
}

impl Shell {
    /// Goes on asking about everybody who is to be asked about.
    pub(super) fn ask_about_health(&mut self) {
        let unproven = self.fleet.unproven().map(|(slot, run, generation)| (run, (slot, generation)));
        let unproven: BTreeMap<Run, (Slot, Generation)> = unproven.collect();
        self.health.forget(&unproven);
        self.health.watch();
        for (run, (slot, generation)) in unproven {
            if self.health.is_due(run) {
                self.try_health(run, slot, generation);
            }
        }
    }

    fn try_health(&mut self, run: Run, slot: Slot, generation: Generation) {
        let Some(worker) = self.generations.get(generation).map(|made| &made.config.worker) else { return };
        // A fleet that a version with other keys has frozen asks in vain.
        let Some(command) = &worker.health_command else { return };
        let (timeout, interval) = (worker.health_timeout, worker.health_interval);
        let name = format!("worker.health_command {}", command.name);
        let mut complaint = self.health.asked.remove(&run).and_then(|asked| asked.complaint);
        let step = match self.begin_try(run, slot, generation, timeout) {
            Ok(helper) => Step::Trying(helper),
            Err(e) => {
                complaint = Some(format!("{name} cannot be started: {e}"));
                Step::Waiting { until: clock::now().after(interval) }
            }
        };
        self.health.asked.insert(run, Asked { name, step, complaint });
    }

    fn begin_try(
        &mut self,
        run: Run,
        slot: Slot,
        generation: Generation,
        timeout: Duration,
    ) -> io::Result<Helper> {
        let gone = || io::Error::other("its worker is gone");
        let (made, worker) = self.generations.get(generation).zip(self.children.get(run)).ok_or_else(gone)?;
        let Slot::Worker(number) = slot else { return Err(gone()) };
        let token = Token(TAILS + usize::try_from(run.0).map_err(io::Error::other)?);
        let (tail, output) = Tail::open(self.poll.registry(), token)?;
        let line = Line::open(self.children.notify_folder(), &format!("health.{}", run.0))?;
        let pid_of_worker = worker.pid;
        let mut environment = variables(&made.config.worker, number);
        environment.extend([
            (contract::LISTEN.into(), view::join(self.kept.listen()).into()),
            ("NODE_APP_INSTANCE".into(), number.to_string().into()),
            (super::probe::MAIN_PID.into(), pid_of_worker.to_string().into()),
        ]);
        let title = format!("{}{} {number} gen {}", contract::TITLE, self.roles.health.name, generation.0);
        let descriptors = [
            (contract::CONFIG.to_owned(), made.segment()),
            (contract::PARENT.to_owned(), self.children.parent_pipe()),
        ];
        let printing = Printing { image: made.image(), output: Some(output.as_fd()) };
        let pid = self.children.execute(printing, &[title.into()], &line, &descriptors, environment)?;
        self.children.note_helper(pid);
        log::debug!("worker {number} pid {pid_of_worker}: health is asked by pid {pid}");
        Ok(Helper::new(pid, line, tail, timeout))
    }

    /// A process that is no run has ended: a try, if it is that.
    pub(super) fn end_try(&mut self, dead: Pid, ending: Ending) {
        let is_it = |asked: &Asked| matches!(&asked.step, Step::Trying(helper) if helper.pid() == dead);
        let Some((&run, asked)) = self.health.asked.iter_mut().find(|(_, asked)| is_it(asked)) else {
            return;
        };
        let Step::Trying(helper) = &mut asked.step else { return };
        // Also one that was about to be killed: it is we who may have been stopped for a while.
        if ending == Ending::Code(0) {
            self.health.asked.remove(&run);
            self.events.push_back(Event::Healthy(run));
            return self.settle();
        }
        let (said, printed) = helper.last_words();
        let last_words = said.into_iter().find_map(|said| match said {
            Said::LastWords(words, _) => Some(words),
            _ => None,
        });
        let complaint = judge(&asked.name, ending, helper.is_late(), last_words.or(printed));
        log::debug!("run {}: {complaint}", run.0);
        asked.complaint = Some(complaint);
        let unproven = self.fleet.unproven().find(|&(_, unproven, _)| unproven == run);
        let made = unproven.and_then(|(.., generation)| self.generations.get(generation));
        let interval = made.map(|made| made.config.worker.health_interval).unwrap_or_default();
        asked.step = Step::Waiting { until: clock::now().after(interval) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_names_the_command_how_it_ended_and_what_it_said_last() {
        let name = "worker.health_command curl";
        for (ending, late, said, line) in [
            (Ending::Code(7), false, Some("curl: (7) refused"), "curl exited with code 7: curl: (7) refused"),
            (Ending::Code(1), false, None, "curl exited with code 1"),
            (Ending::Signal(11), false, None, "curl killed by SIGSEGV"),
            (Ending::Signal(9), true, Some("trying"), "curl took longer than worker.health_timeout: trying"),
            (Ending::Code(1), true, None, "curl took longer than worker.health_timeout"),
        ] {
            let complaint = judge(name, ending, late, said.map(str::to_owned));
            assert_eq!(complaint, format!("worker.health_command {line}"));
        }
    }
}
