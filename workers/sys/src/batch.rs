//! recvmmsg(2) into shared memory: the whole call — headers, names, control data, payloads — lies in a segment, so
//! what the kernel handed over outlives the process that asked for it.
//!
//! ```text
//! at `offset`   mmsghdr × 64 │ iovec × 64 │ names 32 B × 64 │ control 64 B × 64 │ payloads 4 KiB × 64
//! ```
//! The kernel writes each length as it hands over each datagram: an entry was received exactly when its length is no
//! longer [`NOT_RECEIVED`] (not zero: a datagram of length 0 is valid).

use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use libc::{iovec, mmsghdr};

use crate::map::Mapping;

/// Datagrams in one batch.
pub const LEN: usize = 64;
/// Bytes kept of one datagram; a longer one is cut and says so.
pub const PAYLOAD: usize = 4096;
/// Bytes that a batch takes in its segment.
pub const BYTES: usize = PAYLOADS + LEN * PAYLOAD;
/// The length of an entry that the kernel has not written.
pub const NOT_RECEIVED: u32 = u32::MAX;

const NAME: usize = 32;
const CONTROL: usize = 64;
const HEADERS: usize = 0;
const IOVECS: usize = HEADERS + LEN * size_of::<mmsghdr>();
const NAMES: usize = IOVECS + LEN * size_of::<iovec>();
const CONTROLS: usize = NAMES + LEN * NAME;
const PAYLOADS: usize = (CONTROLS + LEN * CONTROL).next_multiple_of(4096);

/// One received datagram, as it lies in the segment.
#[derive(Debug, PartialEq)]
pub struct Entry<'b> {
    /// Its bytes, at most [`PAYLOAD`].
    pub payload: &'b [u8],
    /// How many bytes it had.
    pub bytes: usize,
    /// Who sent it; an IPv4 sender on an IPv6 socket is shown as IPv4. `None` if the name makes no sense.
    pub sender: Option<SocketAddr>,
    /// When the kernel received it: time since the epoch by CLOCK_REALTIME (SO_TIMESTAMPNS).
    pub stamp: Option<Duration>,
    /// It was longer than [`PAYLOAD`] (MSG_TRUNC).
    pub truncated: bool,
}

/// The batch of one segment. In this process nobody else reaches its memory while it lives; that no other process does
/// is what the segment's lock is for.
pub struct Batch<'m> {
    base: *mut u8,
    _mapping: PhantomData<&'m mut Mapping>,
    /// Entries below this one may have been written since they were reset.
    dirty: usize,
}

impl<'m> Batch<'m> {
    /// The words of `mapping` before `offset`, and the batch at `offset`. What an earlier owner received stays readable
    /// until [`Batch::reset`]; its pointers, which meant something in its address space alone, are replaced.
    ///
    /// # Panics
    /// If the batch would not lie inside the mapping, page-aligned.
    pub fn split(mapping: &'m mut Mapping, offset: usize) -> (&'m [AtomicU64], Batch<'m>) {
        assert!(
            offset.is_multiple_of(4096) && offset + BYTES <= mapping.bytes(),
            "a batch outside its segment"
        );
        let base = mapping.base().wrapping_add(offset);
        let mapping: &'m Mapping = mapping;
        let mut batch = Batch { base, _mapping: PhantomData, dirty: LEN };
        for i in 0..LEN {
            batch.link(i);
        }
        (&mapping.words()[..offset / 8], batch)
    }

    fn at(&self, part: usize) -> *mut u8 {
        assert!(part < BYTES);
        self.base.wrapping_add(part) // inside the mapping: `split` asserted that BYTES bytes from `base` are
    }

    fn header(&self, i: usize) -> *mut mmsghdr {
        assert!(i < LEN);
        self.at(HEADERS + i * size_of::<mmsghdr>()).cast()
    }

    /// Points header `i` at its own iovec, name, control and payload; touches no length.
    fn link(&mut self, i: usize) {
        let vector: *mut iovec = self.at(IOVECS + i * size_of::<iovec>()).cast();
        let payload = iovec { iov_base: self.at(PAYLOADS + i * PAYLOAD).cast(), iov_len: PAYLOAD };
        // SAFETY: inside the mapping, aligned (every part begins at a multiple of 16), and we are its only writer.
        unsafe { vector.write(payload) };
        let header = self.header(i);
        // SAFETY: as above; no reference to the header exists while a raw pointer writes its fields.
        let fields = unsafe { &mut (*header).msg_hdr };
        fields.msg_name = self.at(NAMES + i * NAME).cast();
        fields.msg_iov = vector;
        fields.msg_iovlen = 1;
        fields.msg_control = self.at(CONTROLS + i * CONTROL).cast();
    }

    /// Makes every entry read "not received". To be done before the segment says that a receive is under way.
    pub fn reset(&mut self) {
        for i in 0..std::mem::take(&mut self.dirty) {
            // SAFETY: inside the mapping (`header` asserts it), aligned, and we are its only writer.
            let header = unsafe { &mut *self.header(i) };
            header.msg_len = NOT_RECEIVED;
            header.msg_hdr.msg_namelen = NAME as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL as _;
            header.msg_hdr.msg_flags = 0;
        }
    }

    /// Takes what waits in `socket`, at most [`LEN`] datagrams, without waiting; answers how many there were.
    ///
    /// # Errors
    /// `WouldBlock` when nothing waits; else what recvmmsg(2) says, which may be an error parked in the socket by an
    /// earlier reader's call: not a reason to give up.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.dirty = LEN;
        let (raw, headers, len) = (socket.as_raw_fd(), self.header(0), LEN as libc::c_uint);
        // glibc's flags have a sign, musl's none.
        let flags = (libc::MSG_DONTWAIT | libc::MSG_TRUNC) as _;
        // SAFETY: `len` headers lie there, each linked to memory of this mapping that is as long as it says.
        let got = unsafe { libc::recvmmsg(raw, headers, len, flags, std::ptr::null_mut()) };
        match usize::try_from(got) {
            Ok(got) => {
                self.dirty = got;
                Ok(got)
            }
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::WouldBlock {
                    self.dirty = 0;
                }
                Err(error)
            }
        }
    }

    /// Entry `i`, if it was received. Every length is clamped: the segment is input, not truth.
    #[inline]
    #[must_use]
    pub fn entry(&self, i: usize) -> Option<Entry<'_>> {
        // SAFETY: inside the mapping (`header` asserts it), aligned; the fields are plain numbers, valid whatever
        // their bits are, and nobody writes them while the lock's holder reads.
        let header = unsafe { &*self.header(i) };
        if header.msg_len == NOT_RECEIVED {
            return None;
        }
        let payload = self.bytes(PAYLOADS + i * PAYLOAD, (header.msg_len as usize).min(PAYLOAD));
        let name = self.bytes(NAMES + i * NAME, NAME).first_chunk()?;
        let control = self.bytes(CONTROLS + i * CONTROL, CONTROL).first_chunk()?;
        Some(Entry {
            payload,
            bytes: header.msg_len as usize,
            sender: sender(name, header.msg_hdr.msg_namelen as usize),
            stamp: stamp(control, header.msg_hdr.msg_controllen as _), // musl: 32 bits
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        })
    }

    fn bytes(&self, part: usize, len: usize) -> &[u8] {
        assert!(part + len <= BYTES);
        // SAFETY: inside the mapping (asserted), bytes have no invalid value, and only the kernel writes here, in
        // `receive`, which borrows the batch mutably.
        unsafe { std::slice::from_raw_parts(self.at(part), len) }
    }
}

/// A sockaddr_in or sockaddr_in6 of `len` bytes as the kernel writes it (ip(7), ipv6(7)): family, port, [flow label,]
/// address.
#[inline]
fn sender(name: &[u8; NAME], len: usize) -> Option<SocketAddr> {
    let [f0, f1, p0, p1, a, b, c, d, ..] = *name;
    let (address, needed) = match i32::from(u16::from_ne_bytes([f0, f1])) {
        libc::AF_INET => (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), 8),
        libc::AF_INET6 => {
            let address: [u8; 16] = *name[8..].first_chunk()?;
            (Ipv6Addr::from(address).to_canonical(), 24)
        }
        _ => return None,
    };
    (len >= needed).then(|| SocketAddr::new(address, u16::from_be_bytes([p0, p1])))
}

/// The SCM_TIMESTAMPNS, if it is the first of the control messages, of `len` bytes in all: a cmsghdr (length, level,
/// type), then a timespec. Nothing else is asked for, so nothing else comes.
#[inline]
fn stamp(control: &[u8; CONTROL], len: usize) -> Option<Duration> {
    const WHOLE: usize = size_of::<libc::cmsghdr>() + size_of::<libc::timespec>();
    let words = control.as_chunks::<8>().0;
    let word = |i: usize| u64::from_ne_bytes(words[i]);
    let halves = words[1].as_chunks::<4>().0;
    let (level, kind) = (i32::from_ne_bytes(halves[0]), i32::from_ne_bytes(halves[1]));
    let nanos = u32::try_from(word(3)).ok().filter(|&nanos| nanos < 1_000_000_000)?;
    let ours = (level, kind) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) && word(0) == WHOLE as u64;
    (ours && len >= WHOLE && i64::try_from(word(2)).is_ok()).then(|| Duration::new(word(2), nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::SystemTime;

    fn socket(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind(address).unwrap();
        crate::group::stamp_arrivals(socket.as_fd()).unwrap();
        socket
    }

    fn mapping() -> Mapping {
        Mapping::new(crate::map::segment("batch", &[], BYTES, false).unwrap().as_fd(), BYTES).unwrap()
    }

    #[test]
    fn a_batch_holds_what_was_sent_and_who_sent_it() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (socket, sender) = (socket(address), UdpSocket::bind(address).unwrap());
            let mut mapping = mapping();
            let (_, mut batch) = Batch::split(&mut mapping, 0);
            batch.reset();
            assert_eq!(batch.receive(socket.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            let long = vec![b'x'; PAYLOAD + 1];
            for payload in [&b"hello"[..], b"", &long] {
                sender.send_to(payload, socket.local_addr().unwrap()).unwrap();
            }
            assert_eq!(batch.receive(socket.as_fd()).unwrap(), 3);
            let hello = batch.entry(0).unwrap();
            assert_eq!((hello.payload, hello.sender), (&b"hello"[..], Some(sender.local_addr().unwrap())));
            let age = SystemTime::UNIX_EPOCH.elapsed().unwrap().saturating_sub(hello.stamp.unwrap());
            assert!(age < Duration::from_secs(60), "the stamp is wall-clock time, {age:?} ago");
            assert_eq!(batch.entry(1).unwrap().payload, b"");
            let cut = batch.entry(2).unwrap();
            assert_eq!((cut.payload, cut.truncated), (&long[..PAYLOAD], true));
            assert_eq!(cut.bytes, long.len());
            assert_eq!(batch.entry(3), None);
            batch.reset();
            assert_eq!(batch.entry(0), None);
        }
    }

    #[test]
    fn another_owner_of_the_segment_reads_what_the_first_received() {
        let (socket, sender) = (socket("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0").unwrap());
        let fd = crate::map::segment("batch", &[], BYTES, false).unwrap();
        {
            let mut mapping = Mapping::new(fd.as_fd(), BYTES).unwrap();
            let (_, mut batch) = Batch::split(&mut mapping, 0);
            batch.reset();
            sender.send_to(b"left behind", socket.local_addr().unwrap()).unwrap();
            batch.receive(socket.as_fd()).unwrap();
        }
        let mut mapping = Mapping::new(fd.as_fd(), BYTES).unwrap();
        let (_, mut batch) = Batch::split(&mut mapping, 0);
        assert_eq!(batch.entry(0).unwrap().payload, b"left behind");
        batch.reset();
        sender.send_to(b"next", socket.local_addr().unwrap()).unwrap();
        assert_eq!(batch.receive(socket.as_fd()).unwrap(), 1);
        assert_eq!(batch.entry(0).unwrap().payload, b"next");
    }

    #[test]
    fn a_segment_full_of_nonsense_is_read_without_harm() {
        let mut mapping = mapping();
        for word in mapping.words() {
            word.store(u64::MAX / 3, std::sync::atomic::Ordering::Relaxed);
        }
        let (_, batch) = Batch::split(&mut mapping, 0);
        let entry = batch.entry(LEN - 1).unwrap();
        assert_eq!((entry.payload.len(), entry.sender, entry.stamp), (PAYLOAD, None, None));
    }
}
