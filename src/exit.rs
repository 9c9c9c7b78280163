//! Exit codes: a promise to scripts.

/// Done.
pub(crate) const DONE: u8 = 0;
/// It was tried and failed.
pub(crate) const FAILED: u8 = 1;
/// Bad usage or bad configuration: nothing was started or changed.
pub(crate) const USAGE: u8 = 2;
/// The port cannot be bound, or somebody else is on it; a cluster already runs in that directory, or writes its logs to
/// the same folder.
pub(crate) const PORT: u8 = 3;
/// No cluster is running in that runtime directory.
pub(crate) const NOT_RUNNING: u8 = 4;
