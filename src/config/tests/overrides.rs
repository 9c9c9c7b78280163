//! Flags over environment over file over defaults.

use super::super::{ConfigError, Origin, Overrides, Processor};
use super::{NOW, good, loaded_with, refusal};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

/// Overrides from an environment that holds just these variables.
fn environment(variables: &[(&str, &str)]) -> Result<Overrides, ConfigError> {
    Overrides::from_environment(&|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    })
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = "workers = 2";
    let with = |variable: bool, flag: bool| {
        let variables: &[_] = if variable { &[("ATLAS_CLUSTER_WORKERS", "3")] } else { &[] };
        let mut overrides = environment(variables).unwrap();
        if flag {
            overrides.flag("--workers", "workers", "4");
        }
        let loaded = loaded_with(file, &overrides).unwrap();
        (loaded.config.workers, loaded.origins["workers"].clone())
    };
    assert!(matches!(with(false, false), (2, Origin::File { line: 1, .. })));
    assert_eq!(with(true, false), (3, Origin::Environment("ATLAS_CLUSTER_WORKERS".to_owned())));
    assert_eq!(with(false, true), (4, Origin::Flag("--workers".to_owned())));
    assert_eq!(with(true, true), (4, Origin::Flag("--workers".to_owned())));
}

#[test]
fn variables_are_read_by_their_names() {
    let overrides = environment(&[
        ("ATLAS_CLUSTER_LISTEN", "[::]:3131, 0.0.0.0:4000"),
        ("ATLAS_CLUSTER_RECEIVE_BUFFER", "1M"),
        ("ATLAS_CLUSTER_BALANCE", "flow"),
        ("ATLAS_CLUSTER_SHARE", "1"),
        ("ATLAS_CLUSTER_ACCEPT_UNKNOWN", "1"),
        ("ATLAS_CLUSTER_STALE_AFTER", "9s"),
        ("ATLAS_CLUSTER_DEMO", "true"),
        ("ATLAS_CLUSTER_WORKER_MAX_RESTARTS", "16"),
        ("ATLAS_CLUSTER_WORKER_MAX_MEMORY_RESTART", "104857600"),
        ("ATLAS_CLUSTER_WORKER_WATCHDOG", "0s"),
        ("ATLAS_CLUSTER_WORKER_CWD", "/123"),
        ("ATLAS_CLUSTER_WORKER_KILL_TIMEOUT", ""),
        ("ATLAS_CLUSTER_RUNTIME_DIR", "/x"),
        ("ATLAS_CLUSTER_LOG_LEVEL", "debug"),
        ("ATLAS_CLUSTER_LOG", "nonsense"),
        ("ATLAS_CLUSTER_WHATEVER", "nonsense"),
    ]);
    let config = loaded_with("", &overrides.unwrap()).unwrap().config;
    let mut expected = good("").config;
    expected.listen = vec!["[::]:3131".parse().unwrap(), "0.0.0.0:4000".parse().unwrap()];
    expected.receive_buffer = 1 << 20;
    expected.accept_unknown = true;
    expected.stale_after = Duration::from_secs(9);
    expected.share = true;
    expected.demo = true;
    let address = "127.0.0.2".parse().unwrap();
    expected.processor = vec![Processor { name: "demo".to_owned(), address, tcp_port: 0 }];
    expected.worker.max_restarts = 16;
    expected.worker.max_memory_restart = Some(100 << 20);
    expected.worker.watchdog = None;
    expected.worker.cwd = Some("/123".into());
    assert_eq!(config, expected);
}

#[test]
fn a_number_below_zero_can_be_given_where_one_is_allowed() {
    let mut flag = Overrides::default();
    flag.set("worker.nice=-5").unwrap();
    let variable = environment(&[("ATLAS_CLUSTER_WORKER_NICE", "-5")]).unwrap();
    for overrides in [flag, variable] {
        assert_eq!(loaded_with("", &overrides).unwrap().config.worker.nice, Some(-5));
    }
    for bad in ["-21", "--5", "-", "5-"] {
        let mut overrides = Overrides::default();
        overrides.set(&format!("worker.nice={bad}")).unwrap();
        assert!(overrides.check().is_err(), "{bad}");
    }
}

#[test]
fn keys_that_contradict_each_other_are_refused_wherever_they_come_from() {
    let mut overrides = environment(&[("ATLAS_CLUSTER_SHARE", "true")]).unwrap();
    assert!(loaded_with("balance = 'flow'", &overrides).unwrap().config.share);
    overrides.flag("--balance", "balance", "spread");
    assert_eq!(
        loaded_with("", &overrides).unwrap_err(),
        "atlas-cluster: --balance: `balance = \"spread\"` does not go with `share` (from ATLAS_CLUSTER_SHARE)\n\
         hint: remove one of them: `spread` needs the port to itself\n"
    );
    overrides.set("share=false").unwrap();
    assert!(loaded_with("", &overrides).is_ok(), "a flag over the environment");
}

#[test]
fn set_takes_toml_or_bare_text_and_the_last_one_wins() {
    let mut overrides = Overrides::default();
    for assignment in [
        "worker.watchdog=2s",
        "worker.watchdog = \"3s\"",
        "worker.env={ A = \"b\" }",
        "listen=[\"127.0.0.1:1\", \"127.0.0.2:1\"]",
        "worker.cwd='/a=b'",
        "accept_unknown=true",
    ] {
        overrides.set(assignment).unwrap();
    }
    let config = loaded_with("", &overrides).unwrap().config;
    assert_eq!(config.worker.watchdog, Some(Duration::from_secs(3)));
    assert_eq!(config.worker.env["A"], "b");
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.worker.cwd, Some("/a=b".into()));
    assert!(config.accept_unknown);
}

#[test]
fn a_bad_variable_is_named() {
    #[rustfmt::skip]
    let table = [
        ("ATLAS_CLUSTER_WORKERS", "none",
         "`none` is not a number of workers\nhint: allowed: a whole number from 1 to 64, or \"max\"; for example `ATLAS_CLUSTER_WORKERS=4`"),
        ("ATLAS_CLUSTER_DEMO", "maybe",
         "`maybe` is neither true nor false\nhint: allowed: true or false; for example `ATLAS_CLUSTER_DEMO=true`"),
        ("ATLAS_CLUSTER_LISTEN", "0.0.0.0:1,nowhere",
         "`nowhere` is not an IP address with a port\nhint: allowed: 1 to 16 addresses, each an IP address with a port (port 0: any free one); for example `ATLAS_CLUSTER_LISTEN=0.0.0.0:3131`"),
        ("ATLAS_CLUSTER_WORKER_MAX_RESTARTS", "many",
         "`many` is not a whole number\nhint: allowed: a whole number from 0 to 4294967295; for example `ATLAS_CLUSTER_WORKER_MAX_RESTARTS=16`"),
        ("ATLAS_CLUSTER_BALANCE", "fast",
         "`fast` is unknown\nhint: allowed: \"flow\" or \"spread\"; for example `ATLAS_CLUSTER_BALANCE=flow`"),
    ];
    for (variable, value, said) in table {
        let error = environment(&[(variable, value)]).unwrap().check().unwrap_err();
        assert_eq!(
            error.render().replace(NOW, "version NOW"),
            format!("atlas-cluster: {variable}: {said}\n")
        );
    }
}

#[test]
fn a_variable_that_is_not_text_is_named() {
    let lookup = |name: &str| (name == "ATLAS_CLUSTER_STALE_AFTER").then(|| OsString::from_vec(vec![0xff]));
    let error = Overrides::from_environment(&lookup).unwrap_err();
    assert_eq!(
        error.render(),
        "atlas-cluster: ATLAS_CLUSTER_STALE_AFTER: the value is not UTF-8\n\
         hint: allowed: a duration from 100ms to 1h, with its unit\n"
    );
}

#[test]
fn a_bad_assignment_is_refused_at_once() {
    let error = |assignment: &str| Overrides::default().set(assignment).unwrap_err().render();
    assert_eq!(
        error("worker.watchdog"),
        "atlas-cluster: --set: `worker.watchdog` has no `=`\n\
         hint: allowed: KEY=VALUE; for example `--set worker.watchdog=10s`\n"
    );
    let said = error("worker.watchdgo=1s");
    assert!(
        said.starts_with(
            "atlas-cluster: --set: unknown key `worker.watchdgo`\nhint: did you mean `worker.watchdog`? "
        ),
        "{said}"
    );
}

#[test]
fn the_error_of_an_assignment_repeats_the_flag() {
    let mut overrides = Overrides::default();
    overrides.set("worker.watchdog=5").unwrap();
    assert_eq!(
        overrides.check().unwrap_err().render(),
        "atlas-cluster: --set worker.watchdog: `5` is not a duration\n\
         hint: allowed: a duration from 100ms to 1h, with its unit, or \"0s\" for off; \
         for example `--set worker.watchdog=10s`\n"
    );
}

#[test]
fn the_demo_s_processor_is_one_more_with_an_address_of_its_own() {
    let overrides = environment(&[("ATLAS_CLUSTER_DEMO", "1")]).unwrap();
    let bar = |address: &str| format!("[[processor]]\nname = 'bar'\naddress = '{address}'\n");
    let six = "listen = ['[fd00::9]:3131']\n";
    for (file, processors, welcome) in [
        (String::new(), "demo 127.0.0.2:0", true),
        ("listen = ['[::]:3131']".to_owned(), "demo 127.0.0.2:0", true),
        (six.to_owned(), "demo [::1]:0", true),
        (bar("10.0.0.1"), "bar 10.0.0.1:5321, demo 127.0.0.2:0", false),
        (bar("127.0.0.2"), "bar 127.0.0.2:5321, demo 127.0.0.3:0", false),
    ] {
        let config = loaded_with(&file, &overrides).unwrap().config;
        let shown = config.processor.iter().map(|processor| {
            format!("{} {}", processor.name, SocketAddr::new(processor.address, processor.tcp_port))
        });
        assert_eq!(shown.collect::<Vec<_>>().join(", "), processors, "{file}");
        assert_eq!(config.accept_unknown, welcome, "strangers, where the file names nobody: {file}");
    }
    let many: String =
        (0..64).map(|i| bar(&format!("10.0.0.{i}")).replace("bar", &format!("b{i}"))).collect();
    for (file, said) in [
        (many, "no demo: there is no room for its processor beside 64 others"),
        (bar("10.0.0.1").replace("bar", "demo"), "no demo: its processor is called `demo`"),
        (format!("{six}{}", bar("::1")), "no demo: its processor needs the address ::1"),
    ] {
        let error = loaded_with(&file, &overrides).unwrap_err();
        assert!(error.contains(said) && error.contains("\nhint: ") && error.contains("DEMO"), "{error}");
    }
}

#[test]
fn that_there_are_more_problems_is_said_where_there_are() {
    let file = |keys: usize| {
        let text: String = (0..keys).map(|key| format!("nonsense_{key} = 1\n")).collect();
        refusal(&text)
    };
    let flags = |flags: usize| {
        let mut overrides = Overrides::default();
        (0..flags).for_each(|_| overrides.flag("--workers", "workers", "0"));
        overrides.check().unwrap_err().render()
    };
    let said = |text: &str| (text.matches("atlas-cluster: ").count(), text.contains("only the first 16"));
    for render in [file as fn(usize) -> String, flags] {
        assert_eq!(said(&render(16)), (16, false));
        assert_eq!(said(&render(17)), (16, true));
    }
}
