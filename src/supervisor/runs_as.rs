//! As what a worker runs: its limits, its niceness, its CPUs, its user. In the child, once its sockets are bound; what
//! needs a right comes before the change of user that gives it up. And, for `check`, whether that would do.

use std::fmt::Display;
use std::io;
use std::thread::Builder;

use contract::Failure;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Pid, Uid, fchown, getgroups, setfsgid, setfsuid, setgid, setgroups, setuid};

use crate::config::{Account, Cpus, Worker};
use crate::exit;
use crate::wire::Trouble;

/// What is needed to start workers as another user, and to end them.
const TO_ANOTHER_USER: &str = "only with CAP_SETUID, CAP_SETGID, CAP_CHOWN, CAP_KILL and CAP_DAC_OVERRIDE can the \
                               supervisor run workers as another user: grant them, or leave worker.user and \
                               worker.group out";
/// The rights among these without which a start would go well, and an end not; or workers could not reach us: their bits
/// (capabilities(7)).
const RIGHTS: [(u32, &str); 2] = [(1, "CAP_DAC_OVERRIDE"), (5, "CAP_KILL")];

/// The user that workers run as, where that is another than we are.
fn another(worker: &Worker) -> Option<&Account> {
    worker.user.as_ref().filter(|user| user.uid != Uid::effective().as_raw())
}

/// Settles this process; answers whether its user or group is another now.
pub(super) fn settle(worker: &Worker, number: u8) -> Result<bool, Failure> {
    limit(worker)?;
    if let Some(nice) = worker.nice {
        sys::process::set_nice(nice).map_err(cannot(format_args!("set worker.nice to {nice}")))?;
    }
    if let Some(cpus) = &worker.cpu_affinity {
        pin(cpus, number).map_err(cannot("set worker.cpu_affinity"))?;
    }
    change_user(worker)
}

fn limit(worker: &Worker) -> Result<(), Failure> {
    for (name, resource, value) in limits(worker) {
        let set = setrlimit(resource, value, value).map_err(io::Error::from);
        set.map_err(cannot(format_args!("set worker.limit_{name} to {value}")))?;
    }
    Ok(())
}

/// Those that are set: the key's last word, what it is to the kernel, how much.
fn limits(worker: &Worker) -> impl Iterator<Item = (&'static str, Resource, u64)> {
    let limits = &worker.limits;
    let all = [
        ("nofile", Resource::RLIMIT_NOFILE, limits.nofile),
        ("nproc", Resource::RLIMIT_NPROC, limits.nproc),
        ("core", Resource::RLIMIT_CORE, limits.core),
        ("as", Resource::RLIMIT_AS, limits.address_space),
        ("memlock", Resource::RLIMIT_MEMLOCK, limits.memlock),
    ];
    all.into_iter().filter_map(|(name, resource, value)| Some((name, resource, value?)))
}

/// What of it the kernel would refuse a worker, each with the way out. Nothing of it stays: niceness and CPUs are those
/// of a thread that ends, a limit is raised and put back.
pub(crate) fn refused(worker: &Worker) -> Vec<(String, &'static str)> {
    let mut refused = Vec::new();
    for (name, resource, value) in limits(worker) {
        let raise = || {
            let (soft, hard) = getrlimit(resource)?;
            if value <= hard {
                return Ok(()); // which everybody may
            }
            setrlimit(resource, soft, value)?;
            setrlimit(resource, soft, hard)
        };
        if let Err(why) = raise() {
            let failure = Failure::of(format_args!("cannot set worker.limit_{name} to {value}"), &why.into());
            refused.push((
                failure.what,
                "only root may go above its own limits: raise them (ulimit -H, Limit…= in the unit)",
            ));
        }
    }
    let attempt = || {
        let nice = worker.nice.map_or(Ok(()), sys::process::set_nice);
        let pinned = worker.cpu_affinity.as_ref().map_or(Ok(()), |cpus| pin(cpus, 0));
        (nice, pinned)
    };
    let (nice, pinned) = match in_thread(attempt) {
        Ok(tried) => tried,
        Err(failure) => {
            refused.push((failure.what, "raise the limit of processes and threads of this user (ulimit -u)"));
            return refused;
        }
    };
    if let Err(why) = nice {
        let failure =
            Failure::of(format_args!("cannot set worker.nice to {}", worker.nice.unwrap_or_default()), &why);
        refused.push((failure.what, "only root may go below its own: allow it with LimitNICE= in the unit"));
    }
    if let Err(why) = pinned {
        let failure = Failure::of("cannot set worker.cpu_affinity", &why);
        refused.push((
            failure.what,
            "name CPUs that are there, and allowed: `grep Cpus_allowed_list /proc/self/status`",
        ));
    }
    let identity = Identity::of(worker);
    if let Err(failure) = in_thread(|| identity.try_on(worker)).and_then(|tried| tried) {
        refused.push((failure.what, TO_ANOTHER_USER));
    } else if let Some(trouble) = powerless(worker) {
        refused.push((trouble.message, TO_ANOTHER_USER));
    }
    refused
}

/// Why we could not serve, or end, workers of another user.
pub(super) fn powerless(worker: &Worker) -> Option<Trouble> {
    let user = another(worker)?;
    // Without /proc that cannot be told.
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let ours = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let ours = u64::from_str_radix(ours.trim(), 16).ok()?;
    let (_, lacking) = RIGHTS.iter().find(|(bit, _)| ours >> bit & 1 == 0)?;
    Some(Trouble {
        message: format!("cannot run workers as worker.user {}: {lacking} is missing", user.name),
        hint: Some(TO_ANOTHER_USER.into()),
        exit: exit::FAILED,
    })
}

/// Why a worker's line to us could not be made its user's.
pub(super) fn not_given(uid: u32, why: &io::Error) -> io::Error {
    io::Error::new(
        why.kind(),
        format!("cannot make uid {uid} the owner of its socket to the supervisor: {why}"),
    )
}

/// Looks with the eyes of the user that workers run as: in a thread that is him for the file system.
pub(super) fn as_worker<T: Send>(worker: &Worker, look: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    let Some(user) = another(worker) else { return Ok(look()) };
    let gid = Gid::from_raw(worker.group.unwrap_or(user.gid));
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    let own = getgroups();
    // Where that is refused, the start is, too.
    let _ = setgroups(&groups);
    let seen = in_thread(|| {
        setfsgid(gid);
        setfsuid(Uid::from_raw(user.uid));
        look()
    });
    let _ = own.and_then(|own| setgroups(&own));
    seen
}

fn in_thread<T: Send>(act: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    std::thread::scope(|scope| {
        let thread = Builder::new().spawn_scoped(scope, act).map_err(cannot("start a thread"))?;
        Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Onto one of the CPUs that we may use, in turn; or onto those named, of which one must be there.
fn pin(cpus: &Cpus, number: u8) -> io::Result<()> {
    let own = Pid::from_raw(0);
    let mut set = CpuSet::new();
    match cpus {
        Cpus::OneEach => {
            let usable = sched_getaffinity(own)?;
            let usable: Vec<usize> =
                (0..CpuSet::count()).filter(|&cpu| usable.is_set(cpu).unwrap_or(false)).collect();
            if let Some(&cpu) = usable.get(usize::from(number) % usable.len().max(1)) {
                set.set(cpu)?;
            }
        }
        Cpus::These(cpus) => {
            for &cpu in cpus {
                set.set(usize::from(cpu))?;
            }
        }
    }
    Ok(sched_setaffinity(own, &set)?)
}

/// What a worker becomes, where that is another than we are.
struct Identity<'a> {
    user: Option<&'a Account>,
    gid: Option<u32>,
    /// All of them, its own first.
    groups: Vec<u32>,
}

impl<'a> Identity<'a> {
    fn of(worker: &'a Worker) -> Identity<'a> {
        let user = another(worker);
        let gid = worker.group.or(user.map(|user| user.gid));
        let gid = gid.filter(|&gid| user.is_some() || gid != Gid::effective().as_raw());
        let groups = user.map(|user| user.groups.as_slice()).unwrap_or_default();
        Identity { user, gid, groups: gid.into_iter().chain(groups.iter().copied()).collect() }
    }

    /// In this thread alone; and what the supervisor does for a worker of another user.
    fn try_on(&self, worker: &Worker) -> Result<(), Failure> {
        if let Some(user) = &worker.user {
            let gid = Some(Gid::from_raw(user.gid));
            let give = || {
                let file = sys::map::segment("check", &[], 1, false)?;
                Ok(fchown(&file, Some(Uid::from_raw(user.uid)), gid)?)
            };
            let why = give().err().map(|why: io::Error| not_given(user.uid, &why));
            why.map_or(Ok(()), |why| Err(Failure { what: why.to_string(), errno: 0 }))?;
        }
        if let Some(gid) = self.gid {
            sys::process::set_thread_groups(gid, &self.groups)
                .map_err(cannot(format_args!("change to group {gid}")))?;
        }
        self.user.map_or(Ok(()), |user| {
            sys::process::set_thread_user(user.uid)
                .map_err(cannot(format_args!("become worker.user {}", user.name)))
        })
    }
}

/// Drops to the user, and his groups, and nothing else.
fn change_user(worker: &Worker) -> Result<bool, Failure> {
    let Identity { user, gid, groups } = Identity::of(worker);
    if let Some(gid) = gid {
        let groups: Vec<Gid> = groups.into_iter().map(Gid::from_raw).collect();
        let change = || {
            setgroups(&groups)?;
            setgid(Gid::from_raw(gid))
        };
        change().map_err(io::Error::from).map_err(cannot(format_args!("change to group {gid}")))?;
    }
    if let Some(user) = user {
        let change = || {
            setuid(Uid::from_raw(user.uid))?;
            // Or what /proc shows of us would be root's, our own descriptors among it.
            nix::sys::prctl::set_dumpable(true)
        };
        change()
            .map_err(io::Error::from)
            .map_err(cannot(format_args!("become worker.user {}", user.name)))?;
    }
    Ok(gid.is_some() || user.is_some())
}

fn cannot(what: impl Display) -> impl FnOnce(io::Error) -> Failure {
    move |why| Failure::of(format_args!("cannot {what}"), &why)
}
