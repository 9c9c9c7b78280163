//! The configuration as a whole: real files in, values or exact words out.

mod documents;
mod errors;
mod files;
mod overrides;
mod program;
mod values;

use super::{Loaded, Overrides, load};
use std::fs;

/// This version, as errors mention it; expected words say `version NOW`.
const NOW: &str = concat!("version ", env!("CARGO_PKG_VERSION"));

/// What `load` makes of a file with this text: the configuration, or the error as people see it, with the
/// file called `FILE`.
fn loaded_with(text: impl AsRef<[u8]>, overrides: &Overrides) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("a.toml");
    fs::write(&path, text).expect("a file in it");
    load(overrides, Some(&path)).map_err(|error| {
        error.render().replace(&path.display().to_string(), "FILE").replace(NOW, "version NOW")
    })
}

/// The same without flags and environment.
fn loaded(text: impl AsRef<[u8]>) -> Result<Loaded, String> {
    loaded_with(text, &Overrides::default())
}

/// The same for a file that is good.
#[track_caller]
fn good(text: &str) -> Loaded {
    match loaded(text) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{text:?} is refused:\n{error}"),
    }
}

/// The same for a file that is not.
#[track_caller]
fn refusal(text: &str) -> String {
    match loaded(text) {
        Ok(_) => panic!("{text:?} is accepted"),
        Err(error) => error,
    }
}
