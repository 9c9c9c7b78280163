//! `check` says whether a start would do, before it is tried, and leaves nothing behind.

use std::fs::Permissions;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use harness::{Output, Place, Processor, cluster, free_port, need_root, run, wait_until};
use serde_json::{Value, json};

/// `check` in a place where nobody runs, with that configuration.
fn check(place: &Place, config: &str, arguments: &[&str]) -> Output {
    place.write_config(config);
    let mut command = Command::new(env!("CARGO_BIN_EXE_atlas-cluster"));
    command.arg("check").arg("--config").arg(place.config_file());
    command.arg("--runtime-dir").arg(place.runtime_dir()).args(arguments);
    run(command)
}

/// The lines of that name: how each is, what it says.
#[track_caller]
fn lines(report: &Value, name: &str) -> Vec<(String, String)> {
    let checks = report["checks"].as_array().expect("checks").iter().filter(|line| line["name"] == name);
    let lines: Vec<_> =
        checks.map(|line| (line["status"].clone(), line["message"].clone(), line["hint"].clone())).collect();
    for (status, _, hint) in &lines {
        assert_eq!(*status == "ok", hint.is_null(), "a hint exactly where it is not OK: {report:#}");
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines.iter().map(|(status, message, _)| (text(status), text(message))).collect()
}

#[test]
fn where_all_is_well_it_says_so_and_binds_nothing_for_good() {
    let place = Place::new();
    let port = free_port();
    let config = format!("listen = [\"127.0.0.1:{port}\"]\nreceive_buffer = \"4K\"\nworkers = 2\n");
    for _ in 0..2 {
        let checked = check(&place, &config, &[]).expect_code(0);
        assert!(
            checked.stdout.contains(&format!("OK    port               UDP 127.0.0.1:{port}: free\n")),
            "{checked:#?}"
        );
        assert!(checked.stdout.contains("OK    descriptors        enough for 2 workers\n"), "{checked:#?}");
        assert!(!checked.stdout.contains("FAIL"), "{checked:#?}");
    }
    assert!(!place.runtime_dir().exists(), "nothing is made");
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_place() {
    let place = Place::new();
    let checked = check(&place, "workers = 0\n[worker]\nwatchdog = 5\n", &["--json"]).expect_code(2).json();
    let found = lines(&checked, "configuration");
    let said: Vec<&str> = found.iter().map(|(_, said)| said.as_str()).collect();
    assert!(
        said[0].contains(
            "cluster.toml:1:11: workers: `0` is out of range\n  |\n1 | workers = 0\n  |           ^"
        ),
        "{said:?}"
    );
    assert!(said[1].contains("cluster.toml:3:12: worker.watchdog:") && said.len() == 2, "{said:?}");
    assert_eq!(checked["result"], "fail");
}

#[test]
fn a_port_that_somebody_holds_is_told_with_his_name() {
    let place = Place::new();
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = stranger.local_addr().expect("its address");
    let config = format!("listen = [\"{address}\"]\n");
    let checked = check(&place, &config, &["--json"]).expect_code(3).json();
    let (status, said) = lines(&checked, "port").remove(0);
    assert_eq!(status, "fail");
    assert!(
        said.contains(&format!(
            "cannot bind UDP {address}: Address already in use (os error 98); it is held by "
        )) && said.contains(&format!("pid {}", std::process::id())),
        "{said}"
    );
    let checked = check(&place, &config, &["--json", "--share"]).expect_code(3).json();
    assert!(lines(&checked, "port")[0].1.contains("it is held by "), "he lets nobody in: {checked:#}");
    let elsewhere = check(&place, "listen = [\"192.0.2.1:3131\"]\n", &["--json"]).expect_code(3).json();
    assert!(lines(&elsewhere, "port")[0].1.contains("cannot bind UDP 192.0.2.1:3131"), "{elsewhere:#}");
}

#[test]
fn beside_a_running_cluster_it_checks_what_a_reload_would_find() {
    let processor = Processor::start("127.0.0.1", 9);
    let cluster = cluster!().config(processor.config("bar")).start();
    let listen = &cluster.list().cluster.listen[0];
    wait_until("the link is connected", || processor.connections().0 == 1);
    cluster.expect("it answers", |_| {
        cluster.meters().processors.iter().any(|one| one.connection == "connected")
    });
    let ever = processor.connections().2;
    let same = format!("{}\n", processor.config("bar"));
    let checked = check(cluster.place(), &same, &["--json", "--listen", "127.0.0.1:0"]).expect_code(0).json();
    assert_eq!(lines(&checked, "runtime directory")[0].0, "warn");
    let (status, said) = lines(&checked, "processor").remove(0);
    assert!(status == "ok" && said.contains("connected, says the cluster that runs here"), "{said}");
    assert_eq!(processor.connections().2, ever, "nobody else connected");
    let text = check(cluster.place(), &same, &["--listen", "127.0.0.1:0"]).expect_code(0).stdout;
    assert!(text.ends_with("a reload would accept this, a start would not; see the WARN lines\n"), "{text}");
    let checked = check(cluster.place(), &same, &["--json", "--listen", listen]).expect_code(2).json();
    assert!(lines(&checked, "configuration")[0].1.contains("has another `listen`"), "{checked:#}");
    assert!(lines(&checked, "port")[0].1.contains("bound by the cluster that runs here"), "{checked:#}");
}

#[test]
fn a_processor_is_connected_to_for_a_moment_and_let_go() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let processor = |address: &str, port: u16| {
        format!(
            "listen = [\"127.0.0.1:0\"]\n[[processor]]\nname = \"bar\"\naddress = \"{address}\"\ntcp_port = {port}\n"
        )
    };
    let checked = check(&place, &processor("127.0.0.1", port), &["--json"]).expect_code(0).json();
    assert_eq!(
        lines(&checked, "processor")[0],
        ("ok".into(), format!("bar (TCP 127.0.0.1:{port}): reachable"))
    );
    let (mut stream, _) = listener.accept().expect("it connected");
    let ended = std::io::Read::read(&mut stream, &mut [0; 16]).expect_err("it was reset");
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
    // A start goes online without it.
    let checked = check(&place, &processor("127.0.0.9", 1), &["--json"]).expect_code(0).json();
    let (status, said) = lines(&checked, "processor").remove(0);
    assert!(status == "warn" && said.contains("cannot be reached: Connection refused"), "{checked:#}");
}

#[test]
fn a_program_is_looked_for_as_a_worker_would() {
    let place = Place::new();
    let program = place.folder().join("server");
    std::fs::write(&program, "#!/bin/sh\n").expect("a file");
    let config = |program: &str| {
        format!(
            "listen = [\"127.0.0.1:0\"]\n[worker]\nprogram = [\"{program}\"]\ncwd = \"{}\"\n",
            place.folder().display()
        )
    };
    let found = |program: &str, code| {
        let report = check(&place, &config(program), &["--json"]).expect_code(code).json();
        lines(&report, "program").remove(0)
    };
    assert_eq!(found("sh", 0).0, "ok");
    assert!(found("./server", 1).1.contains("cannot run ./server: Permission denied"));
    assert!(found("no-such-program", 1).1.contains("; PATH is "));
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("executable");
    assert!(found("./server", 0).1.ends_with("/./server"));
}

/// `check --json` by a wrapper that takes rights away.
fn confined(place: &Place, config: &str, wrapper: &[&str]) -> Output {
    place.write_config(config);
    let mut command = Command::new(wrapper[0]);
    command
        .args(&wrapper[1..])
        .arg(env!("CARGO_BIN_EXE_atlas-cluster"))
        .args(["check", "--json", "--config"]);
    command.arg(place.config_file()).arg("--runtime-dir").arg(place.runtime_dir());
    run(command)
}

/// root that can do nothing that others cannot.
const POWERLESS: [&str; 3] = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"];

#[test]
fn more_workers_than_descriptors_for_are_told() {
    let config = "workers = 64\nlisten = [\"127.0.0.1:0\"]\n";
    let checked = confined(&Place::new(), config, &["prlimit", "--nofile=120:120"]).expect_code(1).json();
    assert!(lines(&checked, "descriptors")[0].1.starts_with("64 workers on 1 address need "), "{checked:#}");
}

#[test]
fn a_buffer_that_is_not_granted_is_told() {
    need_root();
    let most = std::fs::read_to_string("/proc/sys/net/core/rmem_max").expect("a limit of the kernel's");
    let config = "receive_buffer = \"1G\"\nlisten = [\"127.0.0.1:0\"]\n";
    assert!(most.trim().parse::<u64>().expect("a number") < 1 << 29, "no host for this test: {most}");
    let checked = confined(&Place::new(), config, &POWERLESS).expect_code(0).json();
    let (status, said) = lines(&checked, "receive buffer").remove(0);
    assert!(status == "warn" && said.contains(" of the 1073741824 bytes of receive_buffer"), "{checked:#}");
}

#[test]
fn what_a_worker_cannot_be_given_is_told_as_a_start_would() {
    need_root();
    let place = Place::new();
    for (keys, why) in [
        ("nice = -5", "cannot set worker.nice to -5: Permission denied"),
        ("limit_nofile = 5000", "cannot set worker.limit_nofile to 5000: Operation not permitted"),
        (
            "limit_memlock = \"1024G\"",
            "cannot set worker.limit_memlock to 1099511627776: Operation not permitted",
        ),
        ("cpu_affinity = \"1023\"", "cannot set worker.cpu_affinity: Invalid argument"),
    ] {
        let config = format!("workers = 1\nlisten = [\"127.0.0.1:0\"]\n[worker]\n{keys}\n");
        let wrapper =
            [&["prlimit", "--nofile=4000:4000", "--memlock=8388608:8388608"][..], &POWERLESS].concat();
        let checked = confined(&place, &config, &wrapper).expect_code(1).json();
        let (status, said) = lines(&checked, "worker").remove(0);
        assert!(status == "fail" && said.starts_with(why), "{keys}: {checked:#}");
        let start = cluster!().config(&config).workers_as_configured().wrapped_in(&wrapper).run();
        start.expect_code(1).expect_said(&[why]);
    }
    let config =
        "listen = [\"127.0.0.1:0\"]\n[worker]\nnice = 5\nlimit_nofile = 3000\ncpu_affinity = \"auto\"\n";
    let checked = confined(&place, config, &POWERLESS).expect_code(0).json();
    assert!(lines(&checked, "worker").is_empty(), "everybody may: {checked:#}");
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    need_root();
    let place = Place::new();
    let closed = place.folder().join("closed");
    std::fs::create_dir(&closed).expect("a folder");
    std::fs::set_permissions(&closed, Permissions::from_mode(0o555)).expect("a mode");
    let logs = |folder: &str| format!("listen = [\"127.0.0.1:0\"]\n[log]\ndir = \"{folder}\"\n");
    let closed = closed.to_str().expect("a path");
    let checked = confined(&place, &logs(&format!("{closed}/logs")), &POWERLESS).expect_code(1).json();
    assert!(
        lines(&checked, "log files")[0]
            .1
            .contains(&format!("cannot write logs to {closed}/logs: Permission denied")),
        "{checked:#}"
    );
    let checked = confined(&place, &logs(&format!("{closed}/logs")), &["env"]).expect_code(0).json();
    assert_eq!(lines(&checked, "log files")[0].0, "ok", "root may");
    std::fs::create_dir(place.runtime_dir()).expect("a folder");
    std::fs::set_permissions(place.runtime_dir(), Permissions::from_mode(0o555)).expect("a mode");
    let checked = confined(&place, "listen = [\"127.0.0.1:0\"]\n", &POWERLESS).expect_code(2).json();
    assert!(
        lines(&checked, "runtime directory")[0].1.contains("cannot use the runtime directory "),
        "{checked:#}"
    );
}

#[test]
fn folder_and_program_are_looked_at_as_the_worker_s_user() {
    need_root();
    let place = Place::new();
    let folder = place.folder().join("home");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("server"), "#!/bin/sh\n").expect("a file");
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    };
    let found = |user: &str, code| {
        let config = format!(
            "listen = [\"127.0.0.1:0\"]\n[worker]\nprogram = [\"./server\"]\ncwd = \"{}\"\nuser = \"{user}\"\n",
            folder.display()
        );
        let report = check(&place, &config, &["--json"]).expect_code(code).json();
        let said = |name| lines(&report, name).into_iter().map(|(_, said)| said);
        said("working directory").chain(said("program")).collect::<Vec<_>>()
    };
    mode(&folder, 0o700);
    mode(&folder.join("server"), 0o755);
    assert!(found("root", 0)[0].ends_with("/./server"));
    let refused = found("nobody", 1);
    assert!(refused[0].contains("cannot change to worker.cwd ") && refused[0].contains("Permission denied"));
    assert!(refused[1].contains("cannot run ./server: Permission denied"), "{refused:?}");
    mode(&folder, 0o711);
    assert!(found("nobody", 0)[0].ends_with("/./server"));
    mode(&folder.join("server"), 0o700);
    assert!(found("nobody", 1)[0].contains("cannot run ./server: Permission denied"));
}

#[test]
fn what_is_in_force_is_told_with_where_it_came_from() {
    let place = Place::new();
    place.write_config("# nothing\nworkers = 3\n[worker]\nkill_timeout = \"2s\"\nmin_uptime = \"3s\"\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_atlas-cluster"));
    command
        .args(["check", "--effective", "--config"])
        .arg(place.config_file())
        .arg("--runtime-dir")
        .arg(place.runtime_dir());
    command
        .args(["--set", "worker.min_uptime=4s", "--balance", "spread"])
        .env("ATLAS_CLUSTER_STALE_AFTER", "1500ms");
    let text = run(command).expect_code(0).stdout;
    let file = place.config_file().display().to_string();
    for (line, origin) in [
        ("workers = 3", format!("{file}:2")),
        ("balance = \"spread\"", "--balance".into()),
        ("stale_after = \"1500ms\"", "ATLAS_CLUSTER_STALE_AFTER".into()),
        ("worker.kill_timeout = \"2s\"", format!("{file}:4")),
        ("worker.min_uptime = \"4s\"", "--set worker.min_uptime".into()),
        ("# worker.program is off", "default".into()),
    ] {
        let found = text.lines().find(|found| found.starts_with(line));
        assert!(found.is_some_and(|found| found.ends_with(&format!("  # {origin}"))), "{line} in {text}");
    }
    // What is printed is a configuration file that says the same.
    assert!(text.contains("\n# demo = false "), "{text}");
    let values = check(&place, &text, &["--effective", "--json"]).expect_code(0).json();
    let value = |key: &str| {
        let found =
            values["values"].as_array().and_then(|values| values.iter().find(|value| value["key"] == key));
        found.cloned().unwrap_or_default()
    };
    assert_eq!(value("worker.min_uptime")["value"], json!("4s"));
    assert_eq!(value("stale_after")["from"], json!("file"));
    assert_eq!(
        (&value("worker.cwd")["value"], &value("worker.cwd")["from"]),
        (&json!(null), &json!("default"))
    );
    check(&place, "workers = 0", &["--effective"])
        .expect_code(2)
        .expect_said(&["1 | workers = 0", "hint: allowed: "]);
}
