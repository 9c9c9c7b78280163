//! Command lines in, invocations out.

use super::{
    Capture, Command, Goal, Import, Invocation, LogLines, Since, Surroundings, UsageError, cli, parse_in,
};
use crate::amount::Scale;
use crate::config::load;
use log::LevelFilter;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

pub(super) type Variables<'a> = &'a [(&'a str, &'a str)];

/// Parses the words of a line, as a user with just these variables.
pub(super) fn parsed_with(
    line: &str,
    variables: Variables<'_>,
    root: bool,
) -> Result<Invocation, UsageError> {
    let lookup = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    };
    let argv =
        ["/usr/bin/other-name"].into_iter().chain(line.split_whitespace()).map(OsString::from).collect();
    parse_in(argv, &Surroundings { lookup: &lookup, root })
}

pub(super) fn parsed(line: &str) -> Result<Invocation, UsageError> {
    parsed_with(line, &[("XDG_RUNTIME_DIR", "/run/user/1000")], false)
}

#[track_caller]
fn command(line: &str) -> Command {
    match parsed(line) {
        Ok(invocation) => invocation.command,
        Err(error) => panic!("`{line}` is refused: {}", error.render()),
    }
}

/// The number of workers that a line with this environment would start.
fn workers(line: &str, variables: Variables<'_>) -> u8 {
    let Ok(Invocation { command: Command::Start(overrides, _), .. }) = parsed_with(line, variables, true)
    else {
        panic!("`{line}` does not start")
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    load(&overrides, Some(file.path())).unwrap().config.workers
}

fn some_lines() -> LogLines {
    LogLines {
        follow: true,
        lines: Some(3),
        worker: Some("link".to_owned()),
        since: Some(Since::Ago(Duration::from_secs(600))),
        grep: Some("err|warn".to_owned()),
    }
}

#[test]
fn every_verb_has_its_command() {
    use atlas::control::Format;
    use atlas::order::Verb::{self, Bump, Get, Set};
    let param = |verb: Verb, value: Option<&str>, format| Command::Param {
        verb,
        processor: "bar".to_owned(),
        param: "ZoneGain_0".to_owned(),
        value: value.map(str::to_owned),
        format,
    };
    let capture = |seconds: Option<u64>, max_size| {
        let (processor, duration) = ("bar".to_owned(), seconds.map(Duration::from_secs));
        Command::Capture(Capture { processor, file: "f".into(), duration, max_size })
    };
    let import = |app: Option<&str>, env: Option<&str>| {
        let (app, env) = (app.map(str::to_owned), env.map(str::to_owned));
        Command::Import(Import { file: "x.json".into(), app, env })
    };
    let table = [
        ("list", Command::List { json: false, watch: false }),
        ("list --json --watch", Command::List { json: true, watch: true }),
        ("logs -f --lines 3 --worker link --since 10m --grep err|warn", Command::Logs(some_lines())),
        ("flush", Command::Flush),
        ("meters --json", Command::Meters { json: true, watch: false }),
        ("meters --watch", Command::Meters { json: false, watch: true }),
        ("monit", Command::Monit),
        ("ping", Command::Ping),
        ("wait", Command::Wait { for_: Goal::Online, timeout: Duration::from_secs(30) }),
        (
            "wait --for stopped --timeout 1500ms",
            Command::Wait { for_: Goal::Stopped, timeout: Duration::from_millis(1500) },
        ),
        ("stop", Command::Stop { now: false }),
        ("stop --now", Command::Stop { now: true }),
        ("reload", Command::Reload { json: false }),
        ("reload --json", Command::Reload { json: true }),
        ("upgrade --json", Command::Upgrade { json: true }),
        ("restart", Command::Restart { ids: vec![] }),
        ("restart 0 2", Command::Restart { ids: vec!["0".to_owned(), "2".to_owned()] }),
        ("scale 6", Command::Scale { amount: Scale::To(6) }),
        ("scale +2", Command::Scale { amount: Scale::Up(2) }),
        ("scale -1", Command::Scale { amount: Scale::Down(1) }),
        ("scale -1 --runtime-dir /a", Command::Scale { amount: Scale::Down(1) }),
        ("scale --log-level debug -- -1", Command::Scale { amount: Scale::Down(1) }),
        ("describe", Command::Describe { id: None, json: false }),
        ("describe 2 --json", Command::Describe { id: Some("2".to_owned()), json: true }),
        ("signal usr1 0", Command::Signal { signal: 10, ids: vec!["0".to_owned()] }),
        (
            "signal SIGKILL 0 link",
            Command::Signal { signal: 9, ids: vec!["0".to_owned(), "link".to_owned()] },
        ),
        ("get bar ZoneGain_0", param(Get, None, None)),
        ("get bar ZoneGain_0 --format pct --runtime-dir /a", param(Get, None, Some(Format::Pct))),
        ("set bar ZoneGain_0 -10", param(Set, Some("-10"), None)),
        ("set bar ZoneGain_0 -5% --runtime-dir /a", param(Set, Some("-5%"), None)),
        ("set bar ZoneGain_0 --runtime-dir /a", param(Set, None, None)),
        ("--runtime-dir /a bump bar ZoneGain_0 +3", param(Bump, Some("+3"), None)),
        ("startup", Command::Startup { packaged: false, file: None }),
        ("startup --packaged", Command::Startup { packaged: true, file: None }),
        ("startup --config x.toml", Command::Startup { packaged: false, file: Some("x.toml".into()) }),
        ("import x.json", import(None, None)),
        ("import x.json --app a --env b", import(Some("a"), Some("b"))),
        ("capture bar f", capture(None, 64 << 20)),
        ("capture bar f --for 60s --max-size 1G --runtime-dir /a", capture(Some(60), 1 << 30)),
        ("version", Command::Version),
        ("--version", Command::Version),
        ("-V", Command::Version),
    ];
    for (line, expected) in table {
        assert_eq!(command(line), expected, "{line}");
    }
}

#[test]
fn start_may_be_left_out() {
    let lines = [
        "",
        "--workers 4",
        "--demo --listen [::]:1 --listen 127.0.0.1:2",
        "--config /x --set worker.watchdog=2s",
    ];
    for line in lines {
        assert_eq!(command(line), command(&format!("start {line}")), "{line}");
    }
    let both = parsed("--runtime-dir /a --workers 4 --log-level debug").unwrap();
    assert_eq!(both, parsed("--runtime-dir=/a --log-level=debug start --workers=4").unwrap());
    assert_eq!(both.runtime_dir, Path::new("/a"));
    assert_eq!(both.log_level, LevelFilter::Debug);
}

#[test]
fn a_flag_wins_over_the_environment() {
    assert_eq!(workers("--workers 4", &[("ATLAS_CLUSTER_WORKERS", "3")]), 4);
    assert_eq!(workers("--set workers=5", &[("ATLAS_CLUSTER_WORKERS", "3")]), 5);
    assert_eq!(workers("", &[("ATLAS_CLUSTER_WORKERS", "3")]), 3);
    assert_eq!(workers("--workers 4", &[("ATLAS_CLUSTER_WORKERS", "")]), 4);

    let file = |line| match parsed_with(line, &[("ATLAS_CLUSTER_CONFIG", "/env")], true).unwrap().command {
        Command::Start(_, file) => file,
        other => panic!("{other:?}"),
    };
    assert_eq!(file("").as_deref(), Some(Path::new("/env")));
    assert_eq!(file("--config /flag").as_deref(), Some(Path::new("/flag")));
}

#[test]
fn what_stands_behind_two_dashes_is_the_program() {
    for before in ["", "start ", "--runtime-dir /a ", "--workers 2 "] {
        let line = format!("{before}-- node x.js --help list");
        let Command::Start(overrides, _) = command(&line) else { panic!("`{line}` does not start") };
        let file = tempfile::NamedTempFile::new().unwrap();
        let program = load(&overrides, Some(file.path())).unwrap().config.worker.program.unwrap();
        assert_eq!((program.name.as_str(), &program.arguments.join(" ")[..]), ("node", "x.js --help list"));
    }
}

#[test]
fn the_runtime_directory_is_found() {
    let xdg = ("XDG_RUNTIME_DIR", "/run/user/7");
    let own = ("ATLAS_CLUSTER_RUNTIME_DIR", "/own");
    let table: &[(&str, Variables<'_>, bool, Option<&str>)] = &[
        ("ping", &[], true, Some("/run/atlas-cluster")),
        ("ping", &[xdg], true, Some("/run/atlas-cluster")),
        ("ping", &[xdg], false, Some("/run/user/7/atlas-cluster")),
        ("ping", &[xdg, own], false, Some("/own")),
        ("ping --runtime-dir /flag", &[xdg, own], false, Some("/flag")),
        ("--runtime-dir /flag ping", &[], false, Some("/flag")),
        ("ping", &[("XDG_RUNTIME_DIR", "relative")], false, None),
        ("ping", &[("XDG_RUNTIME_DIR", "")], false, None),
        ("ping", &[], false, None),
    ];
    for (line, variables, root, expected) in table {
        match (parsed_with(line, variables, *root), expected) {
            (Ok(invocation), Some(expected)) => assert_eq!(invocation.runtime_dir, Path::new(expected)),
            (Err(error), None) => assert_eq!(
                error.render(),
                "atlas-cluster: no runtime directory: none was given, and XDG_RUNTIME_DIR names none\n\
                 hint: give one with --runtime-dir DIR, or with ATLAS_CLUSTER_RUNTIME_DIR\n"
            ),
            (found, _) => panic!("{line} {variables:?}: {found:?}"),
        }
    }
    let relative = parsed("ping --runtime-dir here").unwrap().runtime_dir;
    assert_eq!(relative, std::env::current_dir().unwrap().join("here"));
}

#[test]
fn a_processor_is_simulated_as_the_options_say() {
    use crate::roles::simulated::{Plan, fault::Kind, model::Product};
    assert_eq!(command("simulate"), Command::Simulate(Plan::default()));
    let Command::Simulate(plan) = command(
        "simulate --model AZMP8 --address 127.0.0.3 --tcp-port 0 --meter-port 9 --rate 30 --batch 64 --seed 7 \
         --fault lockup@30s+5s --fault rename --inactivity 1m --connections 2 --stats-socket s --replay r",
    ) else {
        panic!("another command")
    };
    assert_eq!((plan.product, plan.seed, plan.batch, plan.connections), (Product::Azmp8, 7, 64, 2));
    assert_eq!(plan.address.to_string(), "127.0.0.3");
    assert_eq!((plan.tcp_port, plan.meter_port), (0, 9));
    assert_eq!(plan.interval * 30, Duration::from_secs(1) - Duration::from_nanos(10));
    assert_eq!(plan.inactivity, Duration::from_secs(60));
    let faults: Vec<_> = plan.faults.iter().map(|fault| (fault.kind, fault.at.as_secs())).collect();
    assert_eq!(faults, [(Kind::Lockup, 30), (Kind::Rename, 0)]);
    assert_eq!((plan.control, plan.replay), (Some("s".into()), Some("r".into())));
}

#[test]
fn help_version_and_simulate_need_no_runtime_directory() {
    for line in [
        "simulate",
        "man",
        "man list",
        "startup",
        "import x",
        "completions zsh",
        "--help",
        "-h",
        "help",
        "list --help",
        "help list",
        "version",
        "--version",
    ] {
        assert!(parsed_with(line, &[], false).is_ok(), "{line}");
    }
}

#[test]
fn every_help_ends_with_an_example() {
    let verbs = <cli::Cli as clap::CommandFactory>::command();
    let lines = verbs.get_subcommands().map(|verb| format!("{} --help", verb.get_name()));
    for line in lines.chain(["--help".to_owned(), "--workers 4 --help".to_owned()]) {
        let Command::Help(text) = command(&line) else { panic!("`{line}` gives no help") };
        let last: Vec<&str> = text.lines().rev().take(2).collect();
        let is_example = |line: &str| line == "Example:" || line.starts_with("  atlas-cluster");
        assert!(last[0].starts_with("  atlas-cluster") && is_example(last[1]), "{line}: {last:?}");
        assert!(text.contains("Usage: atlas-cluster") && !text.contains("other-name"), "{line}: {text}");
        assert!(!text.contains('\u{1b}'), "{line} has colour");
    }
}

#[test]
fn clap_finds_its_own_definition_sound() {
    <cli::Cli as clap::CommandFactory>::command().debug_assert();
}
