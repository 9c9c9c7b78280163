//! Health commands: who has all but that is asked about, again and again, until the command exits with 0.
//!
//! ```text
//!   Fleet::unproven ──▶ Trying ──exits with 0──▶ Event::Healthy
//!                        ▲  └── exits otherwise, or takes too long and is killed ──▶ Waiting
//!                        └──────────────── health_interval ───────────────────────────┘
//! ```
//! A command that cannot be run at all is no matter of patience: `Event::NeverHealthy`.
//!
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
use super::foreign::cannot_ever_run;
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
    complaints: BTreeMap<Run, Complaint>,
}

/// Why one is not well, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) text: String,
    /// The command cannot be run at all.
    pub(super) lasting: bool,
}

impl Complaint {
    fn of_a_try(text: String) -> Complaint {
        Complaint { text, lasting: false }
    }
}

/// One who is asked about.
struct Asked {
    /// What asks, for people.
    name: String,
    step: Step,
    /// How the last try failed.
    complaint: Option<Complaint>,
}

enum Step {
    Trying(Helper),
    Waiting { until: Tick },
}

impl Asked {
    fn complaint(&self) -> Complaint {
        let unheard = || Complaint::of_a_try(format!("{} did not end in that time", self.name));
        self.complaint.clone().unwrap_or_else(unheard)
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
    pub(super) fn complaint(&self, run: Run) -> Option<Complaint> {
        self.asked.get(&run).map(Asked::complaint).or_else(|| self.complaints.get(&run).cloned())
    }

    /// What to say of one that took too long to be ready, or can never be, and that complaint.
    pub(super) fn too_late(&self, run: Run) -> String {
        match self.complaint(run) {
            None => "was not ready within worker.listen_timeout".into(),
            Some(Complaint { text, lasting: false }) => {
                format!("was not ready within worker.listen_timeout: {text}")
            }
            Some(Complaint { text, lasting: true }) => {
                format!("cannot be asked for its health (worker.health_command): {text}")
            }
        }
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
                complaint = Some(Complaint::of_a_try(format!("{name} cannot be started: {e}")));
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
            Said::LastWords(words, errno) => Some((words, errno)),
            _ => None,
        });
        let lasting = last_words.as_ref().is_some_and(|(words, errno)| cannot_ever_run(words, *errno));
        let said = last_words.map(|(words, _)| words).or(printed);
        let complaint = match said {
            Some(text) if lasting => Complaint { text, lasting },
            said => Complaint::of_a_try(judge(&asked.name, ending, helper.is_late(), said)),
        };
        log::debug!("run {}: {}", run.0, complaint.text);
        asked.complaint = Some(complaint);
        let unproven = self.fleet.unproven().find(|&(_, unproven, _)| unproven == run);
        let made = unproven.and_then(|(.., generation)| self.generations.get(generation));
        let interval = made.map(|made| made.config.worker.health_interval).unwrap_or_default();
        asked.step = Step::Waiting { until: clock::now().after(interval) };
        if lasting {
            self.events.push_back(Event::NeverHealthy(run));
            self.settle();
        }
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
