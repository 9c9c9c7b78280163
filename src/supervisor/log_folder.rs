//! Where log files go: the folder, made and looked at before anything runs, and a link to it for those who look for it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use contract::logs::{FILE, FOLDER, claim, is_of_the_disk, open_file};
use nix::libc::EEXIST;

use super::rehearsal;
use crate::config::Config;
use crate::exit;
use crate::wire::Trouble;

/// The folder.
#[derive(Debug)]
pub(super) struct LogFolder {
    pub(super) path: PathBuf,
    /// Why nothing can be written there now.
    pub(super) unwritable: Option<String>,
    /// Where the files are now that lay in the place of the link.
    pub(super) set_aside: Option<PathBuf>,
}

/// Makes the folder, if logs go to files: one in the runtime directory, or that of the configuration, to which a link
/// there leads then.
///
/// # Errors
/// A [`Trouble`] for the user: it cannot be used, or another cluster writes there.
pub(super) fn prepare(runtime_dir: &Path, config: &Config) -> Result<Option<LogFolder>, Trouble> {
    if !config.logs_to_files() {
        return Ok(None);
    }
    let places = Places::of(runtime_dir, config);
    let set_aside = point(&places.own, places.elsewhere.as_deref()).map_err(|e| places.refused(&e))?;
    let unwritable = places.judge(try_to_write(places.path()))?;
    Ok(Some(LogFolder { path: places.path().to_owned(), unwritable, set_aside }))
}

/// What that would say, without making anything: None where no logs go to files. `beside` a cluster that runs there, and
/// writes there, nobody else is looked for.
///
/// # Errors
/// As [`prepare`].
pub(crate) fn foresee(
    runtime_dir: &Path,
    config: &Config,
    beside: bool,
) -> Result<Option<(PathBuf, Option<String>)>, Trouble> {
    if !config.logs_to_files() {
        return Ok(None);
    }
    let places = Places::of(runtime_dir, config);
    let own = places.own.symlink_metadata().ok();
    let attempt = || {
        if places.elsewhere.is_some() && own.as_ref().is_some_and(|own| !own.is_dir() && !own.is_symlink()) {
            return Err(io::Error::from_raw_os_error(EEXIST)); // no link can be made there
        }
        let path = places.path();
        // A link of ours is taken away where none is wanted.
        let is_old_link = places.elsewhere.is_none() && own.as_ref().is_some_and(fs::Metadata::is_symlink);
        if is_old_link {
            return rehearsal::make_file(runtime_dir);
        }
        if !path.is_dir() {
            return rehearsal::make_folder(path);
        }
        let _while_we_try = if beside { None } else { claim(path)? };
        let file = path.join(FILE);
        rehearsal::open_or_make(&file, || open_file(OpenOptions::new().append(true), &file)).map(drop)
    };
    let unwritable = places.judge(attempt())?;
    Ok(Some((places.path().to_owned(), unwritable)))
}

/// Where log files go.
struct Places {
    /// In the runtime directory.
    own: PathBuf,
    /// That of the configuration.
    elsewhere: Option<PathBuf>,
}

impl Places {
    fn of(runtime_dir: &Path, config: &Config) -> Places {
        let own = runtime_dir.join(FOLDER);
        Places { elsewhere: config.log.dir.clone().filter(|dir| !is_same(dir, &own)), own }
    }

    fn path(&self) -> &Path {
        self.elsewhere.as_deref().unwrap_or(&self.own)
    }

    fn refused(&self, why: &io::Error) -> Trouble {
        let hint = format!(
            "choose a folder that can be written with log.dir, and see what lies at {}",
            self.own.display()
        );
        let message = format!("cannot write logs to {}: {why}", self.path().display());
        Trouble { message, hint: Some(hint), exit: exit::FAILED }
    }

    /// Why nothing can be written there for now, if that is all.
    fn judge(&self, tried: io::Result<()>) -> Result<Option<String>, Trouble> {
        match tried {
            Ok(()) => Ok(None),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Err(taken(self.path())),
            Err(e) if is_of_the_disk(&e) => Ok(Some(e.to_string())),
            Err(e) => Err(self.refused(&e)),
        }
    }
}

impl LogFolder {
    /// Says what whoever starts the cluster should know, in the log and to him.
    pub(super) fn tell(&self) {
        let path = self.path.display();
        if let Some(old) = &self.set_aside {
            log::info!("log files go to {path} from now on; those of before are in {}", old.display());
        }
        if let Some(why) = &self.unwritable {
            let what = format!("log lines are lost, and counted, until {path} can be written: {why}");
            crate::complain(&format!("atlas-cluster: warning: {what}\n"));
            log::warn!("{what}");
        }
    }
}

/// The logger would count what it cannot write, and tell nobody.
fn try_to_write(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    let _while_we_try = claim(folder)?;
    open_file(OpenOptions::new().append(true).create(true).mode(0o640), &folder.join(FILE)).map(drop)
}

/// Has `own` be the link that leads to `elsewhere`, or none; answers where the files went that lay there.
fn point(own: &Path, elsewhere: Option<&Path>) -> io::Result<Option<PathBuf>> {
    let found = own.symlink_metadata().ok();
    if found.as_ref().is_some_and(fs::Metadata::is_symlink) {
        fs::remove_file(own)?;
    }
    let Some(elsewhere) = elsewhere else { return Ok(None) };
    let is_folder = found.is_some_and(|found| found.is_dir());
    let old = if is_folder && fs::remove_dir(own).is_err() { Some(set_aside(own)?) } else { None };
    symlink(elsewhere, own)?;
    Ok(old)
}

/// Gives a folder with files another name, which nothing has yet.
fn set_aside(own: &Path) -> io::Result<PathBuf> {
    let free = (1..=u32::MAX).map(|number| own.with_extension(number.to_string()));
    let free = free.into_iter().find(|name| name.symlink_metadata().is_err());
    let free = free.ok_or_else(|| io::Error::from(ErrorKind::AlreadyExists))?;
    fs::rename(own, &free)?;
    Ok(free)
}

/// Whether a folder that is named is our own: a link to itself would lead nowhere.
fn is_same(named: &Path, own: &Path) -> bool {
    let parents = [named, own].map(|path| path.parent().and_then(|parent| parent.canonicalize().ok()));
    let by_name = parents[0].is_some() && parents[0] == parents[1] && named.file_name() == own.file_name();
    let is_folder = own.symlink_metadata().is_ok_and(|found| found.is_dir());
    by_name || is_folder && named.canonicalize().ok() == own.canonicalize().ok()
}

fn taken(folder: &Path) -> Trouble {
    Trouble {
        message: format!("another cluster writes its log files to {}", folder.display()),
        hint: Some("give each cluster a folder of its own with log.dir".into()),
        exit: exit::PORT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: Option<PathBuf>) -> Config {
        let mut config = Config { daemon: true, ..Config::default() };
        config.log.dir = dir;
        config
    }

    fn prepared(runtime_dir: &Path, dir: Option<PathBuf>) -> LogFolder {
        prepare(runtime_dir, &config(dir)).unwrap().expect("logs go to files")
    }

    #[test]
    fn a_folder_elsewhere_is_linked_to_and_what_lay_there_is_kept() {
        let (place, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (own, elsewhere) = (place.path().join(FOLDER), other.path().join("deep/logs"));
        assert_eq!(prepared(place.path(), None).path, own);
        let linked = || fs::read_link(&own).ok();
        for aside in ["logs.1", "logs.2"] {
            fs::write(own.join(FILE), "old\n").unwrap();
            let folder = prepared(place.path(), Some(elsewhere.clone()));
            assert_eq!(folder.set_aside, Some(place.path().join(aside)));
            assert_eq!((folder.path.as_path(), linked()), (elsewhere.as_path(), Some(elsewhere.clone())));
            assert_eq!(fs::read_to_string(place.path().join(aside).join(FILE)).unwrap(), "old\n");
            assert!(prepared(place.path(), Some(elsewhere.clone())).set_aside.is_none());
            assert_eq!((prepared(place.path(), None).path, linked()), (own.clone(), None));
        }
    }

    #[test]
    fn our_own_folder_may_be_named() {
        let place = tempfile::tempdir().unwrap();
        let own = place.path().join(FOLDER);
        let other = place.path().join("other");
        symlink(&own, &other).unwrap();
        for named in [own.clone(), place.path().join("./logs/"), other] {
            let folder = prepared(place.path(), Some(named));
            assert_eq!(
                (folder.path.as_path(), own.symlink_metadata().unwrap().is_dir()),
                (own.as_path(), true)
            );
        }
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_refused() {
        let (place, other) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        fs::create_dir(place.path().join(FOLDER)).unwrap();
        symlink(other.path(), place.path().join(FOLDER).join(FILE)).unwrap();
        let refused = prepare(place.path(), &config(None)).unwrap_err();
        assert!(refused.message.contains("symbolic links") && refused.hint.is_some(), "{}", refused.message);
    }
}
