//! From PM2's names to ours: an ecosystem file in, a configuration and notes out.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::elsewhere::{ELSEWHERE, NOTHING};
use super::words::{by_extension, number, words_of};
use crate::config::Overrides;

/// PM2's names for what is run; the first that is there counts.
const SCRIPT: &[&str] = &["script", "exec", "cmd", "command"];

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Imported {
    /// The configuration.
    pub(super) toml: String,
    /// What has no counterpart, and what to use; one line each.
    pub(super) notes: Vec<String>,
}

/// One app as a configuration: the named one, else the first. `folder` is where the file lies.
pub(super) fn translate(ecosystem: &Value, app: Option<&str>, folder: &Path) -> Result<Imported, String> {
    let apps = apps(ecosystem)?;
    let name_of =
        |app: &Map<String, Value>| app.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let names: Vec<String> = apps.iter().map(|app| name_of(app)).collect();
    let chosen = match app {
        None => 0,
        Some(wanted) => names
            .iter()
            .position(|name| name == wanted)
            .ok_or_else(|| format!("there is no app `{wanted}`; there are: {}", names.join(", ")))?,
    };
    let mut import = Import { app: apps[chosen], top: Vec::new(), worker: Vec::new(), notes: Vec::new() };
    import.instances();
    import.program(folder)?;
    import.times();
    import.environment();
    import.process();
    import.rest();
    for (name, _) in names.iter().zip(&apps).enumerate().filter(|(at, _)| *at != chosen).map(|(_, app)| app) {
        import.note(
            &format!("app `{name}`"),
            "a cluster of its own: `import --app`, and another --runtime-dir",
        );
    }
    if ecosystem.get("deploy").is_some() {
        import.note("deploy", "your own: copy the files (git, rsync, Ansible), then `atlas-cluster reload`");
    }
    Ok(import.finish(&names[chosen]))
}

/// A list of apps, an app alone, or an object with either.
fn apps(ecosystem: &Value) -> Result<Vec<&Map<String, Value>>, String> {
    let list = ecosystem.get("apps").unwrap_or(ecosystem);
    let apps: Vec<_> = match list {
        Value::Array(apps) => apps.iter().filter_map(Value::as_object).collect(),
        Value::Object(app) => vec![app],
        _ => Vec::new(),
    };
    if apps.is_empty() { Err("there is no app in it".to_owned()) } else { Ok(apps) }
}

struct Import<'a> {
    app: &'a Map<String, Value>,
    top: Vec<String>,
    worker: Vec<String>,
    notes: Vec<String>,
}

impl Import<'_> {
    /// The first of these names that says something.
    fn get(&self, names: &[&str]) -> Option<&Value> {
        names.iter().find_map(|name| self.app.get(*name).filter(|value| !value.is_null()))
    }

    /// A text; what is none is told.
    fn text(&mut self, names: &[&str]) -> Option<String> {
        match self.get(names)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.note(names[0], "it must be a text");
                None
            }
        }
    }

    /// A list of words; what is none is told.
    fn words(&mut self, names: &[&str]) -> Vec<String> {
        let Some(value) = self.get(names) else { return Vec::new() };
        words_of(value).unwrap_or_else(|| {
            self.note(names[0], "it must be a text or a list of them");
            Vec::new()
        })
    }

    fn note(&mut self, what: &str, instead: &str) {
        self.notes.push(format!("not imported: {what}: {instead}"));
    }

    /// A key of ours by one of PM2's; a value that our own reader refuses is told.
    fn set(&mut self, theirs: &str, key: &str, value: impl Into<toml::Value>) {
        let line = format!("{key} = {}", value.into());
        let mut alone = Overrides::default();
        // Whether there is such a user, and whether one may become him, is the matter of the host that it runs on.
        let is_host_s = ["user", "group"].contains(&key);
        let read = if is_host_s {
            Ok(())
        } else {
            alone.set(&format!("worker.{line}")).and_then(|()| alone.check())
        };
        match read {
            Ok(()) => self.worker.push(line),
            Err(error) => {
                // Without the example, which is one for a shell.
                let allowed = error.hint().split("; for example").next().unwrap_or_default();
                let allowed = allowed.strip_prefix("allowed: ").unwrap_or(allowed);
                self.note(theirs, &format!("`{key}` takes {allowed}"));
            }
        }
    }

    /// `instances`: a number, `max` (0 too), or so many fewer than there are CPUs.
    fn instances(&mut self) {
        let number = match self.get(&["instances"]) {
            None => Some(1),
            Some(Value::String(text)) if text == "max" => Some(0),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_i64(),
        };
        match number {
            Some(0) => self.top.push("workers = \"max\"".to_owned()),
            Some(number @ 1..=64) => self.top.push(format!("workers = {number}")),
            Some(-1) => {
                self.top.push("workers = \"max\"".to_owned());
                self.note(
                    "instances = -1",
                    "`workers = \"max\"` is one for each CPU; write a number for fewer",
                );
            }
            _ => {
                self.top.push("workers = \"max\"".to_owned());
                self.note("instances", "`workers` is a number from 1 to 64, or \"max\"");
            }
        }
    }

    fn program(&mut self, folder: &Path) -> Result<(), String> {
        let script = self.text(SCRIPT).ok_or("the app has no `script`")?;
        let cwd = folder.join(self.text(&["cwd"]).unwrap_or_default());
        let interpreter = self.text(&["interpreter", "exec_interpreter"]);
        let interpreter = interpreter.unwrap_or_else(|| by_extension(&script).to_owned());
        let mut words = Vec::new();
        if interpreter == "none" {
            let beside = !script.contains('/') && cwd.join(&script).exists();
            words.push(if beside { format!("./{script}") } else { script });
        } else {
            words.push(interpreter);
            words.extend(self.words(&["interpreter_args", "node_args"]));
            words.push(script);
        }
        words.extend(self.words(&["args"]));
        self.set("script", "program", words);
        let cwd = cwd.components().collect::<std::path::PathBuf>();
        self.set("cwd", "cwd", cwd.display().to_string());
        // Whoever was run by PM2 does not say READY=1.
        self.set("wait_ready", "wait_ready", false);
        if self.get(&["wait_ready"]) == Some(&Value::Bool(true)) {
            self.note(
                "wait_ready",
                "process.send('ready') is not heard: a program says READY=1 to NOTIFY_SOCKET; until it does, a worker is \
                 online once it has lived for min_uptime",
            );
        }
        Ok(())
    }

    fn times(&mut self) {
        let hour = Duration::from_secs(3600);
        let ten = Duration::from_millis(10);
        self.time("listen_timeout", "listen_timeout", ten, hour);
        self.time("kill_timeout", "kill_timeout", ten, hour);
        self.time("min_uptime", "min_uptime", Duration::ZERO, hour);
        self.time("exp_backoff_restart_delay", "exp_backoff_restart_delay", Duration::ZERO, hour);
        if self.get(&["restart_delay"]).is_some() && self.get(&["exp_backoff_restart_delay"]).is_none() {
            // The same delay, each time.
            self.time("restart_delay", "exp_backoff_restart_delay", Duration::ZERO, hour);
            self.time("restart_delay", "exp_backoff_max_delay", Duration::ZERO, hour);
            self.note(
                "restart_delay",
                "it holds after unstable exits; after a stable run a worker is restarted at once",
            );
        }
        match self.get(&["max_restarts"]).map(number) {
            None => self.set("max_restarts", "max_restarts", 16),
            Some(Some(restarts)) => self.set("max_restarts", "max_restarts", i64::from(restarts)),
            Some(None) => self.note("max_restarts", "a whole number; 0 never gives up"),
        }
        const MEMORY: &str = "max_memory_restart";
        match self.get(&[MEMORY]) {
            None => {}
            // PM2 takes small letters, too.
            Some(Value::String(size)) => {
                let size = size.trim_end_matches(['B', 'b']).to_uppercase();
                self.set(MEMORY, MEMORY, size);
            }
            Some(value) => match value.as_i64() {
                Some(bytes) => self.set(MEMORY, MEMORY, bytes),
                None => self.note(MEMORY, "a size of at least 1M, as \"200M\""),
            },
        }
    }

    /// A time, in milliseconds unless it says its unit.
    fn time(&mut self, theirs: &str, ours: &str, least: Duration, most: Duration) {
        let Some(value) = self.get(&[theirs]) else { return };
        let time = match value {
            Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok().map(Duration::from_millis)
            }
            Value::String(text) => humantime::parse_duration(text).ok(),
            value => value.as_u64().map(Duration::from_millis),
        };
        match time.filter(|time| (least..=most).contains(time)) {
            Some(time) => self.set(theirs, ours, format!("{}ms", time.as_millis())),
            None => self.note(theirs, &format!("`{ours}` is a duration up to 1h, as \"1600ms\"")),
        }
    }

    fn environment(&mut self) {
        let mut env = toml::Table::new();
        let mut odd = Vec::new();
        let given = self.get(&["env"]);
        let is_none = given.is_some_and(|env| !env.is_object());
        for (name, value) in given.and_then(Value::as_object).into_iter().flatten() {
            match value {
                Value::String(text) => _ = env.insert(name.clone(), text.clone().into()),
                Value::Number(_) | Value::Bool(_) => _ = env.insert(name.clone(), value.to_string().into()),
                Value::Null | Value::Array(_) | Value::Object(_) => odd.push(name.clone()),
            }
        }
        if is_none {
            self.note("env", "it must be an object: {\"NAME\": \"value\"}");
        }
        if !env.is_empty() {
            self.set("env", "env", env);
        }
        for name in odd {
            self.note(&format!("env.{name}"), "a variable is text");
        }
    }

    /// As whom it runs, and when it is done.
    fn process(&mut self) {
        for (theirs, ours) in [(&["user", "uid", "username"][..], "user"), (&["gid"][..], "group")] {
            match self.get(theirs) {
                None => {}
                Some(Value::String(name)) => self.set(theirs[0], ours, name.clone()),
                Some(value) => match value.as_u64().and_then(|id| u32::try_from(id).ok()) {
                    Some(id) => self.set(theirs[0], ours, i64::from(id)),
                    None => self.note(theirs[0], &format!("`{ours}` is a name or a number")),
                },
            }
        }
        if let Some(codes) = self.get(&["stop_exit_codes"]) {
            let list = codes.as_array().map_or(std::slice::from_ref(codes), Vec::as_slice);
            let codes: Option<Vec<i64>> =
                list.iter().map(|code| code.as_i64().filter(|code| (0..256).contains(code))).collect();
            match codes {
                Some(codes) => self.set("stop_exit_codes", "stop_exit_codes", codes),
                None => self.note("stop_exit_codes", "exit codes are numbers from 0 to 255"),
            }
        }
        if let Some(name) = self.text(&["increment_var"]) {
            let first = self.get(&["env"]).and_then(|env| env.get(&name));
            let first = first.and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok()));
            match first {
                Some(_) => self.set("increment_var", "increment_var", name),
                None => self.note("increment_var", "give the first worker's value in `env`"),
            }
        }
    }

    /// What was not looked at yet.
    fn rest(&mut self) {
        const DONE: &[&str] = &[
            "instances",
            "script",
            "exec",
            "cmd",
            "command",
            "cwd",
            "interpreter",
            "exec_interpreter",
            "interpreter_args",
            "node_args",
            "args",
            "wait_ready",
            "listen_timeout",
            "kill_timeout",
            "min_uptime",
            "exp_backoff_restart_delay",
            "restart_delay",
            "max_restarts",
            "max_memory_restart",
            "env",
            "stop_exit_codes",
            "increment_var",
            "user",
            "uid",
            "username",
            "gid",
        ];
        for (key, value) in self.app {
            // What is off, or empty, asks for nothing.
            let off = match value {
                Value::Null => true,
                Value::Bool(on) => *on == (key == "autorestart" || key == "treekill"),
                Value::Array(list) => list.is_empty(),
                Value::String(text) => text.is_empty(),
                Value::Number(_) | Value::Object(_) => false,
            };
            if off || DONE.contains(&key.as_str()) || NOTHING.contains(&key.as_str()) {
                continue;
            }
            let instead = ELSEWHERE
                .iter()
                .find(|(names, _)| names.contains(&key.as_str()))
                .map(|(_, instead)| *instead);
            let instead = match instead {
                Some(instead) => instead,
                None if key.starts_with("env_") => {
                    "a configuration for each environment: put it into [worker.env] there"
                }
                None => "not known; see docs/pm2.md",
            };
            self.note(key, instead);
        }
    }

    fn finish(mut self, name: &str) -> Imported {
        self.notes.push(
            "to do: the program must not bind its UDP port: its socket is descriptor 3 (docs/operating.md, \"Any program as \
             the workers\"); write the port into `listen`"
                .to_owned(),
        );
        self.notes.push(
            "to do: PM2 stops with SIGINT, this with SIGTERM: the program should take both alike".to_owned(),
        );
        let toml = format!(
            "# {}, imported from PM2.\n{}\n# The UDP port of the program:\nlisten = [\"0.0.0.0:3131\"]\n\n[worker]\n{}\n",
            name.replace(char::is_control, " "),
            self.top.join("\n"),
            self.worker.join("\n"),
        );
        Imported { toml, notes: self.notes }
    }
}
