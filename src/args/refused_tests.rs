//! Bad command lines in, exact words out.

use super::tests::{parsed, parsed_with};
use super::{Surroundings, parse_in};
use std::ffi::OsString;

#[test]
fn each_bad_line_is_answered_with_what_is_wrong_and_the_way_out() {
    #[rustfmt::skip]
    let table = [
        ("--wrokers 4", "unexpected argument '--wrokers'", "did you mean '--workers'?"),
        ("--workers", "'--workers' needs a value", "see 'atlas-cluster start --help'"),
        ("--workers 0", "--workers: `0` is out of range", WORKERS),
        ("--workers 65", "--workers: `65` is out of range", WORKERS),
        ("--workers -1", "--workers: `-1` is out of range", WORKERS),
        ("--workers x", "--workers: `x` is not a number of workers", WORKERS),
        ("--workers 1 --workers 2", "'--workers' was given more than once", "see 'atlas-cluster start --help'"),
        ("--listen 1.2.3.4", "--listen: `1.2.3.4` is not an IP address with a port",
         "allowed: 1 to 16 addresses, each an IP address with a port (port 0: any free one); for example `--listen 0.0.0.0:3131`"),
        ("--listen [::]:1 --listen 127.0.0.1:1", "--listen: `127.0.0.1:1` overlaps `[::]:1`",
         "remove one of them: [::] takes every address of its port, IPv4 too"),
        ("--demo=2", "'--demo' takes no value, but got '2'", "see 'atlas-cluster start --help'"),
        ("--set worker.cwd", "--set: `worker.cwd` has no `=`", "allowed: KEY=VALUE; for example `--set worker.watchdog=10s`"),
        ("--log-level loud ping", "--log-level: `loud` is not a log level",
         "allowed: off, error, warn, info, debug, trace; for example `--log-level debug`"),
        ("--runtime-dir", "'--runtime-dir' needs a value", "see 'atlas-cluster --help'"),
        ("start now", "unexpected argument 'now'", BEHIND),
        ("check app.js", "unexpected argument 'app.js'", BEHIND),
        ("./app.js", "unknown command './app.js'", BEHIND),
        ("start -i 4", "unexpected argument '-i'", "PM2's `-i` is `atlas-cluster --workers` here"),
        ("start --watch", "unexpected argument '--watch'", "PM2's `--watch` has no counterpart here; docs/pm2.md says what to use"),
        ("--workers 4 list", "unexpected argument 'list'", "a command comes before its options: 'atlas-cluster list'"),
        ("list --jsn", "unexpected argument '--jsn'", "did you mean '--json'?"),
        ("list x", "unexpected argument 'x'", "see 'atlas-cluster list --help'"),
        ("lits", "unknown command 'lits'", "did you mean 'list'?"),
        ("nothing", "unknown command 'nothing'", VERBS),
        ("delete", "unknown command 'delete'", "PM2's `delete` is `atlas-cluster stop` here"),
        ("serve", "unknown command 'serve'", "PM2's `serve` has no counterpart here; docs/pm2.md says what to use"),
        ("help nonsense", "unknown command 'nonsense'", VERBS),
        ("wait --for onlin", "'--for' cannot be 'onlin'", "did you mean 'online'?"),
        ("wait --for x", "'--for' cannot be 'x'", "allowed: online, stopped"),
        ("wait --timeout soon", "--timeout: `soon` is not a duration",
         "allowed: a duration up to 24h, with its unit; for example `--timeout 30s`"),
        ("wait --timeout 25h", "--timeout: `25h` is out of range",
         "allowed: a duration up to 24h, with its unit; for example `--timeout 30s`"),
        ("scale", "'scale' needs <N|+N|-N>", "for example `atlas-cluster scale +2`"),
        ("scale 0", "scale: `0` is out of range", AMOUNT),
        ("scale 65", "scale: `65` is out of range", AMOUNT),
        ("scale -65", "scale: `-65` is out of range", AMOUNT),
        ("scale abc", "scale: `abc` is not a number of workers", AMOUNT),
        ("scale -1.5", "scale: `-1.5` is not a number of workers", AMOUNT),
        ("scale -abc", "unexpected argument '-abc'", "see 'atlas-cluster scale --help'"),
        ("scale 1 2", "unexpected argument '2'", "see 'atlas-cluster scale --help'"),
        ("--", "there is no program behind `--`", NO_PROGRAM),
        ("start --workers 2 --", "there is no program behind `--`", NO_PROGRAM),
        ("describe 1 2", "unexpected argument '2'", "see 'atlas-cluster describe --help'"),
        ("check --workers 0", "--workers: `0` is out of range", WORKERS),
        ("check --", "there is no program behind `--`", NO_PROGRAM),
        ("completions", "'completions' needs <SHELL>",
         "for example `atlas-cluster completions bash > /etc/bash_completion.d/atlas-cluster`"),
        ("completions tcsh", "completions: `tcsh` is not a known shell", SHELLS),
        ("man lits", "unknown command 'lits'", "did you mean 'list'?"),
        ("monit 3", "unexpected argument '3'", "see 'atlas-cluster monit --help'"),
        ("signal", "'signal' needs <NAME>", "for example `atlas-cluster signal USR1 0 2`"),
        ("signal HUP", "'signal' needs <ID>...", "for example `atlas-cluster signal USR1 0 2`"),
        ("signal BOO 0", "signal: `BOO` is not a signal", SIGNALS),
        ("signal 0 0", "signal: `0` is not a signal", SIGNALS),
        ("--log-level debug logs --json", "unexpected argument '--json'", "see 'atlas-cluster logs --help'"),
        ("logs --since yesterday", "--since: `yesterday` is neither a duration nor a time", "allowed: how long ago, with its unit, or when, as RFC 3339; for example `--since 10m`"),
        ("logs --lines -3", "--lines: `-3` is not a number of lines", "allowed: a whole number; for example `--lines 50`"),
        ("logs --lines few", "--lines: `few` is not a number of lines", "allowed: a whole number; for example `--lines 50`"),
        ("--share=2", "'--share' takes no value, but got '2'", "see 'atlas-cluster start --help'"),
        ("--balance fast", "--balance: `fast` is unknown", "allowed: \"flow\" or \"spread\"; for example `--balance flow`"),
    ];
    are_refused(&table);
    assert!(parsed("--balance spread").is_ok() && parsed("start --share").is_ok());
}

#[test]
fn an_empty_word_is_no_program() {
    for before in [&["-x"][..], &["-x", "start"], &["-x", "check"]] {
        let argv = before.iter().chain(&["--", ""]).map(OsString::from).collect();
        let error = parse_in(argv, &Surroundings { lookup: &|_| None, root: true }).unwrap_err();
        assert_eq!(error.to_string(), "there is no program behind `--`", "its name is empty");
    }
}

#[test]
fn each_bad_line_about_processors_is_answered_with_what_is_wrong_and_the_way_out() {
    #[rustfmt::skip]
    let table = [
        ("simulate --model azm9", "--model: `azm9` is not a model", "allowed: azm4, azm8, azmp4, azmp8; for example `--model azm8`"),
        ("simulate --address here", "--address: `here` is not an IP address", "for example `--address 127.0.0.3`"),
        ("simulate --tcp-port 65536", "--tcp-port: `65536` is out of range",
         "allowed: a whole number from 0 to 65535; for example `--tcp-port 5321`"),
        ("simulate --rate -1", "--rate: `-1` is out of range", "allowed: a whole number from 1 to 1000; for example `--rate 10`"),
        ("simulate --rate fast", "--rate: `fast` is not a whole number", "allowed: a whole number from 1 to 1000; for example `--rate 10`"),
        ("simulate --inactivity 0s", "--inactivity: `0s` is out of range", INACTIVITY),
        ("simulate --inactivity 5", "--inactivity: `5` is not a duration", INACTIVITY),
        ("simulate --fault explode@1s", "--fault: `explode@1s` is not a kind of fault", FAULT),
        ("simulate --fault lockup@1", "--fault: `lockup@1` has an invalid time or duration", FAULT),
        ("simulate --fault rename+1s", "--fault: `rename+1s` takes no duration", FAULT),
        ("capture bar f --for 0s", "--for: `0s` is out of range", "allowed: a duration of more than 0s up to 365 days, with its unit; for example `--for 60s`"),
        ("capture bar f --for 60", "--for: `60` is not a duration", "allowed: a duration of more than 0s up to 365 days, with its unit; for example `--for 60s`"),
        ("capture bar f --max-size 1K", "--max-size: `1K` is out of range", "allowed: a size from 4K to 1024G; for example `--max-size 200M`"),
        ("capture bar f --max-size big", "--max-size: `big` is not a size", "allowed: a size from 4K to 1024G; for example `--max-size 200M`"),
        ("simulate azm8", "unexpected argument 'azm8'", "see 'atlas-cluster simulate --help'"),
        ("get bar ZoneGain_0 --format db", "--format: `db` is unknown", "allowed: val, pct, str"),
        ("set bar ZoneGain_0 -10 -20", "unexpected argument '-20'", "see 'atlas-cluster set --help'"),
        ("capture bar f --for -3s", "--for: `-3s` is not a duration", "allowed: a duration of more than 0s up to 365 days, with its unit; for example `--for 60s`"),
        ("get bar", "'get' needs <PARAM>", "for example `atlas-cluster get bar ZoneName_0`"),
    ];
    are_refused(&table);
}

/// Each line, with what is said of it and the way out.
#[track_caller]
fn are_refused(table: &[(&str, &str, &str)]) {
    for &(line, said, hint) in table {
        let error = match parsed(line) {
            Ok(invocation) => panic!("`{line}` is accepted: {invocation:?}"),
            Err(error) => error.render(),
        };
        assert_eq!(error, format!("atlas-cluster: {said}\nhint: {hint}\n"), "{line}");
    }
}

#[test]
fn the_error_of_a_variable_names_it() {
    #[rustfmt::skip]
    let table = [
        ("", "ATLAS_CLUSTER_WORKERS", "0", "ATLAS_CLUSTER_WORKERS: `0` is out of range"),
        ("ping", "ATLAS_CLUSTER_LOG_LEVEL", "loud", "ATLAS_CLUSTER_LOG_LEVEL: `loud` is not a log level"),
    ];
    for (line, variable, value, said) in table {
        assert_eq!(parsed_with(line, &[(variable, value)], true).unwrap_err().to_string(), said);
    }
    assert!(parsed_with("ping", &[("ATLAS_CLUSTER_WORKERS", "0")], true).is_ok(), "only start cares");
}

const WORKERS: &str = "allowed: a whole number from 1 to 64, or \"max\"; for example `--workers 4`";
const AMOUNT: &str =
    "allowed: a number from 1 to 64, or +N or -N for so many more or fewer; for example `scale +2`";
const INACTIVITY: &str =
    "allowed: a duration of more than 0s up to a year, with its unit; for example `--inactivity 5m`";
const FAULT: &str = "allowed: lockup, slow, half-open, garbage, reboot, rename, control-off, split, glued, crlf, each with \
                     @TIME and +DURATION; for example `--fault lockup@30s`";
const SIGNALS: &str = "allowed: HUP, INT, QUIT, ILL, TRAP, ABRT, BUS, FPE, KILL, USR1, SEGV, USR2, PIPE, ALRM, TERM, STKFLT, CHLD, CONT, \
                       STOP, TSTP, TTIN, TTOU, URG, XCPU, XFSZ, VTALRM, PROF, WINCH, IO, PWR, SYS, RTMIN to RTMAX, with or without \
                       SIG, or a number; for example `signal USR1 0`";
const SHELLS: &str = "allowed: bash, zsh, fish; for example `completions bash`";
const BEHIND: &str = "a program and its arguments stand behind `--`: `atlas-cluster -- node server.js`";
const NO_PROGRAM: &str = "name it: `atlas-cluster -- PROGRAM ARGS…`; without `--` the built-in worker runs";
const VERBS: &str = "this version has start, list, describe, meters, monit, check, ping, wait, stop, reload, upgrade, restart, scale, signal, simulate, get, set, bump, import, startup, completions, man, logs, flush, capture, version";
