//! Generations: configurations frozen at their start, so that a crash restarts what was started, whatever the disk
//! says by then.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::handover::{Packing, Unpacking};
use crate::config::{self, Config, ConfigError, Overrides};
use crate::core::{Generation, MAX_WORKERS, Plan, Policy, RoleSet};
use crate::roles::Roles;

// What a configuration may ask for, the core can run and a steering program can name.
const _: () = assert!(config::MAX_WORKERS == MAX_WORKERS && MAX_WORKERS as usize == sys::group::MAX_MEMBERS);

/// One generation: a configuration as its children get it, and the image that they are.
pub(super) struct Made {
    pub(super) config: Config,
    segment: OwnedFd,
    image: Rc<OwnedFd>,
}

impl Made {
    fn new(config: Config, image: Rc<OwnedFd>) -> io::Result<Made> {
        let json = serde_json::to_vec(&config)?;
        let segment = sys::map::segment(contract::CONFIG, &json, json.len(), true)?;
        Ok(Made { config, segment, image })
    }

    /// What a child of this generation executes, whatever lies on the disk or has become of the supervisor.
    pub(super) fn image(&self) -> BorrowedFd<'_> {
        self.image.as_fd()
    }

    pub(super) fn segment(&self) -> BorrowedFd<'_> {
        self.segment.as_fd()
    }
}

/// Where configurations come from: flags and environment of the start, and the file.
pub(super) struct Source {
    pub(super) overrides: Overrides,
    pub(super) file: Option<PathBuf>,
}

impl Source {
    pub(super) fn load(&self) -> Result<config::Loaded, ConfigError> {
        config::load(&self.overrides, self.file.as_deref())
    }
}

/// Those that a process may still be started from.
pub(super) struct Generations {
    made: BTreeMap<Generation, Made>,
    last: Generation,
    /// Of those to come: the supervisor's own.
    image: Rc<OwnedFd>,
}

/// As they are handed over at an upgrade.
#[derive(Serialize, Deserialize)]
pub(super) struct Frozen {
    last: Generation,
    made: Vec<FrozenGeneration>,
}

#[derive(Serialize, Deserialize)]
struct FrozenGeneration {
    generation: Generation,
    config: Config,
    segment: RawFd,
    image: RawFd,
}

impl Generations {
    /// The first one, under a number above those that were given before.
    pub(super) fn new(config: Config, before: u32) -> io::Result<Generations> {
        let (first, image) = (Generation(before + 1), Rc::new(sys::process::own_image()?));
        let made = BTreeMap::from([(first, Made::new(config, Rc::clone(&image))?)]);
        Ok(Generations { made, last: first, image })
    }

    pub(super) fn freeze<'a>(&'a self, packing: &mut Packing<'a>) -> Frozen {
        let freeze = |(&generation, made): (&Generation, &'a Made)| FrozenGeneration {
            generation,
            config: made.config.clone(),
            segment: packing.pack(made.segment.as_fd()),
            image: packing.pack(made.image.as_fd()),
        };
        Frozen { last: self.last, made: self.made.iter().map(freeze).collect() }
    }

    /// Those before an exec keep their image; those to come have the one that runs now.
    pub(super) fn thaw(frozen: Frozen, fds: &mut Unpacking) -> io::Result<Generations> {
        let (mut made, mut images) = (BTreeMap::new(), BTreeMap::new());
        for FrozenGeneration { generation, config, segment, image } in frozen.made {
            let image = match images.entry(image) {
                Entry::Occupied(known) => Rc::clone(known.get()),
                Entry::Vacant(new) => Rc::clone(new.insert(Rc::new(fds.take(image)?))),
            };
            made.insert(generation, Made { config, segment: fds.take(segment)?, image });
        }
        Ok(Generations { made, last: frozen.last, image: Rc::new(sys::process::own_image()?) })
    }

    /// The number that was given last.
    pub(super) fn last(&self) -> Generation {
        self.last
    }

    pub(super) fn get(&self, generation: Generation) -> Option<&Made> {
        self.made.get(&generation)
    }

    /// Freezes a configuration under the next number, which is used up whatever becomes of it.
    pub(super) fn add(&mut self, config: Config) -> io::Result<Generation> {
        let made = Made::new(config, Rc::clone(&self.image))?;
        self.last = Generation(self.last.0 + 1);
        self.made.insert(self.last, made);
        Ok(self.last)
    }

    /// Forgets one that did not come up.
    pub(super) fn discard(&mut self, failed: Generation) {
        self.made.remove(&failed);
    }

    /// Forgets those before the one in force.
    pub(super) fn commit(&mut self, in_force: Generation) {
        self.made = self.made.split_off(&in_force);
    }
}

/// What a configuration asks of the core.
pub(super) fn plan(config: &Config, roles: &Roles) -> Plan {
    let worker = &config.worker;
    let policy = Policy {
        listen_timeout: worker.listen_timeout,
        kill_timeout: worker.kill_timeout,
        min_uptime: worker.min_uptime,
        backoff_start: worker.exp_backoff_restart_delay,
        backoff_max: worker.exp_backoff_max_delay,
        max_restarts: worker.max_restarts,
        watchdog: worker.watchdog,
        // Built-in workers always say READY.
        mute: worker.program.is_some() && !worker.wait_ready,
        checked: worker.program.is_some() && worker.health_command.is_some(),
    };
    let wanted = roles.beside.iter().enumerate().filter(|(_, beside)| (beside.wanted)(config));
    let wanted = wanted.fold(0, |set, (index, _)| set | 1 << index);
    let workers = config.workers.clamp(1, MAX_WORKERS);
    let role = Policy {
        max_restarts: 0,
        watchdog: worker.watchdog_of_roles(),
        mute: false,
        checked: false,
        ..policy
    };
    // What others print at their end is to be written, too.
    let last = roles.logger_slot();
    Plan { workers, roles: RoleSet(wanted), last, worker: policy, role }
}
