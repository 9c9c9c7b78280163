//! A processor of a few rules, for simulated time. What real ones answer to an array in which something does not exist is
//! not documented: it has every way that was seen or can be imagined.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `result` with the values of those that exist.
    Values,
    /// An error for each that does not exist, then `result` with the others.
    ErrorsAndValues,
    /// One error that names the first that does not exist; nothing is subscribed then.
    OneError,
    /// The same, and the error names nobody.
    NamelessError,
    /// `result` OK, and updates of what comes by TCP; no word about what does not exist.
    Done,
    /// No answer to `sub`, only updates; queries are answered.
    UpdatesOnly,
    /// Answers bear no id, whatever was asked.
    WithoutIds,
    /// Everything as one object where one was asked, with `\r` at the end, and the errors as a string.
    Odd,
}

pub(super) const STYLES: [Style; 8] = [
    Style::Values,
    Style::ErrorsAndValues,
    Style::OneError,
    Style::NamelessError,
    Style::Done,
    Style::UpdatesOnly,
    Style::WithoutIds,
    Style::Odd,
];

#[derive(Debug)]
pub(super) struct Processor {
    pub(super) style: Style,
    /// What it has, and its values.
    pub(super) has: BTreeMap<String, Json>,
    /// Subscribed on this connection.
    pub(super) subscribed: BTreeSet<String>,
    /// Commands get no answer.
    pub(super) locked: bool,
    /// Subscribed, and yet it sends no levels of these.
    pub(super) dumb: BTreeSet<String>,
    /// It sends no levels at all.
    pub(super) all_dumb: bool,
    /// A subscription of a meter brings one level, and no other follows.
    pub(super) one_level_each: bool,
    /// Meters whose one level is due.
    due: Vec<String>,
    /// Its answers bear the ids of messages that somebody else sent.
    pub(super) ids_of_others: bool,
    /// What it was asked: method, parameters.
    pub(super) asked: Vec<(String, Vec<String>)>,
}

impl Processor {
    /// An AZM8 with two mixes and a few groups.
    pub(super) fn azm8(style: Style) -> Processor {
        let mut processor = Processor {
            style,
            has: BTreeMap::new(),
            subscribed: BTreeSet::new(),
            locked: false,
            dumb: BTreeSet::new(),
            all_dumb: false,
            one_level_each: false,
            due: Vec::new(),
            ids_of_others: false,
            asked: Vec::new(),
        };
        for (kind, indices) in [("Source", 0..14), ("Zone", 0..8), ("Mix", 14..22), ("Group", 0..8)] {
            indices.for_each(|index| processor.add(kind, index));
        }
        processor.has.insert("KeepAlive".into(), json!("OK"));
        processor
    }

    pub(super) fn add(&mut self, kind: &str, index: u8) {
        let mut put = |aspect: &str, value: Json| self.has.insert(format!("{kind}{aspect}_{index}"), value);
        put("Meter", json!(-40.5));
        put("Name", json!(format!("{kind} {index}")));
        put("Mute", json!(0));
        put("Gain", json!(-20));
        if kind == "Zone" || kind == "Group" {
            put("Source", json!(0));
        }
        if kind == "Zone" {
            put("Grouped", json!(0));
        }
        if kind == "Group" {
            put("Combine", json!(0));
        }
    }

    pub(super) fn meters(&self) -> Vec<String> {
        self.has.keys().filter(|name| name.contains("Meter_")).cloned().collect()
    }

    /// Meters whose levels it sends.
    pub(super) fn heard(&mut self) -> Vec<String> {
        let due = std::mem::take(&mut self.due);
        if self.one_level_each {
            return due;
        }
        let sends = |name: &&String| self.subscribed.contains(*name) && !self.dumb.contains(*name);
        let all = self.has.keys().filter(|name| name.contains("Meter_")).filter(sends);
        if self.all_dumb { Vec::new() } else { all.cloned().collect() }
    }

    /// It is not there any more: a zone, say, with all that it has.
    pub(super) fn remove(&mut self, kind: &str, index: u8) {
        let end = format!("_{index}");
        self.has.retain(|name, _| !(name.starts_with(kind) && name.ends_with(&end)));
    }

    /// Its meters forget who subscribed them.
    pub(super) fn forget_meters(&mut self) {
        self.subscribed.retain(|name| !name.contains("Meter_"));
    }

    /// Takes a line; answers lines.
    pub(super) fn take(&mut self, line: &str) -> Vec<String> {
        assert!(line.ends_with('\n') && line.len() < 1460, "{line}");
        let command: Json = serde_json::from_str(line).unwrap();
        let items: Vec<Json> = match &command["params"] {
            Json::Array(items) => items.clone(),
            item => vec![item.clone()],
        };
        let names: Vec<String> =
            items.iter().map(|item| item["param"].as_str().unwrap().to_owned()).collect();
        let method = command["method"].as_str().unwrap().to_owned();
        self.asked.push((method.clone(), names.clone()));
        if self.locked {
            return Vec::new();
        }
        let mut id = command["id"].clone();
        let updates = self.perform(&method, &items);
        if self.style == Style::WithoutIds {
            id = Json::Null;
        } else if self.ids_of_others {
            id = json!(id.as_u64().unwrap() + 1_000_000);
        }
        let answers = self.answers(&method, &names, &id);
        let end = if self.style == Style::Odd { "\r" } else { "" };
        answers.into_iter().chain(updates).map(|answer| format!("{answer}{end}")).collect()
    }

    /// An update that nobody asked for just now.
    pub(super) fn change(&mut self, name: &str, value: Json) -> Option<String> {
        *self.has.get_mut(name)? = value;
        let update = json!({"jsonrpc": "2.0", "method": "update", "params": [self.value(name)]});
        self.subscribed.contains(name).then(|| update.to_string())
    }

    fn perform(&mut self, method: &str, items: &[Json]) -> Vec<Json> {
        let all_exist = items.iter().all(|item| self.has.contains_key(item["param"].as_str().unwrap()));
        let whole = matches!(self.style, Style::OneError | Style::NamelessError) && !all_exist;
        let mut updates = Vec::new();
        for item in items.iter().filter(|_| !whole) {
            let name = item["param"].as_str().unwrap();
            let Some(value) = self.has.get_mut(name) else { continue };
            match method {
                "sub" => {
                    self.subscribed.insert(name.to_owned());
                    self.due.extend(name.contains("Meter_").then(|| name.to_owned()));
                    let told = matches!(self.style, Style::Done | Style::UpdatesOnly);
                    if told && !name.contains("Meter_") {
                        updates.push(json!({"method": "update", "params": [self.value(name)]}));
                    }
                }
                "set" => {
                    *value = if item["val"].is_null() { item["pct"].clone() } else { item["val"].clone() }
                }
                "bmp" => *value = json!(value.as_f64().unwrap() + item["val"].as_f64().unwrap()),
                _ => {}
            }
        }
        updates
    }

    fn answers(&self, method: &str, names: &[String], id: &Json) -> Vec<Json> {
        let missing: Vec<&String> = names.iter().filter(|name| !self.has.contains_key(*name)).collect();
        let values: Vec<Json> =
            names.iter().filter(|name| self.has.contains_key(*name)).map(|name| self.value(name)).collect();
        let error = |name: &str| {
            let message = format!("param '{name}' could not be found");
            match self.style {
                Style::NamelessError => json!({"error": {"code": -32604, "message": "not found"}, "id": id}),
                Style::Odd => json!({"error": message, "id": id}),
                _ => json!({"error": {"code": -32604, "message": message}, "id": id}),
            }
        };
        let result = match (method, self.style) {
            ("set" | "bmp", _) | ("sub", Style::Done) => json!({"result": "OK", "id": id}),
            ("get", Style::WithoutIds) => json!({"method": "getResp", "params": values}),
            (_, Style::Odd) if values.len() == 1 => json!({"result": values[0], "id": id}),
            (_, _) => json!({"result": values, "id": id}),
        };
        match (self.style, method) {
            (Style::UpdatesOnly, "sub") => Vec::new(),
            (Style::Done, "sub") => vec![result],
            (Style::OneError | Style::NamelessError, _) if !missing.is_empty() => vec![error(missing[0])],
            (Style::ErrorsAndValues | Style::Odd | Style::Done | Style::UpdatesOnly, _) => {
                let errors = missing.iter().map(|name| error(name));
                let rest = (!values.is_empty()).then_some(result);
                errors.chain(rest).collect()
            }
            (_, _) if values.is_empty() && method != "sub" => vec![error(names[0].as_str())],
            (_, _) => vec![result],
        }
    }

    fn value(&self, name: &str) -> Json {
        let value = &self.has[name];
        let key = if value.is_string() { "str" } else { "val" };
        json!({"param": name, key: value})
    }
}
