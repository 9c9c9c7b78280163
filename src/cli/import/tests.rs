//! Ecosystem files in, configurations that can be loaded and exact notes out.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::read;
use super::translate::{Imported, translate};
use crate::config::{Config, Overrides, load};

#[track_caller]
fn imported(ecosystem: &Value) -> Imported {
    translate(ecosystem, None, Path::new("/srv/app")).unwrap()
}

/// What our own reader makes of the outcome.
#[track_caller]
fn loaded(imported: &Imported) -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &imported.toml).unwrap();
    match load(&Overrides::default(), Some(file.path())) {
        Ok(loaded) => loaded.config,
        Err(error) => panic!("{}\n{}", error.render(), imported.toml),
    }
}

fn words(config: &Config) -> Vec<&str> {
    let program = config.worker.program.as_ref().expect("a program");
    std::iter::once(&program.name).chain(&program.arguments).map(String::as_str).collect()
}

#[test]
fn a_typical_app_becomes_a_configuration_that_does_the_same() {
    let imported = imported(&json!({"apps": [{
        "name": "meters", "script": "server.js", "args": "--port 3131 --name 'two words'", "node_args": ["--max-old-space-size=200"],
        "instances": 4, "exec_mode": "cluster", "env": {"NODE_ENV": "production", "PORT": 8080, "ON": true},
        "listen_timeout": 8000, "kill_timeout": "3s", "min_uptime": "5000", "max_restarts": 10,
        "exp_backoff_restart_delay": 100, "max_memory_restart": "300M", "watch": false, "autorestart": true
    }]}));
    let config = loaded(&imported);
    assert_eq!(config.workers, 4);
    let expected = ["node", "--max-old-space-size=200", "server.js", "--port", "3131", "--name", "two words"];
    assert_eq!(words(&config), expected);
    let worker = &config.worker;
    assert_eq!((worker.cwd.as_deref(), worker.wait_ready), (Some(Path::new("/srv/app")), false));
    assert_eq!(
        (worker.listen_timeout, worker.kill_timeout),
        (Duration::from_secs(8), Duration::from_secs(3))
    );
    assert_eq!((worker.min_uptime, worker.max_restarts), (Duration::from_secs(5), 10));
    assert_eq!(worker.exp_backoff_restart_delay, Duration::from_millis(100));
    assert_eq!(worker.max_memory_restart, Some(300 << 20));
    let env: Vec<_> = worker.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["NODE_ENV=production", "ON=true", "PORT=8080"]);
    assert_eq!(imported.notes.len(), 2, "what every import has to do: {:#?}", imported.notes);
}

#[test]
fn what_pm2_does_by_default_is_what_comes_out() {
    for (app, program, workers) in [
        (json!({"script": "a.py"}), vec!["python3", "a.py"], 1),
        (json!([{"script": "./serve", "instances": "3"}]), vec!["./serve"], 3),
        (
            json!({"apps": {"script": "serve", "interpreter": "none", "args": ["a b", 7]}}),
            vec!["serve", "a b", "7"],
            1,
        ),
        (json!({"script": "a.txt", "exec_interpreter": "cat"}), vec!["cat", "a.txt"], 1),
    ] {
        let config = loaded(&imported(&app));
        assert_eq!((words(&config), config.workers), (program, workers), "{app}");
        assert_eq!(config.worker.max_restarts, 16, "PM2's own");
    }
    for instances in [json!("max"), json!(0)] {
        let imported = imported(&json!({"script": "a.js", "instances": instances, "cwd": "../other"}));
        assert!(
            imported.toml.contains("workers = \"max\"\n")
                && imported.toml.contains("cwd = \"/srv/app/../other\"\n")
        );
    }
}

#[test]
fn what_has_no_counterpart_is_told_with_what_to_use() {
    let imported = imported(&json!({
        "apps": [
            {"name": "a", "script": "a.js", "watch": ["src"], "cron_restart": "0 3 * * *", "autorestart": false, "wait_ready": true,
             "out_file": "/var/log/a", "uid": -1, "stop_exit_codes": [0, 300], "env": {"X": [1]}, "env_staging": {"A": "b"}, "restart_delay": 4000,
             "instances": -1, "kill_timeout": 0, "treekill": false, "colour": "blue", "increment_var": "PORT"},
            {"name": "b", "script": "b.js"}
        ],
        "deploy": {"production": {}}
    }));
    let config = loaded(&imported);
    let delays = (config.worker.exp_backoff_restart_delay, config.worker.exp_backoff_max_delay);
    assert_eq!(delays, (Duration::from_secs(4), Duration::from_secs(4)), "the same each time");
    for beginning in [
        "watch: for development",
        "cron_restart: a systemd timer",
        "autorestart: whoever ends",
        "wait_ready: process.send",
        "out_file: all output goes",
        "user: `user` is a name or a number",
        "stop_exit_codes: exit codes are numbers",
        "env.X: a variable is text",
        "env_staging: a configuration for each",
        "restart_delay: it holds after unstable",
        "instances = -1: `workers",
        "kill_timeout: `kill_timeout` is a duration",
        "treekill: what is left",
        "colour: not known",
        "increment_var: give the first",
        "app `b`: a cluster of its own",
        "deploy: your own",
    ] {
        let found = imported
            .notes
            .iter()
            .filter(|note| note.starts_with(&format!("not imported: {beginning}")))
            .count();
        assert_eq!(found, 1, "{beginning:?} in {:#?}", imported.notes);
    }
    assert_eq!(imported.notes.len(), 17 + 2, "{:#?}", imported.notes);
}

#[test]
fn every_value_can_be_loaded_or_is_told() {
    for (key, value, note) in [
        (
            "max_memory_restart",
            json!("1.5G"),
            "max_memory_restart: `max_memory_restart` takes a size of at least 1M",
        ),
        ("max_memory_restart", json!("512K"), "max_memory_restart: `max_memory_restart` takes a size"),
        ("max_memory_restart", json!(1000), "max_memory_restart: `max_memory_restart` takes a size"),
        ("max_memory_restart", json!(true), "max_memory_restart: a size"),
        ("args", json!({"port": 1}), "args: it must be a text or a list"),
        ("node_args", json!(true), "interpreter_args: it must be a text or a list"),
        ("cwd", json!(7), "cwd: it must be a text"),
        ("interpreter", json!(7), "interpreter: it must be a text"),
        ("increment_var", json!(7), "increment_var: it must be a text"),
        ("env", json!(["PORT=1"]), "env: it must be an object"),
        ("env", json!("PORT=1"), "env: it must be an object"),
        ("env", json!({"A": "\0"}), "env: `env` takes a table of strings"),
    ] {
        let mut app = json!({"script": "a.js"});
        app[key] = value.clone();
        let imported = imported(&app);
        loaded(&imported);
        let told = imported.notes.iter().any(|told| told.starts_with(&format!("not imported: {note}")));
        assert!(told && imported.notes.len() == 3, "{key} = {value}: {:#?}", imported.notes);
    }
    let config = loaded(&imported(&json!({"script": "a.js", "max_memory_restart": "300m", "args": 7})));
    assert_eq!(config.worker.max_memory_restart, Some(300 << 20));
    assert_eq!(words(&config), ["node", "a.js", "7"]);
    for alias in ["exec", "cmd", "command"] {
        let imported = imported(&json!({"script": null, alias: "a.py"}));
        assert_eq!(
            (words(&loaded(&imported)), imported.notes.len()),
            (vec!["python3", "a.py"], 2),
            "{alias}"
        );
    }
    let imported = imported(&json!({"script": "a.js", "user": null, "uid": "somebody"}));
    assert!(imported.toml.contains("\nuser = \"somebody\"\n"), "who is named: {}", imported.toml);
}

#[test]
fn one_of_several_is_chosen_by_its_name_and_nonsense_is_refused() {
    let two = json!({"apps": [{"name": "a", "script": "a.js"}, {"name": "b", "script": "b.js"}]});
    let folder = Path::new("/srv");
    let second = translate(&two, Some("b"), folder).unwrap();
    assert!(
        second.toml.starts_with("# b, imported from PM2.\n") && second.toml.contains("b.js"),
        "{}",
        second.toml
    );
    for (ecosystem, app, why) in [
        (&two, Some("c"), "there is no app `c`; there are: a, b"),
        (&json!({"apps": []}), None, "there is no app in it"),
        (&json!(7), None, "there is no app in it"),
        (&json!({"apps": [{"name": "a"}]}), None, "the app has no `script`"),
    ] {
        assert_eq!(translate(ecosystem, app, folder).unwrap_err(), why);
    }
}

#[test]
fn javascript_is_asked_what_it_exports_and_json_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        read::ecosystem(&folder.path().join(name))
    };
    let expected = json!({"apps": [{"script": "a.js"}]});
    for (name, text) in [
        ("a.json", r#"{"apps": [{"script": "a.js"}]}"#),
        (
            "a.config.js",
            "console.log('hello'); module.exports = { apps: [{ script: ['a', 'js'].join('.') }] }",
        ),
        (
            "a.mjs",
            "export default { apps: [{ script: 'a.js', after: undefined }] }; setInterval(() => 0, 1000)",
        ),
    ] {
        assert_eq!(file(name, text).unwrap(), expected, "{name}");
    }
    for (name, text, why) in [
        ("b.json", "// a comment\n{}", "is no JSON: "),
        ("b.js", "throw new Error('no')", "it says nothing that is JSON"),
        ("b.yaml", "apps: []", "YAML is not read"),
    ] {
        let error = file(name, text).unwrap_err();
        assert!(error.to_string().contains(why) && error.hint().is_some(), "{error}");
    }
    assert_eq!(read::ecosystem(&folder.path().join("none.js")).unwrap_err().exit(), 2);
}

#[test]
fn as_whom_a_program_runs_and_when_it_is_done_is_taken_over() {
    let uid = nix::unistd::geteuid().as_raw();
    let imported = imported(&json!({
        "script": "a.js", "uid": uid, "stop_exit_codes": 0, "increment_var": "PORT", "env": {"PORT": 3000}
    }));
    let worker = loaded(&imported).worker;
    assert_eq!(worker.user.as_ref().map(|user| user.uid), Some(uid));
    assert_eq!(
        (worker.stop_exit_codes.as_slice(), worker.incremented(2)),
        (&[0][..], Some(("PORT", "3002".into())))
    );
}
