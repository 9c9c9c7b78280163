//! The machine, and the versions of what runs on it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::port;
use crate::samples::Machine;
use crate::site::{Site, first_line};

/// Looks around.
pub(crate) fn look(site: &Site) -> Machine {
    let memory = field(&read("/proc/meminfo"), "MemTotal").split_whitespace().next().map(str::to_owned);
    let memory = memory.and_then(|kilobytes| kilobytes.parse::<u64>().ok());
    Machine {
        processor: field(&read("/proc/cpuinfo"), "model name"),
        cpus: std::thread::available_parallelism().map_or(0, usize::from),
        memory_bytes: memory.unwrap_or(0) * 1024,
        kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        room: port::room(),
        versions: versions(site),
    }
}

fn versions(site: &Site) -> BTreeMap<String, String> {
    let ask = |program: &std::path::Path, question: &str| first_line(Command::new(program).arg(question));
    let last_word = |text: String| text.rsplit([' ', '/']).next().unwrap_or_default().to_owned();
    let pm2 = first_line(
        Command::new(&site.node).args(["-p", "require(process.argv[1]).version"]).arg(
            site.pm2
                .parent()
                .and_then(std::path::Path::parent)
                .map(|folder| folder.join("package.json"))
                .unwrap_or_default(),
        ),
    );
    [
        ("Node.js", ask(&site.node, "--version").trim_start_matches('v').to_owned()),
        ("PM2", pm2),
        ("Python", last_word(ask(&site.python, "--version"))),
        ("nginx", last_word(ask(&site.nginx, "-v"))),
    ]
    .map(|(name, version)| (name.to_owned(), version))
    .into()
}

/// The commit that is checked out; with `+` if anything was changed since.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| first_line(Command::new("git").args(arguments));
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"]).is_empty();
    git(&["rev-parse", "--short", "HEAD"]) + if changed { "+" } else { "" }
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

/// What stands behind the colon of the first line with that name.
fn field(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':')).map_or(String::new(), |(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_many_processors_is_named() {
        let text = "processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nprocessor\t: 1\nmodel name\t: Another\n";
        assert_eq!(
            (field(text, "model name"), field(text, "nothing")),
            ("A CPU @ 2 GHz".into(), String::new())
        );
    }
}
