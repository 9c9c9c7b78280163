//! Programs that are no good as workers: what is told of them, and that they hold nobody up.

use std::fs;

use harness::{Place, cluster, python, sender, wait_until};

/// How many datagrams `tests/programs/deaf.py` told of.
fn told(place: &Place) -> usize {
    fs::read_to_string(place.folder().join("output")).map_or(0, |text| text.matches("bytes\n").count())
}

#[test]
fn a_program_that_never_reads_is_scaled_down_and_what_it_left_is_read_when_its_slot_comes_back() {
    const SENT: usize = 300;
    let place = Place::new();
    let (file, reads) =
        (format!("{}/tests/programs/deaf.py", env!("CARGO_MANIFEST_DIR")), place.folder().join("reads"));
    let start = cluster!().place(&place).workers(3).output(place.folder().join("output"));
    let start = start.config("[worker]\nlisten_timeout = \"30s\"\nkill_timeout = \"200ms\"\n");
    let cluster = start.env("READS", &reads).program([python(), &file]).start();
    let to = cluster.targets()[0];
    for number in 0..SENT {
        sender(to, number).send_to(b"nobody reads this", to).expect("sent");
    }
    let full = cluster.expect("every slot has some of it", |list| {
        list.workers.iter().all(|worker| worker.queue_bytes > Some(0))
    });
    let left: Vec<u64> = full.workers.iter().filter_map(|worker| worker.queue_bytes).collect();

    assert_eq!(cluster.command(["scale", "1"]).expect_code(0).stdout, "scale done: 1 worker\n");
    let list = cluster.list();
    assert_eq!((list.workers.len(), list.cluster.state.as_str()), (1, "online"));
    assert_eq!(list.cluster.retired_queue_bytes, left[1] + left[2]);
    for slot in [1, 2] {
        cluster.expect_log(&format!("slot {slot} retires with "));
        let drainers = cluster.log().matches(&format!("worker {slot} pid ")).count();
        assert!(drainers >= 3, "three were to read it: {}", cluster.log());
    }
    cluster.expect_log(" bytes unread: its program does not read them; they wait until the slot comes back");
    let text = cluster.command(["list"]).expect_code(0).stdout;
    assert!(text.contains("wait in retired slots, unread until those come back"), "{text}");

    fs::write(&reads, "").expect("a file");
    cluster.command(["scale", "3"]).expect_code(0);
    wait_until("all of it is read", || told(&place) == SENT);
    let list = cluster.list();
    assert_eq!((list.cluster.retired_queue_bytes, list.cluster.totals.dropped), (0, Some(0)));
}

#[test]
fn a_program_that_ends_at_once_ends_the_first_start_though_it_need_not_say_ready() {
    for (words, said) in [(["true", ""], "exited with code 0"), (["sh", "exit 3"], "exited with code 3")] {
        let program = if words[1].is_empty() { vec![words[0]] } else { vec![words[0], "-c", words[1]] };
        let output = cluster!().config("[worker]\nwait_ready = false\n").program(program).run();
        let output = output.expect_code(1);
        output.expect_said(&["the cluster did not come up: worker ", said, "hint: its own output says why"]);
    }
}

#[test]
fn a_reload_to_a_program_that_ends_at_once_fails_and_touches_nobody() {
    let config = |program| format!("[worker]\nwait_ready = false\nprogram = {program}\n");
    let cluster = cluster!().config(config(r#"["sleep", "1000"]"#)).start();
    let before = cluster.list();
    assert!(before.workers.iter().all(|worker| worker.uptime_s > Some(1.0)), "they have lived: {before:#?}");
    cluster.place().write_config(&config(r#"["true"]"#));
    cluster.command(["reload"]).expect_code(1).expect_said(&["exited with code 0", "hint: "]);
    let after = cluster.expect_state("online");
    assert_eq!((after.pids(), after.restarts(), after.cluster.generation), (before.pids(), 0, 1));
}

#[test]
fn a_program_that_takes_its_socket_out_of_the_group_holds_no_order_up_and_is_named() {
    let file = format!("{}/tests/programs/connects.py", env!("CARGO_MANIFEST_DIR"));
    let start = cluster!().workers(3).config("[worker]\nlisten_timeout = \"30s\"\n");
    let cluster = start.program([python(), &file]).start();
    cluster.command(["scale", "2"]).expect_code(0);
    cluster.expect_log("cannot steer 3 workers to the mask 0x");
    cluster.expect_log("trying on: Invalid argument");
    cluster.expect_log("a program must not connect");
    cluster.expect_log("worker 2 retires all the same");
    cluster.command(["restart", "1"]).expect_code(0);
    cluster.command(["reload"]).expect_code(0);
    cluster.expect_state("online");
}
