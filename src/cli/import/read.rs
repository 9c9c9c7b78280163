//! The file: JSON as it is, JavaScript by asking Node.js what it exports.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::super::error::Error;
use crate::exit::{FAILED, USAGE};
use crate::wire::Trouble;

/// The most that is read of a file, or of what Node.js says.
const LARGEST: u64 = 1 << 20;
/// How long a JavaScript file may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A module of either kind, as JSON. What it prints itself goes to standard error.
const EXPORT: &str = "console.log = console.error; \
    import(require('url').pathToFileURL(process.argv[1])) \
    .then(m => process.stdout.write(JSON.stringify(m.default ?? m), () => process.exit()))";

/// What an ecosystem file says.
pub(super) fn ecosystem(file: &Path) -> Result<Value, Error> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension {
        "js" | "cjs" | "mjs" => exported(file),
        "yml" | "yaml" => {
            Err(trouble(format!("{}: YAML is not read", file.display()), "turn it into JSON first", USAGE))
        }
        _ => {
            let text = read(file)?;
            serde_json::from_str(&text).map_err(|why| {
                let hint = "PM2 takes comments in JSON, which JSON does not have: leave them out, or rename it to .js \
                            behind `module.exports =`";
                trouble(format!("{} is no JSON: {why}", file.display()), hint, USAGE)
            })
        }
    }
}

fn read(file: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let mut read = || File::open(file)?.take(LARGEST).read_to_string(&mut text);
    read().map_err(|why| {
        trouble(format!("cannot read {}: {why}", file.display()), "name an ecosystem file", USAGE)
    })?;
    Ok(text)
}

/// It is a program: whoever runs `import` runs it.
fn exported(file: &Path) -> Result<Value, Error> {
    let failed = |why: &str| {
        let hint = "with Node.js: `node -p 'JSON.stringify(require(\"./ecosystem.config.js\"))' > ecosystem.json`, and \
                    import that";
        trouble(format!("cannot ask Node.js what {} exports: {why}", file.display()), hint, FAILED)
    };
    let path = std::path::absolute(file).map_err(|why| failed(&why.to_string()))?;
    if !path.is_file() {
        return Err(trouble(format!("there is no file {}", file.display()), "name an ecosystem file", USAGE));
    }
    let node = Command::new("node")
        .args(["-e", EXPORT])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut node = node.map_err(|why| failed(&why.to_string()))?;
    let (tell, told) = mpsc::channel();
    if let Some(output) = node.stdout.take() {
        thread::spawn(move || {
            let mut text = String::new();
            let _ = output.take(LARGEST).read_to_string(&mut text);
            tell.send(text)
        });
    }
    let said = told.recv_timeout(PATIENCE);
    let _ = node.kill();
    let _ = node.wait();
    let said = said.map_err(|_| failed("it does not end"))?;
    serde_json::from_str(&said).map_err(|_| failed("it says nothing that is JSON"))
}

fn trouble(message: String, hint: &str, exit: u8) -> Error {
    Error::Refused(Trouble { message, hint: Some(hint.to_owned()), exit })
}
