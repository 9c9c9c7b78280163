//! What can go wrong with a run.

use std::fmt::Display;
use std::io;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("cannot {doing}: {source}")]
    Io { doing: String, source: io::Error },
    /// A peer or a tool.
    #[error("{what} is missing: a run without it would leave a row out")]
    Missing { what: String, install: String },
    /// Something does not do what it should.
    #[error("{what}")]
    Broken { what: String, hint: String },
    #[error(transparent)]
    Load(#[from] udp_load::Trouble),
    #[error("interrupted")]
    Interrupted,
}

impl Trouble {
    /// The way out, in one line.
    pub(crate) fn hint(&self) -> String {
        match self {
            Trouble::Io { .. } => "scripts/bench.sh builds and fetches what a run needs".into(),
            Trouble::Missing { install, .. } => install.clone(),
            Trouble::Broken { hint, .. } => hint.clone(),
            Trouble::Load(trouble) => trouble.hint(),
            Trouble::Interrupted => "nothing was written".into(),
        }
    }

    pub(crate) fn broken(what: impl Display, hint: impl Display) -> Trouble {
        Trouble::Broken { what: what.to_string(), hint: hint.to_string() }
    }
}

/// For `map_err`: what was being done.
pub(crate) fn cannot(doing: impl Display) -> impl FnOnce(io::Error) -> Trouble {
    let doing = doing.to_string();
    move |source| Trouble::Io { doing, source }
}
