//! `describe` tells what there is, in the shape that docs/schema/describe.json documents; `signal` reaches whom it names.

use harness::{Schema, cluster, process, python, wait_until};
use nix::sys::resource::{Resource, getrlimit};
use serde_json::json;

#[test]
fn everything_is_told_in_the_documented_shape() {
    let config = "stale_after = \"4s\"\n[worker]\nenv = { COLOUR = \"blue\" }\n[[processor]]\nname = \"bar\"\naddress = \"127.0.0.9\"\n";
    let cluster = cluster!().workers(3).listen("127.0.0.1:0").listen("[::1]:0").config(config).start();
    cluster.kill_worker(1).expect_replaced_after("SIGKILL");
    cluster.command(["scale", "2"]).expect_code(0);
    cluster.command(["reload"]).expect_code(0);
    let told = cluster.command(["describe", "--json"]).expect_code(0).json();
    Schema::named("describe").expect_valid(&told);

    let whole = &told["cluster"];
    assert_eq!((&whole["generation"], &whole["state"]), (&json!(2), &json!("online")));
    assert_eq!(whole["config_file"], json!(cluster.place().config_file()));
    assert_eq!(whole["runtime_dir"], json!(cluster.runtime_dir()));
    assert_eq!(whole["steering"]["slots"], json!([0, 1]));
    assert_eq!((&whole["above"]["heard"], &whole["kept"][0]["name"]), (&json!(false), &json!("table")));
    assert_eq!(told["supervisor"]["pid"], json!(cluster.pid()));
    assert_eq!(told["supervisor"]["exe"], json!(cluster.binary()));
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits");
    assert_eq!(told["supervisor"]["limits"]["open_files"], json!({"soft": hard, "hard": hard}));
    assert_eq!(
        (&told["config"]["stale_after"], &told["config"]["worker"]["env"]["COLOUR"]),
        (&json!("4s"), &json!("blue"))
    );

    let list = cluster.list();
    assert_eq!(told["workers"].as_array().map(Vec::len), Some(2));
    for (worker, row) in told["workers"].as_array().expect("workers").iter().zip(&list.workers) {
        assert_eq!((&worker["pid"], &worker["process"]["pid"]), (&json!(row.pid), &json!(row.pid)));
        assert_eq!(
            (&worker["process"]["uid"], &worker["quarantine"]),
            (&told["supervisor"]["uid"], &json!(null))
        );
        let kept: Vec<_> = worker["kept"].as_array().expect("kept").iter().collect();
        let names: Vec<_> = kept.iter().map(|kept| kept["name"].as_str().unwrap_or_default()).collect();
        assert_eq!(names, ["seat", "udp0", "udp1"]);
        assert_eq!(
            [&kept[1]["address"], &kept[2]["address"]],
            [&json!(list.cluster.listen[0]), &json!(list.cluster.listen[1])]
        );
        assert!(kept[1]["target"].as_str().is_some_and(|target| target.starts_with("socket:[")), "{kept:#?}");
    }
    assert_eq!(told["workers"][1]["last_exit"]["code"], json!(0), "the reload sent it away");
    let retired = &told["retired"][0];
    assert_eq!((&retired["id"], retired["kept"].as_array().map(Vec::len)), (&json!("2"), Some(3)));
    assert_eq!(told["roles"][0]["name"], json!("link"));
}

#[test]
fn one_slot_is_told_alone_and_text_says_what_json_says() {
    let cluster = cluster!().start();
    let one = cluster.command(["describe", "1", "--json"]).expect_code(0).json();
    Schema::named("describe").expect_valid(&one);
    assert_eq!((&one["workers"][0]["id"], one["workers"].as_array().map(Vec::len)), (&json!(1), Some(1)));
    let pid = one["workers"][0]["pid"].to_string();
    let text = cluster.command(["describe", "1"]).expect_code(0).stdout;
    assert!(text.contains("worker 1 (meter) online") && text.contains(&format!("pid {pid}, uid ")), "{text}");
    assert!(!text.contains("worker 0") && !text.contains("configuration in force"), "{text}");
    let text = cluster.command(["describe"]).expect_code(0).stdout;
    for part in [
        "worker 0 (meter) online",
        "  kept            seat  segment of ",
        "udp0  socket 127.0.0.1:",
        "locked memory",
        "store above     none",
        "  workers                          = 2\n",
        "  worker.watchdog                  = \"10s\"\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let refused = cluster.command(["describe", "7"]).expect_code(2);
    refused.expect_said(&["there is no worker and no role `7`", "hint: there are: 0, 1"]);
}

#[test]
fn what_a_program_stored_is_told_with_its_names() {
    let script = "import os, socket, time\n\
        line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); line.connect(os.environ['NOTIFY_SOCKET'])\n\
        for name in range(20): socket.send_fds(line, [f'FDSTORE=1\\nFDNAME=mine{name}'.encode()], [os.memfd_create(f'mine{name}')])\n\
        line.send(b'READY=1'); time.sleep(1000)";
    let cluster = cluster!().workers(1).program([python(), "-c", script]).start();
    let told = cluster.command(["describe", "--json"]).expect_code(0).json();
    Schema::named("describe").expect_valid(&told);
    let worker = &told["workers"][0];
    assert_eq!((&worker["stored"], worker["kept"].as_array().map(Vec::len)), (&json!(20), Some(17)));
    assert_eq!(
        (&worker["kept"][1]["name"], &worker["kept"][1]["target"]),
        (&json!("mine0"), &json!("/memfd:mine0 (deleted)"))
    );
    let text = cluster.command(["describe", "0"]).expect_code(0).stdout;
    assert!(text.contains("mine15  /memfd:mine15") && text.contains("… and 4 more in its store"), "{text}");
}

#[test]
fn a_signal_reaches_whom_it_names_and_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "import os, signal, socket, time\n\
        heard = lambda *_: open('{}/' + os.environ['NODE_APP_INSTANCE'], 'w').close()\n\
        signal.signal(signal.SIGUSR1, heard)\n\
        line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); line.connect(os.environ['NOTIFY_SOCKET'])\n\
        line.send(b'READY=1')\n\
        while True: time.sleep(1)",
        folder.path().display()
    );
    let cluster = cluster!().workers(3).program([python(), "-c", &script]).start();
    let before = cluster.list();
    let done = cluster.command(["signal", "usr1", "0", "2", "0"]).expect_code(0);
    let pids = before.pids().into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>();
    assert_eq!(
        done.stdout,
        format!("signal done: SIGUSR1 to worker 0 pid {}, worker 2 pid {}\n", pids[0], pids[2])
    );
    wait_until("two heard it", || folder.path().join("0").exists() && folder.path().join("2").exists());
    assert!(!folder.path().join("1").exists());
    assert_eq!(cluster.list().pids(), before.pids(), "nobody ended");
    cluster.command(["signal", "9", "1"]).expect_code(0);
    let one = cluster.expect("it was killed and replaced", |list| list.workers[1].restarts == 1);
    assert_eq!(one.workers[1].last_exit.as_ref().and_then(|exit| exit.signal.as_deref()), Some("SIGKILL"));
    assert!(!process::lives(pids[1]));
}

#[test]
fn a_signal_to_somebody_who_is_not_there_reaches_nobody() {
    let config =
        "[worker]\nexp_backoff_restart_delay = \"1h\"\nexp_backoff_max_delay = \"1h\"\nmin_uptime = \"1h\"\n";
    let cluster = cluster!().config(config).start();
    cluster
        .command(["signal", "TERM", "0", "9"])
        .expect_code(2)
        .expect_said(&["no role `9`", "hint: there are: 0, 1"]);
    cluster.command(["signal", "KILL", "1"]).expect_code(0);
    cluster.expect("worker 1 waits", |list| list.workers[1].state == "waiting restart");
    let refused = cluster.command(["signal", "KILL", "0", "1"]).expect_code(1);
    refused.expect_said(&["worker 1 has no process just now: no process was signalled"]);
    assert_eq!(cluster.worker(0).restarts, 0);
}
