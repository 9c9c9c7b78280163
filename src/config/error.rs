//! What is wrong with a configuration, as people read it.

use super::excerpt::Excerpt;
use super::origin::Origin;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Most problems that one error tells: the first in the file.
pub(super) const MOST_PROBLEMS: usize = 16;

/// No configuration: nothing was changed. Its exit code is that of bad usage.
///
/// As a string it is one line: the first problem. [`render`](Self::render) tells all.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no text to speak of.
    #[error("cannot read configuration {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What was in the way.
        why: Unreadable,
    },
    /// The working directory, which a relative path starts from, is unknown.
    #[error("cannot make {} an absolute path: {why}", path.display())]
    NoDirectory {
        /// The path as given.
        path: PathBuf,
        /// What was in the way.
        why: io::Error,
    },
    /// Wrong keys or values, in the order in which they stand; at least one, at most 16.
    #[error("{}", first(problems, *more))]
    Invalid {
        /// Each of them.
        problems: Vec<Problem>,
        /// How many there are beside.
        more: usize,
    },
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The system refused.
    #[error("{0}")]
    Refused(io::Error),
    /// A directory, a pipe, a device…
    #[error("it is not a regular file")]
    NotRegular,
    /// Larger than any configuration.
    #[error("it is larger than 1 MiB")]
    TooLarge,
    /// Not text.
    #[error("line {line} is not UTF-8")]
    NotUtf8 {
        /// The first such line, from 1.
        line: usize,
    },
}

/// One thing that is wrong, where, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where the value came from; never [`Origin::Default`].
    pub origin: Origin,
    /// The place in the file.
    pub excerpt: Option<Excerpt>,
    /// What is wrong, in one line.
    pub sentence: String,
    /// The way out, in one line.
    pub hint: String,
}

impl ConfigError {
    /// Of these problems, at least one.
    pub(super) fn invalid(mut problems: Vec<Problem>) -> ConfigError {
        let more = problems.len().saturating_sub(MOST_PROBLEMS);
        problems.truncate(MOST_PROBLEMS);
        ConfigError::Invalid { problems, more }
    }

    /// Everything, as it goes to standard error: for each problem a line that begins with
    /// `atlas-cluster: `, the place in the file, and a line that begins with `hint: `.
    pub fn render(&self) -> String {
        let ConfigError::Invalid { problems, more } = self else {
            return format!("atlas-cluster: {self}\nhint: {}\n", self.hint());
        };
        let mut text = String::new();
        for problem in problems {
            text += &format!("atlas-cluster: {problem}\n");
            if let Some(excerpt) = &problem.excerpt {
                text += &format!("{}\n", excerpt.render());
            }
            text += &format!("hint: {}\n", problem.hint);
        }
        if *more > 0 {
            text += &format!("hint: only the first {MOST_PROBLEMS} problems are shown\n");
        }
        text
    }

    /// The way out of the first problem, one line.
    pub fn hint(&self) -> &str {
        match self {
            ConfigError::Unreadable { why: Unreadable::Refused(_), .. } => {
                "name a readable file with --config; without it ./atlas-cluster.toml and then \
                 /etc/atlas-cluster/atlas-cluster.toml are taken if they exist"
            }
            ConfigError::Unreadable { .. } => "a configuration is a regular file of at most 1 MiB, in UTF-8",
            ConfigError::NoDirectory { .. } => "start from a directory that exists, or give the whole path",
            ConfigError::Invalid { problems, .. } => problems.first().map_or("", |problem| &problem.hint),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, &self.excerpt) {
            (Origin::File { path, .. }, Some(excerpt)) => {
                write!(f, "{}:{}:{}: {}", path.display(), excerpt.line, excerpt.column, self.sentence)
            }
            (origin, _) => write!(f, "{origin}: {}", self.sentence),
        }
    }
}

/// The first problem, and whether there are more.
fn first(problems: &[Problem], more: usize) -> String {
    match problems {
        [] => String::new(),
        [only] if more == 0 => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len() + more),
    }
}
