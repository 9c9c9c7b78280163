//! Which file is read, and what cannot be read at all.

use super::super::file::{find, read};
use super::super::{Origin, Overrides, load};
use super::{good, loaded};
use nix::sys::stat::Mode;
use std::fs;
use std::path::Path;

#[test]
fn the_named_file_wins_then_the_usual_ones_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let usual = [path("first"), path("second")].map(|path| path.display().to_string());
    let usual = usual.each_ref().map(String::as_str);

    assert_eq!(find(None, &usual).unwrap(), None);
    fs::write(path("second"), "").unwrap();
    assert_eq!(find(None, &usual).unwrap(), Some(path("second")));
    fs::write(path("first"), "").unwrap();
    assert_eq!(find(None, &usual).unwrap(), Some(path("first")));
    assert_eq!(find(Some(&path("named")), &usual).unwrap(), Some(path("named")));
}

#[test]
fn a_relative_path_becomes_absolute() {
    let found = find(Some(Path::new("x.toml")), &[]).unwrap().unwrap();
    assert_eq!(found, std::env::current_dir().unwrap().join("x.toml"));
}

#[test]
fn a_named_file_must_exist() {
    let error = load(&Overrides::default(), Some(Path::new("/nonexistent/a.toml"))).unwrap_err();
    assert_eq!(
        error.render(),
        "atlas-cluster: cannot read configuration /nonexistent/a.toml: No such file or directory (os error 2)\n\
         hint: name a readable file with --config; without it ./atlas-cluster.toml and then \
         /etc/atlas-cluster/atlas-cluster.toml are taken if they exist\n"
    );
}

#[test]
fn pipes_devices_and_directories_are_refused_without_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    for path in [&pipe, Path::new("/dev/zero"), directory.path()] {
        let error = read(path).unwrap_err().to_string();
        assert_eq!(error, format!("cannot read configuration {}: it is not a regular file", path.display()));
    }
}

#[test]
fn a_file_has_a_largest_size() {
    let comment = |size: usize| "#".repeat(size);
    good(&comment(1 << 20));
    let error = loaded(comment((1 << 20) + 1)).unwrap_err();
    assert_eq!(
        error,
        "atlas-cluster: cannot read configuration FILE: it is larger than 1 MiB\n\
         hint: a configuration is a regular file of at most 1 MiB, in UTF-8\n"
    );
}

#[test]
fn a_file_is_utf8_with_or_without_a_mark() {
    assert_eq!(good("\u{feff}workers = 3").config.workers, 3);
    let error = loaded("\u{feff}workers = 0").unwrap_err();
    assert!(error.contains("FILE:1:11: workers: `0` is out of range\n  |\n1 | workers = 0\n"), "{error}");
    let error = loaded(b"# fine\n\xff").unwrap_err();
    assert!(
        error.starts_with("atlas-cluster: cannot read configuration FILE: line 2 is not UTF-8\n"),
        "{error}"
    );
}

#[test]
fn each_key_of_a_file_knows_its_line() {
    let loaded =
        good("# first\nworkers = 3\n[worker]\n\nwatchdog = '1s'\n[[processor]]\nname='a'\naddress='::1'");
    let line = |key: &str| match &loaded.origins[key] {
        Origin::File { line, .. } => Some(*line),
        _ => None,
    };
    assert_eq!(line("workers"), Some(2));
    assert_eq!(line("worker.watchdog"), Some(5));
    assert_eq!(line("processor"), Some(6));
    assert_eq!(line("listen"), None);
}
