//! Lines of OK, WARN and FAIL, and what comes of them.

use serde::Serialize;

use super::super::terminal::{Look, Style};
use super::super::text::{clean_lines, left};
use crate::exit::DONE;
use crate::wire::Trouble;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// It would start, and not do all that it could.
    Warn,
    /// It would not start, or not work.
    Fail,
}

/// One thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    /// What was looked at.
    name: &'static str,
    pub(super) status: Status,
    /// What was found.
    message: String,
    /// The way out, where it is not OK.
    hint: Option<String>,
    #[serde(skip)]
    exit: u8,
}

impl Line {
    pub(super) fn ok(name: &'static str, message: impl Into<String>) -> Line {
        Line { name, status: Status::Ok, message: message.into(), hint: None, exit: DONE }
    }

    pub(super) fn warn(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Line {
        Line { name, status: Status::Warn, message: message.into(), hint: Some(hint.into()), exit: DONE }
    }

    /// With the exit code that a start would have.
    pub(super) fn fail(
        name: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
        exit: u8,
    ) -> Line {
        Line { name, status: Status::Fail, message: message.into(), hint: Some(hint.into()), exit }
    }

    /// What keeps a start from working, as a start would say it.
    pub(super) fn of(name: &'static str, trouble: Trouble) -> Line {
        let hint =
            trouble.hint.unwrap_or_else(|| "fix that; --log-level debug shows each step of a start".into());
        Line::fail(name, trouble.message, hint, trouble.exit)
    }
}

/// All of them. As JSON: the shape of `check --json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Version of this shape: 1.
    schema: u32,
    /// The worst of all.
    result: Status,
    checks: Vec<Line>,
    /// A cluster runs there: what was looked at is a reload.
    #[serde(skip)]
    pub(super) running: bool,
}

impl Default for Report {
    fn default() -> Report {
        Report { schema: 1, result: Status::Ok, checks: Vec::new(), running: false }
    }
}

impl Report {
    pub(super) fn add(&mut self, line: Line) {
        self.result = self.result.max(line.status);
        self.checks.push(line);
    }

    /// 0 if nothing fails; else what a start would exit with: what it meets first ends it.
    pub(super) fn exit(&self) -> u8 {
        self.checks.iter().map(|line| line.exit).find(|code| *code != DONE).unwrap_or(DONE)
    }

    pub(super) fn draw(&self, look: &Look) -> String {
        let mut text = String::new();
        for line in &self.checks {
            let (word, style) = match line.status {
                Status::Ok => ("OK", Style::Green),
                Status::Warn => ("WARN", Style::Yellow),
                Status::Fail => ("FAIL", Style::Red),
            };
            let word = look.paint(style, &left(word, 4));
            text.push_str(&format!("{word}  {}  {}\n", left(line.name, 17), clean_lines(&line.message)));
            if let Some(hint) = &line.hint {
                text.push_str(&format!("hint: {}\n", clean_lines(hint)));
            }
        }
        text + match (self.result, self.running) {
            (Status::Ok | Status::Warn, true) => {
                "a reload would accept this, a start would not; see the WARN lines\n"
            }
            (Status::Ok, false) => "it would start here\n",
            (Status::Warn, false) => "it would start here; see the WARN lines\n",
            (Status::Fail, _) => "see the FAIL lines\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::{FAILED, PORT};

    #[test]
    fn the_exit_code_is_that_of_a_start_and_the_worst_is_the_result() {
        let mut report = Report::default();
        assert_eq!((report.exit(), report.result), (0, Status::Ok));
        for (line, exit, result) in [
            (Line::ok("a", "x"), 0, Status::Ok),
            (Line::warn("a", "x", "y"), 0, Status::Warn),
            (Line::fail("a", "x", "y", PORT), 3, Status::Fail),
            (Line::fail("a", "x", "y", FAILED), 3, Status::Fail),
            (Line::ok("a", "x"), 3, Status::Fail),
        ] {
            report.add(line);
            assert_eq!((report.exit(), report.result), (exit, result));
        }
        let look = Look { terminal: false, colour: false, columns: 80, rows: 24 };
        let text = report.draw(&look);
        assert!(
            text.starts_with("OK    a                  x\nWARN  a                  x\nhint: y\nFAIL  "),
            "{text}"
        );
        assert!(text.ends_with("see the FAIL lines\n"), "{text}");
        let mut beside = Report { running: true, ..Report::default() };
        beside.add(Line::warn("a", "x", "y"));
        assert!(beside.draw(&look).contains("a reload would accept this, a start would not"));
    }
}
