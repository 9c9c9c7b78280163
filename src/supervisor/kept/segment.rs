//! A piece of memory that the supervisor makes and lends, and never maps.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use contract::Lent;

use crate::supervisor::above::Above;

/// A segment, with a description for those who may only read.
pub(in super::super) struct Segment {
    pub(super) lent: Lent,
    pub(super) fd: OwnedFd,
    pub(super) read_only: OwnedFd,
}

impl Segment {
    /// A fresh one; it lies in the store above as well, under `name`.
    pub(super) fn new(lent: Lent, name: String, above: &mut Above) -> io::Result<Segment> {
        let fd = sys::map::segment(lent.name, &(lent.head)(), lent.bytes, false)?;
        above.keep(name, fd.as_fd())?;
        Segment::of(lent, fd)
    }

    pub(super) fn of(lent: Lent, fd: OwnedFd) -> io::Result<Segment> {
        let read_only = sys::map::reopen(fd.as_fd(), false)?;
        Ok(Segment { lent, fd, read_only })
    }

    pub(in super::super) fn bytes(&self) -> usize {
        self.lent.bytes
    }

    /// Of the description that is written through.
    pub(in super::super) fn number(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    pub(in super::super) fn name(&self) -> &'static str {
        self.lent.name
    }

    pub(in super::super) fn read_only(&self) -> BorrowedFd<'_> {
        self.read_only.as_fd()
    }
}
