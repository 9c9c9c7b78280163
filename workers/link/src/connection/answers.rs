//! What comes over a connection: values into facts, answers to the message they belong to.

use atlas::answer::{self, Answer, NOT_FOUND, Named};
use atlas::control::Value;
use atlas::order::Deed;
use atlas::params::{Aspect, ParamId};

use super::flight::{Cargo, Flight, KEEP_ALIVE_PARAM};
use super::limits::MORE_ERRORS;
use super::session::{Health, Session, Turn};
use super::words::{Action, Fact, Outcome};

impl Session {
    /// Takes a line. Garbage is nothing: who sends nothing else is found to answer nothing.
    pub(super) fn on_line(&mut self, turn: &mut Turn<'_>, line: &[u8]) {
        for answer in answer::read(line).unwrap_or_default() {
            match answer {
                Answer::Update(values) => self.on_update(turn, &values),
                Answer::Values { id, values } => self.on_values(turn, id, &values),
                Answer::Done { id } => self.on_done(turn, id),
                Answer::Refused { id, code, message, param } => {
                    self.on_refused(turn, id, code, message, param.as_deref());
                }
                Answer::Other => {}
            }
        }
        self.send_next(turn);
    }

    /// An update is the answer to a subscription too, where nothing else is.
    fn on_update(&mut self, turn: &mut Turn<'_>, values: &[Named]) {
        self.note(turn, values);
        let over = match self.flight.as_mut().map(|flight| &mut flight.cargo) {
            Some(Cargo::Batch(batch)) => batch.open.is_empty(),
            Some(Cargo::Command { command, updated }) => {
                let named = values.iter().any(|named| named.param == command.order.param);
                *updated |= named && !matches!(command.order.deed, Deed::Get(_));
                false
            }
            Some(Cargo::KeepAlive) | None => false,
        };
        if over {
            self.complete(turn, Outcome::Done);
        }
    }

    /// By its id, or by the names in it.
    fn on_values(&mut self, turn: &mut Turn<'_>, id: Option<u32>, values: &[Named]) {
        self.note(turn, values);
        self.settle_late(turn, id);
        let Some(flight) = &self.flight else { return self.note_answer(turn) };
        let by_id = id == Some(flight.id);
        let over = match &flight.cargo {
            Cargo::Batch(batch) => by_id || batch.open.is_empty(),
            Cargo::KeepAlive => by_id || values.iter().any(|named| named.param == KEEP_ALIVE_PARAM),
            Cargo::Command { command, .. } => {
                by_id
                    || match command.order.deed {
                        Deed::Get(_) => flight.cargo.wanted(values, false).is_some(),
                        Deed::Set(_) | Deed::Bump(_) => {
                            id.is_none() && values.iter().any(|named| named.param == command.order.param)
                        }
                    }
            }
        };
        if !over {
            return self.note_answer(turn);
        }
        let outcome = match &flight.cargo {
            Cargo::Batch(batch) if by_id => {
                // Who answers with values leaves out what does not exist.
                let names = batch.open.iter().filter(|open| open.aspect == Aspect::Name);
                turn.out.extend(names.map(|name| Action::Learn(name.of, Fact::Name(None))));
                Outcome::Done
            }
            Cargo::Command { command, .. } if matches!(command.order.deed, Deed::Get(_)) => {
                let value = flight.cargo.wanted(values, by_id).map(Outcome::Value);
                value.unwrap_or_else(|| Outcome::Refused("the answer holds no value of it".into()))
            }
            Cargo::Batch(_) | Cargo::KeepAlive | Cargo::Command { .. } => Outcome::Done,
        };
        self.complete(turn, outcome);
    }

    /// Without an id it belongs to the one message that is under way.
    fn on_done(&mut self, turn: &mut Turn<'_>, id: Option<u32>) {
        self.settle_late(turn, id);
        match &self.flight {
            Some(flight) if id.is_none_or(|id| id == flight.id) => {
                let outcome = match &flight.cargo {
                    Cargo::Command { command, .. } if matches!(command.order.deed, Deed::Get(_)) => {
                        Outcome::Refused("the answer holds no value of it".into())
                    }
                    Cargo::Batch(_) | Cargo::KeepAlive | Cargo::Command { .. } => Outcome::Done,
                };
                self.complete(turn, outcome);
            }
            Some(_) | None => self.note_answer(turn),
        }
    }

    fn on_refused(
        &mut self,
        turn: &mut Turn<'_>,
        id: Option<u32>,
        code: Option<i64>,
        message: String,
        param: Option<&str>,
    ) {
        let known = param.and_then(ParamId::named);
        let Some(flight) = &mut self.flight else {
            self.note_absent(turn, known.filter(|_| code == Some(NOT_FOUND)));
            return self.note_answer(turn);
        };
        let mine = match (id, param, &flight.cargo) {
            (Some(id), _, _) => id == flight.id,
            (None, None, _) => true,
            (None, Some(_), Cargo::Batch(batch)) => known.is_some_and(|known| batch.asked.contains(&known)),
            (None, Some(name), Cargo::Command { command, .. }) => name == command.order.param,
            (None, Some(name), Cargo::KeepAlive) => name == KEEP_ALIVE_PARAM,
        };
        let mut absent = known.filter(|_| code == Some(NOT_FOUND));
        let over = match &mut flight.cargo {
            Cargo::Batch(batch) if mine => {
                let named = known.filter(|known| batch.asked.contains(known));
                absent = absent.or(named);
                batch.open.retain(|param| Some(*param) != named);
                batch.named |= named.is_some();
                batch.errors += 1;
                let patience = if self.one_error_each { Default::default() } else { MORE_ERRORS };
                batch.quiet_at = Some(turn.now + patience);
                batch.open.is_empty()
            }
            Cargo::Command { .. } | Cargo::KeepAlive => mine,
            Cargo::Batch(_) => false,
        };
        self.note_absent(turn, absent);
        if over {
            return self.complete(turn, Outcome::Refused(message));
        }
        self.note_answer(turn);
    }

    /// The message under way is over, and this became of it.
    fn complete(&mut self, turn: &mut Turn<'_>, outcome: Outcome) {
        let Some(Flight { cargo, .. }) = self.flight.take() else { return };
        match cargo {
            Cargo::Batch(batch) => self.settle(turn, &batch.asked, batch.sweep),
            Cargo::KeepAlive => {
                // Alive, and yet it did not answer the subscriptions before: where it never does, they hold.
                if self.health == (Health::Doubted { batch: true })
                    && std::mem::replace(&mut self.subscribes_blindly, true)
                    && let Some((_, batch)) = self.late.take()
                {
                    self.settle(turn, &batch.asked, batch.sweep);
                }
            }
            Cargo::Command { command, .. } => turn.answer(command.ticket, outcome),
        }
        self.note_answer(turn);
    }

    /// The answer to subscriptions that was overdue: a slow processor must not be asked the same for ever.
    fn settle_late(&mut self, turn: &mut Turn<'_>, id: Option<u32>) {
        if let Some((_, batch)) = self.late.take_if(|(late, _)| Some(*late) == id) {
            self.settle(turn, &batch.asked, batch.sweep);
        }
    }

    /// These were asked, and what was not found absent is subscribed.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>, asked: &[ParamId], sweep: bool) {
        self.survey.accept(asked, sweep);
        for param in asked.iter().filter(|param| param.aspect == Aspect::Meter) {
            // The silence of what only a sweep asked for is no reason to act, until a value of it was seen.
            let counts =
                if sweep { self.survey.is_confirmed(param.of) } else { self.survey.is_subscribed(param.of) };
            if counts {
                turn.levels.note_subscribed(param.of, turn.now);
            }
        }
    }

    /// Values are facts, whoever asked for them.
    fn note(&mut self, turn: &mut Turn<'_>, values: &[Named]) {
        for Named { param, value } in values {
            let Some(param) = ParamId::named(param) else { continue };
            self.survey.confirm(param);
            if let Some(Flight { cargo: Cargo::Batch(batch), .. }) = &mut self.flight {
                batch.open.retain(|open| *open != param);
            }
            let fact = match (param.aspect, value) {
                (Aspect::Name, Value::Str(name)) => Fact::Name(Some(name.clone())),
                (Aspect::Mute, Value::Val(number)) => Fact::Muted(*number != 0.0),
                (Aspect::Gain, Value::Val(db)) => Fact::Gain(*db),
                (Aspect::Source, Value::Val(number)) => Fact::Source(*number),
                // One thing under several names; a processor may have any of them.
                (Aspect::Grouped | Aspect::Active | Aspect::Combine, Value::Val(number)) => {
                    Fact::Grouped(*number != 0.0)
                }
                (
                    Aspect::Meter
                    | Aspect::Name
                    | Aspect::Mute
                    | Aspect::Gain
                    | Aspect::Source
                    | Aspect::Grouped
                    | Aspect::Active
                    | Aspect::Combine,
                    Value::Val(_) | Value::Pct(_) | Value::Str(_),
                ) => continue,
            };
            turn.out.push(Action::Learn(param.of, fact));
        }
    }

    /// What is not there has no name, and what no meter measures is nothing.
    pub(super) fn note_absent(&mut self, turn: &mut Turn<'_>, param: Option<ParamId>) {
        let Some(param) = param else { return };
        self.survey.absent(param);
        let fact = match param.aspect {
            Aspect::Meter => Fact::Absent,
            Aspect::Name => Fact::Name(None),
            Aspect::Mute
            | Aspect::Gain
            | Aspect::Source
            | Aspect::Grouped
            | Aspect::Active
            | Aspect::Combine => return,
        };
        turn.out.push(Action::Learn(param.of, fact));
    }
}
