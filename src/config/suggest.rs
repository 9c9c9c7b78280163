//! What to write instead: names that were probably meant, names that are allowed, examples.

use super::keys::Key;

/// Longest word, in bytes, for which a neighbour is looked for: the search is quadratic.
const LONGEST: usize = 100;

/// The key or section of `section` that `name` was probably meant to be, and what is allowed there.
pub(super) fn for_unknown<T>(keys: &[Key<T>], section: &str, name: &str) -> String {
    let allowed = allowed_here(keys, section).join(", ");
    match meant(keys, section, name) {
        Some(meant) => format!("did you mean {meant}? allowed here: {allowed}"),
        None => format!("allowed here: {allowed}"),
    }
}

/// `` `key = example` `` as it would stand in the section; empty if the row has no example.
pub(super) fn assignment<T>(keys: &[Key<T>], section: &str, name: &str) -> String {
    let path = join(section, name);
    let example = keys.iter().find(|key| key.path == path).map_or("", |key| key.example);
    if example.is_empty() { String::new() } else { format!("`{name} = {example}`") }
}

/// The candidate that `word` is a slip of the finger away from.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.replace('-', "_").to_lowercase();
    let most = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How a section is written: `[worker]`, `[[processor]]`; empty for the top of the file.
pub(super) fn header(section: &str) -> String {
    match section {
        "" => String::new(),
        "processor" => "[[processor]]".to_owned(),
        _ => format!("[{section}]"),
    }
}

/// Section and name, as rows write them.
pub(super) fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// What stands directly in the section, in the order of the table: keys, and at the top also sections.
fn allowed_here<T>(keys: &[Key<T>], section: &str) -> Vec<String> {
    let mut allowed = Vec::new();
    for key in keys.iter().filter(|key| key.slot.listed()) {
        let name = match (split(key.path), section) {
            ((within, name), _) if within == section => name_shown(section, name),
            ((within, _), "") => header(within),
            _ => continue,
        };
        if !allowed.contains(&name) {
            allowed.push(name);
        }
    }
    allowed
}

/// The best guess, in backquotes, with the place if it is another one.
fn meant<T>(keys: &[Key<T>], section: &str, name: &str) -> Option<String> {
    let here = keys.iter().map(|key| split(key.path)).filter_map(|(within, name)| {
        if within == section { Some(name) } else { section.is_empty().then_some(within) }
    });
    if let Some(near) = nearest(name, here) {
        let is_section = keys.iter().any(|key| split(key.path).0 == near);
        return Some(if is_section {
            format!("`{}`", header(near))
        } else {
            format!("`{}`", name_shown(section, near))
        });
    }
    let (within, near) = keys.iter().map(|key| split(key.path)).find(|(_, other)| *other == name)?;
    Some(if within.is_empty() {
        format!("`{near}` at the top of the file, before the first section")
    } else {
        format!("`{near}` in {}", header(within))
    })
}

/// A key as it is written in its section; the list of processors is written as one.
fn name_shown(section: &str, name: &str) -> String {
    if section.is_empty() && name == "processor" { header(name) } else { name.to_owned() }
}

/// `worker.watchdog` as (`worker`, `watchdog`).
fn split(path: &str) -> (&str, &str) {
    path.split_once('.').unwrap_or(("", path))
}
