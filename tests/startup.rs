//! `startup` prints units that systemd accepts, and under which their configurations run.

use std::process::Command;

use harness::{Output, Place, cluster, need_root, run};

const BINARY: &str = env!("CARGO_BIN_EXE_atlas-cluster");

/// `startup` in a folder where no configuration lies.
fn startup(place: &Place, arguments: &[&str]) -> Output {
    let mut startup = Command::new(BINARY);
    startup.arg("startup").args(arguments).current_dir(place.folder());
    run(startup)
}

/// `startup --config` with that configuration.
fn startup_of(place: &Place, config: &str) -> Output {
    place.write_config(config);
    startup(place, &["--config", place.config_file().to_str().expect("a path")])
}

/// The value of a setting that stands there once.
#[track_caller]
fn value<'a>(unit: &'a str, setting: &str) -> &'a str {
    let values: Vec<&str> =
        unit.lines().filter_map(|line| line.strip_prefix(setting)?.strip_prefix('=')).collect();
    assert_eq!(values.len(), 1, "{setting}: {unit}");
    values[0]
}

/// systemd has nothing to say about the unit, and finds it this well confined: 100 is a service without any confinement;
/// what is left is the network, which it is for.
#[track_caller]
fn expect_accepted(unit: &str, exposure: u32) {
    let place = Place::new();
    let file = place.folder().join("atlas-cluster.service");
    std::fs::write(&file, unit).expect("a file");
    let analyze = |arguments: &[&str]| {
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(arguments).arg(&file).env("SYSTEMD_LOG_LEVEL", "warning");
        let found = Command::new("systemd-analyze").arg("--version").output();
        assert!(found.is_ok(), "systemd-analyze is missing: apt-get install systemd");
        run(analyze)
    };
    let verified = analyze(&["verify", "--man=no"]).expect_code(0);
    let about_ours: Vec<&str> =
        verified.stderr.lines().filter(|line| line.contains("atlas-cluster")).collect();
    assert!(about_ours.is_empty(), "{about_ours:#?}\n{unit}");
    let threshold = format!("--threshold={exposure}");
    analyze(&["security", "--offline=yes", &threshold, "--no-pager"]).expect_code(0);
}

#[test]
fn the_unit_of_this_host_is_accepted_and_well_confined() {
    let unit = startup(&Place::new(), &[]).expect_code(0).stdout;
    assert!(value(&unit, "ExecStart").starts_with(&format!("{BINARY} start")), "{unit}");
    expect_accepted(&unit, 25);
}

#[test]
fn the_unit_of_the_package_is_accepted_and_well_confined() {
    let unit = startup(&Place::new(), &["--packaged"]).expect_code(0).stdout;
    let installed = "/usr/bin/atlas-cluster";
    assert_eq!(unit.matches(&format!("={installed} ")).count(), 2, "it starts and reloads: {unit}");
    // The package is not installed where it is tested.
    expect_accepted(&unit.replace(installed, BINARY), 25);
}

#[test]
fn each_configuration_has_a_unit_that_is_accepted_and_names_it() {
    need_root();
    for (config, exposure) in [
        ("", 25),
        ("listen = [\"0.0.0.0:514\"]\n", 25),
        ("[log]\ndir = \"/var/log/some app/x\"\n", 25),
        ("[log]\ndir = \"/srv/100% logs\"\n", 25),
        ("[worker]\nprogram = [\"sh\"]\ncwd = \"/srv/my app\"\n", 25),
        ("[worker]\nuser = \"nobody\"\n", 35),
        ("[worker]\ngroup = 1\n", 25),
        (
            "[worker]\nnice = -5\nlimit_nofile = 65536\nlimit_memlock = \"128M\"\nlimit_core = \"1G\"\nlimit_nproc = 9\n",
            25,
        ),
    ] {
        let place = Place::new();
        let unit = startup_of(&place, config).expect_code(0).stdout;
        let start = format!("{BINARY} start --config {}", place.config_file().display());
        assert_eq!(value(&unit, "ExecStart"), start);
        expect_accepted(&unit, exposure);
    }
}

#[test]
fn without_a_name_it_is_the_file_that_a_start_here_would_find() {
    let place = Place::new();
    let file = place.folder().join("atlas-cluster.toml");
    std::fs::write(&file, "listen = [\"0.0.0.0:514\"]\n").expect("a file");
    let unit = startup(&place, &[]).expect_code(0).stdout;
    assert!(value(&unit, "ExecStart").ends_with(&format!(" --config {}", file.display())), "{unit}");
    assert_eq!(value(&unit, "CapabilityBoundingSet"), "CAP_NET_BIND_SERVICE");
}

#[test]
fn a_configuration_that_does_not_hold_has_no_unit() {
    let place = Place::new();
    let refused = startup_of(&place, "workers = 0\n").expect_code(2);
    assert_eq!(refused.stdout, "");
    refused.expect_said(&["cluster.toml:1:11: workers: `0` is out of range", "hint: allowed: "]);
    startup(&place, &["--config", "none.toml"]).expect_code(2).expect_said(&["none.toml", "hint: "]);
    let both = ["--packaged", "--config", "none.toml"];
    startup(&place, &both).expect_code(2).expect_said(&["`--packaged` is for any", "hint: "]);
}

#[test]
fn what_the_unit_cannot_see_to_is_said() {
    need_root();
    let place = Place::new();
    let said = startup_of(&place, "[worker]\nuser = \"nobody\"\n[log]\ndir = \"/srv/none of it\"\n");
    said.expect_code(0)
        .expect_said(&["log.dir /srv/none of it must exist and belong to root", "hint: install -d -o root"]);
    if place.folder().starts_with("/tmp") {
        startup_of(&place, "").expect_said(&["a /tmp and a /var/tmp of its own, and does not see"]);
    }
}

#[test]
fn root_with_no_more_rights_than_the_unit_gives_runs_workers_as_another_user() {
    need_root();
    let place = Place::new();
    let config = "[worker]\nuser = \"nobody\"\nmin_uptime = \"0s\"\n";
    let unit = startup_of(&place, config).expect_code(0).stdout;
    let rights: Vec<&str> = value(&unit, "CapabilityBoundingSet").split(' ').collect();
    assert_eq!(value(&unit, "User"), "root");
    let set = rights.iter().map(|right| format!(",+{}", right.trim_start_matches("CAP_").to_lowercase()));
    let set = format!("--bounding-set=-all{}", set.collect::<String>());
    let confined = ["setpriv", "--no-new-privs", "--inh-caps=-all", &set];
    let cluster = cluster!().place(&place).config(config).workers(2).wrapped_in(&confined).start();
    let status = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = |pid: i32, name: &str| {
        status(pid).lines().find_map(|line| line.strip_prefix(name)).expect("a line").trim().to_owned()
    };
    let held = u64::from_str_radix(&line(cluster.pid(), "CapEff:"), 16).expect("a set");
    assert_eq!(held.count_ones() as usize, rights.len(), "the supervisor has these and no other");
    let old = cluster.worker(0).pid.expect("a worker");
    assert_eq!(line(old, "Uid:"), "65534\t65534\t65534\t65534");
    cluster.command(["restart", "1"]).expect_code(0);
    cluster.kill_worker(0).expect_replaced_after("SIGKILL");
    cluster.command(["reload"]).expect_code(0);
    assert!(cluster.list().workers.iter().all(|worker| worker.memory_bytes.is_some()), "and sees them");
    cluster.command(["stop"]).expect_code(0);
    assert_eq!(cluster.wait_for_end(), 0);
}
