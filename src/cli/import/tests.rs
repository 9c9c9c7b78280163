//! Ecosystem files in, configurations that can be loaded and exact notes out.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::apps::Wrong;
use super::translate::{Imported, Wanted, translate};
use super::{export, read};
use crate::config::{Config, Overrides, load};

fn try_import(ecosystem: &Value, app: Option<&str>, env: Option<&str>) -> Result<Imported, Wrong> {
    let folder = Path::new("/srv/app");
    translate(ecosystem, &Wanted { app, env, folder, file: Path::new("../eco.json") })
}

#[track_caller]
fn imported(ecosystem: &Value) -> Imported {
    try_import(ecosystem, None, None).unwrap()
}

fn env(config: &Config) -> Vec<String> {
    config.worker.env.iter().map(|(name, value)| format!("{name}={value}")).collect()
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
        "name": "meters", "script": "server.js", "args": "--port 3131 --name 'two words'", "nodeArgs": ["--max-old-space-size=200"],
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
    assert_eq!(env(&config), ["NODE_ENV=production", "ON=true", "PORT=8080"]);
    assert_eq!(worker.kill_signal, "SIGINT", "PM2's own");
    assert!(imported.toml.starts_with("# meters, imported from PM2's ../eco.json.\n"), "{}", imported.toml);
    let [descriptor, tcp] = &imported.notes[..] else { panic!("{:#?}", imported.notes) };
    assert!(
        descriptor.contains("its socket is descriptor 3") && tcp.contains("one TCP port"),
        "what is to be done"
    );
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
             "instances": -1, "kill_timeout": 0, "log": "x", "shutdownWithMessage": true, "pmx": true, "vizion": false, "namespace": "default", "treekill": false, "colour": "blue", "increment_var": "PORT"},
            {"name": "b", "script": "b.js"}
        ],
        "deploy": {"production": {}}
    }));
    let config = loaded(&imported);
    let delays = (config.worker.exp_backoff_restart_delay, config.worker.exp_backoff_max_delay);
    assert_eq!(delays, (Duration::from_secs(4), Duration::from_secs(4)), "the same each time");
    for beginning in [
        "watch = [\"src\"]: for development",
        "cron_restart = \"0 3 * * *\": a systemd timer",
        "autorestart = false: a process that ends",
        "wait_ready = true: process.send",
        "out_file = \"/var/log/a\": all output goes",
        "uid = -1: `user` takes a name or a number",
        "stop_exit_codes = [0,300]: exit codes are numbers",
        "env_staging: a configuration of its own: `import --env staging`",
        "log = \"x\": all output",
        "instances = -1: `workers = \"max\"` is written",
        "kill_timeout = 0: `kill_timeout` takes a duration from 10ms to 1h",
        "treekill = false: what is left",
        "shutdownWithMessage = true: a worker is told",
        "colour = \"blue\": not known",
        "increment_var = \"PORT\": give the first",
        "app `b`: a cluster of its own: `import --app b`",
        "deploy: use your own",
    ] {
        let found = imported
            .notes
            .iter()
            .filter(|note| note.starts_with(&format!("not imported: {beginning}")))
            .count();
        assert_eq!(found, 1, "{beginning:?} in {:#?}", imported.notes);
    }
    let part =
        imported.notes.iter().filter(|note| note.starts_with("imported in part: restart_delay = 4000: "));
    assert_eq!((imported.notes.len(), part.count()), (17 + 2, 1), "{:#?}", imported.notes);
}

#[test]
fn every_value_can_be_loaded_or_is_told() {
    for (key, value, note) in [
        ("max_memory_restart", json!("1.5G"), "`max_memory_restart` takes a size of at least 1M"),
        ("max_memory_restart", json!("512K"), "`max_memory_restart` takes a size"),
        ("max_memory_restart", json!(1000), "`max_memory_restart` takes a size"),
        ("max_memory_restart", json!(true), "`max_memory_restart` takes a size"),
        ("args", json!({"port": 1}), "it must be a text or a list"),
        ("node_args", json!(true), "it must be a text or a list"),
        ("cwd", json!(7), "it must be a text"),
        ("interpreter", json!(7), "it must be a text"),
        ("increment_var", json!(7), "it must be a text"),
        ("env", json!(["PORT=1"]), "it must be an object"),
        ("env", json!("PORT=1"), "it must be an object"),
        ("instances", json!(65), "64 are written"),
        ("instances", json!("many"), "`workers` takes a number from 1 to 64"),
        ("max_restarts", json!(0), "PM2 never restarts then"),
        ("max_restarts", json!("often"), "`max_restarts` takes a whole number"),
        ("listen_timeout", json!("soon"), "`listen_timeout` takes a duration"),
        ("min_uptime", json!("2h"), "`min_uptime` takes a duration from 0s to 1h"),
        ("port", json!("http"), "a port is a number"),
        ("gid", json!([]), "`group` takes a name or a number"),
        ("exec_mode", json!("clustre"), "PM2 has `fork` and `cluster`"),
        ("interpreter", json!("node@18"), "`node` is written"),
        ("windowsHide", json!("x"), "not known"),
    ] {
        let mut app = json!({"script": "a.js"});
        app[key] = value.clone();
        let imported = imported(&app);
        loaded(&imported);
        let told = format!("not imported: {key} = {value}: {note}");
        let told = imported.notes.iter().any(|note| note.starts_with(&told));
        assert!(told && imported.notes.len() == 2, "{key} = {value}: {:#?}", imported.notes);
    }
    let imported_env = imported(&json!({"script": "a.js", "env": {"A=": "1", "B": "\0", "C": "c"}}));
    assert_eq!(env(&loaded(&imported_env)), ["C=c"], "{:#?}", imported_env.notes);
    assert_eq!(imported_env.notes.len(), 3);
    let config = loaded(&imported(&json!({"script": "a.js", "max_memory_restart": "300m", "args": 7})));
    assert_eq!(config.worker.max_memory_restart, Some(300 << 20));
    assert_eq!(words(&config), ["node", "a.js", "7"]);
    for alias in ["exec", "cmd", "command"] {
        let imported = imported(&json!({"script": null, alias: "a.py"}));
        assert_eq!(
            (words(&loaded(&imported)), imported.notes.len()),
            (vec!["python3", "a.py"], 1),
            "{alias}"
        );
    }
    let imported = imported(&json!({"script": "a.js", "user": null, "uid": "somebody"}));
    assert!(imported.toml.contains("\nuser = \"somebody\"\n"), "who is named: {}", imported.toml);
}

#[test]
fn one_of_several_is_chosen_by_its_name_and_nonsense_is_refused() {
    let two = json!({"apps": [{"name": "a", "script": "a.js"}, {"name": "b", "script": "b.js"}]});
    let second = try_import(&two, Some("b"), None).unwrap();
    assert!(
        second.toml.starts_with("# b, imported from PM2's ../eco.json.\n") && second.toml.contains("b.js"),
        "{}",
        second.toml
    );
    for (ecosystem, app, why) in [
        (&two, Some("c"), "there is no app `c`; there are: a, b"),
        (&json!({"apps": []}), None, "there is no app in it"),
        (&json!(7), None, "there is no app in it"),
        (&json!({"apps": [{"name": "a"}]}), None, "app `a` has no `script`"),
        (&json!([{"script": ["a.js"]}]), None, "script = [\"a.js\"]: it must be a text"),
        (&json!({"apps": {}}), None, "app `1` has no `script`"),
    ] {
        let wrong = try_import(ecosystem, app, None).unwrap_err();
        assert!(wrong.why == why && !wrong.hint.is_empty(), "{wrong:?}");
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
    let folder = folder.path();
    let promised = "module.exports = async () => ({ apps: [{ script: 'a.js' }] })";
    assert_eq!(file("f.config.cjs", promised).unwrap(), expected, "a function, a promise");
    assert_eq!(
        file("comments.json", "\u{feff}{\"apps\": [ // one\n {\"script\": \"a.js\",},]}").unwrap(),
        expected
    );
    // Its child prints to where the answer is read from, and lives on until the folder is gone.
    let noisy = "process.stdout.write('x'); const child = require('child_process');\
                 child.execSync('echo y', {stdio: 'inherit'});\
                 child.spawn('sh', ['-c', 'while [ -e \"$0\" ]; do sleep 0.1; done', __filename], {stdio: 'inherit'}).unref();\
                 console.log('z'); module.exports = { apps: [{ script: 'a.js' }] }";
    let began = std::time::Instant::now();
    assert_eq!(file("noisy.js", noisy).unwrap(), expected);
    assert!(began.elapsed() < Duration::from_secs(25), "what it leaves behind is not waited for");
    for (name, text, why) in [
        (
            "b.json",
            "{apps: 1}",
            "cannot import FILE: it is not JSON: key must be a string at line 1 column 2",
        ),
        ("b.yaml", "apps: []", "cannot import FILE: YAML is not read"),
        ("b.js", "\nthrow new Error('no\\nsuch')", "cannot import FILE: line 2: no"),
        ("c.js", "throw 'plain'", "cannot import FILE: it throws plain"),
        ("d.js", "module.exports = {\n a: 1\n b: 2 }", "cannot import FILE: line 3: SyntaxError: "),
        ("e.mjs", "export default {\n a: ] }", "cannot import FILE: line 2: SyntaxError: "),
        ("f.js", "let a;\nlet b = a.c;", "cannot import FILE: line 2: TypeError: "),
        (
            "g.js",
            "require('no-such-package')",
            "cannot import FILE: line 1: Cannot find module 'no-such-package'",
        ),
        ("h.js", "require('./b.js')", "FOLDER/b.js, line 2: no"),
        ("i.js", "process.exit(3)", "it ends (exit status: 3) before it has exported anything"),
        (
            "j.js",
            "setTimeout(() => { throw new Error('late') }, 1); module.exports = new Promise(() => 0)",
            "line 1: late",
        ),
        ("k.js", "module.exports = 'x'.repeat(2 << 20)", "it says more than 1 MiB"),
        ("l.js", &format!("//{}", "x".repeat(1 << 20)), "it is larger than 1 MiB"),
        ("m.json", &format!("{{}}{}", " ".repeat(1 << 20)), "it is larger than 1 MiB"),
    ] {
        let error = file(name, text).unwrap_err();
        let path = folder.join(name).display().to_string();
        let why = why.replace("FILE", &path).replace("FOLDER", &folder.display().to_string());
        let said = error.to_string();
        assert!(said.contains(&why) && !said.contains('\n') && error.hint().is_some(), "{name}: {said}");
    }
}

#[test]
fn what_is_no_file_or_hangs_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, why) in [("none.js", "No such file"), ("none.json", "No such file"), ("", "Is a directory")] {
        let error = read::ecosystem(&folder.join(name)).unwrap_err();
        assert!(error.exit() == 2 && error.to_string().contains(why), "{error}");
    }
    std::fs::write(folder.join("ecosystem.config.js"), "").unwrap();
    let hint = read::ecosystem(folder).unwrap_err().hint().unwrap();
    assert!(hint.contains("ecosystem.config.js`"), "{hint}");
    std::fs::write(folder.join("hangs.js"), "while (true);").unwrap();
    let error = export::exported(&folder.join("hangs.js"), Duration::from_millis(300)).unwrap_err();
    assert!(error.to_string().ends_with("it is not done after 300ms"), "{error}");
}

#[test]
fn an_environment_goes_over_the_usual_one() {
    let ecosystem = json!({
        "apps": [{"name": "a", "script": "a.py", "env": {"A": "1", "B": {"c": [2]}, "N": null}, "env_production": {"A": "2"},
                  "env_staging": {}, "append_env_to_name": true, "port": 80}],
        "deploy": {"production": {"env": {"A": "3", "D": "4"}}}
    });
    let production = try_import(&ecosystem, None, Some("production")).unwrap();
    let expected = ["A=2", "B={\"c\":[2]}", "D=4", "N=null", "PORT=80", "PYTHONUNBUFFERED=1"];
    assert_eq!(env(&loaded(&production)), expected);
    assert!(production.toml.starts_with("# a-production, "), "{}", production.toml);
    assert!(!production.notes.iter().any(|note| note.contains("env_production")), "{:#?}", production.notes);
    let usual = ["A=1", "B={\"c\":[2]}", "N=null", "PORT=80", "PYTHONUNBUFFERED=1"];
    assert_eq!(env(&loaded(&imported(&ecosystem))), usual);
    let wrong = try_import(&ecosystem, None, Some("prod")).unwrap_err();
    assert_eq!((&*wrong.why, &*wrong.hint), ("app `a` has no `env_prod`", "there are: production, staging"));
}

#[test]
fn what_is_run_is_what_pm2_runs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text"), "console.log(1)").unwrap();
    std::fs::write(folder.path().join("binary"), b"\x7fELF\0\0").unwrap();
    let cwd = folder.path().to_str().unwrap();
    for (app, program, notes) in [
        (json!({"script": "node a.js --x"}), &["bash", "-c", "node a.js --x"][..], 0),
        (json!({"script": "node a.js", "args": "x", "interpreter": "y"}), &["bash", "-c", "node a.js"], 2),
        (json!({"script": "a", "interpreter": "none", "node_args": "--x"}), &["a"], 1),
        (json!({"script": "text"}), &["node", "text"], 0),
        (json!({"script": "binary"}), &["./binary"], 0),
        (
            json!({"script": "a.js", "args": "--a=\"b c\" 'd e' '' f"}),
            &["node", "a.js", "--a=\"b c\"", "d e", "f"],
            0,
        ),
        (
            json!({"script": "a.js", "interpreter": "bun", "interpreter_args": "--x"}),
            &["bun", "--x", "a.js"],
            0,
        ),
        (json!({"script": "serve"}), &["serve"], 1),
        (json!({"script": "a.js", "exec": "b.js"}), &["node", "a.js"], 1),
        (json!({"script": "a.js", "instance_var": "I"}), &["node", "a.js"], 0),
        (
            json!({"script": "a.js", "instance_var": "I", "increment_var": "P", "env": {"P": 1}}),
            &["node", "a.js"],
            1,
        ),
    ] {
        let mut app = app;
        app["cwd"] = cwd.into();
        let imported = imported(&app);
        assert_eq!(
            (&words(&loaded(&imported))[..], imported.notes.len() - 1),
            (program, notes),
            "{:#?}",
            imported.notes
        );
    }
    let worker = loaded(&imported(&json!({"script": "a.js", "instance_var": "I"}))).worker;
    assert_eq!(worker.incremented(2), Some(("I", "2".into())), "the number of the worker");
}

#[test]
fn whatever_stands_beside_an_app_is_told() {
    let imported = imported(
        &json!({"pm2": [{"script": "dir/.a.js"}, "b.js", {"name": "c"}], "deploy": {}, "static": [], "x": 1}),
    );
    let told = imported.notes.join("\n");
    for part in
        ["app 2 = \"b.js\"", "app `c`", "deploy: use your own", "static: a web server", "x: not known"]
    {
        assert!(told.contains(&format!("not imported: {part}")), "{part}: {told}");
    }
    assert!(imported.toml.starts_with("# .a, "), "{}", imported.toml);
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
