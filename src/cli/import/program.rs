//! What is run: PM2's script, interpreter and arguments as one list of words.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::apps::{SHAPE, Wrong};
use super::translate::Import;

/// As much of a script as tells what it is.
const BEGINNING: u64 = 8000;

impl Import<'_> {
    /// The program, in the folder where its script lies.
    pub(super) fn program(&mut self, cwd: &Path) -> Result<(), Wrong> {
        let Some(given) = self.get("script") else {
            return Err(Wrong::new(format!("app `{}` has no `script`", self.name), SHAPE));
        };
        let Some(script) = given.value.as_str().filter(|script| !script.is_empty()).map(str::to_owned) else {
            return Err(Wrong::new(format!("{}: it must be a text", given.shown()), SHAPE));
        };
        let words = if script.contains(' ') { self.shell(script) } else { self.interpreted(script, cwd) };
        if words.first().is_some_and(|program| program.contains("python")) {
            self.variable("PYTHONUNBUFFERED", "1");
        }
        self.set(given, "program", words);
        Ok(())
    }

    /// A command line: PM2 gives it to bash, and nothing else.
    fn shell(&mut self, line: String) -> Vec<String> {
        for key in ["args", "interpreter", "node_args"] {
            if let Some(given) = self.get(key) {
                self.reject(given, "PM2 leaves it out, too, beside a script with blanks: write it into that");
            }
        }
        vec!["bash".to_owned(), "-c".to_owned(), line]
    }

    fn interpreted(&mut self, script: String, cwd: &Path) -> Vec<String> {
        let interpreter = self.text("interpreter").filter(|interpreter| !interpreter.is_empty());
        if script == "serve" && interpreter.is_none() {
            self.note(
                "script = \"serve\"",
                "PM2's own server of static files has no counterpart; use a web server",
            );
        }
        let interpreter = match interpreter {
            Some(version) if version.starts_with("node@") => {
                let instead = "`node` is written; name that one by its whole path in worker.program";
                self.note(&format!("interpreter = {version:?}"), instead);
                "node".to_owned()
            }
            Some(named) => named,
            None => self.interpreter_of(&script, cwd).to_owned(),
        };
        let mut words = Vec::new();
        if interpreter == "none" {
            if let Some(given) = self.get("node_args") {
                self.reject(
                    given,
                    "the program is run as it is, without an interpreter: PM2 leaves it out, too",
                );
            }
            let beside = !script.contains('/') && cwd.join(&script).exists();
            words.push(if beside { format!("./{script}") } else { script });
        } else {
            words.push(interpreter);
            words.extend(self.words("node_args"));
            words.push(script);
        }
        words.extend(self.words("args"));
        words
    }

    /// PM2's choice: by extension; else what is text is for Node.js, unless it can be run as it is.
    fn interpreter_of(&mut self, script: &str, cwd: &Path) -> &'static str {
        let name = script.rsplit('/').next().unwrap_or(script);
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("js" | "cjs" | "mjs") => "node",
            Some("py") => "python3",
            Some("sh") => "bash",
            Some("rb") => "ruby",
            Some("pl") => "perl",
            Some("php") => "php",
            Some("coffee") => "coffee",
            Some("ls") => "lsc",
            Some("ts" | "tsx") if on_path("bun") => "bun",
            Some("ts" | "tsx") => {
                let instead = "PM2 runs it by bun, which is not on the PATH here: `node` is written, which takes \
                               TypeScript from 22.18 on";
                self.note(&format!("script = {script:?}"), instead);
                "node"
            }
            _ if is_for_node(&cwd.join(script)) => "node",
            _ => "none",
        }
    }
}

fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Text that does not say, or may not say, by what it is run.
fn is_for_node(script: &Path) -> bool {
    let Some(about) = fs::metadata(script).ok().filter(fs::Metadata::is_file) else { return false };
    let mut beginning = Vec::new();
    let read = File::open(script).and_then(|file| file.take(BEGINNING).read_to_end(&mut beginning));
    let runs = beginning.starts_with(b"#!") && about.permissions().mode() & 0o111 != 0;
    read.is_ok() && !beginning.is_empty() && !beginning.contains(&0) && !runs
}
