//! Every state that a small fleet can reach, by breadth first: each event from each of them, held against every
//! invariant; and from each of them everybody who obeys leads back to rest, whatever the order.
//!
//! `CORE_SEARCH=3,1,2,2 cargo test --release every_reachable_state -- --nocapture` searches wider: workers, roles, open
//! orders, leavers (`Bounds`).

use super::super::fleet::Op;
use super::super::slot::Holder;
use super::super::*;
use super::fingerprint::fingerprint;
use super::moves::{Bounds, Move, freeze, leads_to_rest, may_be_fat};
use super::random::converged;
use super::world::World;
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::thread;

/// One in so many worlds that were met before is compared with its like, by what follows from them.
const COMPARED: usize = 997;
/// States that a thread takes at a time.
const CHUNK: usize = 256;

/// What does not hold, and the step that showed it.
type Broken = (Option<Move>, String);

/// How a state was first reached.
struct Node {
    print: u128,
    from: u32,
    by: Option<Move>,
}

/// One step further.
struct Next {
    by: Move,
    print: u128,
    /// The world there, unless that is known.
    world: Option<World>,
}

/// What is known so far.
struct Search {
    bounds: Bounds,
    nodes: Vec<Node>,
    known: HashMap<u128, u32>,
    frontier: VecDeque<(u32, World)>,
    /// Steps of those who obey: to, from.
    calm: Vec<(u32, u32)>,
    /// By state: a digest of what follows from it.
    follows: Vec<u64>,
    twins: Vec<(u32, World)>,
    transitions: usize,
    /// States from which only the way back to rest was searched.
    brim: usize,
}

impl Search {
    fn begin(bounds: Bounds) -> Result<Search, String> {
        let world = bounds.begin(true)?;
        let mut search = Search {
            bounds,
            nodes: Vec::new(),
            known: HashMap::new(),
            frontier: VecDeque::new(),
            calm: Vec::new(),
            follows: Vec::new(),
            twins: Vec::new(),
            transitions: 0,
            brim: 0,
        };
        let print = fingerprint(&world)?;
        search.meet(Some(world), Node { print, from: 0, by: None });
        Ok(search)
    }

    fn run(&mut self) -> Result<(), String> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        while !self.frontier.is_empty() {
            if std::env::var("CORE_PROGRESS").is_ok() {
                eprintln!("{} {}", self.nodes.len(), self.frontier.len());
            }
            let chunk: Vec<_> = self.frontier.drain(..self.frontier.len().min(threads * CHUNK)).collect();
            let grown = self.grow_all(&chunk, threads);
            for ((state, world), next) in chunk.iter().zip(grown) {
                let next = next.map_err(|(step, broken)| self.tell(*state, step, &broken))?;
                self.take(*state, world, next);
            }
        }
        self.compare_twins()?;
        self.expect_rest()
    }

    /// What follows from each state, in their order.
    fn grow_all(&self, chunk: &[(u32, World)], threads: usize) -> Vec<Result<Vec<Next>, Broken>> {
        thread::scope(|scope| {
            let parts = chunk.chunks(chunk.len().div_ceil(threads));
            let grow = |part: &[(u32, World)]| -> Vec<_> {
                part.iter().map(|(state, world)| self.grow(*state, world)).collect()
            };
            let hands: Vec<_> = parts.map(|part| scope.spawn(move || grow(part))).collect();
            hands.into_iter().flat_map(|hand| hand.join().unwrap_or_else(resume)).collect()
        })
    }

    /// Tries everything that can happen.
    fn grow(&self, state: u32, world: &World) -> Result<Vec<Next>, Broken> {
        let inside = self.bounds.include(world);
        let whole = |broken| (None, broken);
        generations_do_not_mix(world).map_err(whole)?;
        if inside {
            nobody_else_counts(world).map_err(whole)?;
        }
        let (mut grown, mut at_rest, here) = (Vec::new(), true, self.nodes[state as usize].print);
        for step in self.steps(world, inside) {
            let mut next = world.clone();
            let made = self.bounds.make(&mut next, step).and_then(|()| fingerprint(&next));
            let print = made.map_err(|broken| (Some(step), broken))?;
            at_rest &= !leads_to_rest(step) || print == here;
            let wanted = !self.known.contains_key(&print) || print.is_multiple_of(COMPARED as u128);
            grown.push(Next { by: step, print, world: wanted.then_some(next) });
        }
        if at_rest && world.gone.is_none() {
            converged(world).map_err(whole)?;
        }
        Ok(grown)
    }

    fn steps(&self, world: &World, inside: bool) -> impl Iterator<Item = Move> + use<> {
        self.bounds.moves(world).into_iter().filter(move |&step| inside || leads_to_rest(step))
    }

    fn take(&mut self, state: u32, world: &World, grown: Vec<Next>) {
        self.brim += usize::from(!self.bounds.include(world));
        self.transitions += grown.len();
        let here = self.nodes[state as usize].print;
        self.follows[state as usize] = digest(here, grown.iter().map(|next| next.print).collect());
        for Next { by, print, world } in grown {
            let next = self.meet(world, Node { print, from: state, by: Some(by) });
            if next != state && leads_to_rest(by) {
                self.calm.push((next, state));
            }
        }
    }

    /// The number of a state, which is new, or not.
    fn meet(&mut self, world: Option<World>, node: Node) -> u32 {
        let next = u32::try_from(self.nodes.len()).expect("fewer states than memory");
        match (*self.known.entry(node.print).or_insert(next), world) {
            (new, Some(mut world)) if new == next => {
                freeze(&mut world);
                self.nodes.push(node);
                self.follows.push(0);
                self.frontier.push_back((new, world));
                new
            }
            (known, world) => {
                assert!(known < next, "a state without its world");
                self.twins.extend(world.filter(|_| self.twins.len() < COMPARED).map(|world| (known, world)));
                known
            }
        }
    }

    /// Worlds that count as one are one: the same follows from both.
    fn compare_twins(&self) -> Result<(), String> {
        for (state, twin) in &self.twins {
            let mut twin = twin.clone();
            freeze(&mut twin);
            let follow = |step| {
                let mut next = twin.clone();
                self.bounds.make(&mut next, step)?;
                fingerprint(&next)
            };
            let steps = self.steps(&twin, self.bounds.include(&twin));
            let follows: Vec<u128> = steps.map(follow).collect::<Result<_, String>>()?;
            if digest(self.nodes[*state as usize].print, follows) != self.follows[*state as usize] {
                return Err(self.tell(*state, None, "two worlds count as one and are not"));
            }
        }
        Ok(())
    }

    /// Whatever the order in which everybody obeys, it ends. From the ends backwards: who has no way left that could go
    /// on for ever.
    fn expect_rest(&mut self) -> Result<(), String> {
        self.calm.sort_unstable();
        let mut ways = vec![0u32; self.nodes.len()];
        self.calm.iter().for_each(|&(_, from)| ways[from as usize] += 1);
        let at_an_end = (0..).zip(&ways).filter(|(_, ways)| **ways == 0);
        let mut ended: Vec<u32> = at_an_end.map(|(state, _)| state).collect();
        while let Some(state) = ended.pop() {
            let first = self.calm.partition_point(|&(to, _)| to < state);
            for &(_, from) in self.calm[first..].iter().take_while(|&&(to, _)| to == state) {
                ways[from as usize] -= 1;
                ended.extend((ways[from as usize] == 0).then_some(from));
            }
        }
        match (0..).zip(&ways).find(|(_, ways)| **ways > 0) {
            Some((state, _)) => Err(self.tell(state, None, "from here they can go round for ever")),
            None => Ok(()),
        }
    }

    /// The story of the shortest way to a state, and of one step more.
    fn tell(&self, state: u32, step: Option<Move>, broken: &str) -> String {
        let mut steps: Vec<Move> = step.into_iter().collect();
        let mut node = &self.nodes[state as usize];
        while let Some(step) = node.by {
            steps.push(step);
            node = &self.nodes[node.from as usize];
        }
        let mut world = self.bounds.begin(false).unwrap_or_else(|story| panic!("{story}"));
        for &step in steps.iter().rev() {
            world.story.push(format!("           {step:?}"));
            freeze(&mut world);
            if self.bounds.make(&mut world, step).is_err() {
                break;
            }
        }
        format!("{broken}\nThe way there:\n{}\n", world.story.join("\n"))
    }
}

/// Holders are of the generation in force, heirs of the one that is to follow: no reload is half done.
fn generations_do_not_mix(world: &World) -> Result<(), String> {
    let Fleet { generation, op, seats, .. } = &world.fleet;
    let next = if let Op::Reloading(reload) = op { reload.generation } else { *generation };
    for (slot, seat) in seats {
        let holder = if let Holder::Held(proc) = seat.holder { proc.generation } else { *generation };
        let heir = seat.heir.map_or(next, |heir| heir.generation);
        if holder != *generation || heir != next {
            return Err(format!("{slot}: {holder:?} holds, {heir:?} follows; {generation:?} is in force"));
        }
    }
    Ok(())
}

/// Words of the dead, of those who never were, and of those who leave change nothing; nor do an heir's signs of life, nor
/// what somebody weighs out of season, nor the health of whom nobody asks about.
fn nobody_else_counts(world: &World) -> Result<(), String> {
    let (mut fleet, mut actions) = (world.fleet.clone(), Vec::new());
    let nobody = Run(u64::MAX);
    let mut events =
        vec![Event::Bound(nobody), Event::Ready(nobody), Event::Healthy(nobody), Event::Exited(nobody)];
    let mut idle = vec![nobody];
    for seat in world.fleet.seats.values() {
        idle.extend(seat.leavers.iter().map(|leaver| leaver.run).chain(seat.heir.map(|heir| heir.run)));
        events.extend(seat.leavers.iter().map(|leaver| Event::Ready(leaver.run)));
        let procs = seat.holder_proc().into_iter().chain(&seat.heir);
        let unasked = procs.filter(|proc| !proc.is_unproven()).map(|proc| proc.run);
        let unasked = unasked.chain(seat.leavers.iter().map(|leaver| leaver.run));
        events.extend(unasked.flat_map(|run| [Event::Healthy(run), Event::NeverHealthy(run)]));
        let light = seat.holder_proc().filter(|_| !may_be_fat(world, seat));
        events.extend(light.map(|proc| Event::TooFat(proc.run)));
    }
    events.extend(idle.into_iter().flat_map(|run| [Event::Alive(run), Event::TooFat(run)]));
    events.into_iter().for_each(|event| fleet.handle(world.now, event, &mut actions));
    let quiet = actions.is_empty() && fleet == world.fleet;
    if quiet { Ok(()) } else { Err(format!("a word that counts for nothing counted: {actions:?}")) }
}

/// To stay where one is counts for nothing.
fn digest(here: u128, mut follows: Vec<u128>) -> u64 {
    follows.push(here);
    follows.sort_unstable();
    follows.dedup();
    let mut hasher = DefaultHasher::new();
    follows.hash(&mut hasher);
    hasher.finish()
}

fn resume<T>(panic: Box<dyn std::any::Any + Send>) -> T {
    std::panic::resume_unwind(panic)
}

/// What is searched: in every run of the tests, or on request.
fn bounds() -> Vec<Bounds> {
    let bounds =
        |(workers, orders, mute, checked)| Bounds { workers, roles: 0, orders, leavers: 1, mute, checked };
    let usual = [
        (2, 2, false, false),
        (3, 1, false, false),
        (2, 1, true, false),
        (2, 1, false, true),
        (2, 1, true, true),
    ];
    match std::env::var("CORE_SEARCH") {
        Err(_) => usual.map(bounds).to_vec(),
        Ok(text) => {
            let numbers: Vec<u8> = text.split(',').map(|number| number.trim().parse().unwrap_or(0)).collect();
            let &[workers @ 1..=8, roles @ 0..=2, orders @ 0..=4, leavers @ 0..=6] = numbers.as_slice()
            else {
                panic!("CORE_SEARCH={text}: it takes workers, roles, open orders, leavers, as 3,0,1,1")
            };
            let (orders, leavers) = (usize::from(orders), usize::from(leavers));
            let modes = [(false, false), (true, false), (false, true), (true, true)];
            modes.map(|(mute, checked)| Bounds { workers, roles, orders, leavers, mute, checked }).to_vec()
        }
    }
}

#[test]
fn every_reachable_state_holds_and_leads_back_to_rest() {
    for bounds in bounds() {
        let began = std::time::Instant::now();
        let mut search = Search::begin(bounds).unwrap_or_else(|story| panic!("{story}"));
        search.run().unwrap_or_else(|story| panic!("{story}"));
        let (states, transitions, brim) = (search.nodes.len(), search.transitions, search.brim);
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{bounds:?}: {states} states ({brim} on the brim), {transitions} transitions, {seconds:.1} s"
        );
        assert!(!search.twins.is_empty(), "worlds that count as one were compared");
    }
}
