//! Shared memory: memfds that cannot change their size, and their mappings as words.
//!
//! A segment is a memfd sealed against shrinking and growing, so a mapping of it never meets SIGBUS
//! (memfd_create(2), "File sealing"). Its content is shared with other processes and therefore input, not truth.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use memmap2::{MmapOptions, MmapRaw};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fstat};

/// A new segment: `head` at its start, zeros up to `bytes`, sealed in size; with `frozen` sealed against writing too.
///
/// `name` shows in `/proc/PID/maps`. The descriptor has CLOEXEC.
///
/// # Errors
/// Whatever memfd_create(2), ftruncate(2), write(2) or F_ADD_SEALS say.
pub fn segment(name: &str, head: &[u8], bytes: usize, frozen: bool) -> io::Result<OwnedFd> {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    nix::unistd::ftruncate(&fd, i64::try_from(bytes).map_err(io::Error::other)?)?;
    let mut at = 0;
    while at < head.len() {
        at += nix::sys::uio::pwrite(&fd, &head[at..], i64::try_from(at).map_err(io::Error::other)?)?;
    }
    let mut seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    if frozen {
        seals |= SealFlag::F_SEAL_WRITE;
    }
    fcntl(&fd, FcntlArg::F_ADD_SEALS(seals | SealFlag::F_SEAL_SEAL))?;
    Ok(fd)
}

/// Size of a segment in bytes.
///
/// # Errors
/// What fstat(2) says.
pub fn size(fd: BorrowedFd<'_>) -> io::Result<usize> {
    usize::try_from(fstat(fd)?.st_size).map_err(io::Error::other)
}

/// The whole of a small file, by position: the offset, which others may share, stays where it is.
///
/// # Errors
/// `InvalidData` if it has more than `max` bytes; else what fstat(2) and pread(2) say.
pub fn read_all(fd: BorrowedFd<'_>, max: usize) -> io::Result<Vec<u8>> {
    let bytes = size(fd)?;
    if bytes > max {
        return invalid(format!("{bytes} bytes, where {max} are the most"));
    }
    let mut content = vec![0; bytes];
    File::from(crate::fds::duplicate(fd)?).read_exact_at(&mut content, 0)?;
    Ok(content)
}

/// The same file through a new open file description: read-only, or read and write. CLOEXEC either way.
///
/// A record lock belongs to the description it was taken through, so a description of one's own is a lock of one's
/// own, which neither another's duplicate nor a stray close can drop (fcntl(2), "Open file description locks").
///
/// # Errors
/// What open(2) of `/proc/self/fd/N` says.
pub fn reopen(fd: BorrowedFd<'_>, writable: bool) -> io::Result<OwnedFd> {
    use nix::fcntl::{OFlag, open};
    let access = if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY };
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(open(path.as_str(), access | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// A segment mapped for reading and writing, all its pages present.
pub struct Mapping {
    raw: MmapRaw,
}

impl Mapping {
    /// Maps the first `bytes` of `fd`, populating every page (MAP_POPULATE) so that the kernel never faults on one
    /// while it copies into it.
    ///
    /// # Errors
    /// `InvalidData` if the file is shorter or may still shrink; else what mmap(2) says.
    pub fn new(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<Mapping> {
        check(fd, bytes)?;
        let raw = MmapOptions::new().len(bytes).populate().map_raw(&fd)?;
        Ok(Mapping { raw })
    }

    /// Maps an ordinary file, whose owner promises not to shrink it: an access past its end would be SIGBUS.
    ///
    /// # Errors
    /// `InvalidData` if the file is shorter; else what mmap(2) says.
    pub fn of_file(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<Mapping> {
        long_enough(fd, bytes)?;
        Ok(Mapping { raw: MmapOptions::new().len(bytes).map_raw(&fd)? })
    }

    /// Keeps the pages in memory (mlock(2)).
    ///
    /// # Errors
    /// ENOMEM or EPERM where RLIMIT_MEMLOCK does not allow it.
    pub fn lock_pages(&self) -> io::Result<()> {
        self.raw.lock()
    }

    /// The segment as 64-bit words.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, lives as long as `self`, and holds this many whole words; atomics are
        // the one type that other processes may change under us.
        unsafe { std::slice::from_raw_parts(self.raw.as_mut_ptr().cast::<AtomicU64>(), self.raw.len() / 8) }
    }

    /// Start of the mapping, for this crate's own views of it.
    pub(crate) fn base(&self) -> *mut u8 {
        self.raw.as_mut_ptr()
    }

    /// Length in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.raw.len()
    }
}

/// Whether a process like this one may keep so many bytes in memory: by its limit, or by its privilege.
///
/// # Errors
/// What mlock(2) says of them, or mmap(2).
pub fn may_lock(bytes: usize) -> io::Result<()> {
    MmapOptions::new().len(bytes).map_anon()?.lock()
}

/// A segment mapped for reading alone.
pub struct ReadOnly {
    map: memmap2::Mmap,
}

impl ReadOnly {
    /// Maps the first `bytes` of `fd`.
    ///
    /// # Errors
    /// `InvalidData` if the file is shorter or may still shrink; else what mmap(2) says.
    pub fn new(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<ReadOnly> {
        check(fd, bytes)?;
        // SAFETY: the file cannot shrink (checked above), and `load` is the only way to its bytes: an atomic load.
        let map = unsafe { MmapOptions::new().len(bytes).map(&fd)? };
        Ok(ReadOnly { map })
    }

    /// How many words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len() / 8
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One word, with acquire ordering.
    ///
    /// # Panics
    /// If `word` is not below [`ReadOnly::len`].
    #[must_use]
    pub fn load(&self, word: usize) -> u64 {
        assert!(word < self.len(), "word {word} lies outside a segment of {} words", self.len());
        // SAFETY: in bounds (asserted), aligned (the base is a page's), and only ever loaded, relaxed: that may be done
        // on a read-only page (std::sync::atomic, "Atomic accesses to read-only memory").
        let cell = unsafe { &*self.map.as_ptr().cast::<AtomicU64>().wrapping_add(word) };
        let value = cell.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        value
    }
}

fn invalid<T>(why: impl Into<String>) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, why.into()))
}

fn long_enough(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let have = size(fd)?;
    if have < bytes {
        return invalid(format!("a segment of {have} bytes where {bytes} were promised"));
    }
    Ok(())
}

fn check(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    long_enough(fd, bytes)?;
    let seals = SealFlag::from_bits_truncate(fcntl(fd.as_fd(), FcntlArg::F_GET_SEALS)?);
    if !seals.contains(SealFlag::F_SEAL_SHRINK) {
        return invalid("a segment that may still shrink");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_mapping_stores_another_reads() {
        let fd = segment("test", &7u64.to_ne_bytes(), 8192, false).unwrap();
        let writer = Mapping::new(fd.as_fd(), 8192).unwrap();
        let reader = ReadOnly::new(reopen(fd.as_fd(), false).unwrap().as_fd(), 8192).unwrap();
        assert_eq!((reader.load(0), reader.load(1023)), (7, 0));
        writer.words()[1023].store(9, Ordering::Release);
        assert_eq!(reader.load(1023), 9);
    }

    #[test]
    fn a_segment_keeps_its_size_and_a_frozen_one_its_content() {
        let fd = segment("test", b"x", 4096, true).unwrap();
        assert!(nix::unistd::ftruncate(&fd, 0).is_err());
        assert!(nix::sys::uio::pwrite(&fd, b"y", 0).is_err());
        assert!(Mapping::new(fd.as_fd(), 4096).is_err(), "a frozen segment cannot be mapped for writing");
        assert!(ReadOnly::new(fd.as_fd(), 8192).is_err(), "longer than the file");
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let fd = segment("test", b"text", 4, true).unwrap();
        for _ in 0..2 {
            assert_eq!(read_all(fd.as_fd(), 4).unwrap(), b"text");
        }
        assert_eq!(read_all(fd.as_fd(), 3).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
