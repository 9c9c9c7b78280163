//! A cluster inside of another one: the outer one's only worker is the inner one's supervisor, and the outer one's
//! descriptor store is what the inner one survives by.

use std::ffi::OsStr;

use crate::{Builder, Cluster, Place};

/// Both.
#[derive(Debug)]
pub struct Nested {
    /// Goes first when they are dropped: its processes are the outer one's.
    pub inner: Cluster,
    /// One worker, restarted at once whatever becomes of it.
    pub outer: Cluster,
}

impl Builder {
    /// Starts it as the program of an outer cluster, and waits until both are online. What it is wrapped in wraps the
    /// outer one.
    ///
    /// # Panics
    /// When they do not come online.
    #[track_caller]
    #[must_use]
    pub fn start_nested(mut self) -> Nested {
        let wrapper = std::mem::take(&mut self.wrapper);
        let (command, place) = self.prepare();
        let mut config =
            "workers = 1\n[worker]\nmin_uptime = \"0s\"\nexp_backoff_restart_delay = \"0s\"\n".to_owned();
        config += "kill_timeout = \"20s\"\nlisten_timeout = \"30s\"\n[worker.env]\n";
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                config += &format!("{} = {}\n", quoted(name), quoted(value));
            }
        }
        let mut outer =
            Builder::new("").binary(&self.binary).workers_as_configured().config(config).arg("--");
        outer.wrapper = wrapper;
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let outer = words.fold(outer, |outer, word| outer.arg(word)).start();
        let inner = Cluster::inside(&outer, self.binary_path(), place);
        inner.expect_state("online");
        Nested { inner, outer }
    }
}

/// As a string of TOML.
fn quoted(text: &OsStr) -> String {
    toml::Value::from(text.to_str().expect("text")).to_string()
}

impl Nested {
    /// Pid of the inner supervisor, as the outer one tells it.
    #[must_use]
    pub fn supervisor(&self) -> Option<i32> {
        self.outer.worker(0).pid
    }
}

impl Cluster {
    /// One that somebody else started: it is asked, and looked after, but not awaited.
    fn inside(outer: &Cluster, binary: &std::path::Path, place: Place) -> Cluster {
        Cluster { child: None, pid: 0, binary: binary.to_owned(), place, log: outer.log.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_read_back_as_it_was() {
        for text in ["/tmp/a b", "\u{7f}\u{1}\u{200b}", "'\"\"\"'", "\\ \t\r\n\n", ""] {
            let table: toml::Table = format!("text = {}", quoted(text.as_ref())).parse().unwrap();
            assert_eq!(table["text"].as_str(), Some(text));
        }
    }
}
