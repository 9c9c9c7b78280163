//! The file: JSON as it is, JavaScript by asking Node.js what it exports.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::super::error::Error;
use super::export::exported;
use super::relaxed;
use crate::exit::USAGE;
use crate::wire::Trouble;

/// The most that is read of a file, or of what Node.js says.
pub(super) const LARGEST: u64 = 1 << 20;
/// How long a JavaScript file may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What PM2 looks for in a folder.
const USUAL: &[&str] = &[
    "ecosystem.config.js",
    "ecosystem.config.cjs",
    "ecosystem.config.mjs",
    "ecosystem.json",
    "pm2.config.js",
    "process.json",
];

/// What an ecosystem file says.
pub(super) fn ecosystem(file: &Path) -> Result<Value, Error> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension {
        "js" | "cjs" | "mjs" => {
            is_there(file)?;
            exported(file, PATIENCE)
        }
        "yml" | "yaml" => {
            let hint =
                "turn it into JSON first: `npx js-yaml ecosystem.yml > ecosystem.json`, and import that";
            Err(wrong(file, "YAML is not read", hint))
        }
        _ => json(file, &text_of(file)?),
    }
}

fn json(file: &Path, text: &str) -> Result<Value, Error> {
    let text = text.trim_start_matches('\u{feff}');
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&relaxed::strict(text))).map_err(|why| {
        let hint = "comments and commas at an end are read, other JavaScript is not: rename it to .config.js, behind \
                    `module.exports =`";
        wrong(file, &format!("it is not JSON: {why}"), hint)
    })
}

fn text_of(file: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let mut read = || File::open(file)?.take(LARGEST + 1).read_to_end(&mut bytes);
    read().map_err(|why| unreadable(file, &why))?;
    if bytes.len() as u64 > LARGEST {
        return Err(too_large(file));
    }
    String::from_utf8(bytes).map_err(|_| {
        wrong(file, "it is not UTF-8", "name an ecosystem file: JSON, or JavaScript with its extension")
    })
}

/// Before it is run: whether it can be an ecosystem file at all.
fn is_there(file: &Path) -> Result<(), Error> {
    let opened = File::open(file).and_then(|file| file.metadata()).map_err(|why| unreadable(file, &why))?;
    if opened.is_dir() {
        return Err(unreadable(file, &io::Error::from(io::ErrorKind::IsADirectory)));
    }
    if opened.len() > LARGEST { Err(too_large(file)) } else { Ok(()) }
}

fn too_large(file: &Path) -> Error {
    wrong(file, "it is larger than 1 MiB", "name an ecosystem file: it holds the options of a few apps")
}

fn unreadable(file: &Path, why: &io::Error) -> Error {
    let within = USUAL.iter().map(|name| file.join(name)).find(|file| file.is_file());
    let hint = match (why.kind(), within) {
        (_, Some(within)) => format!("the ecosystem file in it: `import {}`", within.display()),
        (io::ErrorKind::PermissionDenied, None) => "run this as a user who may read it".to_owned(),
        _ => "name an ecosystem file, as `import ecosystem.config.js`; `pm2 init` writes one".to_owned(),
    };
    trouble(format!("cannot read {}: {why}", file.display()), &hint, USAGE)
}

fn wrong(file: &Path, why: &str, hint: &str) -> Error {
    trouble(format!("cannot import {}: {why}", file.display()), hint, USAGE)
}

pub(super) fn trouble(message: String, hint: &str, exit: u8) -> Error {
    Error::Refused(Trouble { message, hint: Some(hint.to_owned()), exit })
}
