//! What the shell hears: children's words, deaths, signals. All of it becomes events; nothing is decided here.

use mio::Token;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};

use super::Shell;
use super::children::{Dead, Ending, Process};
use super::desk::Asker;
use super::notify::Said;
use crate::amount::Scale;
use crate::core::{Event, Run, Slot};
use crate::wire::LastExit;

/// How often a dead child's socket is read before the rest is left.
const MAX_LAST_TURNS: usize = 16;
/// Dead children that are reaped in one turn.
const MAX_REAPS: usize = 256;

/// A run that has said X_BOUND=1, and perhaps READY=1 since.
pub(super) struct Bound {
    run: Run,
    slot: Slot,
    ready: bool,
}

impl Shell {
    /// The child whose line has this token said something.
    pub(super) fn hear(&mut self, token: Token) {
        if let Some(run) = self.children.run_of(token) {
            self.hear_run(run);
        }
    }

    /// Reads what a child said, a bounded part of it in one turn; whether there may be more.
    pub(super) fn hear_run(&mut self, run: Run) -> bool {
        let Some((slot, said, more)) = self.children.read(run) else { return false };
        for word in said {
            self.take_word(run, slot, word);
        }
        more
    }

    fn take_word(&mut self, run: Run, slot: Slot, word: Said) {
        match word {
            Said::Bound => {
                if let Some(process) = self.children.get_mut(run) {
                    process.bound = true;
                }
                if self.kept.is_bound(slot) {
                    self.bound.push_back(Bound { run, slot, ready: false });
                    self.tell_bound();
                } else {
                    self.news.garbage(&self.name(slot), "said X_BOUND=1 without handing up bound sockets");
                }
            }
            Said::Ready => {
                if let Some(process) = self.children.get_mut(run) {
                    process.ready = true;
                }
                match self.bound.iter_mut().find(|bound| bound.run == run) {
                    Some(bound) => bound.ready = true,
                    None => self.events.push_back(Event::Ready(run)),
                }
            }
            Said::Alive => self.events.push_back(Event::Alive(run)),
            Said::Status(text) => self.news.status(&self.name(slot), &text),
            Said::Warning(text) => self.news.warning(&self.name(slot), &text),
            // Told when it has ended, in the line about that.
            Said::LastWords(text, errno) => {
                if let Some(process) = self.children.get_mut(run) {
                    process.last_words = Some((text, errno));
                }
            }
            Said::Keep(name, fds) => {
                for fd in fds {
                    if let Err(refused) = self.kept.keep(slot, name.clone(), fd) {
                        self.news.garbage(&self.name(slot), &refused.to_string());
                    }
                }
            }
            Said::Forget(name) => {
                // Of a slot that is bound nobody takes a socket away; before that only a launcher speaks.
                if !self.fleet.is_bound(slot) && self.bound.iter().all(|bound| bound.slot != slot) {
                    self.kept.give_up(slot, &name);
                }
                self.kept.forget(slot, &name);
            }
            Said::Takeover(_) | Said::Garbage => {
                self.news.garbage(&self.name(slot), "sent a message that makes no sense")
            }
        }
    }

    /// Not before the store above us has what was made for the slot just now: from then on datagrams are steered there.
    /// Whatever else the store was too slow for holds up nobody.
    pub(super) fn tell_bound(&mut self) {
        self.kept.above.flush();
        for bound in std::mem::take(&mut self.bound) {
            if self.kept.above.lacks(bound.slot) {
                self.bound.push_back(bound);
                continue;
            }
            self.on_bound(bound.run, bound.slot);
            self.events.extend(bound.ready.then_some(Event::Ready(bound.run)));
        }
    }

    fn on_bound(&mut self, run: Run, slot: Slot) {
        if slot == Slot::Worker(0) {
            self.kept.learn_ports();
            self.size_buffers();
        }
        self.events.push_back(Event::Bound(run));
    }

    /// Reaps those who died, each after its last words, so many in one turn: orphans without end (we may be PID 1), or
    /// children that die as fast as they are started, keep it from nothing else.
    pub(super) fn reap(&mut self) {
        self.more_dead = true;
        for _ in 0..MAX_REAPS {
            let Some(dead) = self.children.poll_dead() else {
                self.more_dead = false;
                return;
            };
            let run = match dead {
                Dead::Run(run) => run,
                Dead::Other(pid, ending) => {
                    self.end_check(pid, ending);
                    self.end_try(pid, ending);
                    continue;
                }
            };
            // What it said before it died waits in its socket; its descendants may go on for ever.
            for _ in 0..MAX_LAST_TURNS {
                let more = self.hear_run(run);
                if !more {
                    break;
                }
            }
            let Some((process, ending)) = self.children.reap(run, self.poll.registry()) else { return };
            let slot = process.slot;
            // Its launcher may have died between the bind and the word about it.
            let was_bound = self.kept.is_bound(slot);
            if was_bound {
                self.on_bound(run, slot);
            } else {
                self.kept.forget_unbound(slot);
            }
            let at = format!("{:.3}", jiff::Timestamp::now());
            let last_exit = match ending {
                Ending::Code(code) => LastExit { code: Some(code), signal: None, at },
                Ending::Signal(signal) => {
                    LastExit { code: None, signal: Some(sys::wait::signal_name(signal)), at }
                }
            };
            if process.in_charge {
                self.last_exits.insert(slot, last_exit);
            }
            self.blames.note_death(slot, run, ending);
            // Before READY nobody reads.
            if process.ready {
                self.kept.note_end(slot, run, ending == Ending::Code(0), self.children.newest());
            }
            self.news.note_death(run, &process, ending, was_bound);
            let is_done = self.is_done(&process, ending);
            self.events.push_back(if is_done { Event::Finished(run) } else { Event::Exited(run) });
            self.settle();
        }
    }

    /// Whether a worker that ends so wants no replacement. The codes are the program's own: a launcher that fails, and
    /// whoever says that it failed, means something else by them.
    fn is_done(&self, process: &Process, ending: Ending) -> bool {
        if !process.bound || process.last_words.is_some() {
            return false;
        }
        let generation = self.generations.get(process.generation);
        let codes = generation.map(|frozen| &frozen.config.worker.stop_exit_codes);
        match (process.slot, ending, codes) {
            (Slot::Worker(_), Ending::Code(code), Some(codes)) => {
                u8::try_from(code).is_ok_and(|code| codes.contains(&code))
            }
            (Slot::Worker(_) | Slot::Role(_), Ending::Code(_) | Ending::Signal(_), _) => false,
        }
    }

    /// The note that a handler left is cleared first, then acted on.
    pub(super) fn take_signals(&mut self) {
        let noted = self.noted_signals();
        self.act_on(noted);
    }

    /// Log files are the logger's.
    fn reopen_logs(&mut self) {
        if self.logs.is_none() {
            return log::info!("SIGUSR1: there is no log file to reopen");
        }
        log::info!("SIGUSR1: log files are reopened");
        let slot = self.roles.logger_slot().map(Slot::Role);
        let holder = self.fleet.slots().find(|view| Some(view.slot) == slot).and_then(|view| view.run);
        if let Some(run) = holder {
            self.children.reopen(run);
        }
    }

    /// What handlers have noted since the last call; a death is no news (we reap in every turn).
    pub(super) fn noted_signals(&mut self) -> Vec<i32> {
        self.signals.pending().filter(|&signal| signal != SIGCHLD).collect()
    }

    pub(super) fn act_on(&mut self, signals: Vec<i32>) {
        for signal in signals {
            match signal {
                SIGHUP => self.order_reload(Asker::signal("SIGHUP")),
                SIGTERM => self.order_stop(Asker::signal("SIGTERM"), false),
                SIGINT => self.order_stop(Asker::signal("SIGINT"), false),
                SIGQUIT => self.order_stop(Asker::signal("SIGQUIT"), true),
                SIGUSR1 => self.reopen_logs(),
                SIGUSR2 => self.order_upgrade(Asker::signal("SIGUSR2")),
                SIGTTIN => self.order_scale(Asker::signal("SIGTTIN"), Scale::Up(1)),
                SIGTTOU => self.order_scale(Asker::signal("SIGTTOU"), Scale::Down(1)),
                other => log::warn!("signal {other} means nothing here"),
            }
            self.settle();
        }
    }
}
