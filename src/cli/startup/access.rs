//! Whether the service's user, who may not be there yet, could read a file: by owner, group and mode.

use std::fs::{Metadata, metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::Account;

/// root, as an owner of files.
pub(super) fn root() -> Account {
    Account { name: "root".into(), uid: 0, gid: 0, ..Account::default() }
}

/// Whether he can read the file and pass all folders above it; None is somebody who owns nothing. What is not there is
/// another matter.
pub(super) fn reads(file: &Path, who: Option<&Account>) -> bool {
    let may = |path: &Path, bit| metadata(path).map_or(true, |found| grants(&found, who, bit));
    may(file, 0o4) && file.ancestors().skip(1).all(|folder| may(folder, 0o1))
}

/// Whether it is his, and there.
pub(super) fn owns(path: &Path, who: &Account) -> bool {
    metadata(path).is_ok_and(|found| found.uid() == who.uid)
}

/// Whether it lies where a service with `PrivateTmp=` has something else.
pub(super) fn is_temporary(path: &Path) -> bool {
    path.starts_with("/tmp") || path.starts_with("/var/tmp")
}

fn grants(found: &Metadata, who: Option<&Account>, bit: u32) -> bool {
    let shift = match who {
        Some(who) if who.uid == found.uid() => 6,
        Some(who) if who.gid == found.gid() || who.groups.contains(&found.gid()) => 3,
        Some(_) | None => 0,
    };
    found.mode() >> shift & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn owner_group_and_others_are_told_apart_for_a_file_and_what_is_above_it() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        write(&file, "").unwrap();
        let mode = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let found = metadata(&file).unwrap();
        let owner = Account { uid: found.uid(), gid: u32::MAX, ..Account::default() };
        let member =
            Account { uid: u32::MAX, gid: u32::MAX, groups: vec![found.gid()], ..Account::default() };
        for (folder, inner, expected) in [
            (0o755, 0o644, [true, true, true]),
            (0o755, 0o640, [true, true, false]),
            (0o755, 0o404, [true, false, true]),
            (0o710, 0o666, [true, true, false]),
            (0o700, 0o666, [true, false, false]),
        ] {
            mode(place.path(), folder);
            mode(&file, inner);
            let can = [Some(&owner), Some(&member), None].map(|who| reads(&file, who));
            assert_eq!(can, expected, "{folder:o} {inner:o}");
        }
        assert!(reads(&place.path().join("none"), Some(&owner)) && !owns(&place.path().join("none"), &owner));
    }
}
