//! recvmmsg(2) into memory that is written over by the next call: as little as receiving can cost.
//!
//! Headers are made once and never touched again: no name, no control data, so nothing is left over from the last call
//! that the next one would have to reset. nix's own recvmmsg has its headers made anew each time.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{iovec, mmsghdr};

/// Room for a batch of datagrams.
pub struct Discard {
    headers: Box<[mmsghdr]>,
    _vectors: Box<[iovec]>,
    memory: Box<[u8]>,
    payload: usize,
}

impl Discard {
    /// Room for `batch` datagrams of up to `payload` bytes; longer ones are cut.
    #[must_use]
    pub fn new(batch: usize, payload: usize) -> Discard {
        let mut memory = vec![0; batch * payload].into_boxed_slice();
        let base = memory.as_mut_ptr();
        let mut vectors: Box<[iovec]> = (0..batch)
            .map(|i| iovec { iov_base: base.wrapping_add(i * payload).cast(), iov_len: payload })
            .collect();
        let first = vectors.as_mut_ptr();
        let header = |i: usize| {
            // SAFETY: numbers and pointers alone: all zero is "no name, no control data, no vector".
            let mut header: mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_iov = first.wrapping_add(i);
            header.msg_hdr.msg_iovlen = 1;
            header
        };
        Discard { headers: (0..batch).map(header).collect(), _vectors: vectors, memory, payload }
    }

    /// Takes what waits in `socket`, at most a batch, without waiting; answers how many datagrams there were.
    ///
    /// # Errors
    /// `WouldBlock` when nothing waits; else what recvmmsg(2) says.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let (raw, len) = (socket.as_raw_fd(), self.headers.len() as libc::c_uint);
        let (headers, none) = (self.headers.as_mut_ptr(), std::ptr::null_mut());
        // SAFETY: `len` headers lie there, each with one vector that points at `payload` bytes of `memory`; all three
        // are ours and live as long as `self`, which is borrowed for the call.
        let got = unsafe { libc::recvmmsg(raw, headers, len, libc::MSG_DONTWAIT as _, none) };
        usize::try_from(got).map_err(|_| io::Error::last_os_error())
    }

    /// What datagram `i` of the last call said.
    ///
    /// # Panics
    /// If there is no room for as many.
    #[must_use]
    pub fn payload(&self, i: usize) -> &[u8] {
        let len = (self.headers[i].msg_len as usize).min(self.payload);
        &self.memory[i * self.payload..][..len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn batches_follow_one_another_and_long_datagrams_are_cut() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        let mut discard = Discard::new(3, 8);
        for round in 0..3u8 {
            for said in [&[round; 5][..], &[], &[round; 20], &[round; 1]] {
                socket.send_to(said, to).unwrap();
            }
            assert_eq!(discard.receive(socket.as_fd()).unwrap(), 3);
            assert_eq!([0, 1, 2].map(|i| discard.payload(i)), [&[round; 5][..], &[], &[round; 8]]);
            assert_eq!((discard.receive(socket.as_fd()).unwrap(), discard.payload(0)), (1, &[round; 1][..]));
            assert_eq!(discard.receive(socket.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }
}
