//! The descriptor store: what a worker hands up outlives it, and comes to the next process of its slot.

use std::fs;
use std::path::PathBuf;

use harness::{Builder, Cluster, Place, cluster, process, python, wait_for};

/// A cluster of tests/programs/keeper.py, which does what `keep` says.
fn keeper(place: &Place, keep: &str) -> Builder {
    let file = format!("{}/tests/programs/keeper.py", env!("CARGO_MANIFEST_DIR"));
    let config = "[worker]\nlisten_timeout = \"30s\"\nmin_uptime = \"0s\"\n";
    let start = cluster!().place(place).workers(1).config(config).env("KEEP", keep).output(output(place));
    start.program([python(), &file])
}

fn output(place: &Place) -> PathBuf {
    place.folder().join("output")
}

/// What the process number `nth` of slot 0 found in its store, as `name=content`.
#[track_caller]
fn found(cluster: &Cluster, nth: usize) -> Vec<String> {
    let line = wait_for(format_args!("process {nth} tells what it found"), || {
        let text = fs::read_to_string(output(cluster.place())).unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("slot 0 found ").map(str::to_owned));
        lines.nth(nth)
    });
    line.split_whitespace().map(str::to_owned).collect()
}

/// `name=0`, `name=1` … and the last.
fn numbered(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name}={number}")).chain(["done=yes".to_owned()]).collect()
}

/// How many memfds of the keeper the supervisor has open.
fn kept(cluster: &Cluster) -> usize {
    process::descriptors(cluster.pid()).iter().filter(|target| target.contains("memfd:kept")).count()
}

#[test]
fn two_hundred_descriptors_handed_up_in_a_burst_outlive_crash_and_reload() {
    let place = Place::new();
    let cluster = keeper(&place, "put:page:200").start();
    assert_eq!(found(&cluster, 0), ["nothing"]);
    assert_eq!(kept(&cluster), 201);
    cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    assert_eq!(found(&cluster, 1), numbered("page", 200), "in their order, after the socket");
    cluster.command(["reload"]).expect_code(0);
    assert_eq!(found(&cluster, 2), numbered("page", 200));
    assert_eq!(kept(&cluster), 201, "what is handed up is not handed back twice");
}

#[test]
fn several_descriptors_come_in_one_message_and_a_name_is_taken_back() {
    let place = Place::new();
    let cluster = keeper(&place, "put:a:100:100 put:b:2:2 put:a:1 remove:a put:c:3 remove:nobody").start();
    cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    assert_eq!(found(&cluster, 1), ["b=0", "b=1", "c=0", "c=1", "c=2", "done=yes"]);
    assert_eq!(kept(&cluster), 6, "what was taken back is closed");
}

#[test]
fn what_does_not_fit_is_refused_and_said_and_the_slot_still_starts() {
    let place = Place::new();
    let name = "n".repeat(255);
    let cluster = keeper(&place, &format!("put:done:1 put:page:600:250 put:{name}:300:250")).start();
    assert_eq!(kept(&cluster), 512);
    cluster.expect_log("has no room");
    cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    assert_eq!(found(&cluster, 1).len(), 512);
    let more = Place::new();
    let cluster = keeper(&more, &format!("put:done:1 put:{name}:511:250")).start();
    assert!(kept(&cluster) < 300, "names are bounded too");
    cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    assert_eq!(found(&cluster, 1).len(), kept(&cluster));
}

#[test]
fn each_slot_has_a_store_of_its_own_and_the_stop_closes_them() {
    let place = Place::new();
    let cluster = keeper(&place, "put:a:3").workers(3).start();
    assert_eq!(kept(&cluster), 12);
    cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    assert_eq!(found(&cluster, 1), numbered("a", 3));
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
}
