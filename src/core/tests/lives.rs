//! What the processes of a world do and say.

use super::super::*;
use super::world::World;

impl World {
    /// What a healthy one does next.
    pub(super) fn try_step(&mut self, run: Run) -> Result<(), String> {
        let Some(child) = self.children.get(&run).cloned() else { return Ok(()) };
        if child.killed || child.termed.is_some() {
            return self.try_exit(run);
        }
        match child.slot {
            Slot::Worker(index) if !self.sockets.contains(&index) => self.bind(index),
            Slot::Worker(_) if child.said_bound.is_none() => self.try_say_bound(run),
            Slot::Worker(_) if child.asked && !child.said_ready => self.try_say_healthy(run),
            Slot::Worker(_) if self.mute && !self.checked && run.0.is_multiple_of(2) => {
                self.try_event(Event::Alive(run))
            }
            Slot::Worker(_) | Slot::Role(_) if !child.said_ready => self.try_say_ready(run),
            Slot::Worker(_) | Slot::Role(_) => self.try_event(Event::Alive(run)),
        }
    }

    /// The kernel makes the socket a member of the group; nobody was told yet.
    pub(super) fn bind(&mut self, index: u8) -> Result<(), String> {
        if usize::from(index) != self.sockets.len() {
            return Err(self.tell(&format!("worker {index} binds as number {}", self.sockets.len())));
        }
        self.sockets.insert(index);
        Ok(())
    }

    /// Says so only of what is true; that a role is bound, nobody cares.
    pub(super) fn try_say_bound(&mut self, run: Run) -> Result<(), String> {
        let Some(child) = self.children.get_mut(&run) else { return self.try_event(Event::Bound(run)) };
        match child.slot {
            Slot::Worker(index) if self.sockets.contains(&index) => {
                child.said_bound.get_or_insert(self.now);
                child.asked |= self.wordless;
                self.told.insert(index);
                self.parked.remove(&index);
            }
            Slot::Worker(_) => return Ok(()),
            Slot::Role(_) => {}
        }
        self.try_event(Event::Bound(run))
    }

    pub(super) fn try_say_ready(&mut self, run: Run) -> Result<(), String> {
        if let Some(child) = self.children.get_mut(&run) {
            let bound = match child.slot {
                Slot::Worker(index) => self.told.contains(&index),
                Slot::Role(_) => true,
            };
            match child.slot {
                Slot::Worker(_) if self.checked => child.asked |= bound,
                Slot::Worker(_) | Slot::Role(_) => child.said_ready |= bound,
            }
        }
        self.try_event(Event::Ready(run))
    }

    /// Counts only if it is asked for.
    pub(super) fn try_say_healthy(&mut self, run: Run) -> Result<(), String> {
        if let Some(child) = self.children.get_mut(&run) {
            child.said_ready |= child.asked;
        }
        self.try_event(Event::Healthy(run))
    }

    /// A socket that was bound, but not told, dies with its maker: the shell drops its duplicate. One that was bound
    /// before him does not, and the shell says so.
    pub(super) fn try_exit(&mut self, run: Run) -> Result<(), String> {
        self.try_end(run, Event::Exited(run))
    }

    pub(super) fn try_finish(&mut self, run: Run) -> Result<(), String> {
        self.try_end(run, Event::Finished(run))
    }

    fn try_end(&mut self, run: Run, event: Event) -> Result<(), String> {
        match self.children.get(&run).map(|child| child.slot) {
            Some(Slot::Worker(index)) if self.parked.contains(&index) => self.try_say_bound(run)?,
            Some(Slot::Worker(_) | Slot::Role(_)) | None => {}
        }
        if let Some(child) = self.children.remove(&run) {
            match child.slot {
                Slot::Worker(index) if !self.told.contains(&index) => {
                    self.sockets.remove(&index);
                }
                Slot::Worker(_) | Slot::Role(_) => {}
            }
            self.dead.insert(run);
        }
        self.try_event(event)
    }
}
