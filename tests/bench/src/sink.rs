//! The null sink: epoll and recvmmsg of 64 × 4 KiB that throws everything away. The physical limit for this way of
//! receiving. One that is told asks for the sender and the time of arrival of each datagram, too, into shared memory, as
//! the worker does: what is left of the worker's cost above that is its own.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Socket, Type};
use sys::batch::{self, Batch};
use sys::discard::Discard;
use sys::map::{Mapping, segment};

use crate::port;
use crate::subjects::{MARK, READY, RECEIVED, page};
use crate::trouble::{Trouble, cannot};

const BATCH: usize = 64;
const PAYLOAD: usize = 4096;

/// Receives at `address` until it is killed; counts in the page at `path`.
pub(crate) fn run(address: SocketAddr, path: &Path, told: bool) -> Result<(), Trouble> {
    let socket = bind(address).map_err(cannot(format_args!("bind UDP {address}")))?;
    let file = File::options().read(true).write(true).open(path);
    let page = file.and_then(|file| page(&file)).map_err(cannot(format_args!("map {}", path.display())))?;
    let received = if told { be_told(&socket, page.words()) } else { discard(&socket, page.words()) };
    received.map_err(cannot(format_args!("receive at {address}")))
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_reuse_port(true)?;
    socket.set_recv_buffer_size(port::room())?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn discard(socket: &UdpSocket, words: &[AtomicU64]) -> io::Result<()> {
    let mut room = Discard::new(BATCH, PAYLOAD);
    receive(socket, words, || {
        let got = room.receive(socket.as_fd())?;
        (0..got).for_each(|i| mark(words, room.payload(i)));
        Ok(got)
    })
}

fn be_told(socket: &UdpSocket, words: &[AtomicU64]) -> io::Result<()> {
    sys::group::stamp_arrivals(socket.as_fd())?;
    let memory = segment("sink", &[], batch::BYTES, false)?;
    let mut memory = Mapping::new(memory.as_fd(), batch::BYTES)?;
    let (_, mut room) = Batch::split(&mut memory, 0);
    receive(socket, words, || {
        room.reset();
        let got = room.receive(socket.as_fd())?;
        (0..got).filter_map(|i| room.entry(i)).for_each(|entry| mark(words, entry.payload));
        Ok(got)
    })
}

/// What a datagram of eight bytes says is to be seen from outside.
fn mark(words: &[AtomicU64], payload: &[u8]) {
    if let Ok(said) = payload.try_into() {
        words[MARK].store(u64::from_ne_bytes(said), Ordering::Release);
    }
}

/// One epoll_wait and, as long as batches are full, one recvmmsg after another: a short one means an empty queue, and
/// what comes later makes a new edge (epoll(7)).
fn receive(
    socket: &UdpSocket,
    words: &[AtomicU64],
    mut batch: impl FnMut() -> io::Result<usize>,
) -> io::Result<()> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0))?;
    let (mut events, mut received) = ([EpollEvent::empty()], 0);
    words[READY].store(1, Ordering::Release);
    loop {
        match epoll.wait(&mut events, EpollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        loop {
            let got = match batch() {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
                got => got?,
            };
            received += got as u64;
            words[RECEIVED].store(received, Ordering::Release);
            if got < BATCH {
                break;
            }
        }
    }
}
