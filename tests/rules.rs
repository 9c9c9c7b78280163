//! The rules of the house that a compiler does not keep: who may know whom, and what the core may not do.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every Rust file below `folder`, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "no source below {folder}");
    found
}

/// Panics with every line below `folder` that holds one of `banned`, comments aside.
fn ban(folder: &str, banned: &[&str], except: &[&str], why: &str) {
    let mut offences = Vec::new();
    for (path, text) in sources(folder) {
        if except.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(word) = banned.iter().find(|word| names(code, word)) {
                offences.push(format!("{}:{}: `{word}`", path.display(), number + 1));
            }
        }
    }
    assert!(offences.is_empty(), "{why}\n{}", offences.join("\n"));
}

/// Whether `word` stands in `code`, and not as the end of a longer name.
fn names(code: &str, word: &str) -> bool {
    let inside = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| !inside(&code[..at]))
}

#[test]
fn the_core_is_pure() {
    let impure = [
        "crate::",
        "Instant",
        "SystemTime",
        "std::env",
        "std::fs",
        "std::io",
        "std::net",
        "std::thread",
        "log::",
        "nix::",
        "mio::",
        "sys::",
        "contract::",
        "println!",
    ];
    // A test may read the environment for its number of cases.
    let tests: Vec<String> = sources("src/core")
        .iter()
        .filter_map(|(path, _)| path.strip_prefix(ROOT).ok()?.to_str().map(str::to_owned))
        .filter(|path| path.contains("tests"))
        .collect();
    let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
    ban("src/core", &impure, &tests, "the core is told everything and asks nothing");
    ban("src/core", &["_ =>"], &tests, "every pair of state and event is decided by name");
}

#[test]
fn the_link_s_connection_is_pure() {
    let impure = [
        "Instant",
        "SystemTime",
        "std::env",
        "std::fs",
        "std::io",
        "std::net",
        "std::thread",
        "contract::",
        "clock::",
        "mio::",
        "nix::",
        "socket2::",
        "sys::",
        "println!",
        "Reader",
        "Writer",
    ];
    ban("workers/link/src/connection", &impure, &[], "a connection is told everything and asks nothing");
    let tests = sources("workers/link/src/connection/tests");
    let tests: Vec<&str> =
        tests.iter().filter_map(|(path, _)| path.strip_prefix(ROOT).ok()?.to_str()).collect();
    ban("workers/link/src/connection", &["_ =>"], &tests, "every pair of state and event is decided by name");
}

#[test]
fn the_logger_decides_in_pure_files() {
    let impure = [
        "Instant",
        "SystemTime",
        "Timestamp::now",
        "std::fs",
        "std::io",
        "clock::",
        "nix::",
        "mio::",
        "sys::",
    ];
    for file in ["lines", "limit", "record", "text", "editor"] {
        let text = fs::read_to_string(format!("{ROOT}/workers/logger/src/{file}.rs")).unwrap();
        let found: Vec<_> = impure.iter().filter(|word| names(&text, word)).collect();
        assert!(found.is_empty(), "{file} is told everything and asks nothing: {found:?}");
    }
}

#[test]
fn nobody_knows_more_than_he_may() {
    let roles = ["meter::", "simulator::", "link::", "logger::", "gateway::"];
    ban("src", &roles, &["src/roles.rs"], "only roles.rs names the roles");
    ban(
        "src/supervisor",
        &["crate::cli", "table::", "atlas::"],
        &[],
        "the supervisor knows nothing of meters",
    );
    ban(
        "src/cli",
        &["crate::core", "crate::supervisor"],
        &[],
        "the command line speaks to the control socket only",
    );
    ban(
        "src/config",
        &["crate::core", "crate::supervisor", "crate::cli"],
        &[],
        "the configuration is plain values",
    );
}

/// The dependencies of a member crate that are members too.
fn own_dependencies(member: &str) -> Vec<String> {
    let manifest =
        fs::read_to_string(Path::new(ROOT).join("workers").join(member).join("Cargo.toml")).unwrap();
    let (_, rest) = manifest.split_once("[dependencies]").unwrap();
    let section = rest.split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names
        .filter(|name| Path::new(ROOT).join("workers").join(name).is_dir() && !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn member_crates_point_downward_only() {
    let floor: &[&str] = &["sys"];
    let below_roles: &[&str] = &["sys", "contract", "table", "atlas"];
    for (member, allowed) in [
        ("sys", &[][..]),
        ("contract", floor),
        ("table", floor),
        ("atlas", floor),
        ("meter", below_roles),
        ("link", below_roles),
        ("simulator", below_roles),
        ("logger", below_roles),
    ] {
        for dependency in own_dependencies(member) {
            assert!(allowed.contains(&dependency.as_str()), "{member} must not know {dependency}");
        }
    }
}

#[test]
fn unsafe_code_lives_on_one_floor() {
    for entry in fs::read_dir(Path::new(ROOT).join("workers")).unwrap() {
        let folder = entry.unwrap().path();
        if folder.ends_with("sys") || !folder.join("Cargo.toml").exists() {
            continue;
        }
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} has lints of its own", folder.display());
    }
    let workspace = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    assert!(
        workspace.contains("unsafe_code = \"forbid\"") && workspace.contains("[lints]\nworkspace = true")
    );
}

#[test]
fn files_fit_a_head() {
    let folders = ["src", "workers", "tests"];
    let long: Vec<String> = folders
        .iter()
        .flat_map(|folder| sources(folder))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|&(_, lines)| lines > 400)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "over 400 lines:\n{}", long.join("\n"));
}

/// The words of one entry of "Where things are": what stands behind `folder`, up to the next entry.
fn entry<'a>(map: &'a str, folder: &str) -> Vec<&'a str> {
    let is_entry = |line: &str| line.starts_with("  ") && !line[2..].starts_with(' ');
    let mut lines = map.lines().skip_while(|line| !(is_entry(line) && line.contains(folder)));
    let first = lines.next().unwrap_or_else(|| panic!("{folder} is no entry of the map"));
    let rest = lines.take_while(|line| line.starts_with("   "));
    let words = std::iter::once(first)
        .chain(rest)
        .flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || c == '_')));
    words.collect()
}

#[test]
fn every_file_is_on_the_map() {
    let text = fs::read_to_string(Path::new(ROOT).join("docs/architecture.md")).unwrap();
    let (_, map) = text.split_once("\nsrc/ ").expect("the map of \"Where things are\"");
    let (map, _) = map.split_once("\nworkers/ ").expect("its end");
    let mut missing = Vec::new();
    for (path, _) in sources("src") {
        let path = path.strip_prefix(Path::new(ROOT).join("src")).unwrap().to_str().unwrap();
        let words: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
        let named = match *words {
            [file] => map.contains(&format!("  {file}.rs")),
            [folder, .., file] => {
                let named = entry(map, &format!("{folder}/"));
                path.contains("tests") || file == "mod" || named.contains(&file)
            }
            [] => false,
        };
        if !named {
            missing.push(path.to_owned());
        }
    }
    assert!(missing.is_empty(), "docs/architecture.md does not say what these are for: {missing:?}");
}
