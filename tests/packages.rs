//! What packages are made of is complete, and what the program and the packages say of each other agrees.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Output, run};
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Where Cargo.toml looks for what scripts/package/stage.sh lays out.
const STAGE: &str = "target/package/";

/// Runs the binary.
fn cluster(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atlas-cluster"));
    command.args(arguments);
    run(command)
}

/// Everything that packages hold, laid out as the release does it.
fn staged() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Command::new(format!("{ROOT}/scripts/package/stage.sh"));
    stage.arg(env!("CARGO_BIN_EXE_atlas-cluster")).arg(folder.path().join("package"));
    run(stage).expect_code(0);
    folder
}

/// The files below `folder`, by their path there.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(&inner).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                let path: PathBuf = entry.path().strip_prefix(folder).expect("it is below").into();
                found.insert(path.to_str().expect("a path of letters").to_owned());
            }
        }
    }
    found
}

/// The commands that the help names.
fn verbs() -> Vec<String> {
    let help = cluster(&["--help"]).expect_code(0).stdout;
    let commands = help.split_once("\nCommands:\n").expect("a list of commands").1;
    let commands = commands.split("\n\n").next().unwrap_or_default();
    let names = commands.lines().filter_map(|line| {
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        (!name.is_empty() && name != "help").then(|| name.to_owned())
    });
    let names: Vec<String> = names.collect();
    assert!(names.len() > 20, "{names:?}");
    names
}

/// What the Debian package takes from where: its section of Cargo.toml.
fn debian() -> toml::Table {
    let text = fs::read_to_string(format!("{ROOT}/Cargo.toml")).expect("Cargo.toml");
    let manifest: toml::Table = text.parse().expect("TOML");
    manifest["package"]["metadata"]["deb"].as_table().expect("a table").clone()
}

#[test]
fn the_debian_package_takes_all_that_is_laid_out_and_nothing_that_is_not_there() {
    let stage = staged();
    let laid_out = files(&stage.path().join("package"));
    let mut left: BTreeSet<&String> = laid_out.iter().collect();
    for asset in debian()["assets"].as_array().expect("assets") {
        let source = asset[0].as_str().expect("a path");
        let Some(source) = source.strip_prefix(STAGE) else {
            assert!(Path::new(ROOT).join(source).is_file(), "{source} is missing");
            continue;
        };
        let folder = source.trim_end_matches('*').trim_end_matches("**/");
        let taken = |path: &str| path == source || (folder != source && path.starts_with(folder));
        assert!(laid_out.iter().any(|path| taken(path)), "{source} is not laid out: {laid_out:#?}");
        left.retain(|path| !taken(path));
    }
    assert!(left.is_empty(), "no package has {left:?}");
}

#[test]
fn there_is_a_page_for_every_command_and_every_shell_completes_them() {
    let stage = staged();
    let laid_out = files(&stage.path().join("package"));
    let pages = laid_out.iter().filter_map(|path| path.strip_prefix("share/man/man1/")).count();
    let verbs = verbs();
    assert_eq!(pages, verbs.len() + 1, "{laid_out:#?}");
    let scripts = [
        "share/bash-completion/completions/atlas-cluster",
        "share/zsh/site-functions/_atlas-cluster",
        "share/fish/vendor_completions.d/atlas-cluster.fish",
    ];
    let scripts = scripts.map(|path| {
        fs::read_to_string(stage.path().join("package").join(path)).expect("a completion script")
    });
    for verb in &verbs {
        assert!(laid_out.contains(&format!("share/man/man1/atlas-cluster-{verb}.1.gz")), "{verb}");
        assert!(scripts.iter().all(|script| script.contains(verb.as_str())), "{verb}");
    }
    let bash = stage.path().join("package/share/bash-completion/completions/atlas-cluster");
    let mut complete = Command::new("bash");
    complete.args(["-c", "source \"$1\" && complete -p atlas-cluster", "bash"]).arg(bash);
    assert!(run(complete).expect_code(0).stdout.contains("atlas-cluster"));
}

#[test]
fn unit_user_configuration_and_scripts_speak_of_the_same() {
    let unit = cluster(&["startup", "--packaged"]).expect_code(0).stdout;
    let user = unit.lines().find_map(|line| line.strip_prefix("User=")).expect("a user");
    let text = |name: &str| fs::read_to_string(format!("{ROOT}/scripts/package/{name}")).expect("a file");
    assert!(text("sysusers.conf").contains(&format!("\nu {user} - ")), "sysusers.conf");
    assert!(text("postinst").contains(&format!(" {user}\n")), "postinst");
    let debian = debian();
    let file = debian["conf-files"][0].as_str().expect("a path");
    assert!(unit.contains(&format!(" --config {file}\n")), "{file}: {unit}");
    let place = debian["assets"].as_array().expect("assets").iter().find_map(|asset| {
        (asset[0].as_str() == Some("scripts/package/atlas-cluster.toml")).then(|| asset[1].as_str())?
    });
    assert_eq!(place, file.strip_prefix('/').and_then(|file| file.strip_suffix("atlas-cluster.toml")));
    for script in ["postinst", "prerm", "postrm", "stage.sh"] {
        let mut check = Command::new("sh");
        check.arg("-n").arg(format!("{ROOT}/scripts/package/{script}"));
        run(check).expect_code(0);
    }
}
