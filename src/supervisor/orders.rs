//! What people ask for, by signal or by the control socket, and what they are answered.

use contract::counted;

use super::control::Client;
use super::desk::{Asker, Errand};
use super::{Shell, advice, clock, config_trouble, generations, limits, runs_as};

use crate::amount;
use crate::clean::clean;
use crate::config::unchangeable;
use crate::core::{Event, Failure, Generation, Order, Outcome, Refusal, Scale, Slot, Ticket};
use crate::exit;
use crate::wire::{Answer, LastReload, Request, Trouble};

impl Shell {
    pub(super) fn take_requests(&mut self) {
        for (client, request) in self.control.poll_requests(self.poll.registry()) {
            self.rest.disturbed(clock::now());
            self.take_request(client, &request);
            self.settle();
        }
    }

    fn take_request(&mut self, client: Client, request: &Request) {
        match request.verb.as_str() {
            "ping" => {
                let answer = Answer { pid: Some(std::process::id()), ..Answer::default() };
                self.control.answer(client, answer, Vec::new());
            }
            "view" => match self.view() {
                Ok((view, descriptors)) => {
                    let answer = Answer { view: Some(Box::new(view)), ..Answer::default() };
                    self.control.answer(client, answer, descriptors);
                }
                Err(e) => self.refuse(client, format!("the view cannot be lent: {e}"), None, exit::FAILED),
            },
            "describe" => match self.description() {
                Ok((answer, descriptors)) => self.control.answer(client, answer, descriptors),
                Err(e) => {
                    self.refuse(client, format!("what there is cannot be lent: {e}"), None, exit::FAILED)
                }
            },
            "signal" => self.signal_slots(client, request),
            "reload" => self.order_reload(Asker::Client(client)),
            "upgrade" => self.order_upgrade(Asker::Client(client)),
            "restart" => self.order_restart(client, &request.ids),
            "scale" => match request.amount.parse() {
                Ok(amount) => self.order_scale(Asker::Client(client), amount),
                Err(wrong) => {
                    let amount = clean(&request.amount);
                    let message = format!("`{amount}` {wrong}");
                    self.refuse(client, message, Some(amount::ALLOWED.into()), exit::USAGE);
                }
            },
            "stop" => self.order_stop(Asker::Client(client), request.now),
            "get" | "set" | "bump" | "capture" => self.refer_to_link(client, &request.verb),
            verb => {
                let message = format!("`{verb}` is unsupported by version {}", env!("CARGO_PKG_VERSION"));
                let hint = "this cluster is older than your command: `atlas-cluster upgrade` makes it the binary on disk";
                self.refuse(client, message, Some(hint.into()), exit::FAILED);
            }
        }
    }

    /// What a processor answers is waited for, and the supervisor waits for nobody.
    fn refer_to_link(&mut self, client: Client, verb: &str) {
        let socket = self.runtime.folder().join(contract::LINK_SOCKET);
        let hint = format!("ask link, which holds the connections: {}", socket.display());
        self.refuse(
            client,
            format!("`{verb}` is not answered on the control socket"),
            Some(hint),
            exit::USAGE,
        );
    }

    pub(super) fn refuse(&mut self, client: Client, message: String, hint: Option<String>, exit: u8) {
        let error = Some(Trouble { message, hint, exit });
        self.control.answer(client, Answer { error, ..Answer::default() }, Vec::new());
    }

    /// One reload at a time; those asked for meanwhile become one more.
    pub(super) fn order_reload(&mut self, asker: Asker) {
        if !self.desk.is_reloading() {
            self.reload(vec![asker]);
        } else if !self.desk.fold(&asker) {
            self.refuse_to_wait(&asker, "a reload");
        }
    }

    /// A signal expects no answer.
    pub(super) fn refuse_to_wait(&mut self, asker: &Asker, what: &str) {
        if let Asker::Client(client) = *asker {
            let message = format!("too many wait for {what} already");
            self.refuse(client, message, Some("wait for it".into()), exit::FAILED);
        }
    }

    pub(super) fn reload(&mut self, askers: Vec<Asker>) {
        let prepared = self.source.load().map_err(|e| config_trouble(&e)).and_then(|loaded| {
            let old = self.generations.get(self.fleet.generation()).map(|frozen| &frozen.config);
            let fixed = old.and_then(|old| unchangeable(old, &loaded.config));
            if let Some(key) = fixed {
                let message = format!("a reload cannot change `{key}`");
                let hint = Some("stop the cluster and start it again".into());
                return Err(Trouble { message, hint, exit: exit::USAGE });
            }
            if let Some(trouble) = self.room.refuse(loaded.config.workers) {
                return Err(Trouble { exit: exit::USAGE, ..trouble });
            }
            let unfit = limits::too_low(&loaded.config, self.roles);
            if let Some(trouble) = unfit.or_else(|| runs_as::powerless(&loaded.config.worker)) {
                return Err(Trouble { exit: exit::USAGE, ..trouble });
            }
            let plan = generations::plan(&loaded.config, self.roles);
            let failed = |e| Trouble {
                message: format!("cannot freeze the configuration: {e}"),
                hint: None,
                exit: exit::FAILED,
            };
            Ok((self.generations.add(loaded.config).map_err(failed)?, plan))
        });
        match prepared {
            Ok((generation, plan)) => {
                self.last_reload =
                    Some(LastReload { result: "running".into(), generation: generation.0, error: None });
                self.remember();
                self.kept.above.reloading();
                let ticket = self.desk.open(Errand::Reload(generation), askers);
                self.events.push_back(Event::Order(ticket, Order::Reload { generation, plan }));
            }
            Err(trouble) => {
                let first_line = trouble.message.lines().next().unwrap_or_default().to_owned();
                log::error!("reload refused, nothing was changed: {first_line}");
                let report = LastReload {
                    result: "refused".into(),
                    generation: self.fleet.generation().0,
                    error: Some(first_line),
                };
                self.kept.above.reloading();
                self.finish_reload(&askers, report, Some(&trouble));
            }
        }
    }

    fn finish_reload(&mut self, askers: &[Asker], report: LastReload, error: Option<&Trouble>) {
        let answer = Answer { reload: Some(report.clone()), error: error.cloned(), ..Answer::default() };
        self.last_reload = Some(report);
        self.remember();
        self.kept.above.reloaded(self.status());
        self.tell_askers(askers, &answer);
    }

    fn order_restart(&mut self, client: Client, ids: &[String]) {
        let whom = if ids.is_empty() { "every worker".into() } else { ids.join(", ") };
        log::info!("restart ordered: {}", clean(&whom));
        let slots: Result<Vec<Slot>, &String> = ids.iter().map(|id| self.slot_named(id).ok_or(id)).collect();
        match slots {
            Ok(slots) => {
                let ticket = self.desk.open(Errand::Restart, vec![Asker::Client(client)]);
                self.events.push_back(Event::Order(ticket, Order::Restart(slots)));
            }
            Err(id) => {
                let message = format!("there is no worker and no role `{}`", clean(id));
                self.refuse(client, message, Some(self.slots_there_are()), exit::USAGE);
            }
        }
    }

    pub(super) fn order_scale(&mut self, asker: Asker, scale: Scale) {
        match asker {
            Asker::Signal(ref signal) => log::info!("{signal}: scaling by {scale}"),
            Asker::Client(_) => log::info!("scale ordered: {scale}"),
        }
        let ticket = self.desk.open(Errand::Scale, vec![asker]);
        if amount::is_cut(scale, self.fleet.wanted()) {
            self.desk.note_cut(ticket);
        }
        self.events.push_back(Event::Order(ticket, Order::Scale(scale)));
    }

    /// An order like any other: should the workers that it adds not come up, the others are there.
    pub(super) fn scale_as_before(&mut self) {
        if let Some(workers) = self.scaled_before {
            log::info!("scaling to {}, as before", counted(workers.into(), "worker"));
            let ticket = self.desk.open(Errand::Scale, Vec::new());
            self.events.push_back(Event::Order(ticket, Order::Scale(Scale::To(workers))));
        }
    }

    pub(super) fn slot_named(&self, id: &str) -> Option<Slot> {
        let slots = self.fleet.slots().map(|view| view.slot);
        slots.into_iter().find(|&slot| match slot {
            Slot::Worker(number) => id == number.to_string(),
            Slot::Role(_) => id == self.name(slot),
        })
    }

    pub(super) fn slots_there_are(&self) -> String {
        let slots: Vec<String> = self
            .fleet
            .slots()
            .map(|view| match view.slot {
                Slot::Worker(number) => number.to_string(),
                Slot::Role(_) => self.name(view.slot),
            })
            .collect();
        format!("there are: {}", slots.join(", "))
    }

    pub(super) fn order_stop(&mut self, asker: Asker, now: bool) {
        let by = match &asker {
            Asker::Signal(signal) => &**signal,
            Asker::Client(_) => "stop ordered",
        };
        log::info!("{by}: stopping{}", if now { " at once" } else { "" });
        self.kept.above.stopping();
        self.forget_upgrade();
        // A second signal means "at once"; a second client only wants to know when it is over.
        if let Asker::Client(_) = asker
            && !now
            && self.desk.join_stop(std::slice::from_ref(&asker))
        {
            return;
        }
        let ticket = self.desk.open(Errand::Stop, vec![asker]);
        self.events.push_back(Event::Order(ticket, Order::Stop { now }));
    }

    /// The core has answered an order.
    pub(super) fn answer(&mut self, ticket: Ticket, outcome: Outcome) {
        let cut = self.desk.was_cut(ticket);
        let Some((errand, askers)) = self.desk.close(ticket) else {
            panic!("the core answered a ticket that is not open: {ticket:?}")
        };
        let generation = match errand {
            Errand::Reload(generation) => generation,
            Errand::Restart | Errand::Scale | Errand::Stop => self.fleet.generation(),
        };
        let trouble = self.trouble(outcome, generation);
        match errand {
            Errand::Reload(generation) => {
                let result = if trouble.is_none() { "done" } else { "failed" };
                match &trouble {
                    None => {
                        log::info!("reload to gen {} done", generation.0);
                        self.generations.commit(generation);
                    }
                    Some(trouble) => {
                        log::error!(
                            "reload to gen {} failed, nothing was changed: {}",
                            generation.0,
                            trouble.message
                        );
                        self.generations.discard(generation);
                    }
                }
                let error = trouble.as_ref().map(|trouble| trouble.message.clone());
                let report = LastReload { result: result.into(), generation: generation.0, error };
                self.finish_reload(&askers, report, trouble.as_ref());
                let folded = self.desk.take_folded();
                if !folded.is_empty() {
                    self.reload(folded);
                }
            }
            // Overtaken by a harder one: it is the same end that they wait for.
            Errand::Stop if outcome == Outcome::Superseded && self.desk.join_stop(&askers) => {}
            Errand::Scale => {
                self.scaled_before = None;
                self.remember();
                let (number, named) = (self.fleet.wanted(), counted(self.fleet.wanted().into(), "worker"));
                let bound = amount::bound(number).filter(|_| cut);
                let error = trouble.map(|trouble| match outcome {
                    Outcome::Failed(_) => {
                        Trouble { message: format!("scaling to {named}: {}", trouble.message), ..trouble }
                    }
                    Outcome::Done | Outcome::Refused(_) | Outcome::Superseded => trouble,
                });
                match &error {
                    None => log::info!("scale done: {named}{}", bound.unwrap_or_default()),
                    Some(trouble) if outcome == Outcome::Superseded => {
                        log::info!("scale: {}", trouble.message)
                    }
                    Some(trouble) => log::warn!("scale not done: {}", trouble.message),
                }
                let workers = error.is_none().then_some(number);
                let cut = bound.is_some() && workers.is_some();
                self.tell_askers(&askers, &Answer { error, workers, cut, ..Answer::default() });
            }
            Errand::Restart | Errand::Stop => {
                self.tell_askers(&askers, &Answer { error: trouble, ..Answer::default() });
            }
        }
    }

    /// How we are, for whoever started us: as `systemctl status` shows it.
    pub(super) fn status(&self) -> String {
        let (workers, generation) =
            (counted(self.fleet.wanted().into(), "worker"), self.fleet.generation().0);
        let listen = super::view::join(self.kept.listen());
        match self.last_reload.as_ref().and_then(|last| Some((&last.result, last.error.as_ref()?))) {
            None => format!("{workers} on UDP {listen}, generation {generation}"),
            Some((how, why)) => {
                format!("{workers} on UDP {listen}, generation {generation}; last reload {how}: {why}")
            }
        }
    }

    fn tell_askers(&mut self, askers: &[Asker], answer: &Answer) {
        for asker in askers {
            if let Asker::Client(client) = *asker {
                self.control.answer(client, answer.clone(), Vec::new());
            }
        }
    }

    fn trouble(&self, outcome: Outcome, generation: Generation) -> Option<Trouble> {
        let (message, hint) = match outcome {
            Outcome::Done => return None,
            Outcome::Refused(Refusal::NoRoom(workers)) => return self.room.refuse(workers),
            Outcome::Failed(failure) => {
                let frozen = self.generations.get(generation);
                let advice = frozen.and_then(|frozen| self.advice(failure, &frozen.config));
                (self.describe(failure), advice.unwrap_or("`atlas-cluster list` shows the workers"))
            }
            Outcome::Refused(Refusal::NoSuchSlot(slot)) => {
                (format!("there is no {}", self.name(slot)), "see `atlas-cluster list`")
            }
            Outcome::Refused(Refusal::TooMany) => ("too many orders wait already".into(), "wait for them"),
            Outcome::Refused(Refusal::Stopping) => ("the cluster is stopping".into(), "start it again"),
            Outcome::Refused(Refusal::OutOfRange) => {
                ("there can be 1 to 64 workers".into(), "choose a number in that range")
            }
            Outcome::Superseded => (
                "a stop, or a later order, overtook it".into(),
                "`atlas-cluster list` shows what is under way",
            ),
        };
        Some(Trouble { message, hint: Some(hint.into()), exit: exit::FAILED })
    }

    /// Who did not come up, and what it said last.
    fn describe(&self, failure: Failure) -> String {
        match failure {
            Failure::Died { slot, run } => match self.news.death(run) {
                Some(death) => format!("{} {death}", self.name(slot)),
                None => format!("{} died", self.name(slot)),
            },
            Failure::TooLate { slot, run } => format!("{} {}", self.name(slot), self.health.too_late(run)),
        }
    }

    /// The end of a cluster that was never online.
    pub(super) fn first_start_failed(&self, failure: Failure) -> Trouble {
        if let Failure::Died { run, .. } = failure
            && let Some(death) = self.news.death(run)
            && let Some(said) = death.refused_to_bind()
        {
            let (said, errno) = said.clone();
            return advice::on_port(contract::Failure { what: said, errno }, self.kept.is_shared());
        }
        let message = format!("the cluster did not come up: {}", self.describe(failure));
        let frozen = self.generations.get(self.fleet.generation());
        let advice = frozen.and_then(|frozen| self.advice(failure, &frozen.config));
        let hint = advice.unwrap_or("fix that and start again; --log-level debug shows each step");
        Trouble { message, hint: Some(hint.into()), exit: exit::FAILED }
    }
}
