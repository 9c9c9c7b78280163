//! Good files, ranges, and what a reload may not change.

use super::super::{
    Balance, Config, Cpus, Log, MAX_WORKERS, Origin, Processor, Program, unchangeable, usable_cpus,
};
use super::{good, loaded, refusal};
use contract::logs::Format;
use std::time::Duration;

#[test]
fn an_empty_file_says_nothing() {
    let loaded = good("");
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.origins.values().all(|origin| *origin == Origin::Default));
}

#[test]
fn every_key_of_this_version_reaches_its_field() {
    let config = good(EVERYTHING).config;
    assert_eq!(config.workers, 7);
    assert_eq!(config.listen, ["0.0.0.0:4000".parse().unwrap(), "[::1]:4000".parse().unwrap()]);
    assert_eq!(config.receive_buffer, 8 << 20);
    assert_eq!((config.balance, config.share), (Balance::Spread, false));
    assert!(config.accept_unknown);
    assert_eq!(config.stale_after, Duration::from_secs(4));
    assert!(!config.demo);
    let arguments = vec!["server.js".to_owned(), "--port 0".to_owned()];
    assert_eq!(config.worker.program, Some(Program { name: "/usr/bin/node".to_owned(), arguments }));
    assert!(!config.worker.wait_ready);
    assert_eq!(config.worker.listen_timeout, Duration::from_secs(5));
    assert_eq!(config.worker.kill_timeout, Duration::from_millis(1700));
    assert_eq!(config.worker.min_uptime, Duration::from_secs(2));
    assert_eq!(config.worker.max_restarts, 16);
    assert_eq!(config.worker.exp_backoff_restart_delay, Duration::from_millis(200));
    assert_eq!(config.worker.exp_backoff_max_delay, Duration::from_secs(90));
    assert_eq!(config.worker.max_memory_restart, Some(200 << 20));
    assert_eq!(config.worker.watchdog, Some(Duration::from_secs(20)));
    assert_eq!(config.worker.cwd.as_deref(), Some("/srv/app".as_ref()));
    assert_eq!(config.worker.env.into_iter().collect::<Vec<_>>(), [("KEY".to_owned(), "value".to_owned())]);
    let log = Log {
        format: Format::Json,
        dir: Some("/var/log/x".into()),
        max_size: 1 << 20,
        keep: 3,
        gzip: true,
        rate_limit: 50,
    };
    assert_eq!(config.log, log);
    let bar = Processor { name: "bar".to_owned(), address: "192.168.5.101".parse().unwrap(), tcp_port: 5322 };
    let patio = Processor { name: "patio".to_owned(), address: "fd00::1".parse().unwrap(), tcp_port: 5321 };
    assert_eq!(config.processor, [bar, patio]);
}

#[test]
fn a_configuration_survives_the_way_through_json() {
    for text in ["", EVERYTHING, "[worker]\nwatchdog = '0s'\nmin_uptime = '1234567ns'"] {
        let config = good(text).config;
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config, "{json}");
    }
}

#[test]
fn json_has_the_names_and_forms_that_children_read() {
    let json = serde_json::to_value(good(EVERYTHING).config).unwrap();
    assert_eq!(json["accept_unknown"], true);
    assert_eq!((&json["balance"], &json["share"]), (&"spread".into(), &false.into()));
    assert_eq!(json["receive_buffer"], 8 << 20);
    assert_eq!(json["worker"]["kill_timeout"], "1s 700ms");
    let bar = serde_json::json!({"name": "bar", "address": "192.168.5.101", "tcp_port": 5322});
    assert_eq!(json["processor"][0], bar);
}

#[test]
fn max_workers_is_one_for_each_cpu() {
    assert_eq!(good("workers = 'max'").config.workers, usable_cpus());
    assert!((1..=MAX_WORKERS).contains(&usable_cpus()));
}

#[test]
fn bounds_are_allowed_and_their_neighbours_are_not() {
    #[rustfmt::skip]
    let table: &[(&str, &[&str], &[&str])] = &[
        ("workers", &["1", "64"], &["0", "65", "-1", "99999999999999999999999999999999999999999"]),
        ("receive_buffer", &["4096", "'4K'", "'1G'", "0x1000"], &["4095", "'1025M'", "'3K'", "-1", "'99999999999G'", "'99999999999999999999'"]),
        ("stale_after", &["'100ms'", "'1h'"], &["'99ms'", "'1h 1ns'"]),
        ("worker.listen_timeout", &["'10ms'", "'1h'"], &["'9ms'", "'61m'", "'0s'"]),
        ("worker.kill_timeout", &["'10ms'", "'1m 30s'"], &["'9ms'", "'2h'"]),
        ("worker.min_uptime", &["'0s'", "'1h'"], &["'2h'"]),
        ("worker.max_restarts", &["0", "4294967295"], &["-1", "4294967296"]),
        ("worker.exp_backoff_restart_delay", &["'0s'", "'1h'"], &["'2h'"]),
        ("worker.exp_backoff_max_delay", &["'0s'", "'1h'"], &["'2h'"]),
        ("worker.max_memory_restart", &["'1M'", "'512G'"], &["'1023K'", "0", "'99999999999G'"]),
        ("worker.watchdog", &["'0s'", "'100ms'", "'1h'"], &["'99ms'", "'2h'"]),
    ];
    for (key, within, beyond) in table {
        for value in *within {
            good(&format!("{key} = {value}"));
        }
        for value in *beyond {
            let error = refusal(&format!("{key} = {value}"));
            assert!(error.contains("is out of range\n"), "{key} = {value}: {error}");
        }
    }
}

#[test]
fn an_address_that_nobody_has_is_no_processor_s() {
    for (address, why) in [
        ("0.0.0.0", "it stands for any"),
        ("::", "it stands for any"),
        ("::ffff:0.0.0.0", "it stands for any"),
        ("224.0.0.1", "it is a multicast group"),
        ("239.255.255.255", "it is a multicast group"),
        ("ff02::1", "it is a multicast group"),
        ("255.255.255.255", "it is the broadcast address"),
    ] {
        let error = refusal(&format!("[[processor]]\nname = 'a'\naddress = '{address}'"));
        assert!(error.contains(why) && error.contains("\nhint: allowed: "), "{error}");
    }
    for address in ["223.255.255.255", "240.0.0.1", "fec0::1", "::1"] {
        good(&format!("[[processor]]\nname = 'a'\naddress = '{address}'"));
    }
}

#[test]
fn a_name_that_is_another_one_s_address_would_be_either() {
    let two = |first: (&str, &str), second: (&str, &str)| {
        let table = |(name, address)| format!("[[processor]]\nname = '{name}'\naddress = '{address}'\n");
        table(first) + &table(second)
    };
    for text in [
        two(("10.0.0.2", "10.0.0.1"), ("b", "10.0.0.2")),
        two(("b", "10.0.0.2"), ("10.0.0.2", "10.0.0.1")),
        two(("b", "10.0.0.2"), ("::ffff:10.0.0.2", "10.0.0.1")),
    ] {
        let error = refusal(&text);
        assert!(error.contains("is the name of one processor and the address of another"), "{error}");
    }
    good(&two(("10.0.0.1", "10.0.0.1"), ("b", "10.0.0.2")));
}

#[test]
fn what_a_worker_runs_as_reaches_its_fields() {
    let text = "[worker]\nprogram = ['x']\nkill_signal = 'SIGINT'\nstop_exit_codes = [0, 7]\nnice = 5\n\
                cpu_affinity = '0-1'\nlimit_nofile = 100\nlimit_core = 0\nincrement_var = 'PORT'\n\
                env = { PORT = '3000' }\n";
    let worker = good(text).config.worker;
    assert_eq!((worker.kill_signal.as_str(), worker.stop_exit_codes.as_slice()), ("SIGINT", &[0, 7][..]));
    assert_eq!((worker.nice, worker.cpu_affinity.clone()), (Some(5), Some(Cpus::These(vec![0, 1]))));
    assert_eq!((worker.limits.nofile, worker.limits.core, worker.limits.nproc), (Some(100), Some(0), None));
    assert_eq!(worker.incremented(3), Some(("PORT", "3003".to_owned())));
}

#[test]
fn addresses_overlap_exactly_where_one_datagram_could_reach_both() {
    let table = [
        ("0.0.0.0:1", "0.0.0.0:1", true),
        ("0.0.0.0:1", "0.0.0.0:2", false),
        ("0.0.0.0:1", "127.0.0.1:1", true),
        ("127.0.0.1:1", "127.0.0.2:1", false),
        ("[::]:1", "[::1]:1", true),
        ("[::]:1", "0.0.0.0:1", true),
        ("[::]:1", "127.0.0.1:1", true),
        ("[::]:1", "127.0.0.1:2", false),
        ("[::1]:1", "0.0.0.0:1", false),
        ("[::1]:1", "[::2]:1", false),
        ("[::ffff:127.0.0.1]:1", "127.0.0.1:1", true),
        ("[::ffff:127.0.0.1]:1", "0.0.0.0:1", true),
        ("[fe80::1%1]:1", "[fe80::1%2]:1", false),
        ("[fe80::1%1]:1", "[fe80::1]:1", true),
        ("0.0.0.0:0", "0.0.0.0:0", false),
        ("[::]:0", "127.0.0.1:0", false),
    ];
    for (a, b, overlap) in table {
        for (a, b) in [(a, b), (b, a)] {
            let refused = loaded(format!("listen = ['{a}', '{b}']")).is_err();
            assert_eq!(refused, overlap, "{a} and {b}");
        }
    }
}

#[test]
fn lists_have_a_limit() {
    let listen = |count: u16| {
        format!("listen = {:?}", (1..=count).map(|n| format!("127.0.0.1:{n}")).collect::<Vec<_>>())
    };
    assert_eq!(good(&listen(16)).config.listen.len(), 16);
    assert!(refusal(&listen(17)).contains("listen: an array has 17 addresses\n"));
    assert!(refusal("listen = []").contains("listen: an array is empty\n"));

    let processors = |count: u16| -> String {
        (1..=count).map(|n| format!("[[processor]]\nname = 'p{n}'\naddress = '10.0.0.{n}'\n")).collect()
    };
    assert_eq!(good(&processors(64)).config.processor.len(), 64);
    assert!(refusal(&processors(65)).contains("FILE:1:3: 65 processors are too many\n"));

    let named = |name: &str| format!("[[processor]]\nname = \"{name}\"\naddress = '10.0.0.1'");
    good(&named(&"ä".repeat(64)));
    assert!(refusal(&named(&"ä".repeat(65))).contains("is too long\n"));
}

#[test]
fn a_reload_may_change_everything_but_the_addresses_and_the_kind_of_worker() {
    let table = [
        (EVERYTHING, EVERYTHING, None),
        ("listen = ['0.0.0.0:0']", "listen = ['0.0.0.0:0']", None),
        ("", EVERYTHING, Some("listen")),
        ("listen = ['0.0.0.0:0']", "listen = ['0.0.0.0:1']", Some("listen")),
        ("", "[worker]\nprogram = ['node']", Some("worker.program")),
        ("[worker]\nprogram = ['node']", "", Some("worker.program")),
        ("[worker]\nprogram = ['node']", "[worker]\nprogram = ['python3', 'a.py']", None),
        ("", "share = true", Some("share")),
        ("", "[log]\ndir = '/var/log/x'", Some("log.dir")),
        ("", "[log]\nkeep = 3\nformat = 'json'", None),
        ("share = true", "share = true\nbalance = 'flow'", None),
        ("balance = 'spread'", "workers = 3\nstale_after = '9s'\n[worker]\nwatchdog = '0s'", None),
    ];
    for (old, new, key) in table {
        assert_eq!(unchangeable(&good(old).config, &good(new).config), key, "{old} to {new}");
    }
}

const EVERYTHING: &str = r#"
workers = 7
listen = ["0.0.0.0:4000", "[::1]:4000"]
receive_buffer = "8M"
balance = "spread"
accept_unknown = true
stale_after = "4s"

[worker]
program = ["/usr/bin/node", "server.js", "--port 0"]
wait_ready = false
listen_timeout = "5s"
kill_signal = "SIGTERM"
kill_timeout = "1700ms"
min_uptime = "2s"
max_restarts = 16
exp_backoff_restart_delay = "200ms"
exp_backoff_max_delay = "1m 30s"
max_memory_restart = "200M"
watchdog = "20s"
cwd = "/srv/app"
env = { KEY = "value" }

[log]
format = "json"
dir = "/var/log/x"
max_size = "1M"
keep = 3
gzip = true
rate_limit = 50

[[processor]]
name = "bar"
address = "192.168.5.101"
tcp_port = 5322

[[processor]]
name = "patio"
address = "fd00::1"
"#;
