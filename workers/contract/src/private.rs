//! Files and sockets that are their owner's alone from their first moment.

use nix::sys::stat::{Mode, umask};

/// Makes what `make` makes with the mode 0600 at the most. The mask belongs to the whole process: one thread of it makes
/// files.
pub fn private<T>(make: impl FnOnce() -> T) -> T {
    let before = umask(Mode::from_bits_truncate(0o177));
    let made = make();
    umask(before);
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_is_made_is_the_owner_s_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = private(|| UnixListener::bind(&path)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }
}
