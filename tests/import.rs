//! Ecosystem files as PM2's users have them, through the real program: what comes out loads, and answers are written or
//! it is said why not.

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::{Output, free_port, run};

/// Runs the binary in a folder.
fn cluster(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atlas-cluster"));
    command.args(arguments).arg("--runtime-dir").arg(folder.join("run")).current_dir(folder);
    run(command)
}

/// Names and texts of files.
const FILES: &[(&str, &str)] = &[
    ("a.json", r#"{"apps": [{"name": "a", "script": "/bin/sh", "args": "-c 'sleep 1'", "instances": 2}]}"#),
    ("b.json", "{ // PM2 takes comments\n \"script\": \"/bin/sleep\", \"args\": [1], }"),
    (
        "c.config.js",
        "module.exports = { apps: [{ script: 'serve.sh', instances: 'max', exec_mode: 'cluster', watch: true,
           env: { 'A': 1, 'quote': '\"\\'\\n' }, env_production: { A: 2 }, max_memory_restart: '300M', error_file: 'x.log' }] }",
    ),
    (
        "d.config.mjs",
        "export default async () => ({ apps: { script: 'app.py', killTimeout: '3000', cwd: './sub', cron: '0 0 * * *' } })",
    ),
    (
        "e.config.cjs",
        "module.exports = [{ script: 'npm run start', instances: -1, min_uptime: '5s', restart_delay: 100,
           stop_exit_codes: [0], colour: 'blue' }, { script: 'other.js' }]",
    ),
    ("f.json", r#"[{"script": "app.js", "uid": 0, "gid": "0", "instances": 500, "kill_timeout": "x", "port": 1}]"#),
];

#[test]
fn what_comes_out_of_every_file_loads() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::create_dir(folder.join("sub")).expect("a folder");
    fs::write(folder.join("serve.sh"), "#!/bin/sh\nexec sleep 1\n").expect("a file");
    for (name, text) in FILES {
        fs::write(folder.join(name), text).expect("a file");
        let imported = cluster(folder, &["import", name]).expect_code(0);
        let heading = imported.stdout.lines().next().unwrap_or_default();
        assert!(heading.ends_with(&format!(", imported from PM2's {name}.")), "{heading}");
        assert!(imported.stderr.lines().all(|line| line.contains(": ")), "{}", imported.stderr);
        fs::write(folder.join("out.toml"), &imported.stdout).expect("a file");
        cluster(folder, &["check", "--config", "out.toml", "--effective"]).expect_code(0);
    }
    let imported = cluster(folder, &["import", "c.config.js", "--env", "production"]).expect_code(0);
    assert!(imported.stdout.contains("\nA = \"2\"\n"), "{}", imported.stdout);
    fs::write(folder.join("out.toml"), imported.stdout).expect("a file");
    let listen = format!("127.0.0.1:{}", free_port());
    let checked = ["check", "--config", "out.toml", "--listen", listen.as_str()];
    cluster(folder, &checked).expect_code(0);
}

#[test]
fn what_cannot_be_imported_is_one_line_and_a_hint() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::write(folder.join("a.config.js"), "module.exports = {}\n\nthrow new Error('out of order')")
        .expect("a file");
    for (file, why) in [
        ("a.config.js", "cannot import a.config.js: line 3: out of order"),
        ("none.json", "cannot read none.json: No such file or directory (os error 2)"),
        (".", "cannot read .: Is a directory (os error 21)"),
    ] {
        let said = cluster(folder, &["import", file]).stderr;
        let lines: Vec<_> = said.lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, format!("atlas-cluster: {why}").as_str()), "{said}");
        assert!(lines[1].starts_with("hint: "), "{said}");
    }
    let mut without = Command::new(env!("CARGO_BIN_EXE_atlas-cluster"));
    without.args(["import", "a.config.js"]).env("PATH", folder).current_dir(folder);
    let said = run(without).expect_code(1).stderr;
    assert!(said.contains("a.config.js: there is no `node` on the PATH to run it\nhint: "), "{said}");
}

#[test]
fn an_answer_that_cannot_be_written_is_told_without_talk_of_a_cluster() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::write(folder.join("a.json"), r#"{"script": "a.js"}"#).expect("a file");
    let binary = env!("CARGO_BIN_EXE_atlas-cluster");
    for line in
        ["man", "man list", "completions zsh", "version", "--help", "import a.json", "startup --packaged"]
    {
        let shell = |script: &str| {
            let mut command = Command::new("bash");
            command.args(["-c", script, "bash", binary]).args(line.split(' ')).current_dir(folder);
            run(command)
        };
        let full = shell("exec \"$@\" > /dev/full").expect_code(1);
        let why = "atlas-cluster: cannot write to standard output: No space left on device (os error 28)\n";
        assert_eq!(full.stderr, why, "{line}");
        let gone = shell("exec 3> >(:); wait $!; exec \"$@\" >&3").expect_code(0);
        let notes = gone.stderr.lines().filter(|line| line.starts_with("to do: ")).count();
        assert_eq!(notes, usize::from(line.starts_with("import")), "{line}: {}", gone.stderr);
        assert_eq!(gone.stderr.lines().count(), notes, "{line}: whoever reads has had enough");
    }
}

#[test]
fn whoever_stops_reading_takes_nothing_from_the_verdict() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("bad.toml"), "workers = 0\n").expect("a file");
    let mut check = Command::new("bash");
    check.args(["-c", "exec 3> >(:); wait $!; exec \"$@\" >&3", "bash", env!("CARGO_BIN_EXE_atlas-cluster")]);
    check.args(["check", "--config", "bad.toml", "--runtime-dir", "run"]).current_dir(folder.path());
    assert_eq!(run(check).expect_code(2).stderr, "");
}
