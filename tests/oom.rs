//! Memory shortage: what a worker that the kernel kills for want of memory had taken is finished by the next one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use harness::{Ledger, Load, PATIENCE, cluster, need_root, say, try_for};

/// Less than `"fault":"fat"` takes, and more than a cluster needs that nothing ails.
const LIMIT: u64 = 56 << 20;
/// How often memory runs out.
const SHORTAGES: u64 = 10;

/// A memory cgroup of our own (cgroups(7)); it goes when it is dropped, once nobody is in it.
struct Group {
    folder: PathBuf,
    /// The file, and the word in it, that tell of kills.
    kills: &'static str,
}

impl Group {
    /// Of version 2 if memory can be limited there, else of version 1.
    fn new() -> io::Result<Group> {
        let mounts = fs::read_to_string("/proc/mounts")?;
        let places = mounts.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let (_, folder, kind, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
            let memory = options.split(',').any(|option| option == "memory");
            (kind == "cgroup2" || kind == "cgroup" && memory).then_some((kind, Path::new(folder)))
        });
        let mut why = io::Error::other("no memory cgroup is mounted");
        for (kind, place) in places {
            match Group::below(place, kind == "cgroup2") {
                Ok(group) => return Ok(group),
                Err(e) => why = io::Error::new(e.kind(), format!("{}: {e}", place.display())),
            }
        }
        Err(why)
    }

    fn below(place: &Path, unified: bool) -> io::Result<Group> {
        if unified {
            // Refused where it is so already, and where processes are in the way: the limit below tells.
            let _ = fs::write(place.join("cgroup.subtree_control"), "+memory");
        }
        let folder = place.join(format!("atlas-cluster-test-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let kills = if unified { "memory.events" } else { "memory.oom_control" };
        let group = Group { folder, kills };
        let (limit, with_swap, most) = if unified {
            ("memory.max", "memory.swap.max", 0)
        } else {
            ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", LIMIT)
        };
        // Not created: a file that is not there is a controller that is not there.
        let set = |name: &str, value: u64| {
            let mut file = fs::OpenOptions::new().write(true).open(group.folder.join(name))?;
            io::Write::write_all(&mut file, value.to_string().as_bytes())
        };
        set(limit, LIMIT)?;
        let _ = set(with_swap, most); // where swap is accounted for
        group.killed()?;
        Ok(group)
    }

    /// How many processes the kernel has killed in it for want of memory.
    fn killed(&self) -> io::Result<u64> {
        let text = fs::read_to_string(self.folder.join(self.kills))?;
        let number = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
        number.ok_or_else(|| io::Error::other("it does not count what it kills"))
    }

    /// What it holds, for messages.
    fn state(&self) -> String {
        let text = fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        text.lines().filter(|line| !line.ends_with(" 0")).collect::<Vec<_>>().join(", ")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

#[test]
fn a_worker_that_the_kernel_kills_for_want_of_memory_loses_nothing_and_blames_nobody() {
    need_root();
    let group = match Group::new() {
        Ok(group) => group,
        Err(e) => {
            say(&format!("not done here: workers killed for want of memory; no cgroup takes a limit: {e}"));
            return;
        }
    };
    let ledger = Ledger::new(1_000_000);
    let enter = format!("echo $$ > '{}' && exec \"$@\"", group.folder.join("cgroup.procs").display());
    let builder = cluster!();
    // The program's pages are ours then, not the group's: it would drop and read them again and again before it kills.
    fs::read(builder.binary_path()).expect("the program");
    let cluster = builder
        .workers(3)
        .ledger(&ledger)
        .config("[worker]\nmin_uptime = \"0s\"\nexp_backoff_restart_delay = \"0s\"\n")
        .env("ATLAS_CLUSTER_RECEIVE_BUFFER", "4M")
        .wrapped_in(&["sh", "-c", &enter, "sh"])
        .start();
    let load = Load::start(&cluster.targets(), 32, 5_000, &ledger);
    for number in 1..=SHORTAGES {
        ledger.wait_for_more(200);
        let slot = ledger.wait_for_reader_of(ledger.send_to(&cluster, r#","fault":"fat""#));
        // On a busy machine it may kill another one before it has taken the first one's memory back.
        let killed = || group.killed().expect("it counts");
        let enough = try_for(PATIENCE, || (killed() >= number).then_some(()));
        assert!(enough.is_some(), "{} killed for want of memory, not {number}: {}", killed(), group.state());
        let list = cluster.expect("whom it killed is replaced, and nobody else", |list| {
            u64::from(list.restarts()) == killed() && list.cluster.state == "online"
        });
        let row = &list.workers[slot];
        let signal = row.last_exit.as_ref().and_then(|exit| exit.signal.as_deref());
        assert_eq!(signal, Some("SIGKILL"), "{row:#?}");
    }
    load.stop();
    ledger.settle(&cluster);
    assert!(cluster.quarantine().is_empty());
    let killed = group.killed().expect("it counts");
    say(&format!(
        "{killed} workers were killed for want of memory amid {} datagrams: all exact",
        ledger.sent()
    ));
}
