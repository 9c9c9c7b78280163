//! `import`: a PM2 ecosystem file becomes a configuration on standard output; what has no counterpart is told on
//! standard error, a line each.

mod app;
mod apps;
mod elsewhere;
mod environment;
mod export;
mod names;
mod program;
mod read;
mod relaxed;
mod translate;
mod words;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::complain;
use super::error::Error;
use super::terminal::answer;
use super::text::clean;
use crate::args::Import;
use crate::exit::USAGE;
use crate::wire::Trouble;

/// Translates one app of the file: the named one, else the first.
pub(super) fn run(import: &Import) -> Result<(), Error> {
    let file = &import.file;
    let ecosystem = read::ecosystem(file)?;
    let wanted = translate::Wanted {
        app: import.app.as_deref(),
        env: import.env.as_deref(),
        folder: &folder_of(file),
        file,
    };
    let imported = translate::translate(&ecosystem, &wanted).map_err(|wrong| {
        Error::Refused(Trouble {
            message: format!("cannot import {}: {}", file.display(), clean(&wrong.why)),
            hint: Some(clean(&wrong.hint)),
            exit: USAGE,
        })
    })?;
    answer(&imported.toml)?;
    for note in &imported.notes {
        complain(&format!("{}\n", clean(note)));
    }
    Ok(())
}

/// Where relative paths of the file begin: its folder; for what is no file on the disk, where we are.
fn folder_of(file: &Path) -> PathBuf {
    let whole = std::path::absolute(file).ok().filter(|file| file.is_file());
    let folder = whole.and_then(|file| file.parent().map(Path::to_owned));
    folder.or_else(|| std::env::current_dir().ok()).unwrap_or_default()
}
