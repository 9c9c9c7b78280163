//! The apps of an ecosystem file, and which of them is meant.

use serde_json::{Map, Value};

use super::names::known_as;

/// Why nothing can be imported, and the way out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) why: String,
    pub(super) hint: String,
}

impl Wrong {
    pub(super) fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Wrong { why: why.into(), hint: hint.into() }
    }
}

/// What a file without an app should look like.
pub(super) const SHAPE: &str = "an ecosystem file has `apps`, each with a `script`: `pm2 init` writes one";
/// What is said beside them in an object that holds apps.
const BESIDE: &[(&str, &str)] = &[
    ("deploy", "use your own: copy the files (git, rsync, Ansible), then `atlas-cluster reload`"),
    ("static", "a web server"),
];

/// The app that is meant, and what else the file says.
pub(super) struct Chosen<'a> {
    pub(super) name: String,
    pub(super) app: &'a Map<String, Value>,
    /// What is not that app: what it is, and what to do instead.
    pub(super) beside: Vec<(String, String)>,
}

/// The named app of the file, else the first.
pub(super) fn choose<'a>(ecosystem: &'a Value, wanted: Option<&str>) -> Result<Chosen<'a>, Wrong> {
    let mut beside = Vec::new();
    let mut apps = Vec::new();
    for (number, app) in listed(ecosystem, &mut beside)?.iter().enumerate() {
        match app.as_object() {
            Some(app) => apps.push((name_of(app, number), app)),
            None => {
                beside.push((
                    format!("app {} = {app}", number + 1),
                    "an app is an object with a `script`".to_owned(),
                ));
            }
        }
    }
    let at = match wanted {
        None => 0,
        Some(wanted) => apps.iter().position(|(name, _)| name == wanted).ok_or_else(|| {
            let names: Vec<_> = apps.iter().map(|(name, _)| name.as_str()).collect();
            let why = format!("there is no app `{wanted}`; there are: {}", names.join(", "));
            Wrong::new(why, "name one of them with --app; without it the first is taken")
        })?,
    };
    if apps.is_empty() {
        return Err(Wrong::new("there is no app in it", SHAPE));
    }
    let (name, app) = apps.remove(at);
    let others = apps.iter().map(|(other, _)| {
        let instead = format!("a cluster of its own: `import --app {other}`, and another --runtime-dir");
        (format!("app `{other}`"), instead)
    });
    let beside = others.chain(beside).collect();
    Ok(Chosen { name, app, beside })
}

/// A list of apps, an app alone, or an object with either.
fn listed<'a>(ecosystem: &'a Value, beside: &mut Vec<(String, String)>) -> Result<&'a [Value], Wrong> {
    let holder =
        ecosystem.as_object().filter(|object| object.contains_key("apps") || object.contains_key("pm2"));
    let Some(holder) = holder else {
        return match ecosystem {
            Value::Array(apps) => Ok(apps),
            Value::Object(app) if !app.is_empty() => Ok(std::slice::from_ref(ecosystem)),
            _ => Err(Wrong::new("there is no app in it", SHAPE)),
        };
    };
    let (key, apps) = holder.get_key_value("apps").or_else(|| holder.get_key_value("pm2")).unzip();
    for (other, _) in holder.iter().filter(|(other, _)| Some(*other) != key) {
        let instead = BESIDE.iter().find(|(name, _)| name == other).map(|(_, instead)| *instead);
        beside.push((other.clone(), instead.unwrap_or("not known; see docs/pm2.md").to_owned()));
    }
    match apps {
        Some(Value::Array(apps)) => Ok(apps),
        Some(app @ Value::Object(_)) => Ok(std::slice::from_ref(app)),
        _ => Err(Wrong::new("there is no app in it", SHAPE)),
    }
}

/// Its name; without one PM2 takes the script's, without extension.
fn name_of(app: &Map<String, Value>, number: usize) -> String {
    let text = |key: &str| {
        let mut named = app.iter().filter(|(written, _)| known_as(written) == key);
        named.find_map(|(_, value)| value.as_str()).filter(|text| !text.is_empty())
    };
    let script = text("script").map(|script| {
        let file = script.rsplit('/').next().unwrap_or(script);
        file.rsplit_once('.').map_or(file, |(stem, _)| if stem.is_empty() { file } else { stem })
    });
    text("name").or(script).map_or_else(|| (number + 1).to_string(), str::to_owned)
}
