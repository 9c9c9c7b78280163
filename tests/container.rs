//! As a container runs it, played with namespaces: PID 1, a read-only root, a user without a name and without rights.

use std::fs;

use harness::{
    Builder, Cluster, Place, cluster, datagram, install, need_root, process, sender, wait_for, wait_until,
};
use nix::sys::signal::Signal;

/// Makes everything read-only but the runtime directory (the second argument; if it is empty, everything), gives up
/// every right, and becomes the rest.
const CONTAIN: &str = r#"
set -e
place=$1 volume=$2
shift 2
mount --bind "$place" "$place"
if [ -n "$volume" ]; then
    install -d -o 3131 -g 3131 -m 711 "$volume"
    mount --bind "$volume" "$volume"
fi
mount -o remount,bind,ro "$place"
mount -o remount,bind,ro /
exec setpriv --reuid 3131 --regid 3131 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"#;

fn contained(place: &Place, volume: &str) -> Builder {
    need_root();
    let builder = cluster!().place(place);
    // Where cargo builds, another user may not look.
    let binary = place.folder().join("atlas-cluster");
    install(&binary, &fs::read(builder.binary_path()).expect("the binary"));
    let folder = place.folder().to_str().expect("a path of letters").to_owned();
    let wrapper =
        ["unshare", "-pfm", "--mount-proc", "--kill-child", "sh", "-c", CONTAIN, "sh", &folder, volume];
    builder.binary(binary).wrapped_in(&wrapper)
}

fn started(place: &Place, with: impl FnOnce(Builder) -> Builder) -> Cluster {
    let volume = place.runtime_dir();
    with(contained(place, volume.to_str().expect("a path of letters"))).start()
}

fn stop(cluster: &Cluster) {
    process::signal(cluster.pid_inside(), Signal::SIGTERM);
    assert_eq!(cluster.wait_for_end(), 0);
    assert_eq!(cluster.files_left(), Vec::<String>::new());
}

/// Kills the process with that title, which has another pid inside.
#[track_caller]
fn kill(cluster: &Cluster, title: &str) {
    let victim = wait_for(format_args!("{title} is found"), || {
        cluster.processes().into_iter().find(|one| one.title.starts_with(title))
    });
    process::signal(victim.pid, Signal::SIGKILL);
}

/// It is what a container makes of it.
#[track_caller]
fn expect_contained(pid: i32) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    for line in [
        "Uid:\t3131\t3131\t3131\t3131",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        &format!("NSpid:\t{pid}\t1"),
    ] {
        assert!(status.lines().any(|found| found == line), "{line}: {status}");
    }
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("its mounts");
    let options = mounts.lines().rev().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        (fields[4] == "/").then(|| fields[5].to_owned())
    });
    assert!(options.as_deref().is_some_and(|options| options.split(',').any(|it| it == "ro")), "{mounts}");
}

#[test]
fn it_reads_restarts_reloads_upgrades_and_stops() {
    let place = Place::new();
    let cluster = started(&place, |builder| builder.workers(2));
    expect_contained(cluster.pid_inside());
    assert_eq!(cluster.list().cluster.pid, 1);
    let to = cluster.targets()[0];
    let mut sent = 0;
    let mut send = || {
        for number in 0..50 {
            sender(to, number).send_to(&datagram(sent, ""), to).expect("sent");
            sent += 1;
        }
        cluster.expect("every datagram is counted once", |list| {
            list.cluster.totals.datagrams == Some(sent) && list.cluster.totals.meter == Some(sent)
        });
    };
    send();
    kill(&cluster, "atlas-cluster: meter 0");
    kill(&cluster, "atlas-cluster: meter 1");
    cluster.expect("both are back", |list| list.restarts() == 2 && list.cluster.state == "online");
    send();
    for (order, generation) in [("reload", 2), ("upgrade", 3)] {
        cluster.command([order]).expect_code(0);
        assert_eq!(cluster.list().cluster.generation, generation);
        send();
    }
    assert!(cluster.meters().meter("127.0.0.2", "ZoneMeter_0").is_some());
    stop(&cluster);
}

#[test]
fn the_orphans_that_a_program_leaves_are_reaped() {
    let place = Place::new();
    let cluster = started(&place, |builder| {
        let config = "[worker]\nwait_ready = false\nmin_uptime = \"0s\"\n";
        builder.workers(2).config(config).program(["sh", "-c", "(setsid sleep 1003 &); exec sleep 1004"])
    });
    let supervisor = cluster.pid_inside();
    let orphans = wait_for("each worker has left one", || {
        let all = cluster.processes().into_iter();
        let orphans: Vec<i32> = all
            .filter(|one| one.title == "sleep 1003" && one.parent == supervisor)
            .map(|one| one.pid)
            .collect();
        (orphans.len() == 2).then_some(orphans)
    });
    orphans.iter().for_each(|&pid| process::signal(pid, Signal::SIGKILL));
    wait_until("they are reaped", || orphans.iter().all(|&pid| process::find(pid).is_none()));
    kill(&cluster, "sleep 1004");
    cluster.expect("it is replaced", |list| list.restarts() == 1 && list.cluster.state == "online");
    stop(&cluster);
}

#[test]
fn the_demo_plays() {
    let place = Place::new();
    let cluster = started(&place, |builder| builder.arg("--demo"));
    wait_until("the demo is connected, and its meters move", || {
        let meters = cluster.meters();
        meters.processor("127.0.0.2").is_some_and(|demo| {
            demo.connection == "connected" && demo.meters.iter().filter(|meter| meter.fresh).count() == 38
        })
    });
    stop(&cluster);
}

#[test]
fn without_a_place_to_write_to_it_says_what_to_mount() {
    let place = Place::new();
    contained(&place, "").run().expect_code(2).expect_said(&[
        &format!("cannot use the runtime directory {}: ", place.runtime_dir().display()),
        "Read-only file system",
        "hint: in a container mount a tmpfs or a volume there (--tmpfs /run)",
    ]);
}
