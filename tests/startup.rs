//! `startup` prints units that systemd accepts.

use std::process::Command;

use harness::{Place, run};

const BINARY: &str = env!("CARGO_BIN_EXE_atlas-cluster");

fn startup(arguments: &[&str]) -> String {
    let mut startup = Command::new(BINARY);
    startup.arg("startup").args(arguments);
    run(startup).expect_code(0).stdout
}

/// systemd has nothing to say about the unit, and finds it well confined.
#[track_caller]
fn expect_accepted(unit: &str) {
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
    // 10 is a service without any confinement; what is left is the network, which it is for.
    let secure = analyze(&["security", "--offline=yes", "--threshold=25", "--no-pager"]);
    secure.expect_code(0);
}

#[test]
fn the_unit_of_this_host_is_accepted_and_well_confined() {
    let unit = startup(&[]);
    assert!(unit.contains(&format!("\nExecStart={BINARY} start")), "{unit}");
    expect_accepted(&unit);
}

#[test]
fn the_unit_of_the_package_is_accepted_and_well_confined() {
    let unit = startup(&["--packaged"]);
    let installed = "/usr/bin/atlas-cluster";
    assert_eq!(unit.matches(&format!("={installed} ")).count(), 2, "it starts and reloads: {unit}");
    // The package is not installed where it is tested.
    expect_accepted(&unit.replace(installed, BINARY));
}
