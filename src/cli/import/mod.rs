//! `import`: a PM2 ecosystem file becomes a configuration on standard output; what has no counterpart is told on
//! standard error, a line each.

mod elsewhere;
mod read;
mod translate;
mod words;

#[cfg(test)]
mod tests;

use std::path::Path;

use super::complain;
use super::error::Error;
use super::terminal::print;
use super::text::clean;
use crate::exit::USAGE;
use crate::wire::Trouble;

/// Translates one app of the file: the named one, else the first.
pub(super) fn run(file: &Path, app: Option<&str>) -> Result<(), Error> {
    let ecosystem = read::ecosystem(file)?;
    let folder = std::path::absolute(file).ok().and_then(|file| file.parent().map(Path::to_owned));
    let imported = translate::translate(&ecosystem, app, &folder.unwrap_or_default()).map_err(|why| {
        Error::Refused(Trouble {
            message: format!("{}: {}", file.display(), clean(&why)),
            hint: Some("an ecosystem file has `apps`, each with a `script`".to_owned()),
            exit: USAGE,
        })
    })?;
    print(&imported.toml)?;
    for note in &imported.notes {
        complain(&format!("{}\n", clean(note)));
    }
    Ok(())
}
