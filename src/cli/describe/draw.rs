//! How `describe` looks: a description in, text out.

use contract::counted;
use jiff::Timestamp;

use super::super::list_text::{heading, last_exit, state_style, who};
use super::super::terminal::{Look, Style};
use super::super::text::{bytes, clean, clean_lines, left, seconds, width};
use super::shape::{Description, Keeps, KeptRow, RolePart, WorkerPart};
use super::standing::{Limit, Standing};
use crate::config::{Config, shown};
use crate::wire::{Heir, LastExit, Steering};

/// All of it, or without what concerns the whole cluster.
pub(super) fn draw(description: &Description, whole: bool, now: Timestamp, look: &Look) -> String {
    let mut page = Page { text: String::new(), look };
    if whole {
        page.text.push_str(&heading(&description.cluster.list, look));
        cluster(&mut page, description);
        standing(&mut page, &description.supervisor);
    }
    for part in &description.workers {
        worker(&mut page, part, now);
    }
    for part in &description.roles {
        role(&mut page, part, now);
    }
    for slot in &description.retired {
        page.head(&format!("slot {}", clean(&slot.id)), "retired", Style::Dim);
        keeps(&mut page, &slot.keeps);
    }
    if whole {
        configuration(&mut page, description);
    }
    page.text
}

/// Text that grows by sections of lines with a name and a value.
struct Page<'a> {
    text: String,
    look: &'a Look,
}

impl Page<'_> {
    fn head(&mut self, title: &str, state: &str, style: Style) {
        let title = self.look.paint(Style::Bold, title);
        self.text.push_str(format!("\n{title} {}", self.look.paint(style, state)).trim_end());
        self.text.push('\n');
    }

    fn line(&mut self, name: &str, value: &str) {
        self.text.push_str(&format!("  {}  {value}\n", left(name, 14)));
    }

    /// One line for each value, the name before the first.
    fn lines(&mut self, name: &str, values: &[String]) {
        for (at, value) in values.iter().enumerate() {
            self.line(if at == 0 { name } else { "" }, value);
        }
    }
}

fn cluster(page: &mut Page<'_>, description: &Description) {
    let cluster = &description.cluster;
    let list = &cluster.list;
    let upgrades = format!("upgraded {}", counted(u64::from(list.upgrades), "time"));
    page.line(
        "version",
        &format!("{}, started {}, {upgrades}", clean(&list.version), clean(&list.started_at)),
    );
    page.line("binary", &clean(&cluster.binary));
    page.line("runtime dir", &clean(&cluster.runtime_dir));
    let file = cluster.config_file.as_deref().map_or_else(|| "no file: defaults".to_owned(), clean);
    page.line("configuration", &file);
    if let Some(reload) = &list.last_reload {
        let why = reload.error.as_deref().map(|why| format!(": {}", clean_lines(why))).unwrap_or_default();
        page.line(
            "last reload",
            &format!("{} (generation {}){why}", clean(&reload.result), reload.generation),
        );
    }
    page.line("store above", &above(description));
    if let Some(Steering { bound, slots }) = &cluster.steering {
        let slots: Vec<String> = slots.iter().map(ToString::to_string).collect();
        page.line("datagrams to", &format!("slots {} of {bound}", slots.join(" ")));
    }
    if list.retired_queue_bytes > 0 {
        page.line("unread", &format!("{} in retired slots", bytes(list.retired_queue_bytes)));
    }
    page.lines("on the port too", &list.strangers.iter().map(who).collect::<Vec<_>>());
    page.lines("kept for all", &cluster.kept.iter().map(kept).collect::<Vec<_>>());
}

fn above(description: &Description) -> String {
    let above = &description.cluster.above;
    let waiting = counted(above.waiting, "message");
    match (above.heard, above.watchdog_ms) {
        (false, _) => "none: if the supervisor dies, what waits in the sockets is gone".to_owned(),
        (true, None) => format!("there, {waiting} waiting for it"),
        (true, Some(ms)) => {
            let every = seconds(ms as f64 / 1000.0);
            format!("there, {waiting} waiting for it; it wants a sign of life every {every}")
        }
    }
}

fn worker(page: &mut Page<'_>, part: &WorkerPart, now: Timestamp) {
    let list = &part.list;
    page.head(
        &format!("worker {} ({})", list.id, clean(&list.role)),
        &clean(&list.state),
        state_style(&list.state),
    );
    let mut run = format!("generation {}, {}", list.generation, counted(list.restarts.into(), "restart"));
    if let Some(uptime) = list.uptime_s {
        run = format!("{run}, up {}", seconds(uptime));
    }
    page.line("run", &run);
    exit(page, list.last_exit.as_ref(), now);
    others(page, list.heir.as_ref(), &list.leaving);
    if let Some(process) = &part.process {
        usage(page, list.memory_bytes, list.cpu_percent);
        standing(page, process);
    }
    if let Some(quarantine) = &part.quarantine {
        page.line(
            "quarantine",
            &format!("{}: {}", counted(quarantine.datagrams, "datagram"), clean(&quarantine.file)),
        );
    }
    keeps(page, &part.keeps);
}

fn role(page: &mut Page<'_>, part: &RolePart, now: Timestamp) {
    let list = &part.list;
    page.head(&clean(&list.name), &clean(&list.state), state_style(&list.state));
    let up = list.uptime_s.map(|uptime| format!(", up {}", seconds(uptime))).unwrap_or_default();
    page.line("run", &format!("{}{up}", counted(list.restarts.into(), "restart")));
    exit(page, list.last_exit.as_ref(), now);
    others(page, list.heir.as_ref(), &list.leaving);
    if let Some(process) = &part.process {
        usage(page, list.memory_bytes, list.cpu_percent);
        standing(page, process);
    }
    keeps(page, &part.keeps);
}

fn exit(page: &mut Page<'_>, exit: Option<&LastExit>, now: Timestamp) {
    if let Some(exit) = exit {
        page.line("last exit", &last_exit(exit, now));
    }
}

/// Who is in a slot beside the process that holds it.
fn others(page: &mut Page<'_>, heir: Option<&Heir>, leaving: &[u32]) {
    if let Some(heir) = heir {
        let pid = heir.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        page.line("heir", &format!("pid {pid} {}, generation {}", clean(&heir.state), heir.generation));
    }
    if !leaving.is_empty() {
        let pids: Vec<String> = leaving.iter().map(u32::to_string).collect();
        page.line("leaving", &format!("pid {}", pids.join(", ")));
    }
}

fn usage(page: &mut Page<'_>, memory: Option<u64>, cpu: Option<f64>) {
    let memory = memory.map_or_else(|| "-".to_owned(), bytes);
    let cpu = cpu.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.1}%"));
    page.line("uses", &format!("memory {memory}, CPU {cpu}"));
}

fn standing(page: &mut Page<'_>, process: &Standing) {
    let exe = process.exe.as_deref().map_or_else(|| "-".to_owned(), clean);
    let uid = process.uid.map_or_else(|| "-".to_owned(), |uid| uid.to_string());
    page.line("process", &format!("pid {}, uid {uid}, {exe}", process.pid));
    let Some(limits) = process.limits else { return };
    let open = process.open_files.map_or_else(|| "-".to_owned(), |open| open.to_string());
    page.line("open files", &format!("{open} of {}", limit(limits.open_files, &|n| n.to_string())));
    let locked = process.locked_bytes.map_or_else(|| "-".to_owned(), bytes);
    page.line("locked memory", &format!("{locked} of {}", limit(limits.locked_memory, &bytes)));
    if let Some(sandbox) = &process.sandbox {
        let privileges = if sandbox.no_new_privs { "no new privileges" } else { "may gain privileges" };
        let none = sandbox.capabilities.bytes().all(|digit| digit == b'0');
        let capabilities = if none { "none" } else { &sandbox.capabilities };
        let what = format!(
            "{privileges}, system calls {}, capabilities {capabilities}",
            match sandbox.seccomp {
                "off" => "not filtered",
                _ => "filtered",
            }
        );
        page.line("sandbox", &what);
    }
}

fn limit(limit: Limit, shown: &dyn Fn(u64) -> String) -> String {
    let shown = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), shown);
    if limit.soft == limit.hard {
        shown(limit.soft)
    } else {
        format!("{} (at most {})", shown(limit.soft), shown(limit.hard))
    }
}

fn keeps(page: &mut Page<'_>, keeps: &Keeps) {
    let mut lines: Vec<String> = keeps.kept.iter().map(kept).collect();
    let shown = keeps.kept.iter().filter(|row| row.kept.kind == "stored").count() as u64;
    if keeps.stored > shown {
        lines.push(format!("… and {} more in its store", keeps.stored - shown));
    }
    page.lines("kept", &lines);
}

/// `udp0  socket 0.0.0.0:3131, 0 waiting, 0 dropped, buffer 4.0M  (fd 17)`.
fn kept(row: &KeptRow) -> String {
    let kept = &row.kept;
    let mut words = vec![match (&kept.address, kept.bytes, row.target.as_deref()) {
        (Some(address), ..) => format!("socket {}", clean(address)),
        (None, Some(size), _) => format!("segment of {}", bytes(size)),
        (None, None, Some(target)) => clean(target),
        (None, None, None) => clean(&kept.kind),
    }];
    words.extend(kept.queue_bytes.map(|queue| format!("{} waiting", bytes(queue))));
    words.extend(kept.dropped.map(|dropped| format!("{dropped} dropped")));
    words.extend(kept.receive_buffer.map(|buffer| format!("buffer {}", bytes(buffer))));
    format!("{}  {}  (fd {})", clean(&kept.name), words.join(", "), kept.fd)
}

/// As one would write it; of another version as far as that is known.
fn configuration(page: &mut Page<'_>, description: &Description) {
    page.head("configuration in force", "", Style::Dim);
    match serde_json::from_value::<Config>(description.config.clone()) {
        Ok(config) => {
            let shown = shown(&config);
            let widest = shown.iter().map(|shown| width(shown.key)).max().unwrap_or(0);
            for line in shown {
                let value = line.value.unwrap_or_else(|| "(off)".to_owned());
                page.text.push_str(&format!("  {} = {value}\n", left(line.key, widest)));
            }
        }
        Err(_) => page.text.push_str("  not known to this version: see `atlas-cluster describe --json`\n"),
    }
}
