//! Errors of the command line: one line that says what is wrong, one that says the way out.

use super::cli::Cli;
use super::pm2;
use crate::clean::clean;
use crate::config::ConfigError;
use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// Longest verb, in bytes, for which a neighbour is looked for.
const LONGEST_VERB: usize = 100;

/// Arguments or environment that cannot be understood: nothing was started or changed.
///
/// As a string it is one line; [`render`](Self::render) adds the way out.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// An argument.
    #[error("{sentence}")]
    Argument {
        /// What is wrong, in one line.
        sentence: String,
        /// The way out, in one line.
        hint: String,
    },
    /// A value of the configuration that a flag or a variable gives.
    #[error(transparent)]
    Value(#[from] ConfigError),
}

impl UsageError {
    /// As it goes to standard error: a line that begins with `atlas-cluster: `, one that begins with `hint: `.
    pub fn render(&self) -> String {
        match self {
            UsageError::Argument { sentence, hint } => format!("atlas-cluster: {sentence}\nhint: {hint}\n"),
            UsageError::Value(error) => error.render(),
        }
    }

    /// An error with its way out; what comes from the user is made harmless to a terminal.
    pub(super) fn new(sentence: &str, hint: String) -> Self {
        UsageError::Argument { sentence: clean(sentence), hint }
    }

    /// A flag or variable with a value that is not allowed.
    pub(super) fn value(source: &str, value: &str, why: &str, hint: String) -> Self {
        Self::new(&format!("{source}: `{value}` {why}"), hint)
    }
}

/// `--` promises a program: without one, the built-in worker would be a surprise.
pub(super) fn no_program() -> UsageError {
    let hint = "name it: `atlas-cluster -- PROGRAM ARGS…`; without `--` the built-in worker runs";
    UsageError::new("there is no program behind `--`", hint.to_owned())
}

/// The package's unit runs whatever lies in /etc.
pub(super) fn packaged_for_all() -> UsageError {
    let hint = "remove one of them: `startup --config FILE` prints the unit for that configuration";
    UsageError::new("`--packaged` is for any configuration, and does not go with `--config`", hint.to_owned())
}

/// A verb that this version does not know.
pub(super) fn unknown_verb(verb: &str) -> UsageError {
    let verbs = verbs();
    let sentence = format!("unknown command '{verb}'");
    if let Some(hint) = pm2::instead_of(verb) {
        return UsageError::new(&sentence, hint);
    }
    if verb.contains(['/', '.']) {
        return UsageError::new(&sentence, BEHIND.to_owned());
    }
    let near = verbs
        .iter()
        .filter(|_| verb.len() < LONGEST_VERB)
        .map(|known| (strsim::damerau_levenshtein(verb, known), known))
        .min();
    let hint = match near {
        Some((distance, meant)) if distance <= (verb.len() / 3).max(1) => format!("did you mean '{meant}'?"),
        _ => format!("this version has {}", verbs.join(", ")),
    };
    UsageError::new(&sentence, hint)
}

/// Where a program stands on the command line.
const BEHIND: &str = "a program and its arguments stand behind `--`: `atlas-cluster -- node server.js`";

/// Whether clap knows the verb.
pub(super) fn is_verb(verb: &str) -> bool {
    verb == "help" || verbs().iter().any(|known| known == verb)
}

/// What clap has to say, in our form. `verb` is the one it was parsing; empty if there was none.
pub(super) fn from_clap(error: &clap::Error, verb: &str, argv: &[OsString]) -> UsageError {
    let text = |kind| error.get(kind).map(first_of).unwrap_or_default();
    let argument = text(ContextKind::InvalidArg);
    // `--workers <N|max>` is how clap calls it.
    let argument = argument.split(" <").next().unwrap_or_default();
    let value = text(ContextKind::InvalidValue);
    let sentence = match error.kind() {
        ErrorKind::UnknownArgument => format!("unexpected argument '{}'", whole(argument, argv)),
        ErrorKind::MissingRequiredArgument => format!("'{verb}' needs {}", text(ContextKind::InvalidArg)),
        ErrorKind::InvalidSubcommand => return unknown_verb(&text(ContextKind::InvalidSubcommand)),
        ErrorKind::InvalidValue if value.is_empty() => format!("'{argument}' needs a value"),
        ErrorKind::InvalidValue => format!("'{argument}' cannot be '{value}'"),
        ErrorKind::TooManyValues => format!("'{argument}' takes no value, but got '{value}'"),
        ErrorKind::ArgumentConflict => format!("'{argument}' was given more than once"),
        _ => plain(error),
    };
    let suggested =
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue]
            .into_iter()
            .map(text)
            .find(|name| !name.is_empty());
    let hint = if let Some(name) = suggested {
        format!("did you mean '{name}'?")
    } else if let (false, Some(ContextValue::Strings(values))) =
        (value.is_empty(), error.get(ContextKind::ValidValue))
    {
        format!("allowed: {}", values.join(", "))
    } else if verb == "start" && is_verb(argument) {
        format!("a command comes before its options: 'atlas-cluster {argument}'")
    } else if takes_program(verb) && error.kind() == ErrorKind::UnknownArgument {
        match pm2::instead_of(argument) {
            Some(hint) => hint,
            None if argument.starts_with('-') => format!("see 'atlas-cluster {verb} --help'"),
            None => BEHIND.to_owned(),
        }
    } else if let (ErrorKind::MissingRequiredArgument, Some(example)) = (error.kind(), example(verb)) {
        format!("for example `{example}`")
    } else if verb.is_empty() || verb == "help" {
        "see 'atlas-cluster --help'".to_owned()
    } else {
        format!("see 'atlas-cluster {verb} --help'")
    };
    UsageError::new(&sentence, hint)
}

/// Whether a program may follow, behind `--`.
pub(super) fn takes_program(verb: &str) -> bool {
    ["start", "check"].contains(&verb)
}

/// The first example of a verb's help.
fn example(verb: &str) -> Option<String> {
    let command = Cli::command();
    let help = command.find_subcommand(verb)?.get_after_help()?.to_string();
    help.lines()
        .find_map(|line| line.strip_prefix("  atlas-cluster "))
        .map(|rest| format!("atlas-cluster {rest}"))
}

/// The verbs of this version.
pub(super) fn verbs() -> Vec<String> {
    Cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect()
}

/// The word that was written: of `-20` clap names `-2` alone, which could be an option.
fn whole(argument: &str, argv: &[OsString]) -> String {
    let is_short = argument.starts_with('-') && !argument.starts_with("--");
    let written = argv.iter().map(|word| word.to_string_lossy());
    let found = written.rev().find(|word| is_short && word.starts_with(argument));
    found.map_or_else(|| argument.to_owned(), std::borrow::Cow::into_owned)
}

fn first_of(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(values) => values.first().cloned().unwrap_or_default(),
        other => other.to_string(),
    }
}

/// The first line of clap's own words.
fn plain(error: &clap::Error) -> String {
    let text = error.render().to_string();
    text.lines().next().unwrap_or("").trim_start_matches("error: ").to_owned()
}
