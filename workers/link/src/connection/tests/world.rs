//! Simulated time: a connection, a network and a processor. Whatever happens, it holds what a connection promises.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use atlas::MeterId;
use atlas::order::Order;
use atlas::params::ParamId;
use table::ConnectionState as State;

use super::processor::Processor;
use crate::connection::limits::{ANSWER, GAP, PATIENCE};
use crate::connection::{Action, Connection, Event, Fact, Outcome, Remark, Ticket, Time};

/// How often the shell looks into the table.
const LOOK: Duration = Duration::from_millis(500);

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// Connections open.
    Open,
    /// They are refused.
    Refusing,
    /// Nothing comes back, and established ones do not notice.
    Gone,
    /// They open and are closed at once.
    Slamming,
}

#[derive(Debug)]
enum News {
    Opened,
    Closed(&'static str),
    Line(String),
}

pub(super) struct World {
    pub(super) now: Time,
    pub(super) connection: Connection,
    pub(super) processor: Processor,
    pub(super) network: Network,
    /// The way there and back.
    pub(super) latency: Duration,
    /// Of the connection under way, in order of time.
    news: VecDeque<(Time, News)>,
    next_look: Time,
    heard: BTreeMap<MeterId, Time>,
    /// Ordered and not closed.
    tcp: bool,
    established: bool,
    /// The far end of this connection is gone, and nothing tells: what is sent is acknowledged and never read.
    half_open: bool,
    sent: VecDeque<Time>,
    asked: BTreeMap<Ticket, Time>,
    next_ticket: u64,
    pub(super) opens: u64,
    pub(super) lines: u64,
    pub(super) states: Vec<(Time, State)>,
    pub(super) remarks: Vec<(Time, Remark)>,
    /// The same as people read them.
    pub(super) told: Vec<String>,
    pub(super) outcomes: BTreeMap<Ticket, (Time, Outcome)>,
    pub(super) names: BTreeMap<MeterId, Option<String>>,
    pub(super) mutes: BTreeMap<MeterId, bool>,
    pub(super) gains: BTreeMap<MeterId, f64>,
    pub(super) sources: BTreeMap<MeterId, f64>,
    pub(super) grouped: BTreeMap<MeterId, bool>,
}

impl World {
    pub(super) fn new(processor: Processor, seed: u64) -> World {
        let now = Duration::from_secs(1000);
        World {
            now,
            connection: Connection::new(now, seed, true),
            processor,
            network: Network::Open,
            latency: Duration::from_millis(3),
            news: VecDeque::new(),
            next_look: now,
            heard: BTreeMap::new(),
            tcp: false,
            established: false,
            half_open: false,
            sent: VecDeque::new(),
            asked: BTreeMap::new(),
            next_ticket: 1,
            opens: 0,
            lines: 0,
            states: Vec::new(),
            remarks: Vec::new(),
            told: Vec::new(),
            outcomes: BTreeMap::new(),
            names: BTreeMap::new(),
            mutes: BTreeMap::new(),
            gains: BTreeMap::new(),
            sources: BTreeMap::new(),
            grouped: BTreeMap::new(),
        }
    }

    pub(super) fn state(&self) -> Option<State> {
        self.states.last().map(|(_, state)| *state)
    }

    /// Levels of these meters were heard before this connection was made.
    pub(super) fn remember(&mut self, meters: &[MeterId]) {
        self.heard.extend(meters.iter().map(|meter| (*meter, Duration::from_secs(1))));
    }

    /// Every meter that the processor has was heard just now.
    pub(super) fn fresh(&self) -> bool {
        self.silent().is_empty()
    }

    /// Meters that have no fresh level.
    fn silent(&self) -> Vec<String> {
        let fresh = |name: &String| {
            self.heard.get(&ParamId::named(name).unwrap().of).is_some_and(|at| self.now - *at <= LOOK * 2)
        };
        self.processor.meters().into_iter().filter(|name| !fresh(name)).collect()
    }

    pub(super) fn order(&mut self, order: &Order) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.asked.insert(ticket, self.now);
        self.happen(Event::Command(ticket, order));
        ticket
    }

    /// We leave within so long.
    pub(super) fn leave(&mut self, within: Duration) {
        self.happen(Event::Leave(self.now + within));
    }

    /// The connection ends: from the far end, or because somebody pulled it.
    pub(super) fn cut(&mut self) {
        self.processor.subscribed.clear();
        if self.tcp {
            self.news.clear();
            self.news.push_back((self.now, News::Closed("Connection reset by peer")));
        }
    }

    /// The processor loses what it knows of us, and nobody is told.
    pub(super) fn forget_us(&mut self) {
        self.processor.subscribed.clear();
        self.established = false;
    }

    /// The far end of this connection goes, and says nothing; a new one is welcome.
    pub(super) fn vanish(&mut self) {
        self.processor.subscribed.clear();
        self.news.clear();
        self.half_open = self.established;
    }

    pub(super) fn say(&mut self, line: &str) {
        if self.established && !self.half_open && self.network == Network::Open {
            self.news.push_back((self.now + self.latency, News::Line(line.to_owned())));
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut turns = 0u64;
        while self.step(end) {
            turns += 1;
            assert!(turns < 100_000_000, "it spins at {:?}", self.now);
        }
    }

    /// Runs until this holds; panics if it does not within `time`.
    #[track_caller]
    pub(super) fn run_until(&mut self, time: Duration, holds: impl Fn(&World) -> bool) -> Duration {
        let (begin, end) = (self.now, self.now + time);
        while !holds(self) {
            assert!(self.step(end), "not within {time:?}: {:?} {:?}", self.states, self.silent());
        }
        self.now - begin
    }

    /// One event; false at the end of the time.
    fn step(&mut self, end: Time) -> bool {
        let due = self.connection.deadline();
        let news = self.news.front().map_or(Time::MAX, |(at, _)| *at);
        let next = due.min(news).min(self.next_look).max(self.now);
        if next > end {
            self.now = end;
            return false;
        }
        self.now = next;
        if news <= self.now {
            let Some((_, news)) = self.news.pop_front() else { return true };
            self.deliver(&news);
        } else if self.next_look <= self.now {
            self.next_look = self.now + LOOK;
            if self.established {
                for name in self.processor.heard() {
                    self.heard.insert(ParamId::named(&name).unwrap().of, self.now);
                }
            }
            let heard: Vec<_> = self.heard.iter().map(|(meter, at)| (*meter, *at)).collect();
            self.happen(Event::LevelsHeard(&heard));
        } else {
            self.happen(Event::Clock);
        }
        true
    }

    fn deliver(&mut self, news: &News) {
        match news {
            News::Opened => {
                self.established = true;
                self.happen(Event::Opened);
            }
            News::Closed(why) => {
                (self.tcp, self.established) = (false, false);
                self.news.clear();
                self.happen(Event::Closed(why));
            }
            News::Line(line) => {
                self.lines += 1;
                self.happen(Event::Line(line.as_bytes()));
            }
        }
    }

    fn happen(&mut self, event: Event<'_>) {
        let mut actions = Vec::new();
        self.connection.handle(self.now, event, &mut actions);
        actions.into_iter().for_each(|action| self.perform(action));
        for (ticket, asked) in &self.asked {
            assert!(self.now - *asked <= PATIENCE + ANSWER * 2, "{ticket:?} is not answered");
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Open => {
                assert!(!self.tcp, "two connections at once");
                self.tcp = true;
                self.half_open = false;
                self.opens += 1;
                let at = self.now + self.latency;
                match self.network {
                    Network::Open => self.news.push_back((at, News::Opened)),
                    Network::Refusing => self.news.push_back((at, News::Closed("Connection refused"))),
                    Network::Gone => {}
                    Network::Slamming => {
                        self.news.push_back((at, News::Opened));
                        self.news.push_back((at + self.latency, News::Closed("the processor closed it")));
                    }
                }
            }
            Action::Close => {
                assert!(self.tcp, "nothing to close");
                (self.tcp, self.established) = (false, false);
                self.news.clear();
                self.processor.subscribed.clear();
            }
            Action::Send(line) => self.send(&line),
            Action::State(state) => {
                assert_ne!(self.state(), Some(state), "no change");
                self.states.push((self.now, state));
            }
            Action::Tell(remark, aside) => {
                self.told.push(format!("{remark}{aside}"));
                self.remarks.push((self.now, remark));
            }
            Action::Learn(meter, fact) => self.learn(meter, fact),
            Action::Answer(ticket, outcome) => {
                assert!(self.asked.remove(&ticket).is_some(), "{ticket:?} was answered before");
                self.outcomes.insert(ticket, (self.now, outcome));
            }
        }
    }

    fn learn(&mut self, meter: MeterId, fact: Fact) {
        match fact {
            Fact::Name(name) => drop(self.names.insert(meter, name)),
            Fact::Muted(muted) => drop(self.mutes.insert(meter, muted)),
            Fact::Gain(db) => drop(self.gains.insert(meter, db)),
            Fact::Source(number) => drop(self.sources.insert(meter, number)),
            Fact::Grouped(grouped) => drop(self.grouped.insert(meter, grouped)),
            Fact::Absent => {
                self.names.remove(&meter);
                self.mutes.remove(&meter);
                self.gains.remove(&meter);
                self.sources.remove(&meter);
                self.grouped.remove(&meter);
            }
        }
    }

    fn send(&mut self, line: &str) {
        assert!(self.tcp, "nobody to send to");
        self.sent.push_back(self.now);
        while self.sent.front().is_some_and(|at| self.now - *at >= Duration::from_secs(1)) {
            self.sent.pop_front();
        }
        assert!(
            self.sent.len() <= (Duration::from_secs(1).as_millis() / GAP.as_millis()) as usize,
            "a flood"
        );
        match self.network {
            _ if self.half_open => {}
            Network::Gone => {}
            // A processor that forgot us answers with a reset.
            Network::Open | Network::Refusing | Network::Slamming if !self.established => {
                self.news.push_back((self.now + self.latency, News::Closed("Connection reset by peer")));
            }
            Network::Slamming => {}
            Network::Open | Network::Refusing => {
                for answer in self.processor.take(line) {
                    self.news.push_back((self.now + self.latency, News::Line(answer)));
                }
            }
        }
    }

    /// How often the processor was asked so.
    pub(super) fn asked(&self, method: &str) -> usize {
        self.processor.asked.iter().filter(|(asked, _)| asked == method).count()
    }

    /// How often this was subscribed.
    pub(super) fn subscriptions_of(&self, param: &str) -> usize {
        let of =
            |(method, names): &&(String, Vec<String>)| method == "sub" && names.iter().any(|n| n == param);
        self.processor.asked.iter().filter(of).count()
    }
}
