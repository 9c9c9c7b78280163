//! Being somebody else for a moment.

use std::thread;

use nix::unistd::{Uid, geteuid, setfsuid};

/// For tests that only root can do. They never skip silently.
///
/// # Panics
/// When we are not root.
#[track_caller]
pub fn need_root() {
    assert!(geteuid().is_root(), "this test needs root: run it with sudo -E");
}

/// Runs `act` in a thread whose files and sockets are those of `uid`: the kernel asks for the file system uid when
/// it opens a path and when it notes a socket's owner, and takes root's privilege over files away with it.
///
/// # Panics
/// As `act` does, and when we are not root.
#[track_caller]
pub fn as_user<T: Send>(uid: u32, act: impl FnOnce() -> T + Send) -> T {
    need_root();
    let other = Uid::from_raw(uid);
    let act = move || {
        setfsuid(other);
        assert_eq!(setfsuid(other), other, "the thread is uid {uid} now");
        act()
    };
    thread::scope(|scope| scope.spawn(act).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
