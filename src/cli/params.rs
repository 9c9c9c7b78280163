//! `get`, `set`, `bump`: a processor's parameters, through link, which owns the only connection to it.
//!
//! Ranges are checked by link, before anything is sent: whoever asks over its socket is told the same.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use atlas::control::{Format, Value};
use atlas::order::{MAX_FRAME, MAX_PARAM, MAX_TEXT, Reply, Request, Verb};

use super::client::{Client, PATIENCE};
use super::error::Error;
use super::terminal::print;
use super::text::clean;
use crate::exit::{FAILED, USAGE};
use crate::wire::{Trouble, View};

/// How long link may take: it answers within 15 s, whatever is before us.
const ANSWER: Duration = Duration::from_secs(20);
/// The way out where link is not to be reached.
const LINK_RUNS: &str = "`atlas-cluster list` shows whether link runs";
/// What was sent, and not answered.
const MAYBE_DONE: &str = "it may have been done nevertheless: `atlas-cluster get` shows it";
/// How often a link that is being started is looked for.
const EVERY: Duration = Duration::from_millis(50);

/// Asks, and shows the answer.
pub(super) fn run(
    client: &Client,
    verb: Verb,
    processor: &str,
    param: &str,
    value: Option<&str>,
    format: Option<Format>,
) -> Result<(), Error> {
    expect_processors(client)?;
    let request = Request {
        verb,
        processor: processor.into(),
        param: param.into(),
        format,
        value: value.map(value_of),
    };
    let reply = ask_until_read(client, &request)?;
    if let Some(error) = reply.error {
        return Err(refused(error.message, error.hint, error.exit));
    }
    match (verb, reply.value) {
        (Verb::Get, Some(value)) => print(&format!("{}\n", clean(&value.to_string()))),
        (Verb::Get, None) => Err(strange("there is no value in it")),
        (Verb::Set | Verb::Bump, _) => print(&format!("{} done: {}\n", verb_name(verb), clean(param))),
    }
}

/// `50%` is percents, what reads as a number is one, anything else is text.
fn value_of(text: &str) -> Value {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    match text.strip_suffix('%').and_then(number) {
        Some(percents) => Value::Pct(percents),
        None => number(text).map_or_else(|| Value::Str(text.into()), Value::Val),
    }
}

/// As the user writes it.
pub(super) fn verb_name(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "get",
        Verb::Set => "set",
        Verb::Bump => "bump",
    }
}

/// A link that ended before it read, or sent, what was asked has done nothing: the next one is asked.
fn ask_until_read(client: &Client, request: &Request) -> Result<Reply, Error> {
    let began = Instant::now();
    loop {
        match exchange(&client.dir().join(contract::LINK_SOCKET), request, ANSWER)? {
            Some(reply) if reply.again && began.elapsed() < ANSWER => thread::sleep(EVERY),
            Some(reply) => return Ok(reply),
            None if began.elapsed() >= PATIENCE => return Err(strange("none of them reads what is asked")),
            None => thread::sleep(EVERY),
        }
        // Who is stopping has no next one.
        expect_processors(client)?;
    }
}

/// One question, one answer within `patience`; none if it was not read.
fn exchange(path: &Path, request: &Request, patience: Duration) -> Result<Option<Reply>, Error> {
    let mut line = serde_json::to_vec(request).map_err(|error| strange(&error.to_string()))?;
    line.push(b'\n');
    if line.len() > MAX_FRAME {
        return Err(too_long(request));
    }
    let mut stream = connect(path).map_err(|error| {
        let message = format!("cannot reach link in {}: {error}", path.display());
        refused(message, Some(LINK_RUNS.into()), FAILED)
    })?;
    let ask = || -> io::Result<String> {
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&line)?;
        let mut answer = String::new();
        BufReader::new(stream.take(MAX_FRAME as u64)).read_line(&mut answer)?;
        Ok(answer)
    };
    let answer = match ask() {
        // The kernel says so of what lay there unread, and of what finds nobody.
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
            return Ok(None);
        }
        answer => answer,
    };
    let unusable = |why: &str| untold(request.verb, unusable(why));
    let answer = answer.map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            unusable(&format!("none came within {}", humantime::format_duration(patience)))
        }
        _ => unusable(&error.to_string()),
    })?;
    if answer.is_empty() {
        return Err(refused("link ended before it answered".into(), Some(MAYBE_DONE.into()), FAILED));
    }
    serde_json::from_str(&answer).map(Some).map_err(|error| unusable(&error.to_string()))
}

/// It was sent, and what came of it is not known.
fn untold(verb: Verb, message: String) -> Error {
    let hint = match verb {
        Verb::Get => LINK_RUNS,
        Verb::Set | Verb::Bump => MAYBE_DONE,
    };
    refused(message, Some(hint.into()), FAILED)
}

/// The longest of the words is the one that is meant.
fn too_long(request: &Request) -> Error {
    let value = match &request.value {
        Some(Value::Str(text)) => text.len(),
        Some(Value::Val(_) | Value::Pct(_)) | None => 0,
    };
    let words = [
        (request.processor.len(), "PROCESSOR", "a name of the configuration, or an address".to_owned()),
        (request.param.len(), "PARAM", format!("at most {MAX_PARAM} bytes, like ZoneGain_0")),
        (value, "VALUE", format!("at most {MAX_TEXT} bytes, none of them a control character")),
    ];
    let [first, rest @ ..] = words;
    let (bytes, what, allowed) =
        rest.into_iter().fold(first, |longest, word| if word.0 > longest.0 { word } else { longest });
    refused(format!("{what} is too long: {bytes} bytes"), Some(format!("allowed: {allowed}")), USAGE)
}

/// Link may just be started, for the first time or anew.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(path) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
                    && Instant::now() < deadline =>
            {
                thread::sleep(EVERY);
            }
            connected => return connected,
        }
    }
}

/// Fails where no cluster is, or it knows no processor; answers what it says of itself.
pub(super) fn expect_processors(client: &Client) -> Result<Box<View>, Error> {
    let view = client.ask("view", PATIENCE)?.answer.view;
    let view = view.ok_or_else(|| client.garbage("view", "there is no view in it"))?;
    if view.processors.is_empty() {
        let hint = "add a [[processor]] with its name and address, and `atlas-cluster reload`";
        return Err(refused("no processor is configured".into(), Some(hint.into()), USAGE));
    }
    Ok(view)
}

fn refused(message: String, hint: Option<String>, exit: u8) -> Error {
    Error::Refused(Trouble { message, hint, exit })
}

fn strange(why: &str) -> Error {
    refused(unusable(why), Some(LINK_RUNS.into()), FAILED)
}

fn unusable(why: &str) -> String {
    format!("link gave no answer that can be used: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_is_too_long_is_named_with_what_is_allowed() {
        let long = "x".repeat(5000);
        for (processor, param, value, what) in [
            (&*long, "ZoneGain_0", "-3", "PROCESSOR"),
            ("bar", &*long, "-3", "PARAM"),
            ("bar", "ZoneGain_0", &*long, "VALUE"),
        ] {
            let (processor, param, value) = (processor.into(), param.into(), Some(value_of(value)));
            let request = Request { verb: Verb::Set, processor, param, format: None, value };
            let nowhere = Path::new("/nonexistent/link.sock");
            let Err(error) = exchange(nowhere, &request, ANSWER) else { panic!("{what} is taken") };
            assert!(error.to_string().contains(&format!("{what} is too long: 5000 bytes")), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("allowed: ")) && error.exit() == USAGE);
        }
    }

    #[test]
    fn what_nobody_read_can_be_asked_again_and_what_somebody_read_cannot() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let link = thread::spawn(move || {
            drop(listener.accept().unwrap());
            let (stream, _) = listener.accept().unwrap();
            BufReader::new(stream).read_line(&mut String::new()).unwrap();
        });
        let (processor, param) = ("bar".into(), "ZoneGain_0".into());
        let request = Request { verb: Verb::Get, processor, param, format: None, value: None };
        assert!(exchange(&path, &request, ANSWER).is_ok_and(|reply| reply.is_none()));
        let Err(error) = exchange(&path, &request, ANSWER) else { panic!("there is an answer") };
        assert!(error.to_string().contains("link ended before it answered"), "{error}");
        link.join().unwrap();
    }

    #[test]
    fn what_was_sent_and_not_answered_may_have_been_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let told = |verb| {
            let (processor, param) = ("bar".into(), "ZoneGain_0".into());
            let request = Request { verb, processor, param, format: None, value: None };
            let Err(error) = exchange(&path, &request, EVERY) else { panic!("there is an answer") };
            assert!(error.to_string().ends_with("none came within 50ms"), "{error}");
            drop(listener.accept().unwrap());
            error.hint().unwrap()
        };
        for verb in [Verb::Set, Verb::Bump] {
            assert!(told(verb).starts_with("it may have been done nevertheless"), "{verb:?}");
        }
        assert_eq!(told(Verb::Get), LINK_RUNS);
    }

    #[test]
    fn values_are_what_they_look_like() {
        for (text, value) in [
            ("-10", Value::Val(-10.0)),
            ("+2.5", Value::Val(2.5)),
            ("50%", Value::Pct(50.0)),
            ("-5%", Value::Pct(-5.0)),
            ("%", Value::Str("%".into())),
            ("loud", Value::Str("loud".into())),
            ("nan", Value::Str("nan".into())),
            ("inf%", Value::Str("inf%".into())),
            ("", Value::Str(String::new())),
        ] {
            assert_eq!(value_of(text), value, "{text}");
        }
    }
}
