//! The loop: waits, reads and writes, takes what users ask, looks at the table, and only then judges what did not come.
//! Told to leave, it takes nobody new, and goes on until those are answered whom it has taken, for a bounded time.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use atlas::asked::Asked;
use atlas::capture::{self, From, Record};
use atlas::order::{Refusal, Reply, Request};
use atlas::recording::{Accepted, Subscription};
use atlas::{Kind, MeterId};
use contract::{Failure, Life, clock};
use mio::{Events, Poll, Token};
use table::Reader;

use crate::connection::{Outcome, Ticket};
use crate::diary;
use crate::door::{self, Door};
use crate::peer::{Peer, Tools};
use crate::recorders::Recorders;
use crate::reply;

/// How often a demo that has told no port yet is looked for.
const PORT: Duration = Duration::from_millis(20);
/// How often the table is looked at for meters that are silent.
const LOOK: Duration = Duration::from_millis(500);

/// A command that is under way: who asked, what it is about.
pub(super) struct Command {
    ticket: Ticket,
    peer: usize,
    param: String,
}

/// Everything that a turn works with.
pub(crate) struct Shell<'a> {
    // Dropped in this order: sockets first.
    pub(super) peers: Vec<Peer>,
    pub(super) door: Option<Door>,
    pub(super) poll: Poll,
    pub(super) life: Life,
    pub(super) tools: Tools<'a>,
    pub(super) reader: Reader<&'a [AtomicU64]>,
    pub(super) requests: Vec<Command>,
    pub(super) recorders: Recorders,
    /// Whether the workers that read the datagrams are ours.
    pub(super) reads_levels: bool,
    pub(super) next_look: Duration,
    /// How long we may take to leave, …
    pub(super) leave: Duration,
    /// … and until when that is, once we do.
    pub(super) leave_by: Option<Duration>,
}

impl Shell<'_> {
    /// Waits, takes what came, and only then judges what did not come. Answers whether there is to be another turn.
    pub(crate) fn turn(&mut self, events: &mut Events) -> Result<bool, Failure> {
        let full = self.tools.diary.flush(self.life.notify());
        self.wait(events, full)?;
        for event in events.iter() {
            let Token(index) = event.token();
            let ours = self.life.handle(event.token())
                || self.door.as_mut().is_some_and(|door| door.note(event.token()));
            if !ours && let Some(peer) = self.peers.get_mut(index) {
                peer.note(event);
            }
        }
        let now = clock::boot();
        if self.life.leaving() && self.leave_by.is_none() {
            self.begin_to_leave(now);
        }
        self.peers.iter_mut().for_each(|peer| peer.work(now, &mut self.tools));
        self.take_requests();
        self.record();
        self.look();
        let now = clock::boot();
        for peer in self.peers.iter_mut().filter(|peer| peer.deadline() <= now) {
            peer.tick(now, &mut self.tools);
        }
        for (ticket, outcome) in std::mem::take(&mut self.tools.answers) {
            self.answer(ticket, outcome);
        }
        Ok(!self.is_over(now))
    }

    /// Whoever comes from now on waits for our successor. First of all, so that a demo that leaves with us is no loss to be
    /// told.
    fn begin_to_leave(&mut self, now: Duration) {
        let by = now + self.leave;
        self.leave_by = Some(by);
        self.door.iter_mut().for_each(|door| door.close(self.poll.registry()));
        self.peers.iter_mut().for_each(|peer| peer.leave(now, by, &mut self.tools));
    }

    /// We leave, and nobody waits for an answer, or there is no more time.
    fn is_over(&mut self, now: Duration) -> bool {
        let Some(by) = self.leave_by else { return false };
        let is_needed = self.door.as_mut().is_some_and(|door| door.let_go(now));
        !is_needed || now >= by
    }

    fn wait(&mut self, events: &mut Events, full: bool) -> Result<(), Failure> {
        let now = clock::boot();
        let more = self.door.as_ref().is_some_and(Door::has_more);
        let due = self.peers.iter().map(Peer::deadline).fold(self.next_look, Duration::min);
        let due = self.peers.iter().filter_map(Peer::more_at).fold(due, Duration::min);
        let mut wait = if more { Duration::ZERO } else { due.saturating_sub(now) };
        if self.peers.iter().any(Peer::waits_for_port) {
            wait = wait.min(PORT);
        }
        if let Some(at) = self.door.as_ref().and_then(Door::deadline) {
            wait = wait.min(at.saturating_duration_since(Instant::now()));
        }
        if let Some(by) = self.leave_by {
            wait = wait.min(by.saturating_sub(now)).min(door::FRESH);
        }
        wait = self.life.poll_wait(now).map_or(wait, |ping| ping.min(wait));
        if full {
            wait = wait.min(diary::RETRY);
        }
        // Up to the next millisecond: epoll knows none between.
        let wait = Duration::from_millis(u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
        match self.poll.poll(events, Some(wait)) {
            Err(e) if e.kind() != std::io::ErrorKind::Interrupted => Err(Failure::of("cannot wait", &e)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Tells each connection when its meters were heard.
    fn look(&mut self) {
        let now = clock::boot();
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK;
        for peer in &mut self.peers {
            let Some(place) = peer.place else { continue };
            let heard: Vec<(MeterId, Duration)> = self
                .reader
                .meters(place)
                .filter_map(|meter| {
                    let kind = *Kind::ALL.get(usize::from(meter.kind))?;
                    Some((MeterId { kind, index: meter.index }, Duration::from_micros(meter.micros)))
                })
                .collect();
            peer.levels_heard(now, &heard, &mut self.tools);
        }
    }

    fn take_requests(&mut self) {
        let Some(door) = &mut self.door else { return };
        for (ticket, asked) in door.poll_requests(self.poll.registry()) {
            match asked {
                Asked::Param(request) => self.take_request(ticket, request),
                Asked::Recording(wanted) => self.begin_recording(ticket, &wanted),
            }
        }
    }

    /// The number of the processor of that name or address.
    fn peer(&self, name: &str) -> Result<usize, Refusal> {
        let address = name.parse().ok();
        let wanted = |peer: &Peer| peer.name == name || Some(peer.address.ip()) == address;
        self.peers.iter().position(wanted).ok_or_else(|| {
            let known: Vec<&str> = self.peers.iter().map(|peer| peer.name.as_str()).collect();
            reply::unknown_processor(name, &known)
        })
    }

    fn begin_recording(&mut self, ticket: Ticket, wanted: &Subscription) {
        let begun = self.peer(&wanted.processor).and_then(|at| {
            let is_followed = self.door.as_ref().is_some_and(|door| door.is_followed(at));
            let peer = &mut self.peers[at];
            self.recorders.begin(at, peer.place, wanted.recorder, is_followed, self.tools.table).map_err(
                |why| Refusal { message: format!("cannot record {}: {}", peer.name, why.message), ..why },
            )?;
            peer.is_recorded = true;
            let (processor, address) = (peer.name.clone(), peer.address.ip());
            Ok((at, Accepted { processor, address, datagrams: self.reads_levels }))
        });
        let Some(door) = &mut self.door else { return };
        match begun {
            Ok((at, accepted)) => {
                door.follow(ticket, at);
                door.answer(ticket, &accepted);
            }
            Err(error) => door.answer(ticket, &Reply { error: Some(error), ..Reply::default() }),
        }
    }

    /// Tells recorders what was heard in this turn, and notices those who hung up.
    fn record(&mut self) {
        let Some(door) = self.door.as_mut().filter(|_| !self.recorders.is_empty()) else { return };
        let now = clock::boot();
        for (at, peer) in self.peers.iter_mut().enumerate().filter(|(_, peer)| peer.is_recorded) {
            for bytes in peer.take_recorded_lines() {
                let mut text = Vec::new();
                // Nothing fails that writes to memory.
                let _ = capture::write(&mut text, &Record { at: now, from: From::Tcp, bytes });
                door.tell(at, &text);
            }
        }
        for at in self.recorders.prune(now, |peer| door.is_followed(peer), self.tools.table) {
            self.peers[at].is_recorded = false;
        }
    }

    fn take_request(&mut self, ticket: Ticket, request: Request) {
        let peer = self.peer(&request.processor);
        match peer.and_then(|peer| Ok((peer, request.check()?))) {
            Ok((peer, order)) => {
                self.requests.push(Command { ticket, peer, param: order.param.clone() });
                self.peers[peer].command(clock::boot(), ticket, &order, &mut self.tools);
            }
            Err(error) => {
                let reply = Reply { error: Some(error), ..Reply::default() };
                self.door.iter_mut().for_each(|door| door.answer(ticket, &reply));
            }
        }
    }

    fn answer(&mut self, ticket: Ticket, outcome: Outcome) {
        let Some(at) = self.requests.iter().position(|asked| asked.ticket == ticket) else { return };
        let asked = self.requests.swap_remove(at);
        let reply = reply::of(outcome, &self.peers[asked.peer].name, &asked.param);
        self.door.iter_mut().for_each(|door| door.answer(ticket, &reply));
    }
}
