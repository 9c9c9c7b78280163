//! What documents the configuration (docs/atlas-cluster.toml, docs/schema/config.json) knows what the program knows; what
//! holds for every key and every fault.

use super::super::keys::{KEYS, PROCESSOR_KEYS};
use super::super::{Config, Overrides, shown};
use super::errors::TABLE;
use super::{good, loaded, loaded_with};
use harness::Schema;
use serde_json::Value;

const EXAMPLE: &str = include_str!("../../../docs/atlas-cluster.toml");
/// What the Debian package puts into /etc.
const PACKAGED: &str = include_str!("../../../scripts/package/atlas-cluster.toml");

/// The keys that a file may have, with the example that stands in errors.
fn keys_of_a_file() -> Vec<(&'static str, &'static str)> {
    let keys = KEYS.iter().filter(|key| key.slot.listed()).map(|key| (key.path, key.example));
    keys.chain(PROCESSOR_KEYS.iter().map(|key| (key.path, key.example))).collect()
}

/// What a TOML text says, as JSON.
fn json(toml: &str) -> Value {
    let table: toml::Table = toml.parse().unwrap_or_else(|e| panic!("{toml}: {e}"));
    serde_json::to_value(table).unwrap()
}

/// A comment that is a key or a section is what one would write: without its `#`.
fn uncommented(text: &str) -> String {
    text.lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(code)
                if code.starts_with("[[")
                    || code.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) =>
            {
                format!("{code}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn the_example_parses_and_says_what_holds_without_it() {
    assert_eq!(good(EXAMPLE).config, Config::default());
}

#[test]
fn so_does_the_package_s_and_its_comments_are_good_too() {
    assert_eq!(good(PACKAGED).config, Config::default());
    let written = json(&uncommented(PACKAGED));
    assert_eq!(written.as_object().map(serde_json::Map::len), Some(3), "{written}");
    assert_eq!(good(&uncommented(PACKAGED)).config.processor.len(), 1);
}

#[test]
fn the_example_names_every_key_and_its_comments_are_good_too() {
    let uncommented = uncommented(EXAMPLE);
    // Whoever runs this may not be able to become another user; and a variable is counted where there is one.
    let (user, group) = (nix::unistd::geteuid().to_string(), nix::unistd::getegid().to_string());
    let uncommented = uncommented.replace("\"atlas\"", &format!("\"{user}\""));
    let uncommented = uncommented.replace("\"audio\"", &format!("\"{group}\""));
    let uncommented = uncommented.replace("env = {}", "env = { PORT = \"3000\" }");
    let loaded = good(&uncommented);
    let written = json(&uncommented);
    for (path, _) in keys_of_a_file() {
        let place = format!("/{}", path.replace('.', "/")).replace("/processor/", "/processor/0/");
        assert!(written.pointer(&place).is_some(), "{path} is not in docs/atlas-cluster.toml");
    }
    assert_eq!(loaded.config.processor.len(), 1);
    Schema::named("config").expect_valid(&written);
}

#[test]
fn the_schema_knows_every_key_and_no_other() {
    let schema = Schema::named("config").json();
    let mut known: Vec<String> = Vec::new();
    for (name, place) in [
        ("", "/properties"),
        ("worker.", "/properties/worker/properties"),
        ("log.", "/properties/log/properties"),
        ("processor.", "/properties/processor/items/properties"),
    ] {
        let keys = schema.pointer(place).and_then(Value::as_object).unwrap_or_else(|| panic!("{place}"));
        known.extend(
            keys.keys()
                .filter(|key| !["worker", "log"].contains(&key.as_str()))
                .map(|key| format!("{name}{key}")),
        );
        assert!(
            keys.values().all(|key| key["description"].is_string()),
            "{place}: a key without a description"
        );
    }
    let mut keys: Vec<String> = keys_of_a_file().into_iter().map(|(path, _)| path.to_owned()).collect();
    known.sort();
    keys.sort();
    assert_eq!(known, keys);
}

#[test]
fn the_schema_takes_what_the_program_takes_and_says_the_same_defaults() {
    let schema = Schema::named("config");
    let mut texts: Vec<String> = keys_of_a_file()
        .into_iter()
        .filter(|(path, example)| !example.is_empty() && !path.starts_with("processor"))
        .map(|(path, example)| format!("{path} = {example}"))
        .collect();
    texts.extend(
        [
            "",
            "workers = 'max'",
            "receive_buffer = 4096",
            "processor = []",
            "worker.min_uptime = '1m 30s'",
            "worker.min_uptime = '1.5s'",
        ]
        .map(str::to_owned),
    );
    // What is printed as being in force can be read again, and is the same.
    let everything = good(
        &texts
            .join("\n")
            .replace("workers = 'max'\n", "")
            .replace("receive_buffer = 4096\n", "")
            .replace("worker.min_uptime = '1m 30s'", "")
            .replace("worker.min_uptime = '1.5s'", ""),
    );
    let printed = |config: &Config| -> String {
        let values = shown(config).into_iter().filter(|shown| shown.in_file);
        values.filter_map(|shown| Some(format!("{} = {}\n", shown.key, shown.value?))).collect()
    };
    for config in [&Config::default(), &everything.config] {
        assert_eq!(good(&printed(config)).config, *config, "{}", printed(config));
        texts.push(printed(config));
    }
    let values: Vec<Value> = texts.iter().map(|text| json(text)).collect();
    let alone = |text: &str| {
        !["worker.increment_var", "worker.health_command"].iter().any(|path| text.starts_with(path))
    };
    for (text, errors) in texts.iter().zip(schema.errors(&values)).filter(|(text, _)| alone(text)) {
        assert!(loaded(text).is_ok() && errors.is_empty(), "{text}: {errors:#?}");
    }
    let defaults = good("");
    let schema = schema.json();
    for shown in shown(&defaults.config)
        .into_iter()
        .filter(|shown| shown.in_file && !["processor", "workers"].contains(&shown.key))
    {
        let place = format!("/properties/{}/default", shown.key.replace('.', "/properties/"));
        let value = shown.value.map(|value| json(&format!("value = {value}"))["value"].clone());
        assert_eq!(schema.pointer(&place), value.as_ref(), "the default of {}", shown.key);
    }
}

#[test]
fn the_schema_refuses_what_the_program_refuses_but_for_ranges_in_strings_and_what_clashes() {
    let beyond = ["two processors have", "is out of range", "overlaps"];
    let texts: Vec<&str> = TABLE
        .iter()
        .filter(|(_, said)| {
            !beyond.iter().chain(&["is out of range", "overlap"]).any(|word| said.contains(word))
        })
        .filter(|(text, _)| text.parse::<toml::Table>().is_ok())
        .map(|(text, _)| *text)
        .collect();
    assert!(texts.len() > 10, "{texts:#?}");
    let values: Vec<Value> = texts.iter().map(|text| json(text)).collect();
    let errors = Schema::named("config").errors(&values);
    let taken: Vec<_> = texts.iter().zip(errors).filter(|(_, errors)| errors.is_empty()).collect();
    assert!(taken.is_empty(), "the schema takes {taken:#?}");
}

#[test]
fn every_key_can_be_set_by_a_flag_and_by_a_variable() {
    let by_flag = |path: &str, example: &str| {
        let mut overrides = Overrides::default();
        overrides.set(&format!("{path}={example}")).unwrap();
        overrides
    };
    let by_variable = |path: &str, example: &str| {
        let name = format!("ATLAS_CLUSTER_{}", path.replace('.', "_").to_uppercase());
        Overrides::from_environment(&|asked: &str| (asked == name).then(|| example.into())).unwrap()
    };
    for key in KEYS.iter().filter(|key| key.slot.listed() || key.slot.in_environment()) {
        let own = nix::unistd::geteuid().to_string();
        let own_group = nix::unistd::getegid().to_string();
        let example = match key.path {
            "processor" => "[{ name = \"bar\", address = \"::1\" }]",
            "worker.user" => &own,
            "worker.group" => &own_group,
            _ => key.example,
        };
        // What is counted must be there, and who is asked about.
        let beside = match key.path {
            "worker.increment_var" => "worker.env = { PORT = \"3000\" }\n",
            "worker.health_command" => "worker.program = [\"node\"]\n",
            _ => "",
        };
        for (how, overrides) in
            [("--set", by_flag(key.path, example)), ("a variable", by_variable(key.path, example))]
        {
            let set =
                loaded_with(beside, &overrides).unwrap_or_else(|e| panic!("{} by {how}: {e}", key.path));
            let origin = set.origins[key.path].to_string();
            assert_ne!(origin, "default", "{} by {how}", key.path);
            if ["demo", "daemon"].contains(&key.path) {
                continue;
            }
            let file = good(&format!("{beside}{} = {example}", key.path));
            assert_eq!(set.config, file.config, "{} by {how}", key.path);
        }
    }
}

#[test]
fn each_fault_of_a_file_has_its_line_its_column_and_a_caret() {
    for (text, said) in TABLE {
        let faults = said.matches("atlas-cluster: FILE:").count();
        let carets = said.lines().filter(|line| line.contains(" | ") && line.ends_with('^')).count();
        let placed = said.lines().filter(|line| line.starts_with("atlas-cluster: FILE:"));
        let columns =
            placed.filter(|line| line.split(':').nth(3).is_some_and(|column| column.parse::<u32>().is_ok()));
        assert_eq!((carets, columns.count()), (faults, faults), "{text}: {said}");
        assert!(faults > 0 && said.matches("hint: ").count() >= faults, "{text}: {said}");
    }
}
