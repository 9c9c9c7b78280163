//! The scripts of `completions`, in their shells: what is typed on a terminal with Tab becomes the command that is meant.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use harness::{python, run};
use tempfile::TempDir;

/// What is typed, and the words that the program then gets.
const LINES: &[(&str, &str)] = &[
    ("atlas-cluster des\t --js\t", "<describe><--json>"),
    ("atlas-cluster --log-level deb\t pin\t", "<--log-level><debug><ping>"),
    ("atlas-cluster --balance sp\t", "<--balance><spread>"),
    ("atlas-cluster start --balance sp\t", "<start><--balance><spread>"),
    ("atlas-cluster check --workers m\t", "<check><--workers><max>"),
    ("atlas-cluster completions zs\t", "<completions><zsh>"),
    ("atlas-cluster signal WIN\t", "<signal><WINCH>"),
    ("atlas-cluster wait --for st\t", "<wait><--for><stopped>"),
    ("atlas-cluster get bar X --format pc\t", "<get><bar><X><--format><pct>"),
    ("atlas-cluster simulate --model azmp8\t --fault lock\t", "<simulate><--model><azmp8><--fault><lockup>"),
    ("atlas-cluster man mon\t", "<man><monit>"),
    ("atlas-cluster --config my\t", "<--config><my conf.toml>"),
    ("atlas-cluster startup --config my\t", "<startup><--config><my conf.toml>"),
    ("atlas-cluster import eco\t", "<import><ecosystem.config.js>"),
    ("atlas-cluster simulate --replay my\t", "<simulate><--replay><my conf.toml>"),
    ("atlas-cluster ping --runtime-dir folde\t", "<ping><--runtime-dir><folder>"),
    ("atlas-cluster -- say-hell\t eco\t", "<--><say-hello><ecosystem.config.js>"),
    ("atlas-cluster start --share -- say-hell\t", "<start><--share><--><say-hello>"),
];

/// A folder with files to complete, and `bin/atlas-cluster`, which says what words it gets.
fn place(shell: &str, script: &str) -> TempDir {
    let place = tempfile::tempdir().expect("a folder");
    let at = |name: &str| place.path().join(name);
    for folder in ["bin", "files", "files/folder"] {
        fs::create_dir(at(folder)).expect("a folder");
    }
    for file in ["files/my conf.toml", "files/ecosystem.config.js"] {
        fs::write(at(file), "").expect("a file");
    }
    for program in ["bin/atlas-cluster", "bin/say-hello"] {
        fs::write(at(program), "#!/bin/sh\nfor word; do printf '<%s>' \"$word\"; done; echo '<end>'\n")
            .expect("a file");
        fs::set_permissions(at(program), fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_atlas-cluster"));
    command.args(["completions", shell]);
    fs::write(at(script), run(command).expect_code(0).stdout).expect("a file");
    place
}

/// # Panics
/// With the way out, where the shell is missing.
#[track_caller]
fn expect_there(shell: &str) {
    let there = Command::new(shell).arg("--version").output().is_ok();
    assert!(there, "{shell} is missing: its completions are tried in it (apt-get install {shell})");
}

/// Types the lines, and compares what comes out.
#[track_caller]
fn expect(place: &TempDir, shell: &[&str], lines: &[(&str, &str)]) {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut types = Command::new(python());
    types.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/types.py")).arg(lines.len().to_string());
    types.args(lines.iter().map(|(line, _)| line)).args(shell);
    types.env("PATH", format!("{}:{path}", place.path().join("bin").display()));
    types.env("HOME", place.path()).env("ZDOTDIR", place.path()).env("TERM", "xterm");
    types.current_dir(place.path().join("files"));
    let shown = run(types).expect_code(0).stdout;
    // zsh takes back the slash behind a folder.
    let shown = shown.replace("/>", ">");
    let said: Vec<_> =
        shown.lines().filter_map(|line| line.split_once("<end>")).map(|(said, _)| said).collect();
    assert_eq!(said.len(), lines.len(), "{shown}");
    for ((line, expected), said) in lines.iter().zip(said) {
        assert!(said.ends_with(expected), "{line:?}: {said:?}, not {expected:?}\n{shown}");
    }
}

#[test]
fn bash_completes_words_values_and_files() {
    let place = place("bash", "script");
    fs::write(
        place.path().join("rc"),
        "source ~/script\nbind 'set enable-bracketed-paste off'\nPS1='ready> '\n",
    )
    .expect("a file");
    let more = [
        ("atlas-cluster wait --for=st\t", "<wait><--for=stopped>"),
        ("atlas-cluster --config=my\t", "<--config=my conf.toml>"),
    ];
    let lines = [LINES, &more].concat();
    let rc = place.path().join("rc");
    expect(&place, &["bash", "--noprofile", "--rcfile", rc.to_str().expect("a path"), "-i"], &lines);
}

#[test]
fn zsh_completes_words_values_and_files() {
    expect_there("zsh");
    let place = place("zsh", "_atlas-cluster");
    let rc = "fpath=(~ $fpath)\nautoload -U compinit\ncompinit -u -D\nunsetopt prompt_sp\nPROMPT='ready> '\n";
    fs::write(place.path().join(".zshrc"), rc).expect("a file");
    let more = [("atlas-cluster wait --for=st\t", "<wait><--for=stopped>")];
    expect(&place, &["zsh", "-d", "-i"], &[LINES, &more].concat());
}

#[test]
fn fish_completes_words_values_and_files() {
    expect_there("fish");
    let place = place("fish", "script");
    let prompt = "source ~/script; function fish_prompt; echo 'ready> '; end";
    expect(&place, &["fish", "--no-config", "-i", "-C", prompt], LINES);
}
