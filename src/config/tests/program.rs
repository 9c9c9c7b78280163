//! `worker.program`: how it is written, what is refused, what else it changes.

use super::super::{Overrides, Program};
use super::{good, loaded_with, refusal};
use std::time::Duration;

#[test]
fn a_program_is_given_as_words_or_as_toml() {
    let odd = ["a\"b'c", "two words", "line\nbreak", "[x", "", "ü\u{7f}\\"].map(str::to_owned);
    let variable =
        |name: &str| (name == "ATLAS_CLUSTER_WORKER_PROGRAM").then(|| r#"["sh", "-c", "a, b"]"#.into());
    let mut overrides = Overrides::from_environment(&variable).unwrap();
    let program = |overrides: &Overrides| {
        let program = loaded_with("", overrides).unwrap().config.worker.program.unwrap();
        [vec![program.name], program.arguments].concat()
    };
    assert_eq!(program(&overrides), ["sh", "-c", "a, b"]);
    overrides.set("worker.program=['node', 'server.js']").unwrap();
    assert_eq!(program(&overrides), ["node", "server.js"]);
    overrides.program(&odd);
    assert_eq!(program(&overrides), odd);
    overrides.set("worker.program=node server.js").unwrap();
    assert_eq!(
        overrides.check().unwrap_err().render(),
        "atlas-cluster: --set worker.program: `node server.js` is not a list of strings\n\
         hint: allowed: a list of strings, the program first; \
         for example `--set worker.program='[\"node\", \"server.js\"]'`\n"
    );
}

#[test]
fn a_program_has_a_watchdog_only_where_one_was_asked_for() {
    let ten = Some(Duration::from_secs(10));
    for (text, of_workers, of_roles) in [
        ("", ten, ten),
        ("worker.watchdog = '2s'", Some(Duration::from_secs(2)), Some(Duration::from_secs(2))),
        ("worker.program = ['node']", None, ten),
        ("worker.program = ['node']\nworker.watchdog = '10s'", ten, ten),
        ("worker.program = ['node']\nworker.watchdog = '0s'", None, ten),
    ] {
        let worker = good(text).config.worker;
        assert_eq!((worker.watchdog, worker.watchdog_of_roles()), (of_workers, of_roles), "{text}");
    }
}

#[test]
fn a_program_is_called_by_its_file_name() {
    for (name, shown) in [("node", "node"), ("/usr/bin/node", "node"), ("./a/", "a"), ("/", "/")] {
        assert_eq!(Program { name: name.to_owned(), arguments: vec![] }.file_name(), shown, "{name}");
    }
}

#[test]
#[rustfmt::skip]
fn what_is_no_program_is_refused_and_shown() {
    for (text, expected) in [
    ("[worker]\nprogram = 'node server.js'\nwait_ready = 'yes'",
r#"atlas-cluster: FILE:2:11: worker.program: the string `node server.js` has the wrong type
  |
2 | program = 'node server.js'
  |           ^^^^^^^^^^^^^^^^
hint: allowed: a list of strings, the program first; for example `program = ["node", "server.js"]`
atlas-cluster: FILE:3:14: worker.wait_ready: the string `yes` has the wrong type
  |
3 | wait_ready = 'yes'
  |              ^^^^^
hint: allowed: true or false; for example `wait_ready = true`
"#),
    ("[worker]\nprogram = ['', 8125, \"a\\u0000b\"]",
r#"atlas-cluster: FILE:2:12: worker.program: `` is empty
  |
2 | program = ['', 8125, "a\u0000b"]
  |            ^^
hint: allowed: a list of strings, the program first; for example `program = ["node", "server.js"]`
atlas-cluster: FILE:2:16: worker.program: the integer `8125` has the wrong type
  |
2 | program = ['', 8125, "a\u0000b"]
  |                ^^^^
hint: allowed: a list of strings, the program first; for example `program = ["node", "server.js"]`
atlas-cluster: FILE:2:22: worker.program: `a�b` contains a NUL
  |
2 | program = ['', 8125, "a\u0000b"]
  |                      ^^^^^^^^^^
hint: allowed: a list of strings, the program first; for example `program = ["node", "server.js"]`
"#),
    ("[worker]\nprogram = []",
r#"atlas-cluster: FILE:2:11: worker.program: an array is empty
  |
2 | program = []
  |           ^^
hint: allowed: a list of strings, the program first; for example `program = ["node", "server.js"]`
"#),
    ] {
        assert_eq!(refusal(text), expected, "{text}");
    }
}
