//! What two worlds must have in common to be the same: everything that can make a difference later. Runs, tickets and
//! generations count by what they are to each other, times not at all (see `moves.rs`).
//!
//! Every field is named, so that a new one does not compile before somebody has said what it is.

use super::super::errand::{Aftermath, Errand, Errands};
use super::super::fleet::Op;
use super::super::orders::{Queue, Waiting};
use super::super::reload::Reload;
use super::super::slot::{Grace, Holder, Leaver, Phase, Proc, Proof, Seat, Start};
use super::super::steering::Steering;
use super::super::stop::Stopping;
use super::super::*;
use super::world::{Child, World};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};

/// Names a world among all: 128 bits, so that two worlds do not have the same by chance.
pub(super) fn fingerprint(world: &World) -> Result<u128, String> {
    let mut words = Words { world, bytes: Vec::with_capacity(128) };
    words.fleet(&world.fleet)?;
    words.world()?;
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(seed);
        hasher.write(&words.bytes);
        u128::from(hasher.finish())
    };
    Ok(half(1) << 64 | half(2))
}

struct Words<'w> {
    world: &'w World,
    bytes: Vec<u8>,
}

impl Words<'_> {
    fn put(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.bytes.extend(bytes);
    }

    fn fleet(&mut self, fleet: &Fleet) -> Result<(), String> {
        let Fleet {
            plan,
            generation,
            newest: _, // higher than any there is
            wanted,
            seats,
            op,
            queue: Queue(queue),
            errands: Errands { scale, restarts, reload },
            steered: Steering { bound, mask },
            room: _,     // the same
            last_run: _, // the same
        } = fleet;
        let mut tickets: Vec<Ticket> = queue.iter().map(|(ticket, _)| *ticket).collect();
        tickets.extend(scale.iter().chain(restarts).map(|errand| errand.ticket));
        tickets.extend(reload.iter().map(|aftermath| aftermath.ticket));
        match op {
            Op::Stopping(stopping) => {
                self.stopping(stopping, seats.values());
                tickets.extend(stopping.ticket);
                return self.expect_open(tickets);
            }
            Op::Over => return self.expect_open(tickets),
            Op::Starting | Op::Steady | Op::Reloading(_) => {}
        }
        self.put([*wanted, *bound]);
        self.put(mask.to_le_bytes());
        self.plan(plan);
        match op {
            Op::Starting => self.put([0]),
            Op::Steady => self.put([1]),
            Op::Reloading(Reload { ticket, generation, plan, workers }) => {
                self.put([2, *workers]);
                self.plan(plan);
                tickets.push(*ticket);
                if self.world.reloading != Some(*generation) {
                    return Err(format!("{generation:?} reloads, told was {:?}", self.world.reloading));
                }
            }
            Op::Stopping(_) | Op::Over => {}
        }
        self.put([b'|']);
        for (_, waiting) in queue {
            match waiting {
                Waiting::Scale(Scale::To(workers) | Scale::Up(workers) | Scale::Down(workers)) => {
                    self.put([b'#', *workers]); // only numbers are ordered here
                }
                Waiting::Reload { generation: _, plan } => {
                    self.put([b'!']);
                    self.plan(plan);
                }
                Waiting::Restart(slots) => {
                    self.put([b'?']);
                    self.slots(slots.iter());
                }
            }
        }
        self.put([b'|']);
        scale.iter().for_each(|errand| self.errand(errand));
        self.put([b'|']);
        let mut restarts: Vec<&Errand> = restarts.iter().collect();
        restarts.sort_unstable_by_key(|errand| &errand.starting);
        restarts.into_iter().for_each(|errand| self.errand(errand));
        self.put([b'|']);
        reload.iter().for_each(|aftermath| self.aftermath(*generation, aftermath, seats.values()));
        seats.iter().for_each(|(slot, seat)| self.seat(*generation, *slot, seat));
        self.expect_open(tickets)
    }

    /// A reload waits for those of older generations among the leavers.
    fn aftermath<'s>(&mut self, now: Generation, reload: &Aftermath, seats: impl Iterator<Item = &'s Seat>) {
        let Aftermath { ticket: _, slots, until } = reload;
        self.put([b'a', u8::from(*slots), u8::from(until.is_some())]);
        for Seat { leavers, .. } in seats {
            let old: Vec<Leaver> = leavers.iter().filter(|leaver| leaver.generation < now).copied().collect();
            self.put([killed(&old), old.len() as u8]);
        }
    }

    /// Who is left, and who is waited for; in which slot makes no difference any more.
    fn stopping<'s>(&mut self, stopping: &Stopping, seats: impl Iterator<Item = &'s Seat>) {
        let Stopping { ticket, verdict } = stopping;
        self.put([u8::MAX, u8::from(ticket.is_some()), u8::from(*verdict == Verdict::Stopped)]);
        let mut left: Vec<[u8; 3]> = seats
            .map(|seat| [u8::from(seat.is_closing()), killed(&seat.leavers), seat.leavers.len() as u8])
            .collect();
        left.sort_unstable();
        self.put(left.into_iter().flatten());
    }

    /// Every order that is open is somewhere, once, and nobody else is.
    fn expect_open(&self, mut tickets: Vec<Ticket>) -> Result<(), String> {
        tickets.sort_unstable();
        let answered = |ticket: &&Ticket| !self.world.answered.contains_key(ticket);
        let open: Vec<Ticket> = self.world.asked.keys().filter(answered).copied().collect();
        if tickets == open { Ok(()) } else { Err(format!("{open:?} are open, the core knows {tickets:?}")) }
    }

    fn plan(&mut self, plan: &Plan) {
        let Plan { workers, roles: RoleSet(roles), last: _, worker: _, role: _ } = plan; // policies are always the same here
        self.put([*workers]);
        self.put(roles.to_le_bytes());
    }

    fn slots<'s>(&mut self, slots: impl Iterator<Item = &'s Slot>) {
        for slot in slots {
            match slot {
                Slot::Worker(index) => self.put([b'w', *index]),
                Slot::Role(index) => self.put([b'r', *index]),
            }
        }
        self.put([b'.']);
    }

    fn errand(&mut self, errand: &Errand) {
        let Errand { ticket: _, starting } = errand;
        self.slots(starting.iter());
    }

    fn seat(&mut self, in_force: Generation, slot: Slot, seat: &Seat) {
        let Seat {
            holder,
            heir,
            leavers,
            bound,
            unstable: _, // a choice of the move
            restarts: _, // only for the view
            drains,
            idle_drains: _,  // a choice of the move
            queued: _,       // always the same
            fat_failures: _, // only for a time
            fat_until: _,
        } = seat;
        self.slots(std::iter::once(&slot));
        self.put([u8::from(*bound), u8::from(*drains > 0)]);
        match holder {
            Holder::Empty(start) => self.put([0, start_code(*start)]),
            Holder::Waiting { until: _ } => self.put([1]),
            Holder::Errored => self.put([2]),
            Holder::Held(proc) => {
                self.put([3]);
                self.proc(in_force, proc);
            }
            Holder::Draining(proc) => {
                self.put([4]);
                self.proc(in_force, proc);
            }
            Holder::Closing => self.put([5]),
            Holder::Finished => self.put([6]),
        }
        self.put([u8::from(heir.is_some())]);
        heir.iter().for_each(|heir| self.proc(in_force, heir));
        self.put([killed(leavers), leavers.len() as u8]);
    }

    fn proc(&mut self, in_force: Generation, proc: &Proc) {
        let Proc { run, generation, spawned: _, phase } = proc;
        let said_ready = self.world.children.get(run).is_some_and(|child| child.said_ready);
        let generation = match () {
            () if *generation == in_force => 1,
            () if Some(*generation) == self.world.reloading => 2,
            () => 0,
        };
        self.put([generation, u8::from(said_ready)]);
        match phase {
            Phase::Launching { until: _, start, proof } => {
                let proof = match proof {
                    Proof::Word => 0,
                    Proof::Life(_) => 1,
                    Proof::Lives { since: _ } => 2,
                    Proof::WordAndHealth => 3,
                    Proof::BoundAndHealth => 4,
                    Proof::Health => 5,
                };
                self.put([0, start_code(*start), proof]);
            }
            Phase::Online { since: _, silent_at } => self.put([1, u8::from(silent_at.is_some())]),
        }
    }

    /// What the world knows beside the fleet. Most of it is the same, told once more, and must agree.
    fn world(&mut self) -> Result<(), String> {
        let World { fleet, children, closing, asked, kill_at_will, gone, news, .. } = self.world;
        for (run, child) in children {
            let Child { slot: _, generation: _, said_bound: _, said_ready: _, asked: _, termed, killed } =
                child;
            let place = fleet.place(*run);
            let leaves = matches!(place, Some((_, Place::Leaver)));
            if place.is_none() || leaves != (*killed || termed.is_some()) {
                return Err(format!("{run:?} is in {place:?}"));
            }
        }
        self.put([u8::from(*kill_at_will), u8::from(gone.is_some())]);
        if fleet.state() == ClusterState::Stopping {
            return Ok(());
        }
        self.expect_sockets()?;
        self.slots(closing.iter());
        self.put(asked.values().map(|order| match order {
            Order::Scale(_) => b's',
            Order::Reload { .. } => b'l',
            Order::Restart(_) => b'r',
            Order::Stop { .. } => b'x',
        }));
        self.put([news.len() as u8]);
        Ok(())
    }

    fn expect_sockets(&self) -> Result<(), String> {
        let World { fleet, sockets, told, generation, .. } = self.world;
        let bound = fleet.seats.values().map(|seat| seat.bound);
        let bound: BTreeSet<u8> =
            (0..).zip(bound).filter(|(_, bound)| *bound).map(|(index, _)| index).collect();
        if *generation == fleet.generation && sockets == told && *told == bound {
            Ok(())
        } else {
            Err(format!(
                "{generation:?}, {sockets:?}, {told:?}: the core knows {:?}, {bound:?}",
                fleet.generation
            ))
        }
    }
}

/// Beside the mask, only the view asks how a process came to be started.
fn start_code(start: Start) -> u8 {
    u8::from(start.keeps_mask())
}

/// The others have time.
fn killed(leavers: &[Leaver]) -> u8 {
    let killed = leavers.iter().filter(|Leaver { run: _, generation: _, spawned: _, grace }| match grace {
        Grace::Until(_) => false,
        Grace::Killed => true,
    });
    killed.count() as u8
}
