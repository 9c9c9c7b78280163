//! Variables, and as whom a program runs.

use super::app::Given;
use super::apps::Wrong;
use super::translate::{Import, read_alone};
use super::words::{number, variable};
use serde_json::Value;

impl Import<'_> {
    /// The variables: of the app, over them those of the environment that is asked for.
    pub(super) fn environment(&mut self, ecosystem: &Value) -> Result<(), Wrong> {
        if let Some(name) = self.wanted.env {
            let deployed = ecosystem.get("deploy").and_then(|deploy| deploy.get(name)?.get("env"));
            let own = format!("env_{name}");
            if deployed.is_none() && self.get(&own).is_none() {
                let has: Vec<_> = self.app.iter().filter_map(|(key, _)| key.strip_prefix("env_")).collect();
                let why = format!("app `{}` has no `{own}`", self.name);
                let hint = if has.is_empty() {
                    "leave --env out: it has only `env`".to_owned()
                } else {
                    format!("there are: {}", has.join(", "))
                };
                return Err(Wrong::new(why, hint));
            }
            if let Some(value) = deployed {
                self.variables(Given { written: "deploy.env", value });
            }
        }
        if let Some(given) = self.get("env") {
            self.variables(given);
        }
        if let Some(given) = self.get("port") {
            match number(given.value).filter(|port| *port < 1 << 16) {
                Some(port) => _ = self.env.insert("PORT".to_owned(), port.to_string().into()),
                None => self.reject(given, "a port is a number up to 65535"),
            }
        }
        if let Some(given) = self.wanted.env.and_then(|name| self.get(&format!("env_{name}"))) {
            self.variables(given);
        }
        Ok(())
    }

    fn variables(&mut self, given: Given<'_>) {
        let Some(variables) = given.value.as_object() else {
            self.reject(given, "it must be an object: {\"NAME\": \"value\"}");
            return;
        };
        for (name, value) in variables {
            let mut alone = toml::Table::new();
            alone.insert(name.clone(), variable(value).into());
            match read_alone(&format!("env = {}", toml::Value::Table(alone.clone()))) {
                Ok(()) => self.env.extend(alone),
                Err(allowed) => {
                    let written = format!("{}.{name}", given.written);
                    self.reject(Given { written: &written, value }, &format!("`env` takes {allowed}"));
                }
            }
        }
    }

    /// As whom it runs, and what it is told of itself.
    pub(super) fn process(&mut self) {
        for (theirs, ours) in [("uid", "user"), ("gid", "group")] {
            let Some(given) = self.get(theirs) else { continue };
            match (number(given.value), given.value.as_str()) {
                (Some(id), _) => self.set(given, ours, i64::from(id)),
                (None, Some(name)) if !name.is_empty() => self.set(given, ours, name),
                (None, _) => self.reject(given, &format!("`{ours}` takes a name or a number")),
            }
        }
        let increment = self.text("increment_var").map(|name| ("increment_var", name));
        let instance = self.text("instance_var").filter(|name| name != "NODE_APP_INSTANCE");
        if let Some((key, name)) = &increment
            && let Some(given) = self.get(key)
        {
            let first = self.env.get(name.as_str()).and_then(toml::Value::as_str);
            match first.filter(|first| first.parse::<i64>().is_ok()) {
                Some(_) => self.set(given, key, name.clone()),
                None => self.reject(given, "give the first worker's value in `env`, a whole number"),
            }
        }
        if let Some(given) = self.get("instance_var")
            && let Some(name) = instance
        {
            if increment.is_some() || self.env.contains_key(&name) {
                self.reject(given, "the number of the worker is in NODE_APP_INSTANCE, PM2's own default");
            } else {
                // From 0 on: the number of the worker.
                self.variable(&name, "0");
                self.set(given, "increment_var", name);
            }
        }
    }
}
