//! What a JavaScript file exports: Node.js runs it, and tells us.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::super::error::Error;
use super::read::{LARGEST, trouble};
use crate::exit::FAILED;

/// Says what a module of either kind exports, or where and why it fails. A function is called, a promise is waited for.
const EXPORT: &str = include_str!("export.js");
/// Stands before and behind the answer: what the file's own children print is none, and they may live on.
const BOUND: u8 = 0;

/// What Node.js says.
#[derive(Deserialize)]
enum Answer {
    #[serde(rename = "exported")]
    Exported(Value),
    #[serde(rename = "failed")]
    Failed(Failed),
}

#[derive(Deserialize)]
struct Failed {
    message: String,
    /// Where in which file; none is this one.
    file: Option<String>,
    line: Option<u32>,
}

/// It is a program: whoever runs `import` runs it.
pub(super) fn exported(file: &Path, patience: Duration) -> Result<Value, Error> {
    let failed =
        |why: &str, hint: &str| trouble(format!("cannot import {}: {why}", file.display()), hint, FAILED);
    let path = std::path::absolute(file).map_err(|why| failed(&why.to_string(), "give its whole path"))?;
    let node = Command::new("node")
        .args(["--no-warnings", "-e", EXPORT])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let node = node.map_err(|why| match why.kind() {
        ErrorKind::NotFound => failed("there is no `node` on the PATH to run it", ELSEWHERE),
        _ => failed(&format!("cannot run `node`: {why}"), ELSEWHERE),
    })?;
    let show = format!("Node.js runs it, for what it exports: `node {}` shows more", file.display());
    let said = said(node, patience).map_err(|why| failed(&why, &show))?;
    match serde_json::from_str(&said) {
        Ok(Answer::Exported(value)) => Ok(value),
        Ok(Answer::Failed(Failed { message, file: elsewhere, line })) => {
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            let place = elsewhere.map_or_else(|| line.clone(), |file| format!("{file}, {line}"));
            let hint = if message.starts_with("Cannot find ") {
                "install what it needs (`npm install`), where the file lies".to_owned()
            } else {
                show
            };
            Err(failed(&format!("{place}{message}"), &hint))
        }
        Err(why) => Err(failed(&format!("what it exports cannot be read: {why}"), &show)),
    }
}

const ELSEWHERE: &str = "where there is Node.js: `node -p 'JSON.stringify(require(\"./ecosystem.config.js\"))' > \
                         ecosystem.json`, and import that";

/// The answer of `node`, which is gone then; or why there is none.
fn said(mut node: Child, patience: Duration) -> Result<String, String> {
    let (tell, told) = mpsc::channel();
    if let Some(output) = node.stdout.take() {
        thread::spawn(move || {
            let mut output = BufReader::new(output.take(LARGEST));
            let (mut before, mut answer) = (Vec::new(), Vec::new());
            let read =
                output.read_until(BOUND, &mut before).and_then(|_| output.read_until(BOUND, &mut answer));
            let whole = read.is_ok() && answer.pop() == Some(BOUND);
            tell.send((whole.then_some(answer), output.get_ref().limit() == 0))
        });
    }
    let told = told.recv_timeout(patience);
    if !matches!(told, Ok((None, false))) {
        // It has said it all, or too much, or nothing for too long.
        let _ = node.kill();
    }
    let ended = node.wait().map_err(|why| why.to_string())?;
    match told {
        Ok((Some(answer), _)) => Ok(String::from_utf8_lossy(&answer).into_owned()),
        Ok((None, true)) => Err("it says more than 1 MiB".to_owned()),
        Ok((None, false)) => Err(format!("it ends ({ended}) before it has exported anything")),
        Err(_) => Err(format!("it is not done after {}", humantime::format_duration(patience))),
    }
}
