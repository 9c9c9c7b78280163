//! Every error in its exact words.

use super::super::Excerpt;
use super::super::suggest::nearest;
use super::{loaded, refusal};
use proptest::prelude::*;

/// A file, and everything that is said about it.
#[rustfmt::skip]
pub(super) const TABLE: &[(&str, &str)] = &[
    ("# a comment\n[worker]\nexp_backof_restart_delay = \"100ms\"\n",
r#"atlas-cluster: FILE:3:1: unknown key `exp_backof_restart_delay` in [worker]
  |
3 | exp_backof_restart_delay = "100ms"
  | ^^^^^^^^^^^^^^^^^^^^^^^^
hint: did you mean `exp_backoff_restart_delay`? allowed here: program, wait_ready, health_command, health_interval, health_timeout, listen_timeout, kill_signal, kill_timeout, min_uptime, max_restarts, stop_exit_codes, exp_backoff_restart_delay, exp_backoff_max_delay, max_memory_restart, watchdog, user, group, cwd, nice, cpu_affinity, limit_nofile, limit_nproc, limit_core, limit_as, limit_memlock, increment_var, env
"#),
    ("\n\n\n\n\n\n\n\n\nstale-after = '3s'",
r#"atlas-cluster: FILE:10:1: unknown key `stale-after`
   |
10 | stale-after = '3s'
   | ^^^^^^^^^^^
hint: did you mean `stale_after`? allowed here: workers, listen, receive_buffer, balance, share, accept_unknown, stale_after, [worker], [[processor]], [log]
"#),
    ("nonsense = 1",
r#"atlas-cluster: FILE:1:1: unknown key `nonsense`
  |
1 | nonsense = 1
  | ^^^^^^^^
hint: allowed here: workers, listen, receive_buffer, balance, share, accept_unknown, stale_after, [worker], [[processor]], [log]
"#),
    ("[workr]",
r#"atlas-cluster: FILE:1:2: unknown section `[workr]`
  |
1 | [workr]
  |  ^^^^^
hint: did you mean `[worker]`? allowed here: workers, listen, receive_buffer, balance, share, accept_unknown, stale_after, [worker], [[processor]], [log]
"#),
    ("watchdog = '1s'",
r#"atlas-cluster: FILE:1:1: unknown key `watchdog`
  |
1 | watchdog = '1s'
  | ^^^^^^^^
hint: did you mean `watchdog` in [worker]? allowed here: workers, listen, receive_buffer, balance, share, accept_unknown, stale_after, [worker], [[processor]], [log]
"#),
    ("[worker]\nworkers = 2",
r#"atlas-cluster: FILE:2:1: unknown key `workers` in [worker]
  |
2 | workers = 2
  | ^^^^^^^
hint: did you mean `workers` at the top of the file, before the first section? allowed here: program, wait_ready, health_command, health_interval, health_timeout, listen_timeout, kill_signal, kill_timeout, min_uptime, max_restarts, stop_exit_codes, exp_backoff_restart_delay, exp_backoff_max_delay, max_memory_restart, watchdog, user, group, cwd, nice, cpu_affinity, limit_nofile, limit_nproc, limit_core, limit_as, limit_memlock, increment_var, env
"#),
    ("\"worker.cwd\" = '/'",
r#"atlas-cluster: FILE:1:1: unknown key `worker.cwd`
  |
1 | "worker.cwd" = '/'
  | ^^^^^^^^^^^^
hint: allowed here: workers, listen, receive_buffer, balance, share, accept_unknown, stale_after, [worker], [[processor]], [log]
"#),
    ("workers = true",
r#"atlas-cluster: FILE:1:11: workers: the boolean `true` has the wrong type
  |
1 | workers = true
  |           ^^^^
hint: allowed: a whole number from 1 to 64, or "max"; for example `workers = 4`
"#),
    ("workers = 65",
r#"atlas-cluster: FILE:1:11: workers: `65` is out of range
  |
1 | workers = 65
  |           ^^
hint: allowed: a whole number from 1 to 64, or "max"; for example `workers = 4`
"#),
    ("workers = 'many'",
r#"atlas-cluster: FILE:1:11: workers: `many` is not a number of workers
  |
1 | workers = 'many'
  |           ^^^^^^
hint: allowed: a whole number from 1 to 64, or "max"; for example `workers = 4`
"#),
    ("accept_unknown = 1",
r#"atlas-cluster: FILE:1:18: accept_unknown: the integer `1` has the wrong type
  |
1 | accept_unknown = 1
  |                  ^
hint: allowed: true or false; for example `accept_unknown = true`
"#),
    ("worker = 1\nprocessor = 2",
r#"atlas-cluster: FILE:1:10: worker: the integer `1` has the wrong type
  |
1 | worker = 1
  |          ^
hint: allowed: a section, its keys under a line [worker]
atlas-cluster: FILE:2:13: processor: the integer `2` has the wrong type
  |
2 | processor = 2
  |             ^
hint: allowed: at most 64 processors, each under a line [[processor]] of its own
"#),
    ("receive_buffer = '4 MB'",
r#"atlas-cluster: FILE:1:18: receive_buffer: `4 MB` is not a size
  |
1 | receive_buffer = '4 MB'
  |                  ^^^^^^
hint: allowed: a size from 4K to 1G; for example `receive_buffer = "4M"`
"#),
    ("worker.kill_timeout = 1600",
r#"atlas-cluster: FILE:1:23: worker.kill_timeout: the integer `1600` has the wrong type
  |
1 | worker.kill_timeout = 1600
  |                       ^^^^
hint: allowed: a duration from 10ms to 1h, with its unit; for example `kill_timeout = "1600ms"`
"#),
    ("\tstale_after\t=\t'日本 parsecs'",
"atlas-cluster: FILE:1:16: stale_after: `日本 parsecs` is not a duration
  |
1 | \tstale_after\t=\t'日本 parsecs'
  | \t           \t \t^^^^^^^^^^^^^^
hint: allowed: a duration from 100ms to 1h, with its unit; for example `stale_after = \"3s\"`
"),
    ("listen = ['日:1', '1.2.3.4']",
r#"atlas-cluster: FILE:1:11: listen: `日:1` is not an IP address with a port
  |
1 | listen = ['日:1', '1.2.3.4']
  |           ^^^^^^
hint: allowed: 1 to 16 addresses, each an IP address with a port (port 0: any free one); for example `listen = ["0.0.0.0:3131"]`
atlas-cluster: FILE:1:18: listen: `1.2.3.4` is not an IP address with a port
  |
1 | listen = ['日:1', '1.2.3.4']
  |                   ^^^^^^^^^
hint: allowed: 1 to 16 addresses, each an IP address with a port (port 0: any free one); for example `listen = ["0.0.0.0:3131"]`
"#),
    ("listen = [\n  '0.0.0.0:3131',\n  '127.0.0.1:3131',\n]",
r#"atlas-cluster: FILE:3:3: listen: `127.0.0.1:3131` overlaps `0.0.0.0:3131`
  |
3 |   '127.0.0.1:3131',
  |   ^^^^^^^^^^^^^^^^
hint: remove one of them: 0.0.0.0 takes every IPv4 address of its port
"#),
    ("listen = ['127.0.0.1:3131', '[::]:3131']",
r#"atlas-cluster: FILE:1:29: listen: `[::]:3131` overlaps `127.0.0.1:3131`
  |
1 | listen = ['127.0.0.1:3131', '[::]:3131']
  |                             ^^^^^^^^^^^
hint: remove one of them: [::] takes every address of its port, IPv4 too
"#),
    ("listen = ['[::1]:3131', '[::1]:3131']",
r#"atlas-cluster: FILE:1:25: listen: `[::1]:3131` overlaps `[::1]:3131`
  |
1 | listen = ['[::1]:3131', '[::1]:3131']
  |                         ^^^^^^^^^^^^
hint: remove one of them: each address once
"#),
    ("[worker]\ncwd = 'srv'\nmax_memory_restart = '1K'\nwatchdog = '1ms'\nenv = { 'A=' = 'x', B = 2 }",
r#"atlas-cluster: FILE:2:7: worker.cwd: `srv` is not an absolute path
  |
2 | cwd = 'srv'
  |       ^^^^^
hint: allowed: an absolute path; for example `cwd = "/srv/app"`
atlas-cluster: FILE:3:22: worker.max_memory_restart: `1K` is out of range
  |
3 | max_memory_restart = '1K'
  |                      ^^^^
hint: allowed: a size of at least 1M, as 200M or 1G; for example `max_memory_restart = "200M"`
atlas-cluster: FILE:4:12: worker.watchdog: `1ms` is out of range
  |
4 | watchdog = '1ms'
  |            ^^^^^
hint: allowed: a duration from 100ms to 1h, with its unit, or "0s" for off; for example `watchdog = "10s"`
atlas-cluster: FILE:5:9: worker.env: `A=` is not the name of a variable
  |
5 | env = { 'A=' = 'x', B = 2 }
  |         ^^^^
hint: allowed: a table of strings; for example `env = { PORT = "3000" }`
atlas-cluster: FILE:5:25: worker.env: the integer `2` has the wrong type
  |
5 | env = { 'A=' = 'x', B = 2 }
  |                         ^
hint: allowed: a table of strings; for example `env = { PORT = "3000" }`
"#),
    ("[[processor]]\nname = 'a'\naddress = 'fe80::1'",
r#"atlas-cluster: FILE:3:11: processor.address: `fe80::1` is link-local: it says nothing without an interface, and an address here names none
  |
3 | address = 'fe80::1'
  |           ^^^^^^^^^
hint: give the IPv4 address, or an IPv6 address that does not begin with fe80
"#),
    ("[[processor]]\nnmae = 'a'\naddress = '10.0.0.1:5321'\ntcp_port = 0",
r#"atlas-cluster: FILE:1:1: a [[processor]] has no `name`
  |
1 | [[processor]]
  | ^^^^^^^^^^^^^
hint: add `name = "bar"`
atlas-cluster: FILE:2:1: unknown key `nmae` in [[processor]]
  |
2 | nmae = 'a'
  | ^^^^
hint: did you mean `name`? allowed here: name, address, tcp_port
atlas-cluster: FILE:3:11: processor.address: `10.0.0.1:5321` is not an IP address
  |
3 | address = '10.0.0.1:5321'
  |           ^^^^^^^^^^^^^^^
hint: allowed: an IPv4 or IPv6 address, without a port; for example `address = "192.168.5.101"`
atlas-cluster: FILE:4:12: processor.tcp_port: `0` is out of range
  |
4 | tcp_port = 0
  |            ^
hint: allowed: a whole number from 1 to 65535; for example `tcp_port = 5321`
"#),
    ("[[processor]]\nname = 'a'\naddress = '10.0.0.1'\n[[processor]]\nname = 'a'\naddress = '::ffff:10.0.0.1'",
r#"atlas-cluster: FILE:5:8: two processors have the name `a`
  |
5 | name = 'a'
  |        ^^^
hint: each processor has a name of its own
atlas-cluster: FILE:6:11: two processors have the address `10.0.0.1`
  |
6 | address = '::ffff:10.0.0.1'
  |           ^^^^^^^^^^^^^^^^^
hint: each processor has an address of its own
"#),
    ("[[processor]]\nname = \"a\\u001b[31m\"\naddress = '10.0.0.1'\n[[processor]]\nname = ''\naddress = '10.0.0.2'",
"atlas-cluster: FILE:2:8: processor.name: `a\u{fffd}[31m` contains a control character
  |
2 | name = \"a\\u001b[31m\"
  |        ^^^^^^^^^^^^^
hint: allowed: 1 to 64 characters, none of them a control character; for example `name = \"bar\"`
atlas-cluster: FILE:5:8: processor.name: `` is empty
  |
5 | name = ''
  |        ^^
hint: allowed: 1 to 64 characters, none of them a control character; for example `name = \"bar\"`
"),
    ("balance = 'spread'\nshare = true",
r#"atlas-cluster: FILE:1:1: `balance = "spread"` does not go with `share` (from FILE:2)
  |
1 | balance = 'spread'
  | ^^^^^^^^^^^^^^^^^^
hint: remove one of them: `spread` needs the port to itself
"#),
    ("share = 1",
r#"atlas-cluster: FILE:1:9: share: the integer `1` has the wrong type
  |
1 | share = 1
  |         ^
hint: allowed: true or false; for example `share = true`
"#),
    ("demo = true\nruntime_dir = '/x'",
r#"atlas-cluster: FILE:1:1: `demo` is not part of the configuration
  |
1 | demo = true
  | ^^^^
hint: use the flag --demo, or ATLAS_CLUSTER_DEMO=1
atlas-cluster: FILE:2:1: `runtime_dir` is not part of the configuration
  |
2 | runtime_dir = '/x'
  | ^^^^^^^^^^^
hint: use the flag --runtime-dir DIR, or ATLAS_CLUSTER_RUNTIME_DIR
"#),
    ("balance = 'fast'",
r#"atlas-cluster: FILE:1:11: balance: `fast` is unknown
  |
1 | balance = 'fast'
  |           ^^^^^^
hint: allowed: "flow" or "spread"; for example `balance = "flow"`
"#),
    ("[worker]\nkill_signal = 'SIGSEGV'\nstop_exit_codes = [0, 256]\nuser = 'no such user'\nnice = 20\ncpu_affinity = 'all'",
r#"atlas-cluster: FILE:2:15: worker.kill_signal: `SIGSEGV` is not a signal that can ask a program to leave
  |
2 | kill_signal = 'SIGSEGV'
  |               ^^^^^^^^^
hint: allowed: SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGKILL; for example `kill_signal = "SIGTERM"`
atlas-cluster: FILE:3:23: worker.stop_exit_codes: `256` is out of range
  |
3 | stop_exit_codes = [0, 256]
  |                       ^^^
hint: allowed: a list of exit codes, each a whole number from 0 to 255; for example `stop_exit_codes = [0]`
atlas-cluster: FILE:4:8: worker.user: `no such user` is not a user in /etc/passwd
  |
4 | user = 'no such user'
  |        ^^^^^^^^^^^^^^
hint: allowed: the name or the number of a user
atlas-cluster: FILE:5:8: worker.nice: `20` is out of range
  |
5 | nice = 20
  |        ^^
hint: allowed: a whole number from -20 to 19; for example `nice = -5`
atlas-cluster: FILE:6:16: worker.cpu_affinity: `all` is not a list of CPUs
  |
6 | cpu_affinity = 'all'
  |                ^^^^^
hint: allowed: "auto" for one CPU each, or CPUs as "0,2-3"; for example `cpu_affinity = "auto"`
"#),
    ("[gateway]\nhttp = 'x'\n[mqtt]\nsite = 'x'",
r#"atlas-cluster: FILE:1:2: `gateway` is not supported by version NOW yet
  |
1 | [gateway]
  |  ^^^^^^^
hint: leave it out; `atlas-cluster meters --json` gives what the gateway will
atlas-cluster: FILE:3:2: `mqtt` is not supported by version NOW yet
  |
3 | [mqtt]
  |  ^^^^
hint: leave it out; `atlas-cluster meters --json` tells the levels
"#),
    ("workers 4",
r#"atlas-cluster: FILE:1:9: not valid TOML: key with no value, expected `=`
  |
1 | workers 4
  |         ^
hint: TOML has `key = value` lines, strings in double quotes, sections as [worker] or [[processor]]
"#),
    ("workers = 4\nworkers = 5",
r#"atlas-cluster: FILE:2:1: not valid TOML: duplicate key
  |
2 | workers = 5
  | ^^^^^^^
hint: each key stands once: leave one of the two out
"#),
];

#[test]
fn each_error_says_what_where_and_how_to_go_on() {
    for (text, said) in TABLE {
        let error = refusal(text);
        assert!(error == *said, "for {text:?}\nsaid {error}\nexpected {said}");
    }
}

#[test]
fn a_file_of_nonsense_is_answered_shortly() {
    let many = |line: &dyn Fn(u32) -> String| (0..60_000).map(line).collect::<String>();
    for text in [
        many(&|n| format!("k{n:x}=1\n")),
        format!("[worker.env]\n{}", many(&|n| format!("k{n:x}=1\n"))),
        format!("{} = 1", "k".repeat(1_000_000)),
        format!("workers = '{}'", "k".repeat(1_000_000)),
        format!("workers = {}", "[".repeat(1_000_000)),
    ] {
        let error = loaded(&text).unwrap_err();
        assert!(error.lines().count() <= 16 * 5 + 1, "{} lines", error.lines().count());
        assert!(error.lines().all(|line| line.chars().count() < 400), "a long line");
    }
}

#[test]
fn a_suggestion_is_a_slip_away_and_no_more() {
    let names = ["workers", "listen", "env"];
    let table = [
        ("worker", Some("workers")),
        ("wrokers", Some("workers")),
        ("Listen", Some("listen")),
        ("enf", Some("env")),
        ("xyz", None),
        ("listener_address", None),
        ("", None),
    ];
    for (word, meant) in table {
        assert_eq!(nearest(word, names), meant, "{word}");
    }
    let [long, longer] = [100, 101].map(|length| "k".repeat(length));
    assert_eq!(nearest(&long, [longer.as_str()]), Some(longer.as_str()));
    assert_eq!(nearest(&longer, [long.as_str()]), None, "the search would take too long");
}

proptest! {
    #[test]
    fn an_excerpt_can_be_made_of_any_place(text in "(?s).{0,300}", start in 0_usize..1300, length in 0_usize..1300) {
        let rendered = Excerpt::new(&text, &(start..start + length)).render();
        prop_assert_eq!(rendered.split('\n').count(), 3);
        prop_assert!(rendered.ends_with('^'));
    }

    #[test]
    fn no_text_is_too_strange(text in "(?s)[\\PC\n\t]{0,200}") {
        _ = loaded(&text);
    }

    #[test]
    fn no_value_is_too_strange(
        key in prop::sample::select(&["workers", "listen", "receive_buffer", "stale_after", "worker.env", "processor"]),
        value in "[-+0-9a-zA-Z.:\\[\\]{}'\"=, ]{0,20}",
    ) {
        _ = loaded(format!("{key} = {value}"));
    }
}
