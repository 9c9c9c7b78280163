//! The program in memory: its code and constants are the file's, and what is not used can be given back.

use std::ffi::c_void;
use std::io;

use nix::unistd::SysconfVar;

/// Gives back every page of the program's code and constants; each one comes back from the page cache when it is used
/// next, with its neighbours (a minor fault for 64 KiB).
///
/// Most of a program runs once in a process's life, when it starts; it stays mapped, and counted as the process's
/// memory, until somebody says that it is not needed (MADV_DONTNEED, madvise(2)). What was written into such pages is
/// lost: a debugger's breakpoints.
///
/// # Errors
/// What madvise(2) says: EINVAL where the pages are locked in memory.
pub fn give_back() -> io::Result<()> {
    let page = nix::unistd::sysconf(SysconfVar::PAGE_SIZE)?.and_then(|page| usize::try_from(page).ok());
    let mut ranges = Ranges { page: page.unwrap_or(4096), ..Ranges::default() };
    // SAFETY: `note` is called in this call alone, and what it is given a pointer to outlives it.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut ranges).cast()) };
    for &(start, length) in &ranges.found[..ranges.count] {
        // SAFETY: whole pages of a segment that the program may not write, so they hold what its file holds, and a
        // running program's file cannot be written (execve(2), ETXTBSY): they read the same when they come back.
        let done = unsafe { libc::madvise(start as *mut c_void, length, libc::MADV_DONTNEED) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Where the segments lie that are never written: address and length in bytes, of whole pages. A linker makes two or
/// three of them.
#[derive(Default)]
struct Ranges {
    page: usize,
    found: [(usize, usize); 4],
    count: usize,
}

/// Notes the segments of the first object, which is the program itself, and ends the iteration (dl_iterate_phdr(3)).
unsafe extern "C" fn note(info: *mut libc::dl_phdr_info, _: usize, ranges: *mut c_void) -> libc::c_int {
    // SAFETY: the caller's promise: the program's headers, valid during this call.
    let info = unsafe { &*info };
    // SAFETY: `give_back` passes its own Ranges, and nobody else has it during this call.
    let ranges = unsafe { &mut *ranges.cast::<Ranges>() };
    // SAFETY: as many headers as it says, in memory that stays.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let constant = headers.iter().filter(|h| h.p_type == libc::PT_LOAD && h.p_flags & libc::PF_W == 0);
    for (place, header) in ranges.found.iter_mut().zip(constant) {
        let from = (info.dlpi_addr + header.p_vaddr) as usize;
        let start = from - from % ranges.page;
        let end = (from + header.p_memsz as usize).next_multiple_of(ranges.page);
        *place = (start, end - start);
        ranges.count += 1;
    }
    1
}
