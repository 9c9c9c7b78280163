//! The closing of retired slots: not before nothing waits there and nothing can arrive any more.
//!
//! No datagram stays behind in a slot that is closed, because of this order:
//!
//! 1. A steering program takes effect that does not name the slot, and none names it again until the core was answered
//!    (the core steers to no slot that closes).
//! 2. Then a barrier begins, and ends: every delivery that saw an older program is queued now (`sys::group::barrier`
//!    says why). From here on nothing arrives.
//! 3. Nobody reads the slot: each of its processes was reaped before the core ordered the close. Whoever was killed may
//!    have left a batch that it took out of the queue and did not finish (`Kept::note_end`): then the slot is not
//!    closed, and a drainer finishes it.
//! 4. So a queue that is empty now (SO_MEMINFO) stays empty. In one that is not, a drainer reads, and on to 3. (If drainer
//!    after drainer leaves it as full as it was, the core gives up: `Kept::abandon`.)
//!
//! The slot is closed then; its sockets are not. They keep their places in the groups, out of the mask, until the slot
//! comes back and its launcher adopts them as after any death. For a socket that leaves a group takes datagrams with it
//! whatever the program says: closing it, the kernel takes it out of the group first (reuseport_detach_sock) and out of
//! the table of sockets after that (udp_lib_unhash), and a lookup that meets it in between, or just before, finds no
//! group and delivers to that very socket. Over IPv4 the socket bound last is the first that every lookup meets: of
//! 50 000 datagrams a second, 400 scalings lost 4 to 8 (over IPv6, where it is the last, none).
//!
//! A stop waits for none of this: whatever comes then is read by nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError, bounded};
use mio::Waker;

use super::Shell;
use super::held;
use super::kept::Left;
use crate::core::{ClusterState, Event, Slot};

/// In place of a barrier that the kernel refuses: a delivery takes microseconds.
const PAUSE: Duration = Duration::from_millis(200);
/// For so long a kernel that refuses the steering program holds a close up.
const MAX_REFUSAL: Duration = Duration::from_secs(2);

/// What the kernel may still deliver, and where.
#[derive(Debug, Default)]
struct Deliveries {
    /// Whom a program in force names; bit k is worker k.
    mask: u64,
    /// Programs that took effect so far.
    programs: u64,
    /// Workers that were named once: the number of the program that ended it.
    left: BTreeMap<u8, u64>,
    /// Every delivery that saw a program before this one is queued.
    proven: u64,
}

impl Deliveries {
    fn note_program(&mut self, mask: u64) {
        self.programs += 1;
        let left = (0..u64::BITS as u8).filter(|worker| self.mask & !mask & 1 << worker != 0);
        self.left.extend(left.map(|worker| (worker, self.programs)));
        self.mask = mask;
    }

    /// It took effect for some of the listen addresses only.
    fn note_part_of_program(&mut self, mask: u64) {
        self.programs += 1;
        self.mask |= mask;
    }

    fn may_go_to(&self, slot: Slot) -> bool {
        match slot {
            Slot::Worker(worker) => {
                self.is_named(slot) || self.left.get(&worker).is_some_and(|&left| left > self.proven)
            }
            Slot::Role(_) => false,
        }
    }

    fn is_named(&self, slot: Slot) -> bool {
        match slot {
            Slot::Worker(worker) => self.mask & 1 << worker != 0,
            Slot::Role(_) => false,
        }
    }
}

/// A barrier under way.
#[derive(Debug)]
enum Barrier {
    /// In a thread of its own, which tells and wakes us.
    Running(Receiver<io::Result<()>>),
    /// The kernel has none to offer: over then.
    Pausing(Instant),
}

/// The closes that were ordered and are not answered.
#[derive(Debug)]
pub(super) struct Closing {
    deliveries: Deliveries,
    /// Which slots. Plain data: a barrier that was cut off is begun again.
    open: BTreeSet<Slot>,
    /// One at most, and the programs that had taken effect when it began: it proves all of them but the last.
    barrier: Option<(Barrier, u64)>,
    waker: Arc<Waker>,
    /// It was said that there is no barrier.
    told: bool,
    /// Since then the kernel refuses the steering program.
    refused: Option<Instant>,
}

impl Closing {
    pub(super) fn new(waker: Waker) -> Closing {
        Closing {
            deliveries: Deliveries::default(),
            open: BTreeSet::new(),
            barrier: None,
            waker: Arc::new(waker),
            told: false,
            refused: None,
        }
    }

    /// By which helper threads wake the loop.
    pub(super) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// The kernel steers to `mask` from now on; `whole`, unless that failed for some of the listen addresses. Answers
    /// whether that is the first failure in a row.
    pub(super) fn note_steered(&mut self, mask: u64, whole: bool) -> bool {
        if whole {
            self.deliveries.note_program(mask);
            self.refused = None;
            return false;
        }
        self.deliveries.note_part_of_program(mask);
        let is_first = self.refused.is_none();
        self.refused.get_or_insert_with(Instant::now);
        is_first
    }

    /// Takes out the slots that the kernel goes on sending datagrams to, since it refuses every program that would end it.
    fn poll_hopeless(&mut self) -> Vec<Slot> {
        let hopeless = self.refused.is_some_and(|since| since.elapsed() >= MAX_REFUSAL);
        let deliveries = &self.deliveries;
        self.open.extract_if(.., |slot| hopeless && deliveries.is_named(*slot)).collect()
    }

    /// Programs of a supervisor before us may have named any of so many workers.
    pub(super) fn assume_steered(&mut self, bound: u8) {
        self.deliveries.note_program((0..bound).fold(0, |mask, worker| mask | 1 << worker));
    }

    /// The core wants this slot closed.
    pub(super) fn order(&mut self, slot: Slot) {
        self.open.insert(slot);
    }

    /// When there is something to be done without an event.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.barrier {
            Some((Barrier::Pausing(until), _)) => Some(*until),
            Some((Barrier::Running(_), _)) | None => None,
        }
    }

    /// Takes out the slots where nothing can arrive any more, and begins a barrier for the others.
    fn poll_quiet(&mut self) -> Vec<Slot> {
        self.poll_barrier();
        let deliveries = &self.deliveries;
        let quiet = self.open.extract_if(.., |slot| !deliveries.may_go_to(*slot)).collect();
        if self.barrier.is_none() && self.open.iter().any(|slot| !deliveries.is_named(*slot)) {
            self.barrier = Some((self.begin_barrier(), self.deliveries.programs));
        }
        quiet
    }

    fn poll_barrier(&mut self) {
        let Some((barrier, programs)) = &mut self.barrier else { return };
        let over = match barrier {
            Barrier::Pausing(until) => *until <= Instant::now(),
            Barrier::Running(result) => match result.try_recv() {
                Ok(Ok(())) => true,
                Ok(Err(e)) => {
                    *barrier = no_barrier(&e, &mut self.told);
                    false
                }
                Err(TryRecvError::Disconnected) => {
                    *barrier = no_barrier(&io::Error::other("its thread has ended"), &mut self.told);
                    false
                }
                Err(TryRecvError::Empty) => false,
            },
        };
        if over {
            self.deliveries.proven = *programs;
            self.barrier = None;
        }
    }

    fn begin_barrier(&mut self) -> Barrier {
        let (tell, result) = bounded(1);
        let waker = Arc::clone(&self.waker);
        let wait = move || {
            let _ = tell.send(sys::group::barrier());
            let _ = waker.wake();
        };
        match held::thread("barrier", wait) {
            Ok(_) => Barrier::Running(result),
            Err(e) => no_barrier(&e, &mut self.told),
        }
    }

    /// Nothing is to be done.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.barrier.is_none()
    }

    /// Takes out all slots, and waits for no barrier any more.
    fn take_all(&mut self) -> Vec<Slot> {
        self.barrier = None;
        std::mem::take(&mut self.open).into_iter().collect()
    }
}

fn no_barrier(why: &io::Error, told: &mut bool) -> Barrier {
    if !std::mem::replace(told, true) {
        let what = "the kernel does not tell when all deliveries to a retired slot are over";
        log::warn!("{what} (membarrier: {why}); it is closed {} ms later instead", PAUSE.as_millis());
    }
    Barrier::Pausing(Instant::now() + PAUSE)
}

impl Shell {
    /// Answers the core for the slots of which it is known.
    pub(super) fn close_retired(&mut self) {
        if self.closing.is_idle() {
            return;
        }
        let stopping = self.fleet.state() == ClusterState::Stopping;
        let slots = if stopping { self.closing.take_all() } else { self.closing.poll_quiet() };
        for slot in slots {
            let left = self.kept.retire(slot);
            self.remember();
            self.events.push_back(match left {
                Left::Queued(bytes) if !stopping => Event::StillQueued { slot, bytes: Some(bytes) },
                Left::Batch if !stopping => Event::StillQueued { slot, bytes: None },
                Left::Nothing | Left::Queued(_) | Left::Batch => Event::Closed(slot),
            });
        }
        for slot in self.closing.poll_hopeless() {
            let why = "the kernel takes no steering program, and may go on sending datagrams there";
            log::error!("{slot} retires all the same: {why}; they wait until the slot comes back");
            self.kept.abandon(slot);
            self.remember();
            self.events.push_back(Event::Closed(slot));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOTS: [Slot; 3] = [Slot::Worker(0), Slot::Worker(1), Slot::Worker(2)];

    impl Deliveries {
        /// What a barrier does that begins and ends now.
        fn prove(&mut self) {
            self.proven = self.programs;
        }
    }

    #[test]
    fn deliveries_may_go_to_a_slot_until_a_barrier_that_began_after_the_last_program_naming_it() {
        let mut deliveries = Deliveries::default();
        assert!(!deliveries.may_go_to(SLOTS[2]), "no program ever named it");
        deliveries.note_program(0b111);
        deliveries.prove();
        assert!(deliveries.may_go_to(SLOTS[2]), "it is named");
        let began = deliveries.programs;
        deliveries.note_program(0b011);
        deliveries.proven = began;
        assert!(deliveries.may_go_to(SLOTS[2]), "the barrier began before that program took effect");
        deliveries.prove();
        assert!(!deliveries.may_go_to(SLOTS[2]));
        deliveries.note_program(0b001);
        let may_go_to = SLOTS.map(|slot| deliveries.may_go_to(slot));
        assert_eq!(may_go_to, [true, true, false], "what is proven of one says nothing of another");
        deliveries.note_program(0b101);
        deliveries.note_program(0b001);
        assert!(deliveries.may_go_to(SLOTS[2]), "it was named again meanwhile");
    }

    #[test]
    fn a_program_that_took_effect_in_part_names_its_slots_and_takes_none_away() {
        let mut deliveries = Deliveries::default();
        deliveries.note_program(0b010);
        deliveries.note_part_of_program(0b001);
        deliveries.prove();
        assert!(deliveries.may_go_to(SLOTS[0]) && deliveries.may_go_to(SLOTS[1]));
        deliveries.note_program(0b100);
        assert!(deliveries.may_go_to(SLOTS[0]) && deliveries.may_go_to(SLOTS[1]));
        deliveries.prove();
        assert!(!deliveries.may_go_to(SLOTS[0]) && !deliveries.may_go_to(SLOTS[1]));
    }

    fn closing() -> (Closing, mio::Poll) {
        let poll = mio::Poll::new().unwrap();
        (Closing::new(Waker::new(poll.registry(), mio::Token(0)).unwrap()), poll)
    }

    /// Waits as the supervisor's loop does.
    fn wait(closing: &mut Closing, poll: &mut mio::Poll) -> Vec<Slot> {
        let mut events = mio::Events::with_capacity(1);
        for _ in 0..100 {
            let quiet = closing.poll_quiet();
            if !quiet.is_empty() {
                return quiet;
            }
            let left = closing.deadline().map(|at| at.saturating_duration_since(Instant::now()));
            poll.poll(&mut events, Some(left.unwrap_or(Duration::from_secs(5)))).unwrap();
        }
        Vec::new()
    }

    #[test]
    fn many_slots_share_a_barrier_and_one_that_is_named_waits_on() {
        let (mut closing, mut poll) = closing();
        closing.note_steered(0b111, true);
        closing.note_steered(0b001, true);
        closing.order(SLOTS[2]);
        assert_eq!(closing.poll_quiet(), [], "the barrier has just begun");
        assert_eq!(wait(&mut closing, &mut poll), [SLOTS[2]]);
        closing.order(SLOTS[1]);
        closing.order(SLOTS[0]);
        assert_eq!(closing.poll_quiet(), [SLOTS[1]], "proven by the same barrier");
        assert!(closing.barrier.is_none() && closing.open.contains(&SLOTS[0]), "no barrier helps it");
    }

    #[test]
    fn without_a_barrier_there_is_a_pause() {
        let (mut closing, mut poll) = closing();
        closing.note_steered(0b11, true);
        closing.note_steered(0b01, true);
        closing.order(SLOTS[1]);
        let (tell, result) = bounded(1);
        closing.barrier = Some((Barrier::Running(result), closing.deliveries.programs));
        tell.send(Err(io::Error::from_raw_os_error(nix::libc::EINVAL))).unwrap();
        assert_eq!(closing.poll_quiet(), []);
        assert!(closing.deadline().is_some_and(|at| at > Instant::now()) && closing.told);
        assert_eq!(wait(&mut closing, &mut poll), [SLOTS[1]]);
    }
}
