//! What a supervisor hands to the one that replaces it in the same process: its state as JSON, its descriptors by
//! number.
//!
//! The state has a format number. Whoever is about to be replaced offers every format that it can write; whoever is to
//! follow picks one that it can read (`upgrade`). So a newer version can also make room for an older one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::above::Memo;
use super::desk::{Asker, Desk};
use super::{children, control, generations, kept, logs};
use crate::core::{Fleet, Run, Slot, Tick};
use crate::roles::Roles;
use crate::wire::{LastExit, LastReload};

/// The formats that this version writes and reads, the best one first.
pub(super) const FORMATS: &[u32] = if cfg!(feature = "next") { &[2, 1] } else { &[1] };
/// The most bytes of a state: a few configurations, and clients with an answer of 1 MiB each on the way to them (every
/// byte of it as a number).
const MAX_STATE: usize = 512 << 20;
/// The variable that names the descriptor of the state: `PID:NUMBER`.
pub(super) const VARIABLE: &str = "X_ATLAS_STATE";

/// Everything that a supervisor knows and cannot find out again.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    /// Who wrote it.
    pub(super) version: String,
    /// Names of the roles beside the workers, in the order of their slots' numbers.
    pub(super) roles: Vec<String>,
    /// Every descriptor that is handed over.
    pub(super) descriptors: Vec<RawFd>,
    pub(super) runtime_dir: FrozenPath,
    pub(super) runtime_lock: RawFd,
    pub(super) config_file: Option<FrozenPath>,
    pub(super) binary: FrozenPath,
    pub(super) started: Tick,
    pub(super) started_at: String,
    pub(super) upgrades: u32,
    /// Log lines that go with the process image.
    #[serde(default)]
    pub(super) unwritten: u64,
    pub(super) fleet: Fleet,
    pub(super) generations: generations::Frozen,
    pub(super) children: children::Frozen,
    pub(super) kept: kept::Frozen,
    /// As it lies in the store above us.
    #[serde(default)]
    pub(super) memo: Memo,
    /// What processes print, where that goes to files; an older version had none.
    #[serde(default)]
    pub(super) logs: Option<logs::Frozen>,
    pub(super) control: control::Frozen,
    pub(super) desk: Desk,
    /// Deaths to be blamed on the work, as the next process of the slot is told.
    #[serde(default)]
    pub(super) blames: Vec<(Slot, String)>,
    pub(super) last_exits: Vec<(Slot, LastExit)>,
    pub(super) last_reload: Option<LastReload>,
    pub(super) unborn: Vec<(Tick, Run)>,
    /// Who asked for the upgrade.
    pub(super) upgrading: Vec<Asker>,
}

impl State {
    /// As text, in one of [`FORMATS`].
    pub(super) fn write(&self, format: u32) -> serde_json::Result<Vec<u8>> {
        let state = serde_json::to_value(self)?;
        let envelope = [("format".to_owned(), Value::from(format)), (key(format).to_owned(), state)];
        serde_json::to_vec(&Map::from_iter(envelope))
    }

    /// From text, in whichever of [`FORMATS`] it is; what it knows beyond that is left aside.
    ///
    /// # Errors
    /// Why it cannot be understood.
    pub(super) fn read(text: &[u8]) -> Result<State, String> {
        let mut envelope: Value = serde_json::from_slice(text).map_err(|e| format!("it is not JSON: {e}"))?;
        let format = envelope["format"].as_u64().and_then(|format| u32::try_from(format).ok()).unwrap_or(0);
        if !FORMATS.contains(&format) {
            let ours = FORMATS.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(format!("its state has format {format}, and this version knows {ours}"));
        }
        serde_json::from_value(envelope[key(format)].take())
            .map_err(|e| format!("its state makes no sense to this version: {e}"))
    }

    /// Whether this version can go on from here.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn fits(&self, roles: &Roles) -> Result<(), String> {
        let in_use = self.fleet.slots().filter_map(|view| match view.slot {
            Slot::Role(index) => Some(usize::from(index)),
            Slot::Worker(_) => None,
        });
        for index in in_use {
            let name = self.roles.get(index).map_or("", String::as_str);
            if roles.beside.get(index).is_none_or(|beside| beside.role.name != name) {
                return Err(format!("it runs a `{name}`, which this version does not know in that place"));
            }
        }
        self.kept.fits(roles)
    }
}

/// Format 2 is the test's: the same under another name.
fn key(format: u32) -> &'static str {
    if format == 1 { "state" } else { "supervisor" }
}

/// A path in the state: as text, as every version reads it; one that is no UTF-8 as the list of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FrozenPath(pub(super) PathBuf);

impl FrozenPath {
    pub(super) fn of(path: &Path) -> FrozenPath {
        FrozenPath(path.to_owned())
    }
}

impl Serialize for FrozenPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => self.0.as_os_str().as_bytes().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for FrozenPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FrozenPath, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(PathBuf),
            Bytes(Vec<u8>),
        }
        Ok(FrozenPath(match Written::deserialize(deserializer)? {
            Written::Text(path) => path,
            Written::Bytes(bytes) => OsString::from_vec(bytes).into(),
        }))
    }
}

/// Descriptors on their way out: none is closed by the exec.
#[derive(Default)]
pub(super) struct Packing<'a>(BTreeMap<RawFd, BorrowedFd<'a>>);

impl<'a> Packing<'a> {
    /// Takes it along; answers the number that it keeps.
    pub(super) fn pack(&mut self, fd: BorrowedFd<'a>) -> RawFd {
        self.0.insert(fd.as_raw_fd(), fd);
        fd.as_raw_fd()
    }

    pub(super) fn numbers(&self) -> Vec<RawFd> {
        self.0.keys().copied().collect()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'a>> {
        self.0.values().copied()
    }
}

/// Descriptors that arrived; each is taken once.
pub(super) struct Unpacking(BTreeMap<RawFd, OwnedFd>);

impl Unpacking {
    pub(super) fn new(numbers: &[RawFd]) -> io::Result<Unpacking> {
        Ok(Unpacking(sys::fds::handed_over(numbers)?))
    }

    pub(super) fn take(&mut self, number: RawFd) -> io::Result<OwnedFd> {
        let missing = || io::Error::other(format!("descriptor {number} was not handed over"));
        self.0.remove(&number).ok_or_else(missing)
    }
}

/// The text in a sealed segment of its own.
pub(super) fn sealed(text: &[u8]) -> io::Result<OwnedFd> {
    sys::map::segment("state", text, text.len(), true)
}

/// The text in a segment that this process inherited.
pub(super) fn unsealed(segment: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    sys::map::read_all(segment, MAX_STATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_survives_and_one_that_is_text_is_written_as_text() {
        let written = |path: &[u8]| {
            let path = FrozenPath(OsString::from_vec(path.to_vec()).into());
            let json = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<FrozenPath>(&json).unwrap(), path);
            json
        };
        assert_eq!(written("/etc/é.toml".as_bytes()), "\"/etc/é.toml\"");
        assert_eq!(written(b"/\xe9.toml"), "[47,233,46,116,111,109,108]");
    }
}
