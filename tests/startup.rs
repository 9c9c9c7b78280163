//! `startup` prints a unit that systemd accepts.

use std::process::Command;

use harness::{Place, run};

#[test]
fn systemd_accepts_the_unit_and_finds_it_well_confined() {
    let place = Place::new();
    let mut startup = Command::new(env!("CARGO_BIN_EXE_atlas-cluster"));
    startup.arg("startup");
    let unit = run(startup).expect_code(0).stdout;
    let binary = env!("CARGO_BIN_EXE_atlas-cluster");
    assert!(unit.contains(&format!("\nExecStart={binary} start")), "{unit}");
    let file = place.folder().join("atlas-cluster.service");
    std::fs::write(&file, &unit).expect("a file");
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
