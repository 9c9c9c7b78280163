//! The whole processor: its connections, its model, the faults that go on. Pure; told the time, events in, actions out.

mod event;
mod garbage;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

pub use event::{Action, Conn, Event, Settings};

use crate::fault::{Course, Kind, Turn};
use crate::ledger::{Ledger, Stats, Violation};
use crate::model::{Format, Model, Param};
use crate::outlet::Manner;
use crate::replay::Replay;
use crate::session::{Lines, Replies, Request, Session, answer};
use atlas::capture::From;

/// Between two pieces of garbage.
const GARBAGE_EVERY: Duration = Duration::from_millis(100);

/// A connection that is served.
struct Served {
    peer: IpAddr,
    lines: Lines,
    session: Session,
    /// When something came last.
    heard: Duration,
}

/// A processor.
pub struct Processor {
    settings: Settings,
    model: Model,
    served: BTreeMap<Conn, Served>,
    course: Course,
    replay: Option<Replay>,
    ledger: Ledger,
    /// When meters go out next.
    meters_at: Duration,
    /// When garbage goes out next, while there is any; and which.
    garbage_at: Duration,
    garbage: usize,
    /// How often names were changed.
    renames: u32,
}

impl Processor {
    /// At its start, with nobody connected.
    #[must_use]
    pub fn new(mut settings: Settings) -> Processor {
        let records = std::mem::take(&mut settings.replay);
        Processor {
            model: Model::new(settings.product, settings.seed),
            served: BTreeMap::new(),
            course: Course::new(&settings.faults),
            replay: (!records.is_empty()).then(|| Replay::new(records)),
            ledger: Ledger::default(),
            meters_at: Duration::ZERO,
            garbage_at: Duration::ZERO,
            garbage: 0,
            renames: 0,
            settings,
        }
    }

    /// Hears of one thing that happened at `now`, the time since the start.
    pub fn handle(&mut self, now: Duration, event: Event<'_>, actions: &mut Vec<Action>) {
        self.ledger.at(now);
        match event {
            Event::Connected { conn, peer } => self.connected(now, conn, peer, actions),
            Event::Received { conn, bytes } => self.received(now, conn, bytes, actions),
            Event::Ended { conn, overflowed } => {
                self.ledger.connections.overflowed += u64::from(overflowed);
                self.leave(conn);
            }
            Event::Refused => self.ledger.connections.refused += 1,
            Event::Fault { kind, lasts } => self.course.begin(now, kind, lasts),
            Event::Heal => self.course.heal(now),
            Event::Clock => {}
        }
        self.tick(now, actions);
    }

    /// When it wants to be told the time next.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let idle = self.served.values().map(|served| served.heard + self.settings.inactivity).min();
        let meters = (!self.served.is_empty()).then_some(self.meters_at);
        let garbage = self.course.is_on(Kind::Garbage).then_some(self.garbage_at);
        let replay = self.replay.as_ref().and_then(Replay::deadline);
        [idle, meters, garbage, replay, self.course.deadline()].into_iter().flatten().min()
    }

    /// How lines go out now.
    #[must_use]
    pub fn manner(&self) -> Manner {
        Manner {
            slow: self.course.is_on(Kind::Slow),
            split: self.course.is_on(Kind::Split),
            glued: self.course.is_on(Kind::Glued),
            crlf: self.course.is_on(Kind::Crlf),
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let faults = self.course.all_on().map(|kind| kind.name().to_owned()).collect();
        self.ledger.stats(self.settings.product.name(), faults)
    }

    /// Gives a parameter that holds text another one, as somebody at the processor does; tells whether it took it.
    /// Subscribers are told at the next event.
    pub fn rename(&mut self, name: &str, text: &str) -> bool {
        self.model.find(name).is_some_and(|param| self.model.rename(param, text))
    }

    /// How many bytes of lines that have begun are kept for a connection, and how many subscriptions.
    #[must_use]
    pub fn held(&self, conn: Conn) -> (usize, usize) {
        let held = |served: &Served| (served.lines.held(), served.session.subscriptions().len());
        self.served.get(&conn).map_or((0, 0), held)
    }

    fn connected(&mut self, now: Duration, conn: Conn, peer: IpAddr, actions: &mut Vec<Action>) {
        if self.course.is_on(Kind::HalfOpen) {
            self.ledger.connections.frozen += 1;
            return actions.push(Action::Freeze(conn));
        }
        self.ledger.connected();
        let served = Served { peer, lines: Lines::default(), session: Session::default(), heard: now };
        self.served.insert(conn, served);
        if let Some(replay) = &mut self.replay {
            replay.begin(now);
        }
    }

    fn received(&mut self, now: Duration, conn: Conn, mut bytes: &[u8], actions: &mut Vec<Action>) {
        let locked_up = self.course.is_on(Kind::Lockup);
        while let Some(served) = self.served.get_mut(&conn) {
            served.heard = now;
            match served.lines.take(&mut bytes) {
                None => break,
                Some(Err(_)) => self.ledger.violation(Violation::TooLong),
                Some(Ok(line)) if locked_up => {
                    // Read, counted, and never answered.
                    if let Ok(request) = Request::parse(line.trim_ascii()) {
                        self.ledger.count(request.method);
                    }
                }
                Some(Ok(line)) => {
                    self.model.advance(now);
                    let replies = served.session.handle(&line, &mut self.model, &mut self.ledger);
                    let peer = served.peer;
                    self.answer(conn, peer, replies, actions);
                    self.tell_changes(actions);
                }
            }
        }
    }

    fn answer(&mut self, conn: Conn, peer: IpAddr, replies: Replies, actions: &mut Vec<Action>) {
        actions.extend(replies.lines.into_iter().map(|line| Action::Line { conn, line }));
        // A recording has levels of its own.
        let levels = replies.levels.into_iter().filter(|_| self.replay.is_none()).collect::<Vec<_>>();
        for datagram in replies.datagrams.into_iter().chain(levels) {
            self.datagram(peer, datagram.into_bytes(), actions);
        }
    }

    fn datagram(&mut self, to: IpAddr, bytes: Vec<u8>, actions: &mut Vec<Action>) {
        self.ledger.datagrams += 1;
        actions.push(Action::Datagram { to, bytes });
    }

    /// Tells subscribers of what changed; what a locked-up control port would have told is lost.
    fn tell_changes(&mut self, actions: &mut Vec<Action>) {
        let changes = self.model.take_changes();
        if self.course.is_on(Kind::Lockup) {
            return;
        }
        for param in changes {
            for (conn, served) in &self.served {
                for format in served.session.formats_of(param) {
                    let line = answer::update(&[self.model.entry(param, format)]);
                    actions.push(Action::Line { conn: *conn, line });
                }
            }
        }
    }

    /// Forgets a connection, and with it all that it was subscribed to.
    fn leave(&mut self, conn: Conn) {
        let Some(served) = self.served.remove(&conn) else { return };
        self.ledger.disconnected();
        for (param, format) in served.session.subscriptions() {
            self.ledger.unsubscribed(*param, *format);
        }
        if let Some(replay) = self.replay.as_mut().filter(|_| self.served.is_empty()) {
            replay.stop();
        }
    }

    fn leave_all(&mut self, actions: &mut Vec<Action>, action: fn(Conn) -> Action) {
        let all: Vec<Conn> = self.served.keys().copied().collect();
        for conn in all {
            self.leave(conn);
            actions.push(action(conn));
        }
    }

    /// Does what is due by `now`.
    fn tick(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while let Some(turn) = self.course.poll(now) {
            match turn {
                Turn::Began(kind) => self.begin(now, kind, actions),
                Turn::Ended(kind) => self.end(kind, actions),
            }
        }
        let idle = |served: &Served| served.heard + self.settings.inactivity <= now;
        let idle: Vec<Conn> =
            self.served.iter().filter(|(_, served)| idle(served)).map(|(conn, _)| *conn).collect();
        for conn in idle {
            self.leave(conn);
            actions.push(Action::Close(conn));
        }
        self.tell_changes(actions);
        self.play(now, actions);
        if now >= self.meters_at {
            let next = self.meters_at + self.settings.interval;
            // Late is late: what was missed is not made up for.
            self.meters_at = if next > now { next } else { now + self.settings.interval };
            self.send_meters(now, actions);
        }
        if self.course.is_on(Kind::Garbage) && now >= self.garbage_at {
            self.garbage_at = now + GARBAGE_EVERY;
            self.send_garbage(actions);
        }
    }

    fn begin(&mut self, now: Duration, kind: Kind, actions: &mut Vec<Action>) {
        actions.push(Action::Tell(format!("{} begins", kind.name())));
        match kind {
            Kind::HalfOpen => {
                self.ledger.connections.frozen += self.served.len() as u64;
                self.leave_all(actions, Action::Freeze);
            }
            Kind::Reboot | Kind::ControlOff => {
                self.leave_all(actions, Action::Close);
                actions.push(Action::Listen(false));
            }
            Kind::Rename => {
                self.renames += 1;
                for name in ["ZoneName_0", "SourceName_0"] {
                    self.rename(name, &format!("Renamed {}", self.renames));
                }
            }
            Kind::Garbage => self.garbage_at = now,
            Kind::Lockup | Kind::Slow | Kind::Split | Kind::Glued | Kind::Crlf => {}
        }
    }

    fn end(&mut self, kind: Kind, actions: &mut Vec<Action>) {
        actions.push(Action::Tell(format!("{} is over", kind.name())));
        match kind {
            Kind::Reboot | Kind::ControlOff => {
                let closed = self.course.is_on(Kind::Reboot) || self.course.is_on(Kind::ControlOff);
                actions.push(Action::Listen(!closed));
            }
            Kind::HalfOpen
            | Kind::Rename
            | Kind::Garbage
            | Kind::Lockup
            | Kind::Slow
            | Kind::Split
            | Kind::Glued
            | Kind::Crlf => {}
        }
    }

    /// Sends what the recording holds for now; a round of it at most. A locked-up control port loses its lines.
    fn play(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let locked_up = self.course.is_on(Kind::Lockup);
        let Some(replay) = &mut self.replay else { return };
        let mut peers: Vec<IpAddr> = self.served.values().map(|served| served.peer).collect();
        peers.sort();
        peers.dedup();
        while let Some(record) = replay.poll(now) {
            let bytes = &record.bytes;
            match record.from {
                From::Tcp if locked_up => {}
                From::Tcp => {
                    let line = [bytes.as_slice(), b"\n"].concat();
                    actions.extend(
                        self.served.keys().map(|conn| Action::Raw { conn: *conn, bytes: line.clone() }),
                    );
                }
                From::Udp => {
                    self.ledger.datagrams += peers.len() as u64;
                    actions.extend(peers.iter().map(|to| Action::Datagram { to: *to, bytes: bytes.clone() }));
                }
            }
        }
    }

    /// Sends every subscriber his meters; a recording has meters of its own.
    fn send_meters(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.replay.is_some() {
            return;
        }
        self.model.advance(now);
        let mut all: Vec<(IpAddr, Vec<String>)> = Vec::new();
        let is_meter = |(param, _): &&(Param, Format)| param.is_meter();
        for served in self.served.values() {
            let meters = served.session.subscriptions().iter().filter(is_meter);
            all.push((
                served.peer,
                meters.map(|(param, format)| self.model.entry(*param, *format)).collect(),
            ));
        }
        for (to, entries) in all {
            for entries in entries.chunks(self.settings.batch.max(1)) {
                self.datagram(to, answer::update(entries).into_bytes(), actions);
            }
        }
    }

    fn send_garbage(&mut self, actions: &mut Vec<Action>) {
        let piece = garbage::PIECES[self.garbage % garbage::PIECES.len()];
        self.garbage += 1;
        let locked_up = self.course.is_on(Kind::Lockup);
        let to: Vec<(Conn, IpAddr)> = self.served.iter().map(|(conn, served)| (*conn, served.peer)).collect();
        for (conn, peer) in to {
            if !locked_up {
                actions.push(Action::Raw { conn, bytes: [piece, b"\n"].concat() });
            }
            self.datagram(peer, piece.to_vec(), actions);
        }
    }
}

#[cfg(test)]
mod tests;
