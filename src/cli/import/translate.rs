//! From PM2's names to ours: an ecosystem file in, a configuration and notes out.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::app::{App, Given};
use super::apps::{self, Wrong};
use super::elsewhere::{ELSEWHERE, NOTHING};
use super::names::is_translated;
use super::words::{number, words_of};
use crate::clean::clean;
use crate::config::Overrides;

/// What of the file is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The app of this name; else the first.
    pub(super) app: Option<&'a str>,
    /// With the variables of this environment, as `pm2 start --env`.
    pub(super) env: Option<&'a str>,
    /// Where relative paths begin.
    pub(super) folder: &'a Path,
    /// The file, as it was named.
    pub(super) file: &'a Path,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Imported {
    /// The configuration.
    pub(super) toml: String,
    /// What has no counterpart, and what to use; one line each.
    pub(super) notes: Vec<String>,
}

/// One app as a configuration.
pub(super) fn translate(ecosystem: &Value, wanted: &Wanted<'_>) -> Result<Imported, Wrong> {
    let chosen = apps::choose(ecosystem, wanted.app)?;
    let (app, twice) = App::new(chosen.app);
    let mut import = Import {
        app,
        name: chosen.name,
        wanted: *wanted,
        top: Vec::new(),
        worker: Vec::new(),
        env: toml::Table::new(),
        notes: Vec::new(),
    };
    for (given, first) in twice {
        import.reject(given, &format!("`{}` says it already, and PM2 takes one of them", first.written));
    }
    import.environment(ecosystem)?;
    import.instances();
    let cwd = wanted.folder.join(import.text("cwd").unwrap_or_default());
    let cwd = cwd.components().collect::<std::path::PathBuf>();
    import.program(&cwd)?;
    import.cwd(&cwd);
    import.readiness();
    import.times();
    import.restarts();
    import.process();
    import.rest();
    for (what, instead) in chosen.beside {
        import.note(&what, &instead);
    }
    Ok(import.finish())
}

/// A translation under way.
pub(super) struct Import<'a> {
    pub(super) app: App<'a>,
    /// What the app is called.
    pub(super) name: String,
    pub(super) wanted: Wanted<'a>,
    top: Vec<String>,
    worker: Vec<String>,
    pub(super) env: toml::Table,
    notes: Vec<String>,
}

impl<'a> Import<'a> {
    /// What is said of a key.
    pub(super) fn get(&self, key: &str) -> Option<Given<'a>> {
        self.app.get(key)
    }

    /// A text; what is none is told.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let given = self.get(key)?;
        let text = given.value.as_str().map(str::to_owned);
        if text.is_none() {
            self.reject(given, "it must be a text");
        }
        text
    }

    /// A list of words; what is none is told.
    pub(super) fn words(&mut self, key: &str) -> Vec<String> {
        let Some(given) = self.get(key) else { return Vec::new() };
        words_of(given.value).unwrap_or_else(|| {
            self.reject(given, "it must be a text or a list of them");
            Vec::new()
        })
    }

    /// What is not taken over, and why or what to use.
    pub(super) fn note(&mut self, what: &str, instead: &str) {
        self.notes.push(format!("not imported: {what}: {instead}"));
    }

    /// A key whose value is not taken over.
    pub(super) fn reject(&mut self, given: Given<'_>, instead: &str) {
        self.note(&given.shown(), instead);
    }

    /// A key of ours by one of PM2's; a value that our own reader refuses is told.
    pub(super) fn set(&mut self, given: Given<'_>, key: &str, value: impl Into<toml::Value>) {
        let line = format!("{key} = {}", value.into());
        // Whether there is such a user, and whether one may become him, is the matter of the host that it runs on.
        let is_host_s = ["user", "group"].contains(&key);
        match if is_host_s { Ok(()) } else { read_alone(&line) } {
            Ok(()) => self.worker.push(line),
            Err(allowed) => self.reject(given, &format!("`{key}` takes {allowed}")),
        }
    }

    /// A variable, unless there is one of that name.
    pub(super) fn variable(&mut self, name: &str, value: &str) {
        self.env.entry(name).or_insert_with(|| value.into());
    }

    /// `instances`: a number, `max` (0 too), or so many fewer than there are CPUs.
    fn instances(&mut self) {
        let Some(given) = self.get("instances") else {
            self.top.push("workers = 1".to_owned());
            return;
        };
        let number = match given.value {
            Value::String(text) if text == "max" => Some(0),
            Value::String(text) => text.parse().ok(),
            value => value.as_i64(),
        };
        let (workers, told) = match number {
            Some(0) => ("\"max\"".to_owned(), None),
            Some(number @ 1..=64) => (number.to_string(), None),
            Some(65..) => ("64".to_owned(), Some("64 are written, which is the most")),
            Some(..0) => {
                let told = "`workers = \"max\"` is written, one for each CPU; write a number for fewer";
                ("\"max\"".to_owned(), Some(told))
            }
            None => {
                let told = "`workers` takes a number from 1 to 64, or \"max\", which is written";
                ("\"max\"".to_owned(), Some(told))
            }
        };
        self.top.push(format!("workers = {workers}"));
        if let Some(told) = told {
            self.reject(given, told);
        }
    }

    fn cwd(&mut self, cwd: &Path) {
        match cwd.to_str() {
            Some(text) => {
                let value = Value::String(text.to_owned());
                self.set(Given { written: "cwd", value: &value }, "cwd", text);
            }
            None => self.note("cwd", "its path is not UTF-8, and cannot be written: start it in that folder"),
        }
    }

    fn readiness(&mut self) {
        // Whoever was run by PM2 does not say READY=1.
        self.worker.push("wait_ready = false".to_owned());
        if let Some(given) = self.get("wait_ready").filter(|given| given.is_on() != Some(false)) {
            self.reject(
                given,
                "process.send('ready') is not heard: a worker is online once it has lived for min_uptime; `health_command` asks it, \
                 or it says READY=1 to NOTIFY_SOCKET, with `wait_ready = true`",
            );
        }
    }

    fn times(&mut self) {
        let (ten, hour) = (Duration::from_millis(10), Duration::from_secs(3600));
        self.time("listen_timeout", "listen_timeout", ten, hour);
        self.worker.push("kill_signal = \"SIGINT\"".to_owned());
        self.time("kill_timeout", "kill_timeout", ten, hour);
        self.time("min_uptime", "min_uptime", Duration::ZERO, hour);
        self.time("exp_backoff_restart_delay", "exp_backoff_restart_delay", Duration::ZERO, hour);
        let Some(given) = self.get("restart_delay").filter(|given| number(given.value) != Some(0)) else {
            return;
        };
        if self.get("exp_backoff_restart_delay").is_some() {
            self.reject(given, "`exp_backoff_restart_delay` counts, with PM2, too");
            return;
        }
        // The same delay, each time.
        let notes = self.notes.len();
        self.time("restart_delay", "exp_backoff_restart_delay", Duration::ZERO, hour);
        if self.notes.len() > notes {
            return;
        }
        self.time("restart_delay", "exp_backoff_max_delay", Duration::ZERO, hour);
        let told = "it is taken over for unstable exits; after a stable run a worker is restarted at once";
        self.notes.push(format!("imported in part: {}: {told}", given.shown()));
    }

    /// A time, in milliseconds unless it says its unit.
    fn time(&mut self, theirs: &str, ours: &str, least: Duration, most: Duration) {
        let Some(given) = self.get(theirs) else { return };
        let time = match given.value {
            Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok().map(Duration::from_millis)
            }
            Value::String(text) => humantime::parse_duration(text).ok(),
            value => value.as_u64().map(Duration::from_millis),
        };
        match time.filter(|time| (least..=most).contains(time)) {
            Some(time) => self.set(given, ours, format!("{}ms", time.as_millis())),
            None => {
                let least = humantime::format_duration(least);
                self.reject(given, &format!("`{ours}` takes a duration from {least} to 1h, as \"1600ms\""));
            }
        }
    }

    /// How often and when it is started again.
    fn restarts(&mut self) {
        match self.get("max_restarts").map(|given| (given, number(given.value))) {
            None => self.worker.push("max_restarts = 16".to_owned()),
            Some((given, Some(0))) => {
                let told = "PM2 never restarts then, but 0 never gives up here: 1 is written, no restart after an \
                            unstable exit";
                self.worker.push("max_restarts = 1".to_owned());
                self.reject(given, told);
            }
            Some((given, Some(restarts))) => self.set(given, "max_restarts", i64::from(restarts)),
            Some((given, None)) => {
                self.reject(given, "`max_restarts` takes a whole number; 0 never gives up")
            }
        }
        const MEMORY: &str = "max_memory_restart";
        if let Some(given) = self.get(MEMORY) {
            match given.value {
                // PM2 takes small letters, too.
                Value::String(size) => {
                    self.set(given, MEMORY, size.trim_end_matches(['B', 'b']).to_uppercase());
                }
                value => match value.as_i64() {
                    Some(bytes) => self.set(given, MEMORY, bytes),
                    None => {
                        self.reject(given, &format!("`{MEMORY}` takes a size of at least 1M, as \"200M\""))
                    }
                },
            }
        }
        if let Some(given) = self.get("stop_exit_codes") {
            let list = given.value.as_array().map_or(std::slice::from_ref(given.value), Vec::as_slice);
            let codes: Option<Vec<i64>> =
                list.iter().map(|code| number(code).filter(|code| *code < 256).map(i64::from)).collect();
            match codes {
                Some(codes) => self.set(given, "stop_exit_codes", codes),
                None => self.reject(given, "exit codes are numbers from 0 to 255"),
            }
        }
    }

    /// What was not looked at yet.
    fn rest(&mut self) {
        let rest: Vec<_> = self.app.iter().map(|(key, given)| (key.to_owned(), given)).collect();
        for (key, given) in rest {
            let taken = self.wanted.env.is_some_and(|env| key.strip_prefix("env_") == Some(env));
            if taken || is_translated(&key) || asks_for_nothing(&key, given) {
                continue;
            }
            let found = ELSEWHERE.iter().find(|(keys, _)| keys.contains(&key.as_str()));
            match (found, key.strip_prefix("env_")) {
                (Some((_, instead)), _) => self.reject(given, instead),
                // Its values may be secrets, and are long.
                (None, Some(env)) => {
                    self.note(given.written, &format!("a configuration of its own: `import --env {env}`"));
                }
                (None, None) => self.reject(given, "not known; see docs/pm2.md"),
            }
        }
        let modes = ["cluster", "cluster_mode", "fork", "fork_mode"];
        if let Some(given) = self.get("exec_mode")
            && !given.value.as_str().is_some_and(|mode| modes.contains(&mode))
        {
            self.reject(given, "PM2 has `fork` and `cluster`; here each worker is a process of its own");
        }
    }

    fn finish(mut self) -> Imported {
        self.notes.push(
            "to do: the program must not bind its UDP port: its socket is descriptor 3 (docs/operating.md, \"Any program as \
             the workers\"); write the port into `listen`"
                .to_owned(),
        );
        if self
            .get("exec_mode")
            .is_some_and(|mode| mode.value.as_str().is_some_and(|mode| mode.starts_with("cluster")))
        {
            self.notes.push(
                "to do: in PM2's cluster mode all copies can listen on one TCP port; here only UDP sockets are shared out"
                    .to_owned(),
            );
        }
        let appended = self.get("append_env_to_name").and_then(|given| given.is_on()) == Some(true);
        let env = self.wanted.env.filter(|_| appended).map(|env| format!("-{env}")).unwrap_or_default();
        let env_of =
            if self.env.is_empty() { String::new() } else { format!("\n[worker.env]\n{}", self.env) };
        let toml = format!(
            "# {}{env}, imported from PM2's {}.\n{}\n# The UDP port of the program:\nlisten = [\"0.0.0.0:3131\"]\n\n[worker]\n{}\n{env_of}",
            clean(&self.name),
            clean(&self.wanted.file.display().to_string()),
            self.top.join("\n"),
            self.worker.join("\n"),
        );
        Imported { toml, notes: self.notes }
    }
}

/// What is off, or as PM2 has it by default, asks for nothing.
fn asks_for_nothing(key: &str, given: Given<'_>) -> bool {
    let usually_on = ["autorestart", "treekill", "autostart"].contains(&key);
    match given.value {
        Value::Null => true,
        Value::Bool(_) if NOTHING.contains(&key) => true,
        Value::Array(list) => list.is_empty(),
        Value::String(text) if text.is_empty() => true,
        Value::String(text) if key == "namespace" => text == "default",
        Value::Number(_) | Value::String(_) if key == "cron_restart" => number(given.value) == Some(0),
        Value::Object(object) => object.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => given.is_on() == Some(usually_on),
    }
}

/// Whether our own reader takes a line of `[worker]`; else what it allows.
pub(super) fn read_alone(line: &str) -> Result<(), String> {
    let mut alone = Overrides::default();
    alone.set(&format!("worker.{line}")).and_then(|()| alone.check()).map_err(|error| {
        // Without the example, which is one for a shell.
        let allowed = error.hint().split("; for example").next().unwrap_or_default();
        allowed.strip_prefix("allowed: ").unwrap_or(allowed).to_owned()
    })
}
